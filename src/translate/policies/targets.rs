//! What a copy for waypoints is attached to.
//!
//! A policy takes at most 16 targets, of its own namespace (validation of `targetRefs`). A policy on
//! the Gateway of a waypoint is enforced for everything behind it.

use serde_json::{Value, json};

use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::services::Service;
use crate::mesh::waypoints::{Binding, USE_WAYPOINT};
use crate::translate::Ground;

use super::scene::Scene;

/// The most targets of one policy.
const MOST: usize = 16;

/// A Service whose callers a policy has to judge at their waypoint.
#[derive(Clone, Copy)]
pub(super) struct Judged<'g> {
    /// The Service.
    pub(super) service: &'g Service,
    /// Its waypoint.
    pub(super) waypoint: &'g ObjectRef,
}

/// The Services whose callers reach some members through waypoints, by name, each once.
pub(super) fn in_front<'g>(scene: &Scene<'g>, members: &[usize]) -> Vec<Judged<'g>> {
    let fronts = members
        .iter()
        .flat_map(|member| &scene.members[*member].judged_for);
    let mut all: Vec<Judged<'g>> = fronts
        .map(|front| Judged {
            service: front.service,
            waypoint: front.waypoint,
        })
        .collect();
    all.sort_by(|a, b| a.service.object.cmp(&b.service.object));
    all.dedup_by(|a, b| a.service.object == b.service.object);
    all
}

/// A Service with those that stand for its subsets: they are called too.
pub(super) fn with_versions(ground: &Ground<'_>, service: &ObjectRef) -> Vec<ObjectRef> {
    let versions = ground.versions.of_service(service).cloned();
    std::iter::once(service.clone()).chain(versions).collect()
}

/// References to Services, in lists that a policy takes.
pub(super) fn to_services(services: &[ObjectRef]) -> Vec<Value> {
    let reference = |service: &ObjectRef| json!({"group": "", "kind": "Service", "name": service.name.as_ref()});
    services
        .chunks(MOST)
        .map(|chunk| chunk.iter().map(reference).collect())
        .collect()
}

/// A reference to a waypoint.
pub(super) fn to_waypoint(waypoint: &ObjectRef) -> Value {
    json!([{"group": Kind::Gateway.group(), "kind": "Gateway", "name": waypoint.name.as_ref()}])
}

/// Whether a policy on a waypoint's Gateway is enforced for these Services and nothing else.
pub(super) fn serves_only(
    ground: &Ground<'_>,
    waypoint: &ObjectRef,
    namespace: &Name,
    judged: &[Judged<'_>],
) -> bool {
    if waypoint.namespace != *namespace {
        return false;
    }
    let mesh = ground.mesh;
    let is_judged = |service: &ObjectRef| {
        let found = judged.binary_search_by(|judged| judged.service.object.cmp(service));
        let stands_for = |judged: &Judged<'_>| {
            let mut versions = ground.versions.of_service(&judged.service.object);
            versions.any(|version| version == service)
        };
        found.is_ok() || judged.iter().any(stands_for)
    };
    let bound = ground.waypoints.bound();
    let mut ours = bound.filter(|(_, bound)| bound.waypoint == *waypoint);
    if !ours.all(|(service, _)| is_judged(service)) {
        return false;
    }
    // One that is made now has nobody else.
    if mesh.waypoint(waypoint).is_none() {
        return mesh
            .within::<crate::kinds::service_entry::ServiceEntry>(namespace)
            .is_empty();
    }
    let elsewhere = mesh
        .services()
        .iter()
        .any(|service| match mesh.binding(service) {
            Binding::Named {
                waypoint: named, ..
            } => named == *waypoint && !is_judged(&service.object),
            Binding::None | Binding::OptedOut => false,
        });
    let entries = mesh
        .all::<crate::kinds::service_entry::ServiceEntry>()
        .iter();
    let mut entries = entries.filter(|entry| {
        entry.metadata.namespace == *namespace || entry.metadata.labels.get(USE_WAYPOINT).is_some()
    });
    !elsewhere && entries.next().is_none()
}
