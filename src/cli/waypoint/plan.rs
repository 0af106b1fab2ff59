//! `waypoint plan`: which Services need one, and why.

use clap::Args;

use super::super::Context;
use super::super::input::{Loaded, Unnamed, load};
use super::super::scope::ScopeArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::report::WaypointPlanReport;

/// Show which Services need a waypoint, and why
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) fn run(args: &PlanArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let Loaded {
        mesh,
        scope,
        context: named,
        ..
    } = load(
        &args.scope,
        crate::waypoint::READS,
        Unnamed::Injected,
        context,
    )?;
    let report = WaypointPlanReport::new(&mesh, &scope, context.output.header(named));
    context.answer(&report)?;
    Ok(if report.unread.is_empty() && !scope.is_empty() {
        Exit::Ok
    } else {
        Exit::Undecided
    })
}
