//! `explain`: what a check looks for, why, and what follows.

use clap::Args;

use super::Context;
use crate::checks;
use crate::error::Error;
use crate::exit::Exit;
use crate::report::{CheckList, CheckPage};

/// Explain a check: what it means, why it matters, what to do
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// The check's id, e.g. AMB301
    #[arg(required_unless_present = "list")]
    id: Option<String>,

    /// List all checks
    #[arg(long, conflicts_with = "id")]
    list: bool,
}

pub(super) fn run(args: &ExplainArgs, context: &Context<'_>) -> Result<Exit, Error> {
    match &args.id {
        None => context.answer(&CheckList::new(checks::all()))?,
        Some(id) => {
            let check = checks::by_id(id).ok_or_else(|| super::check::unknown(id))?;
            context.answer(&CheckPage::new(check))?;
        }
    }
    Ok(Exit::Ok)
}
