//! `status`: which data plane each namespace is in.

use clap::Args;

use super::Context;
use super::input::{Loaded, Unnamed, load};
use super::scope::ScopeArgs;
use crate::error::Error;
use crate::exit::Exit;
use crate::kinds::KindSet;
use crate::report::StatusReport;

/// The kinds that it reads.
const READS: KindSet = crate::mesh::BACKING
    .and(crate::mesh::BINDING)
    .and(crate::mesh::INSTALLATION);

/// Show which data plane namespaces are in: pods, sidecars, ambient pods, waypoints
///
/// Reads a live cluster or, with -f, manifests, and names runs that are not over. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    scope: ScopeArgs,
}

const EXAMPLES: &str = "\
Examples:
  kubectl ambient status -A                      every namespace
  kubectl ambient status -n shop -o wide         with the labels that decide
  kubectl ambient status -f manifests/ -R        what manifests say";

pub(super) fn run(args: &StatusArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let Loaded {
        mesh,
        scope,
        context: named,
        open_runs,
    } = load(&args.scope, READS, Unnamed::All, context)?;
    let mut report = StatusReport::new(&mesh, &scope, context.output.header(named));
    report.open_runs = open_runs;
    context.answer(&report)?;
    Ok(if report.unread.is_empty() {
        Exit::Ok
    } else {
        Exit::Undecided
    })
}
