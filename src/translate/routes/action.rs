//! What a rule of a VirtualService does, as filters and backends of an HTTPRoute.

use std::collections::BTreeMap;

use super::backend::Backends;
use super::matches::{is_field_name, is_field_value};
use super::obstacle::{Findings, Gravity, Spot};
use super::paths::{Change, Wish};
use super::timing;
use crate::kinds::complete::virtual_service::{
    DerivePort, HeaderOperations, Headers, HttpRoute, Redirect,
};
use crate::kinds::complete::{
    Filter, Header, HeaderFilter, HttpBackendRef, HttpRule, RedirectFilter, RewriteFilter,
};
use crate::mesh::installation::Version;
use crate::translate::options::GatewayApi;
use crate::translate::{Topic, Weight};

/// The first release with redirects by 303, 307 and 308.
const MORE_REDIRECTS: Version = Version::new(1, 5);

/// What a rule does, but for the path.
#[derive(Debug, Clone)]
pub(super) struct Action {
    /// The rule without matches.
    rule: HttpRule,
    /// What is to become of the path.
    pub(super) wish: Wish,
    redirects: bool,
}

impl Action {
    /// The rule, with what becomes of the path.
    pub(super) fn rule(&self, change: &Change) -> HttpRule {
        let mut rule = self.rule.clone();
        let Some(modifier) = change.modifier() else {
            return rule;
        };
        for filter in &mut rule.filters {
            match filter {
                Filter::UrlRewrite(rewrite) => {
                    rewrite.path = Some(modifier);
                    return rule;
                }
                Filter::RequestRedirect(redirect) => {
                    redirect.path = Some(modifier);
                    return rule;
                }
                _ => {}
            }
        }
        rule.filters.push(Filter::UrlRewrite(RewriteFilter {
            hostname: None,
            path: Some(modifier),
        }));
        rule
    }

    /// Whether two rules do the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.rule == other.rule && self.redirects == other.redirects
    }
}

/// Reads actions of one port.
pub(super) struct Actions<'a> {
    pub(super) backends: &'a Backends<'a>,
    pub(super) gateway_api: GatewayApi,
}

impl Actions<'_> {
    /// What a rule does.
    pub(super) fn of(
        &self,
        route: &HttpRoute,
        namespace: &str,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Action {
        let mut rule = HttpRule::default();
        let answers = route.redirect.is_some() || route.direct_response.is_some();
        let headers = route.headers.clone().unwrap_or_default();
        let host = Self::headers(&headers, &spot.then("headers"), &mut rule.filters, findings);
        if answers {
            rule.filters
                .retain(|filter| !matches!(filter, Filter::RequestHeaderModifier(_)));
        }
        fault(route, spot, findings);
        timing::cors(route, self.gateway_api, spot, &mut rule.filters, findings);
        let mut wish = Wish::Nothing;
        if let Some(redirect) = &route.redirect {
            let spot = spot.then("redirect");
            let filter = self.redirect(redirect, &spot, findings);
            rule.filters.push(Filter::RequestRedirect(filter));
            if !redirect.prefix_rewrite.is_empty() {
                wish = Wish::Matched {
                    by: redirect.prefix_rewrite.clone(),
                    redirects: true,
                };
            } else if !redirect.uri.is_empty() {
                wish = Wish::Whole(redirect.uri.clone());
            }
        } else if let Some(direct) = &route.direct_response {
            let bare = direct.status == 500 && direct.body.is_none();
            if !bare {
                let spot = spot.then("directResponse");
                findings.meet(
                    spot.obstacle(
                        Gravity::NoForm,
                        Topic::NoCounterpart,
                        format!("an HTTPRoute cannot answer {} by itself", direct.status),
                    )
                    .remedy("let an AuthorizationPolicy refuse such requests, or a small Service answer them"),
                );
            }
        } else {
            wish = rewrite(route, host, spot, &mut rule.filters, findings);
            self.ways(route, namespace, spot, &mut rule, findings);
            self.backends
                .mirrors(route, namespace, spot, &mut rule.filters, findings);
            timing::timeouts(route, self.gateway_api, spot, &mut rule, findings);
        }
        if rule.filters.len() > 16 {
            findings.meet(spot.obstacle(
                Gravity::NoForm,
                Topic::Limits,
                "a rule of an HTTPRoute takes 16 filters",
            ));
        }
        Action {
            rule,
            wish,
            redirects: route.redirect.is_some(),
        }
    }

    fn ways(
        &self,
        route: &HttpRoute,
        namespace: &str,
        spot: &Spot,
        rule: &mut HttpRule,
        findings: &mut Findings,
    ) {
        let alone = route.route.len() == 1;
        for (position, way) in route.route.iter().enumerate() {
            let spot = spot.then("route").then(position);
            let found = self.backends.of(
                &way.destination,
                namespace,
                &spot.then("destination"),
                findings,
            );
            let Some(backend) = found else { continue };
            let mut filters = Vec::new();
            let headers = way.headers.clone().unwrap_or_default();
            let at = spot.then("headers");
            let host = Self::headers(&headers, &at, &mut filters, findings);
            if let Some(host) = host {
                Self::host_of_way(host, alone, route, &at, &mut rule.filters, findings);
            }
            rule.backend_refs.push(HttpBackendRef {
                group: backend.group,
                kind: backend.kind,
                name: backend.name,
                namespace: backend.namespace,
                port: backend.port,
                weight: (!alone).then_some(way.weight),
                filters,
            });
            if way.weight > 1_000_000 {
                findings.meet(spot.then("weight").obstacle(
                    Gravity::NoForm,
                    Topic::Limits,
                    "an HTTPRoute takes weights up to 1000000",
                ));
            }
        }
        if rule.backend_refs.len() > 16 {
            findings.meet(spot.then("route").obstacle(
                Gravity::NoForm,
                Topic::Limits,
                "a rule of an HTTPRoute takes 16 backends",
            ));
        }
    }

    /// A host that a destination sets: of a lone one the rule can set it.
    fn host_of_way(
        host: String,
        alone: bool,
        route: &HttpRoute,
        spot: &Spot,
        filters: &mut Vec<Filter>,
        findings: &mut Findings,
    ) {
        let set_by_rule = filters
            .iter()
            .any(|filter| matches!(filter, Filter::UrlRewrite(r) if r.hostname.is_some()));
        if set_by_rule {
            return;
        }
        if alone || route.route.is_empty() {
            set_host(host, spot, filters, findings);
        } else {
            findings.meet(spot.obstacle(
                Gravity::NoForm,
                Topic::Rewrites,
                "an HTTPRoute sets one host for all destinations of a rule",
            ));
        }
    }

    /// Changes of headers, and the host that they set.
    fn headers(
        headers: &Headers,
        spot: &Spot,
        filters: &mut Vec<Filter>,
        findings: &mut Findings,
    ) -> Option<String> {
        let mut host = None;
        if let Some(request) = &headers.request {
            let spot = spot.then("request");
            host = host_of(request);
            filters.extend(modifier(request, &spot, findings).map(Filter::RequestHeaderModifier));
        }
        if let Some(response) = &headers.response {
            let spot = spot.then("response");
            filters.extend(modifier(response, &spot, findings).map(Filter::ResponseHeaderModifier));
        }
        host
    }

    fn redirect(
        &self,
        redirect: &Redirect,
        spot: &Spot,
        findings: &mut Findings,
    ) -> RedirectFilter {
        let code = match redirect.redirect_code {
            0 => 301,
            code => code,
        };
        let known = matches!(code, 301 | 302)
            || (matches!(code, 303 | 307 | 308) && self.gateway_api.version >= MORE_REDIRECTS);
        if !known {
            findings.meet(spot.then("redirectCode").obstacle(
                Gravity::NoForm,
                Topic::Channel,
                format!(
                    "an HTTPRoute of the Gateway API {} does not redirect with {code}",
                    self.gateway_api
                ),
            ));
        }
        let hostname = (!redirect.authority.is_empty()).then(|| redirect.authority.clone());
        if hostname.as_deref().is_some_and(|host| !is_hostname(host)) {
            findings.meet(spot.then("authority").obstacle(
                Gravity::NoForm,
                Topic::Rewrites,
                format!(
                    "{:?} is no host that an HTTPRoute takes",
                    redirect.authority
                ),
            ));
        }
        let port = match (redirect.port, redirect.derive_port) {
            (Some(port), _) => u16::try_from(port).ok(),
            (None, Some(DerivePort::RequestPort)) => Some(self.backends.port),
            (None, _) => None,
        };
        // Without a scheme istiod writes the port of the request.
        let scheme = match redirect.scheme.as_str() {
            "" if port.is_none() => Some("http".to_owned()),
            "" => None,
            scheme => Some(scheme.to_owned()),
        };
        RedirectFilter {
            scheme,
            hostname,
            path: None,
            port,
            status_code: u16::try_from(code).ok(),
        }
    }
}

/// Faults have no form, but where they happen to no request.
fn fault(route: &HttpRoute, spot: &Spot, findings: &mut Findings) {
    let Some(fault) = &route.fault else {
        return;
    };
    let spot = spot.then("fault");
    let share = |percent: Option<f64>| percent.is_some_and(|percent| percent >= 0.0001);
    let delay = fault.delay.as_ref().is_some_and(|delay| {
        let old = (delay.percent > 0).then(|| f64::from(delay.percent));
        share(delay.percentage.as_ref().map(|p| p.value).or(old))
    });
    let abort = fault
        .abort
        .as_ref()
        .is_some_and(|abort| share(abort.percentage.as_ref().map(|p| p.value)));
    if delay || abort {
        let what = match (delay, abort) {
            (true, true) => "delays and fails requests",
            (true, false) => "delays requests",
            (false, _) => "fails requests",
        };
        let says = format!("it {what} on purpose, which an HTTPRoute cannot");
        findings.meet(spot.obstacle(Gravity::NoForm, Topic::Fault, says));
    } else {
        findings.note(spot.note(
            Topic::Fault,
            Weight::Form,
            "happens to no request, so that it is left out",
        ));
    }
}

/// What a rule asks for about paths, and the host that it sets.
fn rewrite(
    route: &HttpRoute,
    host: Option<String>,
    spot: &Spot,
    filters: &mut Vec<Filter>,
    findings: &mut Findings,
) -> Wish {
    let rewrite = route.rewrite.clone().unwrap_or_default();
    let at = spot.then("rewrite");
    if !rewrite.authority.is_empty() {
        set_host(rewrite.authority, &at.then("authority"), filters, findings);
    } else if let Some(host) = host {
        set_host(host, &spot.then("headers"), filters, findings);
    }
    if let Some(regex) = &rewrite.uri_regex_rewrite {
        if regex.pattern == "/.*" && !regex.rewrite.contains('\\') {
            return Wish::Whole(regex.rewrite.clone());
        }
        let obstacle = at.then("uriRegexRewrite").obstacle(
            Gravity::NoForm,
            Topic::Rewrites,
            "an HTTPRoute replaces no parts of paths by expressions",
        );
        findings.meet(obstacle.remedy("let the application take these paths, or use prefixes"));
        return Wish::Nothing;
    }
    match rewrite.uri.as_str() {
        "" => Wish::Nothing,
        by => Wish::Matched {
            by: by.to_owned(),
            redirects: false,
        },
    }
}

fn set_host(host: String, spot: &Spot, filters: &mut Vec<Filter>, findings: &mut Findings) {
    if !is_hostname(&host) {
        findings.meet(spot.obstacle(
            Gravity::NoForm,
            Topic::Rewrites,
            format!(
                "{host:?} is no host that an HTTPRoute takes: a name in lower case, without a port"
            ),
        ));
    }
    filters.push(Filter::UrlRewrite(RewriteFilter {
        hostname: Some(host),
        path: None,
    }));
}

/// `PreciseHostname`.
fn is_hostname(host: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.len() <= 253 && host.split('.').all(label)
}

/// Headers that set the host (`isAuthorityHeader`), and those that Envoy lets no route change.
fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name.eq_ignore_ascii_case(":authority")
}

fn host_of(operations: &HeaderOperations) -> Option<String> {
    let host = |map: &BTreeMap<String, String>| {
        map.iter()
            .rfind(|(name, value)| is_authority(name) && !value.is_empty())
            .map(|(_, value)| value.clone())
    };
    host(&operations.set).or_else(|| host(&operations.add))
}

fn modifier(
    operations: &HeaderOperations,
    spot: &Spot,
    findings: &mut Findings,
) -> Option<HeaderFilter> {
    let mut pairs = |map: &BTreeMap<String, String>, list: &str| -> Vec<Header> {
        let spot = spot.then(list);
        let mut pairs: Vec<Header> = Vec::new();
        for (name, value) in map.iter().filter(|(name, _)| !is_internal(name)) {
            let spot = spot.then(name.as_str());
            check(name, Some(value), &spot, findings);
            if pairs.iter().any(|p| p.name.eq_ignore_ascii_case(name)) {
                findings.meet(spot.obstacle(
                    Gravity::NoForm,
                    Topic::HeaderText,
                    "the same header stands here twice, in upper and lower case",
                ));
            }
            pairs.push(Header {
                name: name.clone(),
                value: value.clone(),
            });
        }
        if pairs.len() > 16 {
            findings.meet(spot.obstacle(
                Gravity::NoForm,
                Topic::Limits,
                "an HTTPRoute takes 16 headers here",
            ));
        }
        pairs
    };
    let filter = HeaderFilter {
        set: pairs(&operations.set, "set"),
        add: pairs(&operations.add, "add"),
        remove: {
            let all = operations.remove.iter();
            let mut names: Vec<String> = all.filter(|n| !is_internal(n)).cloned().collect();
            names.sort();
            names.dedup();
            names
        },
    };
    for name in &filter.remove {
        check(name, None, &spot.then("remove"), findings);
    }
    (filter != HeaderFilter::default()).then_some(filter)
}

/// Headers that Envoy lets no route change (`isInternalHeader`).
fn is_internal(name: &str) -> bool {
    name.starts_with(':') || name.eq_ignore_ascii_case("host")
}

fn check(name: &str, value: Option<&str>, spot: &Spot, findings: &mut Findings) {
    if !is_field_name(name) {
        findings.meet(spot.obstacle(
            Gravity::NoForm,
            Topic::HeaderText,
            format!("{name:?} is no name of a header that an HTTPRoute takes"),
        ));
    }
    if value.is_some_and(|value| !is_field_value(value)) {
        findings.meet(spot.obstacle(
            Gravity::NoForm,
            Topic::HeaderText,
            "an HTTPRoute takes only values of printable characters with single spaces between",
        ));
    }
}
