//! What ztunnel is told of policies: it is not run, but what reaches it decides what it can do.
//!
//! Its form of a policy is any of the groups, each all of its rules, each any of its matches. ztunnel leaves out matches without fields,
//! and a rule with nothing but such matches is false (ztunnel, `src/rbac.rs`).

use harness::oracle::{Manifests, Oracle, Policy, Ztunnel};
use serde_json::{Value, json};

/// What ztunnel receives of these manifests.
#[track_caller]
fn receives(yaml: &str, mesh_config: &str) -> Ztunnel {
    match Oracle::shared().translate(&Manifests::new(yaml).mesh_config(mesh_config)) {
        Ok(translation) => translation.ztunnel,
        Err(error) => panic!("{error}"),
    }
}

/// A policy of namespace shop as ztunnel receives it.
#[track_caller]
fn policy(spec: &str) -> Option<Policy> {
    let yaml = format!(
        "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: p, namespace: shop}}
spec: {spec}
"
    );
    receives(&yaml, "").policy("shop", "p").cloned()
}

/// The action and the groups that ztunnel receives of a policy of this action and these rules.
#[track_caller]
fn becomes(action: &str, rules: &str) -> Value {
    match policy(&format!("{{action: {action}, rules: {rules}}}")) {
        Some(policy) => {
            assert_eq!(policy.action, action);
            policy.groups()
        }
        None => Value::Null,
    }
}

/// A match of a namespace.
fn namespace(name: &str) -> Value {
    json!({"namespaces": [{"exact": name}]})
}

#[test]
fn rule_without_conditions_arrives_as_a_group_without_rules_and_no_rule_as_no_group() {
    for action in ["ALLOW", "DENY"] {
        assert_eq!(becomes(action, "[{}]"), json!([[]]));
    }
    assert_eq!(becomes("ALLOW", "[]"), json!([]));
}

#[test]
fn allow_rule_with_any_http_condition_is_left_out_whole() {
    for rules in [
        "[{to: [{operation: {methods: [GET]}}]}]",
        "[{from: [{source: {namespaces: [x]}}], to: [{operation: {methods: [GET]}}]}]",
        "[{to: [{operation: {methods: [GET]}}, {operation: {ports: ['80']}}]}]",
        "[{from: [{source: {namespaces: [x]}}], when: [{key: 'request.headers[x]', values: [a]}]}]",
        "[{from: [{source: {requestPrincipals: ['*']}}]}]",
        "[{from: [{source: {remoteIpBlocks: [1.2.3.4]}}]}]",
    ] {
        // An ALLOW that admits nobody.
        assert_eq!(becomes("ALLOW", rules), json!([]), "{rules}");
    }
    let mixed = "[{to: [{operation: {methods: [GET]}}]}, {from: [{source: {namespaces: [x]}}]}]";
    assert_eq!(becomes("ALLOW", mixed), json!([[[namespace("x")]]]));
}

#[test]
fn deny_with_only_an_http_condition_arrives_as_a_match_of_nothing() {
    for rules in [
        "[{to: [{operation: {methods: [GET]}}]}]",
        "[{to: [{operation: {hosts: [x]}}]}]",
        "[{to: [{operation: {paths: ['/x']}}]}]",
        "[{from: [{source: {notRequestPrincipals: ['*']}}]}]",
        "[{when: [{key: 'request.headers[x]', values: [a]}]}]",
    ] {
        assert_eq!(becomes("DENY", rules), json!([[[{}]]]), "{rules}");
    }
}

#[test]
fn deny_with_an_http_condition_beside_a_source_keeps_a_rule_that_is_never_true() {
    let principal = json!({"principals": [{"exact": "cluster.local/ns/x/sa/y"}]});
    assert_eq!(
        becomes(
            "DENY",
            "[{from: [{source: {principals: [cluster.local/ns/x/sa/y]}}], to: [{operation: {methods: [GET]}}]}]"
        ),
        json!([[[{}], [principal]]])
    );
    assert_eq!(
        becomes(
            "DENY",
            "[{from: [{source: {namespaces: [x]}}], when: [{key: 'request.headers[x]', values: [a]}]}]"
        ),
        json!([[[namespace("x")], [{}]]])
    );
}

#[test]
fn deny_with_an_http_condition_in_the_same_operation_or_source_fires_too_broadly() {
    assert_eq!(
        becomes(
            "DENY",
            "[{to: [{operation: {methods: [GET], ports: ['80']}}]}]"
        ),
        json!([[[{"destination_ports": [80]}]]])
    );
    assert_eq!(
        becomes(
            "DENY",
            "[{from: [{source: {namespaces: [x], notRequestPrincipals: ['*']}}]}]"
        ),
        json!([[[namespace("x")]]])
    );
}

#[test]
fn deny_with_several_operations_keeps_those_without_http_conditions() {
    assert_eq!(
        becomes(
            "DENY",
            "[{to: [{operation: {methods: [GET]}}, {operation: {ports: ['80']}}]}]"
        ),
        json!([[[{}, {"destination_ports": [80]}]]])
    );
    let mixed = "[{to: [{operation: {methods: [GET]}}]}, {from: [{source: {namespaces: [x]}}]}]";
    assert_eq!(becomes("DENY", mixed), json!([[[{}]], [[namespace("x")]]]));
}

#[test]
fn five_conditions_are_of_connections() {
    for (key, value, arrives) in [
        (
            "source.ip",
            "1.2.3.4",
            json!({"source_ips": [{"address": "AQIDBA==", "length": 32}]}),
        ),
        ("source.namespace", "x", namespace("x")),
        (
            "source.principal",
            "td/ns/a/sa/b",
            json!({"principals": [{"exact": "td/ns/a/sa/b"}]}),
        ),
        (
            "destination.ip",
            "1.2.3.4",
            json!({"destination_ips": [{"address": "AQIDBA==", "length": 32}]}),
        ),
        (
            "destination.port",
            "'80'",
            json!({"destination_ports": [80]}),
        ),
    ] {
        let rules = format!("[{{when: [{{key: {key}, values: [{value}]}}]}}]");
        for action in ["ALLOW", "DENY"] {
            assert_eq!(
                becomes(action, &rules),
                json!([[[arrives]]]),
                "{action} {key}"
            );
        }
    }
}

#[test]
fn every_other_condition_is_of_http() {
    for (key, value) in [
        ("source.serviceAccount", "a/b"),
        ("source.trustDomain", "td"),
        ("connection.sni", "x"),
        ("remote.ip", "1.2.3.4"),
        ("request.auth.principal", "x"),
        ("'request.headers[x]'", "x"),
        ("'request.auth.claims[x]'", "x"),
    ] {
        let rules = format!("[{{when: [{{key: {key}, values: [{value}]}}]}}]");
        assert_eq!(becomes("ALLOW", &rules), json!([]), "{key}");
        assert_eq!(becomes("DENY", &rules), json!([[[{}]]]), "{key}");
    }
}

#[test]
fn trust_domains_of_a_source_are_erased_and_the_rule_is_kept() {
    // Alone, nothing is left: an ALLOW that admits nobody, a DENY that refuses nobody.
    for field in ["trustDomains", "notTrustDomains"] {
        for action in ["ALLOW", "DENY"] {
            let rules = format!("[{{from: [{{source: {{{field}: [td]}}}}]}}]");
            assert_eq!(becomes(action, &rules), json!([[[{}]]]), "{action} {field}");
            // Beside another field, that field decides alone: wider than was written.
            let rules = format!("[{{from: [{{source: {{namespaces: [x], {field}: [td]}}}}]}}]");
            assert_eq!(
                becomes(action, &rules),
                json!([[[namespace("x")]]]),
                "{action} {field}"
            );
        }
    }
}

#[test]
fn principals_arrive_as_they_are_written_whatever_the_trust_domain() {
    let yaml = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop}
spec: {action: DENY, rules: [{from: [{source: {principals: [cluster.local/ns/x/sa/y, acme/ns/x/sa/z]}}]}]}
";
    let ztunnel = receives(yaml, "trustDomain: acme\ntrustDomainAliases: [old]");
    let groups = ztunnel.policy("shop", "p").map(Policy::groups);
    assert_eq!(
        groups,
        Some(
            json!([[[{"principals": [{"exact": "cluster.local/ns/x/sa/y"}, {"exact": "acme/ns/x/sa/z"}]}]]])
        )
    );
}

#[test]
fn service_accounts_arrive_without_a_trust_domain() {
    assert_eq!(
        becomes("ALLOW", "[{from: [{source: {serviceAccounts: [x/a, b]}}]}]"),
        json!([[[{"service_accounts": [
            {"namespace": "x", "serviceAccount": "a"},
            {"namespace": "shop", "serviceAccount": "b"},
        ]}]]])
    );
}

#[test]
fn custom_and_audit_never_arrive_nor_what_has_targets() {
    for spec in [
        "{action: CUSTOM, provider: {name: x}, rules: [{}]}",
        "{action: AUDIT, rules: [{}]}",
        "{targetRefs: [{group: '', kind: Service, name: a}], rules: [{}]}",
    ] {
        assert!(policy(spec).is_none(), "{spec}");
    }
}

#[test]
fn dry_run_policies_never_arrive() {
    let yaml = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop, annotations: {istio.io/dry-run: 'true'}}
spec: {rules: [{}]}
";
    assert!(receives(yaml, "").policy("shop", "p").is_none());
}

const WORKLOAD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: shop}
spec: {template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}}}
---
";

/// The policies that a pod of shop is told to obey by name, under these PeerAuthentications and policies.
#[track_caller]
fn obeys(yaml: &str) -> Vec<String> {
    let ztunnel = receives(&format!("{WORKLOAD}{yaml}"), "");
    match ztunnel.workload("shop", "a-0") {
        Some(workload) => workload.authorization_policies.clone(),
        None => panic!("there is no workload a-0"),
    }
}

fn peer_authentication(namespace: &str, spec: &str) -> String {
    format!(
        "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: pa, namespace: {namespace}}}
spec: {spec}
---
"
    )
}

const STRICT: &str = "istio-system/istio_converted_static_strict";

#[test]
fn only_strict_is_anything_to_ztunnel() {
    for (mode, told) in [
        ("STRICT", &[STRICT][..]),
        ("PERMISSIVE", &[]),
        ("DISABLE", &[]),
        ("UNSET", &[]),
    ] {
        for namespace in ["istio-system", "shop"] {
            let yaml = peer_authentication(namespace, &format!("{{mtls: {{mode: {mode}}}}}"));
            assert_eq!(obeys(&yaml), told, "{mode} in {namespace}");
        }
    }
}

#[test]
fn strict_is_a_refusal_of_peers_without_identity() {
    let ztunnel = receives(&peer_authentication("shop", "{mtls: {mode: STRICT}}"), "");
    let strict = ztunnel.policy("istio-system", "istio_converted_static_strict");
    let told = strict.map(|policy| (policy.action.as_str(), policy.groups()));
    assert_eq!(
        told,
        Some(("DENY", json!([[[{"not_principals": [{"presence": {}}]}]]])))
    );
}

#[test]
fn port_of_an_inherited_strict_is_opened_by_permissive_and_not_by_disable() {
    const OPENED: &str = "shop/converted_peer_authentication_pa";
    for (own, mode, told) in [
        ("", "PERMISSIVE", OPENED),
        ("", "DISABLE", STRICT),
        ("mtls: {mode: UNSET}, ", "PERMISSIVE", OPENED),
        ("mtls: {mode: UNSET}, ", "DISABLE", STRICT),
        ("mtls: {mode: STRICT}, ", "PERMISSIVE", OPENED),
        ("mtls: {mode: STRICT}, ", "DISABLE", OPENED),
    ] {
        let yaml = format!(
            "{}{}",
            peer_authentication("istio-system", "{mtls: {mode: STRICT}}"),
            peer_authentication(
                "shop",
                &format!(
                    "{{selector: {{matchLabels: {{app: a}}}}, {own}portLevelMtls: {{9090: {{mode: {mode}}}}}}}"
                )
            )
        );
        assert_eq!(obeys(&yaml), [told], "{own}{mode}");
        // What opens a port refuses peers without identity on every other one.
        let ztunnel = receives(&format!("{WORKLOAD}{yaml}"), "");
        let opened = ztunnel
            .policy("shop", "converted_peer_authentication_pa")
            .map(Policy::groups);
        let rules = opened
            .as_ref()
            .and_then(|groups| groups[0].as_array())
            .cloned()
            .unwrap_or_default();
        assert!(
            rules.contains(&json!([{"not_destination_ports": [9090]}])),
            "{own}{mode}: {opened:?}"
        );
        assert!(
            rules.contains(&json!([{"not_principals": [{"presence": {}}]}])),
            "{own}{mode}: {opened:?}"
        );
    }
}

#[test]
fn selector_of_the_root_namespace_reaches_workloads_of_every_namespace() {
    let yaml = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: p, namespace: istio-system}
spec: {selector: {matchLabels: {app: a}}, rules: [{}]}
";
    assert_eq!(obeys(yaml), ["istio-system/p"]);
}

#[test]
fn port_excepted_from_the_meshs_strict_opens_all_ports_under_a_policy_of_the_namespace_that_says_nothing()
 {
    let mesh = peer_authentication("istio-system", "{mtls: {mode: STRICT}}");
    let own = "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: own, namespace: shop}
spec: {selector: {matchLabels: {app: a}}, portLevelMtls: {9090: {mode: PERMISSIVE}}}
---
";
    let silent = peer_authentication("shop", "{mtls: {mode: UNSET}}");
    let converted = "shop/converted_peer_authentication_own";
    for (yaml, arrives) in [
        (format!("{mesh}{own}"), true),
        (format!("{mesh}{silent}{own}"), false),
    ] {
        // The pod obeys the converted policy in place of the static one, also where there is none.
        assert_eq!(obeys(&yaml), [converted]);
        let ztunnel = receives(&format!("{WORKLOAD}{yaml}"), "");
        let found = ztunnel.policy("shop", "converted_peer_authentication_own");
        assert_eq!(found.is_some(), arrives, "{yaml}");
    }
}
