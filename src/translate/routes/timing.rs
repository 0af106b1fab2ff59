//! Timeouts, retries and CORS in the forms of an HTTPRoute.

use std::collections::BTreeSet;

use super::obstacle::{Findings, Gravity, Spot};
use crate::kinds::complete::virtual_service::{
    CorsPolicy, HttpRoute, Retries, UnmatchedPreflights,
};
use crate::kinds::complete::{
    CorsFilter, Filter, GatewayDuration, HttpRule, IstioDuration, Retry, StringMatch, Timeouts,
};
use crate::mesh::installation::Version;
use crate::semantics::routing;
use crate::translate::options::{Channel, GatewayApi};
use crate::translate::{Topic, Weight};

/// The releases in which fields became standard. Retries never did.
const TIMEOUTS: Version = Version::new(1, 2);
const CORS: Version = Version::new(1, 5);
/// The first release that has CORS at all.
const CORS_TRIED: Version = Version::new(1, 3);

/// The conditions that istiod always adds to those of an HTTPRoute.
const ALWAYS: [&str; 4] = [
    "cancelled",
    "connect-failure",
    "refused-stream",
    "unavailable",
];

/// Timeouts and retries of a rule.
pub(super) fn timeouts(
    route: &HttpRoute,
    api: GatewayApi,
    spot: &Spot,
    rule: &mut HttpRule,
    findings: &mut Findings,
) {
    let request = duration(route.timeout, &spot.then("timeout"), findings);
    let mut backend_request = None;
    if let Some(retries) = &route.retries {
        let spot = spot.then("retries");
        if routing::Retry::of(Some(retries), None) == routing::Retry::of(None, None) {
            findings.note(spot.note(
                Topic::Retries,
                Weight::Form,
                "is what happens without being written, so that it is left out",
            ));
        } else {
            rule.retry = retry(retries, api, &spot, findings);
            backend_request = each_try(route, retries, &spot, findings);
        }
    }
    if request.is_some() || backend_request.is_some() {
        if !api.has_since(Some(TIMEOUTS)) {
            let says = no_field("timeouts", api);
            findings.meet(
                spot.then("timeout")
                    .obstacle(Gravity::NoForm, Topic::Channel, says),
            );
        }
        rule.timeouts = Some(Timeouts {
            request,
            backend_request,
        });
    }
}

fn no_field(what: &str, api: GatewayApi) -> String {
    format!("an HTTPRoute of the Gateway API {api} has no {what}")
}

fn duration(
    duration: Option<IstioDuration>,
    spot: &Spot,
    findings: &mut Findings,
) -> Option<GatewayDuration> {
    let duration = duration.filter(|duration| !duration.0.is_zero())?;
    let written = GatewayDuration::new(duration.0);
    if written.is_none() {
        findings.meet(spot.obstacle(
            Gravity::NoForm,
            Topic::Retries,
            format!("an HTTPRoute takes whole milliseconds, and {duration} is none"),
        ));
    }
    written
}

/// How long each try may take. It must not be longer than the whole.
fn each_try(
    route: &HttpRoute,
    retries: &Retries,
    spot: &Spot,
    findings: &mut Findings,
) -> Option<GatewayDuration> {
    let spot = spot.then("perTryTimeout");
    let each = retries.per_try_timeout.filter(|each| !each.0.is_zero())?;
    let whole = route.timeout.filter(|whole| !whole.0.is_zero());
    if let Some(whole) = whole.filter(|whole| *whole < each) {
        let says = format!(
            "is longer than the whole request may take ({whole}), which an HTTPRoute refuses: it is cut to that"
        );
        findings.meet(spot.obstacle(Gravity::Differs, Topic::Retries, says));
        return duration(Some(whole), &spot, findings);
    }
    duration(Some(each), &spot, findings)
}

fn retry(
    retries: &Retries,
    api: GatewayApi,
    spot: &Spot,
    findings: &mut Findings,
) -> Option<Retry> {
    if retries.attempts <= 0 {
        let obstacle = spot.then("attempts").obstacle(
            Gravity::NoForm,
            Topic::Retries,
            "it turns retries off, which an HTTPRoute cannot",
        );
        findings.meet(obstacle.remedy(
            "leave the VirtualService, or turn retries off for the mesh (meshConfig.defaultHttpRetryPolicy)",
        ));
        return None;
    }
    if api.channel == Channel::Standard {
        let says = no_field("retries", api);
        findings.meet(
            spot.obstacle(Gravity::NoForm, Topic::Channel, says)
                .remedy("install the experimental channel of the Gateway API"),
        );
    }
    let other_defaults = retries.retry_remote_localities == Some(true)
        || retries.retry_ignore_previous_hosts == Some(false);
    if other_defaults {
        findings.meet(spot.obstacle(
            Gravity::Differs,
            Topic::Retries,
            "an HTTPRoute does not say which endpoints are tried again",
        ));
    }
    Some(Retry {
        codes: codes(retries, spot, findings),
        attempts: Some(retries.attempts),
        backoff: duration(retries.backoff, &spot.then("backoff"), findings),
    })
}

/// The statuses after which is tried again. The conditions that istiod adds must be among those of
/// the source, and there must be no others.
fn codes(retries: &Retries, spot: &Spot, findings: &mut Findings) -> Vec<u16> {
    if retries.retry_on.is_empty() {
        return Vec::new();
    }
    let mut codes = BTreeSet::new();
    let mut conditions = BTreeSet::new();
    for part in retries.retry_on.split(',').map(str::trim) {
        match part.parse::<u16>() {
            Ok(code) if (400..600).contains(&code) => {
                codes.insert(code);
            }
            _ if part.is_empty() || part == "retriable-status-codes" => {}
            _ => {
                conditions.insert(part);
            }
        }
    }
    let always = BTreeSet::from(ALWAYS);
    if conditions == always {
        return codes.into_iter().collect();
    }
    for condition in &conditions {
        codes.extend::<&[u16]>(match *condition {
            "gateway-error" => &[502, 503, 504],
            "5xx" => &[500, 501, 502, 503, 504],
            "retriable-4xx" => &[409],
            _ => &[],
        });
    }
    let added: Vec<&str> = always.difference(&conditions).copied().collect();
    let lost: Vec<&str> = conditions.difference(&always).copied().collect();
    let mut says = Vec::new();
    if !added.is_empty() {
        says.push(format!(
            "requests are tried again after {} too",
            added.join(", ")
        ));
    }
    if !lost.is_empty() {
        let instead = if codes.is_empty() {
            "not at all".to_owned()
        } else {
            let codes: Vec<String> = codes.iter().map(u16::to_string).collect();
            format!("after the statuses {}", codes.join(", "))
        };
        says.push(format!("instead of after {} {instead}", lost.join(", ")));
    }
    let obstacle = spot.then("retryOn").obstacle(
        Gravity::Differs,
        Topic::Retries,
        format!("an HTTPRoute knows statuses only: {}", says.join(", and ")),
    );
    findings.meet(obstacle);
    codes.into_iter().collect()
}

/// What browsers are told about other origins.
pub(super) fn cors(
    route: &HttpRoute,
    api: GatewayApi,
    spot: &Spot,
    filters: &mut Vec<Filter>,
    findings: &mut Findings,
) {
    let Some(policy) = &route.cors_policy else {
        return;
    };
    let spot = spot.then("corsPolicy");
    if !api.has_since(Some(CORS)) || api.version < CORS_TRIED {
        let says = no_field("CORS", api);
        findings.meet(
            spot.obstacle(Gravity::NoForm, Topic::Channel, says)
                .remedy("install the Gateway API 1.5 or later"),
        );
    }
    if policy.unmatched_preflights != Some(UnmatchedPreflights::Ignore) {
        findings.meet(
            spot.then("unmatchedPreflights")
                .obstacle(
                    Gravity::Differs,
                    Topic::Cors,
                    "an HTTPRoute answers preflights of origins that are not allowed, and does not forward them",
                )
                .remedy("set unmatchedPreflights: IGNORE before, if the application needs none of them"),
        );
    }
    let age = match policy.max_age.map(|age| age.0.as_secs()) {
        Some(age) if age > 0 => i32::try_from(age).ok(),
        _ => {
            findings.meet(spot.then("maxAge").obstacle(
                Gravity::Differs,
                Topic::Cors,
                "an HTTPRoute lets browsers keep the answer for 5 seconds where nothing is said",
            ));
            None
        }
    };
    filters.push(Filter::Cors(CorsFilter {
        allow_origins: origins(policy, &spot, findings),
        allow_credentials: policy.allow_credentials.filter(|allowed| *allowed),
        allow_methods: words(&policy.allow_methods, "allowMethods", &spot, findings),
        allow_headers: words(&policy.allow_headers, "allowHeaders", &spot, findings),
        expose_headers: words(&policy.expose_headers, "exposeHeaders", &spot, findings),
        max_age: age,
    }));
}

fn words(list: &[String], name: &str, spot: &Spot, findings: &mut Findings) -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for word in list {
        if !known.contains(word) {
            known.push(word.clone());
        }
    }
    let star = known.iter().any(|word| word == "*");
    if known.len() > 64 || (star && known.len() > 1) {
        findings.meet(spot.then(name).obstacle(
            Gravity::NoForm,
            Topic::Cors,
            "an HTTPRoute takes 64 of these, and `*` alone",
        ));
    }
    known
}

fn origins(policy: &CorsPolicy, spot: &Spot, findings: &mut Findings) -> Vec<String> {
    let (at, all) = if policy.allow_origins.is_empty() {
        let exact = policy.allow_origin.iter();
        let exact = exact.map(|origin| StringMatch::Exact(origin.clone()));
        ("allowOrigin", exact.collect())
    } else {
        ("allowOrigins", policy.allow_origins.clone())
    };
    let spot = spot.then(at);
    let mut origins: Vec<String> = Vec::new();
    for (position, origin) in all.iter().enumerate() {
        let spot = spot.then(position);
        match origin {
            StringMatch::Exact(text) if text == "*" => {
                findings.meet(spot.obstacle(
                    Gravity::Differs,
                    Topic::Cors,
                    "in an HTTPRoute `*` takes well-formed origins only, and not `null`",
                ));
                origins.push("*".to_owned());
            }
            StringMatch::Exact(text) if is_origin(text) => {
                if !origins.contains(text) {
                    origins.push(text.clone());
                }
            }
            _ => findings.meet(spot.obstacle(
                Gravity::NoForm,
                Topic::Cors,
                "an HTTPRoute takes origins with scheme and host, and no expressions or prefixes",
            )),
        }
    }
    let star = origins.iter().any(|origin| origin == "*");
    if origins.len() > 64 || (star && origins.len() > 1) {
        findings.meet(spot.obstacle(
            Gravity::NoForm,
            Topic::Cors,
            "an HTTPRoute takes 64 origins, and `*` alone",
        ));
    }
    origins
}

/// `CORSOrigin`, without asterisks.
fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let Some(rest) = rest else { return false };
    let (host, port) = rest.split_once(':').unwrap_or((rest, "1"));
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(label)
        && (1..=5).contains(&port.len())
        && port.bytes().all(|byte| byte.is_ascii_digit())
}
