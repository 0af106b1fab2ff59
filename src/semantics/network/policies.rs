//! The policies of a mesh, by whom they isolate.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::search::{Caller, Surroundings, holds};
use super::whom::Whom;
use crate::kinds::network_policy::{Direction, NetworkPeer, NetworkPolicy, PolicyPort, PolicyRule};
use crate::kinds::workload::Container;
use crate::kinds::{IntOrString, LabelSelector, Labels, Name};

/// What a connection is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A port of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// What it is called by.
    pub protocol: Protocol,
    /// Its number.
    pub number: u16,
}

impl Port {
    /// Where ztunnels, waypoints and sidecars take tunnelled connections.
    pub const TUNNEL: Self = Self::tcp(15008);

    /// A port of TCP.
    pub const fn tcp(number: u16) -> Self {
        Self {
            protocol: Protocol::Tcp,
            number,
        }
    }
}

/// A pod, as policies see it.
#[derive(Debug, Clone, Copy)]
pub struct Pod<'p> {
    /// Its namespace.
    pub namespace: &'p Name,
    /// The labels of its namespace, if they are known.
    pub namespace_labels: Option<&'p Labels>,
    /// Its labels.
    pub labels: &'p Labels,
    /// Its containers, which give ports names.
    pub containers: &'p [Container],
}

/// The policies of one namespace in one direction.
#[derive(Debug, Default)]
struct Own<'p> {
    all: Vec<&'p NetworkPolicy>,
    /// Those that ask for a label, by that label.
    by_label: HashMap<(&'p str, &'p str), Vec<usize>>,
    /// The others.
    wide: Vec<usize>,
}

impl<'p> Own<'p> {
    fn add(&mut self, policy: &'p NetworkPolicy) {
        let position = self.all.len();
        self.all.push(policy);
        match policy.spec.pod_selector.match_labels.iter().next() {
            Some(label) => self.by_label.entry(label).or_default().push(position),
            None => self.wide.push(position),
        }
    }

    fn selecting(&self, labels: &Labels) -> Vec<&'p NetworkPolicy> {
        let asked = labels.iter().filter_map(|label| self.by_label.get(&label));
        let found: BTreeSet<usize> = asked.flatten().chain(&self.wide).copied().collect();
        let found = found.into_iter().map(|position| self.all[position]);
        found
            .filter(|policy| policy.spec.pod_selector.matches(labels))
            .collect()
    }
}

/// The policies of a mesh.
#[derive(Debug, Default)]
pub struct Policies<'p> {
    ingress: HashMap<&'p Name, Own<'p>>,
    egress: BTreeMap<&'p Name, Own<'p>>,
}

impl<'p> Policies<'p> {
    /// Of these.
    pub fn new(all: impl IntoIterator<Item = &'p NetworkPolicy>) -> Self {
        let mut policies = Self::default();
        for policy in all {
            let home = &policy.metadata.namespace;
            if policy.spec.isolates(Direction::Ingress) {
                policies.ingress.entry(home).or_default().add(policy);
            }
            if policy.spec.isolates(Direction::Egress) {
                policies.egress.entry(home).or_default().add(policy);
            }
        }
        policies
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ingress.is_empty() && self.egress.is_empty()
    }

    /// Whether any isolates callers.
    pub fn isolate_callers(&self) -> bool {
        !self.egress.is_empty()
    }

    /// Those that isolate a pod in a direction.
    pub fn isolating(&self, pod: &Pod<'_>, direction: Direction) -> Vec<&'p NetworkPolicy> {
        let own = match direction {
            Direction::Ingress => self.ingress.get(pod.namespace),
            Direction::Egress => self.egress.get(pod.namespace),
        };
        own.map_or_else(Vec::new, |own| own.selecting(pod.labels))
    }

    /// Those of a namespace that isolate any callers.
    pub fn isolating_callers(&self, namespace: &Name) -> &[&'p NetworkPolicy] {
        self.egress.get(namespace).map_or(&[], |own| &own.all)
    }

    /// Who may call, as far as the pod that is called says.
    pub fn admitted(&self, to: &Pod<'_>, port: Port) -> Whom<'p> {
        admitted(&self.isolating(to, Direction::Ingress), to, port)
    }

    /// Who may call, as far as the policies of the callers say.
    pub fn let_out(&self, to: &Pod<'_>, port: Port) -> Whom<'p> {
        let mut by_namespace = BTreeMap::new();
        for (namespace, own) in &self.egress {
            by_namespace.insert(*namespace, let_out(own, to, port));
        }
        if by_namespace.is_empty() {
            return Whom::EVERYONE;
        }
        Whom::ByNamespace(by_namespace)
    }

    /// Whether one pod may call another. `by_address` is whether addresses that policies name are
    /// theirs, which nobody knows.
    pub fn connect(&self, from: &Pod<'_>, to: &Pod<'_>, port: Port, by_address: bool) -> bool {
        let caller = Caller::known(from, by_address);
        holds(&self.admitted(to, port), &caller, &Surroundings::default())
            && self.lets_out(from, to, port, by_address)
    }

    /// Whether one pod may call another, as far as its own policies say.
    pub fn lets_out(&self, from: &Pod<'_>, to: &Pod<'_>, port: Port, by_address: bool) -> bool {
        let caller = Caller::known(from, by_address);
        holds(&self.let_out(to, port), &caller, &Surroundings::default())
    }
}

/// Whom policies that isolate a pod let call it.
pub(super) fn admitted<'p>(isolating: &[&'p NetworkPolicy], to: &Pod<'_>, port: Port) -> Whom<'p> {
    if isolating.is_empty() {
        return Whom::EVERYONE;
    }
    let rules = isolating.iter().flat_map(|policy| {
        let rules = policy.spec.ingress.iter();
        rules.map(|rule| (&policy.metadata.namespace, rule))
    });
    let rules = rules.filter(|(_, rule)| is_for(rule, to, port));
    Whom::any(rules.map(|(home, rule)| {
        if rule.peers.is_empty() {
            return Whom::EVERYONE;
        }
        Whom::any(rule.peers.iter().map(|peer| Whom::of(peer, home)))
    }))
}

/// Which pods of a namespace may call another.
fn let_out<'p>(own: &Own<'p>, to: &Pod<'_>, port: Port) -> Whom<'p> {
    let isolated = own
        .all
        .iter()
        .map(|policy| of_pods(&policy.spec.pod_selector));
    let free = Whom::any(isolated).others();
    let ways = own.all.iter().flat_map(|policy| {
        let rules = policy.spec.egress.iter();
        let rules = rules.filter(|rule| is_for(rule, to, port));
        rules.map(|rule| Whom::all([of_pods(&policy.spec.pod_selector), called(rule, policy, to)]))
    });
    Whom::any([free].into_iter().chain(ways))
}

fn of_pods(selector: &LabelSelector) -> Whom<'_> {
    if selector.is_empty() {
        Whom::EVERYONE
    } else {
        Whom::With(selector)
    }
}

/// Everyone, where a rule for what pods call means a pod.
fn called<'p>(rule: &'p PolicyRule, policy: &NetworkPolicy, to: &Pod<'_>) -> Whom<'p> {
    if rule.peers.is_empty() {
        return Whom::EVERYONE;
    }
    let home = &policy.metadata.namespace;
    Whom::any(rule.peers.iter().map(|peer| match &peer.ip_block {
        Some(block) => Whom::CalledAt(block),
        None => Whom::Always(means(peer, home, to)),
    }))
}

/// Whether a peer means a pod. Of namespaces whose labels are not known the name is known.
fn means(peer: &NetworkPeer, home: &Name, pod: &Pod<'_>) -> bool {
    let namespace = match (&peer.namespace_selector, pod.namespace_labels) {
        (None, _) => home == pod.namespace,
        (Some(selector), Some(labels)) => selector.matches(labels),
        (Some(selector), None) => selector.matches(&named(pod.namespace)),
    };
    let pods = peer.pod_selector.as_ref();
    namespace && pods.is_none_or(|selector| selector.matches(pod.labels))
}

/// The label that every namespace has (`NamespaceDefaultLabelName`).
pub(super) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

fn named(namespace: &Name) -> Labels {
    Labels::from_pairs(vec![(NAMESPACE_NAME.into(), namespace.clone())])
}

/// Whether a rule is for a port of a pod.
fn is_for(rule: &PolicyRule, pod: &Pod<'_>, port: Port) -> bool {
    let mut ports = rule.ports.iter();
    rule.ports.is_empty() || ports.any(|written| is_port(written, pod, port))
}

/// Whether a port that is written is one of a pod. One by a name that no container declares may be any
/// but the tunnel's, which has no name.
fn is_port(written: &PolicyPort, pod: &Pod<'_>, port: Port) -> bool {
    let protocol = match port.protocol {
        Protocol::Tcp => "TCP",
        Protocol::Udp => "UDP",
        Protocol::Sctp => "SCTP",
    };
    let of_protocol = match written.protocol.as_str() {
        "" => port.protocol == Protocol::Tcp,
        written => written == protocol,
    };
    let wanted = i64::from(port.number);
    of_protocol
        && match (&written.port, written.end_port) {
            (None, _) => true,
            (Some(IntOrString::Int(first)), Some(last)) => (*first..=last).contains(&wanted),
            (Some(IntOrString::Int(number)), None) => *number == wanted,
            (Some(IntOrString::String(name)), _) => is_named(pod, name, port),
        }
}

fn is_named(pod: &Pod<'_>, name: &str, port: Port) -> bool {
    let declared = pod.containers.iter().flat_map(|container| &container.ports);
    let mut numbers = declared
        .filter(|declared| declared.name == name)
        .map(|declared| declared.container_port)
        .peekable();
    port != Port::TUNNEL
        && (numbers.peek().is_none() || numbers.any(|number| number == port.number))
}
