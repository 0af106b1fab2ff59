//! Scenarios: what is at stake when a workload moves, each as a small mesh.

use serde_json::json;

use super::*;

const GET: &str = "pay {selector: {matchLabels: {app: pay}}, rules: [{from: [{source: \
    {principals: [cluster.local/ns/shop/sa/cart]}}], to: [{operation: {methods: [GET]}}]}, {from: \
    [{source: {serviceAccounts: [ops/scraper]}}], to: [{operation: {ports: ['9090']}}]}]}";

#[test]
fn an_allow_on_requests_moves_to_the_waypoint_and_the_scraper_keeps_its_way() {
    let found = convert(&[&policy(GET)]);
    assert_proven(&found);
    assert_eq!(made(&found), ["pay-from-waypoint", "pay-l4", "pay-wp"]);
    // The Service does not lead to the scraper's port.
    assert_eq!(
        spec(&found, Phase::Prepare, "pay-wp"),
        json!({
            "targetRefs": [{"group": "", "kind": "Service", "name": "pay"}],
            "rules": [{
                "from": [{"source": {"principals": ["cluster.local/ns/shop/sa/cart"]}}],
                "to": [{"operation": {"methods": ["GET"]}}],
            }],
        })
    );
    assert_eq!(
        spec(&found, Phase::Retire, "pay-from-waypoint"),
        json!({
            "action": "ALLOW",
            "selector": {"matchLabels": {"app": "pay"}},
            "rules": [{"from": [{"source": {"serviceAccounts": ["shop/waypoint"]}}]}],
        })
    );
    let narrowed = spec(&found, Phase::Prepare, "pay");
    assert_eq!(
        narrowed["selector"]["matchLabels"],
        json!({"app": "pay", "security.istio.io/tlsMode": "istio"})
    );
    assert_eq!(spec(&found, Phase::Retire, "pay"), Value::Null);
    assert_eq!(differences(&found), Vec::<String>::new());
}

const DELETE: &str = "pay {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{to: \
    [{operation: {methods: [DELETE]}}]}]}";

#[test]
fn a_deny_on_requests_needs_a_guard_that_matches_no_pod_with_a_sidecar() {
    let found = convert(&[&policy(DELETE)]);
    assert_eq!(made(&found), ["pay-guard", "pay-wp"]);
    assert_eq!(
        spec(&found, Phase::Prepare, "pay-guard"),
        json!({
            "action": "DENY",
            "selector": {"matchLabels": {"app": "pay", "sidecar.istio.io/inject": "false"}},
            "rules": [{"from": [{"source": {"notServiceAccounts": ["shop/waypoint"]}}]}],
        })
    );
    let last = spec(&found, Phase::Retire, "pay-guard");
    assert_eq!(last["selector"]["matchLabels"], json!({"app": "pay"}));
    assert!(says(&found, "pay", Topic::Guard, Weight::Stated));
    assert_proven(&found);
}

#[test]
fn a_guard_that_refuses_a_known_sidecar_is_asked_for() {
    let ops = "
apiVersion: v1
kind: Namespace
metadata: {name: ops, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tool, namespace: ops}
spec: {template: {metadata: {labels: {app: tool}}}}
";
    let refused = |options: &Options| {
        let found = convert_with(&[ops, &policy(DELETE)], options);
        let guard = remarks(&found, "pay")
            .iter()
            .find(|remark| remark.topic == Topic::Guard);
        let guard = guard.unwrap();
        assert!(
            guard.says.ends_with("1 workload with sidecars in ops"),
            "{}",
            guard.says
        );
        guard.weight
    };
    let mut options = Options::default();
    assert_eq!(refused(&options), Weight::Refused);
    options.guard = Some(crate::translate::options::Guard::Closed);
    assert_eq!(refused(&options), Weight::Stated);
    options.guard = None;
    options.accepted.insert(Topic::Guard);
    assert_eq!(refused(&options), Weight::Lossy);
}

#[test]
fn a_negative_identity_leaves_the_waypoint_out() {
    let deny = "pay {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{from: [{source: \
        {notPrincipals: [cluster.local/ns/shop/sa/cart]}}]}]}";
    let found = convert(&[ROUTED, &policy(deny)]);
    assert_proven(&found);
    assert_eq!(made(&found), ["pay-wp"]);
    let both = [
        "cluster.local/ns/shop/sa/cart",
        "cluster.local/ns/shop/sa/waypoint",
    ];
    assert_eq!(
        spec(&found, Phase::Retire, "pay")["rules"][0]["from"][0]["source"]["notPrincipals"],
        json!(both)
    );
    assert_eq!(differences(&found), Vec::<String>::new());
}

#[test]
fn a_named_caller_stays_refused_through_the_waypoint() {
    let deny = "pay {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{from: [{source: \
        {principals: [cluster.local/ns/shop/sa/evil]}}]}]}";
    let found = convert(&[ROUTED, &policy(deny)]);
    assert_proven(&found);
    assert_eq!(made(&found), ["pay-wp"]);
    // Nothing is done to the original: the waypoint is not whom it names.
    assert_eq!(spec(&found, Phase::Retire, "pay"), Value::Null);
    assert!(
        !found
            .changes
            .iter()
            .any(|change| *change.edit.object() == named(Kind::AuthorizationPolicy, "pay"))
    );
    assert_eq!(differences(&found), Vec::<String>::new());
}

#[test]
fn a_missing_token_behind_the_waypoint_refuses_nobody() {
    let tokens = object(
        "RequestAuthentication",
        "security.istio.io/v1",
        "jwt {selector: {matchLabels: {app: pay}}, jwtRules: [{issuer: i, jwksUri: 'https://i'}]}",
    );
    let deny = "pay {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{from: [{source: \
        {notRequestPrincipals: ['*']}}]}]}";
    let found = convert(&[&tokens, &policy(deny)]);
    assert_proven(&found);
    assert_eq!(
        spec(&found, Phase::Prepare, "pay")["rules"][0]["from"][0]["source"],
        json!({"notRequestPrincipals": ["*"], "notServiceAccounts": ["shop/waypoint"]})
    );
    let copy = spec_of(
        &found,
        Phase::Prepare,
        Kind::RequestAuthentication,
        "jwt-wp",
    );
    assert_eq!(
        copy["targetRefs"],
        spec(&found, Phase::Prepare, "pay-wp")["targetRefs"]
    );
    assert_eq!(copy["jwtRules"][0]["issuer"], "i");
}

#[test]
fn an_open_guard_judges_by_identity_and_rules_on_connections_stay() {
    let options = Options {
        guard: Some(crate::translate::options::Guard::Open),
        accepted: BTreeSet::from([Topic::Guard]),
        ..Options::default()
    };
    let deny = "deny {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{to: [{operation: \
        {ports: ['9090']}}]}, {to: [{operation: {methods: [DELETE]}}]}]}";
    let found = convert_with(&[&policy(GET), &policy(deny)], &options);
    let made = made(&found);
    assert!(made.contains(&"deny-l4".to_owned()), "{made:?}");
    let open = made.iter().find(|name| name.ends_with("-guard")).unwrap();
    assert_eq!(
        spec(&found, Phase::Prepare, open),
        json!({
            "action": "ALLOW",
            "selector": {"matchLabels": {"app": "pay", "sidecar.istio.io/inject": "false"}},
            "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/cart"]}}]}],
        })
    );
    assert!(says(&found, "pay", Topic::Guard, Weight::Lossy));
    assert!(!found.refuses(), "{:?}", found.treatments);
}

#[test]
fn ports_and_methods_in_one_operation_are_narrowed() {
    let deny = "pay {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{to: [{operation: \
        {ports: ['8080'], methods: [POST]}}]}]}";
    let found = convert(&[&policy(deny)]);
    assert_proven(&found);
    assert_eq!(
        spec(&found, Phase::Prepare, "pay-wp")["rules"],
        json!([{"to": [{"operation": {"ports": ["80"], "methods": ["POST"]}}]}])
    );
    assert_eq!(spec(&found, Phase::Retire, "pay"), Value::Null);
}

#[test]
fn services_with_other_ports_get_copies_of_their_own() {
    let second = object(
        "Service",
        "v1",
        "pay-admin {selector: {app: pay}, ports: [{name: http, port: 8080}, {name: http-b, port: 81, targetPort: 9090}]}",
    );
    let deny = "pay {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{to: [{operation: \
        {ports: ['8080'], methods: [POST]}}]}]}";
    let found = convert(&[&second, &policy(deny)]);
    assert_proven(&found);
    let port = |name: &str| {
        let spec = spec(&found, Phase::Prepare, name);
        (
            spec["targetRefs"][0]["name"].clone(),
            spec["rules"][0]["to"][0]["operation"]["ports"][0].clone(),
        )
    };
    assert_eq!(port("pay-wp"), (json!("pay"), json!("80")));
    assert_eq!(port("pay-wp-2"), (json!("pay-admin"), json!("8080")));
}

#[test]
fn deny_by_default_is_on_the_waypoint_before_anyone_is_bound() {
    let nothing = "default {}";
    let found = convert(&[ROUTED, &policy(nothing), &policy(GET)]);
    assert_proven(&found);
    let copy = spec(&found, Phase::Prepare, "default-wp");
    assert_eq!(copy["targetRefs"][0]["kind"], "Gateway", "{copy}");
    assert_eq!(copy.get("rules"), None);
    assert_eq!(spec(&found, Phase::Retire, "default"), Value::Null);
    assert_eq!(differences(&found), Vec::<String>::new());
}

const GATEWAY: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: edge, namespace: shop}
spec:
  template:
    metadata:
      labels: {istio: ingressgateway, app: edge}
      annotations: {inject.istio.io/templates: gateway}
";

#[test]
fn a_policy_for_the_namespace_goes_on_at_its_gateway() {
    let wide = "wide {action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}";
    let found = convert(&[GATEWAY, &policy(wide)]);
    assert_proven(&found);
    let at_gateway = spec(&found, Phase::Retire, "wide-edge");
    assert_eq!(
        at_gateway["selector"]["matchLabels"]["app"],
        "edge",
        "{:?}",
        made(&found)
    );
    assert_eq!(
        at_gateway["rules"],
        json!([{"to": [{"operation": {"paths": ["/admin*"]}}]}])
    );
    assert_eq!(
        spec(&found, Phase::Prepare, "wide")["selector"]["matchLabels"],
        json!({"security.istio.io/tlsMode": "istio"})
    );
    assert_eq!(
        spec(&found, Phase::Prepare, "wide-wp")["targetRefs"][0]["kind"],
        "Gateway"
    );
}

#[test]
fn a_policy_of_the_mesh_is_not_touched() {
    let wide = "istio-system/wide {rules: [{to: [{operation: {methods: [GET]}}]}]}";
    let found = convert(&[&policy(wide)]);
    assert_proven(&found);
    let root = named(Kind::AuthorizationPolicy, "istio-system/wide");
    assert!(
        !found
            .changes
            .iter()
            .any(|change| *change.edit.object() == root)
    );
    assert!(says(
        &found,
        "istio-system/wide",
        Topic::WidePolicy,
        Weight::Stated
    ));
    assert_eq!(
        spec(&found, Phase::Retire, "wide-wp")["targetRefs"][0]["kind"],
        "Gateway"
    );
    assert_eq!(differences(&found), Vec::<String>::new());
}

#[test]
fn who_is_admitted_for_the_mesh_does_not_get_past_the_guard() {
    let ops = "istio-system/ops {rules: [{from: [{source: {namespaces: [ops]}}]}]}";
    let found = convert(&[&policy(ops), &policy(DELETE)]);
    assert_proven(&found);
    assert!(made(&found).iter().any(|name| name.ends_with("-guard")));
    assert_eq!(differences(&found), Vec::<String>::new());
}

const ACME: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: 'trustDomain: acme'}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, namespace: istio-system, labels: {app: istiod, istio.io/rev: default}}
spec:
  template:
    metadata: {labels: {app: istiod}}
    spec: {containers: [{name: discovery, image: 'istio/pilot:1.27.1'}]}
";

#[test]
fn ztunnel_is_given_the_trust_domain_that_it_knows() {
    let deny = "pay {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{from: [{source: \
        {principals: [cluster.local/ns/shop/sa/evil]}}]}]}";
    for routed in [false, true] {
        let mut parts = vec![ACME];
        let deny = policy(deny);
        parts.push(&deny);
        if routed {
            parts.push(ROUTED);
        }
        let found = convert(&parts);
        assert_proven(&found);
        assert_eq!(
            spec(&found, Phase::Retire, "pay")["rules"][0]["from"][0]["source"]["principals"],
            json!(["cluster.local/ns/shop/sa/evil", "acme/ns/shop/sa/evil"])
        );
        assert!(says(&found, "pay", Topic::TrustDomain, Weight::Form));
    }
}

#[test]
fn trust_domains_are_judged_at_the_waypoint() {
    let allow = "pay {selector: {matchLabels: {app: pay}}, rules: [{from: [{source: {namespaces: \
        [shop], notTrustDomains: [evil]}}]}]}";
    let found = convert(&[&policy(allow)]);
    assert_proven(&found);
    assert_eq!(made(&found), ["pay-from-waypoint", "pay-wp"]);
    assert_eq!(spec(&found, Phase::Retire, "pay"), Value::Null);
}

#[test]
fn an_authorizer_is_asked_at_the_waypoint() {
    let custom = "pay {selector: {matchLabels: {app: pay}}, action: CUSTOM, provider: {name: ext}, \
        rules: [{to: [{operation: {paths: ['/admin*']}}]}]}";
    let found = convert(&[&policy(custom)]);
    assert_proven(&found);
    assert_eq!(made(&found), ["pay-guard", "pay-wp"]);
    assert_eq!(
        spec(&found, Phase::Prepare, "pay-wp")["provider"]["name"],
        "ext"
    );
    // A waypoint cannot be left out of CUSTOM: validation refuses identities there.
    assert_eq!(
        spec(&found, Phase::Prepare, "pay")["rules"],
        json!([{"to": [{"operation": {"paths": ["/admin*"]}}]}])
    );
    assert!(says(&found, "pay", Topic::CustomOrAudit, Weight::Stated));
}

#[test]
fn a_second_service_that_opted_out_is_no_way_around() {
    let second = "
apiVersion: v1
kind: Service
metadata: {name: pay-too, namespace: shop, labels: {istio.io/use-waypoint: none}}
spec: {selector: {app: pay}, ports: [{name: http, port: 80, targetPort: 8080}]}
";
    let found = convert(&[second, &policy(DELETE)]);
    assert!(says(&found, "pay", Topic::Waypoint, Weight::Refused));
    assert_eq!(spec(&found, Phase::Prepare, "pay"), Value::Null);
}

const REWRITE: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec:
  hosts: [pay]
  http:
  - match: [{uri: {prefix: /api}}]
    rewrite: {uri: /v1}
    route: [{destination: {host: pay}}]
  - route: [{destination: {host: pay}}]
";

#[test]
fn paths_are_said_as_callers_write_them() {
    let deny = policy(
        "pay {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{to: [{operation: {paths: ['/v1/admin*']}}]}]}",
    );
    let found = convert(&[REWRITE, &deny]);
    assert_proven(&found);
    assert_eq!(
        spec(&found, Phase::Prepare, "pay-wp")["rules"],
        json!([{"to": [{"operation": {"paths": ["/api/admin*", "/v1/admin*"]}}]}])
    );
    assert_eq!(differences(&found), Vec::<String>::new());
    // As it is written it would be another policy.
    let whole = mesh(&[SHOP, REWRITE, &deny]);
    let mut verbatim = outline(&whole, &shop(), &Options::default());
    for change in &mut verbatim.changes {
        if let Edit::Create(manifest) = &mut change.edit
            && *manifest.object().name == *"pay-wp"
        {
            let rules =
                json!({"spec": {"rules": [{"to": [{"operation": {"paths": ["/v1/admin*"]}}]}]}});
            *manifest = manifest.patched(&rules);
        }
    }
    let judged = compared(&whole, &shop(), &Options::default(), verbatim);
    assert!(judged.refuses());
    assert!(!differences(&judged).is_empty());
}

#[test]
fn what_a_route_writes_is_not_read_before_it_is_written() {
    let header = REWRITE.replace(
        "rewrite: {uri: /v1}",
        "headers: {request: {set: {x-env: a}}}",
    );
    let host = REWRITE.replace("rewrite: {uri: /v1}", "rewrite: {authority: other}");
    let regex = REWRITE.replace(
        "rewrite: {uri: /v1}",
        "rewrite: {uriRegexRewrite: {match: '/api/(.*)', rewrite: '/\\1'}}",
    );
    for (route, rule) in [
        (
            &header,
            "when: [{key: 'request.headers[X-Env]', values: [a]}]",
        ),
        (&host, "to: [{operation: {hosts: [other]}}]"),
        (&regex, "to: [{operation: {paths: ['/admin*']}}]"),
        (
            &REWRITE.to_owned(),
            "to: [{operation: {paths: ['*/admin']}}]",
        ),
    ] {
        let deny = format!(
            "pay {{selector: {{matchLabels: {{app: pay}}}}, action: DENY, rules: [{{{rule}}}]}}"
        );
        let found = convert(&[route, &policy(&deny)]);
        assert!(
            says(&found, "pay", Topic::RewrittenRequests, Weight::Refused),
            "{rule}"
        );
        assert_eq!(spec(&found, Phase::Prepare, "pay-wp"), Value::Null);
    }
    // What is not read may be written.
    let deny = policy(
        "pay {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{to: [{operation: {methods: [PUT]}}]}]}",
    );
    assert_proven(&convert(&[&header, &deny]));
}

#[test]
fn who_comes_by_the_route_of_another_service_is_judged_there() {
    let route = ROUTED.replace("pay", "cart").replace(
        "http: [",
        "http: [{match: [{uri: {prefix: /pay}}], route: [{destination: {host: pay}}]}, ",
    );
    let mirror = ROUTED
        .replace("pay", "cart")
        .replace("{timeout: 1s, ", "{timeout: 1s, mirror: {host: pay}, ");
    for route in [route, mirror] {
        let found = convert(&[&route, &policy(DELETE)]);
        assert!(
            says(&found, "pay", Topic::OtherRoutes, Weight::Refused),
            "{:?}",
            remarks(&found, "pay")
        );
        // One that judges both is attached to both.
        let wide = "wide {action: DENY, rules: [{to: [{operation: {methods: [DELETE]}}]}]}";
        let found = convert(&[&route, &policy(wide)]);
        assert_proven(&found);
        assert_eq!(differences(&found), Vec::<String>::new());
    }
}

#[test]
fn the_services_of_subsets_are_judged_before_anyone_is_led_to_them() {
    let subsets = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pay, namespace: shop}
spec:
  host: pay
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec:
  hosts: [pay]
  http:
  - match: [{headers: {x-test: {exact: a}}}]
    route: [{destination: {host: pay, subset: v2}}]
  - route: [{destination: {host: pay, subset: v1}}]
";
    let found = convert(&[subsets, &policy(DELETE)]);
    assert_proven(&found);
    let copy = spec(&found, Phase::Prepare, "pay-wp");
    let targets = copy["targetRefs"].as_array().unwrap().iter();
    let targets: Vec<&str> = targets
        .filter_map(|target| target["name"].as_str())
        .collect();
    assert_eq!(targets, ["pay", "pay-v1", "pay-v2"]);
    let services = found
        .proofs
        .calls
        .iter()
        .filter_map(|proof| proof.service.as_ref());
    assert_eq!(
        services
            .filter(|service| service.name.starts_with("pay-v"))
            .count(),
        2
    );
}
