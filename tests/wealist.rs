//! The example mesh is what its README says it is, and all of it is read.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kubectl_ambient::inventory::{Input, InventoryBuilder};
use kubectl_ambient::kinds::Kind;
use serde_json::Value;

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wealist");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the example is there")
        .map(|entry| entry.expect("an entry can be read").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    files.sort();
    files
}

fn objects() -> Vec<Value> {
    files()
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("a file can be read");
            serde_saphyr::from_multiple::<Value>(&text).expect("it is YAML")
        })
        .collect()
}

fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or("")
}

fn of_kind<'a>(objects: &'a [Value], kind: &str, namespace: &str) -> Vec<&'a Value> {
    objects
        .iter()
        .filter(|o| text(o, "/kind") == kind && text(o, "/metadata/namespace") == namespace)
        .collect()
}

fn names<'a>(objects: &[&'a Value]) -> Vec<&'a str> {
    objects.iter().map(|o| text(o, "/metadata/name")).collect()
}

#[test]
fn every_object_is_read() {
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    for path in files() {
        let name = path
            .file_name()
            .expect("a file has a name")
            .to_string_lossy();
        builder.file(
            &name,
            fs::read_to_string(&path).expect("a file can be read"),
        );
    }
    let inventory = builder.finish();
    assert_eq!(inventory.unread, []);
    assert_eq!(inventory.ignored, [("v1/ServiceAccount".to_owned(), 9)]);
    for (kind, count) in [
        (Kind::Namespace, 6),
        (Kind::Node, 3),
        (Kind::Pod, 13),
        (Kind::Service, 10),
        (Kind::ConfigMap, 2),
        (Kind::Deployment, 9),
        (Kind::StatefulSet, 1),
        (Kind::DaemonSet, 2),
        (Kind::ReplicaSet, 8),
        (Kind::MutatingWebhookConfiguration, 2),
        (Kind::CustomResourceDefinition, 19),
        (Kind::VirtualService, 3),
        (Kind::DestinationRule, 1),
        (Kind::IstioGateway, 1),
        (Kind::AuthorizationPolicy, 1),
        (Kind::RequestAuthentication, 1),
        (Kind::GatewayClass, 3),
    ] {
        assert_eq!(inventory.objects.count(kind), count, "{kind:?}");
    }
    for kind in [Kind::EnvoyFilter, Kind::WasmPlugin, Kind::Sidecar] {
        assert_eq!(inventory.objects.count(kind), 0, "{kind:?}");
    }
}

#[test]
fn twelve_pods_with_a_sidecar_each() {
    let objects = objects();
    let pods = of_kind(&objects, "Pod", "default");
    assert_eq!(pods.len(), 12);
    for pod in &pods {
        let ready = pod["status"]["containerStatuses"]
            .as_array()
            .expect("they run");
        assert_eq!(ready.iter().filter(|c| c["ready"] == true).count(), 2);
        assert_eq!(pod["spec"]["containers"][1]["name"], "istio-proxy");
        assert_eq!(
            pod["metadata"]["labels"]["networking.istio.io/tunnel"],
            "http"
        );
    }
    let replicas: u64 = ["Deployment", "StatefulSet"]
        .iter()
        .flat_map(|kind| of_kind(&objects, kind, "default"))
        .map(|o| o["spec"]["replicas"].as_u64().unwrap_or(0))
        .sum();
    assert_eq!(replicas, 12);
}

#[test]
fn the_services_and_what_selects_them() {
    let objects = objects();
    let services = of_kind(&objects, "Service", "default");
    let expected = [
        "api-gateway",
        "user-service",
        "product-service",
        "order-service",
        "payment-service",
        "notification-svc",
        "redis",
        "mongodb",
    ];
    assert_eq!(names(&services), expected);

    let with_jwt: BTreeSet<&str> = of_kind(&objects, "Pod", "default")
        .into_iter()
        .filter(|pod| text(pod, "/metadata/labels/auth") == "jwt")
        .map(|pod| text(pod, "/metadata/labels/app"))
        .collect();
    assert_eq!(
        with_jwt,
        BTreeSet::from(["api-gateway", "payment-service", "user-service"])
    );
    let jwt = of_kind(&objects, "RequestAuthentication", "default");
    assert_eq!(jwt[0]["spec"]["selector"]["matchLabels"]["auth"], "jwt");

    let rule = of_kind(&objects, "DestinationRule", "default");
    assert!(!expected.contains(&text(rule[0], "/spec/host")));
}

#[test]
fn owners_exist() {
    let objects = objects();
    let uids: BTreeSet<&str> = objects.iter().map(|o| text(o, "/metadata/uid")).collect();
    assert_eq!(uids.len(), objects.len(), "no uid twice");
    for object in &objects {
        let owner = text(object, "/metadata/ownerReferences/0/uid");
        assert!(owner.is_empty() || uids.contains(owner), "{object}");
        assert!(object["metadata"]["managedFields"].is_null());
    }
}
