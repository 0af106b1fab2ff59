//! Namespaces: what their labels say about both data planes.

use std::collections::{BTreeMap, BTreeSet};

use super::injection::NamespaceInjection;
use crate::inventory::Inventory;
use crate::kinds::{Kind, Labels, Name, ObjectRef};

/// The label that enrols a namespace or a pod in ambient mode, or keeps it out.
pub const DATA_PLANE_LABEL: &str = "istio.io/dataplane-mode";

/// What is known of a namespace.
#[derive(Debug, Clone)]
pub struct Namespace {
    /// Its name.
    pub name: Name,
    /// Its labels; `None` when the Namespace object was not read.
    pub labels: Option<Labels>,
    /// What they say about sidecars.
    pub injection: NamespaceInjection,
}

impl Namespace {
    /// Whether it is labelled for ambient mode; `None` when its labels are unknown.
    pub fn ambient(&self) -> Option<bool> {
        self.labels
            .as_ref()
            .map(|labels| labels.has(DATA_PLANE_LABEL, "ambient"))
    }

    /// The value of a label, if the labels are known and it is there.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref().and_then(|labels| labels.get(key))
    }

    /// Its labels with the one that the API server adds.
    pub fn labels_with_name(&self) -> Labels {
        let known = self.labels.as_ref().map_or(&[][..], Labels::pairs);
        let mut pairs = known.to_vec();
        pairs.push((Name::from("kubernetes.io/metadata.name"), self.name.clone()));
        Labels::from_pairs(pairs)
    }

    /// The object.
    pub fn reference(&self) -> ObjectRef {
        ObjectRef::new(Kind::Namespace, &Name::from(""), &self.name)
    }
}

/// Every namespace that is there or is mentioned, by name.
pub(super) fn resolve(inventory: &Inventory) -> BTreeMap<Name, Namespace> {
    let mut namespaces = BTreeMap::new();
    for object in &inventory.objects.namespaces {
        let labels = object.metadata.labels.clone();
        let injection = NamespaceInjection::of(&labels);
        let name = object.metadata.name.clone();
        namespaces.insert(
            name.clone(),
            Namespace {
                name,
                labels: Some(labels),
                injection,
            },
        );
    }
    let mut mentioned = BTreeSet::new();
    inventory.objects.for_each_namespace(&mut |name| {
        if !name.is_empty() && !namespaces.contains_key(name) {
            mentioned.insert(name.clone());
        }
    });
    for name in mentioned {
        let unknown = Namespace {
            name: name.clone(),
            labels: None,
            injection: NamespaceInjection::Unknown,
        };
        namespaces.insert(name, unknown);
    }
    namespaces
}
