//! What else a rule does: choosing among destinations, headers, timeouts, retries, copies, CORS, faults.

use harness::oracle::{Outcome, Route};
use serde_json::{Value, json};

use super::scene::{Shop, View, refusal};

const VIEWS: [View; 2] = [View::Sidecar, View::Waypoint];

/// The matched route for `/` of a VirtualService's single rule, which goes to b.
#[track_caller]
fn before(view: View, rule: &str) -> Route {
    Shop::virtual_service(&format!(
        "[{{{rule}, route: [{{destination: {{host: b}}}}]}}]"
    ))
    .matched(view, "/")
}

/// The matched route for `/` of an HTTPRoute's single rule, which goes to b.
#[track_caller]
fn after(view: View, rule: &str) -> Route {
    Shop::route(&format!(
        "[{{{rule}, backendRefs: [{{name: b, port: 80}}]}}]"
    ))
    .matched(view, "/")
}

#[test]
fn weights_are_shares_alike() {
    let expected = [("/", "90 b, 10 c")];
    Shop::virtual_service(
        "[{route: [{destination: {host: b}, weight: 90}, {destination: {host: c}, weight: 10}]}]",
    )
    .both_send(&expected);
    Shop::route(
        "[{backendRefs: [{name: b, port: 80, weight: 90}, {name: c, port: 80, weight: 10}]}]",
    )
    .both_send(&expected);
}

#[test]
fn destination_of_weight_zero_among_others_gets_nothing() {
    Shop::virtual_service(
        "[{route: [{destination: {host: b}, weight: 100}, {destination: {host: c}, weight: 0}]}]",
    )
    .both_send(&[("/", "b")]);
    Shop::route(
        "[{backendRefs: [{name: b, port: 80, weight: 100}, {name: c, port: 80, weight: 0}]}]",
    )
    .both_send(&[("/", "b")]);
}

#[test]
fn single_destination_of_weight_zero_gets_everything_before_and_is_an_error_after() {
    Shop::virtual_service("[{route: [{destination: {host: b}, weight: 0}]}]")
        .both_send(&[("/", "b")]);
    Shop::route("[{backendRefs: [{name: b, port: 80, weight: 0}]}]").both_send(&[("/", "500")]);
}

#[test]
fn several_destinations_without_weights_are_refused_before_and_equal_after() {
    let why = refusal("[{route: [{destination: {host: b}}, {destination: {host: c}}]}]");
    assert!(why.contains("total destination weight = 0"), "{why}");
    Shop::route("[{backendRefs: [{name: b, port: 80}, {name: c, port: 80}]}]")
        .both_send(&[("/", "1 b, 1 c")]);
}

#[test]
fn destination_that_does_not_exist_is_an_error_500_after_and_503_before() {
    Shop::route("[{backendRefs: [{name: nowhere, port: 80}]}]")
        .both_send(&[("/", "nowhere missing 500")]);
    Shop::virtual_service("[{route: [{destination: {host: nowhere}}]}]")
        .both_send(&[("/", "nowhere missing 503")]);
    Shop::route("[{matches: [{path: {value: /}}]}]").both_send(&[("/", "500")]);
}

#[test]
fn timeouts_are_alike_and_none_unless_told() {
    for view in VIEWS {
        assert_eq!(before(view, "timeout: 1.5s").timeout, "1.5s", "{view:?}");
        assert_eq!(
            after(view, "timeouts: {request: 1500ms}").timeout,
            "1.5s",
            "{view:?}"
        );
        assert_eq!(before(view, "name: x").timeout, "0s", "{view:?}");
        assert_eq!(after(view, "name: x").timeout, "0s", "{view:?}");
        assert_eq!(
            after(view, "timeouts: {request: 0s}").timeout,
            "0s",
            "{view:?}"
        );
    }
    let why = refusal("[{timeout: 0s, route: [{destination: {host: b}}]}]");
    assert!(why.contains("duration must be greater than 1ms"), "{why}");
}

#[test]
fn time_for_a_backend_is_the_timeout_of_a_route_unless_it_retries() {
    for view in VIEWS {
        let alone = after(view, "timeouts: {request: 5s, backendRequest: 1s}");
        assert_eq!(
            (alone.timeout.as_str(), &alone.retry["per_try_timeout"]),
            ("1s", &Value::Null)
        );
        let with = after(
            view,
            "timeouts: {request: 5s, backendRequest: 1s}, retry: {attempts: 3}",
        );
        assert_eq!(
            (with.timeout.as_str(), &with.retry["per_try_timeout"]),
            ("5s", &json!("1s"))
        );
    }
}

const DEFAULT_CONDITIONS: &str =
    "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
const ROUTE_CONDITIONS: &str = "connect-failure,refused-stream,unavailable,cancelled";

#[test]
fn two_retries_are_the_default_of_both() {
    for view in VIEWS {
        for route in [before(view, "name: x"), after(view, "name: x")] {
            assert_eq!(
                retries(&route),
                (json!(2), json!(DEFAULT_CONDITIONS)),
                "{view:?}"
            );
        }
    }
}

/// How often and on what a route retries.
fn retries(route: &Route) -> (Value, Value) {
    (
        route.retry["num_retries"].clone(),
        route.retry["retry_on"].clone(),
    )
}

#[test]
fn empty_retries_are_off_before_and_two_after() {
    for view in VIEWS {
        assert_eq!(before(view, "retries: {}").retry, Value::Null, "{view:?}");
        assert_eq!(
            before(view, "retries: {attempts: 0}").retry,
            Value::Null,
            "{view:?}"
        );
        assert_eq!(
            retries(&after(view, "retry: {}")),
            (json!(2), json!(ROUTE_CONDITIONS)),
            "{view:?}"
        );
        assert_eq!(
            after(view, "retry: {attempts: 0}").retry,
            Value::Null,
            "{view:?}"
        );
    }
}

#[test]
fn retries_without_conditions_have_the_default_ones() {
    for view in VIEWS {
        assert_eq!(
            retries(&before(view, "retries: {attempts: 3}")),
            (json!(3), json!(DEFAULT_CONDITIONS)),
            "{view:?}"
        );
        assert_eq!(
            retries(&after(view, "retry: {attempts: 3}")),
            (json!(3), json!(ROUTE_CONDITIONS)),
            "{view:?}"
        );
    }
}

#[test]
fn conditions_replace_the_default_ones_before_and_codes_add_to_them_after() {
    for view in VIEWS {
        assert_eq!(
            retries(&before(
                view,
                "retries: {attempts: 3, retryOn: 'gateway-error,503'}"
            ))
            .1,
            "gateway-error,retriable-status-codes",
            "{view:?}"
        );
        let route = after(view, "retry: {attempts: 3, codes: [503]}");
        assert_eq!(
            retries(&route).1,
            "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
            "{view:?}"
        );
        assert_eq!(
            route.retry["retriable_status_codes"],
            json!([503]),
            "{view:?}"
        );
    }
}

#[test]
fn conditions_without_attempts_are_refused() {
    let why =
        refusal("[{retries: {attempts: 0, retryOn: 5xx}, route: [{destination: {host: b}}]}]");
    assert!(why.contains("attempts"), "{why}");
}

#[test]
fn service_without_any_rule_is_retried_alike_by_sidecars_and_waypoints() {
    let shop = Shop::with("{apiVersion: v1, kind: Namespace, metadata: {name: far}}");
    for view in VIEWS {
        let route = shop.matched(view, "/");
        assert_eq!(
            retries(&route),
            (json!(2), json!(DEFAULT_CONDITIONS)),
            "{view:?}"
        );
        assert_eq!(route.timeout, "0s", "{view:?}");
    }
}

#[test]
fn headers_of_a_request_are_set_added_and_removed_alike() {
    let rules = [
        Shop::virtual_service(
            "[{headers: {request: {set: {s: '1'}, add: {x: '2'}, remove: [r]}, response: {set: {t: '1'}}}, \
               route: [{destination: {host: b}}]}]",
        ),
        Shop::route(
            "[{filters: [\
                 {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: s, value: '1'}], add: [{name: x, value: '2'}], remove: [r]}}, \
                 {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: t, value: '1'}]}}], \
               backendRefs: [{name: b, port: 80}]}]",
        ),
    ];
    for shop in rules {
        for view in VIEWS {
            let outcome = shop.one(view, "/ s:0 x:0 r:0");
            assert_eq!(values(&outcome, "s"), ["1"], "{view:?}");
            assert_eq!(values(&outcome, "x"), ["0", "2"], "{view:?}");
            assert_eq!(values(&outcome, "r"), [""; 0], "{view:?}");
            assert_eq!(outcome.headers["t"], ["1"], "{view:?}");
        }
    }
}

/// The values of a header where the request arrived first.
fn values<'a>(outcome: &'a Outcome, name: &str) -> Vec<&'a str> {
    let headers = outcome.arrivals.first().map(|arrival| &arrival.headers);
    let values = headers.and_then(|headers| headers.get(name));
    values.into_iter().flatten().map(String::as_str).collect()
}

#[test]
fn headers_of_a_destination_are_set_alike() {
    let rules = [
        Shop::virtual_service(
            "[{route: [{destination: {host: b}, weight: 50, headers: {request: {set: {s: b}}}}, \
                       {destination: {host: c}, weight: 50}]}]",
        ),
        Shop::route(
            "[{backendRefs: [\
                 {name: b, port: 80, weight: 50, filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: s, value: b}]}}]}, \
                 {name: c, port: 80, weight: 50}]}]",
        ),
    ];
    for shop in rules {
        for view in VIEWS {
            let outcome = shop.one(view, "/ s:0");
            let seen: Vec<&str> = outcome
                .arrivals
                .iter()
                .flat_map(|arrival| &arrival.headers["s"])
                .map(String::as_str)
                .collect();
            assert_eq!(seen, ["b", "0"], "{view:?}");
        }
    }
}

#[test]
fn copies_go_to_the_same_places_in_the_same_shares() {
    for view in VIEWS {
        let whole = before(view, "mirror: {host: c}");
        assert_eq!(
            mirrors(&whole),
            [("c", json!({"numerator": 100}))],
            "{view:?}"
        );
        let whole = after(view, &mirror("name: c, port: 80", ""));
        assert_eq!(
            mirrors(&whole),
            [("c", json!({"numerator": 100}))],
            "{view:?}"
        );
        let half_a_percent = json!({"numerator": 5000, "denominator": "MILLION"});
        let part = before(
            view,
            "mirrors: [{destination: {host: c}, percentage: {value: 0.5}}]",
        );
        assert_eq!(mirrors(&part), [("c", half_a_percent.clone())], "{view:?}");
        let part = after(
            view,
            &mirror(
                "name: c, port: 80",
                ", fraction: {numerator: 5, denominator: 1000}",
            ),
        );
        assert_eq!(mirrors(&part), [("c", half_a_percent)], "{view:?}");
        let none = before(
            view,
            "mirrors: [{destination: {host: c}, percentage: {value: 0}}]",
        );
        assert_eq!(mirrors(&none), [], "{view:?}");
    }
}

fn mirror(to: &str, share: &str) -> String {
    format!("filters: [{{type: RequestMirror, requestMirror: {{backendRef: {{{to}}}{share}}}}}]")
}

/// Where copies go and the share of requests that are copied.
fn mirrors(route: &Route) -> Vec<(&str, Value)> {
    let each = route.mirrors.iter().map(|mirror| {
        let host = mirror
            .destination
            .host
            .split('.')
            .next()
            .unwrap_or_default();
        (host, mirror.fraction["default_value"].clone())
    });
    each.collect()
}

const PREFLIGHT: &str = "OPTIONS / origin:http://evil.example access-control-request-method:GET";

#[test]
fn preflight_of_a_foreign_origin_reaches_the_service_before_and_never_after() {
    let cors = "corsPolicy: {allowOrigins: [{exact: 'http://good.example'}]}";
    let rule = |policy: &str| {
        Shop::virtual_service(&format!(
            "[{{{policy}, route: [{{destination: {{host: b}}}}]}}]"
        ))
    };
    rule(cors).both_send(&[(PREFLIGHT, "b")]);
    rule(&cors.replace("]}", "], unmatchedPreflights: IGNORE}")).both_send(&[(PREFLIGHT, "200")]);
    cors_route("['http://good.example']").both_send(&[(PREFLIGHT, "200")]);
}

#[track_caller]
fn cors_route(origins: &str) -> Shop {
    Shop::route(&format!(
        "[{{filters: [{{type: CORS, cors: {{allowOrigins: {origins}}}}}], backendRefs: [{{name: b, port: 80}}]}}]"
    ))
}

#[test]
fn any_origin_is_any_text_before_and_a_well_formed_one_after() {
    let before = Shop::virtual_service(
        "[{corsPolicy: {allowOrigins: [{exact: '*'}]}, route: [{destination: {host: b}}]}]",
    );
    let after = cors_route("['*']");
    for view in VIEWS {
        for (origin, allowed) in [("http://x.example", [true, true]), ("null", [true, false])] {
            let line = format!("/ origin:{origin}");
            let found = [&before, &after].map(|shop| {
                let outcome = shop.one(view, &line);
                outcome.headers.contains_key("access-control-allow-origin")
            });
            assert_eq!(found, allowed, "{view:?} {origin}");
        }
    }
}

#[test]
fn faults_work_at_a_waypoint_too() {
    Shop::virtual_service(
        "[{fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, route: [{destination: {host: b}}]}]",
    )
    .both_send(&[("/", "418")]);
    for view in VIEWS {
        let route = before(
            view,
            "fault: {delay: {fixedDelay: 3s, percentage: {value: 10}}}",
        );
        let fault = &route.filters["envoy.filters.http.fault"];
        assert_eq!(fault["delay"]["fixed_delay"], "3s", "{view:?}");
    }
}

#[test]
fn direct_response_works_at_a_waypoint_too() {
    Shop::virtual_service("[{directResponse: {status: 403}}]").both_send(&[("/", "403")]);
}

#[test]
fn rewriting_by_an_expression_works_at_a_waypoint_too() {
    Shop::virtual_service(
        r"[{match: [{uri: {prefix: /a}}], rewrite: {uriRegexRewrite: {match: '/a/(\d+)', rewrite: '/x/\1'}}, route: [{destination: {host: b}}]}]",
    )
    .both_send(&[("/a/12", "b /x/12")]);
}
