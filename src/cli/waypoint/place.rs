//! Flags that say in which namespace, and what joins them to a cluster.

use std::time::Duration;

use clap::Args;

use super::super::Context;
use super::super::scope::namespace;
use crate::client::{ConnectOptions, RequestTimeout};
use crate::error::Error;
use crate::execute::Session;
use crate::execute::waypoint::{Looked, Missing};
use crate::kinds::Name;
use crate::report::waypoint::MissingEntry;

/// The longest wait, where no limit is asked for.
const A_DAY: Duration = Duration::from_secs(86_400);

/// One namespace.
#[derive(Debug, Args)]
pub(super) struct InNamespace {
    /// Namespace of the waypoint; by default the context's
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace)]
    pub namespace: Option<String>,
}

/// One namespace, or all.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// Namespace to look at; by default the context's
    #[arg(short, long, value_name = "NAMESPACE", value_parser = namespace)]
    namespace: Option<String>,

    /// Look at every namespace
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
}

/// Whether to wait, and for how long.
#[derive(Debug, Args)]
pub(super) struct Patience {
    /// Wait until the waypoint is ready
    #[arg(short, long, value_name = "true|false", default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    pub wait: bool,

    /// How long to wait for it
    #[arg(long, value_name = "DURATION", default_value = "90s")]
    waypoint_timeout: RequestTimeout,
}

impl Patience {
    pub(super) fn limit(&self) -> Duration {
        self.waypoint_timeout.limit().unwrap_or(A_DAY)
    }
}

/// Connects as the flags say.
pub(super) fn connect(namespace: Option<&String>, context: &Context<'_>) -> Result<Session, Error> {
    let mut options = ConnectOptions::from(context.connection);
    options.namespace = namespace.cloned();
    Session::connect(&options, context.ui.clone()).map_err(|mut error| {
        // These commands are about a cluster alone.
        error.hints.retain(|hint| !hint.starts_with("`-f "));
        error
    })
}

impl InNamespace {
    pub(super) fn connect(&self, context: &Context<'_>) -> Result<(Session, Name), Error> {
        let session = connect(self.namespace.as_ref(), context)?;
        let namespace = Name::from(session.client().namespace());
        Ok((session, namespace))
    }
}

impl Place {
    /// Connects; the namespace is none for all.
    pub(super) fn connect(&self, context: &Context<'_>) -> Result<(Session, Option<Name>), Error> {
        let session = connect(self.namespace.as_ref(), context)?;
        let namespace = Name::from(session.client().namespace());
        Ok((session, (!self.all_namespaces).then_some(namespace)))
    }
}

/// Says why there can be no waypoint at all.
pub(super) fn note_unserved(looked: &Looked, context: &Context<'_>) {
    if !looked.served {
        context
            .ui
            .note("note: the cluster does not serve the Gateway API, of which waypoints are made");
    }
}

/// What could not be looked at, for a document.
pub(super) fn unread(missing: &[Missing]) -> Vec<MissingEntry> {
    missing
        .iter()
        .map(|missing| MissingEntry {
            what: missing.gap.to_string(),
            reason: missing.why.clone(),
        })
        .collect()
}
