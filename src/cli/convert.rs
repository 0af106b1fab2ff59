//! `convert`: what is this in ambient mode?

mod anew;
mod asked;
pub(super) mod known;
pub(super) mod moving;
mod saved;
mod written;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Context;
use super::fail_on::FailOn;
use super::input::{Loaded, Unnamed, load_whole};
use super::scope::ScopeArgs;
use crate::checks::{self, Scope};
use crate::error::Error;
use crate::exit::Exit;
use crate::inventory::Input;
use crate::kinds::{Name, ObjectRef};
use crate::mesh::Mesh;
use crate::plan::{self, Obstacle, Plan};
use crate::render::Format;
use crate::report::Conversion;
use crate::report::convert::Asked;
use crate::report::plan::PlanEntry;
use crate::translate::{self, Decision, Phase, Translated, options};

/// Show what namespaces become in ambient mode, with proof; with --apply, move one there
///
/// Reads a live cluster or, with -f, manifests, and shows what each object becomes; from a cluster also the
/// steps that get there. Nothing is changed without --write, --output-dir, --apply, --resume or --finish.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ConvertArgs {
    #[command(flatten)]
    scope: ScopeArgs,

    /// Look at this object alone, with what it needs (can be repeated)
    #[arg(long, help_heading = TRANSLATION, value_name = "KIND/NAME")]
    only: Vec<String>,

    /// What becomes of VirtualServices
    #[arg(long, help_heading = TRANSLATION, value_enum, default_value_t)]
    routes: Routes,

    /// What becomes of prefixes of paths
    #[arg(long, help_heading = TRANSLATION, value_enum, default_value_t)]
    paths: Paths,

    /// What becomes of callers that do not come through the waypoint
    #[arg(long, help_heading = TRANSLATION, value_enum)]
    guard: Option<Guard>,

    /// Leave a workload in sidecar mode (can be repeated)
    #[arg(long, help_heading = TRANSLATION, value_name = "WORKLOAD")]
    defer: Vec<String>,

    /// Go on in spite of a finding or a difference; the reason is kept in the journal (can be repeated)
    #[arg(long, help_heading = TRANSLATION, value_name = "ID=REASON")]
    accept: Vec<String>,

    /// The release of Istio, where the input does not tell (e.g. 1.31)
    #[arg(long, help_heading = TRANSLATION, value_name = "VERSION")]
    istio_version: Option<String>,

    /// The Gateway API, where the input does not tell (e.g. 1.4-standard, 1.4-experimental)
    #[arg(long, help_heading = TRANSLATION, value_name = "VERSION-CHANNEL")]
    gateway_api: Option<String>,

    /// Show one phase alone: what may be applied together
    #[arg(long, help_heading = RESULT, value_enum)]
    phase: Option<PhaseName>,

    /// Write a folder for each phase; DIR must be empty, or written by an earlier run
    #[arg(long, help_heading = RESULT, value_name = "DIR", conflicts_with = "write")]
    output_dir: Option<PathBuf>,

    /// Edit the files in place: only the lines that must change
    #[arg(long, help_heading = RESULT, requires = "filename", conflicts_with = "overlay")]
    write: bool,

    /// Exit with 1 from remarks of this severity on; with anything refused it is 1 all the same
    #[arg(long, help_heading = RESULT, value_enum, default_value_t, value_name = "SEVERITY")]
    fail_on: FailOn,

    /// Exit with 1 when anything would change
    #[arg(long, help_heading = RESULT)]
    exit_code: bool,

    #[command(flatten)]
    run: moving::RunArgs,
}

/// The heading of the flags that say how things are translated.
const TRANSLATION: &str = "Translation";

/// The heading of the flags that say what is done with the result.
const RESULT: &str = "Result";

const EXAMPLES: &str = "\
Examples:
  kubectl ambient convert -f manifests/ -R                what becomes of each object, and why
  kubectl ambient convert -f manifests/ -o diff           the same as a diff
  kubectl ambient convert -f manifests/ --phase prepare -o yaml | kubectl apply -f -
  kubectl ambient convert -f manifests/ --output-dir out  one folder a phase
  kubectl ambient convert -f manifests/ --write           edit the files, comments kept
  kubectl ambient convert -n shop --only AuthorizationPolicy/cart
  kubectl ambient convert -n shop                         the steps of the move
  kubectl ambient convert -n shop --apply                 move it; asks first";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Routes {
    /// HTTPRoutes where that is provably the same, else they stay
    #[default]
    Auto,
    /// HTTPRoutes, or a refusal
    Httproute,
    /// They stay VirtualServices
    Keep,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Paths {
    /// They go on matching strings
    #[default]
    Exact,
    /// They match whole elements; requests that change are listed
    Element,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Guard {
    /// They are refused
    Closed,
    /// They are judged by their identity alone
    Open,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PhaseName {
    /// Waypoints and what they will enforce; nothing is in force yet
    Prepare,
    /// Services are bound, namespaces labelled
    Enrol,
    /// Workloads lose their sidecars
    Switch,
    /// Routes of the Gateway API take over
    Routes,
    /// What only sidecars needed goes
    Retire,
}

impl From<PhaseName> for Phase {
    fn from(name: PhaseName) -> Self {
        match name {
            PhaseName::Prepare => Self::Prepare,
            PhaseName::Enrol => Self::Enrol,
            PhaseName::Switch => Self::Switch,
            PhaseName::Routes => Self::Routes,
            PhaseName::Retire => Self::Retire,
        }
    }
}

pub(super) fn run(args: &ConvertArgs, context: &Context<'_>) -> Result<Exit, Error> {
    not_standard_input(args)?;
    if args.run.resume || args.run.finish {
        let runs = moving::connect(&args.run, &args.scope.namespace, context)?;
        return if args.run.resume {
            moving::resume(&args.run, &runs, context)
        } else {
            moving::finish(&args.run, &runs, context)
        };
    }
    let (reasons, accepted) = asked::reasons(&args.accept)?;
    let platform = asked::Platform::parse(args)?;
    let runs = args
        .run
        .apply
        .then(|| moving::connect(&args.run, &args.scope.namespace, context))
        .transpose()?;
    let Loaded {
        mesh,
        scope,
        context: named,
        ..
    } = load_whole(
        &args.scope,
        plan::reads(),
        translate::WRITES,
        Unnamed::Moving,
        context,
    )?;
    platform.agrees_with(&mesh)?;
    are_there(&mesh, &scope)?;
    let namespaces = scope.iter().cloned().collect();
    let options = asked::options(args, &reasons, &platform, &mesh, &namespaces)?;
    let Translated {
        mesh,
        translation,
        earlier,
    } = translate::translate_on(mesh, &namespaces, &options);
    let decision = Decision::new(&translation, &options, &mesh);
    let planned = has_plan(args, &mesh);
    // From a cluster they stand with the plan.
    let findings = if planned {
        Vec::new()
    } else {
        findings(&mesh, &scope, &decision, &options, &accepted)
    };
    let decision = decision.holding(held(&findings));
    let asked = Asked {
        options: &options,
        phase: args.phase.map(Phase::from),
        reasons: &reasons,
    };
    let header = context.output.header(named);
    let mut report = Conversion::new(&mesh, &scope, &translation, &decision, &asked, header);
    if is_of_objects(context) && args.only.is_empty() {
        report.with_all_that_stays(&mesh, &decision, &earlier);
    }
    report.stands_in_the_way(findings.iter().map(|(_, found)| found));
    if planned {
        let planned = plans(args, &mesh, &scope, &decision, &options, &accepted);
        if let Some(runs) = &runs {
            let reread = || anew::again(args, &reasons, &accepted, context);
            let asked = plan::Asked::of(&options, args.run.delete_bare_pods);
            let asked = (asked, accepted.clone());
            return moving::apply_first(&args.run, runs, &mesh, planned, asked, &reread, context);
        }
        saved::save_only(&args.run, &planned, None, context)?;
        let entry = |(plan, found): &(Plan, Vec<Obstacle>)| PlanEntry::new(plan, found);
        report.plans = planned.iter().map(entry).collect();
    }
    withheld(&report, decision.refuses(), context);
    let left = written::write(
        args,
        &asked,
        (&mesh, &earlier),
        &decision,
        &mut report,
        context,
    )?;
    context.answer(&report)?;
    Ok(exit(args, &report, decision.refuses() || left))
}

/// Whether the steps of a move are part of the answer.
fn has_plan(args: &ConvertArgs, mesh: &Mesh) -> bool {
    let live = mesh.inventory().input == Input::Cluster;
    live && args.phase.is_none() && args.only.is_empty()
}

/// Refuses to edit what is no file.
fn not_standard_input(args: &ConvertArgs) -> Result<(), Error> {
    let mut files = args.scope.filename.iter();
    if args.write && files.any(|path| path.as_os_str() == "-") {
        let message = "`--write` edits files, and standard input is none";
        return Err(Error::new(Exit::Usage, message).hint("`-o yaml` prints the objects instead"));
    }
    Ok(())
}

/// What stands in the way of each namespace that changes, beside what is refused: what `check` finds.
fn findings(
    mesh: &Mesh,
    scope: &Scope,
    decision: &Decision<'_>,
    options: &options::Options,
    accepted: &plan::Accepted,
) -> Vec<(Name, Obstacle)> {
    let all: Vec<_> = checks::all().collect();
    let judgement = checks::judge_but(mesh, scope, &all, false, &options.deferred);
    let moving = scope.iter().filter(|name| decision.moves(name));
    let found = moving.flat_map(|name| {
        let found = plan::in_files(name, &judgement, decision, accepted);
        found.into_iter().map(|found| (name.clone(), found))
    });
    found.collect()
}

/// Whether objects are the answer, and nothing else.
fn is_of_objects(context: &Context<'_>) -> bool {
    matches!(context.output.format(), Format::Yaml | Format::Name)
}

/// Says beside objects, which say nothing of themselves, that some are not printed.
fn withheld(report: &Conversion, refuses: bool, context: &Context<'_>) {
    if !is_of_objects(context) {
        return;
    }
    for unread in &report.unread {
        let what = unread.place.as_ref().unwrap_or(&unread.what);
        let line = format!("could not be read: {what}: {}", unread.reason);
        context.ui.note(&line);
    }
    if !report.unread.is_empty() {
        let line = "nothing is printed: not everything could be read";
        context.ui.note(line);
    } else if refuses {
        let line = "what is withheld is not printed: something is refused, `-o table` says what";
        context.ui.note(line);
    }
}

/// The namespaces that findings keep from moving, each with the object of one that nobody accepted.
fn held(findings: &[(Name, Obstacle)]) -> impl Iterator<Item = (&Name, &ObjectRef)> {
    let open = findings
        .iter()
        .filter(|(_, found)| found.accepted.is_none());
    open.filter_map(|(home, found)| Some((home, found.object.as_ref()?)))
}

/// Refuses namespaces that a cluster does not have.
fn are_there(mesh: &Mesh, scope: &Scope) -> Result<(), Error> {
    let absent = |name: &&Name| mesh.namespace(name).is_none();
    match scope.iter().find(absent) {
        Some(name) if mesh.inventory().input == Input::Cluster => Err(moving::absent(name)),
        _ => Ok(()),
    }
}

/// The plan of each namespace, with what stands in its way.
fn plans(
    args: &ConvertArgs,
    mesh: &Mesh,
    scope: &Scope,
    decision: &Decision<'_>,
    options: &options::Options,
    accepted: &plan::Accepted,
) -> Vec<(Plan, Vec<Obstacle>)> {
    let all: Vec<_> = checks::all().collect();
    let judgement = checks::judge_but(mesh, scope, &all, false, &options.deferred);
    let each = scope.iter().filter(|name| mesh.namespace(name).is_some());
    each.map(|namespace| {
        let ground = plan::Ground {
            mesh,
            namespace,
            decision,
            guarded: options.guard.is_some(),
            deferred: &options.deferred,
            delete_bare_pods: args.run.delete_bare_pods,
        };
        plan::judged(&ground, &judgement, accepted)
    })
    .collect()
}

fn exit(args: &ConvertArgs, report: &Conversion, refuses: bool) -> Exit {
    let severity = args.fail_on.severity();
    let failed = severity.is_some_and(|threshold| report.has(threshold));
    let changes = args.exit_code && report.changes_anything();
    let undecided = !report.unread.is_empty() || report.namespaces.is_empty();
    if refuses || failed || changes {
        Exit::Negative
    } else if undecided {
        Exit::Undecided
    } else {
        Exit::Ok
    }
}
