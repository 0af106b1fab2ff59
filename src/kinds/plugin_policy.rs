//! Policies that a network plugin enforces besides NetworkPolicies: Cilium's, Calico's, and those of
//! administrators (sig-network-policy-api).
//!
//! They are not judged. What is read is as much as tells whom they may be for, and what of them a move
//! to ambient mode may touch: whether they name the tunnel's port, and whether they look into requests.

use serde::Deserialize;
use serde_json::Value;

use super::lenient::null_default;
use super::{LabelSelector, Labels, Meta, Name};

/// The port of the tunnel, as these policies name it.
const TUNNEL: &str = "15008";

/// Where ztunnel's host lets probes come from (istio.io, Ambient and Kubernetes NetworkPolicy).
const PROBES: &str = "169.254.7.127";

/// What is known of a policy, or of one of the several that an object of Cilium can hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(from = "Value")]
pub struct PluginRules {
    /// The pods that it is for.
    pub chosen: Chosen,
    /// The ports that it names.
    pub ports: Ports,
    /// Whether it looks into requests.
    pub judges_requests: bool,
    /// Whether it has a say in what its pods connect to.
    pub restricts_egress: bool,
}

/// The ports that a policy names, the most telling of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ports {
    /// None.
    #[default]
    None,
    /// Not that of the tunnel.
    Others,
    /// That of the tunnel in a rule that admits, or the address of probes in ambient mode.
    Tunnel,
}

/// The pods that a policy is for.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Chosen {
    /// It could not be told, so any.
    #[default]
    Undecided,
    /// Nodes, no pods.
    Nodes,
    /// Pods with these labels, in namespaces with those; one that is absent matches all.
    Pods {
        /// Labels of namespaces; in a policy of one namespace that one is meant besides.
        namespaces: LabelSelector,
        /// Labels of pods.
        pods: LabelSelector,
    },
}

impl From<Value> for PluginRules {
    fn from(spec: Value) -> Self {
        let mut rules = Self {
            chosen: Chosen::of(&spec),
            restricts_egress: ["egress", "egressDeny"]
                .iter()
                .any(|part| spec.get(part).is_some())
                || spec["types"]
                    .as_array()
                    .is_some_and(|types| types.contains(&Value::from("Egress"))),
            ..Self::default()
        };
        rules.look(&spec, true);
        rules
    }
}

impl PluginRules {
    /// Looks at every field of it; in what denies, a port that is named is not admitted.
    fn look(&mut self, value: &Value, admits: bool) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.look(item, admits)),
            Value::Object(fields) => {
                let denies = fields.get("action").and_then(Value::as_str) == Some("Deny");
                for (key, value) in fields {
                    self.judges_requests |= matches!(key.as_str(), "http" | "kafka" | "l7proto");
                    if matches!(key.as_str(), "toPorts" | "ports" | "destinationPorts") {
                        self.ports = self.ports.max(Ports::Others);
                    }
                    self.look(value, admits && !denies && !key.ends_with("Deny"));
                }
            }
            Value::String(text) if admits && (text == TUNNEL || text.starts_with(PROBES)) => {
                self.ports = Ports::Tunnel;
            }
            Value::Number(number) if admits && number.to_string() == TUNNEL => {
                self.ports = Ports::Tunnel;
            }
            _ => {}
        }
    }
}

impl Chosen {
    fn of(spec: &Value) -> Self {
        let read = |value: &Value| serde_json::from_value::<LabelSelector>(value.clone()).ok();
        if spec.get("nodeSelector").is_some() {
            return Self::Nodes;
        }
        let chosen = if let Some(selector) = spec.get("endpointSelector") {
            read(selector).and_then(|selector| cilium(&selector))
        } else if let Some(subject) = spec.get("subject") {
            if let Some(pods) = subject.get("pods") {
                read(&pods["namespaceSelector"]).zip(read(&pods["podSelector"]))
            } else {
                read(&subject["namespaces"])
                    .map(|namespaces| (namespaces, LabelSelector::default()))
            }
        } else {
            let expression =
                |field: &str| spec.get(field).and_then(Value::as_str).unwrap_or_default();
            calico(expression("namespaceSelector"), expression("selector"))
        };
        chosen.map_or(Self::Undecided, |(namespaces, pods)| Self::Pods {
            namespaces,
            pods,
        })
    }
}

/// The label by which a namespace is found by its name.
const NAME: &str = "kubernetes.io/metadata.name";

/// Cilium's labels have the source in front, and those of the namespace a prefix
/// (docs.cilium.io, Kubernetes constructs in policy).
fn cilium(selector: &LabelSelector) -> Option<(LabelSelector, LabelSelector)> {
    let mut labels: [Vec<(String, String)>; 2] = [Vec::new(), Vec::new()];
    for (key, value) in selector.match_labels.iter() {
        let (of_namespace, key) = cilium_key(key)?;
        labels[usize::from(!of_namespace)].push((key, value.to_owned()));
    }
    let [mut namespaces, mut pods] = labels.map(having);
    for requirement in &selector.match_expressions {
        let (of_namespace, key) = cilium_key(&requirement.key)?;
        let part = if of_namespace {
            &mut namespaces
        } else {
            &mut pods
        };
        let mut requirement = requirement.clone();
        requirement.key = key;
        part.match_expressions.push(requirement);
    }
    Some((namespaces, pods))
}

/// A key without its prefixes, and whether it is one of the namespace; none for what is no label of either.
fn cilium_key(key: &str) -> Option<(bool, String)> {
    let key = ["k8s:", "any:", "k8s.", "any."]
        .iter()
        .find_map(|source| key.strip_prefix(source))
        .unwrap_or(key);
    if key == "io.kubernetes.pod.namespace" {
        return Some((true, NAME.to_owned()));
    }
    if let Some(label) = key.strip_prefix("io.cilium.k8s.namespace.labels.") {
        return Some((true, label.to_owned()));
    }
    let is_label = !key.starts_with("io.cilium.") && !key.contains(':');
    is_label.then(|| (false, key.to_owned()))
}

/// Calico's expressions, as far as they only join labels that must be there by `&&`
/// (docs.tigera.io, selectors).
fn calico(namespaces: &str, pods: &str) -> Option<(LabelSelector, LabelSelector)> {
    let read = |expression: &str| {
        let mut labels = Vec::new();
        for term in expression.split("&&").map(str::trim) {
            if matches!(term, "" | "all()") {
                continue;
            }
            let (key, value) = term.split_once("==")?;
            let (key, value) = (key.trim(), value.trim());
            let plain = |text: &str| {
                text.chars()
                    .all(|it| it.is_alphanumeric() || "-_./".contains(it))
            };
            let value = value.strip_prefix(['"', '\''])?.strip_suffix(['"', '\''])?;
            if !plain(key) || !plain(value) {
                return None;
            }
            labels.push((key.to_owned(), value.to_owned()));
        }
        Some(labels)
    };
    let mut of_namespaces = read(namespaces)?;
    for (key, _) in &mut of_namespaces {
        if key == "projectcalico.org/name" {
            NAME.clone_into(key);
        }
    }
    let mut of_pods = Vec::new();
    for (key, value) in read(pods)? {
        match key.as_str() {
            "projectcalico.org/namespace" => of_namespaces.push((NAME.to_owned(), value)),
            "projectcalico.org/orchestrator" => {}
            key if key.starts_with("projectcalico.org/") => return None,
            _ => of_pods.push((key, value)),
        }
    }
    Some((having(of_namespaces), having(of_pods)))
}

/// A selector of these labels.
fn having(labels: Vec<(String, String)>) -> LabelSelector {
    let pairs = labels
        .into_iter()
        .map(|(key, value)| (Name::from(key), Name::from(value)));
    LabelSelector {
        match_labels: Labels::from_pairs(pairs.collect()),
        ..LabelSelector::default()
    }
}

/// A policy that a network plugin enforces.
pub trait PluginPolicy {
    /// What is known of its rules; of Cilium's there can be several.
    fn rules(&self) -> impl Iterator<Item = &PluginRules>;
}

macro_rules! plugin_policies {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        pub struct $name {
            /// Name, labels, annotations.
            pub metadata: Meta,
            /// Its rules.
            #[serde(default)]
            pub spec: Option<PluginRules>,
            /// More such, in Cilium's.
            #[serde(default, deserialize_with = "null_default")]
            pub specs: Vec<PluginRules>,
        }
        super::resource!($name);

        impl PluginPolicy for $name {
            fn rules(&self) -> impl Iterator<Item = &PluginRules> {
                self.spec.iter().chain(&self.specs)
            }
        }
    )+};
}
plugin_policies!(
    /// A `CiliumNetworkPolicy`.
    CiliumNetworkPolicy,
    /// A `CiliumClusterwideNetworkPolicy`.
    CiliumClusterwideNetworkPolicy,
    /// Calico's `NetworkPolicy`, as its API server has it.
    CalicoNetworkPolicy,
    /// Calico's `GlobalNetworkPolicy`, as its API server has it.
    CalicoGlobalNetworkPolicy,
    /// Calico's `NetworkPolicy`, as it is stored where its API server is not installed.
    CalicoStoredNetworkPolicy,
    /// Calico's `GlobalNetworkPolicy`, as it is stored where its API server is not installed.
    CalicoStoredGlobalNetworkPolicy,
    /// An `AdminNetworkPolicy`.
    AdminNetworkPolicy,
    /// A `BaselineAdminNetworkPolicy`.
    BaselineAdminNetworkPolicy,
    /// A `ClusterNetworkPolicy`, which took the place of both.
    ClusterNetworkPolicy,
);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pods(namespaces: Value, pods: Value) -> Chosen {
        Chosen::Pods {
            namespaces: serde_json::from_value(namespaces).unwrap(),
            pods: serde_json::from_value(pods).unwrap(),
        }
    }

    #[test]
    fn whom_it_is_for() {
        let all = || json!({});
        let labels = |key: &str, value: &str| json!({"matchLabels": {key: value}});
        let named = |name: &str| labels("kubernetes.io/metadata.name", name);
        for (spec, expected) in [
            (json!({"endpointSelector": {}}), pods(all(), all())),
            (
                json!({"endpointSelector": labels("k8s:app", "a")}),
                pods(all(), labels("app", "a")),
            ),
            (
                json!({"endpointSelector": labels("k8s:io.kubernetes.pod.namespace", "n")}),
                pods(named("n"), all()),
            ),
            (
                json!({"endpointSelector": labels("k8s:io.cilium.k8s.namespace.labels.team", "t")}),
                pods(labels("team", "t"), all()),
            ),
            (
                json!({"endpointSelector": labels("io.cilium.k8s.policy.cluster", "c")}),
                Chosen::Undecided,
            ),
            (json!({"endpointSelector": 7}), Chosen::Undecided),
            (json!({"nodeSelector": {}}), Chosen::Nodes),
            (
                json!({"subject": {"namespaces": labels("team", "t")}}),
                pods(labels("team", "t"), all()),
            ),
            (
                json!({"subject": {"pods": {"namespaceSelector": {}, "podSelector": labels("app", "a")}}}),
                pods(all(), labels("app", "a")),
            ),
            (json!({"selector": "all()"}), pods(all(), all())),
            (json!({}), pods(all(), all())),
            (
                json!({"selector": "app == 'a' && projectcalico.org/namespace == \"n\""}),
                pods(named("n"), labels("app", "a")),
            ),
            (
                json!({"namespaceSelector": "projectcalico.org/name == 'n'"}),
                pods(named("n"), all()),
            ),
            (json!({"selector": "app != 'a'"}), Chosen::Undecided),
            (
                json!({"selector": "app == 'a' || has(b)"}),
                Chosen::Undecided,
            ),
        ] {
            assert_eq!(PluginRules::from(spec.clone()).chosen, expected, "{spec}");
        }
    }

    #[test]
    fn a_port_that_is_denied_is_not_named() {
        let named = |spec: Value| PluginRules::from(spec).ports == Ports::Tunnel;
        let ports = json!([{"ports": [{"port": "15008", "protocol": "TCP"}]}]);
        assert!(named(json!({"ingress": [{"toPorts": ports}]})));
        assert!(!named(json!({"ingressDeny": [{"toPorts": ports}]})));
        assert!(named(
            json!({"ingress": [{"action": "Allow", "destination": {"ports": [15008]}}]})
        ));
        assert!(!named(
            json!({"ingress": [{"action": "Deny", "destination": {"ports": [15008]}}]})
        ));
        assert!(named(
            json!({"ingress": [{"fromCIDR": ["169.254.7.127/32"]}]})
        ));
        assert!(!named(
            json!({"ingress": [{"toPorts": [{"ports": [{"port": "8080"}]}]}]})
        ));
    }

    #[test]
    fn what_looks_into_requests_is_told_from_names_of_hosts() {
        let judges = |spec: Value| PluginRules::from(spec).judges_requests;
        assert!(judges(
            json!({"ingress": [{"toPorts": [{"rules": {"http": [{"path": "/a"}]}}]}]})
        ));
        assert!(judges(json!({"ingress": [{"http": {"methods": ["GET"]}}]})));
        assert!(!judges(
            json!({"egress": [{"toPorts": [{"rules": {"dns": [{"matchPattern": "*"}]}}]}]})
        ));
    }
}
