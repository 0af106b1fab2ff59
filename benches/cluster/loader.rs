//! Fills a real API server with the generator's mesh.
//!
//! Objects are written as they are to stand, without the controllers that would make them: whoever
//! calls this has stopped them.

use std::collections::BTreeSet;
use std::io;

use futures_util::{StreamExt, TryStreamExt, stream};
use http::{Method, Request};
use kube::Client;
use serde_json::{Value, json};

/// Requests that are under way at once.
const AT_ONCE: usize = 32;

/// What was written of one kind.
pub(crate) struct Written {
    pub(crate) kind: &'static str,
    pub(crate) objects: usize,
}

/// Kinds in the order in which they are written, and the collection of each.
const KINDS: &[(&str, &str)] = &[
    ("Namespace", "/api/v1"),
    ("ServiceAccount", "/api/v1"),
    ("Deployment", "/apis/apps/v1"),
    ("Service", "/api/v1"),
    ("AuthorizationPolicy", "/apis/security.istio.io/v1"),
    ("RequestAuthentication", "/apis/security.istio.io/v1"),
    ("PeerAuthentication", "/apis/security.istio.io/v1"),
    ("VirtualService", "/apis/networking.istio.io/v1"),
    ("DestinationRule", "/apis/networking.istio.io/v1"),
    ("Pod", "/api/v1"),
];

/// Writes all objects of a `List` that stand in namespaces of its own, and the accounts they need.
///
/// # Errors
/// When the list holds a kind that has no place here, or the server refuses an object.
pub(crate) async fn fill(client: &Client, list: &str) -> io::Result<Vec<Written>> {
    let Value::Object(mut list) = serde_json::from_str(list)? else {
        return Err(io::Error::other("the mesh is not a list"));
    };
    let Some(Value::Array(items)) = list.remove("items") else {
        return Err(io::Error::other("the mesh has no items"));
    };
    let mut items: Vec<Value> = items.into_iter().filter(is_of_a_team).collect();
    items.extend(accounts(&items));
    let mut counts = Vec::new();
    for (kind, base) in KINDS {
        let (mine, rest): (Vec<Value>, Vec<Value>) =
            items.into_iter().partition(|item| item["kind"] == *kind);
        items = rest;
        let objects = mine.len();
        stream::iter(mine.into_iter().map(|item| create(client, base, item)))
            .buffer_unordered(AT_ONCE)
            .try_collect::<Vec<()>>()
            .await?;
        counts.push(Written { kind, objects });
    }
    match items.first() {
        None => {}
        Some(item) => {
            return Err(io::Error::other(format!("no place for a {}", item["kind"])));
        }
    }
    inject(client).await?;
    Ok(counts)
}

/// The installation is the server's own; what is the generator's has its namespaces' names.
fn is_of_a_team(item: &Value) -> bool {
    let meta = &item["metadata"];
    let namespace = match meta["namespace"].as_str() {
        Some(namespace) => namespace,
        None if item["kind"] == "Namespace" => meta["name"].as_str().unwrap_or_default(),
        None => return false,
    };
    namespace.starts_with("team-")
}

/// The service accounts that pods run as: the server admits none without.
fn accounts(items: &[Value]) -> Vec<Value> {
    let accounts: BTreeSet<(&str, &str)> = items
        .iter()
        .filter(|item| item["kind"] == "Pod")
        .filter_map(|pod| {
            let namespace = pod["metadata"]["namespace"].as_str()?;
            Some((namespace, pod["spec"]["serviceAccountName"].as_str()?))
        })
        .collect();
    let account = |(namespace, name)| {
        json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"namespace": namespace, "name": name},
        })
    };
    accounts.into_iter().map(account).collect()
}

async fn create(client: &Client, base: &str, mut item: Value) -> io::Result<()> {
    let kind = item["kind"].as_str().unwrap_or_default().to_owned();
    let name = item["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let status = item.as_object_mut().and_then(|item| item.remove("status"));
    if let Some(meta) = item["metadata"].as_object_mut() {
        meta.remove("uid");
        meta.remove("resourceVersion");
        if kind == "Namespace" {
            // Put back at the end, so that no webhook is asked about pods that are as they are.
            meta.remove("labels");
        }
    }
    if kind == "Service"
        && let Some(spec) = item["spec"].as_object_mut()
    {
        // The server gives addresses out of its own range.
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    let collection = match item["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{base}/namespaces/{namespace}/{}", plural(&kind)),
        None => format!("{base}/{}", plural(&kind)),
    };
    send(client, Method::POST, &collection, &item).await?;
    if let Some(status) = status
        && kind == "Pod"
    {
        item["status"] = status;
        let path = format!("{collection}/{name}/status");
        send(client, Method::PUT, &path, &item).await?;
    }
    Ok(())
}

/// Labels the namespaces as those with sidecars are.
async fn inject(client: &Client) -> io::Result<()> {
    let list: Value = read(client, "/api/v1/namespaces").await?;
    let patch = json!({"metadata": {"labels": {"istio-injection": "enabled"}}});
    for namespace in list["items"].as_array().into_iter().flatten() {
        let name = namespace["metadata"]["name"].as_str().unwrap_or_default();
        if name.starts_with("team-") {
            let path = format!("/api/v1/namespaces/{name}");
            send(client, Method::PATCH, &path, &patch).await?;
        }
    }
    Ok(())
}

fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    }
}

async fn read(client: &Client, path: &str) -> io::Result<Value> {
    let request = Request::get(path)
        .body(Vec::new())
        .map_err(io::Error::other)?;
    client.request(request).await.map_err(io::Error::other)
}

async fn send(client: &Client, method: Method, path: &str, body: &Value) -> io::Result<()> {
    let content = match method {
        Method::PATCH => "application/merge-patch+json",
        _ => "application/json",
    };
    let request = Request::builder()
        .method(&method)
        .uri(path)
        .header("content-type", content)
        .body(serde_json::to_vec(body)?)
        .map_err(io::Error::other)?;
    client
        .request_text(request)
        .await
        .map(|_| ())
        .map_err(|error| io::Error::other(format!("{method} {path}: {error}")))
}
