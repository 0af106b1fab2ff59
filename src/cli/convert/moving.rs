//! `convert --apply`, `--resume` and `--finish`: the plan is carried out.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::anew::Again;
use super::known::{all_readable, no_run, readable, same_place};
use super::saved::{Saved, save_only};
use crate::cli::Context;
use crate::cli::rollback::Back;
use crate::client::{ConnectOptions, RequestTimeout, WriteOptions};
use crate::error::Error;
use crate::execute::{Carried, Found, RunEnd, Runs, Settings, Stop, open_run};
use crate::exit::Exit;
use crate::journal::machine::{self, Until};
use crate::journal::{Ended, Header, Journal, Purpose, RunId, VERSION};
use crate::kinds::Name;
use crate::mesh::Mesh;
use crate::mesh::injection::NamespaceInjection;
use crate::plan::{Accepted, Asked, Direction, Obstacle, Plan, StepId, around, seen};
use crate::report::RunReport;
use crate::report::plan::PlanEntry;

/// Flags of a run.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct RunArgs {
    /// Move the namespace, step by step
    #[arg(long, help_heading = RUN, conflicts_with_all = ["filename", "write", "output_dir", "phase", "only", "all_namespaces", "selector"])]
    pub(super) apply: bool,

    /// Go on with the namespace's open run, as it was accepted
    #[arg(long, help_heading = RUN, conflicts_with_all = OF_A_PLAN)]
    pub(super) resume: bool,

    /// Remove what only sidecars needed, when none is left
    #[arg(long, help_heading = RUN, conflicts_with = "resume", conflicts_with_all = OF_A_PLAN)]
    pub(super) finish: bool,

    /// Refuse to move when the cluster is no longer what this plan saw
    #[arg(long, help_heading = RUN, value_name = "FILE", requires = "apply")]
    pub(super) plan: Option<PathBuf>,

    /// Write the plan to a file, for --apply --plan
    #[arg(long, help_heading = RUN, value_name = "FILE", conflicts_with = "filename")]
    pub(super) save_plan: Option<PathBuf>,

    /// How many workloads are switched at once: 2 by default, with --resume as many as before
    #[arg(long, help_heading = RUN, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=50))]
    parallel: Option<u32>,

    /// How long a rollout, or anything else that is waited for, may take: 10m by default, with --resume as long as before
    #[arg(long, help_heading = RUN, value_name = "DURATION")]
    timeout: Option<RequestTimeout>,

    /// Stop after a step, e.g. bind or switch/cart
    #[arg(long, help_heading = RUN, value_name = "STEP")]
    pause_after: Option<StepId>,

    /// Take everything back when a step fails
    #[arg(long, help_heading = RUN, requires = "apply")]
    rollback_on_failure: bool,

    /// Delete pods that nobody makes again; without it they keep their sidecars. No rollback brings them back
    #[arg(long, help_heading = RUN, conflicts_with_all = ["filename", "resume", "finish"])]
    pub(super) delete_bare_pods: bool,

    /// Have the server judge every write, and do nothing
    #[arg(long, help_heading = RUN, value_enum, value_name = "server", requires = "apply")]
    dry_run: Option<DryRun>,

    /// Take over fields that others own
    #[arg(long, help_heading = RUN, requires = "apply")]
    force_conflicts: bool,

    /// Go ahead without asking
    #[arg(short, long, help_heading = RUN)]
    yes: bool,
}

/// The heading of the flags of a run.
const RUN: &str = "Run";

/// Flags that make a plan, and say nothing to a run that has one.
const OF_A_PLAN: [&str; 16] = [
    "apply",
    "filename",
    "write",
    "output_dir",
    "phase",
    "only",
    "all_namespaces",
    "selector",
    "routes",
    "paths",
    "guard",
    "defer",
    "accept",
    "save_plan",
    "istio_version",
    "gateway_api",
];

/// Half a day and more: as good as any time.
const ANY_TIME: Duration = Duration::from_secs(86_400);

/// How many workloads are switched at once where nobody says.
pub(in crate::cli) const PARALLEL: u32 = 2;

/// How long anything may take where nobody says.
pub(in crate::cli) const TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DryRun {
    Server,
}

impl RunArgs {
    /// What was asked for; what was not is as it was `begun`.
    fn settings(&self, until: Until, begun: Option<&Header>) -> Settings {
        let parallel = self.parallel.or(begun.map(|header| header.parallel));
        let timeout = self
            .timeout
            .map(|timeout| timeout.limit().unwrap_or(ANY_TIME));
        let before = begun.map(|header| Duration::from_secs(header.timeout));
        Settings {
            parallel: usize::try_from(parallel.unwrap_or(PARALLEL)).unwrap_or(1),
            timeout: timeout.or(before).unwrap_or(TIMEOUT),
            pause_after: self.pause_after.clone(),
            until,
            overwrite_drift: false,
        }
    }
}

/// Connects for a run over one namespace.
pub(super) fn connect(
    args: &RunArgs,
    namespaces: &[String],
    context: &Context<'_>,
) -> Result<Runs, Error> {
    let namespace = match namespaces {
        [] => None,
        [one] => Some(one.as_str()),
        _ => {
            let message = "one namespace is moved at a time";
            return Err(Error::new(Exit::Usage, message).hint("give -n once"));
        }
    };
    if let Some(namespace) = namespace {
        crate::cli::scope::holds_applications(namespace)?;
    }
    if !args.yes && args.dry_run.is_none() {
        context.ui.can_ask()?;
    }
    let mut options = ConnectOptions::from(context.connection);
    options.namespace = namespace.map(str::to_owned);
    let writes = WriteOptions {
        dry_run: false,
        force: args.force_conflicts,
    };
    let runs = Runs::connect(&options, namespace, writes, context.ui.clone())?;
    crate::cli::scope::holds_applications(runs.namespace())?;
    if let (Some(path), Some(saved)) = (&args.plan, Saved::read(args)?) {
        saved.is_for(runs.cluster(), runs.namespace(), path)?;
    }
    Ok(runs)
}

/// A plan, and what stands in its way.
struct Planned<'a> {
    mesh: &'a Mesh,
    plan: Plan,
    obstacles: Vec<Obstacle>,
    asked: Asked,
    accepted: Accepted,
}

/// Moves the namespace whose plan was made.
pub(super) fn apply_first(
    args: &RunArgs,
    runs: &Runs,
    mesh: &Mesh,
    planned: Vec<(Plan, Vec<Obstacle>)>,
    (asked, accepted): (Asked, Accepted),
    again: &Again<'_>,
    context: &Context<'_>,
) -> Result<Exit, Error> {
    save_only(args, &planned, Some(runs), context)?;
    let first = planned.into_iter().next();
    let (plan, obstacles) = first.ok_or_else(|| absent(runs.namespace()))?;
    let planned = Planned {
        mesh,
        plan,
        obstacles,
        asked,
        accepted,
    };
    apply(args, runs, &planned, again, context)
}

/// A namespace that the cluster does not have.
pub(super) fn absent(namespace: &Name) -> Error {
    Error::new(
        Exit::Negative,
        format!("there is no namespace {namespace} in the cluster"),
    )
    .hint("`kubectl get namespaces` lists them")
}

/// Moves a namespace.
fn apply(
    args: &RunArgs,
    runs: &Runs,
    planned: &Planned<'_>,
    again: &Again<'_>,
    context: &Context<'_>,
) -> Result<Exit, Error> {
    let namespace = runs.namespace().clone();
    if let (Some(path), Some(saved)) = (&args.plan, Saved::read(args)?) {
        saved.is_as(&planned.plan, path)?;
    }
    let known = runs.journals()?;
    all_readable(&known)?;
    if let Some(open) = open_run(&known) {
        return Err(open_already(&namespace, open));
    }
    let open: Vec<&Obstacle> = planned
        .obstacles
        .iter()
        .filter(|obstacle| obstacle.accepted.is_none())
        .collect();
    if !open.is_empty() {
        show(planned, context);
        return Err(blocked(&namespace, &open));
    }
    let header = context.output.header(runs.context().map(str::to_owned));
    if planned.plan.is_empty() {
        let report = RunReport::nothing(&namespace, "there is nothing to move", header);
        context.answer(&report)?;
        return Ok(Exit::Ok);
    }
    runs.review(&planned.plan)?;
    if let Some(step) = &args.pause_after {
        known_step(&planned.plan, step)?;
    }
    show(planned, context);
    if args.dry_run.is_some() {
        return dry_run(runs, &planned.plan, context);
    }
    if !args.yes && !context.ui.ask(&format!("Move {namespace}?"))? {
        return Err(Error::new(Exit::Negative, "nothing was changed"));
    }
    let settings = args.settings(Until::Done, None);
    let journal = begun(&settings, runs, planned, &known);
    let same = || {
        let was = seen::seen(planned.mesh, &namespace);
        again()?.is_still(&planned.plan, &was)
    };
    let carried = runs.carry_out(journal, None, &settings, context.ui.as_ref(), &same)?;
    if let RunEnd::Halted(step, why) = &carried.end
        && args.rollback_on_failure
    {
        context
            .ui
            .note(&format!("{step} failed: {why}; taking everything back"));
        let back = Back::failed(&carried.journal.header.run, &settings);
        let back = crate::cli::rollback::carry_out(runs, &back, context)?;
        // It is all back, and still not moved.
        return Ok(back.worst(Exit::Negative));
    }
    tell(runs, &carried, context)
}

fn begun(settings: &Settings, runs: &Runs, planned: &Planned<'_>, known: &[Found]) -> Journal {
    let names: Vec<RunId> = known.iter().map(|found| found.run.clone()).collect();
    let began = Runs::now();
    let revision = planned
        .mesh
        .namespace(runs.namespace())
        .and_then(|namespace| match &namespace.injection {
            NamespaceInjection::Revision(revision) => Some(revision.clone()),
            _ => None,
        });
    let header = Header {
        version: VERSION,
        run: RunId::new(&began, &names),
        purpose: Purpose::Move,
        namespace: runs.namespace().clone(),
        cluster: runs.cluster().map(str::to_owned),
        home: runs.home().map(str::to_owned),
        began,
        who: runs.who(),
        client: env!("CARGO_PKG_VERSION").to_owned(),
        accepted: planned.accepted.clone(),
        revision,
        to: None,
        seen: seen::seen(planned.mesh, runs.namespace()),
        around: around(planned.mesh, runs.namespace()),
        asked: Some(planned.asked.clone()),
        parallel: u32::try_from(settings.parallel).unwrap_or(PARALLEL),
        timeout: settings.timeout.as_secs(),
    };
    Journal::new(header, planned.plan.clone())
}

/// Says what will be done, on the terminal.
fn show(planned: &Planned<'_>, context: &Context<'_>) {
    let entry = PlanEntry::new(&planned.plan, &planned.obstacles);
    let text = crate::render::plan(&entry, &context.ui.style());
    context.ui.note(text.trim_end());
}

fn known_step(plan: &Plan, step: &StepId) -> Result<(), Error> {
    if plan.position(step).is_some() {
        return Ok(());
    }
    let steps: Vec<String> = plan.steps.iter().map(|step| step.id.to_string()).collect();
    Err(
        Error::new(Exit::Usage, format!("the plan has no step {step}"))
            .hint(format!("its steps: {}", steps.join(", "))),
    )
}

pub(super) fn blocked(namespace: &Name, open: &[&Obstacle]) -> Error {
    let mut ids: Vec<&str> = open
        .iter()
        .filter_map(|obstacle| obstacle.id.as_deref())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    // What has no id is either seen, of an object, or could not be looked at.
    let unread = open
        .iter()
        .filter(|obstacle| obstacle.id.is_none() && obstacle.object.is_none())
        .count();
    let mut error = Error::new(
        if unread == open.len() {
            Exit::Undecided
        } else {
            Exit::Negative
        },
        format!(
            "{} in the way of moving {namespace}; nothing was changed",
            match open.len() {
                1 => "something stands".to_owned(),
                more => format!("{more} things stand"),
            }
        ),
    );
    if !ids.is_empty() {
        error = error.hint(format!(
            "answer {}, or go on in spite of it with --accept ID=REASON",
            ids.join(", ")
        ));
    }
    if unread > 0 {
        error =
            error.hint("what could not be looked at cannot be accepted: have it readable first");
    }
    error
}

fn open_already(namespace: &Name, open: &Found) -> Error {
    Error::new(
        Exit::Stale,
        format!("run {} of namespace {namespace} is not over", open.run),
    )
    .hint(format!(
        "go on with it: kubectl ambient convert -n {namespace} --resume"
    ))
    .hint(format!(
        "or take it back: kubectl ambient rollback -n {namespace}"
    ))
}

fn dry_run(runs: &Runs, plan: &Plan, context: &Context<'_>) -> Result<Exit, Error> {
    let verdicts = runs.dry_run(plan)?;
    let mut text = String::new();
    let mut refused = 0;
    for (object, why) in &verdicts {
        text.push_str(object);
        if let Some(why) = why {
            refused += 1;
            text.push_str(": refused: ");
            text.push_str(why);
        } else {
            text.push_str(": taken (dry run)");
        }
        text.push('\n');
    }
    context.ui.answer(&text)?;
    Ok(if refused > 0 {
        Exit::Negative
    } else {
        Exit::Ok
    })
}

/// Goes on with the open run of a namespace.
pub(super) fn resume(args: &RunArgs, runs: &Runs, context: &Context<'_>) -> Result<Exit, Error> {
    let known = runs.journals()?;
    let found = open_run(&known).ok_or_else(|| no_run(runs.namespace(), &known))?;
    let journal = readable(found)?;
    if journal.plan.direction == Direction::Back {
        return Err(Error::new(
            Exit::Stale,
            format!(
                "the open run {} of {} is a rollback",
                found.run,
                runs.namespace()
            ),
        )
        .hint(format!(
            "go on with it: kubectl ambient rollback -n {}",
            runs.namespace()
        )));
    }
    same_place(runs, journal)?;
    if found.local_only {
        return Err(Error::new(
            Exit::Data,
            format!(
                "the journal of run {} is gone from the cluster; this machine alone has a copy",
                found.run
            ),
        )
        .hint("it can be taken back: kubectl ambient rollback"));
    }
    runs.nothing_new(journal)?;
    if let Some(step) = &args.pause_after {
        known_step(&journal.plan, step)?;
    }
    if !args.yes && !context.ui.ask(&format!("Go on with run {}?", found.run))? {
        return Err(Error::new(Exit::Negative, "nothing was changed"));
    }
    let settings = args.settings(machine::until(journal), Some(&journal.header));
    let carried = runs.carry_out(
        journal.clone(),
        Some(found),
        &settings,
        context.ui.as_ref(),
        &|| Ok(()),
    )?;
    tell(runs, &carried, context)
}

/// Removes what only sidecars needed.
pub(super) fn finish(args: &RunArgs, runs: &Runs, context: &Context<'_>) -> Result<Exit, Error> {
    let namespace = runs.namespace();
    let known = runs.journals()?;
    all_readable(&known)?;
    if let Some(open) = open_run(&known) {
        return Err(open_already(namespace, open));
    }
    let done = known.iter().rev().find_map(|found| {
        let journal = found.journal.as_ref().ok()?;
        matches!(journal.state().ended, Ended::Done(_)).then_some((found, journal))
    });
    let header = context.output.header(runs.context().map(str::to_owned));
    let Some((found, journal)) = done else {
        if known.is_empty() {
            return Err(no_run(namespace, &known));
        }
        let report = RunReport::nothing(namespace, "no run is left to be finished", header);
        context.answer(&report)?;
        return Ok(Exit::Ok);
    };
    same_place(runs, journal)?;
    let left = runs.sidecars()?;
    if !left.is_empty() {
        return Err(Error::new(
            Exit::Negative,
            format!(
                "{} of {namespace} still have sidecars: {}",
                match left.len() {
                    1 => "a pod".to_owned(),
                    more => format!("{more} pods"),
                },
                left.join(", ")
            ),
        )
        .hint("what protects them stays until they are gone"));
    }
    if journal.plan.position(&StepId::Finish).is_none() {
        let report = RunReport::nothing(
            namespace,
            "nothing is there that only sidecars needed",
            header,
        );
        context.answer(&report)?;
        return Ok(Exit::Ok);
    }
    if !args.yes
        && !context
            .ui
            .ask(&format!("Remove what only sidecars of {namespace} needed?"))?
    {
        return Err(Error::new(Exit::Negative, "nothing was changed"));
    }
    let settings = args.settings(Until::Finished, Some(&journal.header));
    let carried = runs.carry_out(
        journal.clone(),
        Some(found),
        &settings,
        context.ui.as_ref(),
        &|| Ok(()),
    )?;
    tell(runs, &carried, context)
}

/// Says how a run ended.
pub(crate) fn tell(runs: &Runs, carried: &Carried, context: &Context<'_>) -> Result<Exit, Error> {
    context.ui.rest();
    if let Some(why) = &carried.unwritable {
        context.ui.note(&format!(
            "warning: this machine keeps no copy of the journal: {why}; the cluster has all of it"
        ));
    }
    let header = context.output.header(runs.context().map(str::to_owned));
    let style = context.ui.style();
    context.answer(&RunReport::new(&carried.journal, &style.program, header))?;
    Ok(match &carried.end {
        RunEnd::Done(_) | RunEnd::Finished => Exit::Ok,
        RunEnd::Paused(_) | RunEnd::Halted(..) => Exit::Halted,
        RunEnd::Stopped(Stop::Interrupted) => Exit::Interrupted,
        RunEnd::Stopped(Stop::Terminated) => Exit::Terminated,
    })
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;
    use serde_json::json;

    use super::*;

    fn args(words: &str) -> RunArgs {
        let line = format!("kubectl-ambient convert -n shop {words}");
        let matches = <crate::cli::Cli as clap::CommandFactory>::command()
            .try_get_matches_from(line.split_whitespace())
            .unwrap();
        RunArgs::from_arg_matches(matches.subcommand().unwrap().1).unwrap()
    }

    #[test]
    fn what_is_not_said_of_a_run_is_as_it_was_begun() {
        let begun: Header = serde_json::from_value(json!({
            "version": 1, "run": "20261123-100000", "purpose": "move", "namespace": "shop",
            "began": "2026-11-23T10:00:00Z", "who": "ann", "client": "0.1.0",
            "parallel": 7, "timeout": 30,
        }))
        .unwrap();
        for (words, begun, parallel, seconds) in [
            ("--apply", None, 2, 600),
            ("--apply --parallel 3 --timeout 5s", None, 3, 5),
            ("--resume", Some(&begun), 7, 30),
            ("--resume --parallel 1", Some(&begun), 1, 30),
            ("--finish --timeout 2m", Some(&begun), 7, 120),
        ] {
            let settings = args(words).settings(Until::Done, begun);
            let found = (settings.parallel, settings.timeout.as_secs());
            assert_eq!(found, (parallel, seconds), "{words}");
        }
    }
}
