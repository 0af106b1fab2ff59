//! From a rule to entries of a table (`pilot/pkg/networking/core/route/route.go`, `TranslateRoute`).
//!
//! VirtualServices and HTTPRoutes differ here in three things: what a prefix means, what a rewrite
//! to `/` means, and the status when a destination does not exist.

use std::time::Duration;

use super::action::{
    Abort, Action, Answer, Cors, Delay, Destination, Fault, Forward, Mirror, Redirect, Way,
};
use super::effects::{Effects, Operations};
use super::retry::Retry;
use super::rewrite::{Matched, PathRewrite};
use super::routes::{Services, Viewpoint, full_name};
use super::select::{Rule, Semantics};
use super::table::{Condition, Dimension, Entry};
use crate::kinds::complete::StringMatch;
use crate::kinds::complete::virtual_service::{
    self as api, Body, CorsPolicy, DerivePort, HttpMatch, HttpRoute, Percent, Retries,
    UnmatchedPreflights,
};
use crate::semantics::language::Pattern;

/// What a translation needs to know beside the rule.
pub(super) struct Translation<'t> {
    pub(super) semantics: Semantics,
    pub(super) view: &'t Viewpoint<'t>,
    pub(super) port: u16,
    pub(super) services: &'t dyn Services,
    pub(super) domain: &'t str,
    pub(super) retries: Option<&'t Retries>,
}

/// Whether an entry takes all requests, so that Istio writes none after it.
pub(super) fn is_catch_all(entry: &Entry) -> bool {
    entry.conditions.is_empty()
}

impl Translation<'_> {
    /// Appends the entries of a rule: one for each of its matches that counts here.
    pub(super) fn translate(&self, rule: &Rule<'_>, into: &mut Vec<Entry>) {
        let route = &*rule.route;
        if route.matches.is_empty() {
            let matched = Matched::Prefix {
                text: "/".to_owned(),
                fold: false,
            };
            into.push(self.entry(rule, Vec::new(), &matched, None));
        }
        for (number, one) in route.matches.iter().enumerate() {
            if !self.counts(one) {
                continue;
            }
            let (mut conditions, matched) = self.path(one);
            conditions.extend(others(one));
            into.push(self.entry(rule, conditions, &matched, Some(number)));
            if into.last().is_some_and(is_catch_all) {
                break;
            }
        }
    }

    /// Whether a rule has entries.
    pub(super) fn acts(&self, rule: &Rule<'_>) -> bool {
        let matches = &rule.route.matches;
        matches.is_empty() || matches.iter().any(|one| self.counts(one))
    }

    /// Whether a match counts for this proxy and port. At gateways named in the match, the source
    /// does not count any more (`sourceMatchHTTP`); at waypoints, a match with labels never does.
    fn counts(&self, one: &HttpMatch) -> bool {
        if one.port != 0 && one.port != u32::from(self.port) {
            return false;
        }
        let labels = match self.view {
            Viewpoint::Waypoint { .. } if !one.source_labels.is_empty() => return false,
            Viewpoint::Waypoint { .. } => None,
            Viewpoint::Sidecar { labels, .. } => Some(labels),
        };
        if !one.gateways.is_empty() {
            return one.gateways.iter().any(|name| name == "mesh");
        }
        let has = |(key, value): (&String, &String)| labels.is_some_and(|own| own.has(key, value));
        one.source_labels.iter().all(has)
            && (one.source_namespace.is_empty() || one.source_namespace == self.view.namespace())
    }

    /// The condition on the path, and what of the path a match matches.
    fn path(&self, one: &HttpMatch) -> (Vec<Condition>, Matched) {
        let all = |text: &str| Matched::Prefix {
            text: text.to_owned(),
            fold: one.ignore_uri_case,
        };
        let (pattern, matched) = match &one.uri {
            None | Some(StringMatch::Present) => return (Vec::new(), all("/")),
            Some(StringMatch::Prefix(text)) if text == "/" => return (Vec::new(), all("/")),
            Some(StringMatch::Exact(text)) => (Pattern::exact(text), Matched::Whole),
            Some(StringMatch::Regex(text)) => (Pattern::regex(text), Matched::Whole),
            Some(StringMatch::Prefix(text)) if self.semantics == Semantics::GatewayApi => {
                let text = text.strip_suffix('/').unwrap_or(text);
                (Pattern::element(text), all(text))
            }
            Some(StringMatch::Prefix(text)) => (Pattern::prefix(text), all(text)),
        };
        // Expressions say for themselves what they disregard, also those that spell a prefix.
        let is_regex = matches!(one.uri, Some(StringMatch::Regex(_)));
        let pattern = if one.ignore_uri_case && !is_regex {
            pattern.ignoring_case()
        } else {
            pattern
        };
        let condition = (!pattern.is_any()).then(|| Condition::new(Dimension::Path, pattern));
        (condition.into_iter().collect(), matched)
    }

    fn entry(
        &self,
        rule: &Rule<'_>,
        conditions: Vec<Condition>,
        matched: &Matched,
        number: Option<usize>,
    ) -> Entry {
        let route = &*rule.route;
        let answer = if let Some(redirect) = &route.redirect {
            self.redirect(route, redirect, matched)
        } else if let Some(direct) = &route.direct_response {
            Answer::Direct {
                status: direct.status,
                body: direct.body.as_ref().and_then(|body| match body {
                    Body::Text(text) => Some(text.clone()),
                    Body::Bytes(bytes) => Some(format!("base64:{bytes}")),
                    Body::Empty => None,
                }),
                response: response_of(route),
            }
        } else {
            self.forward(rule, matched)
        };
        let mut origin = rule.origin.clone();
        if let Some(number) = number.filter(|_| rule.names_matches) {
            origin.field = origin.field.then("match").then(number);
        }
        Entry {
            conditions,
            action: Action {
                answer,
                fault: fault(route.fault.as_ref()),
                cors: route.cors_policy.as_ref().map(cors),
            },
            origin: Some(origin),
        }
    }

    /// `applyHTTPRouteDestination`.
    fn forward(&self, rule: &Rule<'_>, matched: &Matched) -> Answer {
        let route = &*rule.route;
        let request = Operations::of(route.headers.as_ref().and_then(|h| h.request.as_ref()));
        let response = Operations::of(route.headers.as_ref().and_then(|h| h.response.as_ref()));
        let rewritten = route
            .rewrite
            .as_ref()
            .map(|rewrite| rewrite.authority.as_str());
        let host = rewritten
            .filter(|host| !host.is_empty())
            .or(request.authority);

        let alone = route.route.len() == 1;
        let mut ways = Vec::new();
        for way in route.route.iter().filter(|way| alone || way.weight > 0) {
            let own_request = Operations::of(way.headers.as_ref().and_then(|h| h.request.as_ref()));
            let own_response =
                Operations::of(way.headers.as_ref().and_then(|h| h.response.as_ref()));
            let effects = |route: &Operations<'_>, own: &Operations<'_>| {
                let mut effects = Effects::default();
                if alone {
                    effects.apply(&route.clone().and(own));
                } else {
                    // Envoy begins with what is most specific.
                    effects.apply(own);
                    effects.apply(route);
                }
                effects
            };
            ways.push(Way {
                destination: self.destination(&way.destination, &rule.namespace),
                weight: if alone { 1 } else { way.weight.unsigned_abs() },
                host: host.or(own_request.authority).map(str::to_owned),
                request: effects(&request, &own_request),
                response: effects(&response, &own_response),
            });
        }
        if ways.is_empty() {
            return Answer::Invalid("it has no destination with a weight");
        }
        Answer::Forward(Forward {
            ways,
            path: self.rewrite(route, matched),
            timeout: route.timeout.map(|d| d.0).filter(|d| !d.is_zero()),
            retry: Retry::of(route.retries.as_ref(), self.retries),
            mirrors: self.mirrors(route, &rule.namespace),
            missing: match self.semantics {
                Semantics::VirtualService => 503,
                Semantics::GatewayApi => 500,
            },
        })
    }

    fn rewrite(&self, route: &HttpRoute, matched: &Matched) -> PathRewrite {
        let Some(rewrite) = &route.rewrite else {
            return PathRewrite::Keep;
        };
        if let Some(regex) = &rewrite.uri_regex_rewrite {
            return PathRewrite::of_expression(&regex.pattern, &regex.rewrite);
        }
        match rewrite.uri.as_str() {
            "" => PathRewrite::Keep,
            "/" if self.semantics == Semantics::GatewayApi => match matched {
                // Envoy is given the prefix of path elements, which `/` is not.
                Matched::Prefix { text, .. } if text != "/" => PathRewrite::Strip(text.clone()),
                _ => PathRewrite::Keep,
            },
            by => PathRewrite::of_match(matched, by),
        }
    }

    /// `ApplyRedirect`.
    fn redirect(&self, route: &HttpRoute, to: &api::Redirect, matched: &Matched) -> Answer {
        let path = if !to.prefix_rewrite.is_empty() {
            PathRewrite::of_match(matched, &to.prefix_rewrite)
        } else if !to.uri.is_empty() {
            PathRewrite::Whole(to.uri.clone())
        } else {
            PathRewrite::Keep
        };
        let scheme = if to.scheme.is_empty() {
            "http"
        } else {
            &to.scheme
        };
        let port = match (to.port, to.derive_port) {
            (Some(port), _) => port,
            (None, Some(DerivePort::RequestPort)) => u32::from(self.port),
            (None, _) => 0,
        };
        let ordinary = matches!((scheme, port), ("http", 80) | ("https", 443));
        let status = match to.redirect_code {
            0 => 301,
            code @ (301 | 302 | 303 | 307 | 308) => code,
            _ => return Answer::Invalid("it redirects with a status that Istio does not know"),
        };
        Answer::Redirect(Redirect {
            scheme: scheme.to_owned(),
            host: (!to.authority.is_empty()).then(|| to.authority.clone()),
            port: (port != 0 && !ordinary).then_some(port),
            path,
            status,
            response: response_of(route),
        })
    }

    /// `GetDestinationCluster`.
    fn destination(&self, to: &api::Destination, namespace: &str) -> Destination {
        let host = full_name(&to.host, namespace, self.domain);
        let only = || match self.services.ports(&host) {
            Some([only]) => u32::from(*only),
            _ => u32::from(self.port),
        };
        Destination {
            port: to.port.as_ref().map_or_else(only, |port| port.number),
            subset: to.subset.clone(),
            host,
        }
    }

    fn mirrors(&self, route: &HttpRoute, namespace: &str) -> Vec<Mirror> {
        let of = |to: &api::Destination, millionths: u32| Mirror {
            destination: self.destination(to, namespace),
            millionths,
        };
        let whole = route.mirror_percent.or(route.mirror_percent_old);
        let share = match (&route.mirror_percentage, whole) {
            (Some(percentage), _) => of_million(percentage),
            (None, Some(percent)) => percent.saturating_mul(10_000),
            (None, None) => 1_000_000,
        };
        let old = route.mirror.iter().map(|to| of(to, share));
        let new = route.mirrors.iter().map(|mirror| {
            let share = mirror.percentage.as_ref().map_or(1_000_000, of_million);
            of(&mirror.destination, share)
        });
        let mut mirrors: Vec<Mirror> = old.chain(new).filter(|m| m.millionths > 0).collect();
        mirrors.sort();
        mirrors
    }
}

fn response_of(route: &HttpRoute) -> Effects {
    let mut effects = Effects::default();
    let operations = route.headers.as_ref().and_then(|h| h.response.as_ref());
    effects.apply(&Operations::of(operations));
    effects
}

/// The conditions beside the path.
fn others(one: &HttpMatch) -> Vec<Condition> {
    let mut conditions = Vec::new();
    let singles = [
        (Dimension::Method, &one.method),
        (Dimension::Authority, &one.authority),
        (Dimension::Scheme, &one.scheme),
    ];
    for (dimension, wanted) in singles {
        let pattern = wanted.as_ref().map(pattern);
        conditions.extend(pattern.map(|pattern| Condition::new(dimension, pattern)));
    }
    for (name, wanted) in &one.headers {
        conditions.push(Condition::new(header(name), pattern(wanted)));
    }
    for (name, wanted) in &one.without_headers {
        let dimension = header(name);
        let pattern = pattern(wanted);
        conditions.push(Condition {
            absent_is_empty: !pattern.is_any() && !matches!(dimension, Dimension::Claim(_)),
            negated: true,
            dimension,
            pattern,
        });
    }
    for (name, wanted) in &one.query_params {
        conditions.push(Condition::new(
            Dimension::Query(name.clone()),
            pattern(wanted),
        ));
    }
    // What every request has needs no condition.
    conditions.retain(|c| c.negated || !c.pattern.is_any() || c.dimension.is_optional());
    conditions
}

/// `*` is no expression of RE2; Istio takes it for presence (`canBeConvertedToPresentMatch`).
fn pattern(wanted: &StringMatch) -> Pattern {
    match wanted {
        StringMatch::Exact(text) => Pattern::exact(text),
        StringMatch::Prefix(text) => Pattern::prefix(text),
        StringMatch::Regex(text) if text == "*" => Pattern::any(),
        StringMatch::Regex(text) => Pattern::regex(text),
        StringMatch::Present => Pattern::any(),
    }
}

/// What a name in `headers` means. Envoy keeps `Host` as `:authority`.
fn header(name: &str) -> Dimension {
    const CLAIMS: &str = "@request.auth.claims";
    let lower = name.to_ascii_lowercase();
    if lower.starts_with(CLAIMS) {
        let path = &name[CLAIMS.len()..];
        if let Some(dotted) = path.strip_prefix('.').filter(|path| !path.is_empty()) {
            return Dimension::Claim(format!("[{}]", dotted.replace('.', "][")));
        }
        if path.len() > 2 && path.starts_with('[') && path.ends_with(']') {
            return Dimension::Claim(path.to_owned());
        }
    }
    match lower.as_str() {
        ":method" => Dimension::Method,
        ":authority" | "host" => Dimension::Authority,
        ":scheme" => Dimension::Scheme,
        ":path" => Dimension::Target,
        _ => Dimension::Header(lower),
    }
}

/// `translatePercentToFractionalPercent`, which cuts off what is below a millionth.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the conversion saturates, and percentages are small"
)]
fn of_million(percent: &Percent) -> u32 {
    (percent.value * 10_000.0) as u32
}

/// `TranslateFault`; a fault without a percentage happens to no request.
fn fault(fault: Option<&api::Fault>) -> Fault {
    let Some(fault) = fault else {
        return Fault::default();
    };
    let delay = fault.delay.as_ref().and_then(|delay| {
        let percent = u32::try_from(delay.percent).unwrap_or_default();
        let share = delay.percentage.as_ref().map(of_million);
        Some(Delay {
            millionths: share.unwrap_or(percent.saturating_mul(10_000)),
            wait: delay.fixed_delay?.0,
        })
    });
    let abort = fault.abort.as_ref().and_then(|abort| {
        let share = abort.percentage.as_ref().map_or(0, of_million);
        let how = match (&abort.http_status, &abort.grpc_status) {
            (Some(status), _) => Abort::Http(*status),
            (None, Some(status)) => Abort::Grpc(status.clone()),
            (None, None) => return None,
        };
        Some((share, how))
    });
    Fault {
        delay: delay.filter(|d| d.millionths > 0 && d.wait > Duration::ZERO),
        abort: abort.filter(|(share, _)| *share > 0),
    }
}

/// `TranslateCORSPolicy`.
fn cors(policy: &CorsPolicy) -> Cors {
    let mut origins = if policy.allow_origins.is_empty() {
        let exact = |origin: &String| StringMatch::Exact(origin.clone());
        policy.allow_origin.iter().map(exact).collect()
    } else {
        policy.allow_origins.clone()
    };
    origins.sort();
    origins.dedup();
    Cors {
        origins,
        methods: policy.allow_methods.join(","),
        headers: policy.allow_headers.join(","),
        expose: policy.expose_headers.join(","),
        max_age: policy.max_age.map(|age| age.0.as_secs()),
        credentials: policy.allow_credentials.unwrap_or(false),
        forwards_others: policy.unmatched_preflights != Some(UnmatchedPreflights::Ignore),
    }
}
