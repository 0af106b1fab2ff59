//! What becomes of NetworkPolicies.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::translate;
use crate::inventory::{Input, InventoryBuilder};
use crate::kinds::{Kind, Name};
use crate::mesh::Mesh;
use crate::translate::{Draft, Fidelity, Ground, Options, Phase, Topic, Translation, Treatment};

const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec:
  template:
    metadata: {labels: {app: pay}}
    spec: {containers: [{name: pay, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {selector: {app: pay}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
";

fn translated(more: &str, accepted: &[Topic]) -> Translation {
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("shop.yaml", format!("{SHOP}{more}"));
    let mesh = Mesh::new(builder.finish());
    let namespaces = BTreeSet::from([Name::from("shop")]);
    let options = Options {
        accepted: accepted.iter().copied().collect(),
        ..Options::default()
    };
    let ground = Ground::new(&mesh, &namespaces, &options);
    let mut draft = Draft::of_changes();
    translate(&ground, &mut draft);
    draft.finish(&mesh)
}

fn policy(name: &str, ingress: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
         metadata: {{name: {name}, namespace: shop}}\n\
         spec: {{podSelector: {{matchLabels: {{app: pay}}}}, ingress: {ingress}}}\n---\n"
    )
}

fn specs(translation: &Translation) -> Vec<Value> {
    let manifests = translation.of_phase(Phase::Prepare).into_iter();
    manifests
        .map(|manifest| manifest.json()["spec"].clone())
        .collect()
}

#[test]
fn the_tunnel_is_admitted_and_other_ports_are_refused_by_rules_on_ports() {
    let from = "from: [{podSelector: {matchLabels: {app: web}}}]";
    let result = translated(
        &policy("pay", &format!("[{{{from}, ports: [{{port: http}}]}}]")),
        &[],
    );
    assert_eq!(result.treatments[0].fidelity(), Fidelity::Equivalent);
    assert_eq!(
        specs(&result),
        [
            json!({
                "selector": {"matchLabels": {"app": "pay"}}, "action": "DENY",
                "rules": [{"to": [{"operation": {"notPorts": ["8080"]}}]}],
            }),
            json!({
                "podSelector": {"matchLabels": {"app": "pay"}},
                "ingress": [{
                    "from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
                    "ports": [{"port": "http"}, {"protocol": "TCP", "port": 15008}],
                }],
            }),
        ]
    );
}

#[test]
fn what_rules_on_ports_cannot_say_is_refused_unless_it_is_accepted() {
    let web = "from: [{podSelector: {matchLabels: {app: web}}}]";
    for (ingress, why) in [
        (
            format!("[{{{web}, ports: [{{port: 8080}}]}}, {{ports: [{{port: 9090}}]}}]"),
            "some peers are admitted to 8080, others to 9090",
        ),
        (
            format!("[{{{web}, ports: [{{port: grpc}}]}}]"),
            "no container of Deployment/pay declares its port grpc",
        ),
        (
            format!("[{{{web}, ports: [{{port: 8000, endPort: 8100}}]}}]"),
            "it admits a range of ports, 8000 to 8100",
        ),
    ] {
        let policy = policy("pay", &ingress);
        let refused = translated(&policy, &[]);
        assert!(refused.refuses());
        let says = &refused.treatments[0].remarks[0].says;
        assert!(says.ends_with(why), "{says}");
        assert_eq!(specs(&refused), Vec::<Value>::new());

        let accepted = translated(&policy, &[Topic::NetworkPolicy]);
        assert_eq!(accepted.treatments[0].fidelity(), Fidelity::Lossy);
        let written = accepted.of_phase(Phase::Prepare);
        let policies = written
            .iter()
            .filter(|manifest| manifest.object().kind == Kind::NetworkPolicy);
        assert_eq!(policies.count(), 1);
    }
}

#[test]
fn a_policy_that_does_not_tell_ports_apart_stays() {
    let result = translated(&policy("pay", "[{from: [{podSelector: {}}]}]"), &[]);
    assert!(result.treatments.is_empty());
    assert!(result.changes.is_empty());
}

/// A route that asks for a waypoint in front of a Service.
fn routed(host: &str, to: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
         metadata: {{name: {host}, namespace: shop}}\n\
         spec: {{hosts: [{host}], http: [{{timeout: 1s, route: [{to}]}}]}}\n---\n"
    )
}

const TO_PAY: &str = "{destination: {host: pay}}";
const FROM_WEB: &str = "from: [{podSelector: {matchLabels: {app: web}}}]";

fn deployment(name: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{template: {{metadata: {{labels: {{app: {name}}}}}}}}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: 8080}}]}}\n---\n"
    )
}

/// A policy of any spec.
fn with_spec(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n\
         metadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n---\n"
    )
}

/// The spec of an object that is written.
fn spec_of(translation: &Translation, name: &str) -> Option<Value> {
    let manifests = translation.of_phase(Phase::Prepare).into_iter();
    let mut found = manifests.filter(|manifest| manifest.object().short() == name);
    Some(found.next()?.json()["spec"].clone())
}

fn fidelity(translation: &Translation, name: &str) -> Fidelity {
    let mut treatments = translation.treatments.iter();
    let found = treatments.find(|one| one.object.short() == format!("NetworkPolicy/{name}"));
    found.map_or(Fidelity::Exact, Treatment::fidelity)
}

/// All that is said, one line each.
fn said(translation: &Translation) -> String {
    let remarks = translation.treatments.iter().flat_map(|one| &one.remarks);
    let lines: Vec<&str> = remarks.map(|remark| remark.says.as_str()).collect();
    lines.join("\n")
}

fn waypoints_rule() -> Value {
    json!({
        "from": [{"podSelector": {"matchLabels": {
            "gateway.networking.k8s.io/gateway-name": "waypoint",
        }}}],
        "ports": [{"protocol": "TCP", "port": 15008}],
    })
}

#[test]
fn the_waypoint_is_admitted_and_kept_from_others() {
    let route = routed("pay", TO_PAY);
    for (ingress, from) in [
        (
            FROM_WEB.to_owned(),
            json!([{"podSelector": {"matchLabels": {"app": "web"}}}]),
        ),
        (
            "from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: edge}}}]"
                .to_owned(),
            json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "edge"}}}]),
        ),
        // Whether addresses are the waypoint's is not known.
        (
            "from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]".to_owned(),
            json!([{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]),
        ),
    ] {
        let result = translated(
            &format!("{route}{}", policy("pay", &format!("[{{{ingress}}}]"))),
            &[],
        );
        let pay = spec_of(&result, "NetworkPolicy/pay").unwrap();
        assert_eq!(pay["ingress"][1], waypoints_rule(), "{ingress}");
        let tunnel = json!([{"protocol": "TCP", "port": 15008}]);
        let figures = json!([{"protocol": "TCP", "port": 15020}]);
        let own = json!({
            "podSelector": {"matchLabels": {"gateway.networking.k8s.io/gateway-name": "waypoint"}},
            "ingress": [{"from": from, "ports": tunnel}, {"ports": figures}],
            "policyTypes": ["Ingress"],
        });
        assert_eq!(
            spec_of(&result, "NetworkPolicy/waypoint"),
            Some(own),
            "{ingress}"
        );
        assert_eq!(fidelity(&result, "pay"), Fidelity::Equivalent, "{ingress}");
    }
}

/// Nothing has to be opened for pods that another policy lets callers to; the waypoint has only this one.
#[test]
fn a_closed_rule_that_stays_closed_lets_nobody_to_the_waypoint() {
    let all = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all, namespace: shop}
spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]}
---
";
    let pay = policy("pay", &format!("[{{{FROM_WEB}}}]"));
    let result = translated(&format!("{}{all}{pay}", routed("pay", TO_PAY)), &[]);
    assert_eq!(spec_of(&result, "NetworkPolicy/all"), None);
    let own = json!({
        "podSelector": {"matchLabels": {"gateway.networking.k8s.io/gateway-name": "waypoint"}},
        "ingress": [{
            "from": [{"podSelector": {"matchLabels": {"app": "web"}}}],
            "ports": [{"protocol": "TCP", "port": 15008}],
        }],
        "policyTypes": ["Ingress"],
    });
    assert_eq!(spec_of(&result, "NetworkPolicy/waypoint"), Some(own));
}

#[test]
fn whom_nobody_keeps_out_the_waypoint_does_not_either() {
    let route = routed("pay", TO_PAY);
    for ingress in ["[{}]", "[{from: [{namespaceSelector: {}}]}]"] {
        let result = translated(&format!("{route}{}", policy("pay", ingress)), &[]);
        assert_eq!(
            spec_of(&result, "NetworkPolicy/waypoint"),
            None,
            "{ingress}"
        );
    }
}

#[test]
fn a_namespace_that_lets_nobody_in_gets_a_way_to_the_waypoint_alone() {
    let deny = with_spec("nobody", "{podSelector: {}, policyTypes: [Ingress]}");
    let more = format!(
        "{}{deny}{}{}",
        routed("pay", TO_PAY),
        policy("pay", &format!("[{{{FROM_WEB}, ports: [{{port: 8080}}]}}]")),
        deployment("silent")
    );
    let result = translated(&more, &[]);
    assert_eq!(spec_of(&result, "NetworkPolicy/nobody"), None);
    let own = spec_of(&result, "NetworkPolicy/waypoint").unwrap();
    assert_eq!(own["ingress"].as_array().map(Vec::len), Some(1));
    assert!(!result.refuses(), "{}", said(&result));
}

#[test]
fn a_rule_for_all_pods_is_left_to_whom_it_is_for() {
    let monitoring =
        "[{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]}]";
    let more = format!(
        "{}{}{}",
        routed("pay", TO_PAY),
        with_spec(
            "all",
            &format!("{{podSelector: {{}}, ingress: {monitoring}}}")
        ),
        policy("pay", &format!("[{{{FROM_WEB}}}]"))
    );
    let result = translated(&more, &[]);
    assert_eq!(spec_of(&result, "NetworkPolicy/all"), None);
    let pay = spec_of(&result, "NetworkPolicy/pay").unwrap();
    assert_eq!(pay["ingress"][1], waypoints_rule());
    let own = spec_of(&result, "NetworkPolicy/waypoint").unwrap();
    let from = own["ingress"][0]["from"].as_array().map(Vec::len);
    assert_eq!(from, Some(2), "{own}");
}

#[test]
fn pods_to_which_a_route_leads_admit_the_waypoint() {
    let route = routed(
        "pay",
        "{destination: {host: pay}, weight: 90}, {destination: {host: new}, weight: 10}",
    );
    let new = with_spec(
        "new",
        &format!("{{podSelector: {{matchLabels: {{app: new}}}}, ingress: [{{{FROM_WEB}}}]}}"),
    );
    let pay = policy("pay", &format!("[{{{FROM_WEB}}}]"));
    let result = translated(&format!("{route}{}{new}{pay}", deployment("new")), &[]);
    let new = spec_of(&result, "NetworkPolicy/new").unwrap();
    assert_eq!(new["ingress"][1], waypoints_rule());
    assert_eq!(
        fidelity(&result, "new"),
        Fidelity::Equivalent,
        "{}",
        said(&result)
    );
}

#[test]
fn pods_to_which_a_delegate_leads_admit_the_waypoint() {
    let root = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec: {hosts: [pay], http: [{timeout: 1s, delegate: {name: inner}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: inner, namespace: shop}
spec: {http: [{route: [{destination: {host: new}}]}]}
---
";
    let new = with_spec(
        "new",
        &format!("{{podSelector: {{matchLabels: {{app: new}}}}, ingress: [{{{FROM_WEB}}}]}}"),
    );
    let result = translated(&format!("{root}{}{new}", deployment("new")), &[]);
    let new = spec_of(&result, "NetworkPolicy/new").unwrap();
    assert_eq!(new["ingress"][1], waypoints_rule());
}

#[test]
fn callers_go_by_the_tunnel_to_those_who_refuse_other_ports_themselves() {
    let pay = policy("pay", &format!("[{{{FROM_WEB}, ports: [{{port: 8080}}]}}]"));
    let web = |ports: &str| {
        let to = "to: [{podSelector: {matchLabels: {app: pay}}}]";
        with_spec(
            "web",
            &format!(
                "{{podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: [{{{to}, ports: [{ports}]}}]}}"
            ),
        )
    };
    for (ports, callee, expected) in [
        ("{port: 8080}", pay.as_str(), Fidelity::Equivalent),
        ("{port: 8080}, {port: 9090}", &pay, Fidelity::Equivalent),
        ("{port: 9090}", &pay, Fidelity::Refused),
        ("{port: 8080}", "", Fidelity::Refused),
    ] {
        let result = translated(&format!("{}{callee}{}", deployment("web"), web(ports)), &[]);
        assert_eq!(
            fidelity(&result, "web"),
            expected,
            "{ports} {}",
            said(&result)
        );
    }
}

#[test]
fn what_others_behind_the_waypoint_let_in_is_said() {
    let both = format!(
        "{}{}{}{}",
        routed("pay", TO_PAY),
        routed("vault", "{destination: {host: vault}}"),
        deployment("vault"),
        policy("pay", &format!("[{{{FROM_WEB}}}]"))
    );
    let open = translated(&both, &[]);
    assert_eq!(fidelity(&open, "pay"), Fidelity::Lossy);
    assert!(
        said(&open).contains("Deployment/pay is reached by more than it was: everyone in the mesh")
    );
    for (peer, pay, vault) in [
        ("web", Fidelity::Equivalent, Fidelity::Equivalent),
        ("clerk", Fidelity::Lossy, Fidelity::Lossy),
    ] {
        let vaults = with_spec(
            "vault",
            &format!(
                "{{podSelector: {{matchLabels: {{app: vault}}}}, \
                 ingress: [{{from: [{{podSelector: {{matchLabels: {{app: {peer}}}}}}}]}}]}}"
            ),
        );
        let result = translated(&format!("{both}{vaults}"), &[]);
        assert_eq!(fidelity(&result, "pay"), pay, "{}", said(&result));
        assert_eq!(fidelity(&result, "vault"), vault, "{}", said(&result));
    }
}

#[test]
fn a_caller_comes_through_the_waypoint_to_what_it_may_call_or_it_is_said() {
    let web = format!(
        "{}{}",
        deployment("web"),
        with_spec(
            "web",
            "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], \
             egress: [{to: [{podSelector: {matchLabels: {app: pay}}}]}]}",
        )
    );
    let one = format!("{web}{}", routed("pay", TO_PAY));
    let result = translated(&one, &[]);
    let egress = &spec_of(&result, "NetworkPolicy/web").unwrap()["egress"];
    assert_eq!(egress[1]["to"], waypoints_rule()["from"]);
    assert_eq!(fidelity(&result, "web"), Fidelity::Equivalent);

    let vault = routed("vault", "{destination: {host: vault}}");
    let result = translated(&format!("{one}{vault}{}", deployment("vault")), &[]);
    assert_eq!(fidelity(&result, "web"), Fidelity::Lossy);
    let says = "Deployment/web may call Gateway/waypoint, and through it more than before: Deployment/vault";
    assert!(said(&result).contains(says), "{}", said(&result));
}

#[test]
fn a_waypoint_of_another_namespace_is_let_to() {
    let elsewhere = "apiVersion: v1\nkind: Namespace\nmetadata: {name: bank}\n---\n\
        apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: vault, namespace: bank}\n\
        spec: {template: {metadata: {labels: {app: vault}}}}\n---\n\
        apiVersion: v1\nkind: Service\n\
        metadata: {name: vault, namespace: bank, labels: {istio.io/use-waypoint: door}}\n\
        spec: {selector: {app: vault}, ports: [{port: 80}]}\n---\n\
        apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n\
        metadata: {name: door, namespace: bank, labels: {istio.io/waypoint-for: service}}\n\
        spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}\n---\n";
    let to_vault = with_spec(
        "pay",
        "{podSelector: {matchLabels: {app: pay}}, policyTypes: [Egress], egress: [{to: \
         [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: bank}}, \
         podSelector: {matchLabels: {app: vault}}}]}]}",
    );
    let result = translated(&format!("{elsewhere}{to_vault}"), &[]);
    let egress = &spec_of(&result, "NetworkPolicy/pay").unwrap()["egress"];
    let bank = json!({"matchLabels": {"kubernetes.io/metadata.name": "bank"}});
    assert_eq!(egress[1]["to"][0]["namespaceSelector"], bank);
    assert_eq!(fidelity(&result, "pay"), Fidelity::Equivalent);
}

#[test]
fn what_is_not_tunnelled_needs_no_tunnel() {
    for (egress, refused) in [
        (
            "[{to: [{namespaceSelector: {}}], ports: [{port: 15012}]}]",
            false,
        ),
        ("[{ports: [{port: 53}]}]", false),
        (
            "[{to: [{ipBlock: {cidr: 203.0.113.0/24}}], ports: [{port: 443}]}]",
            false,
        ),
        (
            "[{to: [{podSelector: {}}], ports: [{port: 1, endPort: 10000}]}]",
            true,
        ),
        (
            "[{to: [{podSelector: {}}], ports: [{port: 53}, {port: 80}]}]",
            true,
        ),
    ] {
        let spec = format!(
            "{{podSelector: {{matchLabels: {{app: pay}}}}, policyTypes: [Egress], egress: {egress}}}"
        );
        let result = translated(&with_spec("out", &spec), &[]);
        assert_eq!(result.refuses(), refused, "{egress}");
    }
}

#[test]
fn ports_are_told_apart_by_workload_and_by_values() {
    let guard =
        |result: &Translation, name: &str| spec_of(result, &format!("AuthorizationPolicy/{name}"));
    let ports =
        |spec: Option<Value>| spec.unwrap()["rules"][0]["to"][0]["operation"]["notPorts"].clone();
    let web = format!("[{{{FROM_WEB}, ports: [{{port: 8080}}]}}]");

    let within = format!(
        "{{podSelector: {{matchExpressions: [{{key: app, operator: In, values: [pay]}}]}}, ingress: {web}}}"
    );
    let result = translated(&with_spec("pay", &within), &[]);
    let selector = json!({"matchLabels": {"app": "pay"}});
    assert_eq!(guard(&result, "pay-ports").unwrap()["selector"], selector);

    let range = format!("[{{{FROM_WEB}, ports: [{{port: 8080, endPort: 8081}}]}}]");
    let result = translated(&policy("pay", &range), &[]);
    assert_eq!(ports(guard(&result, "pay-ports")), json!(["8080", "8081"]));

    // What is only for the tunnel, or not for TCP, tells nothing of ports.
    let beside = format!(
        "[{{{FROM_WEB}, ports: [{{port: 8080}}]}}, {{from: [{{podSelector: {{matchLabels: {{app: a}}}}}}], \
         ports: [{{port: 15008}}]}}, {{from: [{{podSelector: {{}}}}], ports: [{{port: 99, protocol: UDP}}]}}]"
    );
    let result = translated(&policy("pay", &beside), &[]);
    assert!(!result.refuses(), "{}", said(&result));
    assert_eq!(ports(guard(&result, "pay-ports")), json!(["8080"]));

    let all = with_spec("all", &format!("{{podSelector: {{}}, ingress: {web}}}"));
    let db = with_spec(
        "db",
        &format!(
            "{{podSelector: {{matchLabels: {{app: db}}}}, ingress: [{{{FROM_WEB}, ports: [{{port: 5432}}]}}]}}"
        ),
    );
    let more = format!("{all}{db}{}", deployment("db"));
    let refused = translated(&more, &[]);
    let says = "for Deployment/db, some peers are admitted to 8080, others to 5432";
    assert!(said(&refused).contains(says), "{}", said(&refused));
    let accepted = translated(&more, &[Topic::NetworkPolicy]);
    assert_eq!(
        ports(guard(&accepted, "all-ports")),
        json!(["5432", "8080"])
    );
    assert_eq!(ports(guard(&accepted, "all-ports-2")), json!(["8080"]));
}

#[test]
fn what_is_made_takes_a_free_name() {
    let own = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
        metadata: {name: pay-ports, namespace: shop}\nspec: {action: DENY, rules: [{}]}\n---\n";
    let web = format!("[{{{FROM_WEB}, ports: [{{port: 8080}}]}}]");
    let taken = with_spec("waypoint", "{podSelector: {matchLabels: {app: other}}}");
    let more = format!(
        "{own}{taken}{}{}",
        routed("pay", TO_PAY),
        policy("pay", &web)
    );
    let result = translated(&more, &[]);
    assert_eq!(spec_of(&result, "AuthorizationPolicy/pay-ports"), None);
    assert!(spec_of(&result, "AuthorizationPolicy/pay-ports-2").is_some());
    assert_eq!(spec_of(&result, "NetworkPolicy/waypoint"), None);
    assert!(spec_of(&result, "NetworkPolicy/waypoint-2").is_some());
}

#[test]
fn a_waypoint_that_may_serve_others_is_not_closed_to_their_callers() {
    let gateway = |from: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n\
             metadata: {{name: waypoint, namespace: shop, labels: {{istio.io/waypoint-for: service}}}}\n\
             spec: {{gatewayClassName: istio-waypoint, listeners: [{{name: mesh, port: 15008, \
             protocol: HBONE, allowedRoutes: {{namespaces: {{from: {from}}}}}}}]}}\n---\n"
        )
    };
    let pay = format!(
        "{}{}",
        routed("pay", TO_PAY),
        policy("pay", &format!("[{{{FROM_WEB}}}]"))
    );
    let own = translated(&format!("{pay}{}", gateway("Same")), &[]);
    assert!(spec_of(&own, "NetworkPolicy/waypoint").is_some());
    assert_eq!(fidelity(&own, "pay"), Fidelity::Equivalent);

    let host = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
        metadata: {name: out, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}\n\
        spec: {hosts: [out.example.com], ports: [{number: 443, name: tls, protocol: TLS}]}\n---\n";
    for more in [gateway("All"), format!("{}{host}", gateway("Same"))] {
        let result = translated(&format!("{pay}{more}"), &[]);
        assert_eq!(spec_of(&result, "NetworkPolicy/waypoint"), None);
        assert_eq!(fidelity(&result, "pay"), Fidelity::Lossy);
        assert!(
            said(&result)
                .contains("Deployment/pay is reached by more than it was: everyone in the mesh")
        );
    }
}
