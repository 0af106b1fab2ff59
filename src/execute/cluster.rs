//! The objects of a run, in the cluster: read, written, waited for.

use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::api::Api;
use super::items::Items;
use super::lease::Loss;
use super::rights::{access, review};
use crate::client::{
    Access, Client, ClientError, Deletion, ListRequest, Preconditions, Target, WriteOptions,
};
use crate::error::Error;
use crate::exit::Exit;
use crate::kinds::{Kind, Name, ObjectRef};
use crate::plan::condition::SETTLING;
use crate::plan::{Condition, Drift, Evidence, Holds, Planned, Request, Standing, Write};

/// How often a write is tried when somebody else writes the object at the same time.
const TRIES: u32 = 6;
/// The pause before a write is tried again; it grows with each.
const PAUSE: Duration = Duration::from_millis(300);
/// How long an object that was deleted may take to go.
const GOING: Duration = Duration::from_secs(60);
/// The pause between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(500);
/// The longest pause between two looks.
const LONG_LOOK: Duration = Duration::from_secs(2);
/// How often in a row a look may fail before that ends the wait.
const FAILURES: u32 = 5;

/// The rights that every run needs, whatever it writes: for its journal and its lock, and to see the
/// pods that it waits for. Group, resource, verbs.
pub const BOOKKEEPING: &[(&str, &str, &[&str])] = &[
    (
        "",
        "configmaps",
        &["get", "list", "create", "update", "delete"],
    ),
    (
        "coordination.k8s.io",
        "leases",
        &["get", "create", "update", "delete"],
    ),
    ("", "pods", &["list"]),
];

/// Why something was not written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum WriteError {
    /// Somebody changed what it is about.
    #[error("{}", drifted(.object, .drifts))]
    Drift {
        /// The object.
        object: ObjectRef,
        /// What was changed.
        drifts: Vec<Drift>,
    },
    /// The server did not take it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The installed API has no such kind.
    #[error("the cluster does not serve {}", .0.resource())]
    NotServed(Kind),
    /// The lock is lost: whoever has it now may be writing.
    #[error(transparent)]
    Lock(#[from] Loss),
}

fn drifted(object: &ObjectRef, drifts: &[Drift]) -> String {
    let each = drifts.iter().map(|drift| match drift.field.as_str() {
        "" => drift.says.clone(),
        field => format!("{field} {}", drift.says),
    });
    let each: Vec<String> = each.collect();
    format!("{object} is not as the plan saw it: {}", each.join("; "))
}

/// What a write left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// The object's generation then, where its kind counts them.
    pub generation: Option<i64>,
    /// Whether a request was sent, or it was found made.
    pub sent: bool,
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// All holds; of these nothing in the cluster tells.
    Over(Vec<String>),
    /// It does not hold in time, or never will.
    Failed(String),
    /// Somebody asked to stop.
    Stopped,
}

/// How long proxies are given to hear of something, and how often the cluster is looked at meanwhile.
#[derive(Debug, Clone, Copy)]
struct Pace {
    settling: Duration,
    look: Duration,
    long_look: Duration,
}

impl Pace {
    /// The default, or what the environment says: the tests have no proxies, and do not wait for them.
    fn read() -> Self {
        let settling = std::env::var("KUBECTL_AMBIENT_SETTLING_MILLIS").ok();
        let settling = settling.and_then(|text| text.parse().ok());
        match settling.filter(|millis| *millis > 0) {
            None => Self {
                settling: SETTLING,
                look: LOOK,
                long_look: LONG_LOOK,
            },
            Some(millis) => Self {
                settling: Duration::from_millis(millis),
                look: LOOK.min(Duration::from_millis(millis)),
                long_look: LOOK,
            },
        }
    }

    /// The time that counts as having passed, where conditions ask for the default.
    fn counted(self, waited: Duration) -> Duration {
        waited.mul_f64(SETTLING.as_secs_f64() / self.settling.as_secs_f64())
    }
}

/// A cluster that a run writes to.
#[derive(Debug)]
pub struct Cluster<'c> {
    client: &'c Client,
    api: Api,
    options: WriteOptions,
    pace: Pace,
}

impl<'c> Cluster<'c> {
    /// Asks which versions of all kinds are served.
    ///
    /// # Errors
    /// When the server does not say.
    pub async fn new(client: &'c Client, options: WriteOptions) -> Result<Self, ClientError> {
        let api = Api::discover(client, Kind::ALL).await?;
        Ok(Self {
            client,
            api,
            options,
            pace: Pace::read(),
        })
    }

    /// The connection.
    pub fn client(&self) -> &'c Client {
        self.client
    }

    /// Whether writes are only tried.
    pub fn is_dry_run(&self) -> bool {
        self.options.dry_run
    }

    fn target(&self, object: &ObjectRef) -> Result<Target, WriteError> {
        self.api
            .target(object)
            .ok_or(WriteError::NotServed(object.kind))
    }

    /// An object as it is now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn read(&self, object: &ObjectRef) -> Result<Option<Value>, WriteError> {
        Ok(self.client.read_object(&self.target(object)?).await?)
    }

    /// Makes a write, unless it is made: the object itself tells, before and after. Whether the lock is
    /// `held` is asked before each try.
    ///
    /// # Errors
    /// When somebody changed what it is about, the server does not take it, or the lock is lost.
    pub async fn make(
        &self,
        write: &Write,
        held: impl Fn() -> Result<(), Loss>,
    ) -> Result<Made, WriteError> {
        let object = write.object();
        let target = self.target(object)?;
        let mut sent = false;
        let mut last = None;
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep(PAUSE * attempt).await;
            }
            let current = match self.client.read_object(&target).await {
                Ok(current) => current,
                Err(error) if passes(&error) => {
                    last = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let outcome = match write.standing(current.as_ref()) {
                Standing::Made => {
                    let generation = current.as_ref().and_then(generation_of);
                    return Ok(Made { generation, sent });
                }
                Standing::Drifted(drifts) => {
                    return Err(WriteError::Drift {
                        object: object.clone(),
                        drifts,
                    });
                }
                Standing::Due(request) => {
                    held()?;
                    self.send(&target, &request).await
                }
            };
            sent = true;
            match outcome {
                Ok(()) if self.options.dry_run => {
                    return Ok(Made {
                        generation: None,
                        sent,
                    });
                }
                // The next look finds it made, or what the server made of it.
                Ok(()) => {}
                Err(error) if is_raced(&error) || passes(&error) => last = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        match last {
            Some(error) => Err(error.into()),
            None => Err(WriteError::Drift {
                object: object.clone(),
                drifts: vec![Drift {
                    field: String::new(),
                    says: "somebody writes it again and again".to_owned(),
                }],
            }),
        }
    }

    async fn send(&self, target: &Target, request: &Request) -> Result<(), ClientError> {
        match request {
            Request::Apply(manifest) => {
                let mut manifest = manifest.clone();
                let group = match target.group.as_str() {
                    "" => target.version.clone(),
                    group => format!("{group}/{}", target.version),
                };
                if let Some(fields) = manifest.as_object_mut() {
                    fields.insert("apiVersion".to_owned(), group.into());
                }
                self.client.apply(target, &manifest, self.options).await?;
            }
            Request::Patch(patch) => {
                self.client.merge_patch(target, patch, self.options).await?;
            }
            Request::Delete {
                uid,
                resource_version,
            } => {
                let preconditions = Preconditions {
                    uid: uid.clone(),
                    resource_version: resource_version.clone(),
                };
                let deleted = self
                    .client
                    .delete(target, &preconditions, self.options)
                    .await?;
                if deleted == Deletion::Deleted && !self.options.dry_run {
                    self.gone(target).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits until an object that was deleted is gone: finalizers may hold it.
    async fn gone(&self, target: &Target) -> Result<(), ClientError> {
        let end = Instant::now() + GOING;
        while Instant::now() < end {
            match self.client.read_object(target).await? {
                None => return Ok(()),
                // One of the same name that somebody made since is another.
                Some(object) if object["metadata"]["deletionTimestamp"].is_null() => return Ok(()),
                Some(_) => sleep(self.pace.look).await,
            }
        }
        Ok(())
    }

    /// Waits until all of these hold.
    ///
    /// # Errors
    /// When what tells cannot be read, again and again.
    pub async fn wait(
        &self,
        conditions: &[Condition],
        within: Duration,
        stopped: impl Fn() -> bool,
        mut told: impl FnMut(&str),
    ) -> Result<Wait, WriteError> {
        // What proxies are given is over by then, however little time a rollout has.
        let within = within.max(self.pace.settling * 2);
        let began = Instant::now();
        let mut pause = self.pace.look;
        let mut failures = 0;
        let mut last_words = String::new();
        loop {
            if stopped() {
                return Ok(Wait::Stopped);
            }
            let judged = match self.look(conditions, began).await {
                Ok(judged) => {
                    failures = 0;
                    judged
                }
                Err(WriteError::Client(error)) if passes(&error) && failures < FAILURES => {
                    failures += 1;
                    vec![(String::new(), Holds::NotYet(error.to_string()))]
                }
                Err(error) => return Err(error),
            };
            let mut waits_for = None;
            let mut unconfirmed = Vec::new();
            for (says, holds) in judged {
                match holds {
                    Holds::Yes => {}
                    Holds::Unconfirmed => unconfirmed.push(says),
                    Holds::Never(why) => return Ok(Wait::Failed(why)),
                    Holds::NotYet(why) => {
                        waits_for.get_or_insert(why);
                    }
                }
            }
            let Some(words) = waits_for else {
                return Ok(Wait::Over(unconfirmed));
            };
            if began.elapsed() >= within {
                return Ok(Wait::Failed(format!(
                    "{words}, after {} s",
                    began.elapsed().as_secs()
                )));
            }
            if words == last_words {
                pause = (pause * 2).min(self.pace.long_look);
            } else {
                told(&words);
                last_words = words;
                pause = self.pace.look;
            }
            sleep(pause).await;
        }
    }

    async fn look(
        &self,
        conditions: &[Condition],
        began: Instant,
    ) -> Result<Vec<(String, Holds)>, WriteError> {
        let mut evidence = Evidence {
            waited: self.pace.counted(began.elapsed()),
            ..Evidence::default()
        };
        for object in conditions.iter().flat_map(Condition::objects) {
            if !evidence.objects.contains_key(&object)
                && let Some(found) = self.read(&object).await?
            {
                evidence.objects.insert(object, found);
            }
        }
        if let Some(namespace) = conditions.iter().find_map(Condition::pods_of) {
            evidence.pods = self.pods(namespace).await?;
        }
        let judged = conditions
            .iter()
            .map(|one| (one.says(), one.judge(&evidence)));
        Ok(judged.collect())
    }

    /// The metadata of the pods of a namespace that have not ended.
    pub(super) async fn pods(&self, namespace: &Name) -> Result<Vec<Value>, ClientError> {
        let request = ListRequest {
            version: "v1".to_owned(),
            plural: "pods".to_owned(),
            namespace: Some(namespace.to_string()),
            field_selector: Some("status.phase!=Succeeded,status.phase!=Failed".to_owned()),
            metadata_only: true,
            chunk_size: 500,
            ..ListRequest::default()
        };
        let mut items = Items::default();
        self.client.list(&request, &mut items).await?;
        Ok(items.0)
    }

    /// Asks for all rights that some writes in a namespace need, with those for the journal and the lock.
    ///
    /// # Errors
    /// When one is missing, or the server does not answer.
    pub async fn review<'p>(
        &self,
        namespace: &Name,
        writes: impl Iterator<Item = &'p Planned>,
    ) -> Result<(), Error> {
        let mut wanted: Vec<Access> = Vec::new();
        let mut want = |access: Access| {
            if !wanted.contains(&access) {
                wanted.push(access);
            }
        };
        for planned in writes {
            let target = self
                .target(planned.object())
                .map_err(|error| Error::new(Exit::Negative, error.to_string()))?;
            for verb in planned.verbs() {
                want(access(verb, &target));
            }
        }
        let kind = |group: &str, plural: &str, verb: &str| Access {
            verb: verb.to_owned(),
            group: group.to_owned(),
            plural: plural.to_owned(),
            namespace: Some(namespace.to_string()),
            name: None,
        };
        for (group, plural, verbs) in BOOKKEEPING {
            for verb in *verbs {
                want(kind(group, plural, verb));
            }
        }
        review(self.client, &wanted).await
    }
}

/// Whether another look may find it otherwise.
fn passes(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Unknown { .. }
            | ClientError::Timeout { .. }
            | ClientError::Throttled { .. }
            | ClientError::Unreachable { .. }
            | ClientError::Expired { .. }
    ) || matches!(error, ClientError::Server { code, .. } if *code >= 500)
}

/// Whether somebody else wrote the object between the look and the write.
fn is_raced(error: &ClientError) -> bool {
    matches!(
        error,
        ClientError::Changed { .. } | ClientError::Exists { .. }
    )
}

fn generation_of(object: &Value) -> Option<i64> {
    object
        .pointer("/metadata/generation")
        .and_then(Value::as_i64)
}

#[cfg(test)]
mod tests;
