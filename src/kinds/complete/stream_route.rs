//! TCPRoute and TLSRoute: how the Gateway API routes connections.

use super::http_route::{BackendReference, ParentReference};
use super::reader::record;

record! {
    /// Spec of a TCPRoute.
    #[derive(Default)]
    pub struct TcpRouteSpec {
        /// What it attaches to.
        "parentRefs" or_default parent_refs: Vec<ParentReference>,
        /// Whether it attaches to default gateways (experimental).
        "useDefaultGateways" optional use_default_gateways: Option<String>,
        /// Its rules.
        "rules" or_default rules: Vec<StreamRule>,
    }
}

record! {
    /// Spec of a TLSRoute.
    #[derive(Default)]
    pub struct TlsRouteSpec {
        /// What it attaches to.
        "parentRefs" or_default parent_refs: Vec<ParentReference>,
        /// Whether it attaches to default gateways (experimental).
        "useDefaultGateways" optional use_default_gateways: Option<String>,
        /// Names that the client asks for in its handshake.
        "hostnames" or_default hostnames: Vec<String>,
        /// Its rules.
        "rules" or_default rules: Vec<StreamRule>,
    }
}

record! {
    /// A rule.
    #[derive(Default)]
    pub struct StreamRule {
        /// Its name.
        "name" optional name: Option<String>,
        /// Where connections go.
        "backendRefs" or_default backend_refs: Vec<BackendRef>,
    }
}

record! {
    /// Where connections go, with their share.
    #[derive(Default)]
    pub struct BackendRef {
        /// The API group; empty (of Services) when absent.
        "group" optional group: Option<String>,
        /// The kind; `Service` when absent.
        "kind" optional kind: Option<String>,
        /// The name.
        "name" required name: String,
        /// The namespace; the route's when absent.
        "namespace" optional namespace: Option<String>,
        /// The port.
        "port" optional port: Option<u16>,
        /// The share of all weights; 1 when absent.
        "weight" optional weight: Option<i32>,
    }
}

impl BackendRef {
    /// The object alone.
    pub fn reference(&self) -> BackendReference {
        BackendReference {
            group: self.group.clone(),
            kind: self.kind.clone(),
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            port: self.port,
        }
    }
}
