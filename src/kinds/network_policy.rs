//! NetworkPolicies.

use serde::Deserialize;

use super::lenient::{IntOrString, null_default};
use super::{LabelSelector, Meta};

/// A NetworkPolicy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct NetworkPolicy {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// Whom it isolates and what it admits.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: NetworkPolicySpec,
}
super::resource!(NetworkPolicy);

/// Spec of a NetworkPolicy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// The pods it isolates; all of the namespace when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub pod_selector: LabelSelector,
    /// `Ingress`, `Egress`; derived when absent, see [`NetworkPolicySpec::isolates`].
    #[serde(default, deserialize_with = "null_default")]
    pub policy_types: Vec<String>,
    /// What may come in.
    #[serde(default, deserialize_with = "null_default")]
    pub ingress: Vec<PolicyRule>,
    /// What may go out.
    #[serde(default, deserialize_with = "null_default")]
    pub egress: Vec<PolicyRule>,
}

/// A direction of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the pod.
    Ingress,
    /// Out of the pod.
    Egress,
}

impl NetworkPolicySpec {
    /// What it admits in a direction.
    pub fn rules(&self, direction: Direction) -> &[PolicyRule] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }

    /// Whether it isolates its pods in a direction. Without `policyTypes` every policy isolates
    /// inbound traffic, and outbound traffic if it has an egress rule.
    pub fn isolates(&self, direction: Direction) -> bool {
        let name = match direction {
            Direction::Ingress => "Ingress",
            Direction::Egress => "Egress",
        };
        if self.policy_types.is_empty() {
            direction == Direction::Ingress || !self.egress.is_empty()
        } else {
            self.policy_types.iter().any(|written| written == name)
        }
    }
}

/// What may come in, or go out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct PolicyRule {
    /// On which ports; all when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub ports: Vec<PolicyPort>,
    /// From whom, or to whom; everyone when empty.
    #[serde(
        rename = "from",
        alias = "to",
        default,
        deserialize_with = "null_default"
    )]
    pub peers: Vec<NetworkPeer>,
}

/// Whom a rule admits; what is given must hold together.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPeer {
    /// Which pods; all when absent.
    #[serde(default)]
    pub pod_selector: Option<LabelSelector>,
    /// Of which namespaces; the policy's own when absent.
    #[serde(default)]
    pub namespace_selector: Option<LabelSelector>,
    /// Addresses instead of pods.
    #[serde(default)]
    pub ip_block: Option<IpBlock>,
}

/// A range of addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct IpBlock {
    /// The range.
    #[serde(default, deserialize_with = "null_default")]
    pub cidr: String,
    /// Ranges within it that are not meant.
    #[serde(default, deserialize_with = "null_default")]
    pub except: Vec<String>,
}

/// A port or a range of ports.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyPort {
    /// `TCP` when absent.
    #[serde(default, deserialize_with = "null_default")]
    pub protocol: String,
    /// The port by number or name; all ports when absent.
    #[serde(default)]
    pub port: Option<IntOrString>,
    /// The last port of a range.
    #[serde(default)]
    pub end_port: Option<i64>,
}

impl PolicyPort {
    /// Whether it is about TCP.
    pub fn is_tcp(&self) -> bool {
        self.protocol.is_empty() || self.protocol == "TCP"
    }

    /// Whether it admits a TCP port given by number.
    pub fn admits_tcp(&self, wanted: i64) -> bool {
        self.is_tcp()
            && match (&self.port, self.end_port) {
                (None, _) => true,
                (Some(IntOrString::Int(first)), Some(last)) => (*first..=last).contains(&wanted),
                (Some(IntOrString::Int(port)), None) => *port == wanted,
                (Some(IntOrString::String(_)), _) => false,
            }
    }
}
