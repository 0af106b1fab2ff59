//! Filters of HTTPRoutes: what is done with a request beside sending it on.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::http_route::BackendReference;
use super::reader::{Fields, Notes, Place, Read, record, words};
use crate::kinds::DecodeError;

/// A filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Changes headers of the request.
    RequestHeaderModifier(HeaderFilter),
    /// Changes headers of the answer.
    ResponseHeaderModifier(HeaderFilter),
    /// Sends a copy elsewhere.
    RequestMirror(MirrorFilter),
    /// Sends the client elsewhere.
    RequestRedirect(RedirectFilter),
    /// Changes the path or the host.
    UrlRewrite(RewriteFilter),
    /// Tells browsers about other origins.
    Cors(CorsFilter),
    /// Asks somebody whether the request may pass.
    ExternalAuth(ExternalAuth),
    /// What another object defines.
    ExtensionRef(LocalReference),
}

impl Filter {
    /// Its type, as manifests write it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RequestHeaderModifier(_) => "RequestHeaderModifier",
            Self::ResponseHeaderModifier(_) => "ResponseHeaderModifier",
            Self::RequestMirror(_) => "RequestMirror",
            Self::RequestRedirect(_) => "RequestRedirect",
            Self::UrlRewrite(_) => "URLRewrite",
            Self::Cors(_) => "CORS",
            Self::ExternalAuth(_) => "ExternalAuth",
            Self::ExtensionRef(_) => "ExtensionRef",
        }
    }
}

impl Read for Filter {
    fn read(value: &Value, place: &Place<'_>, notes: &Notes) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(value, place, notes)?;
        let kind: String = fields.required("type")?;
        // A member that is not the one the type names is an unknown field.
        let filter = match kind.as_str() {
            "RequestHeaderModifier" => {
                Self::RequestHeaderModifier(fields.required("requestHeaderModifier")?)
            }
            "ResponseHeaderModifier" => {
                Self::ResponseHeaderModifier(fields.required("responseHeaderModifier")?)
            }
            "RequestMirror" => Self::RequestMirror(fields.required("requestMirror")?),
            "RequestRedirect" => Self::RequestRedirect(fields.required("requestRedirect")?),
            "URLRewrite" => Self::UrlRewrite(fields.required("urlRewrite")?),
            "CORS" => Self::Cors(fields.required("cors")?),
            "ExternalAuth" => Self::ExternalAuth(fields.required("externalAuth")?),
            "ExtensionRef" => Self::ExtensionRef(fields.required("extensionRef")?),
            _ => {
                return Err(place
                    .key("type")
                    .error(format!("{kind:?} is no type of filter")));
            }
        };
        fields.finish();
        Ok(filter)
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", self.kind())?;
        match self {
            Self::RequestHeaderModifier(f) => map.serialize_entry("requestHeaderModifier", f)?,
            Self::ResponseHeaderModifier(f) => map.serialize_entry("responseHeaderModifier", f)?,
            Self::RequestMirror(f) => map.serialize_entry("requestMirror", f)?,
            Self::RequestRedirect(f) => map.serialize_entry("requestRedirect", f)?,
            Self::UrlRewrite(f) => map.serialize_entry("urlRewrite", f)?,
            Self::Cors(f) => map.serialize_entry("cors", f)?,
            Self::ExternalAuth(f) => map.serialize_entry("externalAuth", f)?,
            Self::ExtensionRef(f) => map.serialize_entry("extensionRef", f)?,
        }
        map.end()
    }
}

record! {
    /// Changes of headers.
    #[derive(Default, Eq)]
    pub struct HeaderFilter {
        /// Overwritten.
        "set" or_default set: Vec<Header>,
        /// Added to what is there.
        "add" or_default add: Vec<Header>,
        /// Taken away.
        "remove" or_default remove: Vec<String>,
    }
}

record! {
    /// A header.
    #[derive(Eq)]
    pub struct Header {
        /// Its name, in any case.
        "name" required name: String,
        /// Its value.
        "value" required value: String,
    }
}

record! {
    /// Where copies go.
    pub struct MirrorFilter {
        /// Where.
        "backendRef" required backend_ref: BackendReference,
        /// How many, in percent; all when neither this nor the fraction is set.
        "percent" optional percent: Option<i32>,
        /// How many.
        "fraction" optional fraction: Option<Fraction>,
    }
}

record! {
    /// A share.
    #[derive(Eq)]
    pub struct Fraction {
        /// So many.
        "numerator" required numerator: i32,
        /// Of so many; 100 when absent.
        "denominator" optional denominator: Option<i32>,
    }
}

record! {
    /// Where a client is sent.
    #[derive(Default, Eq)]
    pub struct RedirectFilter {
        /// The new scheme.
        "scheme" optional scheme: Option<String>,
        /// The new host.
        "hostname" optional hostname: Option<String>,
        /// The new path.
        "path" optional path: Option<PathModifier>,
        /// The new port; that of the scheme, or of the request, when absent.
        "port" optional port: Option<u16>,
        /// The status; 302 when absent.
        "statusCode" optional status_code: Option<u16>,
    }
}

record! {
    /// What is changed in the path and the host.
    #[derive(Default, Eq)]
    pub struct RewriteFilter {
        /// The new host.
        "hostname" optional hostname: Option<String>,
        /// The new path.
        "path" optional path: Option<PathModifier>,
    }
}

/// How a path is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathModifier {
    /// All of it.
    ReplaceFullPath(String),
    /// The part that the rule's prefix matched.
    ReplacePrefixMatch(String),
}

impl Read for PathModifier {
    fn read(value: &Value, place: &Place<'_>, notes: &Notes) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(value, place, notes)?;
        let kind: String = fields.required("type")?;
        let modifier = match kind.as_str() {
            "ReplaceFullPath" => Self::ReplaceFullPath(fields.required("replaceFullPath")?),
            "ReplacePrefixMatch" => {
                Self::ReplacePrefixMatch(fields.required("replacePrefixMatch")?)
            }
            _ => {
                return Err(place
                    .key("type")
                    .error(format!("{kind:?} is no way to change a path")));
            }
        };
        fields.finish();
        Ok(modifier)
    }
}

impl Serialize for PathModifier {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        let (kind, field, value) = match self {
            Self::ReplaceFullPath(value) => ("ReplaceFullPath", "replaceFullPath", value),
            Self::ReplacePrefixMatch(value) => ("ReplacePrefixMatch", "replacePrefixMatch", value),
        };
        map.serialize_entry("type", kind)?;
        map.serialize_entry(field, value)?;
        map.end()
    }
}

record! {
    /// What browsers are told about other origins.
    #[derive(Default, Eq)]
    pub struct CorsFilter {
        /// Origins, with `*` for a part.
        "allowOrigins" or_default allow_origins: Vec<String>,
        /// Whether credentials may be sent.
        "allowCredentials" optional allow_credentials: Option<bool>,
        /// Methods.
        "allowMethods" or_default allow_methods: Vec<String>,
        /// Headers that may be sent.
        "allowHeaders" or_default allow_headers: Vec<String>,
        /// Headers that may be read.
        "exposeHeaders" or_default expose_headers: Vec<String>,
        /// How long the answer to a preflight is good for, in seconds; 5 when absent.
        "maxAge" optional max_age: Option<i32>,
    }
}

words! {
    /// How an authorizer is asked.
    pub enum ExternalAuthProtocol {
        /// By HTTP.
        Http = "HTTP",
        /// By gRPC.
        Grpc = "GRPC",
    }
}

record! {
    /// Who is asked whether a request may pass.
    pub struct ExternalAuth {
        /// How.
        "protocol" required protocol: ExternalAuthProtocol,
        /// Who.
        "backendRef" required backend_ref: BackendReference,
        /// With gRPC: what is sent.
        "grpc" optional grpc: Option<ExternalAuthGrpc>,
        /// With HTTP: what is sent.
        "http" optional http: Option<ExternalAuthHttp>,
        /// Whether the body is sent.
        "forwardBody" optional forward_body: Option<ExternalAuthForwardBody>,
    }
}

record! {
    /// What an authorizer is sent by gRPC.
    pub struct ExternalAuthGrpc {
        /// Headers.
        "allowedHeaders" or_default allowed_headers: Vec<String>,
    }
}

record! {
    /// What an authorizer is sent by HTTP.
    pub struct ExternalAuthHttp {
        /// The path it is asked at.
        "path" or_default path: String,
        /// Headers.
        "allowedHeaders" or_default allowed_headers: Vec<String>,
        /// Headers of its answer that are kept.
        "allowedResponseHeaders" or_default allowed_response_headers: Vec<String>,
    }
}

record! {
    /// How much of a body an authorizer is sent.
    pub struct ExternalAuthForwardBody {
        /// So many bytes.
        "maxSize" or_default max_size: u16,
    }
}

record! {
    /// An object in the route's own namespace.
    #[derive(Eq)]
    pub struct LocalReference {
        /// Its API group.
        "group" required group: String,
        /// Its kind.
        "kind" required kind: String,
        /// Its name.
        "name" required name: String,
    }
}
