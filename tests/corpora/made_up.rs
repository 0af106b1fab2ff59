//! A mesh around one VirtualService of somebody else: what it refers to is made up, so that its
//! routes can be translated and compared.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// The namespace of what has none.
const SHOP: &str = "shop";

/// Objects around one VirtualService.
pub(crate) struct MadeUp {
    /// The VirtualService, without gateways and for one host; and what it refers to.
    pub(crate) objects: Vec<Value>,
    /// Whether its host is as written.
    pub(crate) own_host: bool,
}

/// What is known of a host.
#[derive(Default)]
struct Used {
    ports: BTreeSet<u64>,
    subsets: BTreeSet<String>,
}

/// A mesh around a VirtualService; `None` where it has no HTTP routes. Where a host is given, by name and
/// namespace, the VirtualService is made one for it.
pub(crate) fn mesh(virtual_service: &Value, host: Option<(&str, &str)>) -> Option<MadeUp> {
    let mut object = virtual_service.clone();
    if let Some((_, namespace)) = host {
        object["metadata"]["namespace"] = json!(namespace);
    }
    object["spec"]["http"]
        .as_array()
        .filter(|rules| !rules.is_empty())?;
    let home = object["metadata"]["namespace"]
        .as_str()
        .unwrap_or(SHOP)
        .to_owned();
    object["metadata"]["namespace"] = json!(home);
    if object["metadata"]["name"]
        .as_str()
        .is_none_or(str::is_empty)
    {
        object["metadata"]["name"] = json!("unnamed");
    }
    let in_mesh = object["spec"]["gateways"]
        .as_array()
        .is_none_or(|gateways| gateways.is_empty() || gateways.iter().any(|g| g == "mesh"));
    let spec = object["spec"].as_object_mut()?;
    spec.remove("gateways");
    for rule in spec["http"].as_array_mut()? {
        for given in rule["match"].as_array_mut().into_iter().flatten() {
            if let Some(given) = given.as_object_mut() {
                given.remove("gateways");
            }
        }
    }
    let hosts: Vec<&str> = spec["hosts"]
        .as_array()?
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let own = hosts.iter().find_map(|host| service(host, &home));
    let own_host = in_mesh && own.is_some();
    let (name, namespace) = match (host, own) {
        (Some((name, namespace)), _) => (name.to_owned(), namespace.to_owned()),
        (None, Some(own)) if own_host => own,
        _ => ("made-up".to_owned(), home.clone()),
    };
    let host = format!("{name}.{namespace}.svc.cluster.local");
    spec.insert("hosts".to_owned(), json!([host]));

    let mut used = used(spec["http"].as_array()?, &home);
    let own = used.entry((namespace.clone(), name.clone())).or_default();
    own.ports.insert(80);
    own.ports.extend(matched_ports(spec["http"].as_array()?));
    let mut objects = vec![object];
    let homes: BTreeSet<&String> = used.keys().map(|(home, _)| home).chain([&home]).collect();
    for home in homes {
        objects.push(json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": home, "labels": {"istio-injection": "enabled"}},
        }));
    }
    for ((namespace, name), used) in &used {
        objects.extend(backend(namespace, name, used));
    }
    Some(MadeUp { objects, own_host })
}

/// The ports that matches name.
fn matched_ports(rules: &[Value]) -> impl Iterator<Item = u64> {
    let given = rules
        .iter()
        .flat_map(|rule| rule["match"].as_array().into_iter().flatten());
    given.filter_map(|given| given["port"].as_u64())
}

/// What is known of the hosts that rules lead to, by namespace and name.
fn used(rules: &[Value], home: &str) -> BTreeMap<(String, String), Used> {
    let mut used: BTreeMap<(String, String), Used> = BTreeMap::new();
    for rule in rules {
        let mirrors = rule["mirrors"].as_array().into_iter().flatten();
        let routes = rule["route"].as_array().into_iter().flatten();
        let destinations = mirrors.chain(routes).map(|way| &way["destination"]);
        for destination in destinations.chain([&rule["mirror"]]) {
            let host = destination["host"].as_str();
            let Some((name, namespace)) = host.and_then(|host| service(host, home)) else {
                continue;
            };
            let known = used.entry((namespace, name)).or_default();
            let port = destination["port"]["number"].as_u64();
            known.ports.insert(port.unwrap_or(80));
            if let Some(subset) = destination["subset"].as_str().filter(|s| !s.is_empty()) {
                known.subsets.insert(subset.to_owned());
            }
        }
    }
    used
}

/// The Service that a host means: name and namespace.
fn service(host: &str, home: &str) -> Option<(String, String)> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
            && !name.ends_with('-')
            && name.len() < 40
    };
    let parts: Vec<&str> = host.split('.').collect();
    let (name, namespace) = match parts.as_slice() {
        [name] => (*name, home),
        [name, namespace, "svc", "cluster", "local"] => (*name, *namespace),
        _ => return None,
    };
    (is_name(name) && is_name(namespace)).then(|| (name.to_owned(), namespace.to_owned()))
}

fn backend(namespace: &str, name: &str, used: &Used) -> Vec<Value> {
    let meta = json!({"name": name, "namespace": namespace});
    let ports: Vec<Value> = used
        .ports
        .iter()
        .map(|port| json!({"name": format!("http-{port}"), "port": port}))
        .collect();
    let mut objects = vec![json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta,
        "spec": {"selector": {"app": name}, "ports": ports},
    })];
    let versions: Vec<Option<&String>> = if used.subsets.is_empty() {
        vec![None]
    } else {
        used.subsets.iter().map(Some).collect()
    };
    for version in versions {
        let mut labels = json!({"app": name});
        let mut full = name.to_owned();
        if let Some(version) = version {
            labels["version"] = json!(version);
            full = format!(
                "{name}-{}",
                version.to_ascii_lowercase().replace(['_', '.'], "-")
            );
        }
        objects.push(json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": full, "namespace": namespace},
            "spec": {"selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels}, "spec": {"containers": []}}},
        }));
    }
    if !used.subsets.is_empty() {
        let subsets: Vec<Value> = used
            .subsets
            .iter()
            .map(|subset| json!({"name": subset, "labels": {"version": subset}}))
            .collect();
        objects.push(json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta,
            "spec": {"host": format!("{name}.{namespace}.svc.cluster.local"), "subsets": subsets},
        }));
    }
    objects
}
