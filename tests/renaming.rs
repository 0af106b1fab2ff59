//! Nothing is inferred from names: with every object and namespace of the example called otherwise
//! (the installation's excepted, the order kept), the answers differ in the names only.

#![expect(
    clippy::unwrap_used,
    reason = "a test; what it reads is in the repository"
)]

use std::path::Path;

use kubectl_ambient::checks::{Check, Scope, all, judge};
use kubectl_ambient::inventory::{Input, InventoryBuilder};
use kubectl_ambient::kinds::Name;
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::report::{CheckReport, StatusReport, WaypointPlanReport};

/// Objects of the example. A prefix that all share keeps their order.
const OBJECTS: [&str; 16] = [
    "allow-frontend",
    "api-destination",
    "api-gateway",
    "api-routing",
    "api-service",
    "istio-ingressgateway",
    "jwt-auth",
    "mongodb",
    "notification-svc",
    "order-routing",
    "order-service",
    "payment-service",
    "product-routing",
    "product-service",
    "redis",
    "user-service",
];
const PREFIX: &str = "qzq";

/// Places in which the namespaces of the example stand; the new names sort as the old ones.
const NAMESPACES: [(&str, &str); 10] = [
    ("namespace: default\n", "namespace: dqfault\n"),
    ("name: default\n", "name: dqfault\n"),
    ("metadata.name: default\n", "metadata.name: dqfault\n"),
    ("/default\n", "/dqfault\n"),
    ("ns/default/", "ns/dqfault/"),
    (".default.svc", ".dqfault.svc"),
    ("namespaces/default/", "namespaces/dqfault/"),
    ("istio-ingress\n", "istio-inqress\n"),
    ("istio-ingress/", "istio-inqress/"),
    ("istio-ingress.svc", "istio-inqress.svc"),
];

/// Files whose objects are not Istio's installation.
const FILES: [&str; 7] = [
    "namespaces.yaml",
    "workloads.yaml",
    "replicasets.yaml",
    "pods.yaml",
    "services.yaml",
    "istio.yaml",
    "gateway.yaml",
];

fn renamed(text: &str) -> String {
    let mut text = text.to_owned();
    for name in OBJECTS {
        text = text.replace(name, &format!("{PREFIX}{name}"));
    }
    for (old, new) in NAMESPACES {
        text = text.replace(old, new);
    }
    text
}

fn restored(text: &str) -> String {
    text.replace(PREFIX, "")
        .replace("dqfault", "default")
        .replace("istio-inqress", "istio-ingress")
}

fn answers(rename: bool) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wealist");
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    for file in FILES {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        assert!(
            !text.contains(PREFIX) && !text.contains("dqfault"),
            "the new names are new"
        );
        builder.file(file, if rename { renamed(&text) } else { text });
    }
    let installation = std::fs::read_to_string(folder.join("installation.yaml")).unwrap();
    builder.file("installation.yaml", installation);
    let mesh = Mesh::new(builder.finish());
    let scope = Scope::injected(&mesh);
    let checks: Vec<&'static dyn Check> = all().collect();
    let judgement = judge(&mesh, &scope, &checks, false);
    let everything = Scope::of(
        mesh.namespaces()
            .map(|ns| ns.name.clone())
            .collect::<Vec<Name>>(),
    );
    [
        serde_json::to_string_pretty(&CheckReport::new(&mesh, &scope, &judgement, None)).unwrap(),
        serde_json::to_string_pretty(&WaypointPlanReport::new(&mesh, &scope, None)).unwrap(),
        serde_json::to_string_pretty(&StatusReport::new(&mesh, &everything, None)).unwrap(),
    ]
    .join("\n")
}

#[test]
fn names_mean_nothing() {
    let before = answers(false);
    let after = answers(true);
    assert!(
        after.contains("qzquser-service") && after.contains("dqfault"),
        "it was renamed"
    );
    assert!(!after.contains("\"user-service\""), "nothing kept its name");
    similar_text(&before, &restored(&after));
}

fn similar_text(before: &str, after: &str) {
    for (line, (a, b)) in before.lines().zip(after.lines()).enumerate() {
        assert_eq!(a, b, "line {}", line + 1);
    }
    assert_eq!(before.lines().count(), after.lines().count());
}
