//! A debug bundle: what was read of a mesh, without what is nobody's business, as manifests that `-f` judges again.
//!
//! Names stay, as findings are about them. Values that people put secrets into go, whether one is there or
//! not: nobody can tell by looking.

use serde_json::{Map, Value, json};

use crate::checks::Scope;
use crate::inventory::Inventory;
use crate::kinds::{Kind, ObjectRef};
use crate::mesh::cni::{AMBIENT_ENABLED, SELECTORS};

/// What stands where something was taken out.
const REDACTED: &str = "redacted";

/// Environment variables whose value is a switch of Istio's that checks read. Only a plain yes or no of theirs stays.
const SWITCHES: [&str; 4] = [
    "EXTERNAL_ISTIOD",
    "ISTIO_META_ENABLE_HBONE",
    "PILOT_ENABLE_AMBIENT",
    "PILOT_AUTO_ALLOW_WAYPOINT_POLICY",
];

/// The variable of istiod that names its cluster. Only the name that it has by default stays; another may be anything.
const CLUSTER: &str = "CLUSTER_ID";

/// Ends of the domains whose annotations stay: those of Kubernetes, Istio and of who keeps objects.
const ANNOTATIONS: [&str; 7] = [
    "istio.io",
    "k8s.io",
    "kubernetes.io",
    "kubectl-ambient",
    "argoproj.io",
    "fluxcd.io",
    "helm.sh",
];

/// What stands in words of a header's name when its value may be a secret.
const CREDENTIALS: [&str; 7] = [
    "auth", "cookie", "token", "key", "secret", "password", "session",
];

/// The text of a bundle, for the namespaces that were judged.
pub fn bundle(inventory: &Inventory, scope: &Scope) -> String {
    let mut out = head(inventory, scope);
    let mut objects = Vec::new();
    inventory
        .objects
        .for_each_meta(&mut |object, _| objects.push(object));
    for object in objects {
        let Some(value) = inventory.whole(&object) else {
            continue;
        };
        let text = serde_saphyr::to_string(&redacted(&object, value)).unwrap_or_default();
        out.push_str("---\n");
        out.push_str(&text);
    }
    out
}

/// What the file is, what it does not hold, and what could not be read.
fn head(inventory: &Inventory, scope: &Scope) -> String {
    let namespaces: Vec<&str> = scope.iter().map(|name| &**name).collect();
    let again = match namespaces.as_slice() {
        [] => String::new(),
        some => format!(" -n {}", some.join(",")),
    };
    let mut lines = vec![
        format!(
            "A debug bundle of kubectl-ambient {}.",
            env!("CARGO_PKG_VERSION")
        ),
        format!("kubectl ambient check -f FILE{again} judges the same objects again."),
        String::new(),
        "Not in it: Secrets, which are never read; what kubectl last applied; schemas.".to_owned(),
        format!("Written as \"{REDACTED}\": values of environment variables, commands and arguments, texts of"),
        "ConfigMaps but for settings of Istio's that are judged, key sets of tokens, the configuration of".to_owned(),
        "extensions, values of headers whose names tell of credentials, and annotations but for those of".to_owned(),
        "Kubernetes, Istio, Helm, Argo CD and Flux.".to_owned(),
        "Names, labels, images, hosts, paths and rules stay: read it before you pass it on.".to_owned(),
    ];
    if !inventory.unread.is_empty() {
        lines.push(String::new());
        lines.push("Could not be read, and so is not in it:".to_owned());
    }
    for unread in &inventory.unread {
        // The words of a parser may quote the file.
        lines.push(if unread.is_of_a_file() {
            format!("  {}", unread.what())
        } else {
            format!("  {}: {}", unread.what(), unread.reason)
        });
    }
    let lines = lines.into_iter().map(|line| {
        let line = line.replace(char::is_control, " ");
        format!("# {line}").trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// An object without what may be a secret.
fn redacted(object: &ObjectRef, mut value: Value) -> Value {
    if let Some(namespace) = Some(&object.namespace).filter(|name| !name.is_empty()) {
        value["metadata"]["namespace"] = Value::from(&**namespace);
    }
    // A list of a cluster says them once, for all of its items.
    value["apiVersion"] = Value::from(api_version(object.kind, &value));
    value["kind"] = Value::from(object.kind.written());
    match object.kind {
        Kind::ConfigMap => config_map(&mut value),
        // Of definitions only the metadata is read, and of a cluster only that.
        Kind::CustomResourceDefinition => {
            remove(&mut value, "spec");
            remove(&mut value, "status");
        }
        Kind::WasmPlugin => blank(value.get_mut("spec"), "pluginConfig"),
        Kind::TrafficExtension => {
            blank(value.pointer_mut("/spec/wasm"), "pluginConfig");
            blank(value.pointer_mut("/spec/lua"), "inlineCode");
        }
        Kind::EnvoyFilter => {
            for patch in items(value.pointer_mut("/spec/configPatches")) {
                blank(patch.get_mut("patch"), "value");
            }
        }
        Kind::MutatingWebhookConfiguration => {
            for webhook in items(value.get_mut("webhooks")) {
                blank(webhook.get_mut("clientConfig"), "caBundle");
            }
        }
        _ => {}
    }
    everywhere(&mut value);
    value
}

fn api_version(kind: Kind, value: &Value) -> String {
    // Where only the metadata was read, it says what metadata is.
    let said = value["apiVersion"].as_str().unwrap_or_default();
    if !said.is_empty() && Kind::of(said, kind.written()) == Some(kind) {
        return said.to_owned();
    }
    let version = kind.versions().first().copied().unwrap_or("v1");
    match kind.group() {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// Goes through all of a value; what is told by the names of fields goes.
fn everywhere(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(everywhere),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                match name.as_str() {
                    "env" => items(Some(field)).for_each(variable),
                    "command" | "args" => texts(field),
                    "httpHeaders" => {
                        items(Some(field)).for_each(|header| blank(Some(header), "value"));
                    }
                    "jwks" => *field = Value::from(REDACTED),
                    "annotations" => annotations(field),
                    "managedFields" => items(Some(field)).for_each(|entry| only(entry, "manager")),
                    "set" | "add" => headers(field),
                    "proxyMetadata" => metadata(field),
                    _ => {}
                }
                everywhere(field);
            }
        }
        _ => {}
    }
}

fn variable(variable: &mut Value) {
    let name = variable["name"].as_str().unwrap_or_default();
    let value = variable["value"].as_str().unwrap_or_default();
    let stays = (is_switch(name) && is_plain(value)) || (name == CLUSTER && names_a_cluster(value));
    if !stays && variable.get("value").is_some() {
        blank(Some(variable), "value");
    }
}

fn is_switch(name: &str) -> bool {
    SWITCHES.contains(&name)
}

fn is_plain(value: &str) -> bool {
    let plain = ["true", "false", "t", "f", "1", "0"];
    plain.iter().any(|plain| value.eq_ignore_ascii_case(plain))
}

/// Whether a value is the name that istiod has for its cluster when nobody gives one. Another may be anything.
fn names_a_cluster(value: &str) -> bool {
    value == "Kubernetes"
}

fn annotations(value: &mut Value) {
    let Some(annotations) = value.as_object_mut() else {
        return;
    };
    annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    for (key, value) in annotations.iter_mut() {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        let known = ANNOTATIONS.iter().any(|end| {
            domain
                .strip_suffix(end)
                .is_some_and(|before| before.is_empty() || before.ends_with('.'))
        });
        // Settings of one pod's proxy, environment among them, and templates.
        let settings = key.starts_with("proxy.istio.io/") || key.contains("userVolume");
        if !known || settings {
            *value = Value::from(REDACTED);
        }
    }
}

/// Headers as VirtualServices (by name) and HTTPRoutes (as a list) set them.
fn headers(value: &mut Value) {
    let tells = |name: &str| {
        let name = name.to_ascii_lowercase();
        CREDENTIALS.iter().any(|word| name.contains(word))
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if tells(name) && value.is_string() {
                    *value = Value::from(REDACTED);
                }
            }
        }
        other => {
            for header in items(Some(other)) {
                if header["name"].as_str().is_some_and(tells) {
                    blank(Some(header), "value");
                }
            }
        }
    }
}

/// Variables of proxies, by name.
fn metadata(value: &mut Value) {
    for (name, value) in value.as_object_mut().into_iter().flatten() {
        if !(is_switch(name) && value.as_str().is_some_and(is_plain)) {
            *value = Value::from(REDACTED);
        }
    }
}

/// Texts of ConfigMaps: of Istio's settings what is judged stays, of all others nothing.
fn config_map(value: &mut Value) {
    remove(value, "binaryData");
    let data = value.get_mut("data").and_then(Value::as_object_mut);
    for (key, text) in data.into_iter().flatten() {
        let kept = match key.as_str() {
            "mesh" => text.as_str().and_then(settings),
            // Whether there are networks is judged, and which is not.
            "meshNetworks" => text
                .as_str()
                .filter(|text| matches!(text.trim(), "" | "networks: {}" | "{}" | "networks:"))
                .map(str::to_owned),
            AMBIENT_ENABLED | SELECTORS | "EXCLUDE_NAMESPACES" | "EXCLUDED_NAMESPACES" => {
                text.as_str().map(str::to_owned)
            }
            _ => None,
        };
        *text = Value::from(kept.unwrap_or_else(|| REDACTED.to_owned()));
    }
}

/// The settings of a mesh that are judged, as JSON, which is YAML as well; nothing where they cannot be read.
fn settings(text: &str) -> Option<String> {
    let read: Value = serde_saphyr::from_str(text).ok()?;
    let mut kept = Map::new();
    for name in [
        "rootNamespace",
        "trustDomain",
        "trustDomainAliases",
        "outboundTrafficPolicy",
    ] {
        if let Some(value) = read.get(name) {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    let each = |list: &str, fields: &[&str]| -> Option<Value> {
        let items = read.get(list)?.as_array()?.iter();
        let items = items.map(|item| {
            let mut some = item.as_object().cloned().unwrap_or_default();
            some.retain(|name, _| fields.contains(&name.as_str()));
            for (_, value) in some.iter_mut().filter(|(_, value)| value.is_object()) {
                *value = Value::Object(Map::new());
            }
            Value::Object(some)
        });
        Some(items.collect())
    };
    let authorizers = ["name", "envoyExtAuthzHttp", "envoyExtAuthzGrpc"];
    for (list, fields) in [
        ("caCertificates", &["trustDomains"][..]),
        ("extensionProviders", &authorizers),
    ] {
        if let Some(items) = each(list, fields) {
            kept.insert(list.to_owned(), items);
        }
    }
    if let Some(variables) = read.pointer("/defaultConfig/proxyMetadata") {
        let mut variables = variables.clone();
        metadata(&mut variables);
        kept.insert(
            "defaultConfig".to_owned(),
            json!({ "proxyMetadata": variables }),
        );
    }
    Some(Value::Object(kept).to_string())
}

fn items(value: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    value.and_then(Value::as_array_mut).into_iter().flatten()
}

fn texts(value: &mut Value) {
    for item in items(Some(value)) {
        *item = Value::from(REDACTED);
    }
}

/// Writes over a field, if it is there.
fn blank(value: Option<&mut Value>, field: &str) {
    if let Some(found) = value.and_then(|value| value.get_mut(field)) {
        *found = match found {
            Value::Object(_) => Value::Object(Map::new()),
            Value::Array(_) => Value::Array(Vec::new()),
            _ => Value::from(REDACTED),
        };
    }
}

/// Takes a field away, if it is there.
fn remove(value: &mut Value, field: &str) {
    if let Some(fields) = value.as_object_mut() {
        fields.remove(field);
    }
}

/// Takes all fields away but one.
fn only(value: &mut Value, field: &str) {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| name == field);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Input, InventoryBuilder};
    use crate::mesh::Mesh;
    use crate::soak::cases;
    use proptest::prelude::*;

    fn bundled(manifests: &str) -> String {
        let mut builder = InventoryBuilder::new(Input::Manifests, "shop");
        let summary = builder.file("a.yaml", manifests.to_owned());
        assert_eq!(summary.unread, None);
        let mesh = Mesh::new(builder.finish());
        bundle(mesh.inventory(), &Scope::injected(&mesh))
    }

    /// Manifests with a text in every place that a secret may stand in.
    fn with(secret: &str) -> String {
        let text = Value::from(secret).to_string();
        let pod = format!(
            r#"{{"containers": [{{"name": "a", "image": "a", "command": ["sh", {text}], "args": [{text}],
              "env": [{{"name": "A", "value": {text}}}, {{"name": "PILOT_ENABLE_AMBIENT", "value": {text}}}],
              "lifecycle": {{"preStop": {{"exec": {{"command": [{text}]}}}}}},
              "livenessProbe": {{"httpGet": {{"port": 1, "httpHeaders": [{{"name": "a", "value": {text}}}]}}}}}}],
             "initContainers": [{{"name": "i", "image": "i", "env": [{{"name": "B", "value": {text}}}]}}]}}"#
        );
        let annotations = format!(
            r#"{{"team.example/key": {text}, "note": {text}, "proxy.istio.io/config": {text},
              "kubectl.kubernetes.io/last-applied-configuration": {text}}}"#
        );
        let object = |api: &str, kind: &str, more: &str| {
            format!(
                r#"{{"apiVersion": "{api}", "kind": "{kind}", "metadata": {{"name": "a", "annotations": {annotations}}}, {more}}}"#
            )
        };
        let template = format!(
            r#""spec": {{"selector": {{}}, "template": {{"metadata": {{"annotations": {annotations}}}, "spec": {pod}}}}}"#
        );
        let set = format!(
            r#"{{"request": {{"set": {{"Authorization": {text}}}, "add": {{"x-api-key": {text}}}}}}}"#
        );
        let filter = format!(
            r#"[{{"type": "RequestHeaderModifier", "requestHeaderModifier": {{"set": [{{"name": "cookie", "value": {text}}}]}}}}]"#
        );
        [
            object("v1", "Pod", &format!("\"spec\": {pod}")),
            object("apps/v1", "Deployment", &template),
            object("apps/v1", "StatefulSet", &template),
            object("apps/v1", "DaemonSet", &template),
            object("batch/v1", "Job", &template),
            object("batch/v1", "CronJob", &format!(r#""spec": {{"jobTemplate": {{{template}}}}}"#)),
            object("v1", "ConfigMap", &format!(r#""data": {{"a": {text}, "mesh": {text}, "meshNetworks": {text}}}"#)),
            object("networking.istio.io/v1", "VirtualService", &format!(r#""spec": {{"hosts": ["a"], "http": [{{"headers": {set}}}]}}"#)),
            object("gateway.networking.k8s.io/v1", "HTTPRoute", &format!(r#""spec": {{"rules": [{{"filters": {filter}}}]}}"#)),
            object("security.istio.io/v1", "RequestAuthentication", &format!(r#""spec": {{"jwtRules": [{{"issuer": "i", "jwks": {text}}}]}}"#)),
            object("extensions.istio.io/v1alpha1", "WasmPlugin", &format!(r#""spec": {{"pluginConfig": {{"a": {text}}}, "vmConfig": {{"env": [{{"name": "a", "value": {text}}}]}}}}"#)),
            object("extensions.istio.io/v1alpha1", "TrafficExtension", &format!(r#""spec": {{"lua": {{"inlineCode": {text}}}, "wasm": {{"pluginConfig": {{"a": {text}}}, "vmConfig": {{"env": [{{"name": "a", "value": {text}}}]}}}}}}"#)),
            object("networking.istio.io/v1alpha3", "EnvoyFilter", &format!(r#""spec": {{"configPatches": [{{"patch": {{"value": {{"a": {text}}}}}}}]}}"#)),
        ]
        .join("\n---\n")
    }

    proptest! {
        #![proptest_config(cases(64))]

        #[test]
        fn no_value_that_may_be_a_secret_is_in_it(secret in "s3cr[a-z0-9]{12}(: |[\\n=#'\"{]){0,3}") {
            let text = bundled(&with(&secret));
            prop_assert!(!text.contains(&secret[..16]), "{text}");
            prop_assert_eq!(text.matches("\n---\n").count(), 13);
        }
    }

    #[test]
    fn what_is_judged_stays() {
        let text = bundled(
            r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: istiod, annotations: {meta.helm.sh/release-name: istiod}}
spec:
  template:
    spec:
      containers:
      - name: discovery
        env: [{name: PILOT_ENABLE_AMBIENT, value: "true"}, {name: A, valueFrom: {fieldRef: {fieldPath: a}}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio}
data:
  mesh: |
    trustDomain: example.org
    rootNamespace: root
    extensionProviders: [{name: authz, envoyExtAuthzGrpc: {service: hidden, port: 1}}]
    defaultConfig: {proxyMetadata: {ISTIO_META_ENABLE_HBONE: "true", A: hidden}, tracing: {custom: hidden}}
"#,
        );
        for kept in [
            "PILOT_ENABLE_AMBIENT",
            "fieldPath: a",
            "meta.helm.sh/release-name: istiod",
            "example.org",
            "rootNamespace",
            "envoyExtAuthzGrpc",
            "ISTIO_META_ENABLE_HBONE",
        ] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert!(!text.contains("hidden"), "{text}");
    }
}
