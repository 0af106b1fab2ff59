//! Gateway API objects.

use serde::Deserialize;

use super::lenient::{IntOrString, count, null_default};
use super::{LabelSelector, Meta};

/// A condition that a controller wrote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word.
    #[serde(default, deserialize_with = "null_default")]
    pub reason: String,
    /// Why, for people.
    #[serde(default, deserialize_with = "null_default")]
    pub message: String,
}

/// A Gateway; with class `istio-waypoint` it is a waypoint.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Gateway {
    /// Name, labels (what a waypoint is for), annotations.
    pub metadata: Meta,
    /// Its class and listeners.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: GatewaySpec,
    /// What its controller made of it; `None` in manifests that never met a cluster.
    #[serde(default)]
    pub status: Option<GatewayStatus>,
}

/// Spec of a Gateway.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewaySpec {
    /// Its class.
    #[serde(default, deserialize_with = "null_default")]
    pub gateway_class_name: String,
    /// Where it listens.
    #[serde(default, deserialize_with = "null_default")]
    pub listeners: Vec<Listener>,
}

/// A listener of a Gateway.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Listener {
    /// Who may attach to it.
    #[serde(default, deserialize_with = "null_default")]
    pub allowed_routes: AllowedRoutes,
}

/// Who may attach to a listener.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct AllowedRoutes {
    /// From which namespaces.
    #[serde(default, deserialize_with = "null_default")]
    pub namespaces: RouteNamespaces,
}

/// From which namespaces one may attach.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct RouteNamespaces {
    /// `Same` when absent.
    #[serde(default, deserialize_with = "null_default")]
    pub from: FromNamespaces,
    /// With `Selector`: which.
    #[serde(default, deserialize_with = "null_default")]
    pub selector: LabelSelector,
}

/// The choice of namespaces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
pub enum FromNamespaces {
    /// The Gateway's own.
    #[default]
    Same,
    /// Any.
    All,
    /// Those with certain labels.
    Selector,
    /// None.
    None,
}

/// Status of a Gateway.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct GatewayStatus {
    /// How many addresses it has.
    #[serde(default, deserialize_with = "count")]
    pub addresses: usize,
    /// What its controller says.
    #[serde(default, deserialize_with = "null_default")]
    pub conditions: Vec<Condition>,
}

/// A GatewayClass.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct GatewayClass {
    /// Its name and labels.
    pub metadata: Meta,
}

/// What a route attaches to.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ParentRef {
    /// The parent's API group; the Gateway API's own when absent.
    #[serde(default)]
    pub group: Option<String>,
    /// The parent's kind; `Gateway` when absent.
    #[serde(default)]
    pub kind: Option<String>,
    /// The parent's namespace; the route's when absent.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The parent's name.
    pub name: String,
    /// The parent's port.
    #[serde(default)]
    pub port: Option<IntOrString>,
}

impl ParentRef {
    /// Whether the parent is a Service, which makes the route one of the mesh.
    pub fn is_service(&self) -> bool {
        self.kind.as_deref() == Some("Service")
            && matches!(self.group.as_deref(), Some("" | "core"))
    }
}

/// Spec of a route.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteSpec {
    /// What it attaches to.
    #[serde(default, deserialize_with = "null_default")]
    pub parent_refs: Vec<ParentRef>,
    /// Its rules.
    #[serde(default, deserialize_with = "null_default")]
    pub rules: Vec<RouteRule>,
}

/// A rule of a route.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteRule {
    /// Where it leads.
    #[serde(default, deserialize_with = "null_default")]
    pub backend_refs: Vec<BackendRef>,
}

/// Where a rule leads.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BackendRef {
    /// The backend's kind; `Service` when absent.
    #[serde(default)]
    pub kind: Option<String>,
    /// The backend's namespace; the route's when absent.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The backend's name.
    pub name: String,
}

macro_rules! routes {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        pub struct $name {
            /// Name, labels, annotations.
            pub metadata: Meta,
            /// What it attaches to and where it leads.
            #[serde(default, deserialize_with = "null_default")]
            pub spec: RouteSpec,
        }
        super::resource!($name);
    )+};
}
routes!(
    /// An HTTPRoute.
    HTTPRoute,
    /// A GRPCRoute.
    GRPCRoute,
    /// A TCPRoute.
    TCPRoute,
    /// A TLSRoute.
    TLSRoute,
);
super::resource!(Gateway, GatewayClass);
