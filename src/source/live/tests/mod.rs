//! What is read of a cluster, and what is made of what cannot be.

mod alike;
mod asked;
mod cluster;
mod gaps;

use cluster::Cluster;
use serde_json::{Value, json};

use super::{LiveRead, LiveRequest, Namespaces, read};
use crate::client::scripted::Scripted;
use crate::error::Error;
use crate::inventory::{Inventory, Subject};
use crate::kinds::{Kind, KindSet, Name};

fn named(names: &[&str]) -> Namespaces {
    Namespaces::Named(names.iter().map(|name| Name::from(*name)).collect())
}

fn request(namespaces: Namespaces) -> LiveRequest {
    LiveRequest {
        namespaces,
        kinds: KindSet::of(Kind::ALL),
        whole: KindSet::EMPTY,
        chunk_size: 5,
        journals: false,
    }
}

async fn read_of(cluster: Cluster, request: &LiveRequest) -> (Result<LiveRead, Error>, Scripted) {
    let script = Scripted::answering([], move |seen| cluster.answer(seen));
    let result = read(&script.client(), request).await;
    (result, script)
}

/// The gaps as `what: why`.
fn gaps(inventory: &Inventory) -> Vec<String> {
    let gap = |subject: &Subject| match subject {
        Subject::List { kind, namespace } => match namespace {
            Some(namespace) => format!("{kind} in {namespace}"),
            None => kind.to_string(),
        },
        Subject::Object(object) => object.to_string(),
        Subject::File(file) => file.clone(),
    };
    inventory
        .unread
        .iter()
        .map(|unread| format!("{}: {}", gap(&unread.subject), unread.reason))
        .collect()
}

fn pod(namespace: &str, name: &str, labels: &Value, owner: Option<(&str, &str)>) -> Value {
    let owners: Vec<Value> = owner
        .iter()
        .map(|(kind, name)| json!({"kind": kind, "name": name, "controller": true}))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": namespace, "name": name, "labels": labels, "ownerReferences": owners,
        },
        "spec": {"serviceAccountName": format!("{name}-account"), "containers": []},
        "status": {"phase": "Running"},
    })
}

fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": api_version, "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"selector": {"matchLabels": {}}},
    })
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn pods(inventory: &Inventory) -> Vec<(&str, &str, bool)> {
    inventory
        .objects
        .pods
        .iter()
        .map(|pod| {
            let meta = &pod.metadata;
            (
                meta.namespace.as_ref(),
                meta.name.as_ref(),
                pod.detail.is_some(),
            )
        })
        .collect()
}
