//! One case a kind of policy and a place of it.

use super::*;

/// The policies that are made, and the weight of what is said of `p`.
fn outcome(parts: &[&str]) -> (Vec<String>, Fidelity) {
    let found = convert(parts);
    let object = named(Kind::AuthorizationPolicy, "p");
    let treatment = found.treatments.iter().find(|t| t.object == object);
    (
        made(&found),
        treatment.map_or(Fidelity::Exact, crate::translate::Treatment::fidelity),
    )
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_kind_of_policy_becomes_what_it_needs() {
    use Fidelity::{Equivalent, Exact, Kept, Refused};
    const PAY: &str = "selector: {matchLabels: {app: pay}}";
    let caller = "from: [{source: {principals: [cluster.local/ns/shop/sa/cart]}}]";
    let not_caller = "from: [{source: {notNamespaces: [ops]}}]";
    let port = "to: [{operation: {ports: ['8080']}}]";
    let method = "to: [{operation: {methods: [GET]}}]";
    for (routed, spec, expected, fidelity) in [
        // What ztunnel can judge and no waypoint stands before needs nothing.
        (
            false,
            format!("{PAY}, rules: [{{{caller}}}]"),
            vec![],
            Exact,
        ),
        (
            false,
            format!("{PAY}, action: DENY, rules: [{{{not_caller}}}]"),
            vec![],
            Exact,
        ),
        (false, String::new(), vec![], Exact),
        // Behind a waypoint the caller is seen there only.
        (
            true,
            format!("{PAY}, rules: [{{{caller}}}]"),
            vec!["pay-from-waypoint", "p-wp"],
            Equivalent,
        ),
        (
            true,
            format!("{PAY}, action: DENY, rules: [{{{caller}}}]"),
            vec!["p-wp"],
            Equivalent,
        ),
        (
            true,
            format!("{PAY}, action: DENY, rules: [{{{not_caller}}}]"),
            vec!["p-wp"],
            Equivalent,
        ),
        // A port is refused to everybody: ztunnel does that.
        (
            true,
            format!("{PAY}, action: DENY, rules: [{{{port}}}]"),
            vec![],
            Exact,
        ),
        (
            true,
            String::new(),
            vec!["pay-from-waypoint", "p-wp"],
            Equivalent,
        ),
        (
            false,
            format!("{PAY}, rules: [{{{method}}}]"),
            vec!["pay-from-waypoint", "p-wp"],
            Equivalent,
        ),
        (
            false,
            format!("{PAY}, action: DENY, rules: [{{{method}}}]"),
            vec!["pay-guard", "p-wp"],
            Equivalent,
        ),
        (
            false,
            format!("{PAY}, action: DENY, rules: [{{{method}}}, {{{port}}}]"),
            vec!["pay-guard", "p-l4", "p-wp"],
            Equivalent,
        ),
        (
            false,
            format!("{PAY}, rules: [{{{caller}, {method}}}, {{{port}}}]"),
            vec!["pay-from-waypoint", "p-l4", "p-wp"],
            Equivalent,
        ),
        (
            false,
            format!("{PAY}, action: AUDIT, rules: [{{{method}}}]"),
            vec!["p-wp"],
            Equivalent,
        ),
        (
            false,
            format!("{PAY}, action: CUSTOM, provider: {{name: x}}, rules: [{{{method}}}]"),
            vec!["pay-guard", "p-wp"],
            Equivalent,
        ),
        // For all of the namespace.
        (
            false,
            format!("action: DENY, rules: [{{{method}}}]"),
            vec!["shop-guard", "p-wp"],
            Equivalent,
        ),
        // What selects nothing, and what nobody would judge.
        (
            false,
            format!("selector: {{matchLabels: {{app: x}}}}, rules: [{{{method}}}]"),
            vec![],
            Kept,
        ),
        (
            false,
            format!("{PAY}, rules: [{{{method}, something: x}}]"),
            vec!["pay-from-waypoint"],
            Refused,
        ),
        (
            false,
            format!("{PAY}, rules: [{{to: [{{operation: {{verbs: [x]}}}}]}}]"),
            vec!["pay-from-waypoint"],
            Refused,
        ),
        (
            false,
            format!("targetRefs: [{{kind: Service, name: pay}}], rules: [{{{method}}}]"),
            vec![],
            Exact,
        ),
    ] {
        let line = policy(&format!("p {{{spec}}}"));
        let mut parts = vec![line.as_str()];
        if routed {
            parts.push(ROUTED);
        }
        let mut expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        expected.sort();
        assert_eq!(outcome(&parts), (expected, fidelity), "{routed} {spec}");
    }
}

#[test]
fn what_no_service_leads_to_is_refused_where_requests_are_read() {
    let job = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: job, namespace: shop}
spec: {template: {metadata: {labels: {app: job}}}}
";
    let read = policy(
        "p {selector: {matchLabels: {app: job}}, rules: [{to: [{operation: {methods: [GET]}}]}]}",
    );
    let found = convert(&[job, &read]);
    assert!(says(&found, "p", Topic::NoService, Weight::Refused));
    assert_eq!(made(&found), Vec::<String>::new());
    let named = policy(
        "p {selector: {matchLabels: {app: job}}, rules: [{from: [{source: {namespaces: [x]}}]}]}",
    );
    let found = convert(&[job, &named]);
    assert_eq!((made(&found), remarks(&found, "p").len()), (Vec::new(), 0));
}

#[test]
fn more_than_sixteen_services_need_more_than_one_policy() {
    let mut parts = Vec::new();
    for number in 0..20 {
        let line = format!(
            "s{number:02} {{selector: {{app: pay}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}"
        );
        parts.push(object("Service", "v1", &line));
    }
    parts.push(policy(
        "p {selector: {matchLabels: {app: pay}}, rules: [{to: [{operation: {methods: [GET]}}]}]}",
    ));
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let found = convert(&parts);
    let targets = |name: &str| {
        let spec = spec(&found, Phase::Prepare, name);
        spec["targetRefs"].as_array().map(Vec::len)
    };
    assert_eq!(
        (targets("p-wp"), targets("p-wp-2"), targets("p-wp-3")),
        (Some(16), Some(5), None)
    );
    assert_proven(&found);
}

#[test]
fn a_service_of_two_workloads_is_not_judged_by_the_policy_of_one() {
    let second = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay-v2, namespace: shop}
spec: {template: {metadata: {labels: {app: pay, version: v2}}}}
";
    let read = policy(
        "p {selector: {matchLabels: {version: v2}}, rules: [{to: [{operation: {methods: [GET]}}]}]}",
    );
    let found = convert(&[second, &read]);
    assert!(says(&found, "p", Topic::Targets, Weight::Refused));
}

#[test]
fn plug_ins_and_telemetries_go_to_the_waypoint() {
    let wasm = object(
        "WasmPlugin",
        "extensions.istio.io/v1alpha1",
        "w {selector: {matchLabels: {app: pay}}, url: 'oci://x', phase: AUTHN}",
    );
    let telemetry = object(
        "Telemetry",
        "telemetry.istio.io/v1",
        "t {selector: {matchLabels: {app: pay}}, accessLogging: [{disabled: true}]}",
    );
    let found = convert(&[&wasm, &telemetry]);
    let copy = spec_of(&found, Phase::Retire, Kind::WasmPlugin, "w-wp");
    assert_eq!(
        (&copy["url"], &copy["phase"]),
        (&"oci://x".into(), &"AUTHN".into())
    );
    assert_eq!(copy["targetRefs"][0]["name"], "pay");
    let copy = spec_of(&found, Phase::Retire, Kind::Telemetry, "t-wp");
    assert_eq!(copy["accessLogging"][0]["disabled"], true);
    assert!(!found.refuses());
}

#[test]
fn a_port_in_plain_text_is_said_so_that_ztunnel_knows() {
    let strict = object(
        "PeerAuthentication",
        "security.istio.io/v1",
        "default {mtls: {mode: STRICT}}",
    );
    let port = object(
        "PeerAuthentication",
        "security.istio.io/v1",
        "pay {selector: {matchLabels: {app: pay}}, portLevelMtls: {8080: {mode: DISABLE}}}",
    );
    let found = convert(&[&strict, &port]);
    let spec = spec_of(&found, Phase::Retire, Kind::PeerAuthentication, "pay");
    assert_eq!(spec["portLevelMtls"]["8080"]["mode"], "PERMISSIVE");
    assert!(!found.refuses(), "{:?}", found.treatments);
}

#[test]
fn what_is_translated_needs_nothing_more() {
    let wide = policy("wide {action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}");
    let mixed = policy(
        "p {selector: {matchLabels: {app: pay}}, rules: [{to: [{operation: {methods: [GET]}}]}, {from: [{source: {namespaces: [ops]}}]}]}",
    );
    let parts = [SHOP, wide.as_str(), mixed.as_str()];
    let before = mesh(&parts);
    let found = translate(&before, &shop(), &Options::default());
    // Everything that is there in the end: what changed, and what did not.
    let there = found.by_the_end_of(Phase::Retire);
    let text = crate::translate::written::stream(there);
    let again = translate(&mesh(&[&text, SERVICES_LEFT]), &shop(), &Options::default());
    let changes: Vec<&Change> = again.changes.iter().collect();
    assert_eq!(changes, Vec::<&Change>::new());
}

/// What a translation of [`SHOP`] leaves alone.
const SERVICES_LEFT: &str = "";

#[test]
fn what_has_no_name_of_its_own_cannot_change() {
    let line =
        "p- {selector: {matchLabels: {app: pay}}, rules: [{to: [{operation: {methods: [GET]}}]}]}";
    let nameless = policy(line).replace("{name:", "{generateName:");
    let found = convert(&[&nameless]);
    let object = named(Kind::AuthorizationPolicy, "p-*");
    let treatment = found.treatments.iter().find(|t| t.object == object);
    assert_eq!(
        treatment.map(crate::translate::Treatment::fidelity),
        Some(Fidelity::Refused)
    );
}
