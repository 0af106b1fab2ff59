//! What NetworkPolicies have to say of a waypoint's own pods.
//!
//! Who comes to a pod through a waypoint comes from the waypoint's pods. So those whom the policies of
//! the pods behind it admit, and nobody else, may come to the waypoint; and where pods are kept from
//! calling, the waypoint needs its ways.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::admission::{DNS, FIGURES, HBONE, ISTIOD, admits_hbone, opened};
use super::fronts::{Behind, Front, admits, labels_of};
use super::peers::{Peer, Pods, Whom, of_name};
use crate::inventory::Object;
use crate::kinds::network_policy::{Direction, NetworkPolicy, PolicyPort, PolicyRule};
use crate::kinds::{Labels, Name};
use crate::mesh::Mesh;
use crate::mesh::workloads::{GATEWAY_NAME_LABEL, Workload};

/// What has to be said of a waypoint's pods.
#[derive(Debug)]
pub(crate) struct Hop<'a> {
    /// The policies that isolate its pods, by direction.
    pub(crate) isolating: Vec<&'a Object<NetworkPolicy>>,
    /// Those who may call what is behind it.
    pub(crate) callers: Whom<'a>,
    /// Of these, those who would not get to it.
    pub(crate) missing: Whom<'a>,
    /// Those who get to it once its own policy is there.
    pub(crate) coming: Whom<'a>,
    /// What it would not get to.
    pub(crate) out_of_reach: Vec<&'a Workload>,
    /// Whether a policy of its own is needed for callers: because they would not get to it, or
    /// because others would.
    pub(crate) ingress: bool,
    /// Whether one is needed for what it calls.
    pub(crate) egress: bool,
    /// Whether nothing keeps anybody from it today.
    pub(crate) is_open: bool,
}

impl<'a> Hop<'a> {
    /// Of a waypoint. `may_write` is whether a policy of its own may be written.
    pub(crate) fn of(mesh: &'a Mesh, front: &Front<'a>, may_write: bool) -> Self {
        let home = &front.waypoint.namespace;
        let pods = front.pods();
        let of = |direction: Direction| -> Vec<&'a Object<NetworkPolicy>> {
            let policies = mesh.within::<NetworkPolicy>(home).iter();
            let isolating = policies.filter(|policy| policy.spec.isolates(direction));
            isolating
                .filter(|policy| policy.spec.pod_selector.matches(pods.labels))
                .collect()
        };
        let admitting = |direction: Direction| {
            let policies = of(direction);
            let opened = if may_write && !policies.is_empty() {
                opened(mesh, home, direction)
            } else {
                BTreeSet::new()
            };
            Admitting {
                policies,
                direction,
                opened,
            }
        };
        let (inward, outward) = (admitting(Direction::Ingress), admitting(Direction::Egress));
        let callers = callers(front);
        let is_open = inward.policies.is_empty();
        let today = coming(&inward);
        let missing = callers.beyond(&today);
        // Who else may be behind it would be cut off from callers that are not known.
        let narrow = is_open && !front.serves_others && callers != Whom::Everyone;
        let ingress = narrow || !missing.is_empty();
        let coming = match (may_write && ingress, narrow) {
            (false, _) => today,
            (true, true) => callers.clone(),
            (true, false) => today.or(callers.clone()),
        };
        let out_of_reach = out_of_reach(front, &outward);
        let ways = &outward.policies;
        let egress = !ways.is_empty()
            && (!out_of_reach.is_empty() || !asks_istiod(mesh, ways) || !asks_names(ways));
        let mut isolating = inward.policies;
        isolating.extend(outward.policies);
        isolating.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        isolating.dedup_by(|a, b| a.metadata.name == b.metadata.name);
        Self {
            isolating,
            callers,
            missing,
            coming,
            out_of_reach,
            ingress,
            egress,
            is_open,
        }
    }

    /// Those who come to a workload through the waypoint, and could not call it before.
    pub(crate) fn beyond(&self, front: &Front<'_>, behind: &Behind<'a>) -> Whom<'a> {
        let callers = behind.callers();
        // Whom nobody may call the waypoint is not let to either.
        if callers.is_empty() && !front.is_let_in(behind) {
            return callers;
        }
        self.coming.beyond(&callers)
    }

    /// The spec of the waypoint's own policy.
    pub(crate) fn spec(&self, mesh: &Mesh, front: &Front<'_>) -> Value {
        let home = &front.waypoint.namespace;
        let selector = json!({"matchLabels": {GATEWAY_NAME_LABEL: front.waypoint.name.as_ref()}});
        let mut spec = serde_json::Map::new();
        spec.insert("podSelector".to_owned(), selector);
        let tunnel = json!([{"protocol": "TCP", "port": HBONE}]);
        let mut types = Vec::new();
        if self.ingress {
            types.push("Ingress");
            let mut rules = match &self.callers {
                Whom::Everyone => vec![json!({"ports": tunnel})],
                Whom::These(peers) if peers.is_empty() => Vec::new(),
                Whom::These(peers) => {
                    let from: Vec<Value> = peers.iter().map(|peer| peer.written(home)).collect();
                    vec![json!({"from": from, "ports": tunnel})]
                }
            };
            if self.is_open {
                rules.push(json!({"ports": [{"protocol": "TCP", "port": FIGURES}]}));
            }
            spec.insert("ingress".to_owned(), rules.into());
        }
        if self.egress {
            types.push("Egress");
            let mut to: Vec<Value> = Vec::new();
            let selectors = front.behind.values().flat_map(|behind| &behind.selectors);
            for (namespace, labels) in selectors {
                let pairs: serde_json::Map<String, Value> = labels
                    .iter()
                    .map(|(key, value)| (key.to_owned(), value.into()))
                    .collect();
                let mut peer = json!({"podSelector": {"matchLabels": pairs}});
                if *namespace != home {
                    peer["namespaceSelector"] = of_name(namespace);
                }
                if !to.contains(&peer) {
                    to.push(peer);
                }
            }
            let istiod = json!({
                "namespaceSelector": of_name(mesh.root_namespace()),
                "podSelector": {"matchLabels": {"app": "istiod"}},
            });
            let rules = json!([
                {"to": to, "ports": tunnel},
                {"to": [istiod], "ports": [{"protocol": "TCP", "port": ISTIOD}]},
                {"ports": [{"protocol": "UDP", "port": DNS}, {"protocol": "TCP", "port": DNS}]},
            ]);
            spec.insert("egress".to_owned(), rules);
        }
        spec.insert("policyTypes".to_owned(), json!(types));
        Value::Object(spec)
    }
}

/// Those who may call anything behind a waypoint.
fn callers<'a>(front: &Front<'a>) -> Whom<'a> {
    let each = front.behind.values().map(Behind::callers);
    each.reduce(Whom::or).unwrap_or(Whom::Everyone)
}

/// The policies that isolate a waypoint's pods, in one direction.
#[derive(Debug)]
struct Admitting<'a> {
    policies: Vec<&'a Object<NetworkPolicy>>,
    direction: Direction,
    opened: BTreeSet<(&'a Name, usize)>,
}

impl<'a> Admitting<'a> {
    /// Their rules that admit the tunnel, or will, and where they stand.
    fn rules(&self) -> impl Iterator<Item = (&'a Name, &'a PolicyRule)> {
        self.policies.iter().flat_map(|policy| {
            let meta = &policy.metadata;
            let rules = policy.spec.rules(self.direction).iter().enumerate();
            let open = rules.filter(|(index, rule)| {
                admits_hbone(rule) || self.opened.contains(&(&meta.name, *index))
            });
            open.map(move |(_, rule)| (&meta.namespace, rule))
        })
    }
}

/// Those whom policies of a waypoint's pods let come to the tunnel, or will.
fn coming<'a>(inward: &Admitting<'a>) -> Whom<'a> {
    if inward.policies.is_empty() {
        return Whom::Everyone;
    }
    let mut all = Whom::These(Vec::new());
    for (home, rule) in inward.rules() {
        let peers = rule.peers.iter().map(|is| Peer { home, is });
        let peers: Vec<Peer<'_>> = peers.filter(|peer| !peer.names_waypoints()).collect();
        let everyone = rule.peers.is_empty() || peers.iter().any(Peer::is_everyone);
        if everyone {
            return Whom::Everyone;
        }
        all = all.or(Whom::These(peers));
    }
    all
}

/// The workloads behind a waypoint to which policies do not let it, and will not.
fn out_of_reach<'a>(front: &Front<'a>, outward: &Admitting<'_>) -> Vec<&'a Workload> {
    if outward.policies.is_empty() {
        return Vec::new();
    }
    let behind = front.behind.values().filter(|behind| {
        let pods = behind.pods();
        !outward
            .rules()
            .any(|(home, rule)| admits(rule, home, &pods))
    });
    behind.map(|behind| behind.workload).collect()
}

fn asks_istiod(mesh: &Mesh, policies: &[&Object<NetworkPolicy>]) -> bool {
    let namespace = mesh.root_namespace();
    let labels = Labels::from_pairs(vec![(Name::from("app"), Name::from("istiod"))]);
    let home_labels = labels_of(mesh, namespace);
    let istiod = Pods {
        namespace,
        namespace_labels: home_labels.as_ref(),
        labels: &labels,
    };
    rules(policies).any(|(home, rule)| {
        let mut ports = rule.ports.iter();
        let port = rule.ports.is_empty() || ports.any(|port| port.admits_tcp(ISTIOD));
        port && admits(rule, home, &istiod)
    })
}

/// Whether name servers may be asked, wherever they are.
fn asks_names(policies: &[&Object<NetworkPolicy>]) -> bool {
    let asks = |port: &PolicyPort| {
        let tcp = PolicyPort {
            protocol: String::new(),
            ..port.clone()
        };
        port.protocol == "UDP" && tcp.admits_tcp(DNS)
    };
    rules(policies).any(|(_, rule)| {
        (rule.ports.is_empty() && rule.peers.is_empty()) || rule.ports.iter().any(asks)
    })
}

fn rules<'p>(
    policies: &'p [&Object<NetworkPolicy>],
) -> impl Iterator<Item = (&'p Name, &'p PolicyRule)> {
    policies.iter().flat_map(|policy| {
        let rules = policy.spec.egress.iter();
        rules.map(move |rule| (&policy.metadata.namespace, rule))
    })
}
