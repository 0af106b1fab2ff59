//! The comparison finds what a wrong translation of routes changes, and nothing in a right one.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::prove;
use crate::inventory::{Input, InventoryBuilder};
use crate::kinds::{FieldPath, Kind, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::translate::change::new_object;
use crate::translate::{
    Draft, Fidelity, Ground, Options, Phase, Remark, Topic, Translation, Weight,
};

const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec: {template: {metadata: {labels: {app: pay}}}}
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {selector: {app: pay}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: pay-v2, namespace: shop}
spec: {selector: {app: pay, version: v2}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: pay, namespace: shop}
spec: {host: pay, subsets: [{name: v2, labels: {version: v2}}]}
---
";

/// A VirtualService of `pay` with these rules.
fn with_rules(rules: &Value) -> Mesh {
    let route = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "pay", "namespace": "shop"},
        "spec": {"hosts": ["pay"], "http": rules},
    });
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("shop.yaml", format!("{SHOP}{route}\n"));
    Mesh::new(builder.finish())
}

fn compared(mesh: &Mesh, note: impl FnOnce(&mut Draft, &ObjectRef)) -> Translation {
    let namespaces = BTreeSet::from([Name::from("shop")]);
    let options = Options::default();
    let ground = Ground::new(mesh, &namespaces, &options);
    let mut draft = Draft::of_changes();
    let route = ObjectRef::new(Kind::VirtualService, &"shop".into(), &"pay".into());
    note(&mut draft, &route);
    prove(&ground, draft.finish(mesh))
}

/// The rules replaced by an HTTPRoute with these.
fn replaced(mesh: &Mesh, rules: &Value) -> Translation {
    compared(mesh, |draft, route| {
        let parent = json!([{"group": "", "kind": "Service", "name": "pay", "port": 80}]);
        let spec = json!({"parentRefs": parent, "rules": rules});
        let manifest = new_object(
            Kind::HTTPRoute,
            &"shop".into(),
            "pay",
            Some(route),
            &[],
            spec,
        );
        draft.create(Phase::Routes, manifest, &[route]);
        draft.remove(Phase::Retire, route, &[]);
    })
}

fn to(host: &str, subset: &str) -> Value {
    json!([{"destination": {"host": host, "subset": subset}}])
}

fn backend(name: &str) -> Value {
    json!([{"name": name, "port": 80}])
}

#[test]
fn an_order_that_is_turned_round_is_found() {
    let mesh = with_rules(&json!([
        {"match": [{"uri": {"prefix": "/api"}}], "route": to("pay", "v2")},
        {"route": to("pay", "")},
    ]));
    let any = json!([{"path": {"type": "PathPrefix", "value": "/"}}]);
    let api = json!([{"path": {"type": "RegularExpression", "value": "/api.*"}}]);
    let wrong = replaced(
        &mesh,
        &json!([
            {"matches": api, "backendRefs": backend("pay-v2")},
            {"matches": any, "backendRefs": backend("pay")},
        ]),
    );
    assert!(wrong.proofs.differing() > 0);
    assert_eq!(wrong.treatments[0].fidelity(), Fidelity::Lossy);

    let all = json!([{"path": {"type": "RegularExpression", "value": ".*"}}]);
    let right = replaced(
        &mesh,
        &json!([
            {"matches": api, "backendRefs": backend("pay-v2")},
            {"matches": all, "backendRefs": backend("pay")},
        ]),
    );
    assert_eq!(right.proofs.differing(), 0);
    assert!(right.proofs.classes() > 1);
    assert!(right.treatments.is_empty());
    let clients: Vec<&str> = right.proofs.routes.iter().map(|p| &*p.client).collect();
    assert_eq!(clients, ["any namespace"]);
}

#[test]
fn a_service_made_for_a_subset_is_the_subset() {
    let mesh = with_rules(&json!([{"route": to("pay", "v2")}]));
    let same = replaced(&mesh, &json!([{"backendRefs": backend("pay-v2")}]));
    assert_eq!(same.proofs.differing(), 0);
    let other = replaced(&mesh, &json!([{"backendRefs": backend("pay")}]));
    assert!(other.proofs.differing() > 0);
}

#[test]
fn a_virtual_service_that_stays_is_compared_as_the_waypoint_reads_it() {
    let stays = |rules: &Value| compared(&with_rules(rules), |_, _| {});
    let plain = stays(
        &json!([{"fault": {"abort": {"httpStatus": 503, "percentage": {"value": 5}}},
        "route": to("pay", "v2")}]),
    );
    assert_eq!(plain.proofs.differing(), 0);
    assert!(plain.proofs.classes() > 0);

    // A waypoint never applies a match on the caller's labels.
    let by_caller = stays(&json!([
        {"match": [{"sourceLabels": {"app": "tester"}}], "route": to("pay", "v2")},
        {"route": to("pay", "")},
    ]));
    let differing: Vec<&str> = by_caller
        .proofs
        .routes
        .iter()
        .filter(|proof| !proof.comparison.is_same())
        .map(|proof| &*proof.client)
        .collect();
    assert_eq!(differing, ["shop, with labels app=tester"]);
    assert_eq!(by_caller.treatments[0].fidelity(), Fidelity::Lossy);
}

#[test]
fn a_rule_that_is_lost_is_found() {
    let mesh = with_rules(&json!([
        {"match": [{"headers": {"x-test": {"exact": "1"}}}], "route": to("pay", "v2")},
        {"route": to("pay", "")},
    ]));
    let lost = compared(&mesh, |draft, route| {
        draft.remove(Phase::Retire, route, &[]);
    });
    assert!(lost.proofs.differing() > 0);
    let first = &lost.proofs.routes[0].comparison.differences[0];
    assert_eq!(
        first.request.headers.get("x-test").map(String::as_str),
        Some("1")
    );
}

#[test]
fn a_namespace_that_the_text_leaves_out_is_known() {
    let text = SHOP.replace(", namespace: shop", "");
    let route = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "pay"},
        "spec": {"hosts": ["pay"], "http": [{"route": to("pay", "v2")}]},
    });
    let mut builder = InventoryBuilder::new(Input::Manifests, "shop");
    builder.file("shop.yaml", format!("{text}{route}\n"));
    let stays = compared(&Mesh::new(builder.finish()), |_, _| {});
    assert!(stays.proofs.classes() > 0);
    assert_eq!(stays.proofs.differing(), 0);
}

#[test]
fn what_cannot_be_read_back_or_written_is_refused() {
    let mesh = with_rules(&json!([{"route": to("pay", "v2")}]));
    let unreadable = compared(&mesh, |draft, route| {
        let spec = json!({"parentRefs": 7});
        let manifest = new_object(
            Kind::HTTPRoute,
            &"shop".into(),
            "pay",
            Some(route),
            &[],
            spec,
        );
        draft.create(Phase::Routes, manifest, &[route]);
    });
    assert_eq!(unreadable.treatments[0].object.kind, Kind::VirtualService);
    assert!(unreadable.refuses());

    let absent = ObjectRef::new(Kind::Service, &"shop".into(), &"away".into());
    let unwritten = compared(&mesh, |draft, _| {
        let patch = json!({"metadata": {"labels": {"istio.io/use-waypoint": "waypoint"}}});
        draft.patch(Phase::Enrol, &absent, patch, &[]);
    });
    assert_eq!(unwritten.treatments[0].object, absent);
    assert!(unwritten.refuses());
}

/// What is said, by object.
fn said(translation: &Translation) -> Vec<(String, &Remark)> {
    let all = translation.treatments.iter();
    let all = all.flat_map(|t| t.remarks.iter().map(|r| (t.object.to_string(), r)));
    all.collect()
}

#[test]
fn what_cannot_be_read_whole_is_refused() {
    let mesh = with_rules(&json!([{"timeout": ["5s"], "route": to("pay", "")}]));
    let looked_at = compared(&mesh, |_, _| {});
    let said_of = said(&looked_at);
    let [(object, remark)] = said_of.as_slice() else {
        panic!("{said_of:?}");
    };
    assert_eq!(object, "VirtualService/pay -n shop");
    assert_eq!(
        (remark.topic, remark.weight),
        (Topic::Invalid, Weight::Refused)
    );
    assert!(
        remark.says.contains("spec.http[0].timeout"),
        "{}",
        remark.says
    );
}

#[test]
fn what_others_say_of_a_service_and_cannot_be_read_is_refused_on_its_account() {
    let route = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "pay", "namespace": "bank"},
        "spec": {"hosts": ["pay.shop.svc.cluster.local", "elsewhere.example.com"],
                 "http": [{"timeout": ["5s"], "route": to("pay.shop.svc.cluster.local", "")}]},
    });
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("shop.yaml", format!("{SHOP}{route}\n"));
    let mesh = Mesh::new(builder.finish());
    let looked_at = compared(&mesh, |_, _| {});
    let said_of = said(&looked_at);
    let [(object, remark)] = said_of.as_slice() else {
        panic!("{said_of:?}");
    };
    assert_eq!(object, "Service/pay -n shop");
    assert_eq!(
        (remark.topic, remark.weight),
        (Topic::Invalid, Weight::Refused)
    );
    assert!(
        remark.says.starts_with("VirtualService/pay -n bank"),
        "{}",
        remark.says
    );
}

#[test]
fn a_loss_that_is_told_of_does_not_hide_how_much_differs() {
    let mesh = with_rules(&json!([
        {"match": [{"uri": {"prefix": "/api"}}], "route": to("pay", "v2")},
        {"match": [{"method": {"exact": "POST"}}], "route": to("pay", "v2")},
        {"route": to("pay", "")},
    ]));
    let rules = json!([{"backendRefs": backend("pay")}]);
    let told = compared(&mesh, |draft, route| {
        let parent = json!([{"group": "", "kind": "Service", "name": "pay", "port": 80}]);
        let spec = json!({"parentRefs": parent, "rules": rules});
        let home = "shop".into();
        let made = new_object(Kind::HTTPRoute, &home, "pay", Some(route), &[], spec);
        draft.create(Phase::Routes, made, &[route]);
        draft.remove(Phase::Retire, route, &[]);
        let says = "/api takes less";
        let remark = Remark::new(Topic::Paths, Weight::Lossy, FieldPath::root(), says);
        draft.remark(route, remark);
    });
    let differing = told.proofs.differing();
    assert!(differing > 1);
    let said_of = said(&told);
    let [(_, found)] = said_of.as_slice() else {
        panic!("{said_of:?}");
    };
    assert_eq!((found.topic, found.weight), (Topic::Paths, Weight::Lossy));
    let more = format!("(and {} more kinds of requests)", differing - 1);
    assert!(
        found
            .says
            .starts_with("/api takes less; requests to Service/pay port 80")
    );
    assert!(found.says.ends_with(&more), "{}", found.says);
}
