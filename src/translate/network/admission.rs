//! Which connections of today NetworkPolicies would refuse once they arrive on ztunnel's port.
//!
//! A pod that several policies select may do what any of them admits. So the policies that select a
//! workload are taken together, and workloads with the same policies are judged once.

use std::collections::{BTreeMap, BTreeSet};

use crate::inventory::Object;
use crate::kinds::network_policy::{Direction, NetworkPeer, NetworkPolicy, PolicyPort, PolicyRule};
use crate::kinds::{IntOrString, Name};
use crate::mesh::Mesh;
use crate::mesh::namespaces::DATA_PLANE_LABEL;
use crate::mesh::workloads::{Role, Workload};

use super::peers::{Peer, may_be_pods};

/// The port on which ztunnel, sidecars and waypoints take tunnelled connections.
pub(crate) const HBONE: i64 = 15008;

/// A rule whose peers lose their way.
#[derive(Debug)]
pub(crate) struct Gap<'a> {
    /// The policy.
    pub(crate) policy: &'a Object<NetworkPolicy>,
    /// Its rules in question, in order: position, and the peers that no rule admits to the port
    /// (none named: everyone).
    pub(crate) rules: BTreeMap<usize, Vec<&'a NetworkPeer>>,
    /// The workloads that are affected, sorted.
    pub(crate) workloads: Vec<&'a Workload>,
}

/// The gaps in the policies of a namespace, by policy name.
pub(crate) fn gaps<'a>(
    mesh: &'a Mesh,
    namespace: &Name,
    direction: Direction,
    concerns: impl Fn(&Workload) -> bool,
) -> Vec<Gap<'a>> {
    let policies = mesh.within::<NetworkPolicy>(namespace);
    // A closed rule is needed for a gap; without one there is nothing to look for.
    let any = policies.iter().any(|policy| {
        let rules = policy.spec.rules(direction);
        policy.spec.isolates(direction) && rules.iter().any(|rule| is_closed(rule, direction))
    });
    if !any {
        return Vec::new();
    }
    let mut gaps: BTreeMap<usize, Gap<'_>> = BTreeMap::new();
    for (selecting, workloads) in selected(mesh, namespace, policies, direction) {
        let workloads: Vec<&Workload> = workloads
            .into_iter()
            .filter(|workload| takes_part(workload) && concerns(workload))
            .collect();
        if workloads.is_empty() {
            continue;
        }
        let rules = |position: &usize| policies[*position].spec.rules(direction);
        let open: Vec<&PolicyRule> = selecting
            .iter()
            .flat_map(rules)
            .filter(|rule| admits_hbone(rule))
            .collect();
        for position in &selecting {
            for (index, rule) in rules(position).iter().enumerate() {
                let Some(peers) = refused(namespace, rule, &open, direction) else {
                    continue;
                };
                let gap = gaps.entry(*position).or_insert_with(|| Gap {
                    policy: &policies[*position],
                    rules: BTreeMap::new(),
                    workloads: Vec::new(),
                });
                gap.rules.insert(index, peers);
                gap.workloads.extend(&workloads);
            }
        }
    }
    let mut gaps: Vec<Gap<'_>> = gaps.into_values().collect();
    for gap in &mut gaps {
        gap.workloads.sort_by(|a, b| a.object.cmp(&b.object));
        gap.workloads.dedup_by(|a, b| a.object == b.object);
    }
    gaps
}

/// The gaps that stand in the way of a namespace's own pods, and are closed when it moves. To a gateway people
/// come as they are.
pub(crate) fn own_gaps<'a>(mesh: &'a Mesh, namespace: &Name, direction: Direction) -> Vec<Gap<'a>> {
    gaps(mesh, namespace, direction, |workload| match direction {
        Direction::Ingress => matches!(workload.role, Role::Application | Role::Waypoint),
        Direction::Egress => true,
    })
}

/// The closed rules of a namespace that admit the tunnel once it has moved: the policy's name, and the
/// rule's position. One that stands in nobody's way stays closed.
pub(crate) fn opened<'a>(
    mesh: &'a Mesh,
    namespace: &Name,
    direction: Direction,
) -> BTreeSet<(&'a Name, usize)> {
    let gaps = own_gaps(mesh, namespace, direction);
    let rules = gaps.into_iter().flat_map(|gap| {
        let name = &gap.policy.metadata.name;
        gap.rules.into_keys().map(move |index| (name, index))
    });
    rules.collect()
}

/// The workloads of a namespace by the policies that isolate them.
pub(crate) fn selected<'a>(
    mesh: &'a Mesh,
    namespace: &Name,
    policies: &[Object<NetworkPolicy>],
    direction: Direction,
) -> BTreeMap<Vec<usize>, Vec<&'a Workload>> {
    let mut by_workload: BTreeMap<_, (Vec<usize>, &Workload)> = BTreeMap::new();
    for (position, policy) in policies.iter().enumerate() {
        if !policy.spec.isolates(direction) {
            continue;
        }
        let selector = &policy.spec.pod_selector;
        for workload in mesh.selected(namespace, &selector.match_labels) {
            if selector.matches(&workload.labels) {
                let entry = by_workload.entry(&workload.object);
                entry.or_insert((Vec::new(), workload)).0.push(position);
            }
        }
    }
    let mut by_policies: BTreeMap<Vec<usize>, Vec<&Workload>> = BTreeMap::new();
    for (selecting, workload) in by_workload.into_values() {
        by_policies.entry(selecting).or_default().push(workload);
    }
    by_policies
}

/// Whether NetworkPolicies act on a workload's pods, and ztunnel, a sidecar or a waypoint will.
pub(crate) fn takes_part(workload: &Workload) -> bool {
    let kept_out = workload.labels.has(DATA_PLANE_LABEL, "none")
        && workload.role != Role::Waypoint
        && !workload.has_sidecar();
    !workload.host_network && workload.role != Role::Istio && !kept_out
}

pub(crate) fn admits_hbone(rule: &PolicyRule) -> bool {
    rule.ports.is_empty() || rule.ports.iter().any(|port| port.admits_tcp(HBONE))
}

/// The port of name servers, which are not in the mesh.
pub(crate) const DNS: i64 = 53;

/// The port on which proxies ask istiod, without a tunnel.
pub(crate) const ISTIOD: i64 = 15012;

/// The port on which sidecars and waypoints tell their figures.
pub(crate) const FIGURES: i64 = 15020;

/// Whether a port is one that nobody tunnels to. A range that holds one holds others too.
fn is_beside_the_mesh(port: &PolicyPort, direction: Direction) -> bool {
    let IntOrString::Int(first) = port.port.clone().unwrap_or(IntOrString::Int(0)) else {
        return false;
    };
    let ports: &[i64] = match direction {
        Direction::Ingress => &[FIGURES],
        Direction::Egress => &[DNS, ISTIOD],
    };
    ports.contains(&first) && port.end_port.is_none_or(|last| last == first)
}

/// Whether a rule admits TCP that would be tunnelled, and not the tunnel.
pub(crate) fn is_closed(rule: &PolicyRule, direction: Direction) -> bool {
    let tunnelled = rule
        .ports
        .iter()
        .any(|port| port.is_tcp() && !is_beside_the_mesh(port, direction));
    let of_pods = rule.peers.is_empty() || rule.peers.iter().any(may_be_pods);
    tunnelled && of_pods && !admits_hbone(rule)
}

/// The peers of a closed rule whom none of the open ones admits; an empty list is everyone.
fn refused<'a>(
    home: &Name,
    rule: &'a PolicyRule,
    open: &[&PolicyRule],
    direction: Direction,
) -> Option<Vec<&'a NetworkPeer>> {
    if !is_closed(rule, direction) || open.iter().any(|open| open.peers.is_empty()) {
        return None;
    }
    if rule.peers.is_empty() {
        return Some(Vec::new());
    }
    let of = |is| Peer { home, is };
    let peers: Vec<&NetworkPeer> = rule
        .peers
        .iter()
        .filter(|peer| may_be_pods(peer))
        .filter(|peer| {
            let mut admitted = open.iter().flat_map(|open| &open.peers);
            !admitted.any(|other| of(other).covers(&of(peer)))
        })
        .collect();
    (!peers.is_empty()).then_some(peers)
}
