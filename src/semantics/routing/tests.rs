//! Facts about tables that were seen in Istio's own configuration of Envoy.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::kinds::Labels;
use crate::kinds::complete::{HttpRoute, VirtualService};

/// Objects of a small mesh: Services `reviews` and `other` in `shop`, port 9080.
#[derive(Default)]
struct Mesh {
    virtual_services: Vec<VirtualService>,
    http_routes: Vec<HttpRoute>,
    services: BTreeMap<String, Vec<u16>>,
    labels: Labels,
    defaults: Defaults,
}

impl Mesh {
    fn new() -> Self {
        let services = [
            ("reviews.shop.svc.cluster.local", vec![9080]),
            ("other.shop.svc.cluster.local", vec![9080, 9090]),
            ("third.web.svc.cluster.local", vec![80]),
        ];
        Self {
            services: services
                .map(|(host, ports)| (host.to_owned(), ports))
                .into(),
            ..Self::default()
        }
    }

    fn virtual_service(mut self, age: u32, place: &str, spec: &Value) -> Self {
        let object = VirtualService::from_json(&object(age, place, spec)).unwrap();
        self.virtual_services.push(object);
        self
    }

    fn http_route(mut self, age: u32, place: &str, spec: &Value) -> Self {
        let object = HttpRoute::from_json(&object(age, place, spec)).unwrap();
        self.http_routes.push(object);
        self
    }

    fn table(&self, view: &Viewpoint<'_>) -> Table {
        let routes = Routes::new(
            &self.virtual_services,
            &self.http_routes,
            &self.services,
            "cluster.local",
            self.defaults.clone(),
        );
        routes.table(view, &reviews())
    }

    fn sidecar(&self, namespace: &str) -> Table {
        self.table(&Viewpoint::Sidecar {
            namespace,
            labels: &self.labels,
        })
    }

    fn waypoint(&self, namespace: &str) -> Table {
        self.table(&Viewpoint::Waypoint { namespace })
    }
}

/// An object `namespace/name`, the older the greater its age.
fn object(age: u32, place: &str, spec: &Value) -> Value {
    let (namespace, name) = place.split_once('/').unwrap();
    json!({
        "metadata": {
            "name": name, "namespace": namespace,
            "creationTimestamp": format!("2026-01-{:02}T00:00:00Z", 30 - age),
        },
        "spec": spec,
    })
}

fn reviews() -> Host {
    Host {
        name: "reviews.shop.svc.cluster.local".to_owned(),
        namespace: "shop".to_owned(),
        port: 9080,
        grpc: false,
    }
}

fn to(host: &str) -> Value {
    json!([{"destination": {"host": host}}])
}

/// A VirtualService that answers everything with a status of its own.
fn answering(status: u32) -> Value {
    json!({"hosts": ["reviews.shop.svc.cluster.local"],
           "http": [{"directResponse": {"status": status}}]})
}

/// An HTTPRoute of `reviews` with these rules.
fn route(rules: &Value) -> Value {
    json!({
        "parentRefs": [{"group": "", "kind": "Service", "name": "reviews", "namespace": "shop"}],
        "rules": rules,
    })
}

fn redirecting(status: u32) -> Value {
    route(&json!([{"filters": [
        {"type": "RequestRedirect", "requestRedirect": {"statusCode": status}}]}]))
}

fn get(table: &Table, path: &str) -> String {
    let request = Request {
        path: Some(path.to_owned()),
        ..Request::default()
    };
    let outcome = table.route(&request, &ByName).unwrap().to_string();
    outcome.replace(".svc.cluster.local", "")
}

fn status(table: &Table) -> String {
    get(table, "/").chars().take(3).collect()
}

#[test]
fn a_sidecar_has_the_oldest_virtual_service_and_a_waypoint_all() {
    let one = |status: u32, path: &str| {
        json!({"hosts": ["reviews.shop.svc.cluster.local"], "http": [
            {"match": [{"uri": {"prefix": path}}], "directResponse": {"status": status}}]})
    };
    let mesh = Mesh::new()
        .virtual_service(1, "shop/young", &one(201, "/a"))
        .virtual_service(2, "shop/old", &one(202, "/b"));
    let sidecar = mesh.sidecar("web");
    assert_eq!(["/a", "/b"].map(|path| get(&sidecar, path)), ["404", "202"]);
    let waypoint = mesh.waypoint("shop");
    assert_eq!(
        ["/a", "/b"].map(|path| get(&waypoint, path)),
        ["201", "202"]
    );
}

#[test]
fn exports_come_before_age() {
    let mut private = answering(201);
    private["exportTo"] = json!(["."]);
    let mut exported = answering(202);
    exported["exportTo"] = json!(["web"]);
    let mut hidden = answering(203);
    hidden["exportTo"] = json!(["~"]);
    let mesh = Mesh::new()
        .virtual_service(1, "web/private", &private)
        .virtual_service(2, "shop/exported", &exported)
        .virtual_service(3, "shop/public", &answering(204))
        .virtual_service(4, "shop/hidden", &hidden);
    assert_eq!(status(&mesh.sidecar("web")), "201");
    assert_eq!(status(&mesh.sidecar("shop")), "204");
    let mut mesh = mesh;
    mesh.virtual_services.remove(0);
    assert_eq!(status(&mesh.sidecar("web")), "202");
    // The waypoint asks as a proxy of its namespace, and only of the Service's and its own.
    assert_eq!(status(&mesh.waypoint("shop")), "204");
    let consumer = Mesh::new().virtual_service(1, "web/consumer", &answering(201));
    assert_eq!(status(&consumer.sidecar("shop")), "201");
    assert!(get(&consumer.waypoint("shop"), "/").starts_with("reviews.shop:9080"));
}

#[test]
fn a_name_comes_before_a_wildcard_and_the_longer_wildcard_before_the_shorter() {
    let wild = |host: &str, status: u32| json!({"hosts": [host], "http": [{"directResponse": {"status": status}}]});
    let mesh = Mesh::new()
        .virtual_service(9, "shop/all", &wild("*.cluster.local", 201))
        .virtual_service(8, "shop/some", &wild("*.shop.svc.cluster.local", 202));
    assert_eq!(status(&mesh.sidecar("web")), "202");
    let mesh = mesh.virtual_service(1, "shop/one", &answering(203));
    assert_eq!(status(&mesh.sidecar("web")), "203");
    assert_eq!(status(&mesh.waypoint("shop")), "201");
}

#[test]
fn short_names_are_of_the_namespace_of_their_object() {
    let spec = json!({"hosts": ["reviews"], "http": [{"route": to("other")}]});
    let mesh = Mesh::new().virtual_service(1, "shop/a", &spec);
    assert_eq!(get(&mesh.sidecar("web"), "/"), "other.shop:9080");
    let elsewhere = Mesh::new().virtual_service(1, "web/a", &spec);
    assert_eq!(get(&elsewhere.sidecar("web"), "/"), "reviews.shop:9080");
}

#[test]
fn gateways_ports_and_sources_decide_what_counts() {
    let spec = json!({"hosts": ["reviews"], "gateways": ["shop/edge"],
                      "http": [{"directResponse": {"status": 201}}]});
    let edge = Mesh::new().virtual_service(1, "shop/a", &spec);
    assert_eq!(get(&edge.sidecar("shop"), "/"), "reviews.shop:9080");

    let rule =
        |one: &Value, status: u32| json!({"match": [one], "directResponse": {"status": status}});
    let spec = |one: &Value| json!({"hosts": ["reviews"], "http": [rule(one, 201)]});
    let last = json!({"hosts": ["reviews"], "http": [{"directResponse": {"status": 299}}]});
    let seen = |one: &Value, namespace: &str| {
        let mut mesh = Mesh::new()
            .virtual_service(2, "shop/a", &spec(one))
            .virtual_service(1, "shop/b", &last);
        mesh.labels = Labels::from_pairs(vec![("app".into(), "web".into())]);
        [
            status(&mesh.sidecar(namespace)),
            status(&mesh.waypoint("shop")),
        ]
    };
    // What has no route for this client is as if it were not there.
    assert_eq!(seen(&json!({"port": 9080}), "shop"), ["201", "201"]);
    assert_eq!(seen(&json!({"port": 80}), "shop"), ["299", "299"]);
    assert_eq!(
        seen(&json!({"sourceLabels": {"app": "web"}}), "shop"),
        ["201", "299"]
    );
    assert_eq!(
        seen(&json!({"sourceLabels": {"app": "x"}}), "shop"),
        ["299", "299"]
    );
    assert_eq!(
        seen(&json!({"sourceNamespace": "web"}), "web"),
        ["201", "299"]
    );
    assert_eq!(
        seen(&json!({"sourceNamespace": "shop"}), "web"),
        ["299", "201"]
    );
    assert_eq!(
        seen(&json!({"gateways": ["shop/edge"]}), "shop"),
        ["299", "299"]
    );
    // With a gateway named, the source does not count any more.
    let both = json!({"gateways": ["mesh"], "sourceNamespace": "nowhere"});
    assert_eq!(seen(&both, "shop"), ["201", "201"]);
}

#[test]
fn routes_beside_virtual_services() {
    // The VirtualService is the older one.
    let mesh = Mesh::new()
        .virtual_service(9, "shop/vs", &answering(201))
        .http_route(1, "shop/route", &redirecting(302));
    assert_eq!(status(&mesh.sidecar("shop")), "302");
    assert_eq!(status(&mesh.sidecar("web")), "201");
    assert_eq!(status(&mesh.waypoint("shop")), "302");
    assert_eq!(mesh.waypoint("shop").entries.len(), 2);
    // The route is: it wins everywhere.
    let mesh = Mesh::new()
        .virtual_service(1, "shop/vs", &answering(201))
        .http_route(9, "shop/route", &redirecting(302));
    assert_eq!(status(&mesh.sidecar("web")), "302");
    // A route of a consumer counts for its namespace only.
    let mesh = Mesh::new().http_route(1, "web/route", &redirecting(302));
    assert_eq!(status(&mesh.sidecar("web")), "302");
    assert!(get(&mesh.sidecar("shop"), "/").starts_with("reviews"));
    assert!(get(&mesh.waypoint("shop"), "/").starts_with("reviews"));
    assert_eq!(status(&mesh.waypoint("web")), "302");
}

#[test]
fn the_order_of_routes_is_that_of_their_specificity() {
    let path = |kind: &str, value: &str| json!({"path": {"type": kind, "value": value}});
    let header = |name: &str| json!({"name": name, "value": "1"});
    let matches = [
        path("RegularExpression", "/a.*"),
        path("PathPrefix", "/"),
        json!({}),
        path("PathPrefix", "/long/"),
        path("PathPrefix", "/lon"),
        path("Exact", "/a"),
        json!({"headers": [header("a")]}),
        json!({"headers": [header("a"), header("b")]}),
        json!({"method": "GET"}),
        json!({"queryParams": [header("q")]}),
        json!({"method": "POST", "headers": [header("a")]}),
    ];
    let rules: Vec<Value> = matches
        .iter()
        .map(|one| json!({"matches": [one]}))
        .collect();
    let table = Mesh::new()
        .http_route(1, "shop/r", &route(&json!(rules)))
        .sidecar("shop");
    let order: Vec<String> = table
        .entries
        .iter()
        .map(|entry| entry.origin.as_ref().unwrap().field.to_string())
        .collect();
    let number =
        |field: &String| -> usize { field.split(['[', ']']).nth(1).unwrap().parse().unwrap() };
    // The catch-all is the last that is written: the regular expression after it is dead.
    assert_eq!(
        order.iter().map(number).collect::<Vec<_>>(),
        [5, 3, 4, 10, 8, 7, 6, 9, 1]
    );
}

#[test]
fn older_routes_come_first_among_equals_and_ports_make_routes_of_their_own() {
    let mesh = Mesh::new()
        .http_route(1, "shop/a", &redirecting(301))
        .http_route(2, "shop/b", &redirecting(302));
    assert_eq!(status(&mesh.sidecar("shop")), "302");
    let mut other = redirecting(303);
    other["parentRefs"][0]["port"] = json!(80);
    let mesh =
        Mesh::new()
            .http_route(9, "shop/a", &other)
            .http_route(1, "shop/b", &redirecting(302));
    assert_eq!(status(&mesh.sidecar("shop")), "302");
    let mut own = redirecting(303);
    own["parentRefs"][0]["port"] = json!(9080);
    let mesh = mesh.http_route(8, "shop/c", &own);
    assert_eq!(status(&mesh.sidecar("shop")), "303");
}

#[test]
fn prefixes_and_rewrites_mean_what_each_api_says() {
    let virtual_service = |uri: &str, rewrite: &str| {
        Mesh::new().virtual_service(1, "shop/a", &json!({"hosts": ["reviews"], "http": [
            {"match": [{"uri": {"prefix": uri}}], "rewrite": {"uri": rewrite}, "route": to("other")}]}))
    };
    let http_route = |path: &str, rewrite: &str| {
        Mesh::new().http_route(
            1,
            "shop/a",
            &route(&json!([{
            "matches": [{"path": {"type": "PathPrefix", "value": path}}],
            "filters": [{"type": "URLRewrite", "urlRewrite": {
                "path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": rewrite}}}],
            "backendRefs": [{"name": "other", "port": 9080}]}])),
        )
    };
    let path = |mesh: &Mesh, path: &str| {
        let seen = get(&mesh.sidecar("shop"), path);
        match seen.split_once(", path ") {
            Some((_, path)) => path.to_owned(),
            None if seen == "404" => seen,
            None => path.to_owned(),
        }
    };
    for (prefix, rewrite, asked, before, after) in [
        ("/a/", "/", "/a", "404", "/"),
        ("/a/", "/", "/a/x", "/x", "/x"),
        ("/a/", "/b/", "/a", "404", "/b"),
        ("/a/", "/b/", "/a/x", "/b/x", "/b/x"),
        ("/a", "/", "/a", "/", "/"),
        ("/a", "/", "/a/x", "//x", "/x"),
        ("/a", "/", "/ab", "/b", "404"),
        ("/a", "/b/", "/a", "/b/", "/b"),
        ("/a", "/b/", "/a/x", "/b//x", "/b/x"),
        ("/", "/x", "/y", "/xy", "/xy"),
        ("/", "/z/", "/y", "/z/y", "/zy"),
        ("/", "/", "/y", "/y", "/y"),
    ] {
        assert_eq!(
            path(&virtual_service(prefix, rewrite), asked),
            before,
            "{prefix} {rewrite}"
        );
        assert_eq!(
            path(&http_route(prefix, rewrite), asked),
            after,
            "{prefix} {rewrite}"
        );
    }
}

#[test]
fn a_path_that_is_matched_whole_is_rewritten_whole() {
    let http = json!([
        {"match": [{"uri": {"exact": "/a"}}], "rewrite": {"uri": "/new"}, "route": to("other")},
        {"match": [{"uri": {"regex": "/b/[0-9]+"}}], "rewrite": {"uri": "/n"}, "route": to("other")},
        {"match": [{"uri": {"prefix": "/c"}}], "route": to("other"),
         "rewrite": {"uriRegexRewrite": {"match": "^/c/([^/]+)(/.*)", "rewrite": "\\2/of/\\1"}}},
        {"rewrite": {"uri": "/all", "authority": "other.example"}, "route": to("other")},
    ]);
    let mesh =
        Mesh::new().virtual_service(1, "shop/a", &json!({"hosts": ["reviews"], "http": http}));
    let table = mesh.sidecar("shop");
    for (path, seen) in [
        ("/a", "other.shop:9080, path /new"),
        ("/b/12", "other.shop:9080, path /n"),
        ("/c/x/y/z", "other.shop:9080, path /y/z/of/x"),
        ("/d", "other.shop:9080 as other.example, path /alld"),
    ] {
        assert_eq!(get(&table, path), seen);
    }
}

#[test]
fn weights_decide_shares_and_500() {
    let backends = |list: &Value| {
        let mesh = Mesh::new().http_route(1, "shop/a", &route(&json!([{"backendRefs": list}])));
        get(&mesh.sidecar("shop"), "/")
    };
    let one = |name: &str, weight: u32| json!({"name": name, "port": 9080, "weight": weight});
    assert_eq!(backends(&json!([])), "500");
    assert_eq!(backends(&json!([one("reviews", 0)])), "500");
    assert_eq!(
        backends(&json!([one("reviews", 0), one("other", 3)])),
        "other.shop:9080"
    );
    assert_eq!(
        backends(&json!([one("reviews", 20), one("other", 60)])),
        "3/4 other.shop:9080 + 1/4 reviews.shop:9080"
    );
    // An invalid reference makes its route have no effect; a kind that is not known answers 500.
    assert!(backends(&json!([{"name": "other"}])).starts_with("reviews.shop"));
    let strange = json!([{"group": "x", "kind": "Y", "name": "other", "port": 1}]);
    assert_eq!(backends(&strange), "500");

    let spec = |route: &Value| json!({"hosts": ["reviews"], "http": [{"route": route}]});
    let way = |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight});
    let seen = |route: &Value| {
        let mesh = Mesh::new().virtual_service(1, "shop/a", &spec(route));
        get(&mesh.sidecar("shop"), "/")
    };
    assert_eq!(seen(&json!([way("other", 0)])), "other.shop:9080");
    assert_eq!(
        seen(&json!([way("other", 0), way("reviews", 1)])),
        "reviews.shop:9080"
    );
    assert!(seen(&json!([way("other", 0), way("reviews", 0)])).starts_with("refused"));
    // The only port of a host, else that of the request.
    assert_eq!(seen(&to("third.web.svc.cluster.local")), "third.web:80");
    assert_eq!(seen(&to("other")), "other.shop:9080");
}

#[test]
fn redirects_have_the_defaults_of_their_api() {
    let spec = json!({"hosts": ["reviews"], "http": [
        {"match": [{"uri": {"prefix": "/a"}}], "redirect": {"uri": "/b"}},
        {"redirect": {"scheme": "https", "prefixRewrite": "/c", "port": 443, "redirectCode": 308}}]});
    let vs = Mesh::new().virtual_service(1, "shop/a", &spec);
    assert_eq!(
        get(&vs.sidecar("shop"), "/a"),
        "301 to http://the same host, path /b"
    );
    assert_eq!(
        get(&vs.sidecar("shop"), "/x"),
        "308 to https://the same host, path /cx"
    );
    let redirect = |to: &Value| {
        let rules = json!([{"filters": [{"type": "RequestRedirect", "requestRedirect": to}]}]);
        get(
            &Mesh::new()
                .http_route(1, "shop/a", &route(&rules))
                .sidecar("shop"),
            "/a",
        )
    };
    assert_eq!(redirect(&json!({})), "302 to http://the same host:9080");
    assert_eq!(
        redirect(&json!({"scheme": "http"})),
        "302 to http://the same host"
    );
    assert_eq!(
        redirect(&json!({"hostname": "x", "port": 80, "statusCode": 301})),
        "301 to http://x"
    );
}

#[test]
fn retries_and_timeouts_have_the_defaults_of_their_proxy() {
    let retry = |table: &Table| match &table.entries[0].action.answer {
        Answer::Forward(forward) => (
            forward.retry.clone().map(|r| r.to_string()),
            forward.timeout,
        ),
        other => panic!("{other:?}"),
    };
    let clients = "2 retries on cancelled,connect-failure,refused-stream,unavailable";
    let mut mesh = Mesh::new();
    assert_eq!(
        retry(&mesh.sidecar("shop")),
        (Some(clients.to_owned()), None)
    );
    assert_eq!(
        retry(&mesh.waypoint("shop")),
        (Some(clients.to_owned()), None)
    );
    mesh.defaults.waypoints_retry_unsent = true;
    let unsent = "2 retries on reset-before-request";
    assert_eq!(
        retry(&mesh.waypoint("shop")),
        (Some(unsent.to_owned()), None)
    );

    let rule = |rest: Value| {
        let mut rule = json!({"backendRefs": [{"name": "other", "port": 9080}]});
        rule.as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        let mesh = Mesh::new().http_route(1, "shop/a", &route(&json!([rule])));
        let (retry, timeout) = retry(&mesh.sidecar("shop"));
        format!("{} {timeout:?}", retry.unwrap_or_default())
    };
    assert_eq!(
        rule(
            json!({"retry": {"codes": [503]}, "timeouts": {"request": "5s", "backendRequest": "1s"}})
        ),
        format!("{clients},503 with 1s each Some(5s)")
    );
    // Without retries, the timeout of each try is that of the request.
    let both = json!({"timeouts": {"request": "5s", "backendRequest": "1s"}});
    assert_eq!(rule(both), format!("{clients} Some(1s)"));
    assert_eq!(rule(json!({"retry": {"attempts": 0}})), " None");
    assert_eq!(
        rule(json!({"timeouts": {"request": "0s"}})),
        format!("{clients} None")
    );
}

#[test]
fn headers_match_in_every_way_of_istio() {
    let asked = |matches: &Value, request: &Request| {
        let spec = json!({"hosts": ["reviews"], "http": [
            {"match": [matches], "directResponse": {"status": 200}}]});
        let mesh = Mesh::new().virtual_service(1, "shop/a", &spec);
        let outcome = mesh.sidecar("shop").route(request, &ByName).unwrap();
        matches!(outcome.reply, Reply::Answered { .. })
    };
    for (one, request, expected) in header_cases() {
        assert_eq!(asked(&one, &request), expected, "{one} {request}");
    }
}

/// A match, a request, and whether it matches.
fn header_cases() -> Vec<(Value, Request, bool)> {
    let with = |name: &str, value: &str| Request {
        headers: [(name.to_owned(), value.to_owned())].into(),
        ..Request::default()
    };
    let none = Request::default();
    vec![
        (
            json!({"headers": {"X-A": {"exact": "1"}}}),
            with("x-a", "1"),
            true,
        ),
        (
            json!({"headers": {"x-a": {"exact": "1"}}}),
            with("x-a", "2"),
            false,
        ),
        (json!({"headers": {"x-a": {}}}), with("x-a", ""), true),
        (json!({"headers": {"x-a": {}}}), none.clone(), false),
        (
            json!({"headers": {"x-a": {"regex": "*"}}}),
            with("x-a", "z"),
            true,
        ),
        (
            json!({"headers": {"x-a": {"regex": "a.*"}}}),
            with("x-a", "xa"),
            false,
        ),
        (
            json!({"headers": {"x-a": {"exact": ""}}}),
            none.clone(),
            false,
        ),
        (json!({"withoutHeaders": {"x-a": {}}}), none.clone(), true),
        (
            json!({"withoutHeaders": {"x-a": {}}}),
            with("x-a", "1"),
            false,
        ),
        (
            json!({"withoutHeaders": {"x-a": {"exact": "1"}}}),
            none.clone(),
            true,
        ),
        (
            json!({"withoutHeaders": {"x-a": {"exact": "1"}}}),
            with("x-a", "2"),
            true,
        ),
        // What is absent counts as empty.
        (
            json!({"withoutHeaders": {"x-a": {"regex": "b*"}}}),
            none.clone(),
            false,
        ),
        (
            json!({"headers": {":method": {"exact": "GET"}}}),
            none.clone(),
            true,
        ),
        (
            json!({"headers": {":path": {"exact": "/"}}}),
            none.clone(),
            true,
        ),
        (json!({"scheme": {"exact": "https"}}), none.clone(), false),
        (
            json!({"headers": {"host": {"exact": "a"}}}),
            Request {
                authority: Some("a".to_owned()),
                ..none.clone()
            },
            true,
        ),
        (
            json!({"headers": {"@request.auth.claims.group.id": {"exact": "a"}}}),
            Request {
                claims: [("[group][id]".to_owned(), "a".to_owned())].into(),
                ..none.clone()
            },
            true,
        ),
    ]
}

#[test]
fn delegates_stand_in_the_place_of_their_route() {
    let root = json!({"hosts": ["reviews"], "http": [
        {"match": [{"uri": {"prefix": "/api"}}], "delegate": {"name": "api", "namespace": "web"},
         "timeout": "3s"},
        {"match": [{"uri": {"prefix": "/gone"}}], "delegate": {"name": "missing"}},
        {"route": to("reviews")}]});
    let api = json!({"http": [
        {"match": [{"uri": {"prefix": "/api/v1"}}], "route": to("third")},
        {"match": [{"uri": {"prefix": "/other"}}], "route": to("third")},
        {"route": to("other.shop.svc.cluster.local"), "timeout": "1s"}]});
    let mesh = Mesh::new()
        .virtual_service(1, "shop/root", &root)
        .virtual_service(1, "web/api", &api);
    let table = mesh.sidecar("shop");
    assert_eq!(get(&table, "/api/v1/x"), "third.web:80, timeout 3s");
    assert_eq!(get(&table, "/api/v2"), "other.shop:9080, timeout 1s");
    assert_eq!(get(&table, "/other"), "reviews.shop:9080");
    assert_eq!(get(&table, "/gone"), "reviews.shop:9080");
    assert_eq!(
        table.entries[0].origin.as_ref().unwrap().to_string(),
        "VirtualService/api -n web spec.http[0]"
    );
    let mut hidden = api;
    hidden["exportTo"] = json!(["."]);
    let mesh = Mesh::new()
        .virtual_service(1, "shop/root", &root)
        .virtual_service(1, "web/api", &hidden);
    assert_eq!(get(&mesh.sidecar("shop"), "/api/v1/x"), "reviews.shop:9080");
}

#[test]
fn clients_reach_a_host_by_names_of_their_namespace() {
    let mesh = Mesh::new();
    let names = mesh.sidecar("shop").authorities;
    assert_eq!(names[..2], ["reviews", "reviews.shop"]);
    assert!(names.contains(&"reviews:9080".to_owned()));
    assert!(
        !mesh
            .sidecar("web")
            .authorities
            .contains(&"reviews".to_owned())
    );
    assert!(mesh.waypoint("shop").authorities.is_empty());
}
