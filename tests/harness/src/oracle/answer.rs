//! What is answered about Envoys.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Ztunnel;

/// What istiod makes of manifests.
#[derive(Clone, Debug, Deserialize)]
pub struct Translation {
    proxies: Option<Vec<ProxyConfig>>,
    /// What every ztunnel receives.
    pub ztunnel: Ztunnel,
    /// Objects that the API server or istiod's webhook would have refused, and why. They had no effect.
    #[serde(deserialize_with = "or_default")]
    pub refused: Vec<Refusal>,
}

impl Translation {
    /// The configuration of the proxy that was asked for by this name.
    pub fn proxy(&self, name: &str) -> Option<&ProxyConfig> {
        self.proxies
            .iter()
            .flatten()
            .find(|proxy| proxy.name == name)
    }
}

/// An object a cluster would not let in.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Refusal {
    /// Kind, namespace and name.
    pub object: String,
    /// The refusal's words.
    pub reason: String,
}

/// What one Envoy receives.
#[derive(Clone, Debug, Deserialize)]
pub struct ProxyConfig {
    name: String,
    /// Its filter chains.
    #[serde(deserialize_with = "or_default")]
    pub chains: Vec<Chain>,
    /// Its clusters, if asked for, in Envoy's own words.
    #[serde(default)]
    pub clusters: Vec<Value>,
    /// Their endpoints, if asked for, in Envoy's own words.
    #[serde(default)]
    pub endpoints: Vec<Value>,
}

impl ProxyConfig {
    /// Where a sidecar's application sends HTTP to a port.
    pub fn outbound(&self, port: u16) -> Option<&Chain> {
        let (plain, suffix) = (port.to_string(), format!(":{port}"));
        let mut chains = self
            .chains
            .iter()
            .filter(|chain| chain.direction == "OUTBOUND");
        let table =
            |chain: &&Chain| chain.route_config == plain || chain.route_config.ends_with(&suffix);
        chains.find(table)
    }

    /// Where a waypoint takes traffic to a port of a service, as HTTP if it is.
    pub fn service(&self, host: &str, port: u16) -> Option<&Chain> {
        let end = format!("|{host}");
        let start = format!("inbound-vip|{port}|");
        let mut chains = self.chains.iter();
        chains.find(|chain| chain.name.starts_with(&start) && chain.name.ends_with(&end))
    }

    /// Where a sidecar takes traffic to a port of its pod by mutual TLS.
    pub fn inbound(&self, port: u16) -> Option<&Chain> {
        let mut chains = self.chains.iter();
        chains.find(|chain| {
            chain.listener == "virtualInbound"
                && chain.matches["destination_port"] == port
                && chain.transport.ends_with("tls")
        })
    }

    /// A cluster by its name, if clusters were asked for.
    pub fn cluster(&self, name: &str) -> Option<&Value> {
        self.clusters.iter().find(|cluster| cluster["name"] == name)
    }
}

/// One filter chain of a listener, with its routes.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Chain {
    /// The listener it belongs to.
    pub listener: String,
    /// The listener's address; empty for one that only Envoy itself calls.
    pub address: String,
    /// INBOUND, OUTBOUND or UNSPECIFIED.
    pub direction: String,
    /// Its name, as istiod gives it.
    pub name: String,
    /// What connections it takes, in Envoy's own words.
    #[serde(rename = "match")]
    pub matches: Value,
    /// The addresses and ports a waypoint's listener picks it for.
    #[serde(default)]
    pub reached: Vec<String>,
    /// The transport socket: one of TLS, or empty.
    pub transport: String,
    /// Its filters, in Envoy's own words.
    pub filters: Vec<Value>,
    /// The name of its route table; empty if it is not for HTTP.
    pub route_config: String,
    /// The clusters its routes name and the proxy does not have.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// What became of a request.
#[derive(Clone, Debug, Deserialize)]
pub struct Outcome {
    /// The status the client got.
    pub status: u16,
    /// Envoy's word for how it came to an answer of its own.
    pub details: String,
    /// The headers the client got.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Every destination that the matched route may choose.
    pub arrivals: Vec<Arrival>,
    /// The matched route.
    pub route: Option<Route>,
}

/// A request as a destination saw it.
#[derive(Clone, Debug, Deserialize)]
pub struct Arrival {
    /// Where it arrived, or should have.
    pub destination: Destination,
    /// Whether the proxy knows no such destination: nothing arrived, and the client got `status`.
    pub missing: bool,
    /// The status the client got.
    pub status: u16,
    /// The destination's share of `total`.
    pub weight: u32,
    /// The sum of all weights.
    pub total: u32,
    /// Its method.
    pub method: String,
    /// Its host.
    pub authority: String,
    /// Its path, with the query.
    pub path: String,
    /// Its headers.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The headers of the answer from there, as the client got them.
    pub answer: BTreeMap<String, Vec<String>>,
}

/// One of Istio's clusters, read from its name.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct Destination {
    /// The whole name.
    pub cluster: String,
    /// `outbound`, or `inbound-vip` for a waypoint's own services.
    pub direction: String,
    /// The service's host.
    pub host: String,
    /// The service's port.
    pub port: u16,
    /// The subset; empty for none.
    pub subset: String,
}

/// The part of a matched route that cannot be seen from outside.
#[derive(Clone, Debug, Deserialize)]
pub struct Route {
    /// Its name.
    pub name: String,
    /// Where copies of the request go.
    pub mirrors: Vec<Mirror>,
    /// `0s` is none; empty if not set.
    pub timeout: String,
    /// The retry policy, in Envoy's own words.
    #[serde(default)]
    pub retry: Value,
    /// The hash policies, in Envoy's own words.
    #[serde(default)]
    pub hash: Value,
    /// Faults and CORS on this route, by filter, in Envoy's own words.
    #[serde(default)]
    pub filters: BTreeMap<String, Value>,
    /// What it matches, in Envoy's own words.
    #[serde(rename = "match")]
    pub matches: Value,
}

/// Where a copy of a request goes.
#[derive(Clone, Debug, Deserialize)]
pub struct Mirror {
    /// The destination.
    pub destination: Destination,
    /// The share of requests, in Envoy's own words; null for all.
    #[serde(default)]
    pub fraction: Value,
}

/// What a chain's authorization said.
#[derive(Clone, Debug, Deserialize)]
pub struct Verdict {
    /// Whether the request was let in.
    pub allowed: bool,
    /// The rule that decided, as Istio names it: `ns[a]-policy[b]-rule[0]`. Empty if there is none, if only the lack of a match
    /// decided, and on chains that are not for HTTP.
    pub policy: String,
    /// The status the client got; 0 on chains that are not for HTTP.
    pub status: u16,
    /// Envoy's word for a refusal.
    pub details: String,
}

/// Go writes an empty list as null.
pub(super) fn or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
