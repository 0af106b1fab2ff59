//! Matches, one field at a time.

use serde_json::{Value, json};

use super::{Topic, accepting, of_rule, of_web, options, routes, to};
use crate::translate::options::{GatewayApi, Options, PathForm, RouteForm};

/// The matches of the first rule that a match becomes.
fn matches(one: &Value) -> Value {
    let translation = of_rule(&json!({"match": [one], "route": to("other")}), &options());
    let routes = routes(&translation);
    match routes.first() {
        Some(route) => route["rules"][0]["matches"].clone(),
        None => json!(of_web(&translation)),
    }
}

fn path(kind: &str, value: &str) -> Value {
    json!({"type": kind, "value": value})
}

#[test]
fn paths() {
    let exact = |value: &str| json!([{"path": path("Exact", value)}]);
    let prefix = |value: &str| json!([{"path": path("PathPrefix", value)}]);
    let regex = |value: &str| json!([{"path": path("RegularExpression", value)}]);
    for (uri, expected) in [
        (json!({"exact": "/a"}), exact("/a")),
        (json!({"exact": "/a//b"}), regex("/a//b")),
        (json!({"exact": "/a%2fb"}), regex("/a%2fb")),
        (json!({"exact": "/{a}.x"}), regex(r"/\{a\}\.x")),
        (json!({"prefix": "/"}), prefix("/")),
        (json!({"prefix": ""}), prefix("/")),
        (json!({}), prefix("/")),
        (json!({"prefix": "/a"}), regex("/a.*")),
        (json!({"prefix": "/a/"}), regex("/a/.*")),
        (json!({"regex": "/a[0-9]+"}), regex("/a[0-9]+")),
        (json!({"regex": "/a(/.*)?"}), prefix("/a")),
        (json!({"regex": "^/a$"}), exact("/a")),
        (json!({"regex": ".*"}), prefix("/")),
        (json!({"regex": "/.*"}), prefix("/")),
    ] {
        assert_eq!(matches(&json!({"uri": uri})), expected, "{uri}");
    }
    let folded = json!({"uri": {"prefix": "/A.b"}, "ignoreUriCase": true});
    assert_eq!(matches(&folded), regex(r"(?i)/A\.b.*"));
    let needless = json!({"uri": {"exact": "/1"}, "ignoreUriCase": true});
    assert_eq!(matches(&needless), exact("/1"));
}

#[test]
fn headers_parameters_and_methods() {
    let any = json!({"type": "PathPrefix", "value": "/"});
    let header = |value: Value| json!([{"path": any, "headers": [value]}]);
    let regex = |value: &str| json!({"type": "RegularExpression", "name": "x", "value": value});
    for (one, expected) in [
        (
            json!({"exact": "a b"}),
            header(json!({"name": "x", "value": "a b"})),
        ),
        (json!({"exact": ""}), header(regex("^$"))),
        (json!({"prefix": "a.b"}), header(regex(r"a\.b.*"))),
        (json!({"regex": "[0-9]+"}), header(regex("[0-9]+"))),
        (json!({}), header(regex(".*"))),
        (
            json!({"exact": "a  b"}),
            json!(["AMB456 Kept spec.http[0].match[0].headers.x"]),
        ),
    ] {
        assert_eq!(matches(&json!({"headers": {"x": one}})), expected, "{one}");
        let params = json!([{"path": any, "queryParams": expected[0]["headers"]}]);
        if expected[0].is_object() {
            assert_eq!(
                matches(&json!({"queryParams": {"x": one}})),
                params,
                "{one}"
            );
        }
    }
    for (method, expected) in [
        (json!({"exact": "GET"}), json!(["GET"])),
        (json!({"regex": "GET|PUT"}), json!(["GET", "PUT"])),
        (
            json!({"prefix": "P"}),
            json!(["AMB407 Kept spec.http[0].match[0].method"]),
        ),
        (
            json!({"exact": "PURGE"}),
            json!(["AMB407 Kept spec.http[0].match[0].method"]),
        ),
        (json!({"regex": ".*"}), json!([null])),
    ] {
        let found = matches(&json!({"method": method}));
        let found = found.as_array().unwrap().iter();
        let found = found.map(|one| match one {
            Value::Object(one) => one.get("method").cloned().unwrap_or_default(),
            other => other.clone(),
        });
        assert_eq!(found.collect::<Value>(), expected, "{method}");
    }
}

#[test]
fn fields_without_a_counterpart() {
    for (one, expected) in [
        (
            json!({"withoutHeaders": {"x": {"exact": "a"}}}),
            "AMB407 Kept spec.http[0].match[0].withoutHeaders.x",
        ),
        (
            json!({"headers": {"@request.auth.claims.sub": {"exact": "a"}}}),
            "AMB407 Kept spec.http[0].match[0].headers[\"@request.auth.claims.sub\"]",
        ),
        (
            json!({"scheme": {"exact": "https"}}),
            "AMB407 Kept spec.http[0].match[0].scheme",
        ),
        (
            json!({"authority": {"exact": "web"}}),
            "AMB407 Kept spec.http[0].match[0].authority",
        ),
        (
            json!({"sourceLabels": {"app": "a"}}),
            "AMB408 Refused spec.http[0].match[0].sourceLabels",
        ),
        (
            json!({"sourceNamespace": "shop"}),
            "AMB408 Refused spec.http[0].match[0].sourceNamespace",
        ),
        (
            json!({"uri": {"exact": "/a"}, "port": 81}),
            "AMB401 Kept spec.hosts",
        ),
    ] {
        let rule = json!({"match": [one], "route": to("other")});
        let translation = of_rule(&rule, &options());
        let found = of_web(&translation);
        assert!(
            found.iter().any(|says| says == expected),
            "{one}: {found:?}"
        );
        assert!(routes(&translation).is_empty(), "{one}");
        let strict = Options {
            routes: RouteForm::HttpRoute,
            ..options()
        };
        let found = of_web(&of_rule(&rule, &strict));
        assert!(
            found
                .iter()
                .all(|says| !says.contains("Kept") || says.contains("AMB401")),
            "{one}: {found:?}"
        );
    }
    // What says nothing of requests is told of, and a match on every name of the Service is needless.
    for (one, expected) in [
        (
            json!({"statPrefix": "a"}),
            "AMB407 Stated spec.http[0].match[0].statPrefix",
        ),
        (
            json!({"name": "a"}),
            "AMB407 Form spec.http[0].match[0].name",
        ),
        (json!({"headers": {":method": {"exact": "GET"}}}), ""),
        (
            json!({"sourceLabels": {"app": "a"}, "gateways": ["mesh"]}),
            "",
        ),
    ] {
        let rule = json!({"match": [one], "route": to("other")});
        let translation = of_rule(&rule, &options());
        assert_eq!(
            routes(&translation).len(),
            1,
            "{one}: {:?}",
            of_web(&translation)
        );
        assert_eq!(of_web(&translation).join(" "), expected, "{one}");
    }
}

#[test]
fn what_differs_is_made_where_it_is_accepted() {
    let rule = json!({"match": [{"sourceLabels": {"app": "a"}}, {"uri": {"exact": "/a"}}], "route": to("other")});
    let translation = of_rule(&rule, &accepting(&[Topic::CallerMatch]));
    assert_eq!(
        of_web(&translation),
        ["AMB408 Lossy spec.http[0].match[0].sourceLabels"]
    );
    assert_eq!(routes(&translation).len(), 1);
    let element = Options {
        paths: PathForm::Element,
        ..options()
    };
    for (prefix, expected) in [("/a", "/a"), ("/a/", "/a")] {
        let rule = json!({"match": [{"uri": {"prefix": prefix}}], "route": to("other")});
        let translation = of_rule(&rule, &element);
        assert_eq!(
            of_web(&translation),
            ["AMB405 Lossy spec.http[0].match[0].uri"]
        );
        let one = &routes(&translation)[0]["rules"][0]["matches"][0];
        assert_eq!(one["path"], path("PathPrefix", expected));
    }
}

#[test]
fn an_older_gateway_api_has_less() {
    let with = |api: &str| Options {
        gateway_api: GatewayApi::parse(api),
        ..options()
    };
    let retries = json!({"route": to("web"), "retries": {"attempts": 3}});
    let cors = json!({"route": to("web"), "corsPolicy": {
        "allowOrigins": [{"exact": "https://a.example"}], "maxAge": "1h", "unmatchedPreflights": "IGNORE"}});
    let timeout = json!({"route": to("web"), "timeout": "1s"});
    let other = json!({"redirect": {"authority": "a.example", "redirectCode": 308}});
    for (rule, api, made) in [
        (&retries, "1.6-standard", false),
        (&retries, "1.4-experimental", true),
        (&cors, "1.4-standard", false),
        (&cors, "1.4-experimental", true),
        (&cors, "1.5-standard", true),
        (&timeout, "1.1-standard", false),
        (&timeout, "1.2-standard", true),
        (&other, "1.4-experimental", false),
        (&other, "1.5-standard", true),
    ] {
        let translation = of_rule(rule, &with(api));
        assert_eq!(
            !routes(&translation).is_empty(),
            made,
            "{rule} {api}: {:?}",
            of_web(&translation)
        );
        if !made {
            assert!(
                of_web(&translation)[0].starts_with("AMB455 Kept"),
                "{rule} {api}"
            );
        }
    }
}
