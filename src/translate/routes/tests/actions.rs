//! What rules do, one field at a time.

use serde_json::{Value, json};

use super::{Topic, accepting, of_rule, of_web, options, routes, to};
use crate::kinds::Kind;
use crate::translate::Phase;

/// The first rule that a rule becomes, without its matches; what is said where it becomes none.
fn rule(source: &Value) -> Value {
    let translation = of_rule(source, &options());
    let routes = routes(&translation);
    match routes.first() {
        Some(route) => {
            let mut rule = route["rules"][0].clone();
            rule.as_object_mut().unwrap().remove("matches");
            rule
        }
        None => json!(of_web(&translation)),
    }
}

fn backend(name: &str) -> Value {
    json!({"name": name, "port": 80})
}

#[test]
fn destinations() {
    for (route, expected) in [
        (to("other"), json!([backend("other")])),
        (
            json!([{"destination": {"host": "other", "port": {"number": 81}}, "weight": 7}]),
            json!([{"name": "other", "port": 81}]),
        ),
        (
            json!([{"destination": {"host": "web"}, "weight": 0}]),
            json!([backend("web")]),
        ),
        (
            to("away.far.svc.cluster.local"),
            json!([{"name": "away", "namespace": "far", "port": 8000}]),
        ),
        (
            json!([{"destination": {"host": "api.example.com"}}]),
            json!([{"group": "networking.istio.io", "kind": "Hostname", "name": "api.example.com", "port": 443}]),
        ),
        (
            json!([{"destination": {"host": "web", "subset": "v1"}, "weight": 90},
                {"destination": {"host": "web", "subset": "v2"}, "weight": 10},
                {"destination": {"host": "other"}, "weight": 0}]),
            json!([{"name": "web-v1", "port": 80, "weight": 90}, {"name": "web-v2", "port": 80, "weight": 10},
                {"name": "other", "port": 80, "weight": 0}]),
        ),
    ] {
        assert_eq!(
            rule(&json!({"route": route})),
            json!({"backendRefs": expected}),
            "{route}"
        );
    }
}

#[test]
fn destinations_that_are_wrong() {
    for (route, expected) in [
        (
            to("nothing"),
            "AMB411 Refused spec.http[0].route[0].destination.host",
        ),
        (
            to("web.shop"),
            "AMB411 Refused spec.http[0].route[0].destination.host",
        ),
        (
            to("a.example"),
            "AMB411 Refused spec.http[0].route[0].destination.host",
        ),
        (
            json!([{"destination": {"host": "web", "port": {"number": 9}}}]),
            "AMB411 Refused spec.http[0].route[0].destination.port",
        ),
        (
            json!([{"destination": {"host": "web", "subset": "v9"}}]),
            "AMB409 Refused spec.http[0].route[0].destination.subset",
        ),
        (
            json!([{"destination": {"host": "web"}}, {"destination": {"host": "other"}}]),
            "AMB750 Refused spec.http[0].route",
        ),
        (
            json!([{"destination": {"host": "web"}, "weight": -1}]),
            "AMB750 Refused spec.http[0].route",
        ),
    ] {
        assert_eq!(rule(&json!({"route": route})), json!([expected]), "{route}");
    }
}

#[test]
fn versions_stand_for_subsets() {
    let route = json!([{"destination": {"host": "web", "subset": "v1"}, "weight": 90},
                       {"destination": {"host": "web", "subset": "v2"}, "weight": 10}]);
    let translation = of_rule(&json!({"route": route}), &options());
    let prepared = translation.of_phase(Phase::Prepare);
    let of = |kind: Kind, name: &str| {
        let mut all = prepared.iter().filter(|m| m.object().kind == kind);
        all.find(|m| &*m.object().name == name)
            .unwrap()
            .json()
            .clone()
    };
    assert_eq!(
        of(Kind::Service, "web-v2")["spec"],
        json!({"selector": {"app": "web", "version": "v2"},
               "ports": [{"name": "http", "port": 80, "targetPort": 8080}]})
    );
    assert_eq!(
        of(Kind::DestinationRule, "web-v2")["spec"],
        json!({"host": "web-v2.shop.svc.cluster.local", "trafficPolicy": {
            "connectionPool": {"tcp": {"maxConnections": 5}}, "outlierDetection": {"interval": "1s"}}})
    );
    assert!(
        of(Kind::Service, "web-v1")["metadata"]
            .get("labels")
            .is_none()
    );
    let enrolled = translation.of_phase(Phase::Enrol);
    let bound = |name: &str| {
        let mut all = enrolled.iter();
        let found = all.find(|m| m.object().kind == Kind::Service && &*m.object().name == name);
        found.unwrap().json()["metadata"]["labels"]["istio.io/use-waypoint"].clone()
    };
    assert_eq!(
        (bound("web-v1"), bound("web")),
        (json!("waypoint"), json!("waypoint"))
    );
}

#[test]
fn what_was_prepared_is_found_again() {
    let route = json!([{"destination": {"host": "web", "subset": "v1"}}]);
    let source = super::virtual_service(&json!([{"route": route}]));
    let first = super::translated(&source.to_string(), &options());
    let mut text = source.to_string();
    for manifest in first.of_phase(Phase::Prepare) {
        text = format!("{text}\n---\n{}", manifest.json());
    }
    let second = super::translated(&text, &options());
    assert_eq!(routes(&second), routes(&first));
    let made: Vec<Kind> = second
        .of_phase(Phase::Prepare)
        .iter()
        .map(|manifest| manifest.object().kind)
        .collect();
    assert!(
        !made.contains(&Kind::Service) && !made.contains(&Kind::DestinationRule),
        "{made:?}"
    );
    let carried_out: Vec<String> = first
        .by_the_end_of(Phase::Retire)
        .iter()
        .map(|manifest| manifest.json().to_string())
        .collect();
    let third = super::translated(&carried_out.join("\n---\n"), &options());
    assert!(third.changes.is_empty(), "{:#?}", third.changes);
}

#[test]
fn headers() {
    let source = json!({"route": [{"destination": {"host": "web"}, "headers": {"response": {"set": {"a": "1"}}}}],
        "headers": {"request": {"set": {"Host": "b.example", "x": "1"}, "add": {"y": "2"}, "remove": ["z"]},
                    "response": {"remove": ["server"]}}});
    assert_eq!(
        rule(&source),
        json!({
            "filters": [
                {"type": "RequestHeaderModifier", "requestHeaderModifier": {
                    "set": [{"name": "x", "value": "1"}], "add": [{"name": "y", "value": "2"}], "remove": ["z"]}},
                {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["server"]}},
                {"type": "URLRewrite", "urlRewrite": {"hostname": "b.example"}},
            ],
            "backendRefs": [{"name": "web", "port": 80, "filters": [
                {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": "a", "value": "1"}]}}]}],
        })
    );
    let with =
        |value: &str| json!({"route": to("web"), "headers": {"request": {"set": {"x": value}}}});
    assert_eq!(
        rule(&with("")),
        json!(["AMB456 Kept spec.http[0].headers.request.set.x"])
    );
    let host = json!({"route": to("web"), "rewrite": {"authority": "a.example:80"}});
    assert_eq!(
        rule(&host),
        json!(["AMB412 Kept spec.http[0].rewrite.authority"])
    );
}

#[test]
fn rewrites() {
    let full = |path: &str| json!({"type": "ReplaceFullPath", "replaceFullPath": path});
    let prefix = |path: &str| json!({"type": "ReplacePrefixMatch", "replacePrefixMatch": path});
    let kept = |at: &str| json!([format!("AMB412 Kept spec.http[0].{at}")]);
    for (uri, by, expected) in [
        (json!({"exact": "/a"}), "/b", full("/b")),
        (json!({"regex": "/a[0-9]"}), "/b", full("/b")),
        (json!({"prefix": "/"}), "/b", prefix("/b")),
        (json!({"prefix": "/"}), "/b/", kept("match[0].uri")),
        (json!({"prefix": "/a"}), "/b", kept("match[0].uri")),
        (json!({"prefix": "/a"}), "/", kept("match[0].uri")),
        // The bare prefix would find no rule before, and this one after.
        (json!({"prefix": "/a/"}), "/", kept("")),
        (json!({"regex": "/a"}), r"/\1", kept("match[0].uri")),
    ] {
        let source = json!({"match": [{"uri": uri}], "route": to("web"), "rewrite": {"uri": by}});
        let found = rule(&source);
        let path = &found["filters"][0]["urlRewrite"]["path"];
        if path.is_object() {
            assert_eq!(*path, expected, "{uri} {by}");
        } else {
            assert_eq!(
                found
                    .to_string()
                    .replace("spec.http[0]\"", "spec.http[0].\""),
                expected.to_string(),
                "{uri} {by}"
            );
        }
    }
}

#[test]
fn a_bare_prefix_goes_where_it_went() {
    let rules = json!([
        {"match": [{"uri": {"prefix": "/a/"}}], "route": to("other"), "rewrite": {"uri": "/"}},
        {"route": to("web")},
    ]);
    let translation = super::translated(&super::virtual_service(&rules).to_string(), &options());
    let rules = routes(&translation)[0]["rules"].clone();
    assert_eq!(rules.as_array().unwrap().len(), 3, "{rules:#}");
    assert_eq!(
        rules[0]["matches"][0]["path"],
        json!({"type": "Exact", "value": "/a"})
    );
    assert_eq!(rules[0]["backendRefs"][0]["name"], "web");
    assert_eq!(
        rules[1]["matches"][0]["path"],
        json!({"type": "PathPrefix", "value": "/a"})
    );
}

#[test]
fn redirects() {
    let redirect = |fields: Value| json!({"filters": [{"type": "RequestRedirect", "requestRedirect": fields}]});
    for (source, expected) in [
        (
            json!({"authority": "a.example"}),
            redirect(json!({"scheme": "http", "hostname": "a.example", "statusCode": 301})),
        ),
        (
            json!({"uri": "/b", "scheme": "https", "port": 8443, "redirectCode": 302}),
            redirect(
                json!({"scheme": "https", "path": {"type": "ReplaceFullPath", "replaceFullPath": "/b"},
                         "port": 8443, "statusCode": 302}),
            ),
        ),
        (
            json!({"authority": "a.example", "derivePort": "FROM_REQUEST_PORT"}),
            redirect(json!({"hostname": "a.example", "port": 80, "statusCode": 301})),
        ),
        (
            json!({"prefixRewrite": "/b"}),
            redirect(
                json!({"scheme": "http", "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/b"},
                         "statusCode": 301}),
            ),
        ),
        (
            json!({"authority": "a.example:8443"}),
            json!(["AMB412 Kept spec.http[0].redirect.authority"]),
        ),
        (
            json!({"authority": "a.example", "redirectCode": 200}),
            json!(["AMB750 Refused spec.http[0].redirect.redirectCode"]),
        ),
    ] {
        assert_eq!(rule(&json!({"redirect": source})), expected, "{source}");
    }
}

#[test]
fn times_and_retries() {
    let with = |retries: Value| json!({"route": to("web"), "timeout": "2s", "retries": retries});
    let made = |more: Value| {
        let mut rule = json!({"backendRefs": [backend("web")], "timeouts": {"request": "2s"}});
        for (key, value) in more.as_object().unwrap() {
            rule[key] = value.clone();
        }
        rule
    };
    let all = "connect-failure,refused-stream,unavailable,cancelled";
    let on_all = format!("{all},503");
    for (retries, expected) in [
        (json!({"attempts": 2}), made(json!({}))),
        (
            json!({"attempts": 3}),
            made(json!({"retry": {"attempts": 3}})),
        ),
        (
            json!({"attempts": 3, "retryOn": on_all, "perTryTimeout": "1s", "backoff": "50ms"}),
            made(
                json!({"retry": {"attempts": 3, "codes": [503], "backoff": "50ms"},
                     "timeouts": {"request": "2s", "backendRequest": "1s"}}),
            ),
        ),
        (
            json!({"attempts": 3, "retryOn": "gateway-error,connect-failure,refused-stream"}),
            json!(["AMB410 Kept spec.http[0].retries.retryOn"]),
        ),
        (
            json!({"attempts": 3, "perTryTimeout": "3s"}),
            json!(["AMB410 Kept spec.http[0].retries.perTryTimeout"]),
        ),
        (
            json!({}),
            json!(["AMB410 Kept spec.http[0].retries.attempts"]),
        ),
        (
            json!({"attempts": 1, "retryOn": "never"}),
            json!(["AMB750 Refused spec.http[0].retries.retryOn"]),
        ),
    ] {
        assert_eq!(rule(&with(retries.clone())), expected, "{retries}");
    }
    let lossy = json!({"attempts": 3, "retryOn": "5xx"});
    let translation = of_rule(&with(lossy), &accepting(&[Topic::Retries]));
    assert_eq!(
        of_web(&translation),
        ["AMB410 Lossy spec.http[0].retries.retryOn"]
    );
    assert_eq!(
        routes(&translation)[0]["rules"][0]["retry"]["codes"],
        json!([500, 501, 502, 503, 504])
    );
}

#[test]
fn mirrors() {
    let mirror = |backend: Value, more: Value| {
        let mut filter = json!({"backendRef": backend});
        for (key, value) in more.as_object().unwrap() {
            filter[key] = value.clone();
        }
        json!({"filters": [{"type": "RequestMirror", "requestMirror": filter}], "backendRefs": [backend_of_web()]})
    };
    let to_other = || backend("other");
    for (source, expected) in [
        (
            json!({"mirror": {"host": "other"}}),
            mirror(to_other(), json!({})),
        ),
        (
            json!({"mirror": {"host": "other"}, "mirrorPercentage": {"value": 25}}),
            mirror(to_other(), json!({"percent": 25})),
        ),
        (
            json!({"mirrors": [{"destination": {"host": "web", "subset": "v2"}, "percentage": {"value": 0.5}}]}),
            mirror(
                json!({"name": "web-v2", "port": 80}),
                json!({"fraction": {"numerator": 1, "denominator": 200}}),
            ),
        ),
        (
            json!({"mirror": {"host": "other"}, "mirrorPercent": 0}),
            json!({"backendRefs": [backend_of_web()]}),
        ),
        (
            json!({"mirror": {"host": "nothing"}}),
            json!(["AMB457 Kept spec.http[0].mirror.host"]),
        ),
    ] {
        let mut rule_source = source.clone();
        rule_source["route"] = to("web");
        assert_eq!(rule(&rule_source), expected, "{source}");
    }
}

fn backend_of_web() -> Value {
    backend("web")
}

#[test]
fn cors() {
    let with = |policy: Value| json!({"route": to("web"), "corsPolicy": policy});
    let exact = json!({"allowOrigins": [{"exact": "https://a.example"}, {"exact": "https://a.example"}],
        "allowMethods": ["GET"], "maxAge": "1h", "allowCredentials": true, "unmatchedPreflights": "IGNORE"});
    assert_eq!(
        rule(&with(exact))["filters"][0]["cors"],
        json!({
        "allowOrigins": ["https://a.example"], "allowCredentials": true, "allowMethods": ["GET"], "maxAge": 3600})
    );
    let plain = json!({"allowOrigins": [{"exact": "https://a.example"}], "maxAge": "1h"});
    let translation = of_rule(&with(plain.clone()), &options());
    assert_eq!(
        of_web(&translation),
        ["AMB450 Kept spec.http[0].corsPolicy.unmatchedPreflights"]
    );
    let translation = of_rule(&with(plain), &accepting(&[Topic::Cors]));
    assert_eq!(
        of_web(&translation),
        ["AMB450 Lossy spec.http[0].corsPolicy.unmatchedPreflights"]
    );
    let prefix = json!({"allowOrigins": [{"prefix": "https://a"}], "maxAge": "1h", "unmatchedPreflights": "IGNORE"});
    assert_eq!(
        rule(&with(prefix)),
        json!(["AMB450 Kept spec.http[0].corsPolicy.allowOrigins[0]"])
    );
}

#[test]
fn what_a_route_cannot_do() {
    let delay = json!({"delay": {"fixedDelay": "1s", "percentage": {"value": 10}}});
    for (source, expected) in [
        (
            json!({"route": to("web"), "fault": delay}),
            json!(["AMB406 Kept spec.http[0].fault"]),
        ),
        (
            json!({"route": to("web"), "rewrite": {"uriRegexRewrite": {"match": "/a", "rewrite": "/b"}}}),
            json!(["AMB412 Kept spec.http[0].rewrite.uriRegexRewrite"]),
        ),
        (
            json!({"directResponse": {"status": 403}}),
            json!(["AMB407 Kept spec.http[0].directResponse"]),
        ),
        (json!({"directResponse": {"status": 500}}), json!({})),
        (
            json!({"route": to("web"), "fault": {"delay": {"fixedDelay": "1s"}}}),
            json!({"backendRefs": [backend("web")]}),
        ),
    ] {
        assert_eq!(rule(&source), expected, "{source}");
    }
}
