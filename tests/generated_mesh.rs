//! The generator of meshes for benchmarks keeps its word about what it writes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

#[path = "../benches/mesh/generator.rs"]
mod generator;

fn generate(pods: usize) -> String {
    let mut bytes = Vec::new();
    generator::write(pods, &mut bytes).expect("memory can be written");
    String::from_utf8(bytes).expect("JSON is UTF-8")
}

fn items(text: &str) -> Vec<Value> {
    let list: Value = serde_json::from_str(text).expect("it is one JSON document");
    assert_eq!(list["kind"], "List");
    list["items"].as_array().expect("a list has items").clone()
}

fn of_kind<'a>(items: &'a [Value], kind: &str) -> Vec<&'a Value> {
    items.iter().filter(|o| o["kind"] == kind).collect()
}

fn key(object: &Value) -> (String, String, String) {
    let part = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let meta = &object["metadata"];
    (
        part(&object["kind"]),
        part(&meta["namespace"]),
        part(&meta["name"]),
    )
}

#[test]
fn it_has_as_many_objects_as_said() {
    let items = items(&generate(1_003));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for object in &items {
        *counts.entry(object["kind"].as_str().unwrap()).or_default() += 1;
    }
    let team = |o: &&&Value| o["metadata"]["name"].as_str().unwrap().starts_with("team-");
    let namespaces = of_kind(&items, "Namespace");
    assert_eq!(counts["Pod"], 1_003);
    assert_eq!(counts["Service"], 201 + 1, "and istiod's");
    assert_eq!(counts["Deployment"], 201 + 1, "and istiod");
    assert_eq!(namespaces.iter().filter(team).count(), 11);
    assert_eq!(counts["DaemonSet"], 2);
    let policies = [
        "AuthorizationPolicy",
        "DestinationRule",
        "PeerAuthentication",
        "RequestAuthentication",
        "VirtualService",
    ];
    assert_eq!(policies.iter().map(|k| counts[k]).sum::<usize>(), 100);
}

#[test]
fn the_same_size_gives_the_same_bytes() {
    assert_eq!(generate(60), generate(60));
}

#[test]
fn no_gap_is_left_and_pods_are_of_a_real_size() {
    let text = generate(100);
    assert!(!text.contains("${") && !text.contains("#{"));
    let sizes: Vec<usize> = text
        .lines()
        .filter(|line| line.contains(r#""kind":"Pod""#))
        .map(str::len)
        .collect();
    assert_eq!(sizes.len(), 100);
    assert!(
        sizes.iter().all(|s| (11_000..14_000).contains(s)),
        "{sizes:?}"
    );
}

#[test]
fn names_and_references_hold_together() {
    let items = items(&generate(400));
    let keys: BTreeSet<_> = items.iter().map(key).collect();
    assert_eq!(keys.len(), items.len(), "no object twice");
    let uids: BTreeSet<_> = items
        .iter()
        .map(|o| o["metadata"]["uid"].as_str().unwrap())
        .collect();
    assert_eq!(uids.len(), items.len(), "no uid twice");

    let exists = |kind: &str, ns: &Value, name: &str| {
        keys.contains(&(
            kind.to_owned(),
            ns.as_str().unwrap_or_default().to_owned(),
            name.to_owned(),
        ))
    };
    let mut addresses = BTreeSet::new();
    for pod in of_kind(&items, "Pod") {
        let (meta, labels) = (&pod["metadata"], &pod["metadata"]["labels"]);
        let owner = &meta["ownerReferences"][0];
        let hash = labels["pod-template-hash"].as_str().unwrap();
        let deployment = owner["name"].as_str().unwrap().strip_suffix(hash).unwrap();
        let deployment = deployment.trim_end_matches('-');
        assert_eq!(owner["kind"], "ReplicaSet");
        assert!(exists("Deployment", &meta["namespace"], deployment));
        assert_eq!(labels["app"], deployment);
        assert!(addresses.insert(pod["status"]["podIP"].as_str().unwrap()));
    }
    for policy in &items {
        let ns = &policy["metadata"]["namespace"];
        if let Some(app) = policy["spec"]["selector"]["matchLabels"]["app"].as_str()
            && policy["apiVersion"] == "security.istio.io/v1"
        {
            assert!(exists("Deployment", ns, app));
        }
        for host in policy["spec"]["hosts"].as_array().into_iter().flatten() {
            assert!(exists("Service", ns, host.as_str().unwrap()));
        }
    }
}

#[test]
fn some_sidecars_are_without_hbone() {
    let items = items(&generate(400));
    let old: Vec<_> = of_kind(&items, "Pod")
        .into_iter()
        .filter(|p| p["metadata"]["labels"]["networking.istio.io/tunnel"].is_null())
        .collect();
    assert_eq!(old.len(), 10);
}
