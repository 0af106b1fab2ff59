//! The comparison of both sides: the source objects in sidecars, the result as it is written, read
//! back, at waypoints and ztunnels.

pub(super) mod calls;
mod connections;
mod faults;
mod network;
mod rewritten;
mod routes;
pub(super) mod side;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::fidelity::{Remark, Weight};
use super::{Ground, Phase, Topic, Translation, written};
use crate::inventory::{Input, InventoryBuilder, Subject};
use crate::kinds::{FieldPath, Kind, ObjectRef};
use crate::mesh::Mesh;
use crate::semantics::{compare, verdict};
use side::Side;

/// What the comparison of both sides found.
#[derive(Debug, Default)]
pub struct Proofs {
    /// Of routes, sorted by host, port and client.
    pub routes: Vec<RouteProof>,
    /// Of verdicts, sorted by workload and way.
    pub calls: Vec<CallProof>,
}

/// How requests to a port of a Service are routed, before and after.
#[derive(Debug)]
pub struct RouteProof {
    /// The Service, or the ServiceEntry.
    pub service: ObjectRef,
    /// Its port.
    pub port: u16,
    /// The namespace of the client before.
    pub client: String,
    /// The routes that take part, before and after, sorted.
    pub concerns: Vec<ObjectRef>,
    /// What was found.
    pub comparison: compare::Comparison,
}

/// How calls to a workload are judged, before and after.
#[derive(Debug)]
pub struct CallProof {
    /// The workload.
    pub workload: ObjectRef,
    /// The Service that is called, where one is.
    pub service: Option<ObjectRef>,
    /// The policies that take part, before and after, sorted.
    pub concerns: Vec<ObjectRef>,
    /// What was found.
    pub comparison: verdict::Comparison,
}

impl Proofs {
    /// Classes of requests that were compared.
    pub fn classes(&self) -> usize {
        let routes = self.routes.iter().map(|proof| proof.comparison.classes);
        let calls = self.calls.iter().map(|proof| proof.comparison.classes);
        routes.chain(calls).sum()
    }

    /// Classes that differ.
    pub fn differing(&self) -> usize {
        let routes = self.routes.iter().map(|proof| proof.comparison.differing);
        let calls = self.calls.iter().map(|proof| proof.comparison.differing);
        routes.chain(calls).sum()
    }
}

/// Compares a translation with what it was made from. A difference that no remark tells of makes its
/// objects lossy.
pub(super) fn prove(ground: &Ground<'_>, mut translation: Translation) -> Translation {
    let result = read_back(&translation);
    let removed: BTreeSet<ObjectRef> = Phase::ALL
        .iter()
        .flat_map(|phase| translation.removed_in(*phase))
        .cloned()
        .collect();
    let gone = |object: &ObjectRef| removed.contains(object);
    note_unread(&mut translation, &result);
    let after = Side::of(ground.mesh, &gone, Some(&result));
    note_unreadable(ground, &mut translation, &after);
    translation.proofs.routes = routes::prove(ground, &after);
    note_differences(&mut translation);
    let mut calls = calls::prove(ground, &result, &mut translation);
    calls.extend(network::prove(ground, &result, &mut translation));
    calls.sort_by(|a, b| a.workload.cmp(&b.workload));
    translation.proofs.calls = calls;
    translation
}

/// The objects of the result, as their text says.
fn read_back(translation: &Translation) -> Mesh {
    let text = written::stream(translation.by_the_end_of(Phase::Retire));
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("result", text);
    Mesh::new(builder.finish())
}

/// What cannot be read back was not compared: it must not pass.
fn note_unread(translation: &mut Translation, result: &Mesh) {
    for unread in &result.inventory().unread {
        let on_account = |object: &ObjectRef| match &unread.subject {
            Subject::Object(known) => known == object,
            Subject::List { .. } | Subject::File(_) => true,
        };
        let changes = translation.changes.iter();
        let concerned: BTreeSet<ObjectRef> = changes
            .filter(|change| on_account(change.edit.object()))
            .map(|change| {
                change
                    .because
                    .first()
                    .unwrap_or(change.edit.object())
                    .clone()
            })
            .collect();
        for object in concerned {
            let says = format!("what it becomes cannot be read back: {}", unread.reason);
            let remark = Remark::new(Topic::Invalid, Weight::Refused, FieldPath::root(), says)
                .remedy(
                    "this is a mistake of the translation: leave the object as it is and report it",
                );
            tell(translation, &object, remark);
        }
    }
}

/// What takes part in no table was not compared. Whoever is of the namespaces that are translated, or
/// was written for them, is refused; and the Services that others route or split, on whose account they are.
fn note_unreadable(ground: &Ground<'_>, translation: &mut Translation, after: &Side) {
    let mesh = ground.mesh;
    let all = ground.source().unreadable.iter().chain(&after.unreadable);
    let mut told: BTreeSet<(ObjectRef, &ObjectRef)> = BTreeSet::new();
    for unreadable in all {
        let object = &unreadable.object;
        let mut written = translation.changes.iter();
        let written = written.find(|change| change.edit.object() == object);
        let mut concerned: BTreeSet<ObjectRef> = BTreeSet::new();
        if let Some(because) = written.and_then(|change| change.because.first()) {
            concerned.insert(because.clone());
        } else if ground.translates(&object.namespace) {
            concerned.insert(object.clone());
        } else {
            for host in &unreadable.hosts {
                let services = mesh.services_of_host(host, &object.namespace).iter();
                let ours = services.filter(|service| ground.translates(&service.object.namespace));
                concerned.extend(ours.map(|service| service.object.clone()));
            }
        }
        for concerned in concerned {
            if !told.insert((concerned.clone(), object)) || is_told(translation, &concerned, object)
            {
                continue;
            }
            let says = format!(
                "{object} cannot be read, so that nothing it does was compared: {}",
                unreadable.why
            );
            let remark = Remark::new(Topic::Invalid, Weight::Refused, FieldPath::root(), says)
                .remedy("correct the field, or remove the object if nothing needs it");
            tell(translation, &concerned, remark);
        }
    }
}

/// Whether an object that cannot be read is refused for that already.
fn is_told(translation: &Translation, concerned: &ObjectRef, object: &ObjectRef) -> bool {
    let treatments = &translation.treatments;
    let found = treatments.binary_search_by(|treatment| treatment.object.cmp(concerned));
    let remarks = found.map(|position| treatments[position].remarks.as_slice());
    concerned == object
        && remarks.is_ok_and(|remarks| {
            let mut remarks = remarks.iter();
            remarks.any(|it| (it.topic, it.weight) == (Topic::Invalid, Weight::Refused))
        })
}

/// Adds a remark on an object.
fn tell(translation: &mut Translation, object: &ObjectRef, remark: Remark) {
    let treatments = &mut translation.treatments;
    match treatments.binary_search_by(|treatment| treatment.object.cmp(object)) {
        Ok(position) => treatments[position].remarks.push(remark),
        Err(position) => treatments.insert(
            position,
            super::Treatment {
                object: object.clone(),
                becomes: Vec::new(),
                remarks: vec![remark],
            },
        ),
    }
}

/// Requests that are routed otherwise, on account of one object.
struct Otherwise {
    /// How many kinds.
    count: usize,
    /// The first, in words.
    first: String,
}

/// Makes those lossy whose requests are routed otherwise. Where a part of the translation says of an
/// object already that it loses something, that remark tells of the first request and of the number:
/// whoever accepts it sees how much it is.
fn note_differences(translation: &mut Translation) {
    let mut by_source: BTreeMap<&ObjectRef, Otherwise> = BTreeMap::new();
    for proof in &translation.proofs.routes {
        let Some(first) = proof.comparison.differences.first() else {
            continue;
        };
        let mut concerns = proof.concerns.iter();
        let source = concerns.find(|object| object.kind == Kind::VirtualService);
        let Some(source) = source.or(proof.concerns.first()) else {
            continue;
        };
        let otherwise = by_source.entry(source).or_insert_with(|| Otherwise {
            count: 0,
            first: format!(
                "requests to {} port {} from {} are routed otherwise: {first}",
                proof.service.short(),
                proof.port,
                proof.client
            ),
        });
        otherwise.count += proof.comparison.differing;
    }
    let by_source: Vec<(ObjectRef, Otherwise)> = by_source
        .into_iter()
        .map(|(source, otherwise)| (source.clone(), otherwise))
        .collect();
    for (source, Otherwise { count, first }) in by_source {
        let says = match count {
            1 => first,
            count => format!("{first} (and {} more kinds of requests)", count - 1),
        };
        let treatments = &mut translation.treatments;
        let found = treatments.binary_search_by(|treatment| treatment.object.cmp(&source));
        let known = found.map(|position| treatments[position].remarks.as_mut_slice());
        let known = known.unwrap_or_default();
        if known.iter().any(|remark| remark.weight == Weight::Refused) {
            // Nothing passes.
        } else if let Some(told) = known.iter_mut().find(|it| it.weight == Weight::Lossy) {
            told.says = format!("{}; {says}", told.says);
        } else {
            let (topic, at) = (Topic::VirtualService, FieldPath::root());
            let remark = Remark::new(topic, Weight::Lossy, at, says);
            tell(translation, &source, remark);
        }
    }
}
