//! The lock of a namespace: a Lease (`coordination.k8s.io/v1`) that its holder renews.
//!
//! A Lease that runs is never taken. One whose time is over by our clock, by however much, may still run by
//! its holder's; so it is taken only when it was watched for all of its time and nobody renewed it. Every
//! write carries the version that was read, so that of two who take it one wins.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::holder::Holder;
use crate::client::{Client, ClientError, Preconditions, Target, Verb, WriteOptions};
use crate::error::Error;
use crate::event::Event;
use crate::exit::Exit;

/// The Lease's name in each namespace.
const NAME: &str = "kubectl-ambient";
/// How often the taking is begun anew when others write the Lease at the same time.
const ROUNDS: u32 = 5;
/// How much longer than it lasts a Lease is watched.
const MARGIN: Duration = Duration::from_millis(200);

/// How long a Lease lasts without being renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockTimes {
    seconds: u16,
}

impl Default for LockTimes {
    fn default() -> Self {
        Self { seconds: 30 }
    }
}

impl LockTimes {
    /// So many seconds; one at least.
    pub fn of_seconds(seconds: u16) -> Self {
        Self {
            seconds: seconds.max(1),
        }
    }

    /// The default, or what the environment says: the tests do not wait for half a minute.
    pub fn read() -> Self {
        std::env::var("KUBECTL_AMBIENT_LEASE_SECONDS")
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|seconds| *seconds > 0)
            .map_or_else(Self::default, |seconds| Self { seconds })
    }

    /// After how many seconds without a renewal others may take it.
    pub(super) const fn seconds(self) -> u16 {
        self.seconds
    }

    /// After which time without a renewal others may take it.
    fn duration(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }

    /// The time between two renewals.
    fn renewal(self) -> Duration {
        self.duration() / 3
    }
}

/// Why a namespace could not be locked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Someone else works on it.
    #[error("namespace {namespace} is locked by {holder}, since {since}")]
    Held {
        /// The namespace.
        namespace: String,
        /// `user@host pid`.
        holder: String,
        /// When they took it, as the Lease says it.
        since: String,
        /// How long an abandoned Lease lasts.
        seconds: i64,
    },
    /// The Lease cannot be read or written.
    #[error("cannot lock namespace {namespace}: {error}")]
    Client {
        /// The namespace.
        namespace: String,
        /// What happened.
        error: ClientError,
    },
}

impl From<LockError> for Error {
    fn from(error: LockError) -> Self {
        let message = error.to_string();
        match error {
            LockError::Held {
                namespace, seconds, ..
            } => Self::new(Exit::Negative, message).hint(format!(
                "if that run was killed, the lock is free {seconds} s after its last sign of life; \
                 `kubectl get lease {NAME} -n {namespace} -o yaml` shows it"
            )),
            LockError::Client { error, .. } => Self {
                exit: error.exit(),
                hints: error.hints(),
                message,
            },
        }
    }
}

/// How a lock was lost while it was held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// Someone took it or removed it.
    #[error("the lock of namespace {namespace} was taken away: {by}")]
    Taken {
        /// The namespace.
        namespace: String,
        /// Who holds it now, or that it is gone.
        by: String,
    },
    /// It could not be renewed, and others may have taken it since.
    #[error("the lock of namespace {namespace} could not be renewed in time{}", .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Expired {
        /// The namespace.
        namespace: String,
        /// Why not, as far as there was an answer.
        why: Option<ClientError>,
    },
}

/// A namespace's lock, held and renewed until it is released. Dropped without a release it lasts for
/// its time.
#[derive(Debug)]
pub struct Lock {
    namespace: String,
    times: LockTimes,
    standing: watch::Receiver<Standing>,
    stop: Option<oneshot::Sender<()>>,
    renewing: Option<JoinHandle<()>>,
}

impl Lock {
    /// Takes the lock of a namespace, or says who has it.
    pub async fn acquire(
        client: &Arc<Client>,
        namespace: &str,
        holder: &Holder,
        times: LockTimes,
    ) -> Result<Self, LockError> {
        let target = Target {
            group: "coordination.k8s.io".to_owned(),
            version: "v1".to_owned(),
            plural: "leases".to_owned(),
            namespace: Some(namespace.to_owned()),
            name: NAME.to_owned(),
        };
        let mut lease = Lease {
            client: Arc::clone(client),
            namespace: namespace.to_owned(),
            target,
            holder: holder.to_string(),
            times,
            acquired: String::new(),
            version: String::new(),
            uid: String::new(),
            renewed: Renewed::now(),
        };
        lease.take().await?;
        let (tell, standing) = watch::channel(Standing::Held(lease.renewed));
        let (stop, stopped) = oneshot::channel();
        let renewing = tokio::spawn(async move {
            match lease.keep(stopped, &tell).await {
                Ok(()) => lease.give_back().await,
                Err(loss) => drop(tell.send_replace(Standing::Lost(loss))),
            }
        });
        Ok(Self {
            namespace: namespace.to_owned(),
            times,
            standing,
            stop: Some(stop),
            renewing: Some(renewing),
        })
    }

    /// Fails when the lock is lost. To be asked before every write: a machine that slept is past its
    /// time before it notices.
    pub fn still_held(&self) -> Result<(), Loss> {
        match &*self.standing.borrow() {
            Standing::Lost(loss) => Err(loss.clone()),
            Standing::Held(renewed) if renewed.is_over(self.times) => Err(Loss::Expired {
                namespace: self.namespace.clone(),
                why: None,
            }),
            Standing::Held(_) => Ok(()),
        }
    }

    /// Ends when the lock is lost, and never otherwise. For waits that a loss is to end.
    pub async fn when_lost(&self) -> Loss {
        let mut standing = self.standing.clone();
        loop {
            if let Standing::Lost(loss) = &*standing.borrow_and_update() {
                return loss.clone();
            }
            if standing.changed().await.is_err() {
                // It was given back.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Gives the lock back. What cannot be deleted expires.
    pub async fn release(mut self) {
        drop(self.stop.take());
        if let Some(renewing) = self.renewing.take() {
            // It ends by itself; a panic in it was told already.
            drop(renewing.await);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(renewing) = &self.renewing {
            renewing.abort();
        }
    }
}

/// How a lock stands.
#[derive(Debug)]
enum Standing {
    Held(Renewed),
    Lost(Loss),
}

/// When a Lease was renewed last, by both clocks: the one stops while a laptop sleeps.
#[derive(Debug, Clone, Copy)]
struct Renewed {
    at: Instant,
    on: Timestamp,
}

impl Renewed {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            on: Timestamp::now(),
        }
    }

    /// Whether others may take the Lease by now.
    fn is_over(self, times: LockTimes) -> bool {
        self.at.elapsed() >= times.duration()
            || Timestamp::now().duration_since(self.on).unsigned_abs() >= times.duration()
    }
}

/// The Lease as the one who holds it, or wants to, sees it.
struct Lease {
    client: Arc<Client>,
    namespace: String,
    target: Target,
    holder: String,
    times: LockTimes,
    /// When we took it: with the holder it tells our Lease from any other.
    acquired: String,
    version: String,
    uid: String,
    renewed: Renewed,
}

impl Lease {
    /// Makes the Lease, or takes over one that is free.
    async fn take(&mut self) -> Result<(), LockError> {
        let mut failed = None;
        for _ in 0..ROUNDS {
            match self.try_take().await {
                Ok(Taken::Ours) => return Ok(()),
                Ok(Taken::Held(error)) => return Err(error),
                Ok(Taken::Again) => {}
                // Whoever wrote it, or whether we did, stands in the Lease.
                Err(
                    error @ (ClientError::Exists { .. }
                    | ClientError::Changed { .. }
                    | ClientError::Unknown { .. }),
                ) => failed = Some(error),
                Err(error) => return Err(self.cannot(error)),
            }
        }
        Err(self.cannot(failed.unwrap_or_else(|| ClientError::Exists {
            verb: Verb::Create,
            what: self.target.what(),
        })))
    }

    async fn try_take(&mut self) -> Result<Taken, ClientError> {
        let Some(found) = self.client.read_object(&self.target).await? else {
            return self.make().await;
        };
        if self.is_ours(&found) {
            self.note(&found);
            return Ok(Taken::Ours);
        }
        if let Some(held) = self.held(&found, Timestamp::now()) {
            return Ok(Taken::Held(held));
        }
        if let Some(holder) = holder_of(&found)
            && let Some(other) = self.watch(&found, holder).await?
        {
            return Ok(other);
        }
        self.take_over(&found).await
    }

    /// Watches a Lease that is over by our clock for as long as it lasts; nothing when it stays as it is.
    async fn watch(&self, found: &Value, holder: &str) -> Result<Option<Taken>, ClientError> {
        let lasts = Some(seconds_of(found)).filter(|lasts| !lasts.is_zero());
        let lasts = lasts.unwrap_or(self.times.duration());
        self.client.notice(Event::Waits {
            step: "lock".to_owned(),
            what: format!(
                "{holder} has not renewed it: it is watched for {} s, then taken over",
                lasts.as_secs()
            ),
        });
        let version = |lease: &Value| lease["metadata"]["resourceVersion"].clone();
        let mut left = lasts + MARGIN;
        while !left.is_zero() {
            let pause = left.min(lasts / 3);
            tokio::time::sleep(pause).await;
            left = left.saturating_sub(pause);
            match self.client.read_object(&self.target).await? {
                Some(again) if version(&again) == version(found) => {}
                Some(again) => {
                    return Ok(Some(match holder_of(&again) {
                        Some(holder) => Taken::Held(self.held_by(&again, holder)),
                        None => Taken::Again,
                    }));
                }
                None => return Ok(Some(Taken::Again)),
            }
        }
        Ok(None)
    }

    async fn make(&mut self) -> Result<Taken, ClientError> {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": NAME,
                "namespace": self.namespace,
                "labels": { "app.kubernetes.io/managed-by": "kubectl-ambient" },
            },
            "spec": self.spec(0),
        });
        self.renewed = Renewed::now();
        let made = self.client.create(&self.target, &lease, PLAIN).await?;
        self.note(&made);
        Ok(Taken::Ours)
    }

    async fn take_over(&mut self, found: &Value) -> Result<Taken, ClientError> {
        let transitions = found["spec"]["leaseTransitions"].as_i64().unwrap_or(0) + 1;
        let patch = json!({
            "metadata": {
                "uid": found["metadata"]["uid"],
                "resourceVersion": found["metadata"]["resourceVersion"],
            },
            "spec": self.spec(transitions),
        });
        self.renewed = Renewed::now();
        match self.client.merge_patch(&self.target, &patch, PLAIN).await {
            Ok(taken) => {
                self.note(&taken);
                Ok(Taken::Ours)
            }
            Err(ClientError::NotFound { .. }) => Ok(Taken::Again),
            Err(error) => Err(error),
        }
    }

    /// What we write when we take it.
    fn spec(&mut self, transitions: i64) -> Value {
        let now = micro_time(Timestamp::now());
        self.acquired.clone_from(&now);
        json!({
            "holderIdentity": self.holder,
            "leaseDurationSeconds": self.times.seconds,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": transitions,
        })
    }

    /// Renews until told to stop.
    async fn keep(
        &mut self,
        mut stopped: oneshot::Receiver<()>,
        tell: &watch::Sender<Standing>,
    ) -> Result<(), Loss> {
        let mut wait = self.times.renewal();
        let mut why = None;
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => return Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
            if self.renewed.is_over(self.times) {
                return Err(Loss::Expired {
                    namespace: self.namespace.clone(),
                    why,
                });
            }
            let left = self
                .times
                .duration()
                .saturating_sub(self.renewed.at.elapsed());
            match tokio::time::timeout(left, self.renew()).await {
                Ok(Ok(())) => {
                    tell.send_replace(Standing::Held(self.renewed));
                    (wait, why) = (self.times.renewal(), None);
                }
                Ok(Err(Renewal::Lost(by))) => {
                    return Err(Loss::Taken {
                        namespace: self.namespace.clone(),
                        by,
                    });
                }
                Ok(Err(Renewal::Failed(error))) => {
                    (wait, why) = (self.times.renewal() / 4, Some(error));
                }
                Err(_) => wait = Duration::ZERO,
            }
        }
    }

    async fn renew(&mut self) -> Result<(), Renewal> {
        let patch = json!({
            "metadata": { "uid": self.uid, "resourceVersion": self.version },
            "spec": { "renewTime": micro_time(Timestamp::now()) },
        });
        let now = Renewed::now();
        match self.client.merge_patch(&self.target, &patch, PLAIN).await {
            Ok(lease) => {
                self.note(&lease);
                self.renewed = now;
                return Ok(());
            }
            Err(ClientError::Changed { .. } | ClientError::NotFound { .. }) => {}
            Err(error) => return Err(Renewal::Failed(error)),
        }
        // Our own renewal whose answer was lost, or someone who only edited it, is no loss.
        match self.client.read_object(&self.target).await {
            Ok(Some(lease)) if self.is_ours(&lease) => {
                self.note(&lease);
                Err(Renewal::Failed(ClientError::Changed {
                    verb: Verb::Change,
                    what: self.target.what(),
                    message: "someone edited it".to_owned(),
                }))
            }
            Ok(Some(lease)) => Err(Renewal::Lost(match holder_of(&lease) {
                Some(holder) => format!("{holder} holds it"),
                None => "nobody is its holder".to_owned(),
            })),
            Ok(None) => Err(Renewal::Lost("it was deleted".to_owned())),
            Err(error) => Err(Renewal::Failed(error)),
        }
    }

    /// Deletes the Lease if it is as we left it.
    async fn give_back(&self) {
        let ours = Preconditions {
            uid: Some(self.uid.clone()),
            resource_version: Some(self.version.clone()),
        };
        // What is left expires.
        drop(self.client.delete(&self.target, &ours, PLAIN).await);
    }

    fn note(&mut self, lease: &Value) {
        let text = |name: &str| {
            lease["metadata"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        (self.version, self.uid) = (text("resourceVersion"), text("uid"));
    }

    fn is_ours(&self, lease: &Value) -> bool {
        holder_of(lease) == Some(&self.holder)
            && lease["spec"]["acquireTime"].as_str() == Some(&self.acquired)
    }

    /// Who holds a Lease that runs by our clock.
    fn held(&self, lease: &Value, now: Timestamp) -> Option<LockError> {
        let holder = holder_of(lease)?;
        let end = renewed(lease)?.saturating_add(seconds_of(lease)).ok()?;
        (now < end).then(|| self.held_by(lease, holder))
    }

    fn held_by(&self, lease: &Value, holder: &str) -> LockError {
        let since = lease["spec"]["acquireTime"].as_str();
        LockError::Held {
            namespace: self.namespace.clone(),
            holder: holder.to_owned(),
            since: since
                .and_then(|text| text.parse::<Timestamp>().ok())
                .map_or_else(
                    || "an unknown time".to_owned(),
                    |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
                ),
            seconds: i64::try_from(seconds_of(lease).as_secs()).unwrap_or(i64::MAX),
        }
    }

    fn cannot(&self, error: ClientError) -> LockError {
        LockError::Client {
            namespace: self.namespace.clone(),
            error,
        }
    }
}

const PLAIN: WriteOptions = WriteOptions {
    dry_run: false,
    force: false,
};

/// What an attempt to take the Lease found.
enum Taken {
    Ours,
    Held(LockError),
    /// It is another by now.
    Again,
}

/// How a renewal failed.
enum Renewal {
    /// It is another's.
    Lost(String),
    /// It may yet succeed.
    Failed(ClientError),
}

/// Who holds a Lease; nobody if it was given up.
fn holder_of(lease: &Value) -> Option<&str> {
    lease["spec"]["holderIdentity"]
        .as_str()
        .filter(|holder| !holder.is_empty())
}

fn renewed(lease: &Value) -> Option<Timestamp> {
    lease["spec"]["renewTime"].as_str()?.parse().ok()
}

fn seconds_of(lease: &Value) -> Duration {
    let seconds = lease["spec"]["leaseDurationSeconds"].as_u64();
    Duration::from_secs(seconds.unwrap_or(0).min(3600))
}

/// `metav1.MicroTime`.
fn micro_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

#[cfg(test)]
mod tests;
