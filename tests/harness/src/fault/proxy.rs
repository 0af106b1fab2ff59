//! The proxy: a TLS server on loopback that passes requests on, but for what its rules say.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::log::Log;
use super::request::Request;
use super::rule::{Action, Fault, When};
use super::serve;
use super::upstream::{AS_ITSELF, Upstream};
use crate::error::{Error, Result};
use crate::process::{Running, Signal, Target};
use crate::runtime::{block_on, runtime};
use crate::wait::PATIENCE;

/// A proxy in front of an API server. It ends when dropped.
///
/// Its kubeconfig connects as the identity it was started with; a client that brings a bearer token
/// of its own is passed on as that one. It speaks HTTP/1.1 and does not pass on upgrades (`exec`,
/// `port-forward`).
pub struct FaultProxy {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    _folder: TempDir,
    accepting: JoinHandle<Infallible>,
}

/// What the proxy's connections share with the test.
pub(super) struct Shared {
    pub(super) upstream: Upstream,
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
    clients: Mutex<Vec<Target>>,
}

#[derive(Default)]
struct State {
    rules: Vec<Numbered>,
    /// How many rules there ever were.
    count: u64,
    requests: Vec<Request>,
    /// The watches that may still go on, by their place in the log.
    watches: BTreeMap<usize, oneshot::Sender<()>>,
}

struct Numbered {
    id: u64,
    when: When,
    fault: Fault,
    matched: u64,
    done: u64,
    removed: bool,
}

/// A rule of a proxy; it stays when this is dropped.
#[derive(Clone)]
pub struct Rule {
    shared: Arc<Shared>,
    id: u64,
}

impl FaultProxy {
    /// A proxy in front of the server of a kubeconfig, which connects there as its user.
    #[track_caller]
    pub fn start(kubeconfig: &Path) -> Result<Self> {
        let failed = |error: &dyn std::fmt::Display| Error::because("the fault proxy", error);
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let identity = rcgen::generate_simple_self_signed(names).map_err(|error| failed(&error))?;
        let folder = tempfile::Builder::new()
            .prefix("harness-faults")
            .tempdir()
            .map_err(|error| failed(&error))?;
        let acceptor = acceptor(&identity).map_err(|error| failed(&error))?;
        let (shared, listener, address) = block_on(async {
            let upstream = Upstream::of(kubeconfig).await?;
            let listener = TcpListener::bind(("127.0.0.1", 0))
                .await
                .map_err(|error| failed(&error))?;
            let address = listener.local_addr().map_err(|error| failed(&error))?;
            Ok((Arc::new(Shared::new(upstream)), listener, address))
        })?;
        let authority = folder.path().join("ca.pem");
        let file = folder.path().join("kubeconfig");
        std::fs::write(&authority, identity.cert.pem())
            .and_then(|()| std::fs::write(&file, kubeconfig_for(address, &authority)))
            .map_err(|error| failed(&error))?;
        let accepting = runtime()?.spawn(serve::accept(Arc::clone(&shared), listener, acceptor));
        Ok(Self {
            shared,
            kubeconfig: file,
            _folder: folder,
            accepting,
        })
    }

    /// The file that clients connect through the proxy with.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Adds a rule. Each rule counts the requests that match it; a request that several are due for
    /// goes by the one that was added first.
    pub fn rule(&self, when: When, fault: Fault) -> Rule {
        let mut state = self.shared.lock();
        state.count += 1;
        let id = state.count;
        state.rules.push(Numbered {
            id,
            when,
            fault,
            matched: 0,
            done: 0,
            removed: false,
        });
        drop(state);
        Rule {
            shared: Arc::clone(&self.shared),
            id,
        }
    }

    /// Removes all rules.
    pub fn clear(&self) {
        for rule in &mut self.shared.lock().rules {
            rule.removed = true;
        }
    }

    /// Ends the watches that match and are open now, in good order, and says how many.
    pub fn end_watches(&self, when: &When) -> usize {
        let mut state = self.shared.lock();
        let matching = state.open_watches(when);
        let ended = matching
            .iter()
            .filter_map(|index| state.watches.remove(index))
            .filter_map(|watch| watch.send(()).ok());
        ended.count()
    }

    /// Waits until so many watches that match are open.
    #[track_caller]
    pub fn wait_for_watches(&self, when: &When, count: usize) -> Result {
        if self
            .shared
            .until(|state| state.open_watches(when).len() >= count)
        {
            return Ok(());
        }
        Err(Error::new(format!("not {count} such watches: {when:?}"))
            .with(self.log())
            .at(std::panic::Location::caller()))
    }

    /// What has passed until now.
    pub fn log(&self) -> Log {
        Log::new(self.shared.lock().requests.clone())
    }

    /// Waits until `count` requests matched, counted from the proxy's start.
    #[track_caller]
    pub fn wait_for(&self, when: &When, count: usize) -> Result {
        let found = self.shared.until(|state| {
            let matching = state
                .requests
                .iter()
                .filter(|request| when.matches(request));
            matching.count() >= count
        });
        if found {
            return Ok(());
        }
        Err(Error::new(format!("not {count} such requests: {when:?}"))
            .with(self.log())
            .at(std::panic::Location::caller()))
    }

    /// Starts a command so that no request of it passes before the proxy can send it signals.
    pub(crate) fn start_client(
        &self,
        start: impl FnOnce() -> std::io::Result<Running>,
    ) -> std::io::Result<Running> {
        let mut clients = self.shared.clients();
        let running = start()?;
        clients.push(running.target());
        Ok(running)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl std::fmt::Debug for FaultProxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultProxy").finish_non_exhaustive()
    }
}

impl Rule {
    /// How often its fault was done.
    pub fn done(&self) -> u64 {
        self.shared.lock().done(self.id)
    }

    /// Waits until its fault was done so often.
    #[track_caller]
    pub fn wait(&self, times: u64) -> Result {
        if self.shared.until(|state| state.done(self.id) >= times) {
            return Ok(());
        }
        let log = Log::new(self.shared.lock().requests.clone());
        Err(Error::new(format!(
            "a fault was done {} times, not {times}",
            self.done()
        ))
        .with(log)
        .at(std::panic::Location::caller()))
    }

    /// Removes it.
    pub fn remove(&self) {
        for rule in &mut self.shared.lock().rules {
            rule.removed |= rule.id == self.id;
        }
    }
}

impl std::fmt::Debug for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rule")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl State {
    fn open_watches(&self, when: &When) -> Vec<usize> {
        let open = self.watches.iter().filter(|(index, watch)| {
            !watch.is_closed()
                && self
                    .requests
                    .get(**index)
                    .is_some_and(|one| when.matches(one))
        });
        open.map(|(index, _)| *index).collect()
    }

    fn done(&self, id: u64) -> u64 {
        let rule = self.rules.iter().find(|rule| rule.id == id);
        rule.map_or(0, |rule| rule.done)
    }
}

impl Shared {
    fn new(upstream: Upstream) -> Self {
        Self {
            upstream,
            started: Instant::now(),
            state: Mutex::default(),
            changed: Condvar::new(),
            clients: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clients(&self) -> MutexGuard<'_, Vec<Target>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Notes a request and finds what is to be done to it; returns its place in the log.
    pub(super) fn arrived(&self, mut request: Request) -> (usize, Option<Fault>) {
        let mut state = self.lock();
        let mut decided: Option<Fault> = None;
        for rule in &mut state.rules {
            if rule.removed || !rule.when.matches(&request) {
                continue;
            }
            rule.matched += 1;
            if decided.is_none() && rule.when.is_due(rule.matched) {
                rule.done += 1;
                decided = Some(rule.fault.clone());
            }
        }
        request.fault = decided.as_ref().map(ToString::to_string);
        state.requests.push(request);
        let index = state.requests.len() - 1;
        drop(state);
        self.changed.notify_all();
        (index, decided)
    }

    /// Notes what became of a request.
    pub(super) fn noted(&self, index: usize, note: impl FnOnce(&mut Request)) {
        if let Some(request) = self.lock().requests.get_mut(index) {
            note(request);
        }
        self.changed.notify_all();
    }

    /// Lets a test end a request that is a watch.
    pub(super) fn watched(&self, index: usize) -> Option<oneshot::Receiver<()>> {
        let mut state = self.lock();
        if state.requests.get(index)?.verb != "watch" {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        state.watches.insert(index, sender);
        drop(state);
        self.changed.notify_all();
        Some(receiver)
    }

    /// What access reviews are to agree with.
    pub(super) fn forbidden(&self) -> Vec<When> {
        let state = self.lock();
        let forbids = state.rules.iter().filter(|rule| {
            let agreed = matches!(
                rule.fault.action,
                Action::Forbid {
                    reviews_agree: true
                }
            );
            agreed && !rule.removed
        });
        forbids.map(|rule| rule.when.clone()).collect()
    }

    /// Sends a signal to the commands that were started through the proxy.
    pub(super) fn signal(&self, signal: Signal) {
        for client in self.clients().iter() {
            client.signal(signal);
        }
    }

    /// Waits until something is so; false when it took too long.
    fn until(&self, so: impl Fn(&State) -> bool) -> bool {
        let (_state, waited) = self
            .changed
            .wait_timeout_while(self.lock(), PATIENCE, |state| !so(state))
            .unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out()
    }
}

fn acceptor(
    identity: &rcgen::CertifiedKey<rcgen::KeyPair>,
) -> std::result::Result<TlsAcceptor, tokio_rustls::rustls::Error> {
    let key = PrivatePkcs8KeyDer::from(identity.signing_key.serialize_der());
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![identity.cert.der().clone()], PrivateKeyDer::from(key))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn kubeconfig_for(address: SocketAddr, authority: &Path) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "faults",
        "clusters": [{"name": "faults", "cluster": {
            "server": format!("https://{address}"),
            "certificate-authority": authority,
        }}],
        "users": [{"name": "faults", "user": {"token": AS_ITSELF}}],
        "contexts": [{"name": "faults", "context": {"cluster": "faults", "user": "faults"}}],
    })
    .to_string()
}
