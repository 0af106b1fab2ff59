//! `convert --apply`, `--resume` and `--finish`: the plan is carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::saved::{Saved, save_only};
use crate::cli::Context;
use crate::cli::input::{Unnamed, load_whole};
use crate::cli::rollback::Back;
use crate::cli::scope::ScopeArgs;
use crate::client::{ConnectOptions, RequestTimeout, WriteOptions};
use crate::error::Error;
use crate::execute::{Carried, Found, RunEnd, Runs, Settings, Stop, open_run};
use crate::exit::Exit;
use crate::inventory::Listed;
use crate::journal::machine::{self, Until};
use crate::journal::{Ended, Header, Journal, Purpose, RunId, VERSION};
use crate::kinds::authorization::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};
use crate::kinds::service::Service;
use crate::kinds::traffic::VirtualService;
use crate::kinds::{Name, Resource};
use crate::mesh::Mesh;
use crate::mesh::injection::NamespaceInjection;
use crate::mesh::workloads::Role;
use crate::plan::{Obstacle, Plan, StepId};
use crate::report::RunReport;
use crate::report::plan::PlanEntry;
use crate::translate;

/// Flags of a run.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(super) struct RunArgs {
    /// Move the namespace, step by step
    #[arg(long, help_heading = RUN, conflicts_with_all = ["filename", "write", "output_dir", "phase", "only", "all_namespaces", "selector"])]
    pub(super) apply: bool,

    /// Go on with the namespace's open run, as it was accepted
    #[arg(long, help_heading = RUN, conflicts_with_all = ["apply", "filename", "write", "output_dir", "phase", "only", "all_namespaces", "selector"])]
    pub(super) resume: bool,

    /// Remove what only sidecars needed, when none is left
    #[arg(long, help_heading = RUN, conflicts_with_all = ["apply", "resume", "filename", "write", "output_dir", "phase", "only", "all_namespaces", "selector"])]
    pub(super) finish: bool,

    /// Refuse to move when the cluster is no longer what this plan saw
    #[arg(long, help_heading = RUN, value_name = "FILE", requires = "apply")]
    pub(super) plan: Option<PathBuf>,

    /// Write the plan to a file, for --apply --plan
    #[arg(long, help_heading = RUN, value_name = "FILE", conflicts_with = "filename")]
    pub(super) save_plan: Option<PathBuf>,

    /// How many workloads are switched at once
    #[arg(long, help_heading = RUN, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=50))]
    parallel: u32,

    /// How long a rollout, or anything else that is waited for, may take
    #[arg(long, help_heading = RUN, value_name = "DURATION", default_value = "10m")]
    timeout: RequestTimeout,

    /// Stop after a step, e.g. bind or switch/cart
    #[arg(long, help_heading = RUN, value_name = "STEP")]
    pause_after: Option<StepId>,

    /// Take everything back when a step fails
    #[arg(long, help_heading = RUN, requires = "apply")]
    rollback_on_failure: bool,

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

/// Half a day and more: as good as any time.
const ANY_TIME: std::time::Duration = std::time::Duration::from_secs(86_400);

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DryRun {
    Server,
}

impl RunArgs {
    fn settings(&self, until: Until) -> Settings {
        Settings {
            parallel: usize::try_from(self.parallel).unwrap_or(1),
            timeout: self.timeout.limit().unwrap_or(ANY_TIME),
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
    accepted: BTreeMap<String, String>,
}

/// Moves the namespace whose plan was made.
pub(super) fn apply_first(
    args: &RunArgs,
    runs: &Runs,
    mesh: &Mesh,
    planned: Vec<(Plan, Vec<Obstacle>)>,
    accepted: BTreeMap<String, String>,
    context: &Context<'_>,
) -> Result<Exit, Error> {
    save_only(args, &planned, Some(runs), context)?;
    let first = planned.into_iter().next();
    let (plan, obstacles) = first.ok_or_else(|| absent(runs.namespace()))?;
    let planned = Planned {
        mesh,
        plan,
        obstacles,
        accepted,
    };
    apply(args, runs, &planned, context)
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
    let journal = begun(args, runs, planned, &known);
    let settings = args.settings(Until::Done);
    let carried = runs.carry_out(journal, None, &settings, context.ui.as_ref())?;
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

fn begun(args: &RunArgs, runs: &Runs, planned: &Planned<'_>, known: &[Found]) -> Journal {
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
        seen: seen(planned.mesh, runs.namespace()),
        parallel: args.parallel,
        timeout: args.timeout.limit().unwrap_or(ANY_TIME).as_secs(),
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

fn blocked(namespace: &Name, open: &[&Obstacle]) -> Error {
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
    if matches!(journal.header.purpose, Purpose::Rollback { .. }) {
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
    nothing_new(runs, journal, context)?;
    if let Some(step) = &args.pause_after {
        known_step(&journal.plan, step)?;
    }
    if !args.yes && !context.ui.ask(&format!("Go on with run {}?", found.run))? {
        return Err(Error::new(Exit::Negative, "nothing was changed"));
    }
    let settings = args.settings(machine::until(journal));
    let carried = runs.carry_out(journal.clone(), Some(found), &settings, context.ui.as_ref())?;
    tell(runs, &carried, context)
}

/// What a plan depends on, of a namespace: each by its key.
fn seen(mesh: &Mesh, namespace: &Name) -> BTreeSet<String> {
    fn keys<T: Listed + Resource>(mesh: &Mesh, namespace: &Name, into: &mut BTreeSet<String>) {
        let all = mesh.within::<T>(namespace).iter();
        into.extend(all.map(|object| object.reference().key()));
    }
    let mut all = BTreeSet::new();
    keys::<AuthorizationPolicy>(mesh, namespace, &mut all);
    keys::<RequestAuthentication>(mesh, namespace, &mut all);
    keys::<PeerAuthentication>(mesh, namespace, &mut all);
    keys::<VirtualService>(mesh, namespace, &mut all);
    keys::<Service>(mesh, namespace, &mut all);
    let workloads = mesh.workloads_in(namespace).iter();
    let workloads = workloads.filter(|one| one.role == Role::Application && one.has_template);
    all.extend(workloads.map(|workload| workload.object.key()));
    all
}

/// Refuses to go on where something has come since that the plan knows nothing of: nobody would have
/// looked at it.
fn nothing_new(runs: &Runs, journal: &Journal, context: &Context<'_>) -> Result<(), Error> {
    let namespace = runs.namespace();
    let scope = ScopeArgs::of(namespace);
    let loaded = load_whole(
        &scope,
        translate::READS,
        translate::WRITES,
        Unnamed::All,
        context,
    )?;
    let mut known = journal.header.seen.clone();
    let writes = journal
        .plan
        .steps
        .iter()
        .flat_map(crate::plan::Step::writes);
    known.extend(writes.map(|planned| planned.object().key()));
    // What Istio makes for a waypoint is the waypoint's.
    let made = |key: &String| {
        known
            .iter()
            .any(|one| one.starts_with("Gateway.") && same_name(one, key))
    };
    let now = seen(&loaded.mesh, namespace);
    let new: Vec<&String> = now
        .iter()
        .filter(|key| !known.contains(*key) && !made(key))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let new: Vec<&str> = new.into_iter().map(String::as_str).collect();
    Err(Error::new(
        Exit::Stale,
        format!(
            "namespace {namespace} has what the plan of run {} knows nothing of: {}",
            journal.header.run,
            new.join(", ")
        ),
    )
    .hint(format!(
        "take it back and plan anew: kubectl ambient rollback -n {namespace}"
    )))
}

/// Whether two keys end in the same namespace and name.
fn same_name(one: &str, two: &str) -> bool {
    let name = |key: &str| key.split_once('/').map(|(_, name)| name.to_owned());
    name(one) == name(two)
}

/// Refuses to begin anything beside a run that cannot be read: it may be half-way.
fn all_readable(known: &[Found]) -> Result<(), Error> {
    known.iter().try_for_each(|found| match readable(found) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.hint(
            "it may be half-way: nothing is begun beside it; delete its ConfigMaps only when you know that it is not",
        )),
    })
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
    let settings = args.settings(Until::Finished);
    let carried = runs.carry_out(journal.clone(), Some(found), &settings, context.ui.as_ref())?;
    tell(runs, &carried, context)
}

fn no_run(namespace: &Name, known: &[Found]) -> Error {
    let unreadable = known
        .iter()
        .find_map(|found| Some((found, found.journal.as_ref().err()?)));
    match unreadable {
        Some((found, damage)) => Error::new(
            Exit::Data,
            format!(
                "the journal of run {} of {namespace} cannot be read: {damage}",
                found.run
            ),
        ),
        None => Error::new(
            Exit::Negative,
            format!("namespace {namespace} has no open run"),
        )
        .hint(format!(
            "`kubectl ambient history -n {namespace}` shows those there were"
        )),
    }
}

/// The journal of a run, if it can be read.
pub(crate) fn readable(found: &Found) -> Result<&Journal, Error> {
    found.journal.as_ref().map_err(|damage| {
        Error::new(
            Exit::Data,
            format!("the journal of run {} cannot be read: {damage}", found.run),
        )
    })
}

/// A journal of another cluster, or of a namespace that is gone, says nothing about this one.
pub(crate) fn same_place(runs: &Runs, journal: &Journal) -> Result<(), Error> {
    if let (Some(theirs), Some(ours)) = (&journal.header.home, runs.home())
        && theirs != ours
    {
        let (run, namespace) = (&journal.header.run, runs.namespace());
        return Err(Error::new(
            Exit::Stale,
            format!("run {run} was carried out in an earlier namespace {namespace}, which is gone"),
        )
        .hint(format!(
            "what it says is about objects that are gone: `kubectl delete configmap -n {namespace} -l kubectl-ambient/run={run}` removes it"
        )));
    }
    match (&journal.header.cluster, runs.cluster()) {
        (Some(theirs), Some(ours)) if theirs != ours => Err(Error::new(
            Exit::Stale,
            format!(
                "run {} was carried out in another cluster",
                journal.header.run
            ),
        )
        .hint("`--context` chooses another cluster")),
        _ => Ok(()),
    }
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
