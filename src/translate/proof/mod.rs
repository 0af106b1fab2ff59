//! The comparison of both sides: the source objects in sidecars, the result as it is written, read
//! back, at waypoints and ztunnels.

pub(super) mod calls;
mod faults;
mod rewritten;
mod routes;
pub(super) mod side;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use super::fidelity::{Remark, Weight};
use super::{Ground, Phase, Topic, Translation, written};
use crate::inventory::{Input, InventoryBuilder, Subject};
use crate::kinds::{FieldPath, Kind, ObjectRef};
use crate::mesh::Mesh;
use crate::semantics::{compare, verdict};

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
    translation.proofs.routes = routes::prove(ground, &gone, &result);
    note_differences(&mut translation);
    translation.proofs.calls = calls::prove(ground, &result, &mut translation);
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

/// Makes those lossy whose requests are routed otherwise, where no part of the translation said so.
fn note_differences(translation: &mut Translation) {
    let mut told_of: Vec<(ObjectRef, Remark)> = Vec::new();
    for proof in &translation.proofs.routes {
        let Some(first) = proof.comparison.differences.first() else {
            continue;
        };
        let told = told_of
            .iter()
            .any(|(object, _)| proof.concerns.contains(object))
            || translation.treatments.iter().any(|treatment| {
                proof.concerns.contains(&treatment.object)
                    && treatment
                        .remarks
                        .iter()
                        .any(|remark| remark.weight >= Weight::Lossy)
            });
        let source = proof
            .concerns
            .iter()
            .find(|object| object.kind == Kind::VirtualService);
        let Some(source) = source.or(proof.concerns.first()).filter(|_| !told) else {
            continue;
        };
        let remark = Remark::new(
            Topic::VirtualService,
            Weight::Lossy,
            FieldPath::root(),
            format!(
                "requests to {} port {} from {} are routed otherwise: {first}",
                proof.service.short(),
                proof.port,
                proof.client
            ),
        );
        told_of.push((source.clone(), remark));
    }
    for (object, remark) in told_of {
        tell(translation, &object, remark);
    }
}
