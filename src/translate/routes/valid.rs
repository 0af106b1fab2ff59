//! What is wrong with a VirtualService as it is written: what Istio's own validation refuses
//! (`pkg/config/validation/virtualservice.go`), and what it only finds when requests fail.

use super::obstacle::{Gravity, Obstacle, Spot};
use super::world::World;
use crate::kinds::complete::virtual_service::{HttpMatch, HttpRoute, Retries, StreamDestination};
use crate::kinds::complete::{StringMatch, VirtualService};
use crate::kinds::path::field;
use crate::kinds::{Kind, Name, ObjectRef};
use crate::semantics::language::{Pattern, Predicate, Undecided};
use crate::translate::Topic;

/// The conditions of retries that Istio takes beside statuses.
const CONDITIONS: [&str; 16] = [
    "5xx",
    "cancelled",
    "connect-failure",
    "deadline-exceeded",
    "envoy-ratelimited",
    "gateway-error",
    "http3-post-connect-failure",
    "internal",
    "refused-stream",
    "reset",
    "reset-before-request",
    "resource-exhausted",
    "retriable-4xx",
    "retriable-headers",
    "retriable-status-codes",
    "unavailable",
];

/// What is wrong with a VirtualService and with its delegates.
pub(super) fn faults(world: &World, object: &ObjectRef, read: &VirtualService) -> Vec<Obstacle> {
    let root = Spot {
        object: object.clone(),
        field: crate::kinds::FieldPath::root(),
    };
    let mut check = Check {
        world,
        is_delegate: read.spec.hosts.is_empty(),
        found: Vec::new(),
    };
    check.whole(&root, read);
    check.found
}

struct Check<'w> {
    world: &'w World,
    is_delegate: bool,
    found: Vec<Obstacle>,
}

impl Check<'_> {
    fn wrong(&mut self, spot: &Spot, says: impl Into<String>) {
        let obstacle = spot.obstacle(Gravity::Wrong, Topic::Invalid, says);
        if !self.found.contains(&obstacle) {
            self.found.push(obstacle);
        }
    }

    fn whole(&mut self, root: &Spot, read: &VirtualService) {
        for unknown in &read.unknown {
            let spot = Spot {
                object: root.object.clone(),
                field: unknown.clone(),
            };
            self.wrong(&spot, "is no field of a VirtualService that is known here");
        }
        let spec = &read.spec;
        if spec.http.is_empty() && spec.tcp.is_empty() && spec.tls.is_empty() {
            let spot = root.then("spec");
            self.wrong(&spot, "has no routes: one of http, tcp and tls is needed");
        }
        for (number, route) in spec.http.iter().enumerate() {
            let spot = root.then("spec").then("http").then(number);
            self.rule(&spot, route, &read.metadata.namespace);
        }
        let streams = spec.tcp.iter().map(|route| ("tcp", &route.route));
        let streams = streams.chain(spec.tls.iter().map(|route| ("tls", &route.route)));
        for (number, (name, ways)) in streams.enumerate() {
            let number = if name == "tls" {
                number - spec.tcp.len()
            } else {
                number
            };
            let spot = root.then("spec").then(name).then(number).then("route");
            let weight = |way: &StreamDestination| way.weight;
            self.weights(&spot, &ways.iter().map(weight).collect::<Vec<_>>());
        }
    }

    fn rule(&mut self, spot: &Spot, route: &HttpRoute, namespace: &Name) {
        for (number, one) in route.matches.iter().enumerate() {
            self.expressions(&spot.then("match").then(number), one);
        }
        if route.delegate.is_some() {
            self.delegate(spot, route, namespace);
            return;
        }
        let answers = usize::from(route.redirect.is_some())
            + usize::from(route.direct_response.is_some())
            + usize::from(!route.route.is_empty());
        if answers != 1 {
            self.wrong(spot, "needs one of route, redirect and directResponse");
        }
        if route.redirect.is_some() && (route.rewrite.is_some() || route.fault.is_some()) {
            self.wrong(
                &spot.then("redirect"),
                "cannot stand beside rewrite or fault",
            );
        }
        let weights: Vec<i32> = route.route.iter().map(|way| way.weight).collect();
        self.weights(&spot.then("route"), &weights);
        if route.mirror.is_some() && !route.mirrors.is_empty() {
            self.wrong(&spot.then("mirror"), "cannot stand beside mirrors");
        }
        if let Some(percent) = &route.mirror_percentage
            && !(0.0..=100.0).contains(&percent.value)
        {
            self.wrong(&spot.then("mirrorPercentage"), "must be from 0 to 100");
        }
        if let Some(redirect) = &route.redirect {
            let spot = spot.then("redirect");
            if !redirect.uri.is_empty() && !redirect.prefix_rewrite.is_empty() {
                self.wrong(&spot, "takes one of uri and prefixRewrite");
            }
            if !matches!(redirect.redirect_code, 0 | 301 | 302 | 303 | 307 | 308) {
                self.wrong(
                    &spot.then("redirectCode"),
                    "is no status that Envoy redirects with",
                );
            }
        }
        if let Some(timeout) = route.timeout
            && timeout.0 < std::time::Duration::from_millis(1)
        {
            self.wrong(&spot.then("timeout"), "must be a millisecond at least");
        }
        if let Some(retries) = &route.retries {
            self.retries(&spot.then("retries"), retries);
        }
        if let Some(cors) = &route.cors_policy {
            let spot = spot.then("corsPolicy").then("allowOrigins");
            for (number, origin) in cors.allow_origins.iter().enumerate() {
                self.expression(&spot.then(number).then("regex"), origin);
            }
        }
        if let Some(regex) = route
            .rewrite
            .as_ref()
            .and_then(|r| r.uri_regex_rewrite.as_ref())
        {
            let spot = spot.then("rewrite").then("uriRegexRewrite").then("match");
            self.expression(&spot, &StringMatch::Regex(regex.pattern.clone()));
        }
    }

    fn weights(&mut self, spot: &Spot, weights: &[i32]) {
        if weights.iter().any(|weight| *weight < 0) {
            self.wrong(spot, "has a weight below 0");
        }
        if weights.len() > 1 && weights.iter().all(|weight| *weight == 0) {
            self.wrong(spot, "has several destinations and no weights");
        }
    }

    fn retries(&mut self, spot: &Spot, retries: &Retries) {
        if retries.attempts < 0 {
            self.wrong(&spot.then("attempts"), "is below 0");
        }
        let says_more = retries.per_try_timeout.is_some()
            || !retries.retry_on.is_empty()
            || retries.retry_remote_localities.is_some();
        if retries.attempts == 0 && says_more {
            self.wrong(spot, "turns retries off (attempts 0) and says how to retry");
        }
        if retries.retry_on.is_empty() {
            return;
        }
        for part in retries.retry_on.split(',') {
            let status = part
                .parse::<u16>()
                .is_ok_and(|code| (100..600).contains(&code));
            if !status && !CONDITIONS.contains(&part) {
                self.wrong(&spot.then("retryOn"), format!("{part:?} is no condition"));
            }
        }
    }

    /// Delegates are one level deep: one of one is refused, and so a circle is.
    fn delegate(&mut self, spot: &Spot, route: &HttpRoute, namespace: &Name) {
        let Some(delegate) = &route.delegate else {
            return;
        };
        let spot = spot.then("delegate");
        let trouble = |says: String| spot.obstacle(Gravity::Wrong, Topic::Delegates, says);
        if self.is_delegate {
            let says = "a delegate cannot delegate: Istio goes one level deep".to_owned();
            self.found.push(trouble(says));
            return;
        }
        if !route.route.is_empty() || route.redirect.is_some() {
            self.wrong(&spot, "cannot stand beside route or redirect");
        }
        let home = match delegate.namespace.as_str() {
            "" => namespace.clone(),
            home => Name::from(home),
        };
        let name = Name::from(delegate.name.as_str());
        let object = ObjectRef::new(Kind::VirtualService, &home, &name);
        let Some(read) = self.world.virtual_services.get(&object) else {
            let says =
                format!("{object} is not there or cannot be read: its requests find no route");
            self.found
                .push(trouble(says).remedy("give the delegate too, or take the rule out"));
            return;
        };
        if !read.spec.hosts.is_empty() {
            let says = format!("{object} has hosts of its own, and so is no delegate");
            self.found.push(trouble(says));
            return;
        }
        let visible = read.spec.export_to.is_empty()
            || read.spec.export_to.iter().any(|to| match to.as_str() {
                "*" => true,
                "." => home == *namespace,
                other => *other == **namespace,
            });
        if !visible {
            let says =
                format!("{object} is not exported to {namespace}: its requests find no route");
            self.found.push(trouble(says));
        }
        for obstacle in faults(self.world, &object, read) {
            if !self.found.contains(&obstacle) {
                self.found.push(obstacle);
            }
        }
    }

    fn expressions(&mut self, spot: &Spot, one: &HttpMatch) {
        let singles = [
            ("uri", &one.uri),
            ("scheme", &one.scheme),
            ("method", &one.method),
            ("authority", &one.authority),
        ];
        for (name, wanted) in singles {
            if let Some(wanted) = wanted {
                self.expression(&spot.then(name).then("regex"), wanted);
            }
        }
        let maps = [
            ("headers", &one.headers),
            ("withoutHeaders", &one.without_headers),
            ("queryParams", &one.query_params),
        ];
        for (name, map) in maps {
            for (key, wanted) in map {
                let present = matches!(wanted, StringMatch::Regex(text) if text == "*");
                if !present {
                    let spot = spot.then(name).then(key.as_str()).then("regex");
                    self.expression(&spot, wanted);
                }
            }
        }
    }

    fn expression(&mut self, spot: &Spot, wanted: &StringMatch) {
        let StringMatch::Regex(text) = wanted else {
            return;
        };
        if is_no_expression(text) {
            self.wrong(spot, format!("{text:?} is no expression that RE2 takes"));
        }
    }
}

/// Whether RE2 refuses an expression. Rust's parser takes nearly the same ones.
fn is_no_expression(text: &str) -> bool {
    let plain = text.bytes().all(|b| !br"\.+*?()|[]{}^$".contains(&b));
    if plain {
        return false;
    }
    let predicate = Predicate::new(Pattern::regex(text));
    predicate.undecided() == Some(Undecided::Unreadable)
        && !text.contains("\\C")
        && regex_syntax::ParserBuilder::new()
            .utf8(false)
            .build()
            .parse(text)
            .is_err()
}

/// That an object could not be read.
pub(super) fn unreadable(object: &ObjectRef, error: &crate::kinds::DecodeError) -> Obstacle {
    let spot = Spot {
        object: object.clone(),
        field: error.path.clone(),
    };
    spot.obstacle(Gravity::Wrong, Topic::Invalid, error.message.clone())
}

/// The rules of a VirtualService as a whole.
pub(super) fn spot(object: &ObjectRef) -> Spot {
    Spot {
        object: object.clone(),
        field: field!["spec"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_that_re2_does_not_take() {
        for (text, wrong) in [
            ("/a", false),
            ("/api/v[0-9]+", false),
            (r"\pL+", false),
            (r"\Qa.b\E", false),
            ("(?i)/a", false),
            ("a{,2}", false),
            ("(?=a)b", true),
            (r"(a)\1", true),
            ("a(", true),
            ("[a", true),
            ("*", true),
        ] {
            assert_eq!(is_no_expression(text), wrong, "{text}");
        }
    }
}
