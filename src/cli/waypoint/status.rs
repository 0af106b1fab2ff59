//! `waypoint status`: whether waypoints are ready, who is bound to them, what they enforce.

use std::time::Instant;

use clap::Args;

use super::super::Context;
use super::place::{Patience, Place, note_unserved, unread};
use crate::error::Error;
use crate::execute::waypoint::{Depth, Looked, look, wait_until_ready};
use crate::exit::Exit;
use crate::kinds::Name;
use crate::report::waypoint::WaypointStatus;
use crate::waypoint::standing::{Standing, standings};

/// Show whether waypoints are ready, who is bound to them and what they enforce
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Names of waypoints; by default all
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    patience: Patience,
}

pub(super) fn run(args: &StatusArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let (session, namespace) = args.place.connect(context)?;
    let looked = session.run(async |client| {
        let first = look(client, namespace.as_ref(), Depth::Waypoints).await?;
        let asked = chosen(&first, &args.names, namespace.as_ref())?;
        if args.patience.wait {
            context.ui.start_progress("waiting for waypoints");
            let began = Instant::now();
            for standing in asked.iter().filter(|standing| standing.lacks().is_some()) {
                let left = args.patience.limit().saturating_sub(began.elapsed());
                wait_until_ready(client, &standing.waypoint.object, None, left).await?;
            }
        }
        let looked = look(client, namespace.as_ref(), Depth::Users).await?;
        Ok::<Looked, Error>(looked)
    });
    context.ui.rest();
    let looked = looked?;
    let standings = chosen(&looked, &args.names, namespace.as_ref())?;
    let header = context
        .output
        .header(session.client().context().map(str::to_owned));
    let report = WaypointStatus::new(&standings, namespace, unread(&looked.missing), header);
    note_unserved(&looked, context);
    context.answer(&report)?;
    Ok(
        if standings.iter().any(|standing| standing.lacks().is_some()) {
            Exit::Negative
        } else if report.unread.is_empty() {
            Exit::Ok
        } else {
            Exit::Undecided
        },
    )
}

/// The waypoints of these names, or all.
pub(super) fn chosen(
    looked: &Looked,
    names: &[String],
    namespace: Option<&Name>,
) -> Result<Vec<Standing>, Error> {
    let all = standings(&looked.survey);
    let called = |standing: &Standing, name: &str| *standing.waypoint.object.name == *name;
    for name in names {
        if !all.iter().any(|standing| called(standing, name)) {
            let place = namespace.map_or_else(
                || "any namespace".to_owned(),
                |namespace| format!("namespace {namespace}"),
            );
            let message = format!("there is no waypoint {name} in {place}");
            return Err(Error::new(Exit::Negative, message)
                .hint("`kubectl ambient waypoint list -A` shows all there are"));
        }
    }
    Ok(all
        .into_iter()
        .filter(|standing| names.is_empty() || names.iter().any(|name| called(standing, name)))
        .collect())
}
