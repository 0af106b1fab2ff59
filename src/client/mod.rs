//! The one layer that talks to a cluster: connects, discovers, asks for rights, gets, lists, watches and
//! writes.
//!
//! It hands out bytes and small answers of its own; no type of the libraries beneath leaves it. It
//! reads connection settings as kubectl does, bounds every request in time, repeats reads visibly,
//! and words every failure once ([`ClientError`]). Nothing here knows a kind of object.

mod access;
mod answer;
mod config;
mod credentials;
mod discovery;
mod environment;
mod error;
mod get;
mod list;
mod names;
mod objects;
mod options;
mod proxy;
mod request;
mod retry;
#[cfg(test)]
pub(crate) mod scripted;
mod target;
#[cfg(test)]
mod tests;
mod version;
mod wait;
mod warning;
mod watch;
mod write;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::client::ConfigExt as _;
use tokio::sync::Semaphore;
use tower::{BoxError, Layer as _, service_fn};

pub use access::{Access, AccessRules, AccessVerdict};
pub use discovery::{Discovery, Served, ServedKind};
pub use environment::Environment;
pub use error::{ClientError, OwnedField, Verb};
pub use get::GetRequest;
pub use list::{ListRequest, Listed, PageSink};
pub use names::KubeconfigNames;
pub use objects::{ObjectKey, Objects};
pub use options::{ConnectOptions, Hidden, InvalidTimeout, RequestTimeout};
pub use target::Target;
pub use version::ServerVersion;
pub use wait::Waited;
pub use watch::{WatchEvent, WatchRequest};
pub use write::{Deletion, Preconditions, WriteOptions};

use crate::event::{Event, Listener};

/// How many requests are under way at once. Each needs a connection of its own (HTTP/1.1), and more
/// of them gain nothing.
const CONCURRENT_REQUESTS: usize = 6;

/// A connection to one cluster as one user.
///
/// Everything takes `&self`: callers may run requests side by side, and the client bounds how many
/// of them are under way.
pub struct Client {
    inner: kube::Client,
    listener: Arc<dyn Listener + Send>,
    permits: Semaphore,
    timeout: Option<Duration>,
    /// Warnings already passed on.
    warned: Mutex<BTreeSet<String>>,
    server: String,
    /// The proxy on the way as messages name it, from a leading blank on; empty without one.
    via: String,
    context: Option<String>,
    namespace: String,
    plugin: Option<credentials::Plugin>,
}

impl Client {
    /// Reads the connection settings and prepares the connection. No request is sent yet, but a
    /// credential plugin runs, which may ask its user something on the terminal.
    pub async fn connect(
        options: &ConnectOptions,
        env: &Environment,
        listener: Arc<dyn Listener + Send>,
    ) -> Result<Self, ClientError> {
        let settings = config::resolve(options, env)?;
        let config = settings.config.clone();
        // A plugin blocks until it ends; a Ctrl-C is to be noticed meanwhile.
        let inner = tokio::task::spawn_blocking(move || stack(config))
            .await
            .map_err(|_| ClientError::config("preparing the connection was interrupted"))?
            .map_err(|error| config::refused(&error, settings.plugin.as_ref()))?;
        Ok(Self::with(
            inner,
            settings,
            options.request_timeout.limit(),
            listener,
        ))
    }

    fn with(
        inner: kube::Client,
        settings: config::Settings,
        timeout: Option<Duration>,
        listener: Arc<dyn Listener + Send>,
    ) -> Self {
        Self {
            inner,
            listener,
            permits: Semaphore::new(CONCURRENT_REQUESTS),
            timeout,
            warned: Mutex::default(),
            server: settings.server,
            via: settings.via,
            context: settings.context,
            namespace: settings.namespace,
            plugin: settings.plugin,
        }
    }

    /// Tells whoever listens what a caller does between requests.
    pub(crate) fn notice(&self, event: Event) {
        self.listener.notice(event);
    }

    /// The API server's address, without credentials and without a final slash.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The kubeconfig context in use; none in a pod or with `--server` alone.
    pub fn context(&self) -> Option<&str> {
        self.context.as_deref()
    }

    /// The namespace meant where none is named: `--namespace`, the context's, or `default`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }
}

/// Builds the layers of the connection.
///
/// kube asks a credential plugin three times while it does that: for the header, for a certificate,
/// and for how long either is valid. A plugin that takes a second, or asks for a password, is to be
/// asked once; so the header's layer is made first, and the rest from settings without credentials.
/// Only a plugin that answers with a certificate is left to kube.
fn stack(mut config: kube::Config) -> kube::Result<kube::Client> {
    let Some(header) = config.auth_layer()? else {
        return kube::Client::try_from(config);
    };
    credentials::keep_certificate_only(&mut config.auth_info);
    let namespace = config.default_namespace.clone();
    let bare = kube::Client::try_from(config)?;
    let service = service_fn(move |request| {
        let bare = bare.clone();
        async move { bare.send(request).await.map_err(BoxError::from) }
    });
    Ok(kube::Client::new(header.layer(service), namespace))
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .field("context", &self.context)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
