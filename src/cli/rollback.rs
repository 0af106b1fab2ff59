//! `rollback`: what a run did is undone.

use std::collections::{BTreeMap, BTreeSet};

use clap::Args;

use super::Context;
use super::convert::known::{readable, same_place};
use super::convert::moving::{PARALLEL, TIMEOUT, tell};
use super::input::{Unnamed, load_whole};
use super::scope::ScopeArgs;
use crate::client::{ConnectOptions, RequestTimeout, WriteOptions};
use crate::error::Error;
use crate::execute::{Found, Runs, Settings};
use crate::exit::Exit;
use crate::journal::machine::Until;
use crate::journal::{Ended, Header, Journal, Purpose, RunId, VERSION, undo};
use crate::plan::{self, Direction, Plan, StepId, back_by_hand};
use crate::report::RunReport;
use crate::report::plan::PlanEntry;
use crate::translate;

/// Put a namespace back as it was before a run
///
/// Prints what it will do, and asks. By default the last move that was not rolled back is undone; a rollback that
/// was interrupted is gone on with.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct RollbackArgs {
    /// The run to undo; `kubectl ambient history` lists them
    run: Option<String>,

    /// Namespace to put back; by default the context's
    #[arg(short, long, value_parser = super::scope::namespace)]
    namespace: Option<String>,

    /// Undo only what came after this step
    #[arg(long, value_name = "STEP")]
    to: Option<StepId>,

    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,

    /// Overwrite what others have changed since
    #[arg(long)]
    overwrite_drift: bool,

    /// Without a journal: the revision that injects again
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,

    /// Without a journal: delete the waypoints of the namespace, too
    #[arg(long)]
    delete_waypoint: bool,

    /// How long a rollout may take
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    timeout: RequestTimeout,

    /// How many workloads are switched back at once
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=50))]
    parallel: u32,

    /// Take over fields that others own
    #[arg(long)]
    force_conflicts: bool,

    /// Go ahead without asking
    #[arg(short, long)]
    yes: bool,
}

const EXAMPLES: &str = "\
Examples:
  kubectl ambient rollback -n shop --dry-run     what would be undone
  kubectl ambient rollback -n shop               undo the last move
  kubectl ambient rollback -n shop --to bind     give workloads their sidecars back, no more";

/// What is undone, and how.
#[derive(Debug, Clone)]
pub(super) struct Back {
    run: Option<RunId>,
    to: Option<StepId>,
    settings: Settings,
}

impl Back {
    /// All of a run that has just failed, as it was carried out.
    pub(super) fn failed(run: &RunId, settings: &Settings) -> Self {
        let mut back = Self::of(run);
        back.settings.parallel = settings.parallel;
        back.settings.timeout = settings.timeout;
        back
    }

    /// All of a run.
    fn of(run: &RunId) -> Self {
        Self {
            run: Some(run.clone()),
            to: None,
            settings: Settings {
                parallel: PARALLEL as usize,
                timeout: TIMEOUT,
                pause_after: None,
                until: Until::Finished,
                overwrite_drift: false,
            },
        }
    }
}

pub(super) fn run(args: &RollbackArgs, context: &Context<'_>) -> Result<Exit, Error> {
    if let Some(namespace) = &args.namespace {
        super::scope::holds_applications(namespace)?;
    }
    if !args.yes && !args.dry_run {
        context.ui.can_ask()?;
    }
    let mut options = ConnectOptions::from(context.connection);
    options.namespace.clone_from(&args.namespace);
    let writes = WriteOptions {
        dry_run: false,
        force: args.force_conflicts,
    };
    let runs = Runs::connect(
        &options,
        args.namespace.as_deref(),
        writes,
        context.ui.clone(),
    )?;
    let mut back = Back::of(&RunId::typed(""));
    back.run = args.run.as_deref().map(RunId::typed);
    back.to.clone_from(&args.to);
    back.settings.parallel = usize::try_from(args.parallel).unwrap_or(1);
    back.settings.timeout = args
        .timeout
        .limit()
        .unwrap_or(std::time::Duration::from_secs(86_400));
    back.settings.overwrite_drift = args.overwrite_drift;
    let known = runs.journals()?;
    let work = if known.is_empty() && args.run.is_none() && args.to.is_none() {
        by_hand(args, &runs, context)?
    } else {
        without_hand(args)?;
        work(&runs, &back, &known)?
    };
    let plan = match &work {
        Work::Open(_, journal) => Some(&journal.plan),
        Work::New { journal, .. } => Some(&journal.plan),
        Work::Nothing(_) => None,
    };
    if let Some(plan) = plan {
        runs.review(plan)?;
    }
    announce(&work, context);
    let kept = plan.map(|plan| runs.kept_waypoints(plan)).transpose()?;
    for (gateway, why) in kept.into_iter().flatten() {
        context.ui.note(&format!("{gateway} is kept: it {why}"));
    }
    if args.dry_run {
        return Ok(Exit::Ok);
    }
    if !args.yes && !context.ui.ask("Go back?")? {
        return Err(Error::new(Exit::Negative, "nothing was changed"));
    }
    finish(&runs, &back, work, context)
}

/// Undoes a run without asking.
pub(super) fn carry_out(runs: &Runs, back: &Back, context: &Context<'_>) -> Result<Exit, Error> {
    let known = runs.journals()?;
    let work = work(runs, back, &known)?;
    finish(runs, back, work, context)
}

/// What is to be done.
enum Work<'k> {
    /// A rollback that was begun goes on.
    Open(&'k Found, &'k Journal),
    /// A run is undone; none where the namespace was moved by hand.
    New {
        undone: Option<&'k Found>,
        journal: Box<Journal>,
    },
    /// There is nothing to undo.
    Nothing(&'k Found),
}

fn work<'k>(runs: &Runs, back: &Back, known: &'k [Found]) -> Result<Work<'k>, Error> {
    let namespace = runs.namespace();
    if let Some(open) = open_rollback(runs, back, known)? {
        return Ok(open);
    }
    if let Some(found) = with_kept(back, known) {
        let journal = readable(found)?;
        same_place(runs, journal)?;
        return Ok(Work::Open(found, journal));
    }
    let undone = match &back.run {
        Some(run) => known
            .iter()
            .find(|found| found.run == *run)
            .ok_or_else(|| {
                Error::new(
                    Exit::Negative,
                    format!("namespace {namespace} has no run {run}"),
                )
                .hint(format!(
                    "`kubectl ambient history -n {namespace}` lists them"
                ))
            })?,
        None => last_move(known).ok_or_else(|| nothing_to_undo(runs, known))?,
    };
    let journal = readable(undone)?;
    same_place(runs, journal)?;
    if let Ended::RolledBack(by, None) = journal.state().ended {
        return Err(Error::new(
            Exit::Negative,
            format!("run {} was rolled back by {by} already", undone.run),
        )
        .hint(format!(
            "to do it again: kubectl ambient rollback -n {namespace} {by}"
        )));
    }
    let undo = undo(journal, back.to.as_ref()).ok_or_else(|| {
        let steps: Vec<String> = journal
            .plan
            .steps
            .iter()
            .map(|step| step.id.to_string())
            .collect();
        let step = back
            .to
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        Error::new(
            Exit::Usage,
            format!("run {} has no step {step}", undone.run),
        )
        .hint(format!("its steps: {}", steps.join(", ")))
    })?;
    if undo.plan.is_empty() {
        return Ok(Work::Nothing(undone));
    }
    Ok(Work::New {
        journal: Box::new(begun(
            runs,
            Some((undone, journal)),
            (undo.plan, back.to.as_ref()),
            known,
        )),
        undone: Some(undone),
    })
}

/// A rollback that is not over, if it is the one that is asked for.
fn open_rollback<'k>(
    runs: &Runs,
    back: &Back,
    known: &'k [Found],
) -> Result<Option<Work<'k>>, Error> {
    let namespace = runs.namespace();
    let is_open_rollback = |found: &&Found| {
        found.journal.as_ref().is_ok_and(|journal| {
            journal.state().is_open() && journal.plan.direction == Direction::Back
        })
    };
    if let Some(open) = known.iter().rev().find(is_open_rollback) {
        let asked = back.run.as_ref().is_none_or(|run| {
            let of = open
                .journal
                .as_ref()
                .ok()
                .map(|journal| &journal.header.purpose);
            *run == open.run
                || of
                    == Some(&Purpose::Rollback {
                        of: Some(run.clone()),
                    })
        });
        if asked {
            let journal = readable(open)?;
            same_place(runs, journal)?;
            return Ok(Some(Work::Open(open, journal)));
        }
        return Err(Error::new(
            Exit::Stale,
            format!("rollback {} of namespace {namespace} is not over", open.run),
        )
        .hint(format!(
            "go on with it: kubectl ambient rollback -n {namespace}"
        )));
    }
    Ok(None)
}

/// The last run, if it is a rollback that left something as others had changed it, and that is to be
/// overwritten now.
fn with_kept<'k>(back: &Back, known: &'k [Found]) -> Option<&'k Found> {
    let last = known.last().filter(|_| back.settings.overwrite_drift)?;
    let journal = last.journal.as_ref().ok()?;
    let asked = back.run.as_ref().is_none_or(|run| {
        let of = Purpose::Rollback {
            of: Some(run.clone()),
        };
        *run == last.run || journal.header.purpose == of
    });
    let state = journal.state();
    let is_back = journal.plan.direction == Direction::Back && state.ended == Ended::Finished;
    (asked && is_back && state.kept().next().is_some()).then_some(last)
}

/// The last move that was not undone; a rollback that was taken back is one.
fn last_move(known: &[Found]) -> Option<&Found> {
    known.iter().rev().find(|found| match &found.journal {
        Ok(journal) => {
            journal.plan.direction == Direction::Forward
                && !matches!(journal.state().ended, Ended::RolledBack(_, None))
        }
        // What cannot be read is not passed over.
        Err(_) => true,
    })
}

fn nothing_to_undo(runs: &Runs, known: &[Found]) -> Error {
    let namespace = runs.namespace();
    let message = if known.is_empty() {
        format!("namespace {namespace} has no journal: no run of this program is known here")
    } else {
        format!("namespace {namespace} has no move that was not rolled back")
    };
    Error::new(Exit::Negative, message).hint(format!(
        "`kubectl ambient history -n {namespace}` shows what there was"
    ))
}

/// The flags about a namespace without a journal say nothing where there is one.
fn without_hand(args: &RollbackArgs) -> Result<(), Error> {
    if args.revision.is_none() && !args.delete_waypoint {
        return Ok(());
    }
    let message = "`--revision` and `--delete-waypoint` are for namespaces that were moved without this program";
    Err(Error::new(Exit::Usage, message)
        .hint("there is a journal, which knows what was there; leave them out"))
}

/// What takes back a namespace that was moved by hand.
fn by_hand<'k>(args: &RollbackArgs, runs: &Runs, context: &Context<'_>) -> Result<Work<'k>, Error> {
    let namespace = runs.namespace();
    let scope = ScopeArgs::of(namespace);
    let loaded = load_whole(
        &scope,
        plan::reads(),
        translate::WRITES,
        Unnamed::All,
        context,
    )?;
    let mesh = &loaded.mesh;
    let (plan, obstacles) = back_by_hand(
        mesh,
        namespace,
        args.revision.as_deref(),
        args.delete_waypoint,
    );
    if plan.is_empty() && obstacles.is_empty() {
        return Err(Error::new(
            Exit::Negative,
            format!("namespace {namespace} has no journal, and nothing in it was moved by hand"),
        ));
    }
    if let Some(unread) = mesh.inventory().unread.first() {
        return Err(Error::new(
            Exit::Undecided,
            format!("{} could not be read: {}", unread.what(), unread.reason),
        )
        .hint("a namespace without a journal is taken back only when all of it can be seen"));
    }
    if !obstacles.is_empty() {
        let entry = PlanEntry::new(&plan, &obstacles);
        context
            .ui
            .note(crate::render::plan(&entry, &context.ui.style()).trim_end());
        let message = format!("{namespace} has no journal, and cannot be taken back as it is");
        return Err(Error::new(Exit::Negative, message).hint("nothing was changed"));
    }
    context.ui.note(&format!(
        "{namespace} has no journal: what is seen is taken back, and policies stay as they are"
    ));
    Ok(Work::New {
        undone: None,
        journal: Box::new(begun(runs, None, (plan, None), &[])),
    })
}

fn begun(
    runs: &Runs,
    undone: Option<(&Found, &Journal)>,
    (plan, to): (Plan, Option<&StepId>),
    known: &[Found],
) -> Journal {
    let names: Vec<RunId> = known.iter().map(|found| found.run.clone()).collect();
    let began = Runs::now();
    let header = Header {
        version: VERSION,
        run: RunId::new(&began, &names),
        purpose: Purpose::Rollback {
            of: undone.map(|(found, _)| found.run.clone()),
        },
        namespace: runs.namespace().clone(),
        cluster: runs.cluster().map(str::to_owned),
        home: runs.home().map(str::to_owned),
        began,
        who: runs.who(),
        client: env!("CARGO_PKG_VERSION").to_owned(),
        accepted: BTreeMap::new(),
        revision: undone.and_then(|(_, of)| of.header.revision.clone()),
        to: to.cloned(),
        seen: undone.map_or_else(BTreeSet::new, |(_, of)| of.header.seen.clone()),
        around: undone.map_or_else(BTreeMap::new, |(_, of)| of.header.around.clone()),
        asked: undone.and_then(|(_, of)| of.header.asked.clone()),
        parallel: undone.map_or(PARALLEL, |(_, of)| of.header.parallel),
        timeout: undone.map_or(TIMEOUT.as_secs(), |(_, of)| of.header.timeout),
    };
    Journal::new(header, plan)
}

fn announce(work: &Work<'_>, context: &Context<'_>) {
    let (what, plan) = match work {
        Work::Open(found, journal) => (
            format!("going on with rollback {}", found.run),
            &journal.plan,
        ),
        Work::New {
            undone, journal, ..
        } => {
            let what = match undone {
                Some(undone) => format!("undoing run {}", undone.run),
                None => "taking back what was moved by hand".to_owned(),
            };
            (what, &journal.plan)
        }
        Work::Nothing(_) => return,
    };
    let text = crate::render::plan(&PlanEntry::new(plan, &[]), &context.ui.style());
    context.ui.note(&what);
    context.ui.note(text.trim_end());
    let undone = match work {
        Work::New { undone, .. } => undone.and_then(|undone| undone.journal.as_ref().ok()),
        Work::Open(..) | Work::Nothing(_) => None,
    };
    for object in undone
        .into_iter()
        .flat_map(|of| of.state().lost().cloned().collect::<Vec<_>>())
    {
        context.ui.note(&format!(
            "{object} was deleted by that run, and is not made again"
        ));
    }
}

fn finish(runs: &Runs, back: &Back, work: Work<'_>, context: &Context<'_>) -> Result<Exit, Error> {
    let listener = context.ui.as_ref();
    let carried = match work {
        Work::Nothing(undone) => {
            // It was stopped before it changed anything.
            let header = context.output.header(runs.context().map(str::to_owned));
            runs.note_rolled_back(undone, &undone.run)?;
            let now = format!("run {} changed nothing that is to be undone", undone.run);
            context.answer(&RunReport::nothing(runs.namespace(), now, header))?;
            return Ok(Exit::Ok);
        }
        Work::Open(found, journal) => runs.carry_out(
            journal.clone(),
            Some(found),
            &back.settings,
            listener,
            &|| Ok(()),
        )?,
        Work::New { journal, .. } => {
            // What goes there again leaves `finish` to a command of its own, as a move does.
            let until = match journal.plan.direction {
                Direction::Forward => Until::Done,
                Direction::Back => Until::Finished,
            };
            let settings = Settings {
                until,
                ..back.settings.clone()
            };
            runs.carry_out(*journal, None, &settings, listener, &|| Ok(()))?
        }
    };
    tell(runs, &carried, context)
}
