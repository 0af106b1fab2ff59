//! What else a rule may look at: headers, the query, the method, the client.

use super::scene::{Shop, View, refusal};

/// A VirtualService that sends what a match takes to b, the rest to c.
#[track_caller]
fn before(matches: &str) -> Shop {
    Shop::virtual_service(&format!(
        "[{{match: [{{{matches}}}], route: [{{destination: {{host: b}}}}]}}, {{route: [{{destination: {{host: c}}}}]}}]"
    ))
}

/// An HTTPRoute that sends what a match takes to b, the rest to c.
#[track_caller]
fn after(matches: &str) -> Shop {
    Shop::route(&format!(
        "[{{matches: [{{{matches}}}], backendRefs: [{{name: b, port: 80}}]}}, {{backendRefs: [{{name: c, port: 80}}]}}]"
    ))
}

#[test]
fn presence_of_a_header_is_an_empty_match_before_and_any_value_after() {
    let expected = [("/ x:1", "b"), ("/ x:", "b"), ("/", "c"), ("/ X:1", "b")];
    before("headers: {x: {}}").both_send(&expected);
    after("headers: [{name: x, type: RegularExpression, value: '.*'}]").both_send(&expected);
}

#[test]
fn star_as_an_expression_is_refused() {
    let why =
        refusal("[{match: [{headers: {x: {regex: '*'}}}], route: [{destination: {host: b}}]}]");
    assert!(
        why.contains("missing argument to repetition operator"),
        "{why}"
    );
}

#[test]
fn header_values_are_compared_whole_and_with_case() {
    let expected = [("/ x:v", "b"), ("/ x:V", "c"), ("/ x:vv", "c")];
    before("headers: {x: {exact: v}}").both_send(&expected);
    after("headers: [{name: x, value: v}]").both_send(&expected);
    let expected = [
        ("/ x:v1", "b"),
        ("/ x:v", "c"),
        ("/ x:av1", "c"),
        ("/ x:v12", "c"),
    ];
    before("headers: {x: {regex: 'v[0-9]'}}").both_send(&expected);
    after("headers: [{name: x, type: RegularExpression, value: 'v[0-9]'}]").both_send(&expected);
}

#[test]
fn header_prefix_is_an_expression() {
    let expected = [("/ x:v.1", "b"), ("/ x:v.", "b"), ("/ x:va", "c")];
    before("headers: {x: {prefix: v.}}").both_send(&expected);
    after(r"headers: [{name: x, type: RegularExpression, value: 'v\..*'}]").both_send(&expected);
}

#[test]
fn header_sent_twice_is_matched_value_by_value() {
    let either = [
        ("/ x:1 x:2", "b"),
        ("/ x:2 x:1", "b"),
        ("/ x:1,2", "c"),
        ("/ x:2", "c"),
    ];
    before("headers: {x: {exact: '1'}}").both_send(&either);
    after("headers: [{name: x, value: '1'}]").both_send(&either);
    let joined = [("/ x:1 x:2", "c"), ("/ x:1,2", "b")];
    before("headers: {x: {exact: '1,2'}}").both_send(&joined);
    after("headers: [{name: x, value: '1,2'}]").both_send(&joined);
}

#[test]
fn without_headers_takes_requests_that_lack_them() {
    before("withoutHeaders: {x: {exact: v}}").both_send(&[
        ("/ x:v", "c"),
        ("/", "b"),
        ("/ x:w", "b"),
    ]);
    before("withoutHeaders: {x: {}}").both_send(&[("/ x:v", "c"), ("/", "b")]);
}

#[test]
fn query_parameters_are_matched_alike() {
    let exact = [
        ("/?q=1", "b"),
        ("/?q=12", "c"),
        ("/", "c"),
        ("/?p=2&q=1", "b"),
    ];
    before("queryParams: {q: {exact: '1'}}").both_send(&exact);
    after("queryParams: [{name: q, value: '1'}]").both_send(&exact);
    let repeated = [("/?q=1&q=2", "b"), ("/?q=2&q=1", "c")];
    before("queryParams: {q: {exact: '1'}}").both_send(&repeated);
    after("queryParams: [{name: q, value: '1'}]").both_send(&repeated);
    let present = [
        ("/?q=1", "b"),
        ("/?q=", "b"),
        ("/?q", "b"),
        ("/", "c"),
        ("/?p", "c"),
    ];
    before("queryParams: {q: {}}").both_send(&present);
    after("queryParams: [{name: q, type: RegularExpression, value: '.*'}]").both_send(&present);
    let prefix = [("/?q=v1", "b"), ("/?q=v", "b"), ("/?q=w", "c")];
    before("queryParams: {q: {prefix: v}}").both_send(&prefix);
    after("queryParams: [{name: q, type: RegularExpression, value: 'v.*'}]").both_send(&prefix);
}

#[test]
fn method_is_matched_alike() {
    let expected = [("GET /", "b"), ("POST /", "c"), ("HEAD /", "c")];
    before("method: {exact: GET}").both_send(&expected);
    after("method: GET").both_send(&expected);
    before("method: {prefix: P}").both_send(&[
        ("POST /", "b"),
        ("PATCH /", "b"),
        ("PURGE /", "b"),
        ("GET /", "c"),
    ]);
}

#[test]
fn several_conditions_of_a_match_must_all_hold_and_one_of_several_matches() {
    Shop::virtual_service(
        "[{match: [{uri: {prefix: /a}, headers: {x: {exact: v}}}, {method: {exact: PUT}}], route: [{destination: {host: b}}]}, \
          {route: [{destination: {host: c}}]}]",
    )
    .both_send(&[("/a x:v", "b"), ("/a", "c"), ("/ x:v", "c"), ("PUT /", "b")]);
}

#[test]
fn source_labels_hold_at_the_sidecar_of_such_a_pod_and_never_at_a_waypoint() {
    let shop = before("sourceLabels: {app: client}");
    shop.sends(View::Sidecar, &[("/", "b")]);
    shop.sends(View::Waypoint, &[("/", "c")]);
    before("sourceLabels: {app: other}").both_send(&[("/", "c")]);
}

#[test]
fn source_namespace_is_compared_with_the_clients_and_at_a_waypoint_with_its_own() {
    let shop = before("sourceNamespace: shop");
    shop.sends(View::Sidecar, &[("/", "b")]);
    shop.sends(View::Far, &[("/", "c")]);
    shop.sends(View::Waypoint, &[("/", "b")]);
    let shop = before("sourceNamespace: far");
    shop.sends(View::Sidecar, &[("/", "c")]);
    shop.sends(View::Far, &[("/", "b")]);
    shop.sends(View::Waypoint, &[("/", "c")]);
}

#[test]
fn port_is_compared_with_the_services() {
    before("port: 80").both_send(&[("/", "b")]);
    before("port: 81").both_send(&[("/", "c")]);
}

#[test]
fn gateways_of_a_match_must_name_the_mesh() {
    before("gateways: [mesh]").both_send(&[("/", "b")]);
    // The VirtualService itself must name a gateway that a match names.
    let shop = Shop::with(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: shop}
spec:
  hosts: [a]
  gateways: [mesh, edge]
  http:
  - {match: [{gateways: [edge]}], route: [{destination: {host: b}}]}
  - {route: [{destination: {host: c}}]}
",
    );
    shop.both_send(&[("/", "c")]);
}

#[test]
fn authority_of_a_match_is_compared_at_both() {
    before("authority: {exact: a.shop}").both_send(&[("/", "b")]);
    before("authority: {exact: other}").both_send(&[("/", "c")]);
}
