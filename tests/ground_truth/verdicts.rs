//! Whom sidecars and waypoints let in, by their own rules in a real Envoy.

use harness::oracle::{Manifests, Oracle, Proxy, ProxyConfig, Request, Translation};
use serde_json::json;

/// A service `a` with a pod whose port is 8080, in sidecar mode, with a waypoint made ready.
const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled, istio.io/use-waypoint: waypoint}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: shop}
spec: {selector: {app: a}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: b, namespace: shop}
spec: {selector: {app: b}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a, namespace: shop}
spec: {template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}}}
";

/// A client of the mesh.
const FRIEND: &str = "cluster.local/ns/x/sa/friend";
/// Another.
const STRANGER: &str = "cluster.local/ns/y/sa/stranger";

/// What the proxies of the shop are told.
struct Shop {
    translation: Translation,
}

impl Shop {
    #[track_caller]
    fn with(yaml: &str) -> Self {
        Self::of(yaml, "")
    }

    #[track_caller]
    fn of(yaml: &str, mesh_config: &str) -> Self {
        let manifests = Manifests::new(format!("{SHOP}---\n{yaml}"))
            .mesh_config(mesh_config)
            .proxy(Proxy::sidecar("a", "shop").label("app", "a"))
            .proxy(Proxy::waypoint("waypoint", "shop"));
        match Oracle::shared().translate(&manifests) {
            Ok(translation) => Self { translation },
            Err(error) => panic!("{error}"),
        }
    }

    #[track_caller]
    fn proxy(&self, name: &str) -> &ProxyConfig {
        match self.translation.proxy(name) {
            Some(proxy) => proxy,
            None => panic!("no proxy {name}"),
        }
    }

    /// Whom the sidecar lets in, by mutual TLS.
    #[track_caller]
    fn sidecar(&self, requests: &[Request]) -> Vec<&'static str> {
        verdicts(self.proxy("a").inbound(8080), requests)
    }

    /// Whom the sidecar lets in, by HBONE.
    #[track_caller]
    fn sidecar_by_hbone(&self, requests: &[Request]) -> Vec<&'static str> {
        let mut chains = self.proxy("a").chains.iter();
        let inner =
            chains.find(|chain| chain.listener == "main_internal" && chain.name.ends_with("_8080"));
        verdicts(inner, requests)
    }

    /// Whom the waypoint lets in to a.
    #[track_caller]
    fn waypoint(&self, requests: &[Request]) -> Vec<&'static str> {
        verdicts(
            self.proxy("waypoint")
                .service("a.shop.svc.cluster.local", 80),
            requests,
        )
    }
}

#[track_caller]
fn verdicts(chain: Option<&harness::oracle::Chain>, requests: &[Request]) -> Vec<&'static str> {
    let Some(chain) = chain else {
        panic!("there is no such chain");
    };
    match Oracle::shared().authorize(chain, requests) {
        Ok(verdicts) => verdicts
            .iter()
            .map(|verdict| if verdict.allowed { "in" } else { "out" })
            .collect(),
        Err(error) => panic!("{error}"),
    }
}

/// An AuthorizationPolicy of this namespace.
fn policy_in(namespace: &str, name: &str, spec: &str) -> String {
    format!(
        "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}, namespace: {namespace}}}
spec: {spec}
---
"
    )
}

/// An AuthorizationPolicy of the shop.
fn policy(spec: &str) -> String {
    policy_in("shop", "p", spec)
}

/// The same rules for the sidecar and, by target, for the waypoint.
#[track_caller]
fn everywhere(rules: &str) -> Shop {
    Shop::with(&format!(
        "{}{}",
        policy(&format!(
            "{{selector: {{matchLabels: {{app: a}}}}, {rules}}}"
        )),
        policy_in(
            "shop",
            "q",
            &format!("{{targetRefs: [{{group: '', kind: Service, name: a}}], {rules}}}")
        ),
    ))
}

fn get(path: &str) -> Request {
    Request::get(path).authority("a.shop").port(8080)
}

#[test]
fn identity_and_http_conditions_hold_at_sidecar_and_waypoint_alike() {
    let shop = everywhere(
        "action: ALLOW, rules: [{from: [{source: {namespaces: [x]}}], to: [{operation: {methods: [GET], paths: ['/a*']}}]}]",
    );
    let requests = [
        get("/a/x").from(FRIEND),
        get("/b").from(FRIEND),
        get("/a/x").from(STRANGER),
        get("/a/x"),
        Request::new("POST", "/a/x")
            .authority("a.shop")
            .from(FRIEND),
    ];
    let expected = ["in", "out", "out", "out", "out"];
    assert_eq!(shop.sidecar(&requests), expected);
    assert_eq!(shop.sidecar_by_hbone(&requests), expected);
    assert_eq!(shop.waypoint(&requests), expected);
}

#[test]
fn deny_beats_allow() {
    let shop = Shop::with(&format!(
        "{}{}",
        policy("{selector: {matchLabels: {app: a}}, action: ALLOW, rules: [{}]}"),
        policy_in(
            "shop",
            "q",
            "{selector: {matchLabels: {app: a}}, action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}"
        ),
    ));
    assert_eq!(shop.sidecar(&[get("/"), get("/admin/x")]), ["in", "out"]);
}

#[test]
fn allow_without_rules_lets_nobody_in_and_no_policy_everybody() {
    let requests = [get("/").from(FRIEND), get("/")];
    let nothing = everywhere("action: ALLOW");
    assert_eq!(nothing.sidecar(&requests), ["out", "out"]);
    assert_eq!(nothing.waypoint(&requests), ["out", "out"]);
    let none = Shop::with("{apiVersion: v1, kind: Namespace, metadata: {name: x}}");
    assert_eq!(none.sidecar(&requests), ["in", "in"]);
    assert_eq!(none.waypoint(&requests), ["in", "in"]);
}

#[test]
fn waypoint_takes_no_policy_without_targets() {
    for yaml in [
        policy("{action: ALLOW}"),
        policy("{selector: {matchLabels: {app: a}}, action: ALLOW}"),
        policy_in("istio-system", "p", "{action: ALLOW}"),
    ] {
        let shop = Shop::with(&yaml);
        assert_eq!(shop.sidecar(&[get("/").from(FRIEND)]), ["out"], "{yaml}");
        assert_eq!(shop.waypoint(&[get("/").from(FRIEND)]), ["in"], "{yaml}");
    }
}

#[test]
fn sidecar_takes_no_policy_with_targets() {
    let shop = Shop::with(&policy(
        "{targetRefs: [{group: '', kind: Service, name: a}], action: ALLOW}",
    ));
    assert_eq!(shop.sidecar(&[get("/").from(FRIEND)]), ["in"]);
    assert_eq!(shop.waypoint(&[get("/").from(FRIEND)]), ["out"]);
}

#[test]
fn policy_for_the_gateway_holds_for_every_service_behind_it() {
    let target = "targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}]";
    let shop = Shop::with(&policy(&format!("{{{target}, action: ALLOW}}")));
    assert_eq!(shop.waypoint(&[get("/").from(FRIEND)]), ["out"]);
    let b = shop
        .proxy("waypoint")
        .service("b.shop.svc.cluster.local", 80);
    assert_eq!(verdicts(b, &[get("/").from(FRIEND)]), ["out"]);
}

#[test]
fn policy_for_another_service_does_not_hold() {
    let shop = Shop::with(&policy(
        "{targetRefs: [{group: '', kind: Service, name: b}], action: ALLOW}",
    ));
    assert_eq!(shop.waypoint(&[get("/").from(FRIEND)]), ["in"]);
}

#[test]
fn policy_for_the_gateway_class_holds_from_the_root_namespace_only() {
    let target = "targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}]";
    for (namespace, verdict) in [("istio-system", "out"), ("shop", "in")] {
        let shop = Shop::with(&policy_in(
            namespace,
            "p",
            &format!("{{{target}, action: ALLOW}}"),
        ));
        assert_eq!(
            shop.waypoint(&[get("/").from(FRIEND)]),
            [verdict],
            "{namespace}"
        );
        assert_eq!(
            shop.sidecar(&[get("/").from(FRIEND)]),
            ["in"],
            "{namespace}"
        );
    }
}

#[test]
fn port_of_a_policy_is_the_pods_at_a_sidecar_and_the_services_at_a_waypoint() {
    let shop = everywhere("action: ALLOW, rules: [{to: [{operation: {ports: ['8080']}}]}]");
    assert_eq!(shop.sidecar(&[get("/").port(8080)]), ["in"]);
    // Traffic to the service comes to the waypoint for its address and port 80.
    assert_eq!(shop.waypoint(&[get("/").port(80)]), ["out"]);
    let shop = everywhere("action: ALLOW, rules: [{to: [{operation: {ports: ['80']}}]}]");
    assert_eq!(shop.sidecar(&[get("/").port(8080)]), ["out"]);
    assert_eq!(shop.waypoint(&[get("/").port(80)]), ["in"]);
}

#[test]
fn local_trust_domain_of_a_principal_stands_for_the_true_one_and_its_aliases_only() {
    let rules =
        "action: DENY, rules: [{from: [{source: {principals: [cluster.local/ns/x/sa/friend]}}]}]";
    let mesh = "trustDomain: acme\ntrustDomainAliases: [old]";
    let shop = Shop::of(
        &format!(
            "{}{}",
            policy(&format!(
                "{{selector: {{matchLabels: {{app: a}}}}, {rules}}}"
            )),
            policy_in(
                "shop",
                "q",
                &format!("{{targetRefs: [{{group: '', kind: Service, name: a}}], {rules}}}")
            ),
        ),
        mesh,
    );
    let requests = ["acme", "old", "cluster.local", "other"]
        .map(|domain| get("/").from(&format!("{domain}/ns/x/sa/friend")));
    let expected = ["out", "out", "in", "in"];
    assert_eq!(shop.sidecar(&requests), expected);
    assert_eq!(shop.waypoint(&requests), expected);
}

#[test]
fn trust_domains_of_a_source_hold_at_sidecar_and_waypoint() {
    let shop = everywhere(
        "action: ALLOW, rules: [{from: [{source: {namespaces: [x], notTrustDomains: [evil]}}]}]",
    );
    let requests = [get("/").from(FRIEND), get("/").from("evil/ns/x/sa/friend")];
    assert_eq!(shop.sidecar(&requests), ["in", "out"]);
    assert_eq!(shop.waypoint(&requests), ["in", "out"]);
}

#[test]
fn source_addresses_hold_at_sidecar_and_waypoint() {
    let shop = everywhere("action: ALLOW, rules: [{from: [{source: {ipBlocks: [10.9.0.0/16]}}]}]");
    let requests = [
        get("/").source_ip("10.9.1.1"),
        get("/").source_ip("10.8.1.1"),
    ];
    assert_eq!(shop.sidecar(&requests), ["in", "out"]);
    assert_eq!(shop.waypoint(&requests), ["in", "out"]);
}

#[test]
fn claims_hold_where_a_token_was_found_valid() {
    let shop = everywhere(
        "action: ALLOW, rules: [{from: [{source: {requestPrincipals: ['iss/sub']}}], when: [{key: 'request.auth.claims[group]', values: [admin]}]}]",
    );
    let requests = [
        get("/").claims(json!({"iss": "iss", "sub": "sub", "group": "admin"})),
        get("/").claims(json!({"iss": "iss", "sub": "sub", "group": ["admin", "x"]})),
        get("/").claims(json!({"iss": "iss", "sub": "sub", "group": "x"})),
        get("/").claims(json!({"iss": "iss", "sub": "else", "group": "admin"})),
        get("/"),
    ];
    let expected = ["in", "in", "out", "out", "out"];
    assert_eq!(shop.sidecar(&requests), expected);
    assert_eq!(shop.waypoint(&requests), expected);
}

#[test]
fn hosts_of_a_policy_are_compared_without_case_and_with_the_port_as_sent() {
    let shop = everywhere("action: ALLOW, rules: [{to: [{operation: {hosts: [a.shop]}}]}]");
    let requests =
        ["a.shop", "A.shop", "a.shop:80", "other"].map(|host| Request::get("/").authority(host));
    let expected = ["in", "in", "out", "out"];
    assert_eq!(shop.sidecar(&requests), expected);
    assert_eq!(shop.waypoint(&requests), expected);
}

#[test]
fn deny_by_http_conditions_fires_for_every_connection_that_is_not_http() {
    let shop = Shop::with(&format!(
        "{}
apiVersion: v1
kind: Service
metadata: {{name: raw, namespace: shop}}
spec: {{selector: {{app: a}}, ports: [{{name: tcp, port: 9000}}]}}
",
        policy(
            "{selector: {matchLabels: {app: a}}, action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}"
        )
    ));
    let raw = shop.proxy("a").inbound(9000);
    assert_eq!(verdicts(raw, &[get("/").from(FRIEND)]), ["out"]);
    assert_eq!(
        shop.sidecar(&[get("/"), Request::new("POST", "/")]),
        ["out", "in"]
    );
}

#[test]
fn rule_that_decides_is_named() {
    let shop = Shop::with(&policy(
        "{targetRefs: [{group: '', kind: Service, name: a}], action: DENY, rules: [{to: [{operation: {paths: ['/x']}}]}]}",
    ));
    let chain = shop
        .proxy("waypoint")
        .service("a.shop.svc.cluster.local", 80);
    let verdicts = chain.map(|chain| Oracle::shared().authorize(chain, &[get("/x"), get("/")]));
    let Some(Ok(verdicts)) = verdicts else {
        panic!("{verdicts:?}");
    };
    let told: Vec<(u16, &str)> = verdicts
        .iter()
        .map(|v| (v.status, v.policy.as_str()))
        .collect();
    assert_eq!(told, [(403, "ns[shop]-policy[p]-rule[0]"), (200, "")]);
}

#[test]
fn custom_policy_whose_provider_is_not_defined_refuses_what_it_matches() {
    let shop = Shop::with(&policy(
        "{selector: {matchLabels: {app: a}}, action: CUSTOM, provider: {name: none}, rules: [{to: [{operation: {paths: ['/x']}}]}]}",
    ));
    assert_eq!(shop.sidecar(&[get("/x"), get("/")]), ["out", "in"]);
}

#[test]
fn star_at_the_start_of_a_namespace_reaches_into_the_rest_of_the_identity() {
    let shop = everywhere("action: ALLOW, rules: [{from: [{source: {namespaces: ['*a']}}]}]");
    // What follows the namespace is `/sa/`, which ends with an a as well.
    let requests = [get("/").from(FRIEND), get("/")];
    assert_eq!(shop.sidecar(&requests), ["in", "out"]);
    assert_eq!(shop.waypoint(&requests), ["in", "out"]);
}
