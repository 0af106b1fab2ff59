//! Comparisons against brute force over pools of requests.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::kinds::Labels;
use crate::kinds::complete::{HttpRoute, VirtualService};
use crate::semantics::routing::{ByName, Defaults, Host, Routes, Viewpoint};
use crate::soak::cases;

/// Paths over few letters, so that matches meet.
const PATH: &str = "/(a|b|ab)?(/(a|b)?)?";

fn path() -> impl Strategy<Value = String> {
    PATH.prop_map(String::from)
}

fn string_match() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ab]{1,2}".prop_map(|v| json!({"exact": v})),
        "[ab]".prop_map(|v| json!({"prefix": v})),
        "[ab]".prop_map(|v| json!({"regex": format!("{v}+b?")})),
        Just(json!({})),
    ]
}

fn uri() -> impl Strategy<Value = Value> {
    prop_oneof![
        path().prop_map(|p| json!({"exact": p})),
        path().prop_map(|p| json!({"prefix": p})),
        path().prop_map(|p| json!({"prefix": p})),
        path().prop_map(|p| json!({"regex": format!("{p}(/[^/]+)?")})),
        path().prop_map(|p| json!({"regex": format!("{p}.*")})),
        path().prop_map(|p| json!({"regex": format!(".*{p}.*")})),
        "[ab]".prop_map(|p| json!({"regex": format!(".*{p}")})),
    ]
}

fn http_match() -> impl Strategy<Value = Value> {
    let maybe = |strategy| prop::option::weighted(0.3, strategy);
    (
        prop::option::weighted(0.8, uri()),
        maybe(
            prop_oneof![Just("GET"), Just("POST")]
                .prop_map(|m| json!({"exact": m}))
                .boxed(),
        ),
        maybe(string_match().boxed()),
        maybe(string_match().boxed()),
        maybe(string_match().boxed()),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(uri, method, header, without, query, fold)| {
            let mut one = serde_json::Map::new();
            let mut put = |key: &str, value: Option<Value>| {
                value.map(|value| one.insert(key.to_owned(), value))
            };
            put(
                "ignoreUriCase",
                (fold && uri.is_some()).then_some(json!(true)),
            );
            put("uri", uri);
            put("method", method);
            put("headers", header.map(|h| json!({"X-A": h})));
            put("withoutHeaders", without.map(|h| json!({"x-b": h})));
            put("queryParams", query.map(|q| json!({"q": q})));
            Value::Object(one)
        })
}

/// What is done, one of few things, so that rules agree by chance.
fn action() -> impl Strategy<Value = Value> {
    let to = |name: &str| json!([{"destination": {"host": name}}]);
    let plain = prop_oneof![Just("one"), Just("two")];
    (
        plain,
        prop::option::weighted(0.4, prop_oneof![path(), Just("/".to_owned())]),
    )
        .prop_map(move |(name, rewrite)| match rewrite {
            Some(uri) => json!({"route": to(name), "rewrite": {"uri": uri}}),
            None => json!({"route": to(name)}),
        })
}

fn rule() -> impl Strategy<Value = Value> {
    (prop::collection::vec(http_match(), 0..3), action()).prop_map(|(matches, mut rule)| {
        if !matches.is_empty() {
            rule["match"] = json!(matches);
        }
        rule
    })
}

/// A VirtualService, and one that is nearly the same.
fn pair() -> impl Strategy<Value = (Value, Value)> {
    (
        prop::collection::vec(rule(), 1..5),
        rule(),
        0..6_usize,
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
    )
        .prop_map(|(rules, other, what, a, b)| {
            let mut changed = rules.clone();
            let (a, b) = (a.index(rules.len()), b.index(rules.len()));
            match what {
                0 => changed.swap(a, b),
                1 => changed[a] = other,
                2 => changed.insert(a, other),
                3 => drop(changed.remove(a)),
                4 => {
                    if let Some(one) = changed[a].get_mut("match").and_then(|m| m.get_mut(0)) {
                        one.as_object_mut().unwrap().pop_last();
                    }
                }
                _ => {}
            }
            (
                json!({"hosts": ["one"], "http": rules}),
                json!({"hosts": ["one"], "http": changed}),
            )
        })
}

trait PopLast {
    fn pop_last(&mut self);
}

impl PopLast for serde_json::Map<String, Value> {
    fn pop_last(&mut self) {
        if let Some(key) = self.keys().next_back().cloned() {
            self.remove(&key);
        }
    }
}

fn services() -> BTreeMap<String, Vec<u16>> {
    ["one", "two"]
        .map(|name| (format!("{name}.shop.svc.cluster.local"), vec![80]))
        .into()
}

fn host() -> Host {
    Host {
        name: "one.shop.svc.cluster.local".to_owned(),
        namespace: "shop".to_owned(),
        port: 80,
        grpc: false,
    }
}

fn object(kind: &str, spec: &Value) -> Value {
    json!({"kind": kind, "metadata": {"name": "x", "namespace": "shop"}, "spec": spec})
}

fn sidecar(virtual_services: &[Value], routes: &[Value]) -> Table {
    let read = |spec| VirtualService::from_json(&object("VirtualService", spec)).unwrap();
    let virtual_services: Vec<VirtualService> = virtual_services.iter().map(read).collect();
    let read = |spec| HttpRoute::from_json(&object("HTTPRoute", spec)).unwrap();
    let routes: Vec<HttpRoute> = routes.iter().map(read).collect();
    let services = services();
    let defaults = Defaults::default();
    let routes = Routes::new(
        &virtual_services,
        &routes,
        &services,
        "cluster.local",
        defaults,
    );
    let labels = Labels::default();
    let view = Viewpoint::Sidecar {
        namespace: "shop",
        labels: &labels,
    };
    routes.table(&view, &host())
}

fn side(table: &Table) -> Side<'_> {
    Side {
        table,
        resolver: &ByName,
    }
}

fn request() -> impl Strategy<Value = Request> {
    let value = prop::option::of("[ab]{0,2}");
    (
        "/[abAx]{0,2}(/[abx]{0,2}){0,2}",
        prop_oneof![Just("GET"), Just("POST"), Just("PUT")],
        value.clone(),
        value.clone(),
        value,
    )
        .prop_map(|(path, method, a, b, q)| {
            let map = |name: &str, value: Option<String>| {
                value.map(|value| (name.to_owned(), value)).into_iter()
            };
            Request {
                path: Some(path),
                method: Some(method.to_owned()),
                headers: map("x-a", a).chain(map("x-b", b)).collect(),
                query: map("q", q).collect(),
                ..Request::default()
            }
        })
}

/// Each reported difference is one, and whatever differs in the pool was reported for the same two
/// rules.
fn check(before: &Table, after: &Table, pool: &[Request]) -> Result<Comparison, TestCaseError> {
    let limits = Limits {
        differences: usize::MAX,
        ..Limits::default()
    };
    let found = compare(side(before), side(after), limits);
    for difference in &found.differences {
        let [b, a] = [before, after].map(|t| t.route(&difference.request, &ByName).unwrap());
        prop_assert!(!b.is_same(&a), "not a difference: {}", difference);
        prop_assert_eq!(&b, &difference.before, "{}", difference);
        prop_assert_eq!(&a, &difference.after, "{}", difference);
    }
    for request in pool {
        let [b, a] = [before, after].map(|t| t.route(request, &ByName).unwrap());
        let is_it = |difference: &Difference| {
            difference.before.origin == b.origin && difference.after.origin == a.origin
        };
        let told = b.is_same(&a) || found.differences.iter().any(is_it);
        prop_assert!(told, "not found: {}: {} and {}", request, b, a);
    }
    Ok(found)
}

/// An HTTPRoute with random rules.
fn http_route() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![Just("PathPrefix"), Just("Exact")];
    let one =
        (kind, path(), prop::option::weighted(0.3, "[ab]")).prop_map(|(kind, path, header)| {
            let mut one = json!({"path": {"type": kind, "value": path}});
            if let Some(value) = header {
                one["headers"] = json!([{"name": "x-a", "value": value}]);
            }
            one
        });
    let rewrite = prop_oneof![
        path().prop_map(|p| json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": p})),
        path().prop_map(|p| json!({"type": "ReplaceFullPath", "replaceFullPath": p})),
    ];
    let rule = (
        one,
        prop_oneof![Just("one"), Just("two")],
        prop::option::of(rewrite),
    )
        .prop_map(|(one, name, rewrite)| {
            let mut rule = json!({"matches": [one], "backendRefs": [{"name": name, "port": 80}]});
            if let Some(path) = rewrite {
                rule["filters"] = json!([{"type": "URLRewrite", "urlRewrite": {"path": path}}]);
            }
            rule
        });
    let parent = json!([{"group": "", "kind": "Service", "name": "one"}]);
    prop::collection::vec(rule, 1..5)
        .prop_map(move |rules| json!({"parentRefs": parent, "rules": rules}))
}

/// The same rules as a VirtualService in the order that the route would have, as text prefixes.
fn twin(route: &Value) -> Value {
    let rules = route["rules"].as_array().unwrap().iter().map(|rule| {
        let one = &rule["matches"][0];
        let path = &one["path"];
        let uri = match path["type"].as_str().unwrap() {
            "Exact" => json!({"exact": path["value"]}),
            _ => json!({"prefix": path["value"]}),
        };
        let mut own = json!({"uri": uri});
        if let Some(headers) = one.get("headers") {
            own["headers"] = json!({"x-a": {"exact": headers[0]["value"]}});
        }
        let name = &rule["backendRefs"][0]["name"];
        let mut twin = json!({"match": [own], "route": [{"destination": {"host": name}}]});
        if let Some(filters) = rule.get("filters") {
            let path = &filters[0]["urlRewrite"]["path"];
            let to = path
                .get("replacePrefixMatch")
                .or(path.get("replaceFullPath"));
            twin["rewrite"] = json!({"uri": to});
        }
        twin
    });
    json!({"hosts": ["one"], "http": rules.collect::<Vec<Value>>()})
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn changed_virtual_services_are_told_apart(
        (before, after) in pair(),
        pool in prop::collection::vec(request(), 30),
    ) {
        let (before, after) = (sidecar(&[before], &[]), sidecar(&[after], &[]));
        let found = check(&before, &after, &pool)?;
        prop_assert!(
            found.how == How::Complete || matches!(&found.how, How::Sampled { why }
                if why.iter().all(|why| why.contains("examples"))),
            "{:?}", found.how
        );
        let itself = compare(side(&before), side(&before), Limits::default());
        prop_assert!(itself.is_same() && itself.how == How::Complete);
    }

    #[test]
    fn routes_and_virtual_services_are_told_apart(
        route in http_route(),
        pool in prop::collection::vec(request(), 30),
    ) {
        let before = sidecar(&[twin(&route)], &[]);
        let after = sidecar(&[], &[route]);
        check(&before, &after, &pool)?;
        check(&after, &before, &pool)?;
    }

    /// The same comparison twice gives the same bytes.
    #[test]
    fn comparisons_are_deterministic((before, after) in pair()) {
        let (before, after) = (sidecar(&[before], &[]), sidecar(&[after], &[]));
        let once = compare(side(&before), side(&after), Limits::default());
        prop_assert_eq!(compare(side(&before), side(&after), Limits::default()), once);
    }
}

fn virtual_service(http: &Value) -> Table {
    sidecar(&[json!({"hosts": ["one"], "http": http})], &[])
}

fn route(rules: &Value) -> Table {
    let parent = json!([{"group": "", "kind": "Service", "name": "one"}]);
    sidecar(&[], &[json!({"parentRefs": parent, "rules": rules})])
}

fn requests(before: &Table, after: &Table) -> Vec<String> {
    let found = compare(side(before), side(after), Limits::default());
    assert_eq!(found.how, How::Complete);
    let request = |difference: &Difference| difference.request.to_string();
    found.differences.iter().map(request).collect()
}

#[test]
fn differences_are_shown_by_short_requests() {
    let to = |name: &str| json!([{"destination": {"host": name}}]);
    let backend = |name: &str| json!([{"name": name, "port": 80}]);
    let prefix = |path: &str| json!([{"path": {"type": "PathPrefix", "value": path}}]);
    let before = virtual_service(&json!([
        {"match": [{"uri": {"prefix": "/api"}}], "route": to("one")},
    ]));
    let after = route(&json!([{"matches": prefix("/api"), "backendRefs": backend("one")}]));
    assert_eq!(requests(&before, &after), ["GET /apix"]);

    let before = virtual_service(&json!([
        {"match": [{"uri": {"prefix": "/a/"}}], "rewrite": {"uri": "/"}, "route": to("one")},
        {"route": to("two")},
    ]));
    let strip = json!([{"type": "URLRewrite", "urlRewrite": {"path":
        {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}]);
    let after = route(&json!([
        {"matches": prefix("/a/"), "filters": strip, "backendRefs": backend("one")},
        {"matches": prefix("/"), "backendRefs": backend("two")},
    ]));
    assert_eq!(requests(&before, &after), ["GET /a"]);

    // A header and an order.
    let before = virtual_service(&json!([
        {"match": [{"headers": {"x-user": {"exact": "tester"}}}], "route": to("two")},
        {"match": [{"uri": {"exact": "/x"}, "method": {"exact": "POST"}}], "route": to("one")},
    ]));
    let after = virtual_service(&json!([
        {"match": [{"uri": {"exact": "/x"}, "method": {"exact": "POST"}}], "route": to("one")},
        {"match": [{"headers": {"x-user": {"exact": "tester"}}}], "route": to("two")},
    ]));
    assert_eq!(requests(&before, &after), ["POST /x (x-user: tester)"]);
    let found = compare(side(&before), side(&after), Limits::default());
    assert_eq!(
        found.differences[0].to_string(),
        "POST /x (x-user: tester): before two.shop.svc.cluster.local:80; \
         after one.shop.svc.cluster.local:80"
    );
}

#[test]
fn what_cannot_be_decided_is_doubted_not_assumed() {
    let to = |name: &str| json!([{"destination": {"host": name}}]);
    let large = json!([{"uri": {"regex": "(a|b)*a(a|b){40}"}}]);
    let before = virtual_service(&json!([
        {"match": large, "route": to("one")}, {"route": to("two")},
    ]));
    let after = virtual_service(&json!([{"route": to("two")}]));
    let found = compare(side(&before), side(&after), Limits::default());
    let How::Sampled { why } = &found.how else {
        panic!("{found:?}");
    };
    assert_eq!(
        why.as_slice(),
        ["regex \"(a|b)*a(a|b){40}\" cannot be decided: it is too large"]
    );
    // The same expression on both sides is the same, whatever it says.
    let found = compare(side(&before), side(&before), Limits::default());
    assert_eq!((found.differing, found.how), (0, How::Complete));
}

#[test]
fn a_bound_that_is_reached_is_told() {
    let rule = |n: usize| {
        let name = if n.is_multiple_of(2) { "one" } else { "two" };
        json!({"match": [{"headers": {format!("x-{n}"): {"exact": "a"}}}],
               "route": [{"destination": {"host": name}}]})
    };
    let forward: Vec<Value> = (0..12).map(rule).collect();
    let backward: Vec<Value> = (0..12).rev().map(rule).collect();
    let (before, after) = (
        virtual_service(&json!(forward)),
        virtual_service(&json!(backward)),
    );
    let limits = Limits {
        classes: 10,
        ..Limits::default()
    };
    let found = compare(side(&before), side(&after), limits);
    assert_eq!(found.classes, 10);
    assert!(matches!(found.how, How::Sampled { .. }));
}
