//! Records every change of every object of some kinds, without a gap: a watch that ends is opened
//! again where it ended, and lost history is an error, never a silence.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::history::{Event, History, Moment};
use crate::resources::Resource;
use crate::runtime::{block_on, runtime};
use crate::watch::{self, Change, Collection, Ended, version_of};

/// How long [`Recorder::history`] waits for the watches to catch up.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause before a watch that ended is opened again.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a watch lasts that is opened to catch up. The server sends a bookmark two seconds
/// before it ends a watch, so this is the shortest that tells how far it has come.
const BRIEF: u32 = 3;

/// A recording that goes on until it is dropped.
#[derive(Debug)]
pub struct Recorder {
    cluster: Cluster,
    tapes: Vec<Arc<Tape>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What is recorded of one collection.
#[derive(Debug)]
struct Tape {
    collection: Collection,
    recorded: Mutex<Recorded>,
    /// Rung when anything in `recorded` changed.
    told: Notify,
    /// Rung to have the watch opened anew for a short time.
    hurry: Notify,
}

#[derive(Debug, Default)]
struct Recorded {
    moments: Vec<Moment>,
    /// Everything up to this version is told.
    version: u64,
    lost: Option<String>,
}

impl Recorder {
    /// Begins a recording of these kinds in these namespaces (in all, if none are named; kinds
    /// without namespaces are recorded whole). When this returns, nothing is missed any more.
    #[track_caller]
    pub fn of(cluster: &Cluster, kinds: &[&str], namespaces: &[&str]) -> Result<Self> {
        let (mut tapes, mut tasks) = (Vec::new(), Vec::new());
        let collections = block_on(async {
            let mut all = Vec::new();
            for kind in kinds {
                all.extend(collections(&cluster.kind(kind).await?, namespaces));
            }
            Ok(all)
        })?;
        for collection in collections {
            let (tape, version) = block_on(Tape::begin(cluster, collection))?;
            let tape = Arc::new(tape);
            let task = Arc::clone(&tape).record(cluster.clone(), version);
            tasks.push(runtime()?.spawn(task));
            tapes.push(tape);
        }
        Ok(Self {
            cluster: cluster.clone(),
            tapes,
            tasks,
        })
    }

    /// What happened until now: all that the server knew when this was called. Takes up to three
    /// seconds, since the server has to say that there was nothing more.
    #[track_caller]
    pub fn history(&self) -> Result<History> {
        block_on(async {
            let waits = self.tapes.iter().map(|tape| tape.catch_up(&self.cluster));
            futures_util::future::try_join_all(waits).await?;
            let moments = self.tapes.iter().map(|tape| tape.lock().moments.clone());
            Ok(History::new(moments.flatten().collect()))
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Tape {
    async fn begin(cluster: &Cluster, collection: Collection) -> Result<(Self, String)> {
        let (items, version) = watch::list(cluster, &collection).await?;
        let present = items.into_iter().map(|object| Moment {
            event: Event::Present,
            version: number(version_of(&object)),
            object,
        });
        let recorded = Recorded {
            moments: present.collect(),
            version: number(&version),
            lost: None,
        };
        let tape = Self {
            collection,
            recorded: Mutex::new(recorded),
            told: Notify::new(),
            hurry: Notify::new(),
        };
        Ok((tape, version))
    }

    fn lock(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn record(self: Arc<Self>, cluster: Cluster, mut version: String) {
        let mut brief = None;
        loop {
            let ended = match watch::open(&cluster, &self.collection, &version, brief.take()).await
            {
                Ok(mut changes) => loop {
                    tokio::select! {
                        change = changes.next() => match change {
                            Ok(change) => self.take(change, &mut version),
                            Err(ended) => break ended,
                        },
                        () = self.hurry.notified() => {
                            brief = Some(BRIEF);
                            break Ended::Resumable;
                        }
                    }
                },
                Err(ended) => ended,
            };
            let lost = match ended {
                Ended::Resumable if brief.is_some() => continue,
                Ended::Resumable => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                Ended::Expired(why) => format!("what followed version {version} is lost: {why}"),
                Ended::Failed(error) => error.to_string(),
            };
            self.lock().lost = Some(lost);
            self.told.notify_waiters();
            return;
        }
    }

    fn take(&self, change: Change, version: &mut String) {
        let mut recorded = self.lock();
        let (event, object) = match change {
            Change::Added(object) => (Event::Created, object),
            Change::Modified(object) => (Event::Changed, object),
            Change::Deleted(object) => (Event::Deleted, object),
            Change::Bookmark(seen) => {
                recorded.version = number(&seen);
                *version = seen;
                self.told.notify_waiters();
                return;
            }
        };
        version_of(&object).clone_into(version);
        let reached = number(version);
        recorded.version = reached;
        recorded.moments.push(Moment {
            event,
            version: reached,
            object,
        });
        self.told.notify_waiters();
    }

    /// Waits until all is told that the server knows now.
    async fn catch_up(&self, cluster: &Cluster) -> Result {
        let what = || format!("the recording of {}", self.collection.describe());
        let (_, now) = watch::list(cluster, &self.collection).await?;
        let now = number(&now);
        let reached = async {
            loop {
                let told = self.told.notified();
                {
                    let recorded = self.lock();
                    if let Some(lost) = &recorded.lost {
                        return Err(Error::because(what(), lost));
                    }
                    if recorded.version >= now {
                        return Ok(());
                    }
                }
                self.hurry.notify_one();
                // A watch that was opened to catch up tells nothing when it ends.
                let _ = timeout(2 * Duration::from_secs(BRIEF.into()), told).await;
            }
        };
        timeout(PATIENCE, reached).await.unwrap_or_else(|_| {
            let seconds = PATIENCE.as_secs();
            Err(Error::because(
                what(),
                format_args!("not at version {now} after {seconds} s"),
            ))
        })
    }
}

fn collections(resource: &Resource, namespaces: &[&str]) -> Vec<Collection> {
    let of = |namespace: Option<&str>| Collection {
        resource: resource.clone(),
        namespace: namespace.map(str::to_owned),
        query: None,
    };
    if !resource.namespaced || namespaces.is_empty() {
        return vec![of(None)];
    }
    namespaces.iter().map(|name| of(Some(name))).collect()
}

fn number(version: &str) -> u64 {
    version.parse().unwrap_or(0)
}
