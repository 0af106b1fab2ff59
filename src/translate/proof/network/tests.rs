//! The comparison finds whom a wrong translation of NetworkPolicies lets in or keeps out, and nobody in
//! a right one.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::inventory::{Input, InventoryBuilder};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::soak::cases;
use crate::translate::{
    Change, Edit, Manifest, Options, Topic, Translation, Weight, compared, outline,
};

const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank, labels: {istio-injection: enabled, team: b}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec:
  template:
    metadata: {labels: {app: pay}}
    spec: {containers: [{name: pay, ports: [{name: http, containerPort: 8080}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {metadata: {labels: {app: web}}}}
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {selector: {app: pay}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
";

/// Makes the Service need a waypoint.
const ROUTED: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec: {hosts: [pay], http: [{timeout: 1s, route: [{destination: {host: pay}}]}]}
---
";

fn policy(name: &str, spec: &Value) -> String {
    let meta = json!({"name": name, "namespace": "shop"});
    let whole = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta, "spec": spec,
    });
    format!("{whole}\n---\n")
}

fn mesh(more: &str) -> Mesh {
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("shop.yaml", format!("{SHOP}{more}"));
    let inventory = builder.finish();
    assert_eq!(inventory.unread, Vec::new());
    Mesh::new(inventory)
}

/// A mesh translated, with something of the result changed, or left out, and compared.
fn changed(mesh: &Mesh, change: &dyn Fn(&ObjectRef, Value) -> Option<Value>) -> Translation {
    let namespaces = BTreeSet::from([Name::from("shop")]);
    let options = Options::default();
    let mut result = outline(mesh, &namespaces, &options);
    let changes = result.changes.into_iter();
    let changes = changes.filter_map(|known: Change| {
        let Some(after) = known.edit.after() else {
            return Some(known);
        };
        let object = after.object().clone();
        let json = change(&object, after.json().clone())?;
        let edit = Edit::Create(Manifest::of(object, json));
        Some(Change { edit, ..known })
    });
    result.changes = changes.collect();
    compared(mesh, &namespaces, &options, result)
}

/// What is said by the comparison: the object, how heavy it is, the words.
fn found(translation: &Translation) -> Vec<(String, Weight, &str)> {
    let all = translation.treatments.iter().flat_map(|treatment| {
        let remarks = treatment.remarks.iter();
        remarks.map(|remark| {
            (
                treatment.object.short(),
                remark.weight,
                remark.says.as_str(),
            )
        })
    });
    all.filter(|(_, _, says)| says.starts_with("the comparison finds"))
        .collect()
}

fn of_web() -> Value {
    let web = json!({"podSelector": {"matchLabels": {"app": "web"}}});
    json!({"podSelector": {"matchLabels": {"app": "pay"}}, "ingress": [{"from": [web]}]})
}

#[test]
fn a_waypoint_is_to_let_in_whom_the_pods_let_in() {
    let mesh = mesh(&format!("{ROUTED}{}", policy("pay", &of_web())));
    let with = |pointer: &'static str, value: Value| {
        changed(&mesh, &move |object, mut json| {
            if object.kind == Kind::NetworkPolicy && *object.name == *"waypoint" {
                *json.pointer_mut(pointer).unwrap() = value.clone();
            }
            Some(json)
        })
    };
    let from = "/spec/ingress/0/from/0";
    let right = with(
        from,
        json!({"podSelector": {"matchLabels": {"app": "web"}}}),
    );
    assert_eq!(found(&right), []);
    assert_eq!(right.proofs.differing(), 0);

    let wide = with(from, json!({"podSelector": {}}));
    let [(ref object, weight, says)] = found(&wide)[..] else {
        panic!("{:?}", found(&wide));
    };
    assert_eq!(
        (object.as_str(), weight),
        ("NetworkPolicy/pay", Weight::Refused)
    );
    assert!(says.contains("would be let through"), "{says}");
    let kept = "before denied: NetworkPolicy/pay -n shop does not admit the caller to the port";
    assert!(says.contains(kept), "{says}");
    assert!(
        says.contains("supposing the caller is a pod (no app) of shop"),
        "{says}"
    );

    let far = json!({"namespaceSelector": {"matchLabels": {"team": "b"}}});
    let other = with(from, far);
    let weights: Vec<Weight> = found(&other).iter().map(|(_, weight, _)| *weight).collect();
    assert_eq!(weights, [Weight::Lossy, Weight::Refused]);
    let words: Vec<&str> = found(&other).iter().map(|(_, _, says)| *says).collect();
    assert!(
        words[0].contains("NetworkPolicy/waypoint -n shop does not admit"),
        "{words:?}"
    );
    assert!(
        words[0].contains("the caller is a pod (app=web) of shop"),
        "{words:?}"
    );
    assert!(
        words[1].contains("the caller is a pod of bank"),
        "{words:?}"
    );
}

#[test]
fn a_port_that_several_close_names_them_all() {
    let nobody = json!({"podSelector": {}, "policyTypes": ["Ingress"]});
    let mut closed = of_web();
    closed["ingress"][0]["ports"] = json!([{"port": 8080}]);
    let mesh = mesh(&format!(
        "{}{}",
        policy("pay", &closed),
        policy("nobody", &nobody)
    ));
    let right = changed(&mesh, &|_, json| Some(json));
    assert_eq!(found(&right), []);
    let open = changed(&mesh, &|object, json| {
        (object.kind != Kind::AuthorizationPolicy).then_some(json)
    });
    let says: Vec<&str> = found(&open).iter().map(|(_, _, says)| *says).collect();
    let all = "NetworkPolicy/nobody -n shop, NetworkPolicy/pay -n shop do not admit the caller to the port";
    assert!(says.iter().all(|says| says.contains(all)), "{says:?}");
    assert_eq!(says.len(), 1);
}

fn pods() -> impl Strategy<Value = Value> {
    select(vec![
        json!({}),
        json!({"matchLabels": {"app": "pay"}}),
        json!({"matchLabels": {"app": "web"}}),
        json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}),
    ])
}

fn peers() -> impl Strategy<Value = Value> {
    let namespaces = select(vec![
        json!({}),
        json!({"matchLabels": {"team": "b"}}),
        json!({"matchLabels": {"kubernetes.io/metadata.name": "bank"}}),
    ]);
    prop_oneof![
        pods().prop_map(|pods| json!({"podSelector": pods})),
        (namespaces, pods())
            .prop_map(|(of, pods)| json!({"namespaceSelector": of, "podSelector": pods})),
        select(vec![
            json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.2.0.0/16"]}}),
            json!({"ipBlock": {"cidr": "203.0.113.0/24"}}),
            json!({"ipBlock": {"cidr": "0.0.0.0/0"}}),
        ]),
    ]
}

fn rules(field: &'static str) -> impl Strategy<Value = Value> {
    let ports = vec![
        json!({"port": 8080}),
        json!({"port": "http"}),
        json!({"port": 9000, "endPort": 9002}),
        json!({"port": 53, "protocol": "UDP"}),
    ];
    let peers = proptest::collection::vec(peers(), 0..3);
    (peers, subsequence(ports, 0..3))
        .prop_map(move |(peers, ports)| json!({field: peers, "ports": ports}))
}

fn policies() -> impl Strategy<Value = Vec<Value>> {
    let types = select(vec![
        json!(["Ingress"]),
        json!(["Ingress"]),
        json!(["Ingress", "Egress"]),
    ]);
    let inward = proptest::collection::vec(rules("from"), 0..3);
    let outward = proptest::collection::vec(rules("to"), 0..2);
    let spec = (pods(), types, inward, outward);
    let one = spec.prop_map(|(pods, types, inward, outward)| {
        json!({"podSelector": pods, "policyTypes": types, "ingress": inward, "egress": outward})
    });
    proptest::collection::vec(one, 1..4)
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn what_is_not_said_to_be_lost_opens_nothing(specs in policies(), routed in any::<bool>()) {
        let mut text = if routed { ROUTED.to_owned() } else { String::new() };
        for (i, spec) in specs.iter().enumerate() {
            text.push_str(&policy(&format!("p{i}"), spec));
        }
        let result = changed(&mesh(&text), &|_, json| Some(json));
        // Whom more is opened to is said where it is translated. Who is cut off may be a pod that nobody runs
        // today, for which nothing is opened: the comparison alone says that.
        let found = found(&result);
        let opened = found
            .iter()
            .any(|(_, _, says)| !says.contains("calls that would be refused"));
        let mut remarks = result.treatments.iter().flat_map(|one| &one.remarks);
        let told = remarks.any(|remark| {
            remark.weight >= Weight::Lossy
                && remark.topic == Topic::NetworkPolicy
                && !remark.says.starts_with("the comparison finds")
        });
        prop_assert!(told || !opened, "{found:?}");
        let all = found.iter().all(|(_, weight, _)| *weight >= Weight::Lossy);
        prop_assert!(all && (told || !found.is_empty() || result.proofs.differing() == 0));
    }
}
