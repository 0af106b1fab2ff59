//! Which objects are in force, and in which order their rules stand.

use serde_json::json;

use super::*;

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
