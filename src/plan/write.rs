//! One write: an object that is made, some fields of one that change, or an object that goes.
//!
//! A write knows both ends of what it does, so whether it was made can be read off the object at any
//! time, and its undo is known before it is made. Nothing here talks to a cluster.

mod compare;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use compare::at_path;
use compare::{change_standing, differences, missing, named};

use crate::kinds::{Kind, ObjectRef};

/// The annotation by which `kubectl rollout restart` has pods replaced.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// A field with its value before and after; nothing where it is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The keys that lead to it.
    pub path: Vec<String>,
    /// As it is before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// As it is after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// One write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "camelCase")]
pub enum Write {
    /// An object is made.
    #[serde(rename_all = "camelCase")]
    Create {
        /// Which.
        object: ObjectRef,
        /// What is written.
        manifest: Value,
        /// Its `metadata.generation` once it was made, where its kind counts them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<i64>,
    },
    /// Fields of an object change.
    #[serde(rename_all = "camelCase")]
    Change {
        /// Which.
        object: ObjectRef,
        /// The fields, by path.
        fields: Vec<FieldChange>,
    },
    /// An object goes.
    #[serde(rename_all = "camelCase")]
    Remove {
        /// Which.
        object: ObjectRef,
        /// As it is, without what only a server writes.
        manifest: Value,
        /// Its `metadata.generation` when it was seen last, where its kind counts them: another one
        /// means that somebody has changed it since.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<i64>,
    },
    /// An object goes for good: nothing is kept of it, and nothing makes it again.
    #[serde(rename_all = "camelCase")]
    Delete {
        /// Which.
        object: ObjectRef,
        /// Its `uid`; another of the same name is another. Nothing where it was gone already.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uid: Option<String>,
    },
}

/// Something to be written, as far as a plan can know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Planned {
    /// A write, whole.
    Write(Write),
    /// A workload has its pods replaced, by the annotation [`RESTARTED_AT`] of its template.
    Restart(ObjectRef),
    /// A field is set, whatever it is; the object may not be there yet.
    #[serde(rename_all = "camelCase")]
    Set {
        /// The object.
        object: ObjectRef,
        /// The keys that lead to the field.
        path: Vec<String>,
        /// Its value then.
        value: Value,
    },
    /// An object goes for good.
    Delete(ObjectRef),
}

impl Planned {
    /// The object.
    pub fn object(&self) -> &ObjectRef {
        match self {
            Self::Write(write) => write.object(),
            Self::Restart(object) | Self::Delete(object) | Self::Set { object, .. } => object,
        }
    }

    /// The verbs that a right is needed for.
    pub const fn verbs(&self) -> &'static [&'static str] {
        match self {
            Self::Write(write) => write.verbs(),
            Self::Restart(_) | Self::Set { .. } => &["get", "patch"],
            Self::Delete(_) => &["get", "delete"],
        }
    }

    /// The write, now that the object and the time are known.
    pub fn resolve(&self, current: Option<&Value>, now: &str) -> Write {
        let (object, path, value) = match self {
            Self::Write(write) => return write.clone(),
            Self::Delete(object) => {
                let uid = current.and_then(|current| current.pointer("/metadata/uid"));
                return Write::Delete {
                    object: object.clone(),
                    uid: uid.and_then(Value::as_str).map(str::to_owned),
                };
            }
            Self::Restart(object) => {
                let mut path = template_path(object.kind);
                path.extend(["metadata", "annotations", RESTARTED_AT].map(str::to_owned));
                (object, path, Value::from(now))
            }
            Self::Set {
                object,
                path,
                value,
            } => (object, path.clone(), value.clone()),
        };
        let before = current.and_then(|current| at_path(current, &path)).cloned();
        let after = Some(value);
        Write::Change {
            object: object.clone(),
            fields: vec![FieldChange {
                path,
                before,
                after,
            }],
        }
    }
}

/// Something that somebody else changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    /// The field, with dots; empty for the object as a whole.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// What stands there, and what was expected.
    pub says: String,
}

/// How an object stands to a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// The write is made.
    Made,
    /// It can be made, by this request.
    Due(Request),
    /// Somebody else changed what it is about, or the object is not there.
    Drifted(Vec<Drift>),
}

/// What is sent to make a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// An object is applied.
    Apply(Value),
    /// A JSON merge patch, which holds the `resourceVersion` that it is about.
    Patch(Value),
    /// An object is deleted, if it is still the one with this `uid` and `resourceVersion`.
    Delete {
        /// Its `uid`.
        uid: Option<String>,
        /// Its `resourceVersion`.
        resource_version: Option<String>,
    },
}

impl Write {
    /// The object.
    pub fn object(&self) -> &ObjectRef {
        match self {
            Self::Create { object, .. }
            | Self::Change { object, .. }
            | Self::Remove { object, .. }
            | Self::Delete { object, .. } => object,
        }
    }

    /// The verbs that a right is needed for.
    pub const fn verbs(&self) -> &'static [&'static str] {
        match self {
            Self::Create { .. } => &["get", "create", "patch"],
            Self::Change { .. } => &["get", "patch"],
            Self::Remove { .. } | Self::Delete { .. } => &["get", "delete"],
        }
    }

    /// The change that makes an object what it is after.
    pub fn between(object: &ObjectRef, before: &Value, after: &Value) -> Self {
        let mut fields = Vec::new();
        differences(&mut Vec::new(), Some(before), Some(after), &mut fields);
        Self::Change {
            object: object.clone(),
            fields,
        }
    }

    /// What undoes it, once it is made; nothing where nothing does.
    #[must_use]
    pub fn undo(self) -> Option<Self> {
        Some(match self {
            Self::Delete { .. } => return None,
            Self::Create {
                object,
                manifest,
                generation,
            } => Self::Remove {
                object,
                manifest,
                generation,
            },
            Self::Remove {
                object, manifest, ..
            } => Self::Create {
                object,
                manifest,
                generation: None,
            },
            Self::Change { object, fields } => {
                let swapped = fields.into_iter().map(|field| FieldChange {
                    path: field.path,
                    before: field.after,
                    after: field.before,
                });
                Self::Change {
                    object,
                    fields: swapped.collect(),
                }
            }
        })
    }

    /// How an object as the server has it stands to this write; `None` when there is none.
    pub fn standing(&self, current: Option<&Value>) -> Standing {
        match self {
            Self::Create {
                object, manifest, ..
            } => match current {
                None => Standing::Due(Request::Apply(manifest.clone())),
                Some(current) => match missing(manifest, current) {
                    drifts if drifts.is_empty() => Standing::Made,
                    drifts => {
                        Standing::Drifted(named(object, "is there already, otherwise", drifts))
                    }
                },
            },
            Self::Remove {
                manifest,
                generation,
                object,
            } => match current {
                None => Standing::Made,
                Some(current) => {
                    let now = current
                        .pointer("/metadata/generation")
                        .and_then(Value::as_i64);
                    let mut drifts = missing(manifest, current);
                    let changed = generation.is_some() && now.is_some() && *generation != now;
                    if drifts.is_empty() && changed {
                        drifts.push(Drift {
                            field: String::new(),
                            says: "was changed since it was written".to_owned(),
                        });
                    }
                    if drifts.is_empty() {
                        let meta =
                            |name: &str| current["metadata"][name].as_str().map(str::to_owned);
                        Standing::Due(Request::Delete {
                            uid: meta("uid"),
                            resource_version: meta("resourceVersion"),
                        })
                    } else {
                        Standing::Drifted(named(object, "was changed", drifts))
                    }
                }
            },
            Self::Change { object, fields } => change_standing(object, fields, current),
            Self::Delete { uid, .. } => {
                let now = current.and_then(|current| current["metadata"]["uid"].as_str());
                match current {
                    Some(_) if uid.is_none() || uid.as_deref() == now => {
                        Standing::Due(Request::Delete {
                            uid: now.map(str::to_owned),
                            resource_version: None,
                        })
                    }
                    _ => Standing::Made,
                }
            }
        }
    }

    /// The same end from where the object stands now, whoever brought it there; nothing where there is no
    /// way, since the object is gone.
    pub fn overwriting(&self, current: Option<&Value>) -> Option<Self> {
        let current = current?;
        Some(match self {
            Self::Delete { .. } => self.clone(),
            Self::Create {
                object, manifest, ..
            } => {
                let mut after = current.clone();
                for (key, value) in manifest.as_object()? {
                    if !matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
                        after[key] = value.clone();
                    }
                }
                Self::between(object, current, &after)
            }
            Self::Change { object, fields } => Self::Change {
                object: object.clone(),
                fields: fields
                    .iter()
                    .map(|field| FieldChange {
                        before: at_path(current, &field.path).cloned(),
                        ..field.clone()
                    })
                    .collect(),
            },
            Self::Remove { object, .. } => Self::Remove {
                object: object.clone(),
                manifest: crate::translate::Manifest::of(object.clone(), current.clone())
                    .json()
                    .clone(),
                generation: current
                    .pointer("/metadata/generation")
                    .and_then(Value::as_i64),
            },
        })
    }

    /// The object as a server would have it once this is made, for those who follow a run without one.
    pub fn applied_to(&self, current: Option<Value>) -> Option<Value> {
        match self.standing(current.as_ref()) {
            Standing::Made | Standing::Drifted(_) => current,
            Standing::Due(Request::Apply(manifest)) => Some(manifest),
            Standing::Due(Request::Patch(patch)) => {
                let mut object = current?;
                crate::translate::change::merge(&mut object, &patch);
                Some(object)
            }
            Standing::Due(Request::Delete { .. }) => None,
        }
    }
}

/// The keys that lead to the pod template of a workload.
pub fn template_path(kind: Kind) -> Vec<String> {
    let path: &[&str] = match kind {
        Kind::CronJob => &["spec", "jobTemplate", "spec", "template"],
        _ => &["spec", "template"],
    };
    path.iter().map(|key| (*key).to_owned()).collect()
}
