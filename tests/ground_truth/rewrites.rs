//! What becomes of the path, the host and the client's address bar.

use super::scene::{Shop, View};

/// A VirtualService that sends a prefix to b with its URI rewritten.
#[track_caller]
fn before(prefix: &str, rewrite: &str) -> Shop {
    Shop::virtual_service(&format!(
        "[{{match: [{{uri: {{prefix: '{prefix}'}}}}], rewrite: {{uri: '{rewrite}'}}, route: [{{destination: {{host: b}}}}]}}]"
    ))
}

/// An HTTPRoute that sends a path prefix to b with the prefix replaced.
#[track_caller]
fn after(prefix: &str, replacement: &str) -> Shop {
    Shop::route(&format!(
        "[{{matches: [{{path: {{type: PathPrefix, value: '{prefix}'}}}}], \
           filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: '{replacement}'}}}}}}], \
           backendRefs: [{{name: b, port: 80}}]}}]"
    ))
}

#[test]
fn prefix_to_root_doubles_the_slash_in_a_virtual_service_and_not_in_a_route() {
    before("/foo", "/").both_send(&[("/foo", "b /"), ("/foo/x", "b //x"), ("/foox", "b /x")]);
    after("/foo", "/").both_send(&[("/foo", "b /"), ("/foo/x", "b /x"), ("/foox", "404")]);
}

#[test]
fn prefix_with_slash_to_root_or_to_prefix_with_slash_differs_on_the_bare_path_only() {
    before("/a/", "/").both_send(&[("/a", "404"), ("/a/", "b /"), ("/a/y", "b /y")]);
    after("/a/", "/").both_send(&[("/a", "b /"), ("/a/", "b /"), ("/a/y", "b /y")]);
    before("/a/", "/b/").both_send(&[("/a", "404"), ("/a/", "b /b/"), ("/a/y", "b /b/y")]);
    after("/a/", "/b/").both_send(&[("/a", "b /b"), ("/a/", "b /b/"), ("/a/y", "b /b/y")]);
}

#[test]
fn slash_at_the_end_of_a_routes_replacement_is_cut() {
    before("/a", "/b/").both_send(&[("/a", "b /b/"), ("/a/x", "b /b//x")]);
    after("/a", "/b/").both_send(&[("/a", "b /b"), ("/a/x", "b /b/x")]);
}

#[test]
fn replacing_the_root_prefix_joins_without_a_slash_in_both() {
    before("/", "/x").both_send(&[("/", "b /x"), ("/y", "b /xy")]);
    after("/", "/x").both_send(&[("/", "b /x"), ("/y", "b /xy")]);
}

#[test]
fn replacing_the_root_prefix_by_one_with_a_slash_breaks_the_path_of_a_route() {
    before("/", "/z/").both_send(&[("/", "b /z/"), ("/y", "b /z/y")]);
    after("/", "/z/").both_send(&[("/", "b /z"), ("/y", "b /zy")]);
}

#[test]
fn prefix_to_prefix_is_the_same_on_whole_elements() {
    for shop in [before("/a", "/b/c"), after("/a", "/b/c")] {
        shop.both_send(&[
            ("/a", "b /b/c"),
            ("/a/x", "b /b/c/x"),
            ("/a?q=1", "b /b/c?q=1"),
        ]);
    }
}

#[test]
fn exact_path_or_expression_is_rewritten_whole_and_keeps_the_query() {
    let expected = [("/a?q=1", "b /x?q=1"), ("/a", "b /x")];
    for matched in ["exact: /a", "regex: '/a'"] {
        Shop::virtual_service(&format!(
            "[{{match: [{{uri: {{{matched}}}}}], rewrite: {{uri: /x}}, route: [{{destination: {{host: b}}}}]}}]"
        ))
        .both_send(&expected);
    }
    for kind in ["Exact", "RegularExpression"] {
        Shop::route(&full_path(kind, "/x")).both_send(&expected);
    }
}

fn full_path(kind: &str, value: &str) -> String {
    format!(
        "[{{matches: [{{path: {{type: {kind}, value: /a}}}}], \
           filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplaceFullPath, replaceFullPath: '{value}'}}}}}}], \
           backendRefs: [{{name: b, port: 80}}]}}]"
    )
}

#[test]
fn backslash_in_a_routes_full_path_is_interpreted() {
    Shop::virtual_service(
        r"[{match: [{uri: {exact: /a}}], rewrite: {uri: '/b/\1'}, route: [{destination: {host: b}}]}]",
    )
    .both_send(&[("/a", r"b /b/\1")]);
    Shop::route(&full_path("Exact", r"/b/\1")).both_send(&[("/a", "b")]);
}

#[test]
fn rewrite_without_a_match_replaces_the_root() {
    Shop::virtual_service("[{rewrite: {uri: /x}, route: [{destination: {host: b}}]}]")
        .both_send(&[("/y", "b /xy")]);
}

#[test]
fn host_is_rewritten_alike() {
    Shop::virtual_service(
        "[{rewrite: {authority: new.example}, route: [{destination: {host: b}}]}]",
    )
    .both_send(&[("/x", "b @new.example")]);
    Shop::route(
        "[{filters: [{type: URLRewrite, urlRewrite: {hostname: new.example}}], backendRefs: [{name: b, port: 80}]}]",
    )
    .both_send(&[("/x", "b @new.example")]);
}

#[test]
fn setting_the_host_header_rewrites_the_host_alike() {
    Shop::virtual_service(
        "[{headers: {request: {set: {Host: new.example}}}, route: [{destination: {host: b}}]}]",
    )
    .both_send(&[("/x", "b @new.example")]);
}

#[test]
fn redirect_says_301_in_a_virtual_service_and_302_in_a_route_unless_told() {
    Shop::virtual_service("[{redirect: {uri: /x}}]").both_send(&[("/y", "301 http://a.shop/x")]);
    Shop::route(
        "[{filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /x}}}]}]",
    )
    .both_send(&[("/y", "302 http://a.shop/x")]);
}

#[test]
fn port_of_a_routes_redirect_is_that_of_the_request_unless_a_scheme_is_named() {
    for (scheme, location) in [
        ("", "302 http://x.example:8080/y"),
        ("scheme: http, ", "302 http://x.example/y"),
        ("scheme: https, ", "302 https://x.example/y"),
    ] {
        let shop = eighty_eighty(&format!(
            "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web, namespace: shop}}
spec:
  parentRefs: [{{group: '', kind: Service, name: web}}]
  rules: [{{filters: [{{type: RequestRedirect, requestRedirect: {{{scheme}hostname: x.example}}}}]}}]
"
        ));
        assert_eq!(redirects(&shop), [location, location], "{scheme}");
    }
    let shop = eighty_eighty(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec: {hosts: [web], http: [{redirect: {authority: x.example}}]}
",
    );
    let location = "301 http://x.example/y";
    assert_eq!(redirects(&shop), [location, location]);
}

/// The shop with a service `web` on port 8080.
#[track_caller]
fn eighty_eighty(yaml: &str) -> Shop {
    Shop::with(&format!(
        "
apiVersion: v1
kind: Service
metadata: {{name: web, namespace: shop}}
spec: {{selector: {{app: web}}, ports: [{{name: http, port: 8080}}]}}
---
{yaml}"
    ))
}

/// What a request for `web:8080/y` is told by a sidecar and by the waypoint.
#[track_caller]
fn redirects(shop: &Shop) -> [String; 2] {
    [View::Sidecar, View::Waypoint].map(|view| shop.ask_web(view, "/y"))
}

#[test]
fn redirect_of_a_prefix_replaces_it_alike() {
    Shop::route(
        "[{matches: [{path: {type: PathPrefix, value: /a}}], \
           filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}]",
    )
    .both_send(&[("/a/x", "302 http://a.shop/b/x"), ("/a", "302 http://a.shop/b")]);
}
