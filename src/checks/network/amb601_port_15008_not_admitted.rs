//! AMB601: NetworkPolicies that admit connections on the application's port and not on TCP 15008, on
//! which they arrive in ambient mode (istio.io, Ambient and Kubernetes NetworkPolicy; istio/istio#52742,
//! istio/ztunnel#1229).

use std::collections::BTreeSet;

use crate::checks::policy::names;
use crate::checks::workload::may_have_sidecar;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Object;
use crate::kinds::network_policy::{Direction, NetworkPeer, NetworkPolicy, PolicyRule};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Kind, KindSet, LabelSelector, Name, Resource};
use crate::mesh::Mesh;
use crate::mesh::namespaces::Namespace;
use crate::mesh::workloads::{DataPlane, GATEWAY_NAME_LABEL, Mode, Role, Workload};
use crate::translate::network::admission::{Gap, HBONE, gaps, own_gaps};
use crate::translate::network::fronts::{Barrier, Front, planned};
use crate::translate::network::hop::Hop;

/// The check.
pub static CHECK: Port15008NotAdmitted = Port15008NotAdmitted;

/// The check's type.
#[derive(Debug)]
pub struct Port15008NotAdmitted;

static META: Meta = Meta {
    id: Id("AMB601"),
    slug: "port-15008-not-admitted",
    area: Area::Network,
    highest: Severity::Blocking,
    reads: crate::waypoint::READS.and(KindSet::of(&[Kind::NetworkPolicy, Kind::ServiceEntry])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb601_port_15008_not_admitted.md"),
};

impl Check for Port15008NotAdmitted {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        let judged = view.namespaces().map(|namespace| namespace.name.clone());
        let fronts = planned(mesh, &judged.collect());
        for namespace in view.namespaces() {
            for direction in [Direction::Ingress, Direction::Egress] {
                for gap in &own_gaps(mesh, &namespace.name, direction) {
                    own(namespace, gap, direction, out);
                }
            }
            for front in &fronts {
                beside(mesh, namespace, front, out);
            }
        }
        for front in &fronts {
            elsewhere(mesh, view, front, out);
        }
        let callers: Vec<Gap<'_>> = homes(mesh)
            .iter()
            .flat_map(|home| gaps(mesh, home, Direction::Egress, is_in_mesh))
            .collect();
        for namespace in view.namespaces() {
            by_name(namespace, &callers, out);
        }
        by_nobody(view, &callers, out);
    }
}

/// The namespaces that have NetworkPolicies.
fn homes(mesh: &Mesh) -> Vec<Name> {
    let policies = mesh.all::<NetworkPolicy>();
    policies
        .chunk_by(|a, b| a.metadata.namespace == b.metadata.namespace)
        .map(|run| run[0].metadata.namespace.clone())
        .collect()
}

/// Whether it tunnels what it sends to ambient pods.
fn is_in_mesh(workload: &Workload) -> bool {
    workload.role != Role::Application
        || may_have_sidecar(workload)
        || workload.mode() == Mode::All(DataPlane::Ambient)
}

const fn part(direction: Direction) -> &'static str {
    match direction {
        Direction::Ingress => "ingress",
        Direction::Egress => "egress",
    }
}

/// The gap's first rule: where its ports stand, and the ports in words.
fn first_rule(gap: &Gap<'_>, direction: Direction) -> (usize, FieldPath, String) {
    let index = gap.rules.keys().next().copied().unwrap_or_default();
    let ports = gap
        .policy
        .spec
        .rules(direction)
        .get(index)
        .map_or_else(String::new, ports_in_words);
    let path = field!["spec", part(direction), index, "ports"];
    (index, path, ports)
}

fn ports_in_words(rule: &PolicyRule) -> String {
    let mut ports: Vec<String> = rule
        .ports
        .iter()
        .filter(|port| port.is_tcp())
        .filter_map(|port| match (&port.port, port.end_port) {
            (Some(first), Some(last)) => Some(format!("{first}-{last}")),
            (Some(port), None) => Some(port.to_string()),
            (None, _) => None,
        })
        .collect();
    if ports.len() > 3 {
        let more = ports.len() - 2;
        ports.truncate(2);
        ports.push(format!("{more} more"));
    }
    let more = if ports.len() > 1 { "ports " } else { "port " };
    format!("{more}{}", ports.join(", "))
}

fn rules_in_words(gap: &Gap<'_>) -> String {
    match gap.rules.len() {
        0 | 1 => String::new(),
        more => format!(" (one of {more} such rules)"),
    }
}

/// A policy of the namespace itself, which the move completes.
fn own(namespace: &Namespace, gap: &Gap<'_>, direction: Direction, out: &mut Sink<'_>) {
    let (_, path, ports) = first_rule(gap, direction);
    let who = names(&gap.workloads);
    let more = rules_in_words(gap);
    let (message, remedy) = match direction {
        Direction::Ingress => (
            format!(
                "callers are admitted on {ports} only{more}: in ambient mode their connections arrive on TCP {HBONE}, \
                 and {who} would not be reached"
            ),
            format!(
                "the policy admits TCP {HBONE} from the same peers, and from the waypoint where there is one"
            ),
        ),
        Direction::Egress => (
            format!(
                "connections may go to {ports} only{more}: in ambient mode those to pods of the mesh go to TCP {HBONE}, \
                 and {who} would not get through"
            ),
            format!(
                "the policy admits TCP {HBONE} to the same peers, and to the waypoint where there is one"
            ),
        ),
    };
    out.find(
        &namespace.name,
        Severity::Change,
        (gap.policy.reference(), path),
        message,
        Remedy::moved(remedy),
    );
}

/// Policies that admit callers by who they are, and not the waypoint between them and the pods.
fn beside(mesh: &Mesh, namespace: &Namespace, front: &Front<'_>, out: &mut Sink<'_>) {
    let (home, name) = (&namespace.name, &front.name);
    let inward = front.inward(mesh, home);
    for barrier in &inward {
        let effect = if barrier.addresses {
            format!(
                "callers are admitted by their addresses, and whether those of {name} are among them is not known: \
                 requests that come through it may not reach {}",
                names(&barrier.workloads)
            )
        } else {
            format!(
                "callers are admitted by who they are, and {name} is none of them: requests that come through it would \
                 not reach {}",
                names(&barrier.workloads)
            )
        };
        let what = format!(
            "admit the waypoint's pods on TCP {HBONE}, by their label {GATEWAY_NAME_LABEL}"
        );
        let at = field!["spec", "ingress", barrier.rule, "from"];
        let severity = if have_moved(&barrier.workloads) {
            Severity::Warning
        } else {
            Severity::Change
        };
        stands_between(home, (severity, barrier.policy, at), effect, what, out);
    }
    for barrier in front.outward(mesh, namespace) {
        let severity = if have_moved(&barrier.workloads) {
            Severity::Warning
        } else {
            Severity::Change
        };
        not_let_to(home, front, &barrier, severity, out);
    }
    more_is_reached(mesh, namespace, front, out);
    if front.namespaces().contains(home) {
        own_pods(mesh, namespace, front, !inward.is_empty(), out);
    }
}

/// Whether nothing will move any more that would mend it.
fn have_moved(workloads: &[&Workload]) -> bool {
    let mut all = workloads.iter();
    !workloads.is_empty() && all.all(|workload| workload.mode() == Mode::All(DataPlane::Ambient))
}

/// A policy by which pods may not go to the waypoint in front of those that they call.
fn not_let_to(
    namespace: &Name,
    front: &Front<'_>,
    barrier: &Barrier<'_>,
    severity: Severity,
    out: &mut Sink<'_>,
) {
    let effect = format!(
        "connections may go to pods that it names, and {} in front of them is none of these: requests of {} would not \
         reach it",
        front.name,
        names(&barrier.workloads)
    );
    let what = format!(
        "let them connect to TCP {HBONE} of the waypoint's pods, by their label {GATEWAY_NAME_LABEL}"
    );
    let at = field!["spec", "egress", barrier.rule, "to"];
    stands_between(namespace, (severity, barrier.policy, at), effect, what, out);
}

/// What stands in the waypoint's own namespace, and whom nothing there keeps out.
fn own_pods(mesh: &Mesh, namespace: &Namespace, front: &Front<'_>, told: bool, out: &mut Sink<'_>) {
    let (name, home) = (&front.name, &front.waypoint.namespace);
    let is_home = *home == namespace.name;
    let hop = Hop::of(mesh, front, is_home);
    let severity = match (is_home, front.services.is_empty()) {
        (false, _) => Severity::Blocking,
        (true, true) => Severity::Warning,
        (true, false) => Severity::Change,
    };
    let at = |policy| (severity, policy, field!["spec", "podSelector"]);
    let isolating = |direction: Direction| {
        hop.isolating
            .iter()
            .copied()
            .find(|policy| policy.spec.isolates(direction))
    };
    if let (Some(policy), false) = (isolating(Direction::Ingress), hop.missing.is_empty()) {
        let effect = format!(
            "it isolates {name} too, and no rule lets all callers reach that on TCP {HBONE}: requests through it would \
             not get there"
        );
        let what = format!(
            "let callers connect to TCP {HBONE} of the waypoint's pods, in a policy that selects these by their label \
             {GATEWAY_NAME_LABEL}"
        );
        stands_between(&namespace.name, at(policy), effect, what, out);
    }
    if let (Some(policy), true) = (isolating(Direction::Egress), hop.egress) {
        let effect = format!(
            "it isolates {name} too, and no rule lets that reach all pods behind it on TCP {HBONE}, istiod and name \
             servers: requests through it would not get further"
        );
        let what = format!(
            "let the waypoint's pods connect to TCP {HBONE} of those behind it, to istiod and to name servers, in a \
             policy that selects them by their label {GATEWAY_NAME_LABEL}"
        );
        stands_between(&namespace.name, at(policy), effect, what, out);
    }
    let newly = || front.behind.values().filter(|behind| behind.newly);
    let here = newly().filter(|behind| behind.workload.object.namespace == namespace.name);
    for behind in here {
        let beyond = hop.beyond(front, behind);
        let Some(policy) = behind.policies.first() else {
            continue;
        };
        let kept = names(&[behind.workload]);
        if !beyond.is_empty() {
            let effect = format!(
                "{name} has other callers too, and through it {kept} would be reached by more than the policies of its \
                 pods admit: {}",
                beyond.words()
            );
            let what = "give what has other callers a waypoint of its own, or refuse these by an AuthorizationPolicy";
            let place = (policy.reference(), field!["spec", "ingress"]);
            out.find(
                &namespace.name,
                Severity::Blocking,
                place,
                effect,
                Remedy::person(what),
            );
        } else if hop.ingress && hop.is_open && !told {
            let effect = format!(
                "callers are admitted by who they are, and everyone could come through {name}"
            );
            let place = (policy.reference(), field!["spec", "ingress"]);
            out.find(
                &namespace.name,
                Severity::Change,
                place,
                effect,
                Remedy::moved(BOTH_SIDES),
            );
        }
    }
}

/// Callers who may call one pod behind a waypoint may call all that are.
fn more_is_reached(mesh: &Mesh, namespace: &Namespace, front: &Front<'_>, out: &mut Sink<'_>) {
    for reached in front.reached(mesh, namespace) {
        let effect = format!(
            "{} may call some pods behind {}, and through it would call more: {}",
            names(&reached.callers),
            front.name,
            names(&reached.workloads)
        );
        let what = "refuse these callers by an AuthorizationPolicy, or give what they call a waypoint of its own";
        let place = (reached.policy.reference(), field!["spec", "egress"]);
        out.find(
            &namespace.name,
            Severity::Blocking,
            place,
            effect,
            Remedy::person(what),
        );
    }
}

/// Policies of namespaces that do not move, by which ambient pods there may not go to the waypoint.
fn elsewhere(mesh: &Mesh, view: &View<'_>, front: &Front<'_>, out: &mut Sink<'_>) {
    let is_judged = |name: &Name| view.namespaces().any(|namespace| namespace.name == *name);
    for home in homes(mesh).iter().filter(|home| !is_judged(home)) {
        let Some(caller) = mesh.namespace(home) else {
            continue;
        };
        for barrier in front
            .outward(mesh, caller)
            .iter()
            .filter(|barrier| have_moved(&barrier.workloads))
        {
            let called = front.services.iter().map(|service| &service.namespace);
            let called: BTreeSet<&Name> = called.collect();
            for namespace in called {
                not_let_to(namespace, front, barrier, Severity::Blocking, out);
            }
        }
    }
}

/// What the move does about it.
const BOTH_SIDES: &str = "the policies of the pods admit the waypoint on TCP 15008, and one for the waypoint's pods admits the same callers";

fn stands_between(
    namespace: &Name,
    (severity, policy, at): (Severity, &Object<NetworkPolicy>, FieldPath),
    effect: String,
    what: String,
    out: &mut Sink<'_>,
) {
    let meta = &policy.metadata;
    let severity = if meta.namespace == *namespace {
        severity
    } else {
        Severity::Blocking
    };
    let remedy = match severity {
        Severity::Change => Remedy::moved(BOTH_SIDES),
        _ => Remedy::command(
            what,
            format!(
                "kubectl edit networkpolicy {} -n {}",
                meta.name, meta.namespace
            ),
        ),
    };
    out.find(
        namespace,
        severity,
        (policy.reference(), at),
        effect,
        remedy,
    );
}

/// Policies of other namespaces that let their pods call this one, and not on the port.
fn by_name(namespace: &Namespace, callers: &[Gap<'_>], out: &mut Sink<'_>) {
    let labels = namespace.labels_with_name();
    let elsewhere = |gap: &&Gap<'_>| gap.policy.metadata.namespace != namespace.name;
    for gap in callers.iter().filter(elsewhere) {
        let naming = gap.rules.iter().find(|(_, peers)| {
            let mut selectors = peers.iter().filter_map(|peer| selects(peer));
            selectors.any(|selector| selector.matches(&labels))
        });
        if let Some((index, _)) = naming {
            refuse(namespace, gap, *index, out);
        }
    }
}

/// Policies that let their pods call anyone, and not on the port: one finding, since nothing says
/// whether anyone there calls a namespace that is judged.
fn by_nobody(view: &View<'_>, callers: &[Gap<'_>], out: &mut Sink<'_>) {
    let is_elsewhere = |home: &Name| view.namespaces().any(|namespace| namespace.name != *home);
    let wide: Vec<&Gap<'_>> = callers
        .iter()
        .filter(|gap| gap.rules.values().any(|peers| is_wide(peers)))
        .filter(|gap| is_elsewhere(&gap.policy.metadata.namespace))
        .collect();
    let Some(first) = wide.first() else {
        return;
    };
    let (_, path, ports) = first_rule(first, Direction::Egress);
    let more = match wide.len() - 1 {
        0 => String::new(),
        1 => ", and 1 policy more does the like".to_owned(),
        more => format!(", and {more} policies more do the like"),
    };
    out.find_for_all(
        Severity::Warning,
        (first.policy.reference(), path),
        format!(
            "the policy lets {} connect to {ports} of anyone and not to TCP {HBONE}{more}: what its pods call in a \
             namespace that moves, they no longer reach",
            names(&first.workloads)
        ),
        Remedy::person(format!("let callers of a namespace that moves connect to TCP {HBONE} of its pods")),
    );
}

/// The namespaces that a peer chooses by their labels.
fn selects(peer: &NetworkPeer) -> Option<&LabelSelector> {
    peer.namespace_selector
        .as_ref()
        .filter(|selector| !selector.is_empty())
}

/// Whether everyone, or every namespace, is meant: nobody is named.
fn is_wide(peers: &[&NetworkPeer]) -> bool {
    peers.is_empty()
        || peers.iter().any(|peer| {
            peer.ip_block.is_some()
                || peer
                    .namespace_selector
                    .as_ref()
                    .is_some_and(LabelSelector::is_empty)
        })
}

fn refuse(namespace: &Namespace, gap: &Gap<'_>, index: usize, out: &mut Sink<'_>) {
    let rules = gap.policy.spec.rules(Direction::Egress);
    let ports = rules.get(index).map_or_else(String::new, ports_in_words);
    let meta = &gap.policy.metadata;
    out.find(
        &namespace.name,
        Severity::Blocking,
        (gap.policy.reference(), field!["spec", "egress", index, "ports"]),
        format!(
            "the policy lets {} of {} connect to {ports} of {} and not to TCP {HBONE}, on which pods in ambient mode \
             are called: their requests would not get through",
            names(&gap.workloads),
            meta.namespace,
            namespace.name
        ),
        Remedy::command(
            format!("admit TCP {HBONE} as well; the policy is outside the namespace that moves"),
            format!(
                r#"kubectl patch networkpolicy {} -n {} --type=json -p '[{{"op":"add","path":"/spec/egress/{index}/ports/-","value":{{"protocol":"TCP","port":{HBONE}}}}}]'"#,
                meta.name, meta.namespace
            ),
        ),
    );
}
