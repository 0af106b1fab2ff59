//! A translation in the making.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::change::{Change, Edit, Manifest, Phase, SOURCE, rank};
use super::fidelity::{Remark, Treatment, Weight};
use super::{Topic, Translation, proof::Proofs};
use crate::kinds::{FieldPath, Kind, ObjectRef};
use crate::mesh::Mesh;

/// What the parts of a translation note.
#[derive(Debug)]
pub(crate) struct Draft {
    treatments: BTreeMap<ObjectRef, Noted>,
    /// What is created, by name.
    names: BTreeSet<ObjectRef>,
    /// `None` where nobody asks for the objects: those of a whole cluster take more memory than all that was read of
    /// it.
    changes: Option<Changes>,
}

/// What changes.
#[derive(Debug, Default)]
struct Changes {
    created: BTreeMap<ObjectRef, (Phase, Manifest, BTreeSet<ObjectRef>)>,
    patched: BTreeMap<ObjectRef, BTreeMap<Phase, Patches>>,
    removed: BTreeMap<ObjectRef, (Phase, BTreeSet<ObjectRef>)>,
}

/// Changes of one object, and on whose account.
type Patches = (Vec<Value>, BTreeSet<ObjectRef>);

#[derive(Debug, Default)]
struct Noted {
    becomes: BTreeSet<ObjectRef>,
    remarks: Vec<Remark>,
}

impl Draft {
    /// One that keeps what changes.
    pub(crate) fn of_changes() -> Self {
        Self {
            treatments: BTreeMap::new(),
            names: BTreeSet::new(),
            changes: Some(Changes::default()),
        }
    }

    /// One that keeps only what is to be said of the objects that were there.
    pub(crate) fn of_treatments() -> Self {
        Self {
            changes: None,
            ..Self::of_changes()
        }
    }

    /// An object that was looked at. Without a remark nothing is to be said of it.
    pub(crate) fn look(&mut self, object: &ObjectRef) {
        self.treatments.entry(object.clone()).or_default();
    }

    /// Something to be said of an object.
    pub(crate) fn remark(&mut self, object: &ObjectRef, remark: Remark) {
        let noted = self.treatments.entry(object.clone()).or_default();
        if !noted.remarks.contains(&remark) {
            noted.remarks.push(remark);
        }
    }

    /// What an object becomes.
    pub(crate) fn becomes(&mut self, object: &ObjectRef, what: &ObjectRef) {
        let noted = self.treatments.entry(object.clone()).or_default();
        noted.becomes.insert(what.clone());
    }

    /// A new object, on account of others.
    pub(crate) fn create(&mut self, phase: Phase, manifest: Manifest, because: &[&ObjectRef]) {
        let object = manifest.object().clone();
        if let Some(changes) = &mut self.changes {
            let because = because.iter().map(|object| (*object).clone()).collect();
            let created = (phase, manifest, because);
            changes.created.insert(object.clone(), created);
        }
        self.names.insert(object);
    }

    /// A new object under the first free name, on account of others; nothing is done where it is there
    /// already. Gives what it is called.
    pub(crate) fn create_free(
        &mut self,
        mesh: &Mesh,
        phase: Phase,
        name: &str,
        because: &[&ObjectRef],
        named: impl Fn(&str) -> Manifest,
    ) -> ObjectRef {
        for number in 1_usize.. {
            let manifest = match number {
                1 => named(&within_limit(name, "")),
                more => named(&within_limit(name, &format!("-{more}"))),
            };
            let object = manifest.object().clone();
            if self.creates(&object) {
                continue;
            }
            if let Some(known) = mesh.inventory().whole(&object) {
                if is_ours(&known) && known["spec"] == manifest.json()["spec"] {
                    return object;
                }
                continue;
            }
            self.create(phase, manifest, because);
            return object;
        }
        unreachable!("some name is free")
    }

    /// A change of an object, as a JSON merge patch. Changes of one object in one phase are one. An
    /// object that this translation creates may change in a later phase.
    pub(crate) fn patch(
        &mut self,
        phase: Phase,
        object: &ObjectRef,
        patch: Value,
        because: &[&ObjectRef],
    ) {
        let Some(changes) = &mut self.changes else {
            return;
        };
        let phases = changes.patched.entry(object.clone()).or_default();
        let (patches, reasons) = phases.entry(phase).or_default();
        patches.push(patch);
        reasons.extend(because.iter().map(|object| (*object).clone()));
    }

    /// An object goes. One that this translation creates is never created then.
    pub(crate) fn remove(&mut self, phase: Phase, object: &ObjectRef, because: &[&ObjectRef]) {
        if let Some(changes) = &mut self.changes {
            let because = because.iter().map(|object| (*object).clone()).collect();
            changes.removed.insert(object.clone(), (phase, because));
        }
    }

    /// Whether an object of this name is created.
    pub(crate) fn creates(&self, object: &ObjectRef) -> bool {
        self.names.contains(object)
    }

    /// What becomes of the objects, without writing any.
    pub(crate) fn treatments(self) -> Vec<Treatment> {
        treatments(self.treatments)
    }

    /// The translation, not yet compared.
    pub(crate) fn finish(mut self, mesh: &Mesh) -> Translation {
        let Changes {
            created: made,
            patched,
            removed,
        } = self.changes.unwrap_or_default();
        let created: BTreeMap<ObjectRef, Manifest> = made
            .iter()
            .filter(|(object, _)| patched.contains_key(object))
            .map(|(object, (_, manifest, _))| (object.clone(), manifest.clone()))
            .collect();
        let mut changes = Vec::new();
        for (phase, manifest, because) in made.into_values() {
            changes.push(change(phase, Edit::Create(manifest), because));
        }
        let whole = |object: &ObjectRef| {
            if let Some(manifest) = created.get(object) {
                return Ok(manifest.clone());
            }
            // As the inventory calls what has a `generateName`.
            if object.name.contains('*') {
                return Err(Unwritable::Nameless);
            }
            let json = mesh.inventory().whole(object).ok_or(Unwritable::Unread)?;
            Ok(Manifest::of(object.clone(), json))
        };
        let mut latest: BTreeMap<ObjectRef, Manifest> = BTreeMap::new();
        for (object, phases) in patched {
            let mut before = match whole(&object) {
                Ok(before) => before,
                Err(why) => {
                    why.refuse(&mut self.treatments, object);
                    continue;
                }
            };
            for (phase, (patches, because)) in phases {
                let patch = patches.into_iter().reduce(joined).unwrap_or_default();
                let after = before.patched(&patch);
                if after != before {
                    let edit = Edit::Update {
                        before,
                        after: after.clone(),
                        patch,
                    };
                    changes.push(change(phase, edit, because));
                }
                before = after;
            }
            latest.insert(object, before);
        }
        for (object, (phase, because)) in removed {
            let last = latest.remove(&object).map_or_else(|| whole(&object), Ok);
            match last {
                Ok(last) => changes.push(change(phase, Edit::Remove(last), because)),
                Err(why) => why.refuse(&mut self.treatments, object),
            }
        }
        changes.sort_by_cached_key(|change| {
            let object = change.edit.object().clone();
            // What is new stands before what makes room for it changes.
            let turn = match change.edit {
                Edit::Create(_) => 0,
                Edit::Update { .. } => 1,
                Edit::Remove(_) => 2,
            };
            // A pod that is made between its template's change and its namespace's must find both.
            let last = change.phase == Phase::Switch && object.kind == Kind::Namespace;
            (
                change.phase,
                turn == 2,
                last,
                rank(object.kind),
                turn,
                object,
            )
        });
        Translation {
            treatments: treatments(self.treatments),
            changes,
            proofs: Proofs::default(),
        }
    }
}

/// Why an object that has to change cannot be written.
#[derive(Debug, Clone, Copy)]
enum Unwritable {
    /// Not all of it is known.
    Unread,
    /// It has a `generateName`: who applies it makes another object each time.
    Nameless,
}

impl Unwritable {
    /// Refuses the object: a change that is left out unsaid may leave a Service without its waypoint.
    fn refuse(self, noted: &mut BTreeMap<ObjectRef, Noted>, object: ObjectRef) {
        let (says, remedy) = match self {
            Self::Unread => (
                "has to change, and was not read whole",
                "give its whole manifest, or the right to read it",
            ),
            Self::Nameless => (
                "has to change, and has a generateName: no manifest is that of the object in the cluster",
                "give it a name",
            ),
        };
        let remark = Remark::new(Topic::NotInInput, Weight::Refused, FieldPath::root(), says);
        let remark = remark.remedy(remedy);
        let noted = noted.entry(object).or_default();
        // It may have to change in more than one phase.
        if !noted.remarks.contains(&remark) {
            noted.remarks.push(remark);
        }
    }
}

/// A name with an ending, without something of its middle where it would be too long: what stands last
/// says what it is (`IsDNS1123Subdomain` in apimachinery's `validation.go`).
fn within_limit(name: &str, ending: &str) -> String {
    const LONGEST: usize = 253;
    const KEPT: usize = 40;
    let room = LONGEST - ending.len() - 1;
    let shortened = name
        .len()
        .checked_sub(KEPT)
        .filter(|_| name.len() > room + 1);
    let parts = shortened.and_then(|last| Some((name.get(..room - KEPT)?, name.get(last..)?)));
    match parts {
        Some((first, last)) => {
            let first = first.trim_end_matches(['-', '.']);
            let last = last.trim_start_matches(['-', '.']);
            format!("{first}-{last}{ending}")
        }
        None => format!("{name}{ending}"),
    }
}

/// Whether this program made an object.
pub(crate) fn is_ours(object: &Value) -> bool {
    object["metadata"]["annotations"].get(SOURCE).is_some()
}

fn treatments(noted: BTreeMap<ObjectRef, Noted>) -> Vec<Treatment> {
    let treatments = noted.into_iter().map(|(object, noted)| {
        let mut remarks = noted.remarks;
        remarks.sort_by(|a, b| (&a.field, a.topic, &a.says).cmp(&(&b.field, b.topic, &b.says)));
        Treatment {
            object,
            becomes: noted.becomes.into_iter().collect(),
            remarks,
        }
    });
    treatments.collect()
}

fn change(phase: Phase, edit: Edit, because: BTreeSet<ObjectRef>) -> Change {
    Change {
        phase,
        edit,
        because: because.into_iter().collect(),
    }
}

/// Two merge patches as one.
fn joined(mut one: Value, two: Value) -> Value {
    match (&mut one, two) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                let merged = match fields.remove(&key) {
                    Some(known) if known.is_object() => joined(known, value),
                    _ => value,
                };
                fields.insert(key, merged);
            }
            one
        }
        (_, two) => two,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_longer_than_a_server_takes() {
        for length in [1, 40, 249, 250, 253, 254, 300] {
            for ending in ["", "-2", "-31"] {
                let name = format!("{}-guard", "a".repeat(length));
                let made = within_limit(&name, ending);
                assert!(made.len() <= 253, "{} of {length}{ending}", made.len());
                assert!(made.ends_with(&format!("-guard{ending}")), "{made}");
                if name.len() + ending.len() <= 253 {
                    assert_eq!(made, format!("{name}{ending}"));
                }
            }
        }
    }
}
