//! What a plan depends on, and what has come since it was made.

use std::collections::BTreeSet;

use super::Plan;
use crate::inventory::Listed;
use crate::kinds::authorization::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};
use crate::kinds::network_policy::NetworkPolicy;
use crate::kinds::service::Service;
use crate::kinds::traffic::VirtualService;
use crate::kinds::{Kind, Name, ObjectRef, Resource};
use crate::mesh::Mesh;
use crate::mesh::workloads::Role;
use crate::translate::change::SOURCE;

/// What a plan depends on, of a namespace.
pub fn seen(mesh: &Mesh, namespace: &Name) -> BTreeSet<ObjectRef> {
    fn all_of<T: Listed + Resource>(mesh: &Mesh, namespace: &Name, into: &mut BTreeSet<ObjectRef>) {
        // What this program made is a plan's own.
        let all = mesh.within::<T>(namespace).iter();
        let others = all.filter(|object| object.meta().annotations.get(SOURCE).is_none());
        into.extend(others.map(|object| object.reference()));
    }
    let mut all = BTreeSet::new();
    all_of::<AuthorizationPolicy>(mesh, namespace, &mut all);
    all_of::<RequestAuthentication>(mesh, namespace, &mut all);
    all_of::<PeerAuthentication>(mesh, namespace, &mut all);
    all_of::<NetworkPolicy>(mesh, namespace, &mut all);
    all_of::<VirtualService>(mesh, namespace, &mut all);
    all_of::<Service>(mesh, namespace, &mut all);
    let workloads = mesh.workloads_in(namespace).iter();
    let workloads = workloads.filter(|one| one.role == Role::Application && one.has_template);
    all.extend(workloads.map(|workload| workload.object.clone()));
    all
}

/// What of `now` neither was there when a plan was made nor comes of it.
pub fn newcomers(
    plan: &Plan,
    known: &BTreeSet<ObjectRef>,
    now: &BTreeSet<ObjectRef>,
) -> Vec<ObjectRef> {
    let written = plan.written();
    let is_known = |object: &ObjectRef| known.contains(object) || written.contains(object);
    // What Istio makes for a waypoint is the waypoint's.
    let of_a_gateway = |object: &ObjectRef| {
        is_known(&ObjectRef {
            kind: Kind::Gateway,
            ..object.clone()
        })
    };
    let new = now
        .iter()
        .filter(|object| !is_known(object) && !of_a_gateway(object));
    new.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Direction, Manner, Planned, Stage, Step, StepId, Write};

    #[test]
    fn what_was_there_and_what_the_plan_makes_is_not_new() {
        let object = |kind, name: &str| ObjectRef::new(kind, &"shop".into(), &Name::from(name));
        let gateway = object(Kind::Gateway, "waypoint");
        let mut step = Step::new(StepId::Waypoint);
        step.stages.push(Stage {
            writes: vec![Planned::Write(Write::Create {
                object: gateway,
                manifest: serde_json::json!({}),
                generation: None,
            })],
            ..Stage::default()
        });
        let plan = Plan {
            namespace: "shop".into(),
            direction: Direction::Forward,
            manner: Manner::Templates,
            steps: vec![step],
            remainder: Vec::new(),
            rest: Vec::new(),
            bypasses: Vec::new(),
        };
        let set = |all: &[(Kind, &str)]| -> BTreeSet<ObjectRef> {
            all.iter().map(|(kind, name)| object(*kind, name)).collect()
        };
        let known = set(&[(Kind::Service, "pay")]);
        let waypoints = [(Kind::Service, "pay"), (Kind::Service, "waypoint")];
        assert!(newcomers(&plan, &known, &set(&waypoints)).is_empty());
        let more = [(Kind::Service, "pay"), (Kind::Deployment, "cart")];
        let new = newcomers(&plan, &known, &set(&more));
        assert_eq!(new, [object(Kind::Deployment, "cart")]);
    }
}
