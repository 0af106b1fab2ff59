//! VirtualService: how sidecars and gateways route requests, in the order they are listed.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::reader::{Fields, Notes, Place, Read, record, words};
use super::{IstioDuration, StringMatch};
use crate::kinds::DecodeError;

record! {
    /// Spec of a VirtualService.
    #[derive(Default)]
    pub struct VirtualServiceSpec {
        /// Hosts it routes; a name without a dot is one in its own namespace. A VirtualService without
        /// hosts is a delegate.
        "hosts" or_default hosts: Vec<String>,
        /// Gateways it is bound to; sidecars (`mesh`) when empty.
        "gateways" or_default gateways: Vec<String>,
        /// HTTP routes; the first match wins.
        "http" or_default http: Vec<HttpRoute>,
        /// TLS routes.
        "tls" or_default tls: Vec<TlsRoute>,
        /// TCP routes.
        "tcp" or_default tcp: Vec<TcpRoute>,
        /// Namespaces whose callers see it; all when empty.
        "exportTo" or_default export_to: Vec<String>,
    }
}

record! {
    /// One HTTP route.
    #[derive(Default)]
    pub struct HttpRoute {
        /// Its name, for logs.
        "name" or_default name: String,
        /// Which requests it is for, any of these; all when empty.
        "match" or_default matches: Vec<HttpMatch>,
        /// Where they go.
        "route" or_default route: Vec<HttpDestination>,
        /// Where they are sent back to instead.
        "redirect" optional redirect: Option<Redirect>,
        /// What is answered instead.
        "directResponse" optional direct_response: Option<DirectResponse>,
        /// The VirtualService that has the routes.
        "delegate" optional delegate: Option<Delegate>,
        /// What is changed in the path and the host.
        "rewrite" optional rewrite: Option<Rewrite>,
        /// How long a request may take; no bound when absent.
        "timeout" optional timeout: Option<IstioDuration>,
        /// When it is tried again; the mesh's default when absent.
        "retries" optional retries: Option<Retries>,
        /// Faults on purpose.
        "fault" optional fault: Option<Fault>,
        /// Where copies go (older spelling).
        "mirror" optional mirror: Option<Destination>,
        /// Where copies go.
        "mirrors" or_default mirrors: Vec<Mirror>,
        /// How many requests `mirror` copies, in percent (older spelling).
        "mirrorPercent" optional mirror_percent: Option<u32>,
        /// The same in the spelling of the oldest releases, which the schema still has.
        "mirror_percent" optional mirror_percent_old: Option<u32>,
        /// How many requests `mirror` copies.
        "mirrorPercentage" optional mirror_percentage: Option<Percent>,
        /// What browsers are told about other origins.
        "corsPolicy" optional cors_policy: Option<CorsPolicy>,
        /// What is changed in headers.
        "headers" optional headers: Option<Headers>,
    }
}

record! {
    /// Which requests a route is for: all that is set must hold.
    #[derive(Default)]
    pub struct HttpMatch {
        /// Its name, for logs.
        "name" or_default name: String,
        /// The path without its query.
        "uri" optional uri: Option<StringMatch>,
        /// The scheme.
        "scheme" optional scheme: Option<StringMatch>,
        /// The method.
        "method" optional method: Option<StringMatch>,
        /// The host that the client asks for.
        "authority" optional authority: Option<StringMatch>,
        /// Headers, claims of a token (`@request.auth.claims`) among them.
        "headers" or_default headers: BTreeMap<String, StringMatch>,
        /// Headers that must not match.
        "withoutHeaders" or_default without_headers: BTreeMap<String, StringMatch>,
        /// Query parameters.
        "queryParams" or_default query_params: BTreeMap<String, StringMatch>,
        /// The port of the Service.
        "port" or_default port: u32,
        /// Labels of the caller's pod.
        "sourceLabels" or_default source_labels: BTreeMap<String, String>,
        /// The caller's namespace.
        "sourceNamespace" or_default source_namespace: String,
        /// Gateways, of those in the VirtualService, at which the match counts.
        "gateways" or_default gateways: Vec<String>,
        /// Whether upper and lower case are the same in `uri`.
        "ignoreUriCase" or_default ignore_uri_case: bool,
        /// The prefix of its metrics.
        "statPrefix" or_default stat_prefix: String,
    }
}

record! {
    /// A destination of HTTP requests, with its share.
    pub struct HttpDestination {
        /// Where.
        "destination" required destination: Destination,
        /// Its share of all weights.
        "weight" or_default weight: i32,
        /// What is changed in headers on this way.
        "headers" optional headers: Option<Headers>,
    }
}

record! {
    /// A destination of connections, with its share.
    pub struct StreamDestination {
        /// Where.
        "destination" required destination: Destination,
        /// Its share of all weights.
        "weight" or_default weight: i32,
    }
}

record! {
    /// Where a route leads.
    #[derive(Eq, PartialOrd, Ord, Hash)]
    pub struct Destination {
        /// The host; a name without a dot is one in the VirtualService's namespace.
        "host" required host: String,
        /// A subset that a DestinationRule defines; empty when none.
        "subset" or_default subset: String,
        /// The port; that of the request, or the only one, when absent.
        "port" optional port: Option<PortSelector>,
    }
}

record! {
    /// A port by its number.
    #[derive(Eq, PartialOrd, Ord, Hash)]
    pub struct PortSelector {
        /// The number.
        "number" or_default number: u32,
    }
}

record! {
    /// The VirtualService that has the routes.
    #[derive(Eq)]
    pub struct Delegate {
        /// Its name.
        "name" or_default name: String,
        /// Its namespace; that of the root when empty.
        "namespace" or_default namespace: String,
    }
}

record! {
    /// Where requests are sent back to.
    #[derive(Default)]
    pub struct Redirect {
        /// The new path.
        "uri" or_default uri: String,
        /// What stands for the part of the path that matched.
        "prefixRewrite" or_default prefix_rewrite: String,
        /// The new host.
        "authority" or_default authority: String,
        /// The new port.
        "port" optional port: Option<u32>,
        /// How the port is found otherwise.
        "derivePort" optional derive_port: Option<DerivePort>,
        /// The new scheme.
        "scheme" or_default scheme: String,
        /// The status; 301 when 0.
        "redirectCode" or_default redirect_code: u32,
    }
}

words! {
    /// How the port of a redirect is found.
    pub enum DerivePort {
        /// That of the scheme.
        ProtocolDefault = "FROM_PROTOCOL_DEFAULT",
        /// That of the request.
        RequestPort = "FROM_REQUEST_PORT",
    }
}

record! {
    /// What is answered.
    pub struct DirectResponse {
        /// The status.
        "status" required status: u32,
        /// The body.
        "body" optional body: Option<Body>,
    }
}

/// A body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// As text.
    Text(String),
    /// As base64.
    Bytes(String),
    /// None (`{}`).
    Empty,
}

impl Read for Body {
    fn read(value: &Value, place: &Place<'_>, notes: &Notes) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(value, place, notes)?;
        let text: Option<String> = fields.optional("string")?;
        let bytes: Option<String> = fields.optional("bytes")?;
        fields.finish();
        match (text, bytes) {
            (Some(text), None) => Ok(Self::Text(text)),
            (None, Some(bytes)) => Ok(Self::Bytes(bytes)),
            (None, None) => Ok(Self::Empty),
            _ => Err(place.error("only one of string and bytes can be set")),
        }
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Text(text) => map.serialize_entry("string", text)?,
            Self::Bytes(bytes) => map.serialize_entry("bytes", bytes)?,
            Self::Empty => {}
        }
        map.end()
    }
}

record! {
    /// What is changed in the path and the host.
    #[derive(Default, Eq)]
    pub struct Rewrite {
        /// What stands for the part of the path that matched.
        "uri" or_default uri: String,
        /// The new host.
        "authority" or_default authority: String,
        /// A replacement by expression.
        "uriRegexRewrite" optional uri_regex_rewrite: Option<RegexRewrite>,
    }
}

record! {
    /// A replacement by expression.
    #[derive(Default, Eq)]
    pub struct RegexRewrite {
        /// What is replaced.
        "match" or_default pattern: String,
        /// By what; `\1` stands for the first group.
        "rewrite" or_default rewrite: String,
    }
}

record! {
    /// When a request is tried again.
    #[derive(Default, Eq)]
    pub struct Retries {
        /// How often; never when 0.
        "attempts" or_default attempts: i32,
        /// How long each try may take.
        "perTryTimeout" optional per_try_timeout: Option<IstioDuration>,
        /// After what: Envoy's conditions and status codes, with commas.
        "retryOn" or_default retry_on: String,
        /// Whether endpoints of other localities may be tried.
        "retryRemoteLocalities" optional retry_remote_localities: Option<bool>,
        /// Whether endpoints that failed are left out.
        "retryIgnorePreviousHosts" optional retry_ignore_previous_hosts: Option<bool>,
        /// How long to wait at first.
        "backoff" optional backoff: Option<IstioDuration>,
    }
}

record! {
    /// Faults on purpose.
    pub struct Fault {
        /// Requests that wait.
        "delay" optional delay: Option<Delay>,
        /// Requests that fail.
        "abort" optional abort: Option<Abort>,
    }
}

record! {
    /// Requests that wait.
    pub struct Delay {
        /// How many, in percent (older spelling).
        "percent" or_default percent: i32,
        /// How long.
        "fixedDelay" optional fixed_delay: Option<IstioDuration>,
        /// Never implemented.
        "exponentialDelay" optional exponential_delay: Option<IstioDuration>,
        /// How many.
        "percentage" optional percentage: Option<Percent>,
    }
}

record! {
    /// Requests that fail.
    pub struct Abort {
        /// With this status.
        "httpStatus" optional http_status: Option<i32>,
        /// With this status of gRPC.
        "grpcStatus" optional grpc_status: Option<String>,
        /// Never implemented.
        "http2Error" optional http2_error: Option<String>,
        /// How many.
        "percentage" optional percentage: Option<Percent>,
    }
}

record! {
    /// A percentage.
    #[derive(Default)]
    pub struct Percent {
        /// From 0 to 100, with fractions.
        "value" or_default value: f64,
    }
}

record! {
    /// Where copies go.
    pub struct Mirror {
        /// Where.
        "destination" required destination: Destination,
        /// How many; all when absent.
        "percentage" optional percentage: Option<Percent>,
    }
}

record! {
    /// What browsers are told about other origins.
    #[derive(Default)]
    pub struct CorsPolicy {
        /// Origins, exactly (older spelling).
        "allowOrigin" or_default allow_origin: Vec<String>,
        /// Origins.
        "allowOrigins" or_default allow_origins: Vec<StringMatch>,
        /// Methods.
        "allowMethods" or_default allow_methods: Vec<String>,
        /// Headers that may be sent.
        "allowHeaders" or_default allow_headers: Vec<String>,
        /// Headers that may be read.
        "exposeHeaders" or_default expose_headers: Vec<String>,
        /// How long the answer to a preflight is good for.
        "maxAge" optional max_age: Option<IstioDuration>,
        /// Whether credentials may be sent.
        "allowCredentials" optional allow_credentials: Option<bool>,
        /// What becomes of preflights from other origins.
        "unmatchedPreflights" optional unmatched_preflights: Option<UnmatchedPreflights>,
    }
}

words! {
    /// What becomes of preflights from origins that are not allowed.
    pub enum UnmatchedPreflights {
        /// They are forwarded.
        Unspecified = "UNSPECIFIED",
        /// They are forwarded.
        Forward = "FORWARD",
        /// They are answered without the headers of CORS.
        Ignore = "IGNORE",
    }
}

record! {
    /// What is changed in headers.
    #[derive(Default, Eq)]
    pub struct Headers {
        /// In those of the request.
        "request" optional request: Option<HeaderOperations>,
        /// In those of the answer.
        "response" optional response: Option<HeaderOperations>,
    }
}

record! {
    /// Changes of headers.
    #[derive(Default, Eq)]
    pub struct HeaderOperations {
        /// Overwritten.
        "set" or_default set: BTreeMap<String, String>,
        /// Added to what is there.
        "add" or_default add: BTreeMap<String, String>,
        /// Taken away.
        "remove" or_default remove: Vec<String>,
    }
}

record! {
    /// A TLS route.
    pub struct TlsRoute {
        /// Which connections it is for, any of these.
        "match" or_default matches: Vec<TlsMatch>,
        /// Where they go.
        "route" or_default route: Vec<StreamDestination>,
    }
}

record! {
    /// A TCP route.
    pub struct TcpRoute {
        /// Which connections it is for, any of these; all when empty.
        "match" or_default matches: Vec<TcpMatch>,
        /// Where they go.
        "route" or_default route: Vec<StreamDestination>,
    }
}

record! {
    /// Which connections a TLS route is for: all that is set must hold.
    #[derive(Default, Eq)]
    pub struct TlsMatch {
        /// Names that the client asks for in its handshake.
        "sniHosts" or_default sni_hosts: Vec<String>,
        /// Addresses that the client calls.
        "destinationSubnets" or_default destination_subnets: Vec<String>,
        /// The port.
        "port" or_default port: u32,
        /// Labels of the caller's pod.
        "sourceLabels" or_default source_labels: BTreeMap<String, String>,
        /// Gateways at which the match counts.
        "gateways" or_default gateways: Vec<String>,
        /// The caller's namespace.
        "sourceNamespace" or_default source_namespace: String,
    }
}

record! {
    /// Which connections a TCP route is for: all that is set must hold.
    #[derive(Default, Eq)]
    pub struct TcpMatch {
        /// Addresses that the client calls.
        "destinationSubnets" or_default destination_subnets: Vec<String>,
        /// The port.
        "port" or_default port: u32,
        /// Addresses of the client.
        "sourceSubnet" or_default source_subnet: String,
        /// Labels of the caller's pod.
        "sourceLabels" or_default source_labels: BTreeMap<String, String>,
        /// Gateways at which the match counts.
        "gateways" or_default gateways: Vec<String>,
        /// The caller's namespace.
        "sourceNamespace" or_default source_namespace: String,
    }
}
