//! Istio's security policies.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::lenient::null_default;
use super::path::{FieldPath, field};
use super::{Labels, Meta};

/// `selector.matchLabels` of Istio's policies.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySelector {
    /// Pairs that a pod must have; none means every pod.
    #[serde(default)]
    pub match_labels: Labels,
}

/// What a policy is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TargetRef {
    /// The target's API group; empty for the core group.
    #[serde(default, deserialize_with = "null_default")]
    pub group: String,
    /// `Service`, `ServiceEntry`, `Gateway`, `GatewayClass`.
    pub kind: String,
    /// The target's name.
    pub name: String,
}

/// An AuthorizationPolicy.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct AuthorizationPolicy {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// What it demands.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: AuthorizationSpec,
}

/// Spec of an AuthorizationPolicy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationSpec {
    /// The pods it applies to; all of the namespace when absent.
    #[serde(default)]
    pub selector: Option<PolicySelector>,
    /// The single target, the older spelling of `target_refs`.
    #[serde(default)]
    pub target_ref: Option<TargetRef>,
    /// What it is attached to instead of pods.
    #[serde(default, deserialize_with = "null_default")]
    pub target_refs: Vec<TargetRef>,
    /// What happens to a request that matches.
    #[serde(default, deserialize_with = "null_default")]
    pub action: Action,
    /// Who is asked, when the action is to ask.
    #[serde(default)]
    pub provider: Option<Provider>,
    /// When a request matches: any rule does.
    #[serde(default, deserialize_with = "null_default")]
    pub rules: Vec<Rule>,
}

/// An external authorizer, as the mesh's configuration defines it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Provider {
    /// Its name there.
    #[serde(default, deserialize_with = "null_default")]
    pub name: String,
}

/// The action of an AuthorizationPolicy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Action {
    /// Admit what matches, and nothing else.
    #[default]
    Allow,
    /// Refuse what matches.
    Deny,
    /// Mark what matches for the audit log.
    Audit,
    /// Ask an external authorizer about what matches.
    Custom,
}

impl Action {
    /// As written in manifests.
    pub const fn written(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
            Self::Audit => "AUDIT",
            Self::Custom => "CUSTOM",
        }
    }
}

/// A rule: one of `from`, one of `to` and every `when` must match; what is empty matches.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Rule {
    /// Who asks.
    #[serde(default, deserialize_with = "null_default")]
    pub from: Vec<From>,
    /// What is asked.
    #[serde(default, deserialize_with = "null_default")]
    pub to: Vec<To>,
    /// Further conditions.
    #[serde(default, deserialize_with = "null_default")]
    pub when: Vec<Condition>,
}

impl Rule {
    /// Whether it says nothing, and so matches every request.
    pub fn matches_everything(&self) -> bool {
        self.from.is_empty() && self.to.is_empty() && self.when.is_empty()
    }
}

/// An entry of `from`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct From {
    /// Who asks.
    #[serde(default, deserialize_with = "null_default")]
    pub source: Clause,
}

/// An entry of `to`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct To {
    /// What is asked.
    #[serde(default, deserialize_with = "null_default")]
    pub operation: Clause,
}

/// A source or an operation: fields by name with their values; all fields must match, one of a
/// field's values does. Fields are kept by name so that one unknown to us is seen, not lost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clause(pub BTreeMap<String, Vec<String>>);

impl<'de> Deserialize<'de> for Clause {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = BTreeMap::<String, Option<Vec<String>>>::deserialize(deserializer)?;
        Ok(Self(
            fields
                .into_iter()
                .map(|(k, v)| (k, v.unwrap_or_default()))
                .collect(),
        ))
    }
}

/// An entry of `when`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// The attribute, e.g. `request.headers[x-env]`.
    pub key: String,
    /// One of these must match.
    #[serde(default, deserialize_with = "null_default")]
    pub values: Vec<String>,
    /// None of these may match.
    #[serde(default, deserialize_with = "null_default")]
    pub not_values: Vec<String>,
}

/// A RequestAuthentication.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RequestAuthentication {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// Which tokens are verified.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: TokenSpec,
}

/// Spec of a RequestAuthentication.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenSpec {
    /// The pods it applies to; all of the namespace when absent.
    #[serde(default)]
    pub selector: Option<PolicySelector>,
    /// The single target, the older spelling of `target_refs`.
    #[serde(default)]
    pub target_ref: Option<TargetRef>,
    /// What it is attached to instead of pods.
    #[serde(default, deserialize_with = "null_default")]
    pub target_refs: Vec<TargetRef>,
    /// The issuers whose tokens are verified, and how.
    #[serde(default, deserialize_with = "null_default")]
    pub jwt_rules: Vec<JwtRule>,
}

/// How tokens of one issuer are verified.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JwtRule {
    /// Who issues them.
    #[serde(default, deserialize_with = "null_default")]
    pub issuer: String,
    /// Whether the token is sent on; otherwise it is taken out of the request.
    #[serde(default, deserialize_with = "null_default")]
    pub forward_original_token: bool,
    /// Everything else: keys, audiences, where the token stands, what is written into headers.
    #[serde(flatten)]
    pub rest: BTreeMap<String, serde_json::Value>,
}

/// The attachment that WasmPlugin, TrafficExtension, Telemetry and ProxyConfig share.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachedSpec {
    /// The pods it applies to; all of the namespace when absent.
    #[serde(default)]
    pub selector: Option<PolicySelector>,
    /// The single target, the older spelling of `target_refs`.
    #[serde(default)]
    pub target_ref: Option<TargetRef>,
    /// What it is attached to instead of pods.
    #[serde(default, deserialize_with = "null_default")]
    pub target_refs: Vec<TargetRef>,
    /// Which traffic a plugin is for; all when empty.
    #[serde(rename = "match", default, deserialize_with = "null_default")]
    pub matches: Vec<TrafficMatch>,
    /// The Secret of its own namespace with which a WasmPlugin's image is pulled.
    #[serde(default, deserialize_with = "null_default")]
    pub image_pull_secret: String,
    /// The module of a TrafficExtension.
    #[serde(default, deserialize_with = "null_default")]
    pub wasm: WasmModule,
}

/// Whence a module comes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WasmModule {
    /// The Secret of the extension's namespace with which its image is pulled.
    #[serde(default, deserialize_with = "null_default")]
    pub image_pull_secret: String,
}

impl AttachedSpec {
    /// The first part of `match` that no waypoint takes. There a plugin is asked about as one of a server,
    /// and without a port (`pilot/pkg/networking/core/listener_waypoint.go`,
    /// `pilot/pkg/model/extensions.go`, `matchMode` and `matchPorts`).
    pub fn beyond_waypoints(&self) -> Option<(usize, &'static str)> {
        let mut parts = self.matches.iter().enumerate();
        parts.find_map(|(position, part)| match (part.mode.as_str(), part.ports) {
            ("CLIENT", _) => Some((position, "mode")),
            (_, 1..) => Some((position, "ports")),
            _ => None,
        })
    }

    /// Where it names a Secret of its own namespace (`pilot/pkg/model/extensions.go`,
    /// `convertToTrafficExtensionWrapper`).
    pub fn pull_secret(&self) -> Option<FieldPath> {
        if !self.image_pull_secret.is_empty() {
            Some(field!["spec", "imagePullSecret"])
        } else if !self.wasm.image_pull_secret.is_empty() {
            Some(field!["spec", "wasm", "imagePullSecret"])
        } else {
            None
        }
    }
}

/// Which traffic a plugin is for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct TrafficMatch {
    /// `CLIENT`, `SERVER`, `CLIENT_AND_SERVER`; both when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub mode: String,
    /// How many ports it is for; all when none.
    #[serde(default, deserialize_with = "super::lenient::count")]
    pub ports: usize,
}

/// A PeerAuthentication.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PeerAuthentication {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// Which connections are taken.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: PeerSpec,
}

/// Spec of a PeerAuthentication.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerSpec {
    /// The pods it applies to; all of the namespace when absent.
    #[serde(default)]
    pub selector: Option<PolicySelector>,
    /// The mode for all ports.
    #[serde(default, deserialize_with = "null_default")]
    pub mtls: Mtls,
    /// The mode of single workload ports.
    #[serde(default, deserialize_with = "null_default")]
    pub port_level_mtls: BTreeMap<String, Mtls>,
}

/// A mode in its wrapper.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub struct Mtls {
    /// The mode.
    #[serde(default, deserialize_with = "null_default")]
    pub mode: MtlsMode,
}

/// Which connections are taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MtlsMode {
    /// As the wider policy says.
    #[default]
    Unset,
    /// Plain text only.
    Disable,
    /// Both.
    Permissive,
    /// Mutual TLS only.
    Strict,
}
super::resource!(
    AuthorizationPolicy,
    RequestAuthentication,
    PeerAuthentication
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_that_is_null_is_empty() {
        let rule: Rule =
            serde_json::from_str(r#"{"to":[{"operation":{"methods":null,"paths":["/x"]}}]}"#)
                .unwrap();
        assert_eq!(rule.to[0].operation.0["methods"], Vec::<String>::new());
        assert_eq!(rule.to[0].operation.0["paths"], ["/x"]);
    }

    #[test]
    fn a_list_that_is_a_text_is_an_error() {
        assert!(serde_json::from_str::<Clause>(r#"{"methods":"GET"}"#).is_err());
    }
}
