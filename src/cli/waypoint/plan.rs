//! `waypoint`: which Services need one, and why.

use clap::{Args, Subcommand};

use super::Context;
use super::input::{Loaded, Unnamed, load};
use super::scope::ScopeArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::report::WaypointPlanReport;

/// Plan waypoints
#[derive(Debug, Args)]
pub(super) struct WaypointArgs {
    #[command(subcommand)]
    command: WaypointCommand,
}

#[derive(Debug, Subcommand)]
enum WaypointCommand {
    Plan(PlanArgs),
}

/// Show which Services need a waypoint, and why
#[derive(Debug, Args)]
struct PlanArgs {
    #[command(flatten)]
    scope: ScopeArgs,
}

pub(super) fn run(args: &WaypointArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let WaypointCommand::Plan(args) = &args.command;
    let Loaded {
        mesh,
        scope,
        context: named,
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
