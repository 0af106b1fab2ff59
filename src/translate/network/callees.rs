//! Callees that refuse by themselves what a policy of their callers kept these from: then the tunnel opens
//! nothing for the callers.

use std::collections::{BTreeMap, BTreeSet};

use super::admission::{Gap, gaps, takes_part};
use super::fronts::labels_of;
use super::peers::{Peer, Pods};
use super::ports;
use crate::kinds::network_policy::Direction;
use crate::kinds::{Name, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::workloads::{Role, Workload};
use crate::translate::Ground;

/// Whether the pods that the rules of a gap let their pods call are known, all of them are pods of its own
/// namespace, and each takes connections to no other ports than the rule has, also by the tunnel.
pub(super) fn refuse_the_rest(ground: &Ground<'_>, gap: &Gap<'_>) -> bool {
    let mesh = ground.mesh;
    let home = &gap.policy.metadata.namespace;
    if !ground.translates(home) {
        return false;
    }
    let kept = kept_to(mesh, home);
    let namespace_labels = labels_of(mesh, home);
    gap.rules.iter().all(|(index, peers)| {
        let Some(rule) = gap.policy.spec.egress.get(*index) else {
            return false;
        };
        let of_home = |is: &&_| {
            let peer: &crate::kinds::network_policy::NetworkPeer = is;
            peer.ip_block.is_none() && peer.namespace_selector.is_none()
        };
        if peers.is_empty() || !peers.iter().all(of_home) {
            return false;
        }
        let called = mesh.workloads_in(home).iter().filter(|workload| {
            let pods = Pods {
                namespace: home,
                namespace_labels: namespace_labels.as_ref(),
                labels: &workload.labels,
            };
            let mut peers = peers.iter();
            workload.role != Role::Waypoint
                && takes_part(workload)
                && peers.any(|is| Peer { home, is }.means(&pods))
        });
        let mut called = called.peekable();
        called.peek().is_some()
            && called.all(|workload| {
                let open = kept.get(&workload.object);
                let meant = ports::numbers(rule, workload);
                matches!((open, meant), (Some(open), Ok(Some(meant))) if open.is_subset(&meant))
            })
    })
}

/// The workloads of a namespace that are going to refuse all ports but these.
fn kept_to<'a>(mesh: &'a Mesh, home: &Name) -> BTreeMap<&'a ObjectRef, BTreeSet<u16>> {
    let entered = |workload: &Workload| matches!(workload.role, Role::Application);
    let mut kept = BTreeMap::new();
    for gap in gaps(mesh, home, Direction::Ingress, entered) {
        let apart = ports::told_apart(mesh, &gap);
        if apart.short_of.is_some() {
            continue;
        }
        for workload in gap.workloads {
            let labels = &workload.labels;
            let guard = apart.guards.iter().find(|(selector, _)| {
                let mut pairs = selector.iter();
                pairs.all(|(key, value)| labels.has(key, value))
            });
            if let Some((_, ports)) = guard {
                kept.insert(&workload.object, ports.clone());
            }
        }
    }
    kept
}
