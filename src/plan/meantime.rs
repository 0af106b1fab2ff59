//! What stands in the way of a plan that neither a check nor the translation sees: how things are before it
//! begins, and between its steps.

use super::Obstacle;
use super::build::Ground;
use super::condition::{Holds, controller_ready};
use super::order;
use crate::kinds::ObjectRef;
use crate::mesh::injection::{INJECTION_LABEL, Injection};
use crate::mesh::workloads::Workload;
use crate::translate::Topic;
use crate::waypoint::{self, Feature};

/// Workloads that are not all up before anything is done: what fails later could not be told from what
/// failed before.
pub(super) fn unhealthy(ground: &Ground<'_>, moving: &[&Workload]) -> Vec<Obstacle> {
    let lacks = |workload: &&&Workload| {
        let whole = ground.mesh.inventory().whole(&workload.object)?;
        // In manifests nothing runs.
        whole
            .get("status")?
            .as_object()
            .filter(|status| !status.is_empty())?;
        match controller_ready(&whole, &workload.object) {
            Holds::NotYet(why) | Holds::Never(why) => Some((workload.object.clone(), why)),
            Holds::Yes | Holds::Unconfirmed => None,
        }
    };
    let found = moving.iter().filter_map(|workload| lacks(&workload));
    found
        .map(|(object, why)| Obstacle {
            id: None,
            object: Some(object),
            says: format!("is not all up before the move: {why}"),
            remedy: Some("have it come up first, or leave it behind with --defer".to_owned()),
            accepted: None,
        })
        .collect()
}

/// Workloads whose pods have sidecars that nothing asks for any more: a rollback could not give them back.
/// Somebody began to move the namespace by hand.
pub(super) fn not_given_back(ground: &Ground<'_>, moving: &[&Workload]) -> Vec<Obstacle> {
    let found = moving
        .iter()
        .filter(|workload| workload.has_sidecar() && workload.injection == Injection::NotInjected);
    found
        .map(|workload| Obstacle {
            id: None,
            object: Some(workload.object.clone()),
            says: "has sidecars that it would not get again: neither its namespace nor its template asks for them, so that a rollback could not give them back".to_owned(),
            remedy: Some(format!(
                "have them asked for until it is moved (running pods stay as they are): kubectl label namespace {} {INJECTION_LABEL}=enabled",
                ground.namespace
            )),
            accepted: None,
        })
        .collect()
}

/// Callers of this namespace that still have their sidecars when whom they call has none, and whose
/// requests have to be judged.
pub(super) fn past_waypoints(ground: &Ground<'_>, order: &order::Order) -> Vec<Obstacle> {
    const SHOWN: usize = 5;
    if ground.guarded {
        return Vec::new();
    }
    let need = waypoint::assess(ground.mesh, ground.namespace);
    let judged = |object: &ObjectRef| {
        let mut services = need.services.iter().filter(|service| {
            let features = service.features();
            features.contains(&Feature::Authorization) || features.contains(&Feature::Jwt)
        });
        services.any(|service| {
            let known = ground
                .mesh
                .services_in(ground.namespace)
                .iter()
                .find(|s| s.object == service.service);
            known.is_some_and(|known| ground.mesh.backing(known).any(|w| w.object == *object))
        })
    };
    let mut found = Vec::new();
    for circle in &order.circles {
        for called in circle.iter().filter(|object| judged(object)) {
            let others: Vec<String> = circle
                .iter()
                .filter(|o| *o != called)
                .map(ObjectRef::short)
                .collect();
            let shown = others
                .iter()
                .take(SHOWN)
                .cloned()
                .collect::<Vec<_>>()
                .join(", ");
            let shown = if others.is_empty() {
                "itself".to_owned()
            } else {
                shown
            };
            let more = match others.len().saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            found.push(Obstacle {
                id: Some(Topic::Guard.id().to_owned()),
                object: Some(called.clone()),
                says: format!(
                    "policies let it be called by {shown}{more}, which it may call in turn: whichever of them is switched last calls {} past the waypoint from its sidecar for a while, where rules on requests are not judged",
                    called.short()
                ),
                remedy: Some(
                    "--guard closed refuses these calls meanwhile, --guard open judges them by identity alone (with --accept AMB311=REASON), --defer WORKLOAD leaves a workload in sidecar mode"
                        .to_owned(),
                ),
                accepted: None,
            });
        }
    }
    found
}
