//! Which NetworkPolicies would stand between a waypoint and those on its two sides. Behind a waypoint
//! the pods are called by the waypoint's pods, and callers call those: rules that name the callers, or
//! the called pods, admit neither.

use std::collections::{BTreeMap, BTreeSet};

use super::admission::{HBONE, admits_hbone, is_closed, selected, takes_part};
use super::peers::{Peer, Pods, Whom, may_be_pods};
use crate::inventory::Object;
use crate::kinds::network_policy::{Direction, NetworkPolicy, PolicyPort, PolicyRule};
use crate::kinds::service_entry::ServiceEntry;
use crate::kinds::traffic::VirtualService;
use crate::kinds::{IntOrString, Labels, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::injection::Injection;
use crate::mesh::namespaces::{DATA_PLANE_LABEL, Namespace};
use crate::mesh::services::{Service, delegates, destinations};
use crate::mesh::waypoints::USE_WAYPOINT;
use crate::mesh::workloads::{DataPlane, GATEWAY_NAME_LABEL, MANAGED_LABEL, Mode, Role, Workload};
use crate::translate::policies::ports::targets;
use crate::translate::waypoints::Waypoints;

/// A waypoint in front of workloads, there already or needed.
#[derive(Debug)]
pub(crate) struct Front<'a> {
    /// In words.
    pub(crate) name: String,
    /// Its Gateway.
    pub(crate) waypoint: ObjectRef,
    /// The Services that come to be behind it, sorted.
    pub(crate) services: BTreeSet<&'a ObjectRef>,
    /// What its callers reach.
    pub(crate) behind: BTreeMap<&'a ObjectRef, Behind<'a>>,
    /// Whether others than those known may be behind it: it is there, and other namespaces may bind to
    /// it, or hosts outside of the mesh are bound to it.
    pub(crate) serves_others: bool,
    home_labels: Option<Labels>,
    labels: Labels,
}

/// A workload behind a waypoint.
#[derive(Debug)]
pub(crate) struct Behind<'a> {
    /// The workload.
    pub(crate) workload: &'a Workload,
    /// What selects its pods, where.
    pub(crate) selectors: BTreeSet<(&'a Name, &'a Labels)>,
    /// Whether its callers do not come through the waypoint yet.
    pub(crate) newly: bool,
    /// The policies that isolate its pods from callers.
    pub(crate) policies: Vec<&'a Object<NetworkPolicy>>,
    /// The ports of its pods to which the waypoint leads.
    ports: BTreeSet<u16>,
    /// The labels of its namespace, if they are known.
    home_labels: Option<Labels>,
}

/// Where a policy stands between a waypoint and others.
#[derive(Debug)]
pub(crate) struct Barrier<'a> {
    /// The policy.
    pub(crate) policy: &'a Object<NetworkPolicy>,
    /// Its rule that names others.
    pub(crate) rule: usize,
    /// Those on the far side.
    pub(crate) workloads: Vec<&'a Workload>,
    /// Whether the rule means addresses, of which nobody knows whether they are the waypoint's.
    pub(crate) addresses: bool,
}

/// What pods may call that they could not call before, because it is behind the same waypoint.
#[derive(Debug)]
pub(crate) struct Reached<'a> {
    /// A policy that kept them from it.
    pub(crate) policy: &'a Object<NetworkPolicy>,
    /// The callers.
    pub(crate) callers: Vec<&'a Workload>,
    /// What they may call then.
    pub(crate) workloads: Vec<&'a Workload>,
}

/// The waypoints in front of workloads when some namespaces have moved, as far as NetworkPolicies
/// make them matter.
pub(crate) fn fronts<'a>(
    mesh: &'a Mesh,
    moving: &BTreeSet<Name>,
    waypoints: &Waypoints,
) -> Vec<Front<'a>> {
    if mesh.all::<NetworkPolicy>().is_empty() {
        return Vec::new();
    }
    let mut found: BTreeMap<ObjectRef, Front<'a>> = BTreeMap::new();
    for service in mesh.services() {
        // Callers of a headless Service address pods.
        if mesh.spec(service).is_headless() {
            continue;
        }
        let moves = moving.contains(&service.object.namespace);
        let (waypoint, newly) = if moves {
            match waypoints.serving(&service.object) {
                Some(bound) => (bound.waypoint.clone(), bound.newly),
                None => continue,
            }
        } else {
            match mesh.binding(service).effective() {
                Some(waypoint) => (waypoint.clone(), false),
                None => continue,
            }
        };
        let front = found
            .entry(waypoint.clone())
            .or_insert_with(|| Front::of(mesh, waypoint));
        front.put_behind(mesh, service, moves, newly);
    }
    let mut fronts: Vec<Front<'a>> = found.into_values().collect();
    fronts.retain(|front| !front.behind.is_empty());
    let homes: BTreeSet<Name> = fronts.iter().flat_map(Front::namespaces).cloned().collect();
    let mut isolating: BTreeMap<&ObjectRef, Vec<&Object<NetworkPolicy>>> = BTreeMap::new();
    for home in &homes {
        let policies = mesh.within::<NetworkPolicy>(home);
        for (positions, workloads) in selected(mesh, home, policies, Direction::Ingress) {
            for workload in workloads {
                let policies = positions.iter().map(|position| &policies[*position]);
                isolating.insert(&workload.object, policies.collect());
            }
        }
    }
    for behind in fronts
        .iter_mut()
        .flat_map(|front| front.behind.values_mut())
    {
        let policies = isolating.get(&behind.workload.object);
        behind.policies = policies.cloned().unwrap_or_default();
    }
    fronts
}

/// The waypoints of the same, where nothing is translated.
pub(crate) fn planned<'a>(mesh: &'a Mesh, moving: &BTreeSet<Name>) -> Vec<Front<'a>> {
    if mesh.all::<NetworkPolicy>().is_empty() {
        return Vec::new();
    }
    fronts(mesh, moving, &Waypoints::of(mesh, moving))
}

/// Whether a workload's pods are ambient already, or would be if they were made now.
pub(crate) fn has_moved(workload: &Workload) -> bool {
    workload.mode() == Mode::All(DataPlane::Ambient)
        || (workload.injection == Injection::NotInjected
            && workload.enrolled == Some(true)
            && !workload.has_sidecar())
}

/// The Services to which callers of a Service are led: itself, and those to which its routes lead.
fn led_to<'a>(mesh: &'a Mesh, service: &'a Service) -> Vec<&'a Service> {
    let mut all = vec![service];
    let routes = mesh.mesh_routes(service);
    let known = mesh.all::<VirtualService>();
    let routes = routes.flat_map(|route| {
        std::iter::once(&**route).chain(delegates(known, route).map(|delegate| &**delegate))
    });
    for route in routes {
        let namespace = &route.metadata.namespace;
        let mirrors = route.spec.http.iter().flat_map(|http| {
            let several = http.mirrors.iter().map(|mirror| &mirror.destination);
            http.mirror.iter().chain(several)
        });
        let mirrors = mirrors.map(|mirror| mirror.host.as_str());
        for host in destinations(&route.spec).chain(mirrors) {
            all.extend(mesh.services_of_host(host, namespace));
        }
    }
    all.extend(mesh.attached_backends(service));
    all.sort_by(|a, b| a.object.cmp(&b.object));
    all.dedup_by(|a, b| a.object == b.object);
    all
}

impl<'a> Front<'a> {
    fn of(mesh: &Mesh, waypoint: ObjectRef) -> Self {
        let name = match mesh.waypoint(&waypoint) {
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
        Self {
            name,
            services: BTreeSet::new(),
            behind: BTreeMap::new(),
            serves_others: serves_others(mesh, &waypoint),
            home_labels: labels_of(mesh, &waypoint.namespace),
            labels: Labels::from_pairs(pairs.to_vec()),
            waypoint,
        }
    }

    fn put_behind(&mut self, mesh: &'a Mesh, service: &'a Service, moves: bool, newly: bool) {
        for led in led_to(mesh, service) {
            let spec = mesh.spec(led);
            for workload in mesh.backing(led) {
                if workload.role != Role::Application || !takes_part(workload) {
                    continue;
                }
                let behind = self.behind.entry(&workload.object);
                let behind = behind.or_insert_with(|| Behind {
                    workload,
                    selectors: BTreeSet::new(),
                    newly: false,
                    policies: Vec::new(),
                    ports: BTreeSet::new(),
                    home_labels: labels_of(mesh, &workload.object.namespace),
                });
                let ports = spec.ports.iter();
                behind.ports.extend(ports.flat_map(|port| {
                    let targets = targets(port, [workload]);
                    targets.unwrap_or_else(|| BTreeSet::from([port.port]))
                }));
                behind
                    .selectors
                    .insert((&led.object.namespace, &spec.selector));
                if moves && (newly || !has_moved(workload)) {
                    behind.newly = true;
                    self.services.insert(&service.object);
                }
            }
        }
    }

    /// The namespaces of what is behind it.
    pub(crate) fn namespaces(&self) -> BTreeSet<&'a Name> {
        self.behind.keys().map(|object| &object.namespace).collect()
    }

    /// Its own pods.
    pub(crate) fn pods(&self) -> Pods<'_> {
        Pods {
            namespace: &self.waypoint.namespace,
            namespace_labels: self.home_labels.as_ref(),
            labels: &self.labels,
        }
    }

    /// Policies of a namespace whose rules let others call the pods behind it, and not its own pods.
    pub(crate) fn inward(&self, mesh: &'a Mesh, namespace: &Name) -> Vec<Barrier<'a>> {
        let policies = mesh.within::<NetworkPolicy>(namespace);
        let mut found: BTreeMap<(&ObjectRef, usize), Barrier<'a>> = BTreeMap::new();
        let here = |behind: &&Behind<'_>| behind.workload.object.namespace == *namespace;
        if policies.is_empty() {
            return Vec::new();
        }
        for behind in self.behind.values().filter(here) {
            if self.is_let_in(behind) {
                continue;
            }
            // One for these pods rather than one for all.
            let mut selecting = behind.policies.clone();
            selecting.sort_by_key(|policy| policy.spec.pod_selector.is_empty());
            let mut rules = selecting.into_iter().flat_map(|policy| {
                let rules = policy.spec.ingress.iter().enumerate();
                rules.map(move |(index, rule)| (policy, index, rule))
            });
            let naming =
                rules.find(|(policy, _, rule)| !callers_by(policy, rule, behind).is_empty());
            let Some((policy, index, rule)) = naming else {
                continue;
            };
            let key = (&behind.workload.object, index);
            let known = found.values_mut().find(|barrier| {
                barrier.rule == index && barrier.policy.metadata.name == policy.metadata.name
            });
            if let Some(barrier) = known {
                barrier.workloads.push(behind.workload);
                continue;
            }
            let barrier = Barrier {
                policy,
                rule: index,
                workloads: vec![behind.workload],
                addresses: rule.peers.iter().all(|peer| peer.ip_block.is_some()),
            };
            found.insert(key, barrier);
        }
        found.into_values().collect()
    }

    /// Whether its pods may come to those of a workload, or will once their policies admit the tunnel.
    pub(crate) fn is_let_in(&self, behind: &Behind<'_>) -> bool {
        let direction = Direction::Ingress;
        let mut rules = behind.policies.iter().flat_map(|policy| {
            let rules = policy.spec.ingress.iter();
            rules.map(move |rule| (policy, rule))
        });
        behind.policies.is_empty()
            || rules.any(|(policy, rule)| {
                (admits_hbone(rule) || is_closed(rule, direction))
                    && admits(rule, &policy.metadata.namespace, &self.pods())
            })
    }

    /// Policies whose rules let pods of a namespace call those behind it, and not its own pods.
    pub(crate) fn outward(&self, mesh: &'a Mesh, namespace: &Namespace) -> Vec<Barrier<'a>> {
        let policies = mesh.within::<NetworkPolicy>(&namespace.name);
        let mut found: BTreeMap<(usize, usize), Vec<&'a Workload>> = BTreeMap::new();
        for (selecting, callers) in callers(mesh, namespace, policies) {
            let mut rules = rules(policies, &selecting).peekable();
            if self.is_called(policies, &selecting) {
                continue;
            }
            let naming = rules.find(|(position, _, rule)| {
                self.names_one_behind(&policies[*position].metadata.namespace, rule)
            });
            if let Some((position, index, _)) = naming {
                found.entry((position, index)).or_default().extend(callers);
            }
        }
        let barriers = found.into_iter().map(|((position, rule), mut workloads)| {
            workloads.sort_by(|a, b| a.object.cmp(&b.object));
            Barrier {
                policy: &policies[position],
                rule,
                workloads,
                addresses: false,
            }
        });
        barriers.collect()
    }

    /// What pods of a namespace may call once they may call the waypoint, and could not call before.
    pub(crate) fn reached(&self, mesh: &'a Mesh, namespace: &Namespace) -> Vec<Reached<'a>> {
        let policies = mesh.within::<NetworkPolicy>(&namespace.name);
        let mut all = Vec::new();
        for (selecting, callers) in callers(mesh, namespace, policies) {
            let named = |(position, _, rule): (usize, usize, &PolicyRule)| {
                self.names_one_behind(&policies[position].metadata.namespace, rule)
            };
            let comes =
                self.is_called(policies, &selecting) || rules(policies, &selecting).any(named);
            let fresh = self.behind.values().any(|behind| behind.newly)
                || callers.iter().any(|caller| !has_moved(caller));
            if !comes || !fresh {
                continue;
            }
            let beyond = self.behind.values().filter(|behind| {
                let pods = behind.pods();
                !behind.ports.iter().all(|port| {
                    rules(policies, &selecting).any(|(position, _, rule)| {
                        let home = &policies[position].metadata.namespace;
                        admits(rule, home, &pods)
                            && (admits_hbone(rule) || behind.is_port(rule, *port))
                    })
                })
            });
            let workloads: Vec<&Workload> = beyond.map(|behind| behind.workload).collect();
            if let (Some(first), false) = (selecting.first(), workloads.is_empty()) {
                all.push(Reached {
                    policy: &policies[*first],
                    callers,
                    workloads,
                });
            }
        }
        all
    }

    /// Whether pods with these policies may call the waypoint, or will once these admit the tunnel.
    fn is_called(&self, policies: &[Object<NetworkPolicy>], selecting: &[usize]) -> bool {
        rules(policies, selecting).any(|(position, _, rule)| {
            admits(rule, &policies[position].metadata.namespace, &self.pods())
        })
    }

    /// Whether a rule names a pod behind it.
    fn names_one_behind(&self, home: &Name, rule: &PolicyRule) -> bool {
        self.behind.values().any(|behind| {
            let pods = behind.pods();
            let mut peers = rule.peers.iter();
            let named = peers.any(|is| Peer { home, is }.means(&pods));
            named && (admits_hbone(rule) || behind.is_led_to(rule))
        })
    }
}

impl<'a> Behind<'a> {
    /// Its pods.
    pub(crate) fn pods(&self) -> Pods<'_> {
        Pods {
            namespace: &self.workload.object.namespace,
            namespace_labels: self.home_labels.as_ref(),
            labels: &self.workload.labels,
        }
    }

    /// Those who may call it as callers of a Service do.
    pub(crate) fn callers(&self) -> Whom<'a> {
        self.callers_by(self.policies.iter().map(|policy| &policy.value))
    }

    /// Those who may call it by some policies, all of which isolate it.
    pub(crate) fn callers_by(
        &self,
        policies: impl IntoIterator<Item = &'a NetworkPolicy>,
    ) -> Whom<'a> {
        let mut isolated = false;
        let mut all = Whom::These(Vec::new());
        for policy in policies {
            isolated = true;
            for rule in &policy.spec.ingress {
                all = all.or(callers_by(policy, rule, self));
            }
        }
        if isolated { all } else { Whom::Everyone }
    }

    /// Whether a rule admits to a port to which the waypoint leads.
    fn is_led_to(&self, rule: &PolicyRule) -> bool {
        let mut ports = self.ports.iter();
        ports.any(|port| self.is_port(rule, *port))
    }

    fn is_port(&self, rule: &PolicyRule, wanted: u16) -> bool {
        let names = |port: &PolicyPort| match &port.port {
            Some(IntOrString::String(name)) if port.is_tcp() => {
                let declared = self.workload.containers.iter().flat_map(|one| &one.ports);
                let mut numbers = declared
                    .filter(|declared| declared.name == *name)
                    .map(|declared| declared.container_port)
                    .peekable();
                numbers.peek().is_none() || numbers.any(|number| number == wanted)
            }
            _ => port.admits_tcp(wanted.into()),
        };
        rule.ports.is_empty() || rule.ports.iter().any(names)
    }
}

/// Those whom a rule lets call a workload as callers of a Service do.
fn callers_by<'a>(
    policy: &'a NetworkPolicy,
    rule: &'a PolicyRule,
    behind: &Behind<'_>,
) -> Whom<'a> {
    let tunnel = rule.ports.iter().any(|port| port.admits_tcp(HBONE));
    if !tunnel && !behind.is_led_to(rule) {
        return Whom::These(Vec::new());
    }
    let home = &policy.metadata.namespace;
    let peers = rule.peers.iter().filter(|peer| may_be_pods(peer));
    let peers: Vec<Peer<'_>> = peers
        .map(|is| Peer { home, is })
        .filter(|peer| !peer.names_waypoints())
        .collect();
    if rule.peers.is_empty() || peers.iter().any(Peer::is_everyone) {
        return Whom::Everyone;
    }
    Whom::These(peers)
}

/// Whether a rule admits pods. Addresses may be anybody's.
pub(crate) fn admits(rule: &PolicyRule, home: &Name, pods: &Pods<'_>) -> bool {
    let mut peers = rule.peers.iter();
    rule.peers.is_empty() || peers.any(|is| Peer { home, is }.means(pods))
}

/// Whether others than Services of its own namespace may be behind a waypoint that is there.
fn serves_others(mesh: &Mesh, waypoint: &ObjectRef) -> bool {
    let Some(known) = mesh.waypoint(waypoint) else {
        return false;
    };
    let mut outside = mesh.within::<ServiceEntry>(&waypoint.namespace).iter();
    let bound = |entry: &Object<ServiceEntry>| {
        let labels = &entry.metadata.labels;
        labels.has(USE_WAYPOINT, &waypoint.name)
    };
    known.admits_others() || outside.any(bound)
}

/// The labels of a namespace, if they are known.
pub(crate) fn labels_of(mesh: &Mesh, namespace: &str) -> Option<Labels> {
    let known = mesh.namespace(namespace)?;
    known.labels.as_ref().map(|_| known.labels_with_name())
}

/// Workloads of a namespace that take part in the mesh, by the policies that isolate what they call.
fn callers<'a>(
    mesh: &'a Mesh,
    namespace: &Namespace,
    policies: &[Object<NetworkPolicy>],
) -> Vec<(Vec<usize>, Vec<&'a Workload>)> {
    let all = selected(mesh, &namespace.name, policies, Direction::Egress);
    let all = all.into_iter().map(|(selecting, mut workloads)| {
        workloads.retain(|caller| caller.role != Role::Waypoint && takes_part(caller));
        (selecting, workloads)
    });
    all.filter(|(_, workloads)| !workloads.is_empty()).collect()
}

/// The rules for what pods call that admit the tunnel, or will.
fn rules<'p>(
    policies: &'p [Object<NetworkPolicy>],
    selecting: &'p [usize],
) -> impl Iterator<Item = (usize, usize, &'p PolicyRule)> {
    selecting.iter().flat_map(|position| {
        let rules = policies[*position].spec.egress.iter().enumerate();
        rules
            .filter(|(_, rule)| admits_hbone(rule) || is_closed(rule, Direction::Egress))
            .map(move |(index, rule)| (*position, index, rule))
    })
}
