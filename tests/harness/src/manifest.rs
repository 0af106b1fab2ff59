//! Manifests: YAML in, objects out, in an order in which they can be applied, under the names that
//! a test's namespaces really have.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{Error, Result};

/// The objects of a YAML text.
#[derive(Debug, Clone, Default)]
pub struct Manifests(Vec<Value>);

impl Manifests {
    /// Reads a stream of documents; a `List` is taken apart, empty documents are left out.
    pub fn parse(yaml: &str) -> Result<Self> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(yaml)
            .map_err(|error| Error::because("the manifests are not YAML", error))?;
        let mut objects = Vec::new();
        for mut document in documents {
            match document["items"].take() {
                Value::Array(items) if document["kind"] == "List" => objects.extend(items),
                _ if document.is_null() => {}
                items => {
                    if !items.is_null() {
                        document["items"] = items;
                    } else if let Some(fields) = document.as_object_mut() {
                        fields.remove("items");
                    }
                    objects.push(document);
                }
            }
        }
        Ok(Self(objects))
    }

    /// The objects: definitions, then namespaces, then the rest as they stood.
    pub fn in_order(&self) -> impl Iterator<Item = &Value> {
        let mut objects: Vec<&Value> = self.0.iter().collect();
        objects.sort_by_key(|object| match object["kind"].as_str() {
            Some("CustomResourceDefinition") => 0,
            Some("Namespace") => 1,
            _ => 2,
        });
        objects.into_iter()
    }

    /// The same objects in namespaces of other names: `names` maps those of the text to the new ones.
    ///
    /// Renamed is what means a namespace by where it stands: `metadata.namespace`, a Namespace's
    /// own name, fields called `namespace` or `namespaces`, `exportTo`, the labels
    /// `kubernetes.io/metadata.name` and `istio.io/use-waypoint-namespace`; and inside texts what
    /// can mean nothing else: `cart.shop.svc`, `ns/shop/sa/x`, and `shop/` at the start of a host or
    /// a gateway's name. A workload that is called like its namespace keeps its name.
    #[must_use]
    pub fn renamed(&self, names: &BTreeMap<String, String>) -> Self {
        let mut objects = self.0.clone();
        for object in &mut objects {
            if object["kind"] == "Namespace" {
                rename_exact(&mut object["metadata"]["name"], names);
            }
            rename(object, "", names);
        }
        Self(objects)
    }
}

/// Fields and labels whose whole text is a namespace.
const NAMESPACE_FIELDS: [&str; 8] = [
    "namespace",
    "namespaces",
    "notNamespaces",
    "allowedNamespaces",
    "exportTo",
    "kubernetes.io/metadata.name",
    "istio.io/use-waypoint-namespace",
    "istio.io/ingress-use-waypoint-namespace",
];

fn rename(value: &mut Value, field: &str, names: &BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => {
            // A selector's expression names the label beside the values.
            let by_name = fields.get("key").is_some_and(|key| {
                key.as_str().is_some_and(|key| {
                    NAMESPACE_FIELDS.contains(&key) || key.contains(".namespace")
                })
            });
            for (name, inner) in fields.iter_mut() {
                if by_name && matches!(name.as_str(), "values" | "notValues") {
                    rename(inner, "namespace", names);
                } else {
                    rename(inner, name, names);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                rename(item, field, names);
            }
        }
        Value::String(text) => {
            if NAMESPACE_FIELDS.contains(&field)
                && let Some(new) = names.get(text.as_str())
            {
                text.clone_from(new);
                return;
            }
            for (old, new) in names {
                *text = rename_inside(text, old, new);
            }
        }
        _ => {}
    }
}

fn rename_exact(value: &mut Value, names: &BTreeMap<String, String>) {
    if let Value::String(text) = value
        && let Some(new) = names.get(text.as_str())
    {
        text.clone_from(new);
    }
}

/// Renames where the text around it leaves no doubt.
fn rename_inside(text: &str, old: &str, new: &str) -> String {
    let mut renamed = text
        .replace(&format!(".{old}.svc"), &format!(".{new}.svc"))
        .replace(&format!("ns/{old}/"), &format!("ns/{new}/"));
    if let Some(rest) = renamed.strip_prefix(&format!("{old}/")) {
        renamed = format!("{new}/{rest}");
    }
    renamed
}
