//! What stands beside the Services: ServiceEntries that select pods or are bound to waypoints, workloads
//! without sidecars, plug-ins of the mesh.

use serde_json::json;

use super::*;
use crate::translate::options::Guard;

const GET_ONLY: &str =
    "p {selector: {matchLabels: {app: pay}}, rules: [{to: [{operation: {methods: [GET]}}]}]}";

/// A ServiceEntry of shop whose endpoints are pods.
fn entry(labels: &str, selected: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
         metadata: {{name: pay-ext, namespace: shop, labels: {{{labels}}}}}\n\
         spec: {{hosts: [pay.internal], ports: [{{number: 80, name: http, protocol: HTTP}}], \
         resolution: STATIC, workloadSelector: {{labels: {{app: {selected}}}}}}}\n"
    )
}

const EGRESS: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: egress, namespace: shop}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
";

#[test]
fn callers_of_a_service_entry_go_past_the_waypoint() {
    let read = policy(GET_ONLY);
    let found = convert(&[&read, &entry("", "pay")]);
    assert!(says(&found, "p", Topic::Guard, Weight::Refused));
    let told = remarks(&found, "p").iter();
    let mut told = told.filter(|remark| remark.says.contains("those of ServiceEntry/pay-ext"));
    assert!(told.next().is_some());
    let closed = Options {
        guard: Some(Guard::Closed),
        ..Options::default()
    };
    let found = convert_with(&[&read, &entry("", "pay")], &closed);
    assert!(says(&found, "p", Topic::Guard, Weight::Stated));
    // Of other pods it tells nothing.
    let found = convert(&[&read, &entry("", "cart")]);
    assert!(!says(&found, "p", Topic::Guard, Weight::Refused));
}

#[test]
fn nobody_would_judge_who_comes_by_a_service_entry_through_a_waypoint() {
    let bound = entry("istio.io/use-waypoint: egress", "pay");
    let caller = "p {selector: {matchLabels: {app: pay}}, rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/cart]}}]}]}";
    for line in [GET_ONLY, caller] {
        let found = convert(&[&policy(line), &bound, EGRESS]);
        assert!(
            says(&found, "p", Topic::Waypoint, Weight::Refused),
            "{line}"
        );
    }
}

#[test]
fn what_no_copy_judges_is_not_said_to_be_judged_at_the_waypoint() {
    let elsewhere = "p {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{from: [{source: {notPrincipals: [cluster.local/ns/shop/sa/cart]}}], to: [{operation: {ports: ['9090']}}]}]}";
    let found = convert(&[&policy(elsewhere), ROUTED]);
    assert_eq!(made(&found), Vec::<String>::new());
    let told = remarks(&found, "p").iter();
    let mut told = told.filter(|remark| remark.says.contains("is judged at the waypoint"));
    assert_eq!(told.next(), None);
}

#[test]
fn a_service_whose_pods_no_policy_judges_needs_no_waypoint() {
    let database = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec: {template: {metadata: {labels: {app: db, sidecar.istio.io/inject: 'false'}}}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {selector: {app: db}, ports: [{name: tcp-pg, port: 5432}]}
";
    let wide = policy("p {action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}");
    let found = convert(&[database, &wide]);
    let changed = found.changes.iter().map(|change| change.edit.object());
    let services: Vec<&str> = changed
        .filter(|object| object.kind == Kind::Service)
        .map(|object| object.name.as_ref())
        .collect();
    assert_eq!(services, ["cart", "pay"]);
}

fn plugin(line: &str) -> String {
    object("WasmPlugin", "extensions.istio.io/v1alpha1", line)
}

fn extension(line: &str) -> String {
    object("TrafficExtension", "extensions.istio.io/v1alpha1", line)
}

#[test]
fn extensions_are_copied_as_plug_ins_are() {
    let own = extension("w {selector: {matchLabels: {app: cart}}, lua: {inlineCode: 'x'}}");
    let found = convert(&[
        &own,
        &extension("istio-system/of-all {wasm: {url: 'oci://x'}, priority: 3}"),
    ]);
    assert!(!found.refuses(), "{:?}", found.treatments);
    for (name, kept, value) in [
        ("w-wp", "lua", json!({"inlineCode": "x"})),
        ("of-all-wp", "priority", json!(3)),
    ] {
        let copy = spec_of(&found, Phase::Retire, Kind::TrafficExtension, name);
        assert_eq!(copy[kept], value);
        assert!(
            copy["targetRefs"].is_array() && copy["selector"].is_null(),
            "{copy}"
        );
    }
    for (line, field) in [
        (
            "w {lua: {inlineCode: x}, match: [{mode: CLIENT}]}",
            "spec.match[0].mode",
        ),
        (
            "istio-system/w {wasm: {url: 'oci://x', imagePullSecret: s}}",
            "spec.wasm.imagePullSecret",
        ),
    ] {
        let found = convert(&[&extension(line)]);
        let name = line.split_once(' ').unwrap().0;
        let remarks = remarks_of(&found, Kind::TrafficExtension, name);
        let refused = remarks
            .iter()
            .filter(|remark| remark.weight == Weight::Refused);
        let fields: Vec<String> = refused.map(|remark| remark.field.to_string()).collect();
        assert_eq!(fields, [field], "{line}");
    }
}

#[test]
fn plug_ins_of_the_mesh_are_copied_and_stay() {
    let found = convert(&[&plugin("istio-system/w {url: 'oci://x', phase: AUTHZ}")]);
    let copy = spec_of(&found, Phase::Retire, Kind::WasmPlugin, "w-wp");
    assert_eq!(copy["url"], "oci://x");
    assert!(copy["targetRefs"].is_array());
    assert!(!found.refuses(), "{:?}", found.treatments);
    let removed = found
        .changes
        .iter()
        .any(|change| matches!(change.edit, Edit::Remove(_)));
    assert!(!removed);
}

#[test]
fn plug_ins_that_no_waypoint_would_run_are_refused() {
    for (line, field) in [
        (
            "w {url: 'oci://x', match: [{mode: CLIENT}]}",
            "spec.match[0].mode",
        ),
        (
            "w {url: 'oci://x', match: [{mode: SERVER}, {ports: [{number: 80}]}]}",
            "spec.match[1].ports",
        ),
        (
            "istio-system/w {url: 'oci://x', match: [{mode: CLIENT}]}",
            "spec.match[0].mode",
        ),
        (
            "istio-system/w {url: 'oci://x', imagePullSecret: s}",
            "spec.imagePullSecret",
        ),
    ] {
        let found = convert(&[&plugin(line)]);
        let name = line.split_once(' ').unwrap().0;
        let fields: Vec<String> = remarks_of(&found, Kind::WasmPlugin, name)
            .iter()
            .filter(|remark| remark.weight == Weight::Refused)
            .map(|remark| remark.field.to_string())
            .collect();
        assert_eq!(fields, [field], "{line}");
    }
    let found = convert(&[&plugin("w {url: 'oci://x', match: [{mode: SERVER}]}")]);
    assert!(!found.refuses(), "{:?}", found.treatments);
}

#[test]
fn a_host_that_means_a_service_is_told_from_one_outside() {
    for (host, told, remedy) in [
        (
            "gone",
            "means Service/gone -n shop, which was not found",
            "give the Service together with it, or delete it",
        ),
        ("api.foo.com", "api.foo.com is no Service here", "bind"),
    ] {
        let route = object(
            "VirtualService",
            "networking.istio.io/v1",
            &format!(
                "r {{hosts: [{host}], http: [{{timeout: 1s, route: [{{destination: {{host: {host}}}}}]}}]}}"
            ),
        );
        let rule = object(
            "DestinationRule",
            "networking.istio.io/v1",
            &format!("r {{host: {host}, trafficPolicy: {{loadBalancer: {{simple: RANDOM}}}}}}"),
        );
        let found = convert(&[&route, &rule]);
        for kind in [Kind::VirtualService, Kind::DestinationRule] {
            let mut remarks = remarks_of(&found, kind, "r").iter();
            let is_told = |remark: &Remark| {
                let answer = remark.remedy.as_ref();
                remark.says.contains(told) && answer.is_some_and(|it| it.starts_with(remedy))
            };
            assert!(remarks.any(is_told), "{kind} {host}");
        }
    }
}

#[test]
fn tls_to_a_host_is_sent_by_the_waypoint_of_its_service_entry() {
    let host = |labels: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
             metadata: {{name: api, namespace: shop, labels: {{{labels}}}}}\n\
             spec: {{hosts: [api.foo.com], ports: [{{number: 80, name: http, protocol: HTTP}}], resolution: DNS}}\n"
        )
    };
    let rule = object(
        "DestinationRule",
        "networking.istio.io/v1",
        "api {host: api.foo.com, trafficPolicy: {tls: {mode: SIMPLE}}}",
    );
    let refused = |labels: &str, beside: &str| {
        let found = convert(&[&host(labels), &rule, beside]);
        let remarks = remarks_of(&found, Kind::DestinationRule, "api").iter();
        remarks
            .filter(|remark| remark.weight == Weight::Refused)
            .count()
    };
    assert_eq!(refused("istio.io/use-waypoint: egress", EGRESS), 0);
    assert_eq!(refused("", EGRESS), 1);
    assert_eq!(refused("istio.io/use-waypoint: egress", "---"), 1);
}
