//! Waiting for the cluster: by watching, until a deadline, never by sleeping.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::cluster::Cluster;
use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::runtime::block_on;
use crate::watch::{self, Change, Collection, Ended};

/// How long is waited where nothing else is said: far longer than anything takes that works.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The pause before a watch that broke at once is opened again.
const PAUSE: Duration = Duration::from_millis(100);

impl Cluster {
    /// Waits until an object fulfils the condition, and returns it as it was then (null if it is
    /// gone). The error tells the last state that was seen.
    #[track_caller]
    pub fn wait(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        condition: &Condition,
    ) -> Result<Value> {
        self.wait_within(PATIENCE, kind, namespace, name, condition)
    }

    /// [`wait`](Self::wait), with a deadline of the test's own.
    #[track_caller]
    pub fn wait_within(
        &self,
        patience: Duration,
        kind: &str,
        namespace: &str,
        name: &str,
        condition: &Condition,
    ) -> Result<Value> {
        block_on(async {
            let resource = self.kind(kind).await?;
            let what = resource.describe(Some(namespace), name);
            let collection = Collection {
                namespace: resource.namespaced.then(|| namespace.to_owned()),
                resource,
                query: Some(format!("fieldSelector=metadata.name%3D{name}")),
            };
            let objects = self.until(&collection, &what, patience, condition).await?;
            Ok(objects.into_iter().next().unwrap_or(Value::Null))
        })
    }

    /// Waits until the objects that a label selector chooses fulfil the condition together.
    #[track_caller]
    pub fn wait_all(
        &self,
        kind: &str,
        namespace: &str,
        selector: &str,
        condition: &Condition,
    ) -> Result<Vec<Value>> {
        block_on(async {
            let resource = self.kind(kind).await?;
            let what = format!("{} of {namespace} with {selector}", resource.plural);
            let collection = Collection {
                namespace: resource.namespaced.then(|| namespace.to_owned()),
                resource,
                query: (!selector.is_empty())
                    .then(|| format!("labelSelector={}", encoded(selector))),
            };
            self.until(&collection, &what, PATIENCE, condition).await
        })
    }

    async fn until(
        &self,
        collection: &Collection,
        what: &str,
        patience: Duration,
        condition: &Condition,
    ) -> Result<Vec<Value>> {
        let deadline = Instant::now() + patience;
        let mut view = View::default();
        let followed = timeout_at(deadline, view.follow(self, collection, condition)).await;
        match followed {
            Ok(Ok(())) => Ok(view.objects.into_values().collect()),
            Ok(Err(error)) => Err(error.with(format_args!(
                "while waiting for {what} {}",
                condition.says()
            ))),
            Err(_) => Err(Error::new(format!(
                "waited {} s for {what} {}: {}\nlast seen: {}",
                patience.as_secs_f32(),
                condition.says(),
                view.missing,
                view.last_seen()
            ))),
        }
    }
}

/// The objects as last seen, by namespace and name.
#[derive(Default)]
struct View {
    objects: BTreeMap<(String, String), Value>,
    missing: String,
}

impl View {
    async fn follow(
        &mut self,
        cluster: &Cluster,
        collection: &Collection,
        condition: &Condition,
    ) -> Result {
        "the server has not answered".clone_into(&mut self.missing);
        loop {
            let (items, mut version) = watch::list(cluster, collection).await?;
            self.objects = items.into_iter().map(|item| (key(&item), item)).collect();
            if self.fulfils(condition) {
                return Ok(());
            }
            loop {
                let ended = match watch::open(cluster, collection, &version, None).await {
                    Ok(mut changes) => loop {
                        match changes.next().await {
                            Ok(change) => {
                                version = self.take(change, version);
                                if self.fulfils(condition) {
                                    return Ok(());
                                }
                            }
                            Err(ended) => break ended,
                        }
                    },
                    Err(ended) => ended,
                };
                match ended {
                    Ended::Resumable => tokio::time::sleep(PAUSE).await,
                    Ended::Expired(_) => break,
                    Ended::Failed(error) => return Err(error),
                }
            }
        }
    }

    fn fulfils(&mut self, condition: &Condition) -> bool {
        let now: Vec<Value> = self.objects.values().cloned().collect();
        match condition.decide(&now) {
            Ok(()) => true,
            Err(missing) => {
                self.missing = missing;
                false
            }
        }
    }

    /// Takes in a change and returns the version after it.
    fn take(&mut self, change: Change, before: String) -> String {
        match change {
            Change::Added(object) | Change::Modified(object) => {
                let version = watch::version_of(&object).to_owned();
                self.objects.insert(key(&object), object);
                version
            }
            Change::Deleted(object) => {
                self.objects.remove(&key(&object));
                watch::version_of(&object).to_owned()
            }
            Change::Bookmark(version) if version.is_empty() => before,
            Change::Bookmark(version) => version,
        }
    }

    /// The objects without what only machines read.
    fn last_seen(&self) -> String {
        if self.objects.is_empty() {
            return "nothing".to_owned();
        }
        let brief = self.objects.values().map(|object| {
            let mut object = object.clone();
            if let Some(metadata) = object["metadata"].as_object_mut() {
                metadata.remove("managedFields");
            }
            serde_json::to_string_pretty(&object).unwrap_or_default()
        });
        brief.collect::<Vec<_>>().join("\n")
    }
}

fn key(object: &Value) -> (String, String) {
    let text = |field: &str| {
        let value = object["metadata"][field].as_str();
        value.unwrap_or_default().to_owned()
    };
    (text("namespace"), text("name"))
}

/// A selector as a query carries it.
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => {
                let _ = write!(encoded, "%{other:02X}");
            }
        }
    }
    encoded
}
