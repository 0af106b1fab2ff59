//! Whether an object is what was written, what was there before, or something else.

use serde_json::{Map, Value};

use super::{Drift, FieldChange, RESTARTED_AT, Request, Standing};
use crate::kinds::ObjectRef;

pub(super) fn change_standing(
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

pub(super) fn named(object: &ObjectRef, how: &str, mut drifts: Vec<Drift>) -> Vec<Drift> {
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

pub(super) fn put(target: &mut Value, path: &[String], value: Value) {
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
pub(super) fn missing(manifest: &Value, current: &Value) -> Vec<Drift> {
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
pub(super) fn differences(
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
