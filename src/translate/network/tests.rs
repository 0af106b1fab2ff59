//! What becomes of NetworkPolicies.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::translate;
use crate::inventory::{Input, InventoryBuilder};
use crate::kinds::Name;
use crate::mesh::Mesh;
use crate::translate::{Draft, Fidelity, Ground, Options, Phase, Topic, Translation};

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
    let mut draft = Draft::default();
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
        assert_eq!(specs(&accepted).len(), 1);
    }
}

#[test]
fn a_policy_that_does_not_tell_ports_apart_stays() {
    let result = translated(&policy("pay", "[{from: [{podSelector: {}}]}]"), &[]);
    assert!(result.treatments.is_empty());
    assert!(result.changes.is_empty());
}

#[test]
fn the_waypoint_is_admitted_where_callers_are_named() {
    let route = "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
        metadata: {name: pay, namespace: shop}\n\
        spec: {hosts: [pay], http: [{route: [{destination: {host: pay}}], timeout: 1s}]}\n---\n";
    let named = policy(
        "pay",
        "[{from: [{podSelector: {matchLabels: {app: web}}}]}]",
    );
    let result = translated(&format!("{route}{named}"), &[]);
    let ingress = &specs(&result)[0]["ingress"];
    assert_eq!(
        ingress[1],
        json!({
            "from": [{"podSelector": {"matchLabels": {
                "gateway.networking.k8s.io/gateway-name": "waypoint",
            }}}],
            "ports": [{"protocol": "TCP", "port": 15008}],
        })
    );
}
