//! `history`: the runs of a namespace.

use clap::Args;

use super::Context;
use crate::client::ConnectOptions;
use crate::error::Error;
use crate::execute::Session;
use crate::exit::Exit;
use crate::kinds::Name;
use crate::report::{HistoryReport, RunEntry};
use crate::source::live::journals;

/// Show the runs of namespaces: what was moved, by whom, and what was accepted
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Show the steps of this run
    run: Option<String>,

    /// Namespace whose runs are shown; by default the context's
    #[arg(short, long, value_parser = super::scope::namespace)]
    namespace: Option<String>,

    /// Show those of every namespace
    #[arg(short = 'A', long, conflicts_with_all = ["namespace", "run"])]
    all_namespaces: bool,
}

pub(super) fn run(args: &HistoryArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let mut options = ConnectOptions::from(context.connection);
    options.namespace.clone_from(&args.namespace);
    let session = Session::connect(&options, context.ui.clone())?;
    let namespace = Name::from(session.client().namespace());
    let asked = (!args.all_namespaces).then_some(&*namespace);
    let mut kept = session.run(async |client| journals(client, asked).await)?;
    if let Some(run) = &args.run {
        kept.retain(|kept| kept.run.as_str() == run);
        if kept.is_empty() {
            return Err(Error::new(
                Exit::Negative,
                format!("namespace {namespace} has no run {run}"),
            )
            .hint(format!(
                "`kubectl ambient history -n {namespace}` lists them"
            )));
        }
    }
    let entries = kept.iter().map(|kept| match &kept.journal {
        Ok(journal) => RunEntry::new(journal, args.run.is_some()),
        Err(damage) => {
            RunEntry::unreadable(&kept.namespace, kept.run.as_str(), &damage.to_string())
        }
    });
    let header = context
        .output
        .header(session.client().context().map(str::to_owned));
    let report = HistoryReport::new(entries.collect(), header);
    context.answer(&report)?;
    let unreadable = kept.iter().any(|kept| kept.journal.is_err());
    Ok(if unreadable { Exit::Data } else { Exit::Ok })
}
