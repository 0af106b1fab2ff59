//! HTTPRoutes become VirtualServices, one match a rule, sorted by how specific they are.
//!
//! Sources: `pilot/pkg/config/kube/gateway/route_collections.go` (`HTTPRouteCollection`,
//! `mergeHTTPRoutes`), `conversion.go` (`convertHTTPRoute`, `sortHTTPRoutes`, `buildDestination`).
//! Defaults are those of the Gateway API's schema.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::routes::Services;
use super::select::{Config, Export, Rule, Semantics};
use super::table::Origin;
use crate::kinds::complete::virtual_service::{
    self as api, CorsPolicy, DerivePort, Destination, DirectResponse, HeaderOperations, Headers,
    HttpDestination, HttpMatch, Mirror, Percent, PortSelector, Redirect, RegexRewrite, Retries,
    Rewrite, UnmatchedPreflights,
};
use crate::kinds::complete::{
    BackendReference, CorsFilter, Filter, GatewayDuration, Header, HeaderFilter, HttpRoute,
    HttpRule, IstioDuration, MirrorFilter, ParentReference, PathMatchType, PathModifier,
    RedirectFilter, RewriteFilter, RouteMatch, StringMatch, ValueMatchType,
};
use crate::kinds::path::field;
use crate::kinds::{Kind, ObjectRef};

/// Why an HTTPRoute has no effect at all.
struct Ignored;

/// The configurations that HTTPRoutes make for hosts of the mesh: one for each namespace, port and
/// host, merged over the routes, the older ones first.
pub(super) fn configs<'r>(
    routes: impl IntoIterator<Item = &'r HttpRoute>,
    services: &dyn Services,
    domain: &str,
) -> Vec<Config<'r>> {
    let mut routes: Vec<&HttpRoute> = routes.into_iter().collect();
    routes.sort_by(|a, b| {
        let key = |route: &HttpRoute| {
            let meta = &route.metadata;
            (
                meta.creation_timestamp.clone(),
                meta.namespace.clone(),
                meta.name.clone(),
            )
        };
        key(a).cmp(&key(b))
    });
    let mut merged: Vec<Config<'r>> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for route in routes {
        let Ok(rules) = rules(route, services, domain) else {
            continue;
        };
        for parent in &route.spec.parent_refs {
            for host in hosts(route, parent, services, domain) {
                let namespace = &route.metadata.namespace;
                let name = match parent.port {
                    Some(port) => format!("{namespace}~{port}~{host}"),
                    None => format!("{namespace}~{host}"),
                };
                let number = *numbers.entry(name.clone()).or_insert_with(|| {
                    merged.push(Config {
                        name,
                        namespace: namespace.clone(),
                        created: route.metadata.creation_timestamp.clone(),
                        semantics: Semantics::GatewayApi,
                        hosts: vec![host],
                        in_mesh: true,
                        export: Export::Everybody,
                        rules: Vec::new(),
                    });
                    merged.len() - 1
                });
                let own = rules.iter().cloned().map(|rule| at_port(rule, parent.port));
                merged[number].rules.extend(own);
            }
        }
    }
    for config in &mut merged {
        // Stable: among equals the older route, then the earlier rule, comes first.
        config
            .rules
            .sort_by_cached_key(|rule| Reverse(specificity(&rule.route)));
    }
    merged
}

/// The hosts of a parent, when it is one of the mesh that exists.
fn hosts(
    route: &HttpRoute,
    parent: &ParentReference,
    services: &dyn Services,
    domain: &str,
) -> Vec<String> {
    let namespace = parent
        .namespace
        .as_deref()
        .unwrap_or(&route.metadata.namespace);
    let group = parent
        .group
        .as_deref()
        .unwrap_or("gateway.networking.k8s.io");
    match (group, parent.kind.as_deref().unwrap_or("Gateway")) {
        ("" | "core", "Service") => {
            let host = format!("{}.{namespace}.svc.{domain}", parent.name);
            let exists = services.ports(&host).is_some();
            exists.then_some(host).into_iter().collect()
        }
        ("networking.istio.io", "ServiceEntry") => {
            services.service_entry_hosts(namespace, &parent.name)
        }
        _ => Vec::new(),
    }
}

/// `augmentPortMatch`.
fn at_port(mut rule: Rule<'_>, port: Option<u16>) -> Rule<'_> {
    if let Some(port) = port {
        let route = rule.route.to_mut();
        if route.matches.is_empty() {
            route.matches.push(HttpMatch::default());
        }
        for one in &mut route.matches {
            one.port = u32::from(port);
        }
    }
    rule
}

/// What Istio sorts by, the highest first (`sortHTTPRoutes`).
fn specificity(route: &api::HttpRoute) -> (bool, i8, usize, bool, usize, usize) {
    let Some(one) = route.matches.first() else {
        return (false, 0, 0, false, 0, 0);
    };
    let (rank, length) = match &one.uri {
        Some(StringMatch::Exact(text)) => (3, text.len()),
        Some(StringMatch::Prefix(text)) => (2, text.len()),
        Some(StringMatch::Regex(text)) => (1, text.len()),
        None | Some(StringMatch::Present) => (-1, 0),
    };
    let (headers, params) = (one.headers.len(), one.query_params.len());
    (true, rank, length, one.method.is_some(), headers, params)
}

/// The rules of an HTTPRoute, one for each match.
fn rules(
    route: &HttpRoute,
    services: &dyn Services,
    domain: &str,
) -> Result<Vec<Rule<'static>>, Ignored> {
    let namespace = &route.metadata.namespace;
    let object = ObjectRef::new(Kind::HTTPRoute, namespace, &route.metadata.name);
    let conversion = Conversion {
        namespace,
        services,
        domain,
    };
    let ordinary = [HttpRule::default()];
    let all = if route.spec.rules.is_empty() {
        ordinary.as_slice()
    } else {
        &route.spec.rules
    };
    let mut rules = Vec::new();
    for (number, rule) in all.iter().enumerate() {
        let base = conversion.rule(rule)?;
        let field = field!["spec", "rules", number];
        let ordinary = [RouteMatch::default()];
        let (matches, written) = if rule.matches.is_empty() {
            (ordinary.as_slice(), false)
        } else {
            (rule.matches.as_slice(), true)
        };
        for (number, one) in matches.iter().enumerate() {
            let mut own = base.clone();
            own.matches = vec![request_match(one)];
            let field = if written {
                field.then("matches").then(number)
            } else {
                field.clone()
            };
            rules.push(Rule {
                route: Cow::Owned(own),
                namespace: namespace.clone(),
                origin: Origin {
                    object: object.clone(),
                    field,
                },
                names_matches: false,
            });
        }
    }
    Ok(rules)
}

fn request_match(one: &RouteMatch) -> HttpMatch {
    let path = one.path.clone().unwrap_or_default();
    let value = path.value.unwrap_or_else(|| "/".to_owned());
    let compare = |kind: Option<ValueMatchType>, value: &String| match kind {
        Some(ValueMatchType::RegularExpression) => StringMatch::Regex(value.clone()),
        Some(ValueMatchType::Exact) | None => StringMatch::Exact(value.clone()),
    };
    let headers = one.headers.iter();
    let params = one.query_params.iter();
    HttpMatch {
        uri: Some(match path.kind {
            Some(PathMatchType::Exact) => StringMatch::Exact(value),
            Some(PathMatchType::RegularExpression) => StringMatch::Regex(value),
            Some(PathMatchType::PathPrefix) | None => StringMatch::Prefix(match value.as_str() {
                "/" => value,
                _ => value.strip_suffix('/').unwrap_or(&value).to_owned(),
            }),
        }),
        headers: headers
            .map(|h| (h.name.clone(), compare(h.kind, &h.value)))
            .collect(),
        query_params: params
            .map(|q| (q.name.clone(), compare(q.kind, &q.value)))
            .collect(),
        method: one.method.clone().map(StringMatch::Exact),
        ..HttpMatch::default()
    }
}

struct Conversion<'c> {
    namespace: &'c str,
    services: &'c dyn Services,
    domain: &'c str,
}

impl Conversion<'_> {
    /// `convertHTTPRoute`, but for the match.
    fn rule(&self, rule: &HttpRule) -> Result<api::HttpRoute, Ignored> {
        let mut route = api::HttpRoute::default();
        for filter in &rule.filters {
            match filter {
                Filter::RequestHeaderModifier(change) => {
                    let headers = route.headers.get_or_insert_default();
                    headers.request = Some(operations(change)?);
                }
                Filter::ResponseHeaderModifier(change) => {
                    let headers = route.headers.get_or_insert_default();
                    headers.response = Some(operations(change)?);
                }
                Filter::RequestRedirect(to) => route.redirect = Some(redirect(to)),
                Filter::RequestMirror(to) => route.mirrors.extend(self.mirror(to)),
                Filter::UrlRewrite(change) => route.rewrite = rewrite(change),
                Filter::Cors(policy) => route.cors_policy = Some(cors(policy)),
                Filter::ExternalAuth(_) | Filter::ExtensionRef(_) => return Err(Ignored),
            }
        }
        timing(rule, &mut route);
        let weights: i64 = rule
            .backend_refs
            .iter()
            .map(|b| i64::from(b.weight.unwrap_or(1)))
            .sum();
        if weights == 0 && route.redirect.is_none() {
            route.direct_response = Some(DirectResponse {
                status: 500,
                body: None,
            });
            return Ok(route);
        }
        for backend in rule.backend_refs.iter().filter(|b| b.weight != Some(0)) {
            let mut headers = Headers::default();
            for filter in &backend.filters {
                match filter {
                    Filter::RequestHeaderModifier(change) => {
                        headers.request = Some(operations(change)?);
                    }
                    Filter::ResponseHeaderModifier(change) => {
                        headers.response = Some(operations(change)?);
                    }
                    _ => return Err(Ignored),
                }
            }
            route.route.push(HttpDestination {
                destination: self.destination(&backend.reference())?.0,
                weight: backend.weight.unwrap_or(1),
                headers: (headers != Headers::default()).then_some(headers),
            });
        }
        Ok(route)
    }

    /// `buildDestination`: where a backend is, and whether it exists.
    fn destination(&self, to: &BackendReference) -> Result<(Destination, bool), Ignored> {
        let namespace = to.namespace.as_deref().unwrap_or(self.namespace);
        let group = to.group.as_deref().unwrap_or_default();
        let host = match (group, to.kind.as_deref().unwrap_or("Service")) {
            ("" | "core", "Service") if to.name.contains('.') => return Err(Ignored),
            ("" | "core", "Service") | ("multicluster.x-k8s.io", "ServiceImport") => {
                format!("{}.{namespace}.svc.{}", to.name, self.domain)
            }
            ("networking.istio.io", "Hostname") if to.namespace.is_some() => return Err(Ignored),
            ("networking.istio.io", "Hostname") => to.name.clone(),
            _ => {
                let nothing = Destination {
                    host: String::new(),
                    subset: String::new(),
                    port: None,
                };
                return Ok((nothing, false));
            }
        };
        let exists = self.services.ports(&host).is_some();
        let number = u32::from(to.port.ok_or(Ignored)?);
        let destination = Destination {
            host,
            subset: String::new(),
            port: Some(PortSelector { number }),
        };
        Ok((destination, exists))
    }

    /// `createMirrorFilter`; a copy to what does not exist is left out.
    fn mirror(&self, filter: &MirrorFilter) -> Option<Mirror> {
        let (destination, exists) = self.destination(&filter.backend_ref).unwrap_or((
            Destination {
                host: String::new(),
                subset: String::new(),
                port: None,
            },
            false,
        ));
        let value = match (&filter.fraction, filter.percent) {
            (Some(fraction), _) => {
                let whole = f64::from(fraction.denominator.unwrap_or(100));
                Some(100.0 * f64::from(fraction.numerator) / whole)
            }
            (None, percent) => percent.map(f64::from),
        };
        exists.then(|| Mirror {
            destination,
            percentage: value.map(|value| Percent { value }),
        })
    }
}

/// Timeouts and retries. A timeout of each try without retries replaces that of the request.
fn timing(rule: &HttpRule, route: &mut api::HttpRoute) {
    let some = |duration: Option<Duration>| duration.filter(|d| !d.is_zero()).map(IstioDuration);
    if let Some(retry) = &rule.retry {
        let attempts = retry.attempts.unwrap_or(2);
        let codes: Vec<String> = retry.codes.iter().map(u16::to_string).collect();
        let mut on = "connect-failure,refused-stream,unavailable,cancelled".to_owned();
        for code in codes {
            on.push(',');
            on.push_str(&code);
        }
        route.retries = Some(Retries {
            attempts,
            retry_on: if attempts == 0 { String::new() } else { on },
            backoff: some(retry.backoff.map(GatewayDuration::get)),
            ..Retries::default()
        });
    }
    let Some(timeouts) = &rule.timeouts else {
        return;
    };
    route.timeout = some(timeouts.request.map(GatewayDuration::get));
    let each = some(timeouts.backend_request.map(GatewayDuration::get));
    if each.is_some() {
        match &mut route.retries {
            Some(retries) => retries.per_try_timeout = each,
            None => route.timeout = each,
        }
    }
}

/// `createHeadersFilter`: of one name the first entry counts.
fn operations(filter: &HeaderFilter) -> Result<HeaderOperations, Ignored> {
    let valid = |value: &str| {
        value
            .bytes()
            .all(|b| b == b'\t' || (b >= 0x20 && b != 0x7f))
    };
    if filter
        .set
        .iter()
        .chain(&filter.add)
        .any(|header| !valid(&header.value))
    {
        return Err(Ignored);
    }
    let first = |headers: &[Header]| {
        let mut map = BTreeMap::new();
        for header in headers {
            map.entry(header.name.to_ascii_lowercase())
                .or_insert_with(|| header.value.clone());
        }
        map
    };
    Ok(HeaderOperations {
        set: first(&filter.set),
        add: first(&filter.add),
        remove: filter.remove.clone(),
    })
}

/// `createRedirectFilter`.
fn redirect(filter: &RedirectFilter) -> Redirect {
    let (uri, prefix_rewrite) = match &filter.path {
        Some(PathModifier::ReplaceFullPath(path)) => (path.clone(), String::new()),
        Some(PathModifier::ReplacePrefixMatch(prefix)) => (String::new(), prefix.clone()),
        None => (String::new(), String::new()),
    };
    let derived = match filter.scheme {
        Some(_) => DerivePort::ProtocolDefault,
        None => DerivePort::RequestPort,
    };
    Redirect {
        uri,
        prefix_rewrite,
        authority: filter.hostname.clone().unwrap_or_default(),
        port: filter.port.map(u32::from),
        derive_port: filter.port.is_none().then_some(derived),
        scheme: filter.scheme.clone().unwrap_or_default(),
        redirect_code: u32::from(filter.status_code.unwrap_or(302)),
    }
}

/// `createRewriteFilter`.
fn rewrite(filter: &RewriteFilter) -> Option<Rewrite> {
    let (uri, expression) = match &filter.path {
        Some(PathModifier::ReplacePrefixMatch(prefix)) => {
            match prefix.strip_suffix('/').unwrap_or(prefix) {
                "" => ("/", None),
                prefix => (prefix, None),
            }
        }
        Some(PathModifier::ReplaceFullPath(path)) => ("", Some(path)),
        None => ("", None),
    };
    let rewrite = Rewrite {
        uri: uri.to_owned(),
        authority: filter.hostname.clone().unwrap_or_default(),
        uri_regex_rewrite: expression.map(|path| RegexRewrite {
            pattern: "/.*".to_owned(),
            rewrite: path.clone(),
        }),
    };
    (rewrite != Rewrite::default()).then_some(rewrite)
}

/// `createCorsFilter`.
fn cors(filter: &CorsFilter) -> CorsPolicy {
    let origin = |origin: &String| match origin.strip_suffix('*') {
        Some("") => StringMatch::Regex(r"^[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s?#]+$".to_owned()),
        _ if !origin.contains('*') => StringMatch::Exact(origin.clone()),
        Some(prefix) if !prefix.contains('*') => StringMatch::Prefix(prefix.to_owned()),
        _ => {
            let parts: Vec<String> = origin.split('*').map(regex_syntax::escape).collect();
            StringMatch::Regex(format!("^{}$", parts.join(".*")))
        }
    };
    let age = u64::try_from(filter.max_age.unwrap_or(5)).unwrap_or_default();
    let origins = filter.allow_origins.iter();
    CorsPolicy {
        allow_origins: origins.filter(|o| !o.is_empty()).map(origin).collect(),
        allow_methods: filter.allow_methods.clone(),
        allow_headers: filter.allow_headers.clone(),
        expose_headers: filter.expose_headers.clone(),
        max_age: (age > 0).then(|| IstioDuration(Duration::from_secs(age))),
        allow_credentials: filter.allow_credentials.filter(|allowed| *allowed),
        unmatched_preflights: Some(UnmatchedPreflights::Ignore),
        ..CorsPolicy::default()
    }
}
