//! Traffic resources with every field of their API, one file a kind: for what translates them and
//! for what judges what they do. The minimal structs beside this folder are for what only counts.
//!
//! Reading follows the schemas that the API server enforces: names in camel case, numbers as
//! numbers, one member of a union. A field that the schema does not have is kept by its path in
//! [`Whole::unknown`], so that nothing is lost in silence. Writing leaves out what is absent and
//! keeps the order of the API.

mod destination_rule;
mod duration;
mod http_filter;
mod http_route;
mod reader;
mod stream_route;
mod string_match;
pub mod virtual_service;

pub use destination_rule::{DestinationRuleSpec, Subset, WorkloadSelector};
pub use duration::{GatewayDuration, IstioDuration};
pub use http_filter::{
    CorsFilter, ExternalAuth, ExternalAuthForwardBody, ExternalAuthGrpc, ExternalAuthHttp,
    ExternalAuthProtocol, Filter, Fraction, Header, HeaderFilter, LocalReference, MirrorFilter,
    PathModifier, RedirectFilter, RewriteFilter,
};
pub use http_route::{
    BackendReference, CookieConfig, HeaderMatch, HttpBackendRef, HttpRouteSpec, HttpRule,
    ParentReference, PathMatch, PathMatchType, QueryMatch, Retry, RouteMatch, SessionPersistence,
    Timeouts, ValueMatchType,
};
pub use stream_route::{BackendRef, StreamRule, TcpRouteSpec, TlsRouteSpec};
pub use string_match::StringMatch;
pub use virtual_service::VirtualServiceSpec;

use serde::Deserialize;
use serde_json::Value;

use super::{DecodeError, FieldPath, Meta};
use reader::{Fields, Notes, Place, Read};

/// A VirtualService.
pub type VirtualService = Whole<VirtualServiceSpec>;
/// A DestinationRule.
pub type DestinationRule = Whole<DestinationRuleSpec>;
/// An HTTPRoute.
pub type HttpRoute = Whole<HttpRouteSpec>;
/// A TCPRoute.
pub type TcpRoute = Whole<TcpRouteSpec>;
/// A TLSRoute.
pub type TlsRoute = Whole<TlsRouteSpec>;

/// An object with every field of its spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Whole<S> {
    /// Name, namespace, labels, age.
    pub metadata: Meta,
    /// Its spec.
    pub spec: S,
    /// Fields that its schema does not have, in the order of the document.
    pub unknown: Vec<FieldPath>,
}

impl<S: Specification> Whole<S> {
    /// Reads an object.
    ///
    /// # Errors
    /// When a field has another type than its schema demands, with the field's path.
    pub fn from_json(object: &Value) -> Result<Self, DecodeError> {
        let notes = Notes::default();
        let place = Place::root();
        let mut fields = Fields::of(object, &place, &notes)?;
        for known in ["apiVersion", "kind", "status"] {
            fields.pass(known);
        }
        let metadata = fields.pass("metadata").unwrap_or(&Value::Null);
        let metadata = Meta::deserialize(metadata).map_err(|error| DecodeError {
            path: field_of("metadata"),
            message: error.to_string(),
        })?;
        let spec = fields.required("spec")?;
        fields.finish();
        Ok(Self {
            metadata,
            spec,
            unknown: notes.unknown(),
        })
    }
}

impl<S> Whole<S> {
    /// With metadata that is known better than from the object's own text: a file may leave out the
    /// namespace.
    #[must_use]
    pub fn of(mut self, metadata: &Meta) -> Self {
        self.metadata = metadata.clone();
        self
    }
}

fn field_of(name: &str) -> FieldPath {
    FieldPath::root().then(name)
}

/// The spec of a kind in this folder.
pub trait Specification: Read {}
impl Specification for VirtualServiceSpec {}
impl Specification for DestinationRuleSpec {}
impl Specification for HttpRouteSpec {}
impl Specification for TcpRouteSpec {}
impl Specification for TlsRouteSpec {}

#[cfg(test)]
mod tests;
