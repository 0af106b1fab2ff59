//! Reading and writing of complete kinds.

use serde_json::json;

use super::*;

/// A VirtualService with every field of the API, as the schema of 1.31 has them.
fn everything() -> Value {
    let headers = json!({
        "request": {"set": {"a": "1"}, "add": {"b": "2"}, "remove": ["c"]},
        "response": {"set": {"d": "3"}, "add": {"e": "4"}, "remove": ["f"]},
    });
    let destination = json!({"host": "reviews", "subset": "v1", "port": {"number": 9080}});
    json!({
        "hosts": ["reviews"], "gateways": ["mesh"], "exportTo": ["."],
        "http": [{
            "name": "first",
            "match": [{
                "name": "m", "uri": {"prefix": "/api"}, "scheme": {"exact": "http"},
                "method": {"regex": "GET|POST"}, "authority": {"exact": "reviews"},
                "headers": {"x-user": {"exact": "jason"}, "x-any": {}},
                "withoutHeaders": {"x-not": {"prefix": "p"}},
                "queryParams": {"q": {"exact": "1"}}, "port": 9080,
                "sourceLabels": {"app": "web"}, "sourceNamespace": "shop", "gateways": ["mesh"],
                "ignoreUriCase": true, "statPrefix": "s",
            }],
            "route": [{"destination": destination, "weight": 100, "headers": headers}],
            "redirect": {"uri": "/x", "authority": "y", "port": 80, "scheme": "https",
                         "redirectCode": 302},
            "directResponse": {"status": 503, "body": {"string": "no"}},
            "delegate": {"name": "d", "namespace": "n"},
            "rewrite": {"uri": "/", "authority": "z",
                        "uriRegexRewrite": {"match": "^/a", "rewrite": "/b"}},
            "timeout": "1s500ms",
            "retries": {"attempts": 3, "perTryTimeout": "2s", "retryOn": "5xx",
                        "retryRemoteLocalities": true, "retryIgnorePreviousHosts": false,
                        "backoff": "100ms"},
            "fault": {"delay": {"fixedDelay": "5s", "percentage": {"value": 0.5}},
                      "abort": {"httpStatus": 500, "percentage": {"value": 10.0}}},
            "mirror": destination, "mirrors": [{"destination": destination,
                                                "percentage": {"value": 50.0}}],
            "mirrorPercent": 1, "mirror_percent": 2, "mirrorPercentage": {"value": 3.5},
            "corsPolicy": {"allowOrigin": ["o"], "allowOrigins": [{"exact": "p"}],
                           "allowMethods": ["GET"], "allowHeaders": ["h"], "exposeHeaders": ["i"],
                           "maxAge": "24h", "allowCredentials": false,
                           "unmatchedPreflights": "IGNORE"},
            "headers": headers,
        }],
        "tls": [{
            "match": [{"sniHosts": ["a"], "destinationSubnets": ["10.0.0.0/8"], "port": 443,
                       "sourceLabels": {"a": "b"}, "gateways": ["mesh"], "sourceNamespace": "n"}],
            "route": [{"destination": destination, "weight": 1}],
        }],
        "tcp": [{
            "match": [{"destinationSubnets": ["10.0.0.0/8"], "port": 443,
                       "sourceSubnet": "10.0.0.0/8", "sourceLabels": {"a": "b"},
                       "gateways": ["mesh"], "sourceNamespace": "n"}],
            "route": [{"destination": destination, "weight": 1}],
        }],
    })
}

fn object(spec: &Value) -> Value {
    json!({"apiVersion": "v", "kind": "K", "metadata": {"name": "x", "namespace": "shop"},
           "spec": spec, "status": {}})
}

fn round_trip<S: Specification + serde::Serialize + PartialEq + std::fmt::Debug>(spec: &Value) {
    let read = Whole::<S>::from_json(&object(spec)).unwrap();
    assert_eq!(read.unknown, []);
    let written = serde_json::to_value(&read.spec).unwrap();
    assert_eq!(&written, spec);
    let again = Whole::<S>::from_json(&object(&written)).unwrap();
    assert_eq!(again.spec, read.spec);
}

#[test]
fn every_field_of_a_virtual_service_is_kept() {
    round_trip::<VirtualServiceSpec>(&everything());
}

#[test]
fn every_field_of_routes_is_kept() {
    let header = json!({"set": [{"name": "a", "value": "1"}], "add": [{"name": "b", "value": "2"}],
                        "remove": ["c"]});
    let backend = json!({"group": "", "kind": "Service", "name": "reviews", "namespace": "shop",
                         "port": 9080});
    let parents = json!([{"group": "", "kind": "Service", "namespace": "shop", "name": "reviews",
                          "sectionName": "s", "port": 9080}]);
    round_trip::<HttpRouteSpec>(&json!({
        "parentRefs": parents, "useDefaultGateways": "None", "hostnames": ["a.example"],
        "rules": [{
            "name": "r",
            "matches": [{
                "path": {"type": "RegularExpression", "value": "/a.*"},
                "headers": [{"type": "Exact", "name": "h", "value": "v"}],
                "queryParams": [{"type": "RegularExpression", "name": "q", "value": "v"}],
                "method": "GET",
            }],
            "filters": [
                {"type": "RequestHeaderModifier", "requestHeaderModifier": header},
                {"type": "ResponseHeaderModifier", "responseHeaderModifier": header},
                {"type": "RequestMirror", "requestMirror": {
                    "backendRef": backend, "percent": 5,
                    "fraction": {"numerator": 5, "denominator": 1000}}},
                {"type": "RequestRedirect", "requestRedirect": {
                    "scheme": "https", "hostname": "h", "port": 8443, "statusCode": 301,
                    "path": {"type": "ReplaceFullPath", "replaceFullPath": "/x"}}},
                {"type": "URLRewrite", "urlRewrite": {"hostname": "h",
                    "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}},
                {"type": "CORS", "cors": {"allowOrigins": ["*"], "allowCredentials": false,
                    "allowMethods": ["GET"], "allowHeaders": ["a"], "exposeHeaders": ["b"],
                    "maxAge": 5}},
                {"type": "ExternalAuth", "externalAuth": {"protocol": "HTTP", "backendRef": backend,
                    "grpc": {"allowedHeaders": ["a"]},
                    "http": {"path": "/p", "allowedHeaders": ["a"], "allowedResponseHeaders": ["b"]},
                    "forwardBody": {"maxSize": 7}}},
                {"type": "ExtensionRef",
                 "extensionRef": {"group": "g", "kind": "K", "name": "n"}},
            ],
            "backendRefs": [{"group": "", "kind": "Service", "name": "reviews", "namespace": "shop",
                             "port": 9080, "weight": 0,
                             "filters": [{"type": "RequestHeaderModifier",
                                          "requestHeaderModifier": header}]}],
            "timeouts": {"request": "10s", "backendRequest": "1s500ms"},
            "retry": {"codes": [502], "attempts": 2, "backoff": "1s"},
            "sessionPersistence": {"sessionName": "s", "absoluteTimeout": "1h", "type": "Cookie",
                                   "cookieConfig": {"lifetimeType": "Session"}},
        }],
    }));
    let rules = json!([{"name": "r", "backendRefs": [
        {"group": "", "kind": "Service", "name": "a", "namespace": "n", "port": 1, "weight": 1}]}]);
    round_trip::<TcpRouteSpec>(&json!({"parentRefs": parents, "rules": rules}));
    round_trip::<TlsRouteSpec>(&json!({"parentRefs": parents, "hostnames": ["a"], "rules": rules}));
    round_trip::<DestinationRuleSpec>(&json!({
        "host": "reviews", "trafficPolicy": {"tls": {"mode": "SIMPLE"}},
        "subsets": [{"name": "v1", "labels": {"version": "v1"}, "trafficPolicy": {"x": 1}}],
        "exportTo": ["*"], "workloadSelector": {"matchLabels": {"a": "b"}},
    }));
}

#[test]
fn what_the_schema_does_not_have_is_kept_by_its_path() {
    let read = VirtualService::from_json(&json!({
        "apiVersion": "v", "kind": "VirtualService", "metadata": {"name": "x"}, "extra": 1,
        "spec": {
            "hosts": ["a"], "export_to": ["*"],
            "http": [{"match": [{"uri": {"prefix": "/", "suffix": "x"}}], "websocketUpgrade": true}],
        },
    }))
    .unwrap();
    let unknown: Vec<String> = read.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(
        unknown,
        [
            "spec.http[0].match[0].uri.suffix",
            "spec.http[0].websocketUpgrade",
            "spec.export_to",
            "extra",
        ]
    );
}

#[test]
fn what_the_schema_refuses_is_an_error_at_its_place() {
    for (spec, path, message) in [
        (
            json!({"hosts": "a"}),
            "spec.hosts",
            "expected a list, found a string",
        ),
        (
            json!({"http": [{"route": [{"destination": {"host": "a"}, "weight": "1"}]}]}),
            "spec.http[0].route[0].weight",
            "expected a whole number, found a string",
        ),
        (
            json!({"http": [{"route": [{"weight": 1}]}]}),
            "spec.http[0].route[0].destination",
            "is required",
        ),
        (
            json!({"http": [{"match": [{"uri": {"exact": "/a", "prefix": "/b"}}]}]}),
            "spec.http[0].match[0].uri",
            "only one of exact, prefix and regex can be set",
        ),
        (
            json!({"http": [{"timeout": "5"}]}),
            "spec.http[0].timeout",
            "\"5\" is not a duration such as 1.5s or 200ms",
        ),
        (
            json!({"http": [{"match": [{"headers": {"x.y": {"exact": 1}}}]}]}),
            "spec.http[0].match[0].headers[\"x.y\"].exact",
            "expected a string, found a number",
        ),
        (
            json!({"http": [{"match": [{"port": -1}]}]}),
            "spec.http[0].match[0].port",
            "-1 is out of range",
        ),
    ] {
        let error = VirtualService::from_json(&object(&spec)).unwrap_err();
        assert_eq!(
            (error.path.to_string().as_str(), error.message.as_str()),
            (path, message)
        );
    }
    for (spec, path) in [
        (
            json!({"rules": [{"filters": [{"type": "Other"}]}]}),
            "spec.rules[0].filters[0].type",
        ),
        (
            json!({"rules": [{"filters": [{"type": "CORS"}]}]}),
            "spec.rules[0].filters[0].cors",
        ),
        (
            json!({"rules": [{"timeouts": {"request": "1.5s"}}]}),
            "spec.rules[0].timeouts.request",
        ),
        (
            json!({"rules": [{"matches": [{"path": {"type": "Prefix"}}]}]}),
            "spec.rules[0].matches[0].path.type",
        ),
    ] {
        let error = HttpRoute::from_json(&object(&spec)).unwrap_err();
        assert_eq!(error.path.to_string(), path);
    }
}

#[test]
fn nothing_is_written_for_what_is_absent() {
    let read = VirtualService::from_json(&object(&json!({
        "hosts": [], "http": [{"timeout": null, "match": [{"headers": {}}], "route": []}],
    })))
    .unwrap();
    let written = serde_json::to_string(&read.spec).unwrap();
    assert_eq!(written, r#"{"http":[{"match":[{}]}]}"#);
}
