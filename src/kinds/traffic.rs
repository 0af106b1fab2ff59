//! Istio's traffic resources: VirtualService, DestinationRule, Sidecar.

use serde::Deserialize;

use super::authorization::PolicySelector;
use super::lenient::{count, null_default, present};
use super::service_entry::WorkloadLabels;
use super::{Labels, Meta};

/// A VirtualService.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct VirtualService {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// Its routes.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: VirtualServiceSpec,
}

/// Spec of a VirtualService.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualServiceSpec {
    /// Hosts it routes; a name without a dot is one in its own namespace.
    #[serde(default, deserialize_with = "null_default")]
    pub hosts: Vec<String>,
    /// Gateways it is bound to; sidecars (`mesh`) when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub gateways: Vec<String>,
    /// Namespaces whose callers see it; all when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub export_to: Vec<String>,
    /// HTTP routes, the first match wins.
    #[serde(default, deserialize_with = "null_default")]
    pub http: Vec<HttpRoute>,
    /// TCP routes.
    #[serde(default, deserialize_with = "null_default")]
    pub tcp: Vec<StreamRoute>,
    /// TLS passthrough routes.
    #[serde(default, deserialize_with = "null_default")]
    pub tls: Vec<StreamRoute>,
}

/// One HTTP route.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether a field of the API is set"
)]
pub struct HttpRoute {
    /// How many alternatives its match has.
    #[serde(rename = "match", default, deserialize_with = "count")]
    pub matches: usize,
    /// Where requests go.
    #[serde(default, deserialize_with = "null_default")]
    pub route: Vec<RouteDestination>,
    /// Where copies go (older spelling).
    #[serde(default)]
    pub mirror: Option<Destination>,
    /// Where copies go.
    #[serde(default, deserialize_with = "null_default")]
    pub mirrors: Vec<RouteDestination>,
    /// Whether it redirects.
    #[serde(default, deserialize_with = "present")]
    pub redirect: bool,
    /// Whether it answers by itself.
    #[serde(default, deserialize_with = "present")]
    pub direct_response: bool,
    /// Whether it rewrites requests.
    #[serde(default, deserialize_with = "present")]
    pub rewrite: bool,
    /// Whether it bounds the time.
    #[serde(default, deserialize_with = "present")]
    pub timeout: bool,
    /// Whether it sets retries.
    #[serde(default, deserialize_with = "present")]
    pub retries: bool,
    /// Whether it injects faults.
    #[serde(default, deserialize_with = "present")]
    pub fault: bool,
    /// Whether it answers for CORS.
    #[serde(default, deserialize_with = "present")]
    pub cors_policy: bool,
    /// Whether it changes headers.
    #[serde(default, deserialize_with = "present")]
    pub headers: bool,
    /// The VirtualService that has its routes.
    #[serde(default)]
    pub delegate: Option<Delegate>,
}

/// A VirtualService whose routes stand in another's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Delegate {
    /// Its name.
    #[serde(default, deserialize_with = "null_default")]
    pub name: String,
    /// Its namespace; that of the other when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub namespace: String,
}

/// A TCP or TLS route.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct StreamRoute {
    /// Which connections it is for.
    #[serde(rename = "match", default, deserialize_with = "null_default")]
    pub matches: Vec<StreamMatch>,
    /// Where connections go.
    #[serde(default, deserialize_with = "null_default")]
    pub route: Vec<RouteDestination>,
}

/// Which connections a TCP or TLS route is for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamMatch {
    /// The names that the client asks for in its TLS handshake.
    #[serde(default, deserialize_with = "null_default")]
    pub sni_hosts: Vec<String>,
}

/// A destination in its wrapper.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct RouteDestination {
    /// Where.
    pub destination: Destination,
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Destination {
    /// The host; a name without a dot is one in the VirtualService's namespace.
    #[serde(default, deserialize_with = "null_default")]
    pub host: String,
    /// A subset that a DestinationRule defines; empty when none.
    #[serde(default, deserialize_with = "null_default")]
    pub subset: String,
}

/// A DestinationRule.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct DestinationRule {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// What holds for its host.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: DestinationRuleSpec,
}

/// Spec of a DestinationRule.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationRuleSpec {
    /// The host; it may be a wildcard.
    #[serde(default, deserialize_with = "null_default")]
    pub host: String,
    /// The policy for all ports and subsets.
    #[serde(default, deserialize_with = "null_default")]
    pub traffic_policy: TrafficPolicy,
    /// Named parts of the host's endpoints.
    #[serde(default, deserialize_with = "null_default")]
    pub subsets: Vec<Subset>,
    /// The client pods it is for.
    #[serde(default)]
    pub workload_selector: Option<PolicySelector>,
}

/// A named part of a host's endpoints.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Subset {
    /// Its name.
    pub name: String,
    /// Labels its pods have beside the Service's.
    #[serde(default)]
    pub labels: Labels,
    /// The policy for this subset.
    #[serde(default, deserialize_with = "null_default")]
    pub traffic_policy: TrafficPolicy,
}

/// How clients connect.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says whether a field of the API is set"
)]
pub struct TrafficPolicy {
    /// TLS of the connection.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// How it balances the load, where it says so.
    #[serde(default)]
    pub load_balancer: Option<LoadBalancer>,
    /// Whether it bounds connections.
    #[serde(default, deserialize_with = "present")]
    pub connection_pool: bool,
    /// Whether it ejects failing endpoints.
    #[serde(default, deserialize_with = "present")]
    pub outlier_detection: bool,
    /// Whether it sends the client's address ahead (PROXY protocol).
    #[serde(default, deserialize_with = "present")]
    pub proxy_protocol: bool,
    /// Whether it sends connections through a proxy by CONNECT.
    #[serde(default, deserialize_with = "present")]
    pub tunnel: bool,
    /// The same for single ports.
    #[serde(default, deserialize_with = "null_default")]
    pub port_level_settings: Vec<PortPolicy>,
}

/// How load is balanced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancer {
    /// Whether endpoints of the caller's zone go first, by Envoy's own measure.
    #[serde(rename = "zoneAwareLbSetting", default, deserialize_with = "present")]
    pub zone_aware: bool,
}

/// A policy for one port.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PortPolicy {
    /// TLS of the connection.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// How it balances the load, where it says so.
    #[serde(default)]
    pub load_balancer: Option<LoadBalancer>,
    /// Whether it bounds connections.
    #[serde(default, deserialize_with = "present")]
    pub connection_pool: bool,
    /// Whether it ejects failing endpoints.
    #[serde(default, deserialize_with = "present")]
    pub outlier_detection: bool,
}

/// TLS of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct ClientTls {
    /// The mode.
    #[serde(default, deserialize_with = "null_default")]
    pub mode: ClientTlsMode,
}

/// The mode of a client's TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ClientTlsMode {
    /// No TLS.
    #[default]
    Disable,
    /// TLS to the server.
    Simple,
    /// TLS with a client certificate of one's own.
    Mutual,
    /// TLS with Istio's certificates.
    IstioMutual,
}

impl ClientTlsMode {
    /// As written in manifests.
    pub const fn written(self) -> &'static str {
        match self {
            Self::Disable => "DISABLE",
            Self::Simple => "SIMPLE",
            Self::Mutual => "MUTUAL",
            Self::IstioMutual => "ISTIO_MUTUAL",
        }
    }
}

/// A Sidecar resource.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Sidecar {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// What it changes in sidecars.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: SidecarSpec,
}

/// Spec of a Sidecar resource.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SidecarSpec {
    /// The pods it is for; all of the namespace when absent.
    #[serde(default)]
    pub workload_selector: Option<WorkloadLabels>,
    /// How many listeners of its own it defines for inbound traffic.
    #[serde(default, deserialize_with = "count")]
    pub ingress: usize,
    /// What happens to traffic to unknown destinations.
    #[serde(default, deserialize_with = "null_default")]
    pub outbound_traffic_policy: OutboundTrafficPolicy,
}

/// What happens to traffic to unknown destinations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct OutboundTrafficPolicy {
    /// `REGISTRY_ONLY` or `ALLOW_ANY`; the mesh's when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub mode: String,
}
super::resource!(VirtualService, DestinationRule, Sidecar);
