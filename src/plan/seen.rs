//! What a plan depends on, and what has come since it was made.

use std::collections::BTreeSet;

use super::Plan;
use crate::inventory::Listed;
use crate::kinds::authorization::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};
use crate::kinds::network_policy::NetworkPolicy;
use crate::kinds::service::Service;
use crate::kinds::traffic::VirtualService;
use crate::kinds::{Name, Resource};
use crate::mesh::Mesh;
use crate::mesh::workloads::Role;
use crate::translate::change::SOURCE;

/// What a plan depends on, of a namespace: each by its key.
pub fn seen(mesh: &Mesh, namespace: &Name) -> BTreeSet<String> {
    fn keys<T: Listed + Resource>(mesh: &Mesh, namespace: &Name, into: &mut BTreeSet<String>) {
        // What this program made is a plan's own.
        let all = mesh.within::<T>(namespace).iter();
        let others = all.filter(|object| object.meta().annotations.get(SOURCE).is_none());
        into.extend(others.map(|object| object.reference().key()));
    }
    let mut all = BTreeSet::new();
    keys::<AuthorizationPolicy>(mesh, namespace, &mut all);
    keys::<RequestAuthentication>(mesh, namespace, &mut all);
    keys::<PeerAuthentication>(mesh, namespace, &mut all);
    keys::<NetworkPolicy>(mesh, namespace, &mut all);
    keys::<VirtualService>(mesh, namespace, &mut all);
    keys::<Service>(mesh, namespace, &mut all);
    let workloads = mesh.workloads_in(namespace).iter();
    let workloads = workloads.filter(|one| one.role == Role::Application && one.has_template);
    all.extend(workloads.map(|workload| workload.object.key()));
    all
}

/// What of `now` neither was there when a plan was made nor comes of it.
pub fn newcomers(plan: &Plan, known: &BTreeSet<String>, now: &BTreeSet<String>) -> Vec<String> {
    let writes = plan.steps.iter().flat_map(super::Step::writes);
    let mut known = known.clone();
    known.extend(writes.map(|planned| planned.object().key()));
    // What Istio makes for a waypoint is the waypoint's.
    let of_a_gateway = |key: &str| {
        let mut gateways = known.iter().filter(|one| one.starts_with("Gateway."));
        gateways.any(|one| name_of(one) == name_of(key))
    };
    let new = now
        .iter()
        .filter(|key| !known.contains(*key) && !of_a_gateway(key));
    new.cloned().collect()
}

/// The namespace and name of a key.
fn name_of(key: &str) -> Option<&str> {
    key.split_once('/').map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectRef};
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
        let keys = |all: &[(Kind, &str)]| -> BTreeSet<String> {
            all.iter()
                .map(|(kind, name)| object(*kind, name).key())
                .collect()
        };
        let known = keys(&[(Kind::Service, "pay")]);
        let waypoints = [(Kind::Service, "pay"), (Kind::Service, "waypoint")];
        assert!(newcomers(&plan, &known, &keys(&waypoints)).is_empty());
        let more = [(Kind::Service, "pay"), (Kind::Deployment, "cart")];
        let new = newcomers(&plan, &known, &keys(&more));
        assert_eq!(new, [object(Kind::Deployment, "cart").key()]);
    }
}
