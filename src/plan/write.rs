//! One write: an object that is made, some fields of one that change, or an object that goes.
//!
//! A write knows both ends of what it does, so whether it was made can be read off the object at any
//! time, and its undo is known before it is made. Nothing here talks to a cluster.

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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
}

impl Planned {
    /// The object.
    pub fn object(&self) -> &ObjectRef {
        match self {
            Self::Write(write) => write.object(),
            Self::Restart(object) | Self::Set { object, .. } => object,
        }
    }

    /// The verbs that a right is needed for.
    pub const fn verbs(&self) -> &'static [&'static str] {
        match self {
            Self::Write(write) => write.verbs(),
            Self::Restart(_) | Self::Set { .. } => &["get", "patch"],
        }
    }

    /// The write, now that the object and the time are known.
    pub fn resolve(&self, current: Option<&Value>, now: &str) -> Write {
        let (object, path, value) = match self {
            Self::Write(write) => return write.clone(),
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
            | Self::Remove { object, .. } => object,
        }
    }

    /// The verbs that a right is needed for.
    pub const fn verbs(&self) -> &'static [&'static str] {
        match self {
            Self::Create { .. } => &["get", "create", "patch"],
            Self::Change { .. } => &["get", "patch"],
            Self::Remove { .. } => &["get", "delete"],
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

    /// What undoes it, once it is made.
    #[must_use]
    pub fn undo(self) -> Self {
        match self {
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
        }
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
        }
    }

    /// The same end from where the object stands now, whoever brought it there; nothing where there is no
    /// way, since the object is gone.
    pub fn overwriting(&self, current: Option<&Value>) -> Option<Self> {
        let current = current?;
        Some(match self {
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

fn change_standing(
    object: &ObjectRef,
    fields: &[FieldChange],
    current: Option<&Value>,
) -> Standing {
    let Some(current) = current else {
        return Standing::Drifted(vec![Drift {
            field: String::new(),
            says: format!("{} is gone", object.short()),
        }]);
    };
    let mut drifts = Vec::new();
    let mut patch = Value::Object(Map::new());
    let mut due = false;
    for field in fields {
        let now = at_path(current, &field.path);
        if is(now, field.after.as_ref()) {
            continue;
        }
        // Rules that are narrowed hold what they held before, and a server adds defaults to what is
        // written: so what is exactly as before comes first.
        if is(now, field.before.as_ref()) {
            due = true;
            put(
                &mut patch,
                &field.path,
                field.after.clone().unwrap_or(Value::Null),
            );
        } else if field.path.last().is_some_and(|key| key == RESTARTED_AT) {
            // Whoever restarted it since: another value replaces the pods once more.
            due = true;
            put(
                &mut patch,
                &field.path,
                field.after.clone().unwrap_or(Value::Null),
            );
        } else if narrows(field) || !same(now, field.after.as_ref()) {
            drifts.push(Drift {
                field: field.path.join("."),
                says: format!(
                    "is {}, where {} was expected",
                    words(now),
                    words(field.before.as_ref())
                ),
            });
        }
    }
    if !drifts.is_empty() {
        return Standing::Drifted(drifts);
    }
    if !due {
        return Standing::Made;
    }
    if let Some(version) = current.pointer("/metadata/resourceVersion") {
        put(
            &mut patch,
            &["metadata".to_owned(), "resourceVersion".to_owned()],
            version.clone(),
        );
    }
    Standing::Due(Request::Patch(patch))
}

/// A value in a sentence.
fn words(value: Option<&Value>) -> String {
    const LONGEST: usize = 80;
    let Some(value) = value else {
        return "absent".to_owned();
    };
    let text = value.to_string();
    if text.chars().count() <= LONGEST {
        return text;
    }
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut}…")
}

fn named(object: &ObjectRef, how: &str, mut drifts: Vec<Drift>) -> Vec<Drift> {
    for drift in &mut drifts {
        if drift.field.is_empty() {
            drift.says = format!("{} {how}: {}", object.short(), drift.says);
        }
    }
    drifts
}

/// The value at a path.
pub fn at_path<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn put(target: &mut Value, path: &[String], value: Value) {
    let Some((key, rest)) = path.split_first() else {
        *target = value;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(fields) = target {
        put(fields.entry(key).or_insert(Value::Null), rest, value);
    }
}

/// Whether what was there holds all of what will be: then more than that is not a server's default.
fn narrows(field: &FieldChange) -> bool {
    match (&field.before, &field.after) {
        (Some(before), Some(after)) => holds(before, after),
        _ => false,
    }
}

/// Whether a field is exactly this. A server drops maps without entries.
fn is(now: Option<&Value>, wanted: Option<&Value>) -> bool {
    let present = |value: Option<&Value>| {
        let empty = |value: &&Value| value.as_object().is_some_and(Map::is_empty);
        value
            .filter(|value| !value.is_null() && !empty(value))
            .cloned()
    };
    present(now) == present(wanted)
}

/// Whether a server has what was written: it may add defaults.
fn same(now: Option<&Value>, wanted: Option<&Value>) -> bool {
    match (now, wanted) {
        (None, None) => true,
        (Some(now), Some(wanted)) => holds(now, wanted),
        (Some(Value::Object(now)), None) => now.is_empty(),
        _ => false,
    }
}

/// Whether a value holds all of another: objects may have more fields, by which a server fills in
/// defaults; lists may not have more elements.
fn holds(now: &Value, wanted: &Value) -> bool {
    match (now, wanted) {
        (Value::Object(now), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, wanted)| same(now.get(key), Some(wanted)) || wanted.is_null()),
        (Value::Array(now), Value::Array(wanted)) => {
            now.len() == wanted.len() && now.iter().zip(wanted).all(|(n, w)| holds(n, w))
        }
        _ => now == wanted,
    }
}

/// The fields of a manifest that an object does not have as they are written.
fn missing(manifest: &Value, current: &Value) -> Vec<Drift> {
    let mut drifts = Vec::new();
    let meta =
        |part: &str| [Some(manifest), Some(current)].map(|v| v.map(|v| &v["metadata"][part]));
    for part in ["labels", "annotations"] {
        let [Some(wanted), Some(now)] = meta(part) else {
            continue;
        };
        for (key, value) in wanted.as_object().into_iter().flatten() {
            if now.get(key) != Some(value) {
                drifts.push(Drift {
                    field: format!("metadata.{part}.{key}"),
                    says: format!("is {}, where {value} was expected", words(now.get(key))),
                });
            }
        }
    }
    for (key, wanted) in manifest.as_object().into_iter().flatten() {
        if matches!(key.as_str(), "apiVersion" | "kind" | "metadata" | "status") {
            continue;
        }
        lacking(
            &mut vec![key.clone()],
            current.get(key),
            wanted,
            &mut drifts,
        );
    }
    drifts
}

fn lacking(path: &mut Vec<String>, now: Option<&Value>, wanted: &Value, drifts: &mut Vec<Drift>) {
    match (now, wanted) {
        (Some(Value::Object(now)), Value::Object(wanted)) => {
            for (key, wanted) in wanted {
                path.push(key.clone());
                lacking(path, now.get(key), wanted, drifts);
                path.pop();
            }
        }
        (now, wanted) if same(now, Some(wanted)) => {}
        (now, wanted) => drifts.push(Drift {
            field: path.join("."),
            says: format!(
                "is {}, where {} was expected",
                words(now),
                words(Some(wanted))
            ),
        }),
    }
}

/// The deepest fields in which two objects differ. Labels and annotations are told apart key by key
/// even where there were none: others write some, too.
fn differences(
    path: &mut Vec<String>,
    before: Option<&Value>,
    after: Option<&Value>,
    fields: &mut Vec<FieldChange>,
) {
    let empty = Value::Object(Map::new());
    let is_map = matches!(path.as_slice(), [.., parent, last]
        if parent == "metadata" && (last == "labels" || last == "annotations"));
    let (before, after) = if is_map {
        (before.or(Some(&empty)), after.or(Some(&empty)))
    } else {
        (before, after)
    };
    match (before, after) {
        (Some(Value::Object(one)), Some(Value::Object(two))) => {
            let mut keys: Vec<&String> = one.keys().chain(two.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                path.push(key.clone());
                differences(path, one.get(key), two.get(key), fields);
                path.pop();
            }
        }
        (one, two) if one == two => {}
        (one, two) => fields.push(FieldChange {
            path: path.clone(),
            before: one.cloned(),
            after: two.cloned(),
        }),
    }
}
