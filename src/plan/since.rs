//! What has changed since a plan was made, beside what it writes: whether it would be another by now.
//!
//! Policies of the namespace are looked at one by one, whatever they say. Of what configures a mesh
//! in many ways (DestinationRules, routes, extensions, …) only what makes a difference counts: the plan is made with
//! and without it, from what is there at that moment, so that it does not matter how far the run has come.

use std::collections::{BTreeMap, BTreeSet};

use super::{Accepted, Asked, Plan};
use crate::inventory::Inventory;
use crate::kinds::{Kind, KindSet, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::translate::change::SOURCE;

#[cfg(test)]
mod tests;

/// Each of these decides about requests by itself.
const POLICIES: KindSet = KindSet::of(&[
    Kind::AuthorizationPolicy,
    Kind::RequestAuthentication,
    Kind::PeerAuthentication,
    Kind::NetworkPolicy,
]);

/// What may make another plan, or none.
const AROUND: KindSet = POLICIES.and(KindSet::of(&[
    Kind::VirtualService,
    Kind::DestinationRule,
    Kind::ServiceEntry,
    Kind::WorkloadEntry,
    Kind::WorkloadGroup,
    Kind::Sidecar,
    Kind::IstioGateway,
    Kind::Gateway,
    Kind::HTTPRoute,
    Kind::GRPCRoute,
    Kind::TCPRoute,
    Kind::TLSRoute,
    Kind::EnvoyFilter,
    Kind::ProxyConfig,
    Kind::WasmPlugin,
    Kind::TrafficExtension,
    Kind::Telemetry,
]));

/// What a plan may depend on, each with the generation that it had: of the namespace, of the root
/// namespace, and whatever elsewhere speaks of the namespace.
pub fn around(mesh: &Mesh, namespace: &Name) -> BTreeMap<ObjectRef, i64> {
    let objects = &mesh.inventory().objects;
    let root = &mesh.installation().config.root_namespace;
    let mut all = BTreeMap::new();
    objects.for_each_meta(&mut |object, meta| {
        // What this program made is a plan's own.
        if !AROUND.contains(object.kind) || meta.annotations.get(SOURCE).is_some() {
            return;
        }
        let near = object.namespace == *namespace || object.namespace == *root;
        let speaks = || {
            let text = objects.whole(&object);
            text.is_none_or(|text| text.contains(&**namespace))
        };
        if near || speaks() {
            all.insert(object, meta.generation.unwrap_or_default());
        }
    });
    all
}

/// What a plan was made from.
#[derive(Debug, Clone, Copy)]
pub struct Since<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// What it may depend on, as it was ([`around`]).
    pub around: &'a BTreeMap<ObjectRef, i64>,
    /// What was asked.
    pub asked: &'a Asked,
    /// What was accepted, and why.
    pub accepted: &'a Accepted,
}

impl Since<'_> {
    /// What has come, was changed or is gone since that would make another plan, in words.
    pub fn differs(&self, inventory: Inventory) -> Vec<String> {
        let namespace = &self.plan.namespace;
        let mesh = Mesh::new(inventory);
        let now = around(&mesh, namespace);
        let written = self.plan.written();
        let is_policy =
            |object: &ObjectRef| object.namespace == *namespace && POLICIES.contains(object.kind);
        let mut says = Vec::new();
        let mut others = Vec::new();
        for (object, generation) in &now {
            let known = self.around.get(object);
            if known == Some(generation) || written.contains(object) {
                continue;
            }
            let here = object.namespace == *namespace;
            match known {
                // These are found by their names alone (`seen`).
                None if is_policy(object) || here && object.kind == Kind::VirtualService => {}
                Some(_) if is_policy(object) => says.push(format!("{object} was changed")),
                _ => others.push((object.clone(), known.is_some())),
            }
        }
        // What is gone cannot be tried with and without: of what is the namespace's own, and of the mesh's
        // policies, nothing may go.
        let root = &mesh.installation().config.root_namespace;
        let may_not_go = |object: &ObjectRef| {
            object.namespace == *namespace
                || object.namespace == *root && POLICIES.contains(object.kind)
        };
        let gone = self.around.keys().filter(|object| {
            may_not_go(object) && !now.contains_key(*object) && !written.contains(*object)
        });
        says.extend(gone.map(|object| format!("{object} is gone")));
        if !others.is_empty() {
            says.extend(self.different(&mesh.into_inventory(), &others));
        }
        says
    }

    /// Those of some objects without which the plan would be another.
    fn different(&self, inventory: &Inventory, others: &[(ObjectRef, bool)]) -> Vec<String> {
        let namespace = &self.plan.namespace;
        let without = |gone: &dyn Fn(&ObjectRef) -> bool| {
            let mut inventory = inventory.clone();
            drop(inventory.objects.part(gone));
            self.asked.plan(inventory, namespace, self.accepted)
        };
        let (plan, open) = without(&|_| false);
        let matters = |gone: &dyn Fn(&ObjectRef) -> bool| {
            let (other, still_open) = without(gone);
            other.first_difference(&plan).is_some() || still_open != open
        };
        let all: BTreeSet<&ObjectRef> = others.iter().map(|(object, _)| object).collect();
        if !matters(&|object| all.contains(object)) {
            return Vec::new();
        }
        let mut guilty: Vec<&(ObjectRef, bool)> = others
            .iter()
            .filter(|(one, _)| others.len() == 1 || matters(&|object| object == one))
            .collect();
        // Each may be without effect as long as the others are there.
        if guilty.is_empty() {
            guilty = others.iter().collect();
        }
        let words = guilty.into_iter().map(|(object, was_there)| {
            let what = if *was_there { "was changed" } else { "is new" };
            format!("{object} {what}")
        });
        words.collect()
    }
}
