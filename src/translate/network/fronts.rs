//! Which NetworkPolicies would stand between a waypoint and those on its two sides. Behind a waypoint
//! the pods are called by the waypoint's pods, and callers call those: rules that name the callers, or
//! the called pods, admit neither.

use std::collections::BTreeMap;

use super::admission::{admits_hbone, is_closed, may_be_pods, selected, takes_part};
use crate::inventory::Object;
use crate::kinds::network_policy::{Direction, NetworkPeer, NetworkPolicy, PolicyRule};
use crate::kinds::{Labels, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::namespaces::{DATA_PLANE_LABEL, Namespace};
use crate::mesh::workloads::{GATEWAY_NAME_LABEL, MANAGED_LABEL, Role, Workload};
use crate::waypoint;

/// A waypoint in front of workloads of a namespace, there already or needed.
#[derive(Debug)]
pub(crate) struct Front<'a> {
    /// In words.
    pub(crate) name: String,
    home: Name,
    home_labels: Option<Labels>,
    labels: Labels,
    behind: BTreeMap<&'a ObjectRef, &'a Workload>,
}

/// Where a policy stands between a waypoint and others.
#[derive(Debug)]
pub(crate) struct Barrier<'a> {
    /// The policy.
    pub(crate) policy: &'a Object<NetworkPolicy>,
    /// Its rule that names others, if it has one.
    pub(crate) rule: Option<usize>,
    /// Those on the far side; none when the policy isolates the waypoint itself.
    pub(crate) workloads: Vec<&'a Workload>,
}

/// The waypoints that requests to a namespace come through, or will because a Service needs one.
pub(crate) fn fronts<'a>(mesh: &'a Mesh, namespace: &Name) -> Vec<Front<'a>> {
    let mut found: BTreeMap<ObjectRef, Front<'a>> = BTreeMap::new();
    let need = waypoint::assess(mesh, namespace);
    let planned = waypoint::planned(mesh, &need);
    for service in &need.services {
        if service.headless || !(service.needs_waypoint() || service.bound_to.is_some()) {
            continue;
        }
        let Some(waypoint) = service.bound_to.as_ref().or(planned.as_ref()) else {
            continue;
        };
        let services = mesh.services_in(namespace);
        let name = &service.service.name;
        let behind = services.binary_search_by(|candidate| candidate.object.name.cmp(name));
        let behind = behind.ok().map(|position| &services[position]);
        let front = found
            .entry(waypoint.clone())
            .or_insert_with(|| Front::of(mesh, waypoint));
        for workload in behind.into_iter().flat_map(|service| mesh.backing(service)) {
            if workload.role == Role::Application && takes_part(workload) {
                front.behind.insert(&workload.object, workload);
            }
        }
    }
    found
        .into_values()
        .filter(|front| !front.behind.is_empty())
        .collect()
}

impl<'a> Front<'a> {
    fn of(mesh: &Mesh, waypoint: &ObjectRef) -> Self {
        let name = match mesh.waypoint(waypoint) {
            Some(_) => format!("waypoint {}/{}", waypoint.namespace, waypoint.name),
            None => "the waypoint that a Service needs".to_owned(),
        };
        // As istiod labels its pods (`files/waypoint.yaml`).
        let labels = [
            (GATEWAY_NAME_LABEL, waypoint.name.as_ref()),
            (MANAGED_LABEL, "istio.io-mesh-controller"),
            (DATA_PLANE_LABEL, "none"),
            ("sidecar.istio.io/inject", "false"),
        ];
        let pairs = labels.map(|(key, value)| (Name::from(key), Name::from(value)));
        let home = mesh.namespace(&waypoint.namespace);
        Self {
            name,
            home: waypoint.namespace.clone(),
            home_labels: home
                .and_then(|home| home.labels.as_ref().map(|_| home.labels_with_name())),
            labels: Labels::from_pairs(pairs.to_vec()),
            behind: BTreeMap::new(),
        }
    }

    /// Policies whose rules let others call the pods behind it, and not its own pods.
    pub(crate) fn inward(&self, mesh: &'a Mesh, namespace: &Name) -> Vec<Barrier<'a>> {
        let of_pods =
            |rule: &PolicyRule, _: &Object<NetworkPolicy>| rule.peers.iter().any(may_be_pods);
        let concerns = |workload: &Workload| self.behind.contains_key(&workload.object);
        self.barriers(mesh, namespace, Direction::Ingress, concerns, of_pods)
    }

    /// Policies whose rules let pods call those behind it, and not its own pods.
    pub(crate) fn outward(&self, mesh: &'a Mesh, namespace: &Namespace) -> Vec<Barrier<'a>> {
        let labels = namespace
            .labels
            .as_ref()
            .map(|_| namespace.labels_with_name());
        let names_those = |rule: &PolicyRule, policy: &Object<NetworkPolicy>| {
            rule.peers.iter().any(|peer| {
                let mut behind = self.behind.values();
                peer.ip_block.is_none()
                    && behind.any(|workload| {
                        let home = (&namespace.name, labels.as_ref());
                        admits(peer, policy, home, &workload.labels)
                    })
            })
        };
        let calls = |workload: &Workload| workload.role != Role::Waypoint && takes_part(workload);
        self.barriers(mesh, &namespace.name, Direction::Egress, calls, names_those)
    }

    /// The first policy of its namespace that isolates its own pods, if none there admits callers to
    /// them, or them to the pods that they call.
    pub(crate) fn isolated(&self, mesh: &'a Mesh, direction: Direction) -> Option<Barrier<'a>> {
        let policies = mesh.within::<NetworkPolicy>(&self.home).iter();
        let isolating: Vec<_> = policies
            .filter(|policy| policy.spec.isolates(direction))
            .filter(|policy| policy.spec.pod_selector.matches(&self.labels))
            .collect();
        let lets_through = |rule: &PolicyRule| {
            admits_hbone(rule) && (rule.peers.is_empty() || rule.peers.iter().any(may_be_pods))
        };
        let mut rules = isolating
            .iter()
            .flat_map(|policy| policy.spec.rules(direction));
        if rules.any(lets_through) {
            return None;
        }
        isolating.first().map(|policy| Barrier {
            policy,
            rule: None,
            workloads: Vec::new(),
        })
    }

    fn barriers(
        &self,
        mesh: &'a Mesh,
        namespace: &Name,
        direction: Direction,
        concerns: impl Fn(&Workload) -> bool,
        names_others: impl Fn(&PolicyRule, &Object<NetworkPolicy>) -> bool,
    ) -> Vec<Barrier<'a>> {
        let policies = mesh.within::<NetworkPolicy>(namespace);
        let mut found: BTreeMap<(usize, usize), Vec<&'a Workload>> = BTreeMap::new();
        for (selecting, workloads) in selected(mesh, namespace, policies, direction) {
            let open = || {
                selecting.iter().flat_map(|position| {
                    let policy = &policies[*position];
                    let rules = policy.spec.rules(direction).iter().enumerate();
                    // What does not admit the tunnel yet will.
                    rules
                        .filter(|(_, rule)| admits_hbone(rule) || is_closed(rule, direction))
                        .map(move |(index, rule)| (*position, index, policy, rule))
                })
            };
            if open().any(|(_, _, policy, rule)| self.is_admitted(rule, policy)) {
                continue;
            }
            let naming = open().find(|(_, _, policy, rule)| names_others(rule, policy));
            if let Some((position, index, ..)) = naming {
                let concerned = workloads.into_iter().filter(|workload| concerns(workload));
                found
                    .entry((position, index))
                    .or_default()
                    .extend(concerned);
            }
        }
        found
            .into_iter()
            .filter(|(_, workloads)| !workloads.is_empty())
            .map(|((position, rule), mut workloads)| {
                workloads.sort_by(|a, b| a.object.cmp(&b.object));
                Barrier {
                    policy: &policies[position],
                    rule: Some(rule),
                    workloads,
                }
            })
            .collect()
    }

    fn is_admitted(&self, rule: &PolicyRule, policy: &Object<NetworkPolicy>) -> bool {
        let home = (&self.home, self.home_labels.as_ref());
        rule.peers.is_empty()
            || rule
                .peers
                .iter()
                .any(|peer| admits(peer, policy, home, &self.labels))
    }
}

/// Whether a peer of a policy means a pod with these labels. Private addresses, and namespaces whose
/// labels are not known, are taken to be meant.
fn admits(
    peer: &NetworkPeer,
    policy: &Object<NetworkPolicy>,
    (home, home_labels): (&Name, Option<&Labels>),
    labels: &Labels,
) -> bool {
    if peer.ip_block.is_some() {
        return may_be_pods(peer);
    }
    let namespace = match (&peer.namespace_selector, home_labels) {
        (None, _) => *home == policy.metadata.namespace,
        (Some(wanted), Some(known)) => wanted.matches(known),
        (Some(_), None) => true,
    };
    let pods = peer.pod_selector.as_ref();
    namespace && pods.is_none_or(|wanted| wanted.matches(labels))
}
