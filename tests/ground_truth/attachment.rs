//! Which objects a proxy looks at for a service, and by what it knows the service.

use harness::oracle::{Oracle, Request};

use super::scene::{Shop, View, route, told, virtual_service};

const SUBSETS: &str = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b, namespace: shop}
spec: {host: b, subsets: [{name: v1, labels: {version: v1}}]}
---
";

#[test]
fn subsets_of_a_virtual_service_work_at_a_waypoint() {
    let http = "[{route: [{destination: {host: b, subset: v1}}]}]";
    Shop::with(&format!("{SUBSETS}{}", virtual_service("a", http))).both_send(&[("/", "b:v1")]);
}

#[test]
fn virtual_service_of_another_namespace_holds_for_every_sidecar_and_not_at_a_waypoint() {
    let shop = Shop::with(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: far}
spec: {hosts: [a.shop.svc.cluster.local], http: [{route: [{destination: {host: b.shop.svc.cluster.local}}]}]}
",
    );
    for (view, goes) in [
        (View::Sidecar, "b"),
        (View::Far, "b"),
        (View::Waypoint, "a"),
    ] {
        shop.sends(view, &[("/", goes)]);
    }
}

#[test]
fn route_of_another_namespace_holds_for_the_sidecars_of_that_namespace_only() {
    let shop = Shop::with(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a, namespace: far}
spec:
  parentRefs: [{group: '', kind: Service, name: a, namespace: shop}]
  rules: [{backendRefs: [{name: b, namespace: shop, port: 80}]}]
",
    );
    for (view, goes) in [
        (View::Sidecar, "a"),
        (View::Far, "b"),
        (View::Waypoint, "a"),
    ] {
        shop.sends(view, &[("/", goes)]);
    }
}

#[test]
fn route_of_the_services_namespace_holds_everywhere() {
    let shop = Shop::route("[{backendRefs: [{name: b, port: 80}]}]");
    for view in [View::Sidecar, View::Far, View::Waypoint] {
        shop.sends(view, &[("/", "b")]);
    }
}

#[test]
fn backend_of_another_namespace_needs_no_grant() {
    let shop = Shop::with(&format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: e, namespace: far}}
spec: {{selector: {{app: e}}, ports: [{{name: http, port: 80}}]}}
---
{}",
        route(
            "a",
            "[{backendRefs: [{name: e, namespace: far, port: 80}]}]"
        )
    ));
    shop.both_send(&[("/", "e.far.svc.cluster.local")]);
}

#[test]
fn hostnames_of_a_route_for_a_service_are_ignored() {
    let text = route("a", "[{backendRefs: [{name: b, port: 80}]}]")
        .replace("rules:", "hostnames: [other.example], rules:");
    Shop::with(&text).both_send(&[("/", "b")]);
}

#[test]
fn short_host_with_a_dot_is_a_host_of_its_own_and_not_the_service() {
    let shop = Shop::with(&virtual_service(
        "a.shop",
        "[{route: [{destination: {host: b}}]}]",
    ));
    // A sidecar has rules for those who call exactly this host; to a waypoint it is nothing.
    let hosts = ["a.shop", "a", "a.shop.svc", "a.shop.svc.cluster.local"];
    assert_eq!(by_host(&shop, View::Sidecar, &hosts), ["b", "a", "a", "a"]);
    assert_eq!(by_host(&shop, View::Waypoint, &hosts), ["a", "a", "a", "a"]);
    Shop::virtual_service("[{route: [{destination: {host: b.shop}}]}]")
        .both_send(&[("/", "b.shop missing 503")]);
}

/// What becomes of requests for `/` by any host.
#[track_caller]
fn by_host(shop: &Shop, view: View, hosts: &[&str]) -> Vec<String> {
    let requests: Vec<Request> = hosts
        .iter()
        .map(|host| Request::get("/").authority(host))
        .collect();
    match Oracle::shared().route(shop.table(view), &requests) {
        Ok(outcomes) => outcomes
            .iter()
            .map(|outcome| {
                told("/", outcome)
                    .split(' ')
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect(),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn sidecar_knows_a_service_by_the_host_and_a_waypoint_by_its_address() {
    let shop = Shop::virtual_service("[{route: [{destination: {host: b}}]}]");
    let hosts = [
        "a.shop",
        "a.shop.svc.cluster.local:80",
        "other.example",
        "c.shop",
    ];
    assert_eq!(
        by_host(&shop, View::Sidecar, &hosts),
        ["b", "b", "PassthroughCluster", "c"]
    );
    assert_eq!(by_host(&shop, View::Waypoint, &hosts), ["b", "b", "b", "b"]);
}

#[test]
fn port_of_a_parent_limits_a_route_to_it() {
    let two_ports = "
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80}, {name: http-alt, port: 8080}]}
---
";
    let shop = Shop::with(&format!(
        "{two_ports}{}",
        route("web", "[{backendRefs: [{name: b, port: 80}]}]")
    ));
    for view in [View::Sidecar, View::Waypoint] {
        assert_eq!(shop.ask_web(view, "/"), "web @web.shop:8080", "{view:?}");
    }
}

#[test]
fn external_host_is_a_backend_by_its_service_entry() {
    let entry = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ext, namespace: shop}
spec: {hosts: [ext.example], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS, location: MESH_EXTERNAL}
---
";
    let rule = "[{backendRefs: [{group: networking.istio.io, kind: Hostname, name: ext.example, port: 80}]}]";
    Shop::with(&format!("{entry}{}", route("a", rule))).both_send(&[("/", "ext.example")]);
    let http = "[{route: [{destination: {host: ext.example, port: {number: 80}}}]}]";
    Shop::with(&format!("{entry}{}", virtual_service("a", http)))
        .both_send(&[("/", "ext.example")]);
    Shop::with(&route("a", rule)).both_send(&[("/", "ext.example missing 500")]);
    let host = "[{route: [{destination: {host: ext.example, port: {number: 80}}}]}]";
    Shop::virtual_service(host).both_send(&[("/", "ext.example missing 503")]);
}

#[test]
fn delegate_is_merged_before_anything_else() {
    let shop = Shop::with(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: shop}
spec: {hosts: [a], http: [{match: [{uri: {prefix: /x}}], delegate: {name: inner, namespace: shop}}, {route: [{destination: {host: d}}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inner, namespace: shop}
spec: {http: [{match: [{uri: {prefix: /x/b}}], route: [{destination: {host: b}}]}, {route: [{destination: {host: c}}]}]}
",
    );
    shop.both_send(&[("/x/b", "b"), ("/x", "c"), ("/", "d")]);
}
