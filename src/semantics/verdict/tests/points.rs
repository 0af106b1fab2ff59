//! Which policies a point has, and ways over several points.

use super::*;
use crate::inventory::{Input, InventoryBuilder};
use crate::kinds::{Kind, Resource};
use crate::mesh::Mesh;
use crate::mesh::installation::Authorizer;

fn names(policies: &Policies<'_>, point: &Point<'_>) -> String {
    let found = policies.authorization_at(point);
    let names: Vec<String> = found
        .iter()
        .map(|policy| policy.reference().name.to_string())
        .collect();
    names.join(" ")
}

const ALL: &str = "
    ALLOW istio-system/root-all {}
    ALLOW istio-system/root-sel {selector: {matchLabels: {app: a}}}
    ALLOW shop/ns-all {}
    ALLOW shop/ns-empty {selector: {matchLabels: {}}}
    ALLOW shop/sel {selector: {matchLabels: {app: a, v: '1'}}}
    ALLOW shop/sel-b {selector: {matchLabels: {app: b}}}
    ALLOW web/other {}
    ALLOW shop/svc {targetRefs: [{kind: Service, name: a}, {kind: Service, name: b}]}
    ALLOW shop/svc-group {targetRefs: [{group: apps, kind: Service, name: a}]}
    ALLOW web/svc-elsewhere {targetRefs: [{kind: Service, name: a}]}
    ALLOW shop/se {targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: a}]}
    ALLOW shop/gw {targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}}
    ALLOW web/gw-elsewhere {targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}]}
    ALLOW istio-system/class {targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}]}
    ALLOW shop/class-elsewhere {targetRefs: [{group: gateway.networking.k8s.io, kind: GatewayClass, name: istio-waypoint}]}";

#[test]
fn policies_are_found_by_labels_or_by_reference() {
    let world = World::of(ALL);
    let policies = world.policies();
    let own = labels(&[("app", "a"), ("v", "1"), ("x", "y")]);
    let pod = Pod {
        namespace: "shop",
        labels: &own,
    };
    let by_labels = "root-all root-sel ns-all ns-empty sel";
    assert_eq!(names(&policies, &Point::Sidecar(pod)), by_labels);
    assert_eq!(names(&policies, &Point::Ztunnel(pod)), by_labels);
    assert_eq!(names(&policies, &Point::Gateway(pod)), by_labels);
    let waypoint = |target| Point::Waypoint {
        namespace: "shop",
        name: "waypoint",
        target,
    };
    let target = |kind, namespace| {
        Some(Target {
            kind,
            namespace,
            name: "a",
        })
    };
    for (target, expected) in [
        (target(Kind::Service, "shop"), "class gw svc"),
        (target(Kind::Service, "web"), "class gw svc-elsewhere"),
        (target(Kind::ServiceEntry, "shop"), "class gw se"),
        (None, "class gw"),
    ] {
        assert_eq!(names(&policies, &waypoint(target)), expected, "{target:?}");
    }
    // The pod of a Gateway-API gateway may be meant by name too.
    let gateway = labels(&[("gateway.networking.k8s.io/gateway-name", "waypoint")]);
    let pod = Pod {
        namespace: "shop",
        labels: &gateway,
    };
    let at_gateway = names(&policies, &Point::Gateway(pod));
    assert_eq!(at_gateway, "root-all gw ns-all ns-empty");
}

#[test]
fn behind_a_waypoint_it_is_the_waypoint_that_calls() {
    let world = World::of(
        "ALLOW shop/a {rules: [{from: [{source: {namespaces: [web]}}]}]}
         ALLOW shop/a-wp {targetRefs: [{kind: Service, name: a}], rules: [{from: [{source: {namespaces: [web]}}], to: [{operation: {methods: [GET], ports: ['80']}}]}]}",
    );
    let policies = world.policies();
    let behind_it = behind(Point::Ztunnel(world.pod()), &policies, &policies);
    verdicts(&behind_it, "web/x => -\n - => -");
    let mut admitted = World::of(
        "ALLOW shop/a {rules: [{from: [{source: {namespaces: [web]}}]}]}
         ALLOW shop/g {rules: [{from: [{source: {serviceAccounts: [waypoint]}}]}]}",
    );
    let at_pod = admitted.policies();
    let behind_it = behind(Point::Ztunnel(world.pod()), &at_pod, &policies);
    verdicts(
        &behind_it,
        "web/x => +
         web/x POST => -
         ops/x => -
         - => -",
    );
    // The policy's port is the Service's there, whatever the pod's is.
    let mut verbatim = World::of("");
    verbatim.add("DENY shop/p {targetRefs: [{kind: Service, name: a}], rules: [{to: [{operation: {ports: ['8080']}}]}]}");
    let at_waypoint = verbatim.policies();
    let behind_it = behind(Point::Ztunnel(world.pod()), &at_pod, &at_waypoint);
    verdicts(&behind_it, "web/x => +");
    drop(behind_it);
    // The address that the pod sees is the waypoint's, which no call says.
    admitted.add("DENY shop/d {rules: [{from: [{source: {ipBlocks: [10.0.0.0/8]}}]}]}");
    let at_pod = admitted.policies();
    let behind_it = behind(Point::Ztunnel(world.pod()), &at_pod, &policies);
    verdicts(&behind_it, "web/x => ?\n web/x POST => -");
}

#[test]
fn a_token_that_was_verified_is_taken_out() {
    let at_waypoint = |forward: &str| {
        World::of(&format!(
            "RA shop/r {{targetRefs: [{{kind: Service, name: a}}], jwtRules: [{{issuer: i{forward}}}]}}"
        ))
    };
    let world = World::of(
        "RA shop/r {jwtRules: [{issuer: i}]}
         DENY shop/d {rules: [{from: [{source: {notRequestPrincipals: ['*']}}]}]}",
    );
    let policies = world.policies();
    let keeps = at_waypoint("");
    let keeps = keeps.policies();
    let situation = behind(Point::Sidecar(world.pod()), &policies, &keeps);
    verdicts(&situation, "web/x token=i sub=u => -\n web/x bad=i => -");
    let forwards = at_waypoint(", forwardOriginalToken: true");
    let forwards = forwards.policies();
    let situation = behind(Point::Sidecar(world.pod()), &policies, &forwards);
    verdicts(&situation, "web/x token=i sub=u => +\n web/x => -");
    let none = World::of("");
    let none = none.policies();
    let situation = behind(Point::Sidecar(world.pod()), &policies, &none);
    verdicts(&situation, "web/x token=i sub=u => +\n web/x bad=i => -");
}

#[test]
fn a_mesh_says_what_there_is() {
    let mesh = "
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    rootNamespace: policies
    trustDomain: acme
    trustDomainAliases: [old]
    caCertificates: [{pem: x, trustDomains: [other]}, {pem: y}]
    extensionProviders:
    - {name: web, envoyExtAuthzHttp: {service: a.b, port: 80}}
    - {name: grpc, envoyExtAuthzGrpc: {service: a.b, port: 80}}
    - {name: traces, zipkin: {service: a.b, port: 80}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: everywhere, namespace: policies}
spec: {}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: nowhere, namespace: istio-system}
spec: {}
";
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("mesh.yaml", mesh.to_owned());
    let mesh = Mesh::new(builder.finish());
    let settings = Settings::of(&mesh.installation().config);
    let expected = Settings {
        root_namespace: Name::from("policies"),
        trust_domain: "acme".to_owned(),
        trust_domain_aliases: vec!["old".to_owned()],
        other_trust_domains: vec!["other".to_owned()],
        providers: Some(BTreeMap::from([
            ("grpc".to_owned(), Authorizer::Grpc),
            ("web".to_owned(), Authorizer::Http),
        ])),
        several_providers: false,
    };
    assert_eq!(settings, expected);
    let policies = Policies::of(&settings, &mesh);
    let nothing = Labels::default();
    let pod = Pod {
        namespace: "shop",
        labels: &nothing,
    };
    assert_eq!(names(&policies, &Point::Sidecar(pod)), "everywhere");
}
