//! `waypoint delete`: removes waypoints that nobody uses, or unbinds who does.

use clap::Args;

use super::super::Context;
use super::place::InNamespace;
use super::status::chosen;
use crate::error::Error;
use crate::execute::Session;
use crate::execute::waypoint::{Depth, Gap, Looked, Removal, look, remove};
use crate::exit::Exit;
use crate::report::waypoint::{ChangeEntry, WaypointChanges};
use crate::waypoint::standing::Standing;

/// Delete waypoints, unless something is bound to them
#[derive(Debug, Args)]
pub(super) struct DeleteArgs {
    /// Names of waypoints
    #[arg(value_name = "NAME", required_unless_present_any = ["all", "revision"], conflicts_with_all = ["all", "revision"])]
    names: Vec<String>,

    #[command(flatten)]
    place: InNamespace,

    /// Delete all waypoints of the namespace
    #[arg(long)]
    all: bool,

    /// Delete the namespace's waypoints of this revision
    #[arg(short, long, value_name = "REVISION", conflicts_with = "all")]
    revision: Option<String>,

    /// Take the labels off whatever is bound to them first
    #[arg(long)]
    unbind: bool,

    /// Go ahead without asking
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn run(args: &DeleteArgs, context: &Context<'_>) -> Result<Exit, Error> {
    if !args.yes {
        context.ui.can_ask()?;
    }
    let (session, namespace) = args.place.connect(context)?;
    let looked = session.run(async |client| look(client, Some(&namespace), Depth::Users).await)?;
    let mut standings = chosen(&looked, &args.names, Some(&namespace))?;
    if let Some(revision) = &args.revision {
        standings.retain(|standing| standing.revision.as_ref() == Some(revision));
    }
    let header = context
        .output
        .header(session.client().context().map(str::to_owned));
    let mut report = WaypointChanges::new(false, header);
    if standings.is_empty() {
        context
            .ui
            .note(&format!("no such waypoint in namespace {namespace}"));
        context.answer(&report)?;
        return Ok(Exit::Ok);
    }
    may_go(&looked, &standings, args.unbind)?;
    let steps = announcement(&standings);
    if args.yes {
        context.ui.note(&steps);
    } else {
        context.ui.announce(&steps);
        if !context.ui.ask("Go ahead?")? {
            return Err(Error::new(Exit::Negative, "nothing was changed"));
        }
    }
    let outcome = carry_out(&session, &standings, args.unbind, &mut report);
    if outcome.is_ok() || !report.changes.is_empty() {
        context.answer(&report)?;
    }
    outcome.map(|()| Exit::Ok)
}

/// Whether nobody loses a waypoint without being asked.
fn may_go(looked: &Looked, standings: &[Standing], unbind: bool) -> Result<(), Error> {
    // Elsewhere nobody can be bound to a waypoint that admits its own namespace alone.
    let open = standings
        .iter()
        .find(|standing| standing.waypoint.admits_others());
    let elsewhere = looked
        .missing
        .iter()
        .find(|missing| matches!(missing.gap, Gap::Elsewhere(_)));
    if let (Some(open), Some(missing)) = (open, elsewhere) {
        return Err(Error::new(
            Exit::Forbidden,
            format!(
                "cannot tell who is bound to {}, which admits other namespaces: {}: {}",
                open.waypoint.object, missing.gap, missing.why
            ),
        )
        .hint("someone who may list them in all namespaces can delete it"));
    }
    if unbind {
        return Ok(());
    }
    let mut users: Vec<String> = Vec::new();
    for standing in standings {
        users.extend(standing.users.iter().map(|user| user.object.to_string()));
        let attached = standing.attached_to_it();
        users.extend(attached.map(|enforced| enforced.object.to_string()));
    }
    if users.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = standings
        .iter()
        .map(|standing| standing.waypoint.object.to_string())
        .collect();
    let is = if users.len() == 1 { "uses" } else { "use" };
    Err(Error::new(
        Exit::Negative,
        format!("{} {is} {}", users.join(", "), names.join(", ")),
    )
    .hint("`--unbind` takes their labels off first; what the waypoint enforces is then enforced by nobody"))
}

/// What will be done, a line each.
fn announcement(standings: &[Standing]) -> String {
    let mut lines = Vec::new();
    for standing in standings {
        let waypoint = &standing.waypoint.object;
        for user in &standing.users {
            let again = match &user.owner {
                Some(owner) => format!(
                    "; new pods of {}/{} come with it again",
                    owner.kind, owner.name
                ),
                None => String::new(),
            };
            lines.push(format!(
                "take the label {} off {}{again}",
                user.role.labels().0,
                user.object
            ));
        }
        for enforced in &standing.enforced {
            lines.push(format!("leave {} enforced by nobody", enforced.object));
        }
        lines.push(format!("delete {waypoint}"));
        if let Some(options) = &standing.options {
            lines.push(format!(
                "delete ConfigMap/{options} -n {}, if `waypoint apply` made it",
                waypoint.namespace
            ));
        }
    }
    let numbered = lines
        .iter()
        .zip(1..)
        .map(|(line, n)| format!("  {n}. {line}"));
    format!("This will\n{}", numbered.collect::<Vec<_>>().join("\n"))
}

fn carry_out(
    session: &Session,
    standings: &[Standing],
    unbind: bool,
    report: &mut WaypointChanges,
) -> Result<(), Error> {
    for standing in standings {
        let mut done = |removal: Removal| {
            report.changes.push(match removal {
                Removal::Unbound(object) => ChangeEntry::new(&object, "unbound"),
                Removal::Deleted(object) => ChangeEntry::new(&object, "deleted"),
                Removal::Absent(object) => ChangeEntry::new(&object, "absent"),
            });
        };
        session.run(async |client| remove(client, standing, unbind, &mut done).await)?;
    }
    Ok(())
}
