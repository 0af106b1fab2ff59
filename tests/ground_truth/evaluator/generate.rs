//! Meshes of a few VirtualServices and HTTPRoutes for service `a`, the same ones in every run.

use kubectl_ambient::semantics::routing::Request;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

/// So many meshes, each a list of objects and some requests.
pub(crate) fn meshes(number: usize) -> Vec<(Vec<Value>, Vec<Request>)> {
    let mut runner = TestRunner::deterministic();
    let one = (mesh(), prop::collection::vec(request(), 40));
    (0..number)
        .map(|_| {
            one.new_tree(&mut runner)
                .expect("nothing is rejected")
                .current()
        })
        .collect()
}

fn request() -> impl Strategy<Value = Request> {
    let value = || prop::option::of("[xy]{0,2}1?");
    let path = prop_oneof![
        6 => "/(api|ap|a|API|x|)(/|x)?(v1|v|v2|12)?/?",
        1 => Just("/api/12".to_owned()),
        1 => Just("//api".to_owned()),
        1 => Just("/api%2Fv1".to_owned()),
        1 => Just("/api;a=b".to_owned()),
    ];
    let method =
        prop_oneof![3 => Just("GET"), 1 => Just("POST"), 1 => Just("PUT"), 1 => Just("PURGE")];
    let authority = prop_oneof![Just("a.shop"), Just("a.shop.svc.cluster.local")];
    (path, method, authority, value(), value(), value()).prop_map(
        |(path, method, authority, one, two, q)| {
            let pair =
                |name: &str, value: Option<String>| value.map(|v| (name.to_owned(), v)).into_iter();
            Request {
                path: Some(path),
                method: Some(method.to_owned()),
                authority: Some(authority.to_owned()),
                headers: pair("x-one", one).chain(pair("x-two", two)).collect(),
                query: pair("q", q).collect(),
                ..Request::default()
            }
        },
    )
}

fn mesh() -> impl Strategy<Value = Vec<Value>> {
    let virtual_service = (
        prop_oneof![4 => Just("shop"), 1 => Just("web")],
        prop::option::weighted(0.2, prop_oneof![Just("."), Just("web"), Just("*")]),
        prop_oneof![
            6 => Just("a.shop.svc.cluster.local"),
            1 => Just("*.shop.svc.cluster.local"),
            1 => Just("*.cluster.local"),
        ],
        prop::collection::vec(
            prop_oneof![6 => rule().boxed(), 1 => delegating().boxed()],
            1..6,
        ),
    )
        .prop_map(|(namespace, export, host, http)| {
            let mut spec = json!({"hosts": [host], "http": http});
            if let Some(export) = export {
                spec["exportTo"] = json!([export]);
            }
            ("VirtualService", namespace, spec)
        });
    let route = (
        prop_oneof![4 => Just("shop"), 1 => Just("web")],
        prop::option::weighted(0.3, Just(80)),
        prop::collection::vec(route_rule(), 1..6),
    )
        .prop_map(|(namespace, port, rules)| {
            let mut parent =
                json!({"group": "", "kind": "Service", "name": "a", "namespace": "shop"});
            if let Some(port) = port {
                parent["port"] = json!(port);
            }
            (
                "HTTPRoute",
                namespace,
                json!({"parentRefs": [parent], "rules": rules}),
            )
        });
    let delegate = (
        prop::collection::vec(rule(), 1..3),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(http, hidden)| {
            let mut spec = json!({"http": http});
            if hidden {
                spec["exportTo"] = json!(["."]);
            }
            ("Delegate", "web", spec)
        });
    let object = prop_oneof![6 => virtual_service, 4 => route, 2 => delegate];
    prop::collection::vec(object, 1..4)
        .prop_shuffle()
        .prop_map(|objects| {
            let number = |(number, (kind, namespace, spec)): (usize, (&str, &str, Value))| {
                let version = match kind {
                    "HTTPRoute" => "gateway.networking.k8s.io/v1",
                    _ => "networking.istio.io/v1",
                };
                let (kind, name) = match kind {
                    "Delegate" => ("VirtualService", DELEGATE.to_owned()),
                    kind => (kind, format!("o{number}")),
                };
                json!({
                    "apiVersion": version, "kind": kind, "spec": spec,
                    "metadata": {
                        "name": name, "namespace": namespace,
                        "creationTimestamp": format!("2026-01-01T00:00:{number:02}Z"),
                    },
                })
            };
            let mut objects: Vec<Value> = objects.into_iter().enumerate().map(number).collect();
            let mut delegates = 0;
            objects.retain(|object| {
                let is_delegate = object["metadata"]["name"] == DELEGATE;
                delegates += usize::from(is_delegate);
                !is_delegate || delegates == 1
            });
            objects
        })
}

/// The name of the one delegate that a mesh may have.
const DELEGATE: &str = "delegate";

/// A rule whose routes stand in the delegate.
fn delegating() -> impl Strategy<Value = Value> {
    let uri = path().prop_map(|p| json!({"uri": {"prefix": p}}));
    (
        maybe(0.4, uri),
        maybe(0.3, Just(json!("3s"))),
        maybe(0.3, operations()),
    )
        .prop_map(|(one, timeout, headers)| {
            object([
                ("match", one.map(|one| json!([one]))),
                (
                    "delegate",
                    Some(json!({"name": DELEGATE, "namespace": "web"})),
                ),
                ("timeout", timeout),
                ("headers", headers),
            ])
        })
}

fn path() -> impl Strategy<Value = String> {
    "/(api|ap|a)?(/(v1|v)?)?".prop_map(String::from)
}

fn maybe<T: std::fmt::Debug>(
    share: f64,
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    prop::option::weighted(share, of)
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[xy]{1,2}".prop_map(|v| json!({"exact": v})),
        "[xy]".prop_map(|v| json!({"prefix": v})),
        "[xy]".prop_map(|v| json!({"regex": format!("{v}+[0-9]*")})),
        Just(json!({})),
    ]
}

fn http_match() -> impl Strategy<Value = Value> {
    let uri = prop_oneof![
        2 => path().prop_map(|p| json!({"exact": p})),
        4 => path().prop_map(|p| json!({"prefix": p})),
        1 => path().prop_map(|p| json!({"regex": format!("{p}(/[^/]+)?")})),
        1 => path().prop_map(|p| json!({"regex": format!("{p}.*")})),
        1 => Just(json!({"regex": "/(?:api|x)/[0-9]{2,}[[:alpha:]]?"})),
    ];
    let method = prop_oneof![
        3 => Just(json!({"exact": "GET"})),
        1 => Just(json!({"regex": "PUT|POST"})),
        1 => Just(json!({"prefix": "P"})),
    ];
    let authority = prop_oneof![
        Just(json!({"exact": "a.shop"})),
        Just(json!({"prefix": "a.shop.svc"})),
    ];
    let source = prop_oneof![
        Just(("sourceLabels", json!({"app": "client"}))),
        Just(("sourceLabels", json!({"app": "x"}))),
        Just(("sourceNamespace", json!("shop"))),
        Just(("sourceNamespace", json!("web"))),
        Just(("port", json!(80))),
        Just(("port", json!(81))),
        Just(("gateways", json!(["mesh"]))),
    ];
    (
        maybe(0.8, uri),
        maybe(0.2, method),
        maybe(0.1, authority),
        maybe(0.3, value()),
        maybe(0.2, value()),
        maybe(0.2, value()),
        maybe(0.15, source),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(uri, method, authority, header, without, query, source, fold)| {
                let fold = (fold && uri.is_some()).then_some(json!(true));
                object([
                    ("uri", uri),
                    ("ignoreUriCase", fold),
                    ("method", method),
                    ("authority", authority),
                    ("headers", header.map(|h| json!({"x-one": h}))),
                    ("withoutHeaders", without.map(|h| json!({"x-two": h}))),
                    ("queryParams", query.map(|q| json!({"q": q}))),
                    source.map_or(("name", None), |(key, value)| (key, Some(value))),
                ])
            },
        )
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let pair = |(key, value): (&str, Option<Value>)| Some((key.to_owned(), value?));
    Value::Object(
        fields
            .into_iter()
            .filter_map(pair)
            .collect::<Map<String, Value>>(),
    )
}

fn operations() -> impl Strategy<Value = Value> {
    let side = || {
        prop_oneof![
            Just(json!({"set": {"x-one": "set"}})),
            Just(json!({"add": {"x-one": "added", "x-new": "1"}})),
            Just(json!({"set": {"X-New": "2"}, "remove": ["x-one"]})),
        ]
    };
    (maybe(0.7, side()), maybe(0.5, side()))
        .prop_map(|(request, response)| object([("request", request), ("response", response)]))
}

fn destinations() -> impl Strategy<Value = Value> {
    let one = (
        prop_oneof![Just("b"), Just("c"), Just("d")],
        maybe(0.2, operations()),
    )
        .prop_map(|(name, headers)| {
            let host = format!("{name}.shop.svc.cluster.local");
            object([
                ("destination", Some(json!({"host": host}))),
                ("headers", headers),
            ])
        })
        .boxed();
    let weighted = prop::collection::vec((one.clone(), 0..4_u32), 2..4).prop_map(|list| {
        let mut list: Vec<Value> = list
            .into_iter()
            .map(|(mut way, weight)| {
                way["weight"] = json!(weight);
                way
            })
            .collect();
        list[0]["weight"] = json!(1);
        json!(list)
    });
    prop_oneof![3 => one.prop_map(|way| json!([way])), 1 => weighted]
}

fn rule() -> impl Strategy<Value = Value> {
    let rewrite = prop_oneof![
        4 => path().prop_map(|p| json!({"uri": p})),
        1 => Just(json!({"authority": "host.example"})),
        1 => Just(json!({"uriRegexRewrite": {"match": "/v([0-9])", "rewrite": "/\\1/v"}})),
        1 => Just(json!({"uriRegexRewrite": {"match": "^/([^/]*)/(.*)$", "rewrite": "/\\2/\\1"}})),
    ];
    let retries = prop_oneof![
        Just(json!({"attempts": 0})),
        Just(json!({"attempts": 3, "perTryTimeout": "2s"})),
        Just(json!({"attempts": 1, "retryOn": "5xx,503"})),
    ];
    let redirect = prop_oneof![
        path().prop_map(|p| json!({"uri": p})),
        path().prop_map(|p| json!({"prefixRewrite": p, "redirectCode": 302})),
        Just(json!({"authority": "host.example", "port": 8080})),
        Just(json!({"scheme": "https", "derivePort": "FROM_REQUEST_PORT"})),
    ];
    let forward = (
        destinations(),
        maybe(0.4, rewrite),
        maybe(0.2, retries),
        maybe(0.2, Just(json!("1.5s"))),
        maybe(
            0.1,
            Just(json!([{"destination": {"host": "d.shop.svc.cluster.local"}}])),
        ),
    )
        .prop_map(|(route, rewrite, retries, timeout, mirrors)| {
            object([
                ("route", Some(route)),
                ("rewrite", rewrite),
                ("retries", retries),
                ("timeout", timeout),
                ("mirrors", mirrors),
            ])
        });
    let fault = prop_oneof![
        Just(json!({"abort": {"httpStatus": 418, "percentage": {"value": 100}}})),
        Just(json!({"abort": {"httpStatus": 418}})),
        Just(json!({"delay": {"fixedDelay": "2s", "percentage": {"value": 0.5}}})),
    ];
    let cors = prop_oneof![
        Just(json!({"allowOrigins": [{"exact": "https://x.example"}], "maxAge": "24h"})),
        Just(
            json!({"allowOrigins": [{"prefix": "https://"}], "unmatchedPreflights": "IGNORE",
                    "allowMethods": ["GET", "PUT"], "allowCredentials": true})
        ),
    ];
    let forward =
        (forward, maybe(0.1, fault), maybe(0.1, cors)).prop_map(|(mut rule, fault, cors)| {
            for (key, value) in [("fault", fault), ("corsPolicy", cors)] {
                if let Some(value) = value {
                    rule[key] = value;
                }
            }
            rule
        });
    let action = prop_oneof![
        6 => forward.boxed(),
        1 => redirect.prop_map(|to| json!({"redirect": to})).boxed(),
        1 => (200..599_u32).prop_map(|status| json!({"directResponse": {"status": status}})).boxed(),
    ];
    (
        prop::collection::vec(http_match(), 0..3),
        action,
        maybe(0.2, operations()),
    )
        .prop_map(|(matches, mut rule, headers)| {
            if !matches.is_empty() {
                rule["match"] = json!(matches);
            }
            if let Some(headers) = headers {
                rule["headers"] = headers;
            }
            rule
        })
}

fn route_match() -> impl Strategy<Value = Value> {
    let path = prop_oneof![
        2 => path().prop_map(|p| json!({"type": "Exact", "value": p})),
        4 => path().prop_map(|p| json!({"type": "PathPrefix", "value": p})),
        1 => path().prop_map(|p| json!({"type": "RegularExpression", "value": format!("{p}(/.*)?")})),
        1 => path().prop_map(|p| json!({"type": "RegularExpression", "value": format!("{p}[^/]*")})),
    ];
    let value = |name: &'static str| {
        prop_oneof![
            "[xy]{1,2}".prop_map(move |v| json!([{"name": name, "value": v}])),
            "[xy]".prop_map(move |v| json!([
                {"name": name, "type": "RegularExpression", "value": format!("{v}.*")}])),
        ]
    };
    let method = prop_oneof![Just("GET"), Just("POST")].prop_map(|method| json!(method));
    (
        maybe(0.8, path),
        maybe(0.2, method),
        maybe(0.3, value("X-One")),
        maybe(0.2, value("q")),
    )
        .prop_map(|(path, method, headers, params)| {
            object([
                ("path", path),
                ("method", method),
                ("headers", headers),
                ("queryParams", params),
            ])
        })
}

fn route_rule() -> impl Strategy<Value = Value> {
    let modifier = || {
        prop_oneof![
            Just(json!({"set": [{"name": "x-one", "value": "set"}]})),
            Just(json!({"add": [{"name": "x-one", "value": "added"}], "remove": ["x-two"]})),
        ]
    };
    let rewrite = prop_oneof![
        4 => path().prop_map(|p| json!({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": p}})),
        2 => path().prop_map(|p| json!({"path": {"type": "ReplaceFullPath", "replaceFullPath": p}})),
        1 => Just(json!({"hostname": "host.example"})),
    ];
    let redirect = prop_oneof![
        Just(json!({})),
        Just(json!({"scheme": "https", "statusCode": 301})),
        path().prop_map(|p| json!({"path": {"type": "ReplaceFullPath", "replaceFullPath": p}})),
        path()
            .prop_map(|p| json!({"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": p}})),
    ];
    let backend = (
        prop_oneof![Just("b"), Just("c"), Just("d")],
        maybe(0.4, 0..4_u32),
    )
        .prop_map(|(name, weight)| {
            object([
                ("name", Some(json!(name))),
                ("port", Some(json!(80))),
                ("weight", weight.map(|weight| json!(weight))),
            ])
        });
    let forward = (prop::collection::vec(backend, 1..3), maybe(0.4, rewrite)).prop_map(
        |(backends, rewrite)| {
            (
                json!(backends),
                rewrite.map(|r| json!({"type": "URLRewrite", "urlRewrite": r})),
            )
        },
    );
    let elsewhere = redirect.prop_map(|to| {
        (
            Value::Null,
            Some(json!({"type": "RequestRedirect", "requestRedirect": to})),
        )
    });
    let timing = prop_oneof![
        Just(json!({"timeouts": {"request": "2s", "backendRequest": "1s"}})),
        Just(
            json!({"retry": {"attempts": 3, "codes": [503]}, "timeouts": {"backendRequest": "1s"}})
        ),
    ];
    (
        prop::collection::vec(route_match(), 0..3),
        prop_oneof![5 => forward.boxed(), 1 => elsewhere.boxed()],
        maybe(0.2, modifier()),
        maybe(0.2, modifier()),
        maybe(0.2, timing),
        maybe(0.1, other_filter()),
    )
        .prop_map(
            |(matches, (backends, filter), request, response, timing, other)| {
                let mut filters: Vec<Value> = filter.into_iter().chain(other).collect();
                filters.extend(request.map(
                |change| json!({"type": "RequestHeaderModifier", "requestHeaderModifier": change}),
            ));
                filters.extend(response.map(|change| {
                json!({"type": "ResponseHeaderModifier", "responseHeaderModifier": change})
            }));
                let mut rule = timing.unwrap_or_else(|| json!({}));
                for (key, list) in [("matches", json!(matches)), ("filters", json!(filters))] {
                    if list != json!([]) {
                        rule[key] = list;
                    }
                }
                if !backends.is_null() {
                    rule["backendRefs"] = backends;
                }
                rule
            },
        )
}

/// A copy, or CORS.
fn other_filter() -> impl Strategy<Value = Value> {
    let copy = |rest: Value| {
        let mut mirror = json!({"backendRef": {"name": "d", "port": 80}});
        for (key, value) in rest.as_object().into_iter().flatten() {
            mirror[key] = value.clone();
        }
        json!({"type": "RequestMirror", "requestMirror": mirror})
    };
    prop_oneof![
        Just(copy(json!({}))),
        Just(copy(json!({"percent": 5}))),
        Just(copy(
            json!({"fraction": {"numerator": 5, "denominator": 1000}})
        )),
        Just(json!({"type": "CORS", "cors": {"allowOrigins": ["https://*.example", "*"]}})),
        Just(
            json!({"type": "CORS", "cors": {"allowOrigins": ["https://x.example"], "maxAge": 60,
                                             "allowMethods": ["GET"], "allowCredentials": true}})
        ),
    ]
}

/// VirtualServices of the shop whose rules overlap in every way, and are such as HTTPRoutes have: what
/// is hard about them is their order.
pub(crate) fn overlapping(number: usize) -> Vec<(Value, Vec<Request>)> {
    let mut runner = TestRunner::deterministic();
    let rules = prop::collection::vec(ordered_rule(), 2..8);
    let one = (rules, prop::collection::vec(request(), 20));
    (0..number)
        .map(|_| {
            let tree = one.new_tree(&mut runner).expect("nothing is rejected");
            let (rules, requests) = tree.current();
            let object = json!({
                "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
                "metadata": {"name": "o0", "namespace": "shop",
                             "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"hosts": ["a.shop.svc.cluster.local"], "http": rules},
            });
            (object, requests)
        })
        .collect()
}

fn ordered_rule() -> impl Strategy<Value = Value> {
    let uri = prop_oneof![
        4 => prop::sample::select(vec!["/", "/a", "/ap", "/api", "/api/", "/api/v", "/x"])
            .prop_map(|p| json!({"prefix": p})),
        3 => prop::sample::select(vec!["/api", "/api/", "/api/v1", "/x/12"])
            .prop_map(|p| json!({"exact": p})),
        2 => prop::sample::select(vec!["/api.*", "/[a-z]+", "/(api|x)/v[0-9]+", ".*1"])
            .prop_map(|p| json!({"regex": p})),
    ];
    let header = prop_oneof![
        Just(json!({"x-one": {"exact": "1"}})),
        Just(json!({"x-one": {"prefix": "x"}})),
        Just(json!({"x-two": {"regex": "[xy]+1?"}})),
        Just(json!({"x-one": {"exact": "1"}, "x-two": {"exact": "y"}})),
    ];
    let given = (
        prop::option::weighted(0.8, uri),
        prop::option::weighted(0.2, prop::sample::select(vec!["GET", "POST", "PUT"])),
        prop::option::weighted(0.3, header),
        prop::option::weighted(0.15, Just(json!({"q": {"exact": "1"}}))),
    )
        .prop_map(|(uri, method, headers, query)| {
            let mut given = Map::new();
            let mut put = |name: &str, value: Option<Value>| {
                given.extend(value.map(|value| (name.to_owned(), value)));
            };
            put("uri", uri);
            put("method", method.map(|method| json!({"exact": method})));
            put("headers", headers);
            put("queryParams", query);
            Value::Object(given)
        });
    let host = prop::sample::select(vec!["a", "b", "c", "d"]);
    let action = prop_oneof![
        8 => host.prop_map(|name| {
            json!({"route": [{"destination": {"host": format!("{name}.shop.svc.cluster.local")}}]})
        }),
        1 => Just(json!({"redirect": {"uri": "/moved"}})),
    ];
    (prop::collection::vec(given, 0..3), action).prop_map(|(matches, mut rule)| {
        // An empty match is refused by istiod; without any, a rule takes everything.
        let matches: Vec<Value> = matches.into_iter().filter(|m| m != &json!({})).collect();
        if !matches.is_empty() {
            rule["match"] = Value::Array(matches);
        }
        rule
    })
}
