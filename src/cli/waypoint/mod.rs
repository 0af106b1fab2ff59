//! `waypoint`: plans, makes, shows and removes waypoints.

mod apply;
mod delete;
mod generate;
mod list;
mod place;
mod plan;
mod shape;
mod status;

use clap::{Args, Subcommand};

use super::Context;
use crate::error::Error;
use crate::exit::Exit;

/// Plan, make, show and remove waypoints
#[derive(Debug, Args)]
pub(super) struct WaypointArgs {
    #[command(subcommand)]
    command: WaypointCommand,
}

#[derive(Debug, Subcommand)]
enum WaypointCommand {
    Plan(plan::PlanArgs),
    Generate(generate::GenerateArgs),
    Apply(apply::ApplyArgs),
    List(list::ListArgs),
    Status(status::StatusArgs),
    Delete(delete::DeleteArgs),
}

pub(super) fn run(args: &WaypointArgs, context: &Context<'_>) -> Result<Exit, Error> {
    match &args.command {
        WaypointCommand::Plan(args) => plan::run(args, context),
        WaypointCommand::Generate(args) => generate::run(args, context),
        WaypointCommand::Apply(args) => apply::run(args, context),
        WaypointCommand::List(args) => list::run(args, context),
        WaypointCommand::Status(args) => status::run(args, context),
        WaypointCommand::Delete(args) => delete::run(args, context),
    }
}
