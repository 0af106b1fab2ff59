//! `waypoint list`: the waypoints there are.

use clap::Args;

use super::super::Context;
use super::place::{Place, note_unserved, unread};
use crate::error::Error;
use crate::execute::waypoint::{Depth, look};
use crate::exit::Exit;
use crate::report::waypoint::WaypointList;
use crate::waypoint::standing::standings;

/// List waypoints
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    place: Place,
}

pub(super) fn run(args: &ListArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let (session, namespace) = args.place.connect(context)?;
    let looked =
        session.run(async |client| look(client, namespace.as_ref(), Depth::Waypoints).await)?;
    let header = context
        .output
        .header(session.client().context().map(str::to_owned));
    let report = WaypointList::new(
        &standings(&looked.survey),
        namespace,
        unread(&looked.missing),
        header,
    );
    note_unserved(&looked, context);
    context.answer(&report)?;
    Ok(if report.unread.is_empty() {
        Exit::Ok
    } else {
        Exit::Undecided
    })
}
