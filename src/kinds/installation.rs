//! Objects of the cluster and of Istio's installation that are not workloads.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::lenient::null_default;
use super::{LabelSelector, Meta};

/// A node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Node {
    /// Its name and labels.
    pub metadata: Meta,
    /// Whether pods may come to it.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: NodeSpec,
}

/// Spec of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct NodeSpec {
    /// Whether it is cordoned.
    #[serde(default, deserialize_with = "null_default")]
    pub unschedulable: bool,
}

/// A ConfigMap; only Istio's own are read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ConfigMap {
    /// Its name and labels.
    pub metadata: Meta,
    /// Its text values.
    #[serde(default, deserialize_with = "null_default")]
    pub data: BTreeMap<String, String>,
}

/// A MutatingWebhookConfiguration; Istio's decide who is injected.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MutatingWebhookConfiguration {
    /// Its name and labels (`istio.io/rev`, `istio.io/tag`).
    pub metadata: Meta,
    /// Its webhooks.
    #[serde(default, deserialize_with = "null_default")]
    pub webhooks: Vec<Webhook>,
}

/// One webhook.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Its name, e.g. `namespace.sidecar-injector.istio.io`.
    pub name: String,
    /// Which namespaces it sees; all when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub namespace_selector: LabelSelector,
    /// Which pods it sees; all when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub object_selector: LabelSelector,
    /// Where it is.
    #[serde(default, deserialize_with = "null_default")]
    pub client_config: ClientConfig,
}

/// Where a webhook is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ClientConfig {
    /// Its URL, where it is not a Service.
    #[serde(default)]
    pub url: Option<String>,
}

impl ClientConfig {
    /// Whether it is in no Service of this cluster, nor on the very machine that asks it.
    pub fn is_outside(&self) -> bool {
        self.url.as_deref().is_some_and(|url| !is_loopback(url))
    }
}

fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// A CustomResourceDefinition; only its metadata is read.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct CustomResourceDefinition {
    /// Its name (`<plural>.<group>`) and annotations (bundle version and channel).
    pub metadata: Meta,
}
super::resource!(
    Node,
    ConfigMap,
    MutatingWebhookConfiguration,
    CustomResourceDefinition
);
