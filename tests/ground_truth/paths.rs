//! Which paths a rule takes.

use super::scene::Shop;

/// A VirtualService that sends what a match of the URI takes to b, the rest to c.
#[track_caller]
fn uri(matches: &str) -> Shop {
    Shop::virtual_service(&format!(
        "[{{match: [{{{matches}}}], route: [{{destination: {{host: b}}}}]}}, {{route: [{{destination: {{host: c}}}}]}}]"
    ))
}

/// An HTTPRoute that sends a path of this type to b, the rest to c.
#[track_caller]
fn path(kind: &str, value: &str) -> Shop {
    Shop::route(&format!(
        "[{{matches: [{{path: {{type: {kind}, value: '{value}'}}}}], backendRefs: [{{name: b, port: 80}}]}}, \
          {{backendRefs: [{{name: c, port: 80}}]}}]"
    ))
}

#[test]
fn prefix_of_a_virtual_service_is_of_characters() {
    uri("uri: {prefix: /api}").both_send(&[
        ("/api", "b"),
        ("/api/", "b"),
        ("/api/x", "b"),
        ("/apix", "b"),
        ("/api.json", "b"),
        ("/api?x=1", "b"),
        ("/ap", "c"),
        ("/", "c"),
    ]);
}

#[test]
fn prefix_of_a_route_is_of_path_elements() {
    path("PathPrefix", "/api").both_send(&[
        ("/api", "b"),
        ("/api/", "b"),
        ("/api/x", "b"),
        ("/api?x=1", "b"),
        ("/apix", "c"),
        ("/api.json", "c"),
        ("/api;v=1", "c"),
        ("/api%2Fx", "c"),
    ]);
}

#[test]
fn slash_at_the_end_of_a_virtual_services_prefix_is_part_of_it() {
    uri("uri: {prefix: /api/}").both_send(&[("/api", "c"), ("/api/", "b"), ("/api/x", "b")]);
}

#[test]
fn slash_at_the_end_of_a_routes_prefix_means_nothing() {
    path("PathPrefix", "/api/").both_send(&[
        ("/api", "b"),
        ("/api/", "b"),
        ("/api/x", "b"),
        ("/apix", "c"),
    ]);
}

#[test]
fn prefix_that_ends_inside_an_element_takes_nothing_longer_in_a_route() {
    uri("uri: {prefix: /api/v}").both_send(&[
        ("/api/v", "b"),
        ("/api/v1", "b"),
        ("/api/v2/x", "b"),
    ]);
    path("PathPrefix", "/api/v").both_send(&[
        ("/api/v", "b"),
        ("/api/v/x", "b"),
        ("/api/v1", "c"),
        ("/api/v2/x", "c"),
    ]);
}

#[test]
fn root_prefix_takes_everything() {
    for shop in [
        uri("uri: {prefix: /}"),
        path("PathPrefix", "/"),
        uri("uri: {prefix: ''}"),
    ] {
        shop.both_send(&[("/", "b"), ("/x", "b"), ("/x/y?z", "b")]);
    }
}

#[test]
fn prefix_as_an_escaped_expression_is_the_prefix_of_characters() {
    let expected = [
        ("/a.b", "b"),
        ("/a.b/c", "b"),
        ("/a.bc", "b"),
        ("/axb", "c"),
        ("/a", "c"),
    ];
    uri("uri: {prefix: /a.b}").both_send(&expected);
    // The route's catch-all is a path prefix and outranks every expression, so it is left out here.
    let shop = Shop::route(
        r"[{matches: [{path: {type: RegularExpression, value: '/a\.b.*'}}], backendRefs: [{name: b, port: 80}]}]",
    );
    shop.both_send(&expected.map(|(path, to)| (path, if to == "c" { "404" } else { to })));
}

#[test]
fn expression_takes_the_whole_path_without_the_query() {
    let expected = [
        ("/a1", "b"),
        ("/a1?x=y", "b"),
        ("/a1/", "404"),
        ("/xa1", "404"),
        ("/a12", "b"),
    ];
    Shop::virtual_service(
        "[{match: [{uri: {regex: '/a[0-9]+'}}], route: [{destination: {host: b}}]}]",
    )
    .both_send(&expected);
    Shop::route(
        "[{matches: [{path: {type: RegularExpression, value: '/a[0-9]+'}}], backendRefs: [{name: b, port: 80}]}]",
    )
    .both_send(&expected);
}

#[test]
fn exact_path_takes_no_slash_more() {
    let expected = [("/a", "b"), ("/a?x", "b"), ("/a/", "c"), ("/A", "c")];
    uri("uri: {exact: /a}").both_send(&expected);
    path("Exact", "/a").both_send(&expected);
}

#[test]
fn ignored_case_is_the_expression_flag() {
    let expected = [
        ("/API/x", "b"),
        ("/api", "b"),
        ("/aPiX", "b"),
        ("/ap", "404"),
    ];
    Shop::virtual_service(
        "[{match: [{uri: {prefix: /api}, ignoreUriCase: true}], route: [{destination: {host: b}}]}]",
    )
    .both_send(&expected);
    Shop::route(
        "[{matches: [{path: {type: RegularExpression, value: '(?i)/api.*'}}], backendRefs: [{name: b, port: 80}]}]",
    )
    .both_send(&expected);
}

#[test]
fn ignored_case_does_nothing_for_an_expression() {
    uri("uri: {regex: '/api.*'}, ignoreUriCase: true")
        .both_send(&[("/api/x", "b"), ("/API/x", "c")]);
}

#[test]
fn prefix_without_a_leading_slash_takes_nothing() {
    uri("uri: {prefix: api}").both_send(&[("/api", "c"), ("/", "c")]);
}

#[test]
fn prefixes_that_a_route_cannot_name_are_expressions_of_the_same_paths() {
    for (prefix, expression, requests) in [
        (
            "/a//b",
            "/a//b.*",
            [("/a//b", "b"), ("/a//bc", "b"), ("/a/b", "404")],
        ),
        (
            "/a%2fb",
            "/a%2fb.*",
            [("/a%2fb", "b"), ("/a%2fb/c", "b"), ("/a/b", "404")],
        ),
        (
            "/a%2Fb",
            "/a%2Fb.*",
            [("/a%2Fb", "b"), ("/a%2fb", "404"), ("/a/b", "404")],
        ),
    ] {
        Shop::virtual_service(&format!(
            "[{{match: [{{uri: {{prefix: '{prefix}'}}}}], route: [{{destination: {{host: b}}}}]}}]"
        ))
        .both_send(&requests);
        Shop::route(&format!(
            "[{{matches: [{{path: {{type: RegularExpression, value: '{expression}'}}}}], backendRefs: [{{name: b, port: 80}}]}}]"
        ))
        .both_send(&requests);
    }
}

#[test]
fn envoy_decodes_letters_and_removes_dots_before_it_looks() {
    for shop in [uri("uri: {exact: /a/b}"), path("Exact", "/a/b")] {
        shop.both_send(&[
            ("/%61/b", "b /a/b"),
            ("/a/./b", "b /a/b"),
            ("/a/x/../b", "b /a/b"),
            ("/a//b", "c"),
            ("/a%2Fb", "c"),
        ]);
    }
}
