//! The connections by which a workload is reached, before and after, and whom NetworkPolicies let make
//! them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::kinds::network_policy::{Direction, NetworkPolicy, PolicyPort};
use crate::kinds::selector::{Operator, Requirement};
use crate::kinds::{IntOrString, LabelSelector, Labels, Name, ObjectRef, Resource};
use crate::mesh::Mesh;
use crate::mesh::namespaces::DATA_PLANE_LABEL;
use crate::mesh::workloads::{GATEWAY_NAME_LABEL, MANAGED_LABEL, Role, Workload};
use crate::semantics::network::{Caller, Place, Pod, Policies, Port, Protocol, Surroundings, Whom};
use crate::semantics::verdict;
use crate::translate::Ground;
use crate::translate::network::fronts::has_moved;
use crate::translate::policies::{ports, ways};

/// Where name servers are asked.
const DNS: u16 = 53;

/// Where istiod tells proxies what to do.
const ISTIOD: Port = Port::tcp(15012);

/// A Service before a workload whose callers come through a waypoint.
#[derive(Debug, Clone)]
pub(super) struct Front<'g> {
    /// The Service.
    pub(super) service: &'g ObjectRef,
    /// The waypoint then.
    pub(super) waypoint: &'g ObjectRef,
    /// The waypoint of today, where one is in effect.
    today: Option<ObjectRef>,
    /// The Service's ports, each with one of the workload's to which it leads.
    pub(super) ports: Vec<verdict::Port>,
}

/// How a connection comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way<'f> {
    /// To the port itself.
    Plain,
    /// Through the pod's own tunnel.
    Tunnel,
    /// To the waypoint, and from there.
    Through(&'f Front<'f>),
}

/// A workload, and how it is reached.
#[derive(Debug)]
pub(super) struct Subject<'g> {
    pub(super) workload: &'g Workload,
    pub(super) pod: Pod<'g>,
    /// Its ports, and whether anything tells that somebody listens there.
    pub(super) ports: BTreeMap<Port, bool>,
    pub(super) fronts: Vec<Front<'g>>,
    /// Whether ztunnel takes what comes to it then.
    pub(super) is_captured: bool,
    /// Whether Istio judges what comes to it then.
    pub(super) is_judged: bool,
    /// Whether ztunnel takes what comes to it already.
    has_moved: bool,
    /// What its ports speak, as Services say.
    speaks: BTreeMap<u16, verdict::Protocol>,
}

impl Subject<'_> {
    /// One of its ports, called by the pod's own address.
    pub(super) fn spoken(&self, port: u16) -> verdict::Port {
        let undeclared = verdict::Port::undeclared(port);
        let protocol = self.speaks.get(&port).copied();
        verdict::Port {
            protocol: protocol.unwrap_or(undeclared.protocol),
            ..undeclared
        }
    }
}

/// The pods of a waypoint, as istiod makes them (`files/waypoint.yaml`).
#[derive(Debug)]
struct WaypointPods {
    labels: Labels,
    /// What selects them.
    selector: LabelSelector,
}

/// Who is let to whom.
#[derive(Debug)]
pub(super) struct Doors<'g> {
    pub(super) before: Policies<'g>,
    pub(super) after: Policies<'g>,
    pub(super) around: Surroundings,
    waypoints: BTreeMap<ObjectRef, WaypointPods>,
    /// The namespace of istiod, and the labels of its pods.
    root: Name,
    of_istiod: Labels,
    /// What pods of gateways and of waypoints have not.
    of_no_gateway: LabelSelector,
}

impl<'g> Doors<'g> {
    pub(super) fn of(ground: &Ground<'g>, result: Vec<&'g NetworkPolicy>) -> Self {
        let mesh = ground.mesh;
        let namespaces = mesh.namespaces().map(|namespace| {
            let known = namespace
                .labels
                .as_ref()
                .map(|_| namespace.labels_with_name());
            (namespace.name.clone(), known)
        });
        let known = mesh.waypoints().iter().map(|waypoint| &waypoint.object);
        let bound = ground.waypoints.bound().map(|(_, bound)| &bound.waypoint);
        let waypoints = known.chain(bound);
        Self {
            before: Policies::new(mesh.all::<NetworkPolicy>().iter().map(|one| &one.value)),
            after: Policies::new(result),
            around: Surroundings {
                namespaces: namespaces.collect(),
            },
            waypoints: waypoints
                .map(|waypoint| (waypoint.clone(), WaypointPods::of(waypoint)))
                .collect(),
            root: mesh.root_namespace().clone(),
            of_istiod: Labels::from_pairs(vec![("app".into(), "istiod".into())]),
            of_no_gateway: LabelSelector {
                match_labels: Labels::default(),
                match_expressions: vec![Requirement {
                    key: GATEWAY_NAME_LABEL.to_owned(),
                    operator: Operator::DoesNotExist,
                    values: Vec::new(),
                }],
            },
        }
    }

    pub(super) fn waypoints(&self) -> impl Iterator<Item = &ObjectRef> {
        self.waypoints.keys()
    }

    /// The workloads of the namespaces that are translated.
    pub(super) fn subjects<'s>(&'s self, ground: &'s Ground<'_>) -> Vec<Subject<'s>> {
        let mesh = ground.mesh;
        let mut fronts = fronts(ground);
        let mut all = Vec::new();
        for namespace in ground.namespaces {
            for workload in mesh.workloads_in(namespace) {
                if workload.host_network
                    || !matches!(workload.role, Role::Application | Role::Gateway)
                {
                    continue;
                }
                let fronts = fronts.remove(&workload.object).unwrap_or_default();
                all.push(self.one(ground, workload, fronts));
            }
        }
        all
    }

    fn one<'s>(
        &'s self,
        ground: &'s Ground<'_>,
        workload: &'s Workload,
        fronts: Vec<Front<'s>>,
    ) -> Subject<'s> {
        let object = &workload.object;
        let name = (object.namespace.clone(), object.name.clone());
        let is_deferred = ground.options.deferred.contains(&name);
        let kept_out = workload.labels.has(DATA_PLANE_LABEL, "none") && !workload.has_sidecar();
        let in_mesh = workload.role == Role::Application && !kept_out;
        let pod = Pod {
            namespace: &object.namespace,
            namespace_labels: self.labels_of(&object.namespace),
            labels: &workload.labels,
            containers: &workload.containers,
        };
        let mut subject = Subject {
            workload,
            pod,
            ports: BTreeMap::new(),
            is_captured: in_mesh && !is_deferred,
            is_judged: in_mesh,
            has_moved: in_mesh && has_moved(workload),
            speaks: speaks(ground.mesh, workload, &fronts),
            fronts,
        };
        self.find_ports(&mut subject);
        subject
    }

    /// The ports of which anybody speaks, and of the others one of each kind.
    fn find_ports(&self, subject: &mut Subject<'_>) {
        let mut known: BTreeSet<Port> =
            subject.speaks.keys().map(|port| Port::tcp(*port)).collect();
        let declared = subject.pod.containers.iter().flat_map(|one| &one.ports);
        known.extend(declared.map(|port| Port::tcp(port.container_port)));
        let mut edges: BTreeSet<u16> = BTreeSet::from([1]);
        let both = [&self.before, &self.after].into_iter();
        for policy in both.flat_map(|side| side.isolating(&subject.pod, Direction::Ingress)) {
            for port in policy.spec.ingress.iter().flat_map(|rule| &rule.ports) {
                for number in numbers(port) {
                    edges.insert(number.saturating_add(1));
                    known.insert(Port {
                        protocol: protocol(port),
                        number,
                    });
                }
            }
        }
        known.remove(&Port::TUNNEL);
        let others = edges.into_iter().filter_map(|edge| {
            let mut next = (edge..=edge.saturating_add(64)).map(Port::tcp);
            next.find(|port| *port != Port::TUNNEL && !known.contains(port))
        });
        subject.ports = others.map(|port| (port, false)).collect();
        subject
            .ports
            .extend(known.into_iter().map(|port| (port, true)));
    }

    fn labels_of(&self, namespace: &Name) -> Option<&Labels> {
        self.around.namespaces.get(namespace)?.as_ref()
    }

    /// The pods of a waypoint.
    pub(super) fn pods_of<'s>(&'s self, waypoint: &'s ObjectRef) -> Pod<'s> {
        Pod {
            namespace: &waypoint.namespace,
            namespace_labels: self.labels_of(&waypoint.namespace),
            labels: &self.waypoints[waypoint].labels,
            containers: &[],
        }
    }

    /// Whether any policy stands between a workload and its callers, before or after.
    pub(super) fn matter(&self, subject: &Subject<'_>) -> bool {
        let sides = [&self.before, &self.after];
        let isolated = |pod: &Pod<'_>| {
            let mut sides = sides.into_iter();
            sides.any(|side| !side.isolating(pod, Direction::Ingress).is_empty())
        };
        let mut waypoints = subject
            .fronts
            .iter()
            .flat_map(|front| [Some(front.waypoint), front.today.as_ref()]);
        sides.into_iter().any(Policies::isolate_callers)
            || isolated(&subject.pod)
            || waypoints.any(|one| one.is_some_and(|one| isolated(&self.pods_of(one))))
    }

    /// Who comes by a way.
    pub(super) fn comes<'s>(&'s self, subject: &Subject<'_>, way: Way<'_>, port: Port) -> Whom<'s> {
        let comes = self.reach(&self.after, subject, way, port, true);
        match way {
            // They ask name servers and istiod, wherever these are.
            Way::Plain if port.number != DNS && port != ISTIOD => comes,
            // That waypoints come is what they are for: who comes through them is compared there.
            Way::Plain | Way::Tunnel | Way::Through(_) => Whom::all([self.of_no_waypoint(), comes]),
        }
    }

    /// Who comes by a way, whatever addresses waypoints have.
    pub(super) fn surely_comes<'s>(
        &'s self,
        subject: &Subject<'_>,
        way: Way<'_>,
        port: Port,
    ) -> Whom<'s> {
        match way {
            Way::Through(front) if !self.is_told(front.waypoint) => Whom::NOBODY,
            _ => self.reach(&self.after, subject, way, port, false),
        }
    }

    /// Whether a waypoint may ask istiod what it has to do.
    fn is_told(&self, waypoint: &ObjectRef) -> bool {
        let istiod = Pod {
            namespace: &self.root,
            namespace_labels: self.labels_of(&self.root),
            labels: &self.of_istiod,
            containers: &[],
        };
        let pods = self.pods_of(waypoint);
        self.after.lets_out(&pods, &istiod, ISTIOD, true)
    }

    /// Who came to a port, of those who come by this way then.
    pub(super) fn came<'s>(&'s self, subject: &Subject<'_>, way: Way<'_>, port: Port) -> Whom<'s> {
        let before = &self.before;
        match way {
            Way::Plain => Whom::all([
                self.of_no_waypoint(),
                self.reach(before, subject, way, port, false),
            ]),
            Way::Tunnel => {
                let way = if subject.has_moved { way } else { Way::Plain };
                let came = self.reach(before, subject, way, port, false);
                Whom::all([Whom::Pods, self.of_no_waypoint(), came])
            }
            Way::Through(front) => {
                let came = match &front.today {
                    Some(today) if subject.has_moved => {
                        self.by(before, subject, today, port, false)
                    }
                    _ if subject.has_moved => self.reach(before, subject, Way::Tunnel, port, false),
                    _ => self.reach(before, subject, Way::Plain, port, false),
                };
                Whom::all([Whom::Pods, Whom::With(&self.of_no_gateway), came])
            }
        }
    }

    /// Who came to a port in any way, or might have: the tunnel leads to all ports.
    pub(super) fn came_at_all<'s>(&'s self, subject: &Subject<'_>, port: Port) -> Whom<'s> {
        let (before, pod) = (&self.before, &subject.pod);
        let ports = || {
            let tunnel = (port.protocol == Protocol::Tcp).then_some(Port::TUNNEL);
            [port].into_iter().chain(tunnel)
        };
        let directly = Whom::all([
            Whom::any(ports().map(|port| before.admitted(pod, port))),
            Whom::any(ports().map(|port| before.let_out(pod, port))),
        ]);
        let through = subject.fronts.iter().filter(|front| {
            subject.has_moved && front.ports.iter().any(|one| one.pod == port.number)
        });
        let through = through.filter_map(|front| front.today.as_ref());
        let through = through.map(|today| self.by(before, subject, today, port, true));
        Whom::any([directly].into_iter().chain(through))
    }

    /// Who came to any port at all.
    pub(super) fn came_to_any<'s>(&'s self, subject: &Subject<'_>) -> Whom<'s> {
        let ports = subject.ports.keys();
        Whom::any(ports.map(|port| self.came_at_all(subject, *port)))
    }

    fn reach<'s>(
        &'s self,
        policies: &Policies<'s>,
        subject: &Subject<'_>,
        way: Way<'_>,
        port: Port,
        by_address: bool,
    ) -> Whom<'s> {
        let to = |port: Port| {
            let pod = &subject.pod;
            Whom::all([policies.admitted(pod, port), policies.let_out(pod, port)])
        };
        match way {
            Way::Plain => to(port),
            Way::Tunnel => Whom::all([Whom::Pods, to(Port::TUNNEL)]),
            Way::Through(front) => self.by(policies, subject, front.waypoint, port, by_address),
        }
    }

    /// Who comes through a waypoint.
    fn by<'s>(
        &'s self,
        policies: &Policies<'s>,
        subject: &Subject<'_>,
        waypoint: &ObjectRef,
        port: Port,
        by_address: bool,
    ) -> Whom<'s> {
        let pods = self.pods_of(waypoint);
        let mut last = last(subject, port).into_iter();
        if !last.any(|port| policies.connect(&pods, &subject.pod, port, by_address)) {
            return Whom::NOBODY;
        }
        Whom::all([
            Whom::Pods,
            policies.admitted(&pods, Port::TUNNEL),
            policies.let_out(&pods, Port::TUNNEL),
        ])
    }

    /// Everyone but the pods of waypoints, which call for others.
    fn of_no_waypoint(&self) -> Whom<'_> {
        let waypoints = self.waypoints.keys();
        Whom::any(waypoints.map(|waypoint| self.is_of(waypoint))).others()
    }

    fn is_of(&self, waypoint: &ObjectRef) -> Whom<'_> {
        let Some((known, pods)) = self.waypoints.get_key_value(waypoint) else {
            return Whom::NOBODY;
        };
        Whom::all([Whom::Of(&known.namespace), Whom::With(&pods.selector)])
    }

    /// The policies that refused a caller.
    pub(super) fn refused(
        &self,
        subject: &Subject<'_>,
        port: Port,
        caller: &Caller,
    ) -> Vec<ObjectRef> {
        self.between(&self.before, &subject.pod, port, caller)
    }

    /// The policies that refuse a caller then.
    pub(super) fn refusing(
        &self,
        subject: &Subject<'_>,
        way: Way<'_>,
        port: Port,
        caller: &Caller,
    ) -> Vec<ObjectRef> {
        let after = &self.after;
        let front = match way {
            Way::Plain => return self.between(after, &subject.pod, port, caller),
            Way::Tunnel => return self.between(after, &subject.pod, Port::TUNNEL, caller),
            Way::Through(front) => front,
        };
        let pods = self.pods_of(front.waypoint);
        let mut found = self.between(after, &pods, Port::TUNNEL, caller);
        if !self.is_told(front.waypoint) {
            found.extend(names(after.isolating(&pods, Direction::Egress)));
        }
        let mut last = last(subject, port).into_iter();
        if !last.any(|port| after.connect(&pods, &subject.pod, port, false)) {
            let inward = after.isolating(&subject.pod, Direction::Ingress);
            let outward = after.isolating(&pods, Direction::Egress);
            found.extend(names(inward.into_iter().chain(outward)));
        }
        found.sort();
        found.dedup();
        found
    }

    /// The policies that stand between a caller and pods.
    fn between(
        &self,
        policies: &Policies<'_>,
        to: &Pod<'_>,
        port: Port,
        caller: &Caller,
    ) -> Vec<ObjectRef> {
        let mut found = Vec::new();
        if !caller.may_be(&policies.admitted(to, port), &self.around) {
            found.extend(names(policies.isolating(to, Direction::Ingress)));
        }
        if let Place::In(home) = &caller.place
            && !caller.may_be(&policies.let_out(to, port), &self.around)
        {
            let own = policies.isolating_callers(home).iter();
            let own = own.filter(|policy| {
                let selector = &policy.spec.pod_selector;
                caller.may_be(&Whom::With(selector), &self.around)
            });
            found.extend(names(own.copied()));
        }
        found.sort();
        found.dedup();
        found
    }
}

fn names<'p>(policies: impl IntoIterator<Item = &'p NetworkPolicy>) -> Vec<ObjectRef> {
    let all = policies.into_iter();
    all.map(Resource::reference).collect()
}

/// The ports to which a waypoint connects: the tunnel's, or that of a pod that has none.
fn last(subject: &Subject<'_>, port: Port) -> Vec<Port> {
    if subject.is_captured {
        vec![Port::TUNNEL]
    } else {
        vec![Port::TUNNEL, port]
    }
}

impl WaypointPods {
    fn of(waypoint: &ObjectRef) -> Self {
        let labels = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(key, value)| (Name::from(*key), Name::from(*value)));
            Labels::from_pairs(pairs.collect())
        };
        let name = (GATEWAY_NAME_LABEL, waypoint.name.as_ref());
        Self {
            labels: labels(&[
                name,
                (MANAGED_LABEL, "istio.io-mesh-controller"),
                (DATA_PLANE_LABEL, "none"),
                ("sidecar.istio.io/inject", "false"),
            ]),
            selector: LabelSelector {
                match_labels: labels(&[name]),
                match_expressions: Vec::new(),
            },
        }
    }
}

/// The Services whose callers come through a waypoint, by the workloads that they reach.
fn fronts<'g>(ground: &'g Ground<'_>) -> HashMap<ObjectRef, Vec<Front<'g>>> {
    let mesh = ground.mesh;
    let mut all: HashMap<ObjectRef, Vec<Front<'g>>> = HashMap::new();
    for (name, bound) in ground.waypoints.bound() {
        let Some(service) = ways::named(mesh, name) else {
            continue;
        };
        if mesh.spec(service).is_headless() {
            continue;
        }
        for workload in ground.ways().reached(mesh, service) {
            let ports = mesh.spec(service).ports.iter().flat_map(|port| {
                let pods = ground.ways().ports_of(mesh, service, port, workload);
                pods.into_iter().map(|pod| verdict::Port {
                    service: Some(port.port),
                    pod,
                    protocol: port.speaks().into(),
                })
            });
            let known = all.entry(workload.object.clone()).or_default();
            known.push(Front {
                service: name,
                waypoint: &bound.waypoint,
                today: mesh.binding(service).effective().cloned(),
                ports: ports.collect(),
            });
        }
    }
    all
}

/// The ports that Services lead to, and what they speak.
fn speaks(
    mesh: &Mesh,
    workload: &Workload,
    fronts: &[Front<'_>],
) -> BTreeMap<u16, verdict::Protocol> {
    let mut all = BTreeMap::new();
    for service in mesh.services_of(workload) {
        for port in &mesh.spec(service).ports {
            for pod in ports::targets(port, [workload]).unwrap_or_default() {
                all.insert(pod, port.speaks().into());
            }
        }
    }
    let led = fronts.iter().flat_map(|front| &front.ports);
    all.extend(led.map(|port| (port.pod, port.protocol)));
    all
}

/// The numbers that a port of a policy names.
fn numbers(port: &PolicyPort) -> Vec<u16> {
    let Some(IntOrString::Int(first)) = port.port else {
        return Vec::new();
    };
    let last = port.end_port.unwrap_or(first);
    let all = [first, last].into_iter();
    all.filter_map(|number| u16::try_from(number).ok())
        .collect()
}

fn protocol(port: &PolicyPort) -> Protocol {
    match port.protocol.as_str() {
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        _ => Protocol::Tcp,
    }
}
