//! HTTPRoute: how the Gateway API routes requests, the most specific match first.

use super::GatewayDuration;
use super::http_filter::Filter;
use super::reader::{record, words};

record! {
    /// Spec of an HTTPRoute.
    #[derive(Default)]
    pub struct HttpRouteSpec {
        /// What it attaches to.
        "parentRefs" or_default parent_refs: Vec<ParentReference>,
        /// Whether it attaches to default gateways (experimental).
        "useDefaultGateways" optional use_default_gateways: Option<String>,
        /// Hosts; ignored where the parent is a Service.
        "hostnames" or_default hostnames: Vec<String>,
        /// Its rules.
        "rules" or_default rules: Vec<HttpRule>,
    }
}

record! {
    /// What a route attaches to.
    #[derive(Default, Eq)]
    pub struct ParentReference {
        /// The parent's API group; the Gateway API's own when absent, empty for Services.
        "group" optional group: Option<String>,
        /// The parent's kind; `Gateway` when absent.
        "kind" optional kind: Option<String>,
        /// The parent's namespace; the route's when absent.
        "namespace" optional namespace: Option<String>,
        /// The parent's name.
        "name" required name: String,
        /// The parent's listener.
        "sectionName" optional section_name: Option<String>,
        /// The parent's port.
        "port" optional port: Option<u16>,
    }
}

record! {
    /// A rule.
    #[derive(Default)]
    pub struct HttpRule {
        /// Its name.
        "name" optional name: Option<String>,
        /// Which requests it is for, any of these; all when empty.
        "matches" or_default matches: Vec<RouteMatch>,
        /// What is done with them.
        "filters" or_default filters: Vec<Filter>,
        /// Where they go.
        "backendRefs" or_default backend_refs: Vec<HttpBackendRef>,
        /// How long they may take.
        "timeouts" optional timeouts: Option<Timeouts>,
        /// When they are tried again (experimental).
        "retry" optional retry: Option<Retry>,
        /// Whether a client stays with an endpoint (experimental).
        "sessionPersistence" optional session_persistence: Option<SessionPersistence>,
    }
}

record! {
    /// Which requests a rule is for: all that is set must hold.
    #[derive(Default, Eq)]
    pub struct RouteMatch {
        /// The path; any when absent.
        "path" optional path: Option<PathMatch>,
        /// Headers.
        "headers" or_default headers: Vec<HeaderMatch>,
        /// Query parameters.
        "queryParams" or_default query_params: Vec<QueryMatch>,
        /// The method.
        "method" optional method: Option<String>,
    }
}

record! {
    /// A path.
    #[derive(Default, Eq)]
    pub struct PathMatch {
        /// How it is compared; `PathPrefix` when absent.
        "type" optional kind: Option<PathMatchType>,
        /// With what; `/` when absent.
        "value" optional value: Option<String>,
    }
}

words! {
    /// How a path is compared.
    pub enum PathMatchType {
        /// It is this.
        Exact = "Exact",
        /// Its first elements are these.
        PathPrefix = "PathPrefix",
        /// An expression of RE2 matches all of it.
        RegularExpression = "RegularExpression",
    }
}

words! {
    /// How a value is compared.
    pub enum ValueMatchType {
        /// It is this.
        Exact = "Exact",
        /// An expression of RE2 matches all of it.
        RegularExpression = "RegularExpression",
    }
}

record! {
    /// A header.
    #[derive(Eq)]
    pub struct HeaderMatch {
        /// How it is compared; `Exact` when absent.
        "type" optional kind: Option<ValueMatchType>,
        /// Its name, in any case.
        "name" required name: String,
        /// With what.
        "value" required value: String,
    }
}

record! {
    /// A query parameter.
    #[derive(Eq)]
    pub struct QueryMatch {
        /// How it is compared; `Exact` when absent.
        "type" optional kind: Option<ValueMatchType>,
        /// Its name.
        "name" required name: String,
        /// With what.
        "value" required value: String,
    }
}

record! {
    /// Where requests go, with their share.
    #[derive(Default)]
    pub struct HttpBackendRef {
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
        /// What is done with requests on this way.
        "filters" or_default filters: Vec<Filter>,
    }
}

record! {
    /// An object that takes requests.
    #[derive(Default, Eq)]
    pub struct BackendReference {
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
    }
}

impl HttpBackendRef {
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

record! {
    /// How long requests may take.
    #[derive(Default, Eq)]
    pub struct Timeouts {
        /// The whole request.
        "request" optional request: Option<GatewayDuration>,
        /// Each try.
        "backendRequest" optional backend_request: Option<GatewayDuration>,
    }
}

record! {
    /// When requests are tried again.
    #[derive(Default, Eq)]
    pub struct Retry {
        /// After these statuses.
        "codes" or_default codes: Vec<u16>,
        /// How often.
        "attempts" optional attempts: Option<i32>,
        /// How long to wait.
        "backoff" optional backoff: Option<GatewayDuration>,
    }
}

record! {
    /// How a client stays with an endpoint.
    #[derive(Default, Eq)]
    pub struct SessionPersistence {
        /// The name of the cookie or header.
        "sessionName" optional session_name: Option<String>,
        /// How long at most.
        "absoluteTimeout" optional absolute_timeout: Option<GatewayDuration>,
        /// `Cookie` or `Header`.
        "type" optional kind: Option<String>,
        /// What the cookie is like.
        "cookieConfig" optional cookie_config: Option<CookieConfig>,
    }
}

record! {
    /// What a cookie is like.
    #[derive(Default, Eq)]
    pub struct CookieConfig {
        /// `Session` or `Permanent`.
        "lifetimeType" optional lifetime_type: Option<String>,
    }
}
