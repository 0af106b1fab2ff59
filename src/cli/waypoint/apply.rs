//! `waypoint apply`: makes a waypoint, waits for it, and only then binds the namespace to it.

use clap::{Args, ValueEnum};

use super::super::Context;
use super::place::{InNamespace, Patience};
use super::shape::Shape;
use crate::client::WriteOptions;
use crate::error::Error;
use crate::execute::waypoint::{Made, Making, Readiness, apply, bind, prepare, wait_until_ready};
use crate::execute::{Applied, LabelChange, Session};
use crate::exit::Exit;
use crate::kinds::{Kind, ObjectRef};
use crate::mesh::waypoints::Traffic;
use crate::report::waypoint::{ChangeEntry, WaypointChanges};

/// Namespaces that are not the mesh's to enrol.
const RESERVED: &[&str] = &[
    "istio-system",
    "kube-system",
    "kube-public",
    "kube-node-lease",
];

/// Make a waypoint, and bind the namespace to it once it is ready
#[derive(Debug, Args)]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    place: InNamespace,

    #[command(flatten)]
    shape: Shape,

    /// Bind the whole namespace to the waypoint, once that is ready
    #[arg(long)]
    enroll_namespace: bool,

    /// Bind it even though it is bound to another
    #[arg(long, requires = "enroll_namespace")]
    overwrite: bool,

    #[command(flatten)]
    patience: Patience,

    /// Have the server judge every write, and do nothing
    #[arg(long, value_enum, value_name = "server|none", default_value_t)]
    dry_run: DryRun,

    /// Go ahead without asking
    #[arg(short, long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum DryRun {
    #[default]
    None,
    Server,
}

pub(super) fn run(args: &ApplyArgs, context: &Context<'_>) -> Result<Exit, Error> {
    if args.enroll_namespace && !args.patience.wait {
        return Err(Error::new(
            Exit::Usage,
            "`--enroll-namespace` waits for the waypoint: bound before it is ready, its policies would \
             not be in force",
        ));
    }
    if let Some(namespace) = &args.place.namespace {
        may_have_one(namespace)?;
    }
    let dry_run = args.dry_run == DryRun::Server;
    if !args.yes && !dry_run {
        context.ui.can_ask()?;
    }
    let (session, namespace) = args.place.connect(context)?;
    may_have_one(&namespace)?;
    let making = Making {
        wanted: args.shape.wanted(Some(namespace.to_string())),
        namespace,
        enroll: args.enroll_namespace,
        overwrite: args.overwrite,
    };
    let made = session.run(async |client| prepare(client, &making).await)?;
    for note in &made.notes {
        context.ui.note(&format!("note: {note}"));
    }
    let steps = announcement(&made, args.patience.wait && !dry_run, dry_run);
    if args.yes || dry_run {
        context.ui.note(&steps);
    } else {
        context.ui.announce(&steps);
        if !context.ui.ask("Go ahead?")? {
            return Err(Error::new(Exit::Negative, "nothing was changed"));
        }
    }
    let mut report = WaypointChanges::new(
        dry_run,
        context
            .output
            .header(session.client().context().map(str::to_owned)),
    );
    let outcome = carry_out(args, &session, &made, context, &mut report);
    context.ui.rest();
    // What was done is said, whatever came after it.
    if outcome.is_ok() || !report.changes.is_empty() {
        context.answer(&report)?;
    }
    outcome
}

/// Refuses the namespaces of the cluster and of Istio itself.
fn may_have_one(namespace: &str) -> Result<(), Error> {
    if !RESERVED.contains(&namespace) {
        return Ok(());
    }
    Err(Error::new(
        Exit::Usage,
        format!("{namespace} holds no applications: it is not a namespace for a waypoint"),
    )
    .hint("`-n` names the namespace whose Services the waypoint is for"))
}

/// What will be done, a line each.
fn announcement(made: &Made, waits: bool, dry_run: bool) -> String {
    let gateway = &made.gateway;
    let wanted = &made.wanted;
    let mut lines = Vec::new();
    if let Some(replicas) = wanted.replicas {
        let budget = if replicas > 1 {
            " and a PodDisruptionBudget"
        } else {
            ""
        };
        let replicas = if replicas == 1 {
            "1 replica".to_owned()
        } else {
            format!("{replicas} replicas")
        };
        lines.push(format!(
            "apply ConfigMap/{} -n {}: {replicas}{budget}",
            wanted.options_name(),
            gateway.namespace
        ));
    }
    let traffic = wanted.traffic.unwrap_or(Traffic::Service).name();
    let there = if made.there { ", which is there" } else { "" };
    lines.push(format!(
        "apply {gateway}{there}: a waypoint for {traffic} traffic"
    ));
    if waits {
        lines.push("wait until it is programmed and all its replicas are ready".to_owned());
    }
    if made.enroll {
        let before = match made.bound_to.as_str() {
            "" => String::new(),
            bound => format!(" (now {bound})"),
        };
        lines.push(format!(
            "label Namespace/{} istio.io/use-waypoint={}{before}",
            gateway.namespace, wanted.name
        ));
    }
    let numbered = lines
        .iter()
        .zip(1..)
        .map(|(line, n)| format!("  {n}. {line}"));
    let will = if dry_run { "would" } else { "will" };
    format!("This {will}\n{}", numbered.collect::<Vec<_>>().join("\n"))
}

fn carry_out(
    args: &ApplyArgs,
    session: &Session,
    made: &Made,
    context: &Context<'_>,
    report: &mut WaypointChanges,
) -> Result<Exit, Error> {
    let options = WriteOptions {
        dry_run: report.dry_run,
        force: false,
    };
    let outcomes = session.run(async |client| apply(client, made, options).await)?;
    report.changes.extend(outcomes.iter().map(|outcome| {
        let change = match outcome.applied {
            Applied::Created => "created",
            Applied::Configured => "configured",
            Applied::Unchanged => "unchanged",
        };
        ChangeEntry::new(&outcome.object, change)
    }));
    if !report.dry_run && args.patience.wait {
        context.ui.start_progress("waiting for the waypoint");
        let limit = args.patience.limit();
        let waited = session.run(async |client| {
            wait_until_ready(client, &made.gateway, made.wanted.replicas, limit).await
        })?;
        report.ready = Some(waited == Readiness::Ready);
        if let Readiness::Lacking(lacking) = waited {
            let bound = if made.enroll {
                "; the namespace was not bound to it"
            } else {
                ""
            };
            let seconds = limit.as_secs_f64();
            return Err(Error::new(
                Exit::Negative,
                format!("{} is not ready after {seconds} s: {lacking}{bound}", made.gateway),
            )
            .hint(format!(
                "`kubectl ambient waypoint status {} -n {}` waits further; `kubectl describe gateway {0} -n {1}` \
                 shows what istiod says",
                made.gateway.name, made.gateway.namespace
            )));
        }
    }
    if made.enroll {
        let bound = session.run(async |client| bind(client, made, options).await)?;
        let namespace = &made.gateway.namespace;
        let change = match bound {
            LabelChange::Made => "bound",
            LabelChange::Already => "unchanged",
            LabelChange::Absent => "absent",
        };
        let namespace = ObjectRef::new(Kind::Namespace, namespace, namespace);
        report.changes.push(ChangeEntry::new(&namespace, change));
    }
    Ok(Exit::Ok)
}
