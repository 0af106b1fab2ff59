//! Connecting and reading in one call, for callers without a runtime of their own.

use std::sync::Arc;

use super::{LiveRead, LiveRequest, Namespaces, read};
use crate::client::{Client, ConnectOptions, Environment};
use crate::error::Error;
use crate::event::Listener;
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::kinds::{Kind, KindSet, Name};

/// What was read, and over which connection.
#[derive(Debug)]
pub struct Session {
    /// What was read.
    pub read: LiveRead,
    /// The kubeconfig's context.
    pub context: Option<String>,
}

/// The versions that a cluster tells.
#[derive(Debug)]
pub struct Versions {
    /// The API server's.
    pub kubernetes: String,
    /// Istio's installation, as far as it may be read.
    pub inventory: Inventory,
}

/// Connects and reads. Where no namespace is named, the connection's own is meant.
///
/// `connected` is called when credentials are had and the reading begins; before that, a credential
/// plugin may ask something on the terminal.
///
/// # Errors
/// When there is no way to connect, and as [`read`] says.
pub fn session(
    options: &ConnectOptions,
    mut request: LiveRequest,
    listener: Arc<dyn Listener + Send>,
    connected: impl Fn(),
) -> Result<Session, Error> {
    block_on(async {
        let client = Client::connect(options, &Environment::read(), listener).await?;
        connected();
        if request.namespaces == Namespaces::Named(Vec::new()) {
            request.namespaces = Namespaces::Named(vec![Name::from(client.namespace())]);
        }
        let read = read(&client, &request).await?;
        Ok(Session {
            read,
            context: client.context().map(str::to_owned),
        })
    })
}

/// Connects and reads the versions of the API server and of Istio.
///
/// # Errors
/// When there is no way to connect, or the API server does not answer.
pub fn read_versions(
    options: &ConnectOptions,
    listener: Arc<dyn Listener + Send>,
) -> Result<Versions, Error> {
    block_on(async {
        let client = Client::connect(options, &Environment::read(), listener).await?;
        let kubernetes = client.server_version().await?.git_version;
        let request = LiveRequest {
            namespaces: Namespaces::Named(Vec::new()),
            kinds: KindSet::of(&[Kind::Deployment]),
            whole: KindSet::EMPTY,
            chunk_size: 500,
            journals: false,
        };
        let inventory = read(&client, &request).await?.inventory;
        Ok(Versions {
            kubernetes,
            inventory,
        })
    })
}

fn block_on<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| {
        Error::new(Exit::Internal, format!("cannot start the runtime: {error}"))
    })?;
    runtime.block_on(future)
}
