//! Kubernetes Services.

use serde::Deserialize;

use super::lenient::{IntOrString, null_default};
use super::{Labels, Meta};

/// A Service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Service {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// What it selects and offers.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: ServiceSpec,
}
super::resource!(Service);

/// Spec of a Service.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSpec {
    /// Which pods serve; empty when endpoints are kept by hand.
    #[serde(default, deserialize_with = "null_default")]
    pub selector: Labels,
    /// What it offers.
    #[serde(default, deserialize_with = "null_default")]
    pub ports: Vec<ServicePort>,
    /// `None` for headless Services.
    #[serde(rename = "clusterIP", default, deserialize_with = "null_default")]
    pub cluster_ip: String,
    /// `ClusterIP`, `NodePort`, `LoadBalancer`, `ExternalName`.
    #[serde(rename = "type", default, deserialize_with = "null_default")]
    pub service_type: String,
}

impl ServiceSpec {
    /// Whether clients get the pods' addresses rather than one of the Service's own.
    pub fn is_headless(&self) -> bool {
        self.cluster_ip == "None"
    }

    /// Whether it is only a DNS alias.
    pub fn is_external_name(&self) -> bool {
        self.service_type == "ExternalName"
    }
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Its name; the protocol is read from the name's prefix.
    #[serde(default, deserialize_with = "null_default")]
    pub name: String,
    /// The Service's port.
    pub port: u16,
    /// The pods' port, by number or by name; the Service's when absent.
    #[serde(default)]
    pub target_port: Option<IntOrString>,
    /// `TCP`, `UDP` or `SCTP`; `TCP` when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub protocol: String,
    /// The protocol, e.g. `http`, `grpc`; goes before the name's prefix.
    #[serde(default, deserialize_with = "null_default")]
    pub app_protocol: String,
}
