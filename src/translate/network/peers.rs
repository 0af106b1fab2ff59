//! Whom the peers of NetworkPolicies mean, as far as their texts tell.
//!
//! A peer is read together with the namespace of its policy, since one without a namespaceSelector
//! means pods there. Where a text does not tell, nobody is taken to be meant: what is written must not
//! rest on a guess.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::kinds::network_policy::{IpBlock, NetworkPeer};
use crate::kinds::selector::{Operator, Requirement};
use crate::kinds::{LabelSelector, Labels, Name, selector};
use crate::mesh::workloads::GATEWAY_NAME_LABEL;

/// The label that the API server gives every namespace.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// A peer of a policy, and the policy's namespace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Peer<'a> {
    pub(crate) home: &'a Name,
    pub(crate) is: &'a NetworkPeer,
}

/// The namespaces that a peer means.
#[derive(Debug, PartialEq)]
enum Namespaces<'a> {
    All,
    Named(&'a str),
    Selected(&'a LabelSelector),
}

impl<'a> Peer<'a> {
    fn namespaces(&self) -> Namespaces<'a> {
        let Some(selector) = &self.is.namespace_selector else {
            return Namespaces::Named(self.home);
        };
        let labels = &selector.match_labels;
        match labels.get(NAMESPACE_NAME) {
            _ if selector.is_empty() => Namespaces::All,
            Some(name) if labels.len() == 1 && selector.match_expressions.is_empty() => {
                Namespaces::Named(name)
            }
            _ => Namespaces::Selected(selector),
        }
    }

    fn pods(&self) -> Option<&'a LabelSelector> {
        let selector = self.is.pod_selector.as_ref();
        selector.filter(|selector| !selector.is_empty())
    }

    /// Whether every pod is meant.
    pub(crate) fn is_everyone(&self) -> bool {
        let all = self.namespaces() == Namespaces::All && self.pods().is_none();
        all && self.is.ip_block.is_none()
    }

    /// Whether waypoints are named, by the label that their pods have.
    pub(crate) fn names_waypoints(&self) -> bool {
        self.pods().is_some_and(|selector| {
            let mut keys = selector.match_expressions.iter().map(|one| &one.key);
            selector.match_labels.get(GATEWAY_NAME_LABEL).is_some()
                || keys.any(|key| key == GATEWAY_NAME_LABEL)
        })
    }

    /// Whether everyone whom another means is meant.
    pub(crate) fn covers(&self, narrow: &Peer<'_>) -> bool {
        if self.is.ip_block.is_some() || narrow.is.ip_block.is_some() {
            return self.is == narrow.is;
        }
        let namespaces = match self.namespaces() {
            Namespaces::All => true,
            own => own == narrow.namespaces(),
        };
        let pods = match (self.pods(), narrow.pods()) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wide), Some(narrow)) => {
                let mut wanted = wide.match_expressions.iter();
                selector::contains(&narrow.match_labels, &wide.match_labels)
                    && wanted.all(|one| narrow.match_expressions.contains(one))
            }
        };
        namespaces && pods
    }

    /// Whether a pod is meant. Of namespaces whose labels are not known the name is known.
    pub(crate) fn means(&self, pod: &Pods<'_>) -> bool {
        let namespaces = match self.namespaces() {
            Namespaces::All => true,
            Namespaces::Named(name) => name == pod.namespace.as_ref(),
            Namespaces::Selected(selector) => pod
                .namespace_labels
                .is_some_and(|labels| selector.matches(labels)),
        };
        let pods = self.pods();
        self.is.ip_block.is_none()
            && namespaces
            && pods.is_none_or(|selector| selector.matches(pod.labels))
    }

    /// As a policy of a namespace names it.
    pub(crate) fn written(&self, home: &Name) -> Value {
        if let Some(IpBlock { cidr, except }) = &self.is.ip_block {
            return match except.as_slice() {
                [] => json!({"ipBlock": {"cidr": cidr}}),
                except => json!({"ipBlock": {"cidr": cidr, "except": except}}),
            };
        }
        let mut fields = serde_json::Map::new();
        match &self.is.namespace_selector {
            Some(selector) => {
                fields.insert("namespaceSelector".to_owned(), written(selector));
            }
            None if self.home != home => {
                fields.insert("namespaceSelector".to_owned(), of_name(self.home));
            }
            None => {}
        }
        if let Some(selector) = &self.is.pod_selector {
            fields.insert("podSelector".to_owned(), written(selector));
        }
        Value::Object(fields)
    }

    /// In words.
    pub(crate) fn words(&self) -> String {
        if let Some(block) = &self.is.ip_block {
            return match block.except.as_slice() {
                [] => block.cidr.clone(),
                except => format!("{} except {}", block.cidr, except.join(", ")),
            };
        }
        let pods = match self.pods() {
            None => "pods".to_owned(),
            Some(selector) => format!("pods {}", words(selector)),
        };
        match self.namespaces() {
            Namespaces::All => format!("{pods} of all namespaces"),
            Namespaces::Named(name) => format!("{pods} of {name}"),
            Namespaces::Selected(selector) => {
                format!("{pods} of namespaces {}", words(selector))
            }
        }
    }
}

/// Pods of which the labels are known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pods<'a> {
    pub(crate) namespace: &'a Name,
    /// The labels of their namespace, if these are known.
    pub(crate) namespace_labels: Option<&'a Labels>,
    pub(crate) labels: &'a Labels,
}

/// Whom some policies admit.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Whom<'a> {
    /// Nobody is kept out.
    Everyone,
    /// These.
    These(Vec<Peer<'a>>),
}

impl Whom<'_> {
    /// Those whom one of both means.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::These(mut all), Self::These(more)) => {
                for peer in more {
                    if !all.contains(&peer) {
                        all.push(peer);
                    }
                }
                Self::These(all)
            }
            _ => Self::Everyone,
        }
    }

    /// Whether a peer is among them.
    pub(crate) fn covers(&self, narrow: &Peer<'_>) -> bool {
        match self {
            Self::Everyone => true,
            Self::These(peers) => peers.iter().any(|wide| wide.covers(narrow)),
        }
    }

    /// Those who are not among others.
    pub(crate) fn beyond(&self, others: &Self) -> Self {
        match (self, others) {
            (_, Self::Everyone) => Self::These(Vec::new()),
            (Self::Everyone, _) => Self::Everyone,
            (Self::These(all), _) => {
                let beyond = all.iter().filter(|peer| !others.covers(peer));
                Self::These(beyond.copied().collect())
            }
        }
    }

    /// Whether nobody is meant.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::These(peers) if peers.is_empty())
    }

    /// In words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Everyone => "everyone in the mesh".to_owned(),
            Self::These(peers) if peers.is_empty() => "nobody".to_owned(),
            Self::These(peers) => {
                let peers: Vec<String> = peers.iter().map(Peer::words).collect();
                peers.join("; ")
            }
        }
    }
}

/// A namespace, as a policy names it.
pub(crate) fn of_name(namespace: &str) -> Value {
    json!({"matchLabels": {NAMESPACE_NAME: namespace}})
}

fn operator(operator: Operator) -> &'static str {
    match operator {
        Operator::In => "In",
        Operator::NotIn => "NotIn",
        Operator::Exists => "Exists",
        Operator::DoesNotExist => "DoesNotExist",
    }
}

fn written(selector: &LabelSelector) -> Value {
    let mut fields = serde_json::Map::new();
    if !selector.match_labels.is_empty() {
        let pairs: BTreeMap<&str, &str> = selector.match_labels.iter().collect();
        fields.insert("matchLabels".to_owned(), json!(pairs));
    }
    let expression = |one: &Requirement| {
        let operator = operator(one.operator);
        match one.values.as_slice() {
            [] => json!({"key": one.key, "operator": operator}),
            values => json!({"key": one.key, "operator": operator, "values": values}),
        }
    };
    if !selector.match_expressions.is_empty() {
        let all: Vec<Value> = selector.match_expressions.iter().map(expression).collect();
        fields.insert("matchExpressions".to_owned(), all.into());
    }
    Value::Object(fields)
}

fn words(selector: &LabelSelector) -> String {
    let pairs = selector.match_labels.iter();
    let pairs = pairs.map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().map(|one| {
        let Requirement { key, values, .. } = one;
        let values = values.join(", ");
        match one.operator {
            Operator::In => format!("{key} in ({values})"),
            Operator::NotIn => format!("{key} notin ({values})"),
            Operator::Exists => key.clone(),
            Operator::DoesNotExist => format!("!{key}"),
        }
    });
    let all: Vec<String> = pairs.chain(expressions).collect();
    all.join(",")
}

/// Whether a peer can be pods: addresses that are public are not, nor is a single address, which no
/// pod keeps.
pub(crate) fn may_be_pods(peer: &NetworkPeer) -> bool {
    let Some(block) = &peer.ip_block else {
        return true;
    };
    let Some(meant) = Range::of(&block.cidr) else {
        return true;
    };
    let left_out: Vec<Range> = block
        .except
        .iter()
        .filter_map(|one| Range::of(one))
        .collect();
    let mut private = PRIVATE.iter().filter_map(|one| Range::of(one));
    !meant.is_single()
        && private.any(|private| {
            let Some(both) = private.shared(meant) else {
                return false;
            };
            !left_out.iter().any(|out| out.shared(both) == Some(both))
        })
}

/// Where clusters have their pods (RFC 1918, 6598, 4193).
const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

/// A range of addresses: the first, how many bits are given, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u128,
    given: u32,
    bits: u32,
}

impl Range {
    fn of(cidr: &str) -> Option<Self> {
        let (address, given) = cidr.split_once('/')?;
        let (number, bits) = match address.parse().ok()? {
            IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
            IpAddr::V6(address) => (u128::from(address), 128),
        };
        let given = given.parse().ok().filter(|given| *given <= bits)?;
        let range = Self {
            first: number,
            given,
            bits,
        };
        Some(Self {
            first: range.cut(number),
            ..range
        })
    }

    /// The first address of as many as this range has, with another in it.
    fn cut(self, address: u128) -> u128 {
        let free = self.bits - self.given;
        address
            .checked_shr(free)
            .unwrap_or(0)
            .checked_shl(free)
            .unwrap_or(0)
    }

    fn is_single(self) -> bool {
        self.given == self.bits
    }

    /// Where two ranges meet: the narrower, or nowhere.
    fn shared(self, other: Self) -> Option<Self> {
        let (wide, narrow) = if self.given <= other.given {
            (self, other)
        } else {
            (other, self)
        };
        let meet = wide.bits == narrow.bits && wide.cut(narrow.first) == wide.first;
        meet.then_some(narrow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(json: &str) -> NetworkPeer {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_peer_covers_those_within_it() {
        let everyone = r#"{"namespaceSelector":{}}"#;
        let web = r#"{"namespaceSelector":{"matchLabels":{"a":"web"}}}"#;
        let web_app = r#"{"namespaceSelector":{"matchLabels":{"a":"web"}},"podSelector":{"matchLabels":{"b":"c"}}}"#;
        let here = r#"{"podSelector":{}}"#;
        let by_name =
            r#"{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"shop"}}}"#;
        let app = r#"{"podSelector":{"matchLabels":{"b":"c"}}}"#;
        let app_v1 = r#"{"podSelector":{"matchLabels":{"b":"c","v":"1"}}}"#;
        let home = Name::from("shop");
        for (wide, narrow, expected) in [
            (everyone, web_app, true),
            (everyone, app, true),
            (web, web_app, true),
            (web_app, web, false),
            (here, app, true),
            (here, web, false),
            (here, by_name, true),
            (by_name, app, true),
            (app, app, true),
            (app, app_v1, true),
            (app_v1, app, false),
            (app, web_app, false),
            (r#"{"ipBlock":{"cidr":"0.0.0.0/0"}}"#, app, false),
        ] {
            let (wide_peer, narrow_peer) = (peer(wide), peer(narrow));
            let of = |is| Peer { home: &home, is };
            let found = of(&wide_peer).covers(&of(&narrow_peer));
            assert_eq!(found, expected, "{wide} {narrow}");
        }
    }

    #[test]
    fn public_addresses_are_no_pods() {
        let everywhere = r#"{"cidr":"0.0.0.0/0","except":["10.0.0.0/8","172.16.0.0/12","192.168.0.0/16","100.64.0.0/10"]}"#;
        for (block, expected) in [
            (r#"{"cidr":"0.0.0.0/0"}"#, true),
            (everywhere, false),
            (r#"{"cidr":"0.0.0.0/0","except":["10.0.0.0/9"]}"#, true),
            (r#"{"cidr":"203.0.113.0/24"}"#, false),
            (r#"{"cidr":"172.217.0.0/16"}"#, false),
            (r#"{"cidr":"172.20.0.0/16"}"#, true),
            (r#"{"cidr":"10.0.0.0/8","except":["10.0.0.0/8"]}"#, false),
            (r#"{"cidr":"10.96.0.1/32"}"#, false),
            (r#"{"cidr":"::/0"}"#, true),
            (r#"{"cidr":"fd00::/8"}"#, true),
            (r#"{"cidr":"2001:db8::/32"}"#, false),
            (r#"{"cidr":"what"}"#, true),
        ] {
            let json = format!(r#"{{"ipBlock":{block}}}"#);
            assert_eq!(may_be_pods(&peer(&json)), expected, "{block}");
        }
    }

    #[test]
    fn of_a_namespace_that_was_not_read_the_name_is_known() {
        let home = Name::from("shop");
        let (infra, web) = (Name::from("infra"), Labels::default());
        let named = peer(
            r#"{"namespaceSelector":{"matchLabels":{"kubernetes.io/metadata.name":"infra"}}}"#,
        );
        let labelled = peer(r#"{"namespaceSelector":{"matchLabels":{"team":"a"}}}"#);
        let pods = Pods {
            namespace: &infra,
            namespace_labels: None,
            labels: &web,
        };
        let of = |is| Peer { home: &home, is };
        assert!(of(&named).means(&pods));
        assert!(!of(&labelled).means(&pods));
    }

    #[test]
    fn a_peer_means_the_same_in_a_policy_elsewhere() {
        let app = peer(
            r#"{"podSelector":{"matchExpressions":[{"key":"b","operator":"In","values":["c"]}]}}"#,
        );
        let home = Name::from("shop");
        let of = Peer {
            home: &home,
            is: &app,
        };
        let here = json!({
            "podSelector": {"matchExpressions": [{"key": "b", "operator": "In", "values": ["c"]}]},
        });
        assert_eq!(of.written(&home), here);
        assert_eq!(of.words(), "pods b in (c) of shop");
        let there = of.written(&Name::from("infra"));
        assert_eq!(there["podSelector"], here["podSelector"]);
        assert_eq!(there["namespaceSelector"], of_name("shop"));
    }
}
