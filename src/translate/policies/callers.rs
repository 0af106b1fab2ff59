//! Who is known to call past a waypoint.
//!
//! Sidecars and gateways call pods. Nothing is taken from names or variables: a caller is known by
//! its mode, and by what policies admit.

use std::collections::{BTreeMap, BTreeSet};

use super::scene::{Past, Scene};
use crate::kinds::authorization::Action;
use crate::kinds::{Name, Resource};
use crate::mesh::services::Service;
use crate::mesh::waypoints::INGRESS_USE_WAYPOINT;
use crate::mesh::workloads::Workload;
use crate::semantics::authorization::is_dry_run;
use crate::semantics::identity::{Identity, matches_caller, names_callers};
use crate::translate::waypoints::Ingress;

/// A few things in a sentence.
pub(super) fn list(things: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = things
        .iter()
        .take(SHOWN)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match things.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The callers of some members that are known to go past their waypoints.
pub(super) fn past(scene: &Scene<'_>, members: &[usize]) -> Vec<String> {
    let mut known = BTreeSet::new();
    for member in members {
        for (service, past) in &scene.members[*member].past {
            if *past == Past::Headless {
                known.insert(format!("those of the headless {}", service.object.short()));
            }
        }
        for (entry, _) in &scene.members[*member].entries {
            known.insert(format!("those of {}", entry.short()));
        }
        for front in &scene.members[*member].behind {
            gateways(scene, front.service, &mut known);
        }
        sidecars(scene, *member, &mut known);
    }
    known.into_iter().collect()
}

/// Gateways whose routes lead to a Service, unless they are told to use its waypoint.
fn gateways(scene: &Scene<'_>, service: &Service, known: &mut BTreeSet<String>) {
    let mesh = scene.ground.mesh;
    let bound = scene.ground.waypoints.serving(&service.object);
    if bound.is_some_and(|bound| bound.ingress != Ingress::Past) {
        return;
    }
    let unless = format!(
        "unless {} is labelled {INGRESS_USE_WAYPOINT}=true",
        service.object.short()
    );
    for route in mesh.gateway_routes(service) {
        known.insert(format!("gateways by {} ({unless})", route.reference()));
    }
    for route in mesh.routed_backends(service) {
        known.insert(format!("gateways by {route} ({unless})"));
    }
}

/// Workloads that keep their sidecars and may be admitted.
fn sidecars(scene: &Scene<'_>, member: usize, known: &mut BTreeSet<String>) {
    let policies = scene.authorization(member);
    let mut allows = policies
        .iter()
        .filter(|policy| policy.spec.action == Action::Allow && !is_dry_run(&policy.metadata))
        .peekable();
    let anybody = allows.peek().is_none();
    let allows: Vec<_> = allows.collect();
    let admits = |workload: &Workload| {
        let caller = Identity {
            trust_domain: scene.settings.trust_domain.clone(),
            namespace: workload.object.namespace.clone(),
            service_account: workload.service_account.clone(),
        };
        anybody
            || allows.iter().any(|policy| {
                let home = &policy.metadata.namespace;
                let mut rules = policy.spec.rules.iter();
                rules.any(|rule| !names_callers(rule) || matches_caller(rule, home, &caller))
            })
    };
    let mut elsewhere: BTreeMap<&Name, usize> = BTreeMap::new();
    for workload in scene.staying() {
        if !admits(workload) {
            continue;
        }
        if scene.ground.translates(&workload.object.namespace) {
            known.insert(workload.object.short());
        } else {
            *elsewhere.entry(&workload.object.namespace).or_default() += 1;
        }
    }
    for (namespace, count) in elsewhere {
        let plural = if count == 1 { "" } else { "s" };
        known.insert(format!(
            "{count} workload{plural} with sidecars in {namespace}"
        ));
    }
}
