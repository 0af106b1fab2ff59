//! Reading a cluster for a command.

use std::sync::Arc;

use super::Context;
use super::scope::ScopeArgs;
use crate::client::ConnectOptions;
use crate::error::Error;
use crate::event::Listener;
use crate::kinds::{KindSet, Name};
use crate::source::live::{LiveRequest, Namespaces, Session, Versions, read_versions, session};

/// Reads what the scope's flags name.
pub(super) fn read(
    args: &ScopeArgs,
    kinds: KindSet,
    whole: KindSet,
    journals: bool,
    context: &Context<'_>,
) -> Result<Session, Error> {
    let mut options = ConnectOptions::from(context.connection);
    options.namespace = args.namespace.first().cloned();
    let namespaces = match &args.selector {
        Some(selector) => Namespaces::Labelled(selector.clone()),
        None if args.all_namespaces => Namespaces::All,
        None => Namespaces::Named(
            args.namespace
                .iter()
                .map(|n| Name::from(n.as_str()))
                .collect(),
        ),
    };
    let request = LiveRequest {
        namespaces,
        kinds,
        whole,
        chunk_size: context.connection.chunk_size,
        journals,
    };
    let listener: Arc<dyn Listener + Send> = context.ui.clone();
    let read = session(&options, request, listener, || {
        context.ui.start_progress("reading the cluster");
    });
    context.ui.rest();
    read
}

/// Reads the versions of the API server and of Istio.
pub(super) fn versions(context: &Context<'_>) -> Result<Versions, Error> {
    read_versions(
        &ConnectOptions::from(context.connection),
        context.ui.clone(),
    )
}
