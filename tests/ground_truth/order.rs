//! Which of several rules takes a request.

use super::scene::{Shop, View, route, virtual_service};

/// An HTTPRoute of two rules, to b and to c.
#[track_caller]
fn two(first: &str, second: &str) -> Shop {
    Shop::route(&format!(
        "[{{matches: [{first}], backendRefs: [{{name: b, port: 80}}]}}, \
          {{matches: [{second}], backendRefs: [{{name: c, port: 80}}]}}]"
    ))
}

#[test]
fn virtual_services_first_rule_wins_in_the_order_of_the_list() {
    Shop::virtual_service(
        "[{match: [{uri: {prefix: /a}}], route: [{destination: {host: b}}]}, \
          {match: [{uri: {exact: /a/x}}], route: [{destination: {host: c}}]}, \
          {route: [{destination: {host: d}}]}]",
    )
    .both_send(&[("/a/x", "b"), ("/a", "b"), ("/", "d")]);
}

#[test]
fn rules_after_one_without_a_match_are_never_reached() {
    Shop::virtual_service(
        "[{route: [{destination: {host: b}}]}, \
          {match: [{uri: {exact: /x}}], route: [{destination: {host: c}}]}]",
    )
    .both_send(&[("/x", "b"), ("/", "b")]);
}

#[test]
fn the_same_two_rules_as_one_route_swap() {
    two(
        "{path: {type: PathPrefix, value: /a}}",
        "{path: {type: Exact, value: /a/x}}",
    )
    .both_send(&[("/a/x", "c"), ("/a", "b")]);
}

#[test]
fn routes_rules_are_sorted_by_kind_of_path() {
    two(
        "{path: {type: RegularExpression, value: '/aaaaaaaaaaaaa|/a.*'}}",
        "{path: {type: PathPrefix, value: /a}}",
    )
    .both_send(&[("/a/x", "c")]);
    two(
        "{path: {type: RegularExpression, value: '/aaaaaaaaaaaaa|/a.*'}}",
        "{path: {type: Exact, value: /a}}",
    )
    .both_send(&[("/a", "c")]);
    two(
        "{path: {type: PathPrefix, value: /a}}",
        "{path: {type: Exact, value: /a}}",
    )
    .both_send(&[("/a", "c")]);
}

#[test]
fn kind_of_path_beats_headers_methods_and_query() {
    two(
        "{path: {type: RegularExpression, value: '/a.*'}, method: GET, headers: [{name: x, value: v}], queryParams: [{name: q, value: r}]}",
        "{path: {type: PathPrefix, value: /}}",
    )
    .both_send(&[("/a?q=r x:v", "c")]);
}

#[test]
fn match_without_a_path_is_the_root_prefix_and_beats_every_expression() {
    two(
        "{path: {type: RegularExpression, value: '/a.*'}}",
        "{headers: [{name: x, value: v}]}",
    )
    .both_send(&[("/a x:v", "c"), ("/a", "b")]);
    // So does a rule without matches: a string prefix written as an expression is lost to the catch-all after it.
    Shop::route(
        "[{matches: [{path: {type: RegularExpression, value: '/api.*'}}], backendRefs: [{name: b, port: 80}]}, \
          {backendRefs: [{name: c, port: 80}]}]",
    )
    .both_send(&[("/api", "c"), ("/", "c")]);
}

#[test]
fn longer_path_goes_first() {
    two(
        "{path: {type: PathPrefix, value: /a}}",
        "{path: {type: PathPrefix, value: /a/b}}",
    )
    .both_send(&[("/a/b", "c"), ("/a/c", "b")]);
    two(
        "{path: {type: RegularExpression, value: '/a.*'}}",
        "{path: {type: RegularExpression, value: '/a/b.*'}}",
    )
    .both_send(&[("/a/b", "c"), ("/a/c", "b")]);
    two(
        "{path: {type: PathPrefix, value: /a}, method: GET, headers: [{name: x, value: v}]}",
        "{path: {type: PathPrefix, value: /a/b}}",
    )
    .both_send(&[("/a/b x:v", "c")]);
}

#[test]
fn length_of_a_prefix_is_without_its_last_slash() {
    // With the slash the first would be longer; without, the method decides.
    two(
        "{path: {type: PathPrefix, value: /a/}}",
        "{path: {type: PathPrefix, value: /a}, method: GET}",
    )
    .both_send(&[("/a/x", "c"), ("POST /a/x", "b")]);
}

#[test]
fn length_of_an_expression_is_in_bytes() {
    // Six characters in six bytes against five characters in seven.
    two(
        "{path: {type: RegularExpression, value: '/x|abc'}}",
        "{path: {type: RegularExpression, value: '/x|éé'}}",
    )
    .both_send(&[("/x", "c")]);
}

#[test]
fn method_then_headers_then_query_decide_among_equal_paths() {
    two(
        "{headers: [{name: x, value: v}, {name: z, value: v}]}",
        "{method: GET}",
    )
    .both_send(&[("/ x:v z:v", "c")]);
    two(
        "{queryParams: [{name: q, value: r}, {name: s, value: t}]}",
        "{headers: [{name: x, value: v}]}",
    )
    .both_send(&[("/?q=r&s=t x:v", "c")]);
    two(
        "{headers: [{name: x, value: v}]}",
        "{headers: [{name: x, value: v}, {name: z, value: v}]}",
    )
    .both_send(&[("/ x:v z:v", "c")]);
    two(
        "{queryParams: [{name: q, value: r}]}",
        "{queryParams: [{name: q, value: r}, {name: s, value: t}]}",
    )
    .both_send(&[("/?q=r&s=t", "c")]);
}

#[test]
fn rules_that_are_equal_keep_their_order() {
    two(
        "{headers: [{name: x, value: v}]}",
        "{headers: [{name: z, value: v}]}",
    )
    .both_send(&[("/ x:v z:v", "b")]);
    two(
        "{path: {type: RegularExpression, value: '/a.*'}}",
        "{path: {type: RegularExpression, value: '/.*a'}}",
    )
    .both_send(&[("/aa", "b")]);
}

#[test]
fn lengthening_an_expression_moves_it_up_and_changes_nothing_else() {
    two(
        "{path: {type: RegularExpression, value: '/a.*'}}",
        "{path: {type: RegularExpression, value: '(?:/.*a)'}}",
    )
    .both_send(&[("/aa", "c"), ("/ab", "b"), ("/ba", "c")]);
}

/// Two HTTPRoutes for a, created at the given seconds.
#[track_caller]
fn routes(first: (&str, u32, &str), second: (&str, u32, &str)) -> Shop {
    let one = |(name, second, rules): (&str, u32, &str)| {
        format!(
            "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}, namespace: shop, creationTimestamp: '2026-03-01T00:00:{second:02}Z'}}
spec: {{parentRefs: [{{group: '', kind: Service, name: a}}], rules: {rules}}}
"
        )
    };
    Shop::with(&format!("{}---{}", one(first), one(second)))
}

const TO_B: &str = "[{backendRefs: [{name: b, port: 80}]}]";
const TO_C: &str = "[{backendRefs: [{name: c, port: 80}]}]";
const X_TO_C: &str =
    "[{matches: [{path: {type: Exact, value: /x}}], backendRefs: [{name: c, port: 80}]}]";

#[test]
fn several_routes_of_a_service_are_one_table() {
    routes(("r1", 1, TO_B), ("r2", 2, X_TO_C)).both_send(&[("/x", "c"), ("/", "b")]);
}

#[test]
fn older_route_wins_a_tie_then_the_name() {
    routes(("r1", 2, TO_B), ("r2", 1, TO_C)).both_send(&[("/", "c")]);
    routes(("r1", 1, TO_B), ("r2", 2, TO_C)).both_send(&[("/", "b")]);
    routes(("r2", 1, TO_B), ("r1", 1, TO_C)).both_send(&[("/", "c")]);
}

/// Two VirtualServices for a; the older takes `/b` to b, the younger `/c` to c and the rest to d.
fn two_virtual_services() -> Shop {
    let one = |name: &str, second: u32, http: &str| {
        virtual_service("a", http).replace(
            "metadata: {name: a,",
            &format!(
                "metadata: {{name: {name}, creationTimestamp: '2026-03-01T00:00:{second:02}Z',"
            ),
        )
    };
    Shop::with(&format!(
        "{}---{}",
        one(
            "younger",
            2,
            "[{match: [{uri: {prefix: /c}}], route: [{destination: {host: c}}]}, {route: [{destination: {host: d}}]}]"
        ),
        one(
            "older",
            1,
            "[{match: [{uri: {prefix: /b}}], route: [{destination: {host: b}}]}]"
        ),
    ))
}

#[test]
fn of_several_virtual_services_a_sidecar_takes_the_oldest_only() {
    for view in [View::Sidecar, View::Far] {
        two_virtual_services().sends(view, &[("/b", "b"), ("/c", "404"), ("/", "404")]);
    }
}

#[test]
fn of_several_virtual_services_a_waypoint_takes_all_one_after_the_other() {
    two_virtual_services().sends(View::Waypoint, &[("/b", "b"), ("/c", "c"), ("/", "d")]);
}

/// A VirtualService and an HTTPRoute for a, either of which is older.
fn mixed(virtual_service_first: bool) -> Shop {
    let service = virtual_service(
        "a",
        "[{match: [{uri: {prefix: /x}}], route: [{destination: {host: b}}]}, {route: [{destination: {host: d}}]}]",
    );
    let route = route(
        "a",
        "[{matches: [{path: {type: Exact, value: /x/y}}], backendRefs: [{name: c, port: 80}]}]",
    );
    Shop::with(&if virtual_service_first {
        format!("{service}---{route}")
    } else {
        format!("{route}---{service}")
    })
}

#[test]
fn of_a_route_and_a_virtual_service_a_waypoint_takes_both_the_route_first() {
    for older in [true, false] {
        mixed(older).sends(View::Waypoint, &[("/x/y", "c"), ("/x", "b"), ("/", "d")]);
    }
}

#[test]
fn of_a_route_and_a_virtual_service_a_sidecar_beside_the_service_takes_the_route_only() {
    for older in [true, false] {
        mixed(older).sends(View::Sidecar, &[("/x/y", "c"), ("/x", "404"), ("/", "404")]);
    }
}

#[test]
fn of_a_route_and_a_virtual_service_a_sidecar_elsewhere_takes_the_older_only() {
    mixed(true).sends(View::Far, &[("/x/y", "b"), ("/x", "b"), ("/", "d")]);
    mixed(false).sends(View::Far, &[("/x/y", "c"), ("/x", "404"), ("/", "404")]);
}
