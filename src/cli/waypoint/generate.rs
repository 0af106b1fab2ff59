//! `waypoint generate`: the objects of a waypoint, without a cluster.

use clap::Args;

use super::super::Context;
use super::place::InNamespace;
use super::shape::Shape;
use crate::error::Error;
use crate::exit::Exit;
use crate::report::waypoint::GeneratedObjects;

/// Print the objects that make a waypoint
#[derive(Debug, Args)]
pub(super) struct GenerateArgs {
    #[command(flatten)]
    place: InNamespace,

    #[command(flatten)]
    shape: Shape,
}

pub(super) fn run(args: &GenerateArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let wanted = args.shape.wanted(args.place.namespace.clone());
    context.answer(&GeneratedObjects(wanted.objects()))?;
    Ok(Exit::Ok)
}
