//! Istio's own Gateway (`networking.istio.io`).

use serde::Deserialize;

use super::lenient::null_default;
use super::{Labels, Meta};

/// An Istio Gateway.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct IstioGateway {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// Which proxies serve it.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: IstioGatewaySpec,
}
super::resource!(IstioGateway);

/// Spec of an Istio Gateway.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct IstioGatewaySpec {
    /// Labels of the gateway pods that serve it, in any namespace.
    #[serde(default)]
    pub selector: Labels,
}
