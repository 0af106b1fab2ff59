//! What may be done of a translation, given what was accepted: nothing on account of an object that
//! is refused.
//!
//! A policy that has no counterpart is enforced as long as its pods have their sidecars. So where an
//! object is refused, neither its own changes are made nor anything that takes its namespace out of
//! sidecar mode.

use std::collections::{BTreeMap, BTreeSet};

use super::change::rank;
use super::{Change, Edit, Manifest, Options, Phase, Remark, Translation, Treatment, Weight};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::Mesh;

/// A translation, and what may be done of it.
pub struct Decision<'t> {
    translation: &'t Translation,
    options: &'t Options,
    mesh: &'t Mesh,
    /// Objects that are refused, or whose translation loses what nobody accepted.
    stopped: BTreeSet<&'t ObjectRef>,
    /// The objects asked about, and what they become; `None` when all are.
    asked: Option<BTreeSet<&'t ObjectRef>>,
}

/// What becomes of an object over several phases.
#[derive(Debug, Clone, Copy)]
pub struct Net<'t> {
    /// The object.
    pub object: &'t ObjectRef,
    /// As it was; nothing when it is new.
    pub before: Option<&'t Manifest>,
    /// As it is then; nothing when it is gone.
    pub after: Option<&'t Manifest>,
    /// The first change on the way.
    pub first: &'t Change,
}

impl<'t> Decision<'t> {
    /// What may be done of a translation that was made with these options.
    pub fn new(translation: &'t Translation, options: &'t Options, mesh: &'t Mesh) -> Self {
        let stops = |treatment: &&Treatment| {
            let mut remarks = treatment.remarks.iter();
            remarks.any(|remark| stops(options, remark))
        };
        let stopped = translation.treatments.iter().filter(stops);
        let asked = (!options.only.is_empty()).then(|| {
            let mut asked: BTreeSet<&ObjectRef> = options.only.iter().collect();
            let of_those = translation.treatments.iter();
            for treatment in of_those.filter(|treatment| options.only.contains(&treatment.object)) {
                asked.extend(&treatment.becomes);
            }
            asked
        });
        Self {
            translation,
            options,
            mesh,
            stopped: stopped.map(|treatment| &treatment.object).collect(),
            asked,
        }
    }

    /// Whether a remark stands in the way: a refusal, or a loss that was not accepted.
    pub fn stops(&self, remark: &Remark) -> bool {
        stops(self.options, remark)
    }

    /// The objects that were asked about.
    pub fn treatments(&self) -> impl Iterator<Item = &'t Treatment> + '_ {
        let all = self.translation.treatments.iter();
        all.filter(|treatment| {
            self.options.only.is_empty() || self.options.only.contains(&treatment.object)
        })
    }

    /// Whether an object that was asked about is refused, or loses what nobody accepted.
    pub fn refuses(&self) -> bool {
        let mut treatments = self.treatments();
        treatments.any(|treatment| self.stopped.contains(&treatment.object))
    }

    /// The changes on account of what was asked about, each with the object for whose sake it may not
    /// be made.
    pub fn changes(&self) -> impl Iterator<Item = (&'t Change, Option<&'t ObjectRef>)> + '_ {
        let changes = self.translation.changes.iter();
        let changes = changes.filter(|change| self.concerns(change));
        changes.map(|change| (change, self.withheld(change)))
    }

    /// The changes that may be made, of one phase or of all.
    pub fn made(&self, phase: Option<Phase>) -> impl Iterator<Item = &'t Change> + '_ {
        let changes = self.changes();
        let made = changes.filter(|(_, withheld)| withheld.is_none());
        made.map(|(change, _)| change)
            .filter(move |change| phase.is_none_or(|phase| phase == change.phase))
    }

    /// What becomes of each object by the changes that may be made, of one phase or of all; by object.
    pub fn net(&self, phase: Option<Phase>) -> Vec<Net<'t>> {
        let mut all: BTreeMap<&ObjectRef, Net<'t>> = BTreeMap::new();
        for change in self.made(phase) {
            let object = change.edit.object();
            let before = match &change.edit {
                Edit::Create(_) => None,
                Edit::Update { before, .. } | Edit::Remove(before) => Some(before),
            };
            let net = all.entry(object).or_insert(Net {
                object,
                before,
                after: None,
                first: change,
            });
            net.after = change.edit.after();
        }
        let changed = |net: &Net<'_>| net.before != net.after;
        all.into_values().filter(changed).collect()
    }

    /// The objects that exist when all is done: what is new, what is changed, and of what was asked
    /// about what stays. Of one phase: what it creates or changes. In the order in which they may be
    /// applied.
    pub fn objects(&self, phase: Option<Phase>) -> Vec<Manifest> {
        let mut objects: BTreeMap<&ObjectRef, Option<Manifest>> = BTreeMap::new();
        if phase.is_none() {
            for treatment in self.treatments() {
                objects.insert(&treatment.object, self.as_it_is(&treatment.object));
            }
        }
        for change in self.made(phase) {
            objects.insert(change.edit.object(), change.edit.after().cloned());
        }
        let mut objects: Vec<Manifest> = objects.into_values().flatten().collect();
        objects.sort_by_cached_key(|manifest| {
            (rank(manifest.object().kind), manifest.object().clone())
        });
        objects
    }

    fn as_it_is(&self, object: &ObjectRef) -> Option<Manifest> {
        let json = self.mesh.inventory().whole(object)?;
        Some(Manifest::of(object.clone(), json))
    }

    /// Whether a change is made on account of something that was asked about, or is a waypoint, or
    /// binds to one.
    fn concerns(&self, change: &Change) -> bool {
        let Some(asked) = &self.asked else {
            return true;
        };
        let object = change.edit.object();
        let is_gateway = |object: &ObjectRef| object.kind == Kind::Gateway;
        let waypoint = is_gateway(object) && matches!(change.edit, Edit::Create(_));
        let binds = object.kind == Kind::Service
            && !change.because.is_empty()
            && change.because.iter().all(is_gateway);
        let mut because = change.because.iter();
        waypoint || binds || asked.contains(object) || because.any(|it| asked.contains(it))
    }

    /// The object for whose sake a change may not be made.
    fn withheld(&self, change: &Change) -> Option<&'t ObjectRef> {
        let object = change.edit.object();
        if let Some(stopped) = self.stopped.get(object) {
            return Some(stopped);
        }
        if let Some(stopped) = change.because.iter().find_map(|it| self.stopped.get(it)) {
            return Some(stopped);
        }
        if change.phase < Phase::Enrol {
            return None;
        }
        let home = home_of(object);
        let root = self.mesh.root_namespace();
        let holds = |stopped: &&&'t ObjectRef| [home, root].contains(&home_of(stopped));
        self.stopped.iter().find(holds).copied()
    }
}

/// The namespace that an object belongs to, or is.
fn home_of(object: &ObjectRef) -> &Name {
    match object.kind {
        Kind::Namespace => &object.name,
        _ => &object.namespace,
    }
}

fn stops(options: &Options, remark: &Remark) -> bool {
    match remark.weight {
        Weight::Refused => true,
        Weight::Lossy => !options.accepted.contains(&remark.topic),
        Weight::Form | Weight::Kept | Weight::Stated => false,
    }
}
