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

/// What Istio takes a port of a Service to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// HTTP, HTTP/2.
    Http,
    /// gRPC.
    Grpc,
    /// Bytes, by declaration.
    Tcp,
    /// TLS that pods end.
    Tls,
    /// What the first bytes show.
    Unknown,
    /// Datagrams, which no proxy takes.
    Udp,
}

impl ServicePort {
    /// What it speaks, by its `appProtocol`, else by the prefix of its name, in any case.
    ///
    /// Source: `pkg/config/kube/conversion.go` (`ConvertProtocol`), `pkg/config/protocol/instance.go`
    /// (`Parse`).
    pub fn speaks(&self) -> Speaks {
        if self.protocol == "UDP" {
            return Speaks::Udp;
        }
        let word = match self.app_protocol.as_str() {
            "" => self.name.as_str(),
            "kubernetes.io/h2c" | "kubernetes.io/ws" => return Speaks::Http,
            "kubernetes.io/wss" => return Speaks::Tls,
            other => other,
        };
        let word = word.to_ascii_lowercase();
        if word.starts_with("grpc-web") {
            return Speaks::Grpc;
        }
        match word.split('-').next().unwrap_or_default() {
            "http" | "http2" | "http_proxy" => Speaks::Http,
            "grpc" => Speaks::Grpc,
            "https" | "tls" => Speaks::Tls,
            "tcp" | "mongo" | "mysql" | "redis" => Speaks::Tcp,
            "udp" => Speaks::Udp,
            // Ports of servers that speak first are not sniffed: SMTP, DNS, MySQL, MongoDB.
            _ if matches!(self.port, 25 | 53 | 3306 | 27017) => Speaks::Tcp,
            _ => Speaks::Unknown,
        }
    }
}

impl Speaks {
    /// Whether HTTP routes are applied to it.
    pub fn takes_requests(self) -> bool {
        matches!(self, Self::Http | Self::Grpc | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_speak_what_their_names_say() {
        use Speaks::{Grpc, Http, Tcp, Tls, Udp, Unknown};
        for (port, name, protocol, app_protocol, expected) in [
            (80, "http", "", "", Http),
            (80, "http-web", "TCP", "", Http),
            (80, "HTTP2-x", "", "", Http),
            (80, "http_proxy", "", "", Http),
            (80, "grpc", "", "", Grpc),
            (80, "grpc-web-x", "", "", Grpc),
            (80, "GRPC-Webx", "", "", Grpc),
            (80, "web", "", "", Unknown),
            (80, "hbone", "", "", Unknown),
            (80, "", "", "", Unknown),
            (80, "web", "", "http", Http),
            (80, "http", "", "tcp", Tcp),
            (80, "http", "", "something", Unknown),
            (443, "https", "", "", Tls),
            (443, "", "", "kubernetes.io/wss", Tls),
            (80, "", "", "kubernetes.io/h2c", Http),
            (3306, "db", "", "", Tcp),
            (6379, "redis", "", "", Tcp),
            (53, "dns", "UDP", "", Udp),
            (80, "http", "UDP", "", Udp),
        ] {
            let found = ServicePort {
                name: name.to_owned(),
                port,
                target_port: None,
                protocol: protocol.to_owned(),
                app_protocol: app_protocol.to_owned(),
            };
            let why = format!("{port} {name} {protocol} {app_protocol}");
            assert_eq!(found.speaks(), expected, "{why}");
        }
    }
}
