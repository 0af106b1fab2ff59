//! Namespaces of a test's own, so that tests share a control plane without meeting each other.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::condition::Condition;
use crate::error::{Error, Result};
use crate::manifest::Manifests;
use crate::runtime::block_on;

/// A namespace of its own; deleted, without waiting, when dropped.
#[derive(Debug)]
pub struct Namespace {
    cluster: Cluster,
    name: String,
}

impl Namespace {
    /// Creates one whose name begins with `stem`.
    #[track_caller]
    pub(crate) fn create(cluster: &Cluster, stem: &str, labels: &[(&str, &str)]) -> Result<Self> {
        let name = fresh(stem);
        let labels: BTreeMap<&str, &str> = labels.iter().copied().collect();
        cluster.create(&json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": labels},
        }))?;
        Ok(Self {
            cluster: cluster.clone(),
            name,
        })
    }

    /// Its real name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cluster that it is in.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Applies manifests; those that name no namespace go into this one.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> Result<Vec<Value>> {
        let manifests = Manifests::parse(yaml)?;
        block_on(self.cluster.apply_all(&manifests, &self.name))
    }

    /// Sets labels of the namespace; null removes one.
    #[track_caller]
    pub fn label(&self, labels: &Value) -> Result {
        let patch = json!({"metadata": {"labels": labels}});
        self.cluster.patch("Namespace", "", &self.name, &patch)?;
        Ok(())
    }

    /// One object of the namespace.
    #[track_caller]
    pub fn get(&self, kind: &str, name: &str) -> Result<Option<Value>> {
        self.cluster.get(kind, &self.name, name)
    }

    /// All objects of a kind in the namespace.
    #[track_caller]
    pub fn list(&self, kind: &str) -> Result<Vec<Value>> {
        self.cluster.list(kind, Some(&self.name))
    }

    /// Changes an object by a merge patch.
    #[track_caller]
    pub fn patch(&self, kind: &str, name: &str, patch: &Value) -> Result<Value> {
        self.cluster.patch(kind, &self.name, name, patch)
    }

    /// Deletes an object.
    #[track_caller]
    pub fn delete(&self, kind: &str, name: &str) -> Result {
        self.cluster.delete(kind, &self.name, name)
    }

    /// Waits for one object.
    #[track_caller]
    pub fn wait(&self, kind: &str, name: &str, condition: &Condition) -> Result<Value> {
        self.cluster.wait(kind, &self.name, name, condition)
    }

    /// Waits for the objects with these labels; an empty selector means all.
    #[track_caller]
    pub fn wait_all(
        &self,
        kind: &str,
        selector: &str,
        condition: &Condition,
    ) -> Result<Vec<Value>> {
        self.cluster.wait_all(kind, &self.name, selector, condition)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The control plane may be gone already, and then so is the namespace.
        drop(self.cluster.delete("Namespace", "", &self.name));
    }
}

/// Namespaces that belong together: manifests written for their short names are applied under the
/// real ones.
#[derive(Debug)]
pub struct Namespaces {
    cluster: Cluster,
    by_name: BTreeMap<String, Namespace>,
}

impl Namespaces {
    #[track_caller]
    pub(crate) fn create(cluster: &Cluster, names: &[&str]) -> Result<Self> {
        let mut by_name = BTreeMap::new();
        for name in names {
            let namespace = Namespace::create(cluster, name, &[])?;
            by_name.insert((*name).to_owned(), namespace);
        }
        Ok(Self {
            cluster: cluster.clone(),
            by_name,
        })
    }

    /// The one that manifests call `name`.
    pub fn of(&self, name: &str) -> Result<&Namespace> {
        self.by_name.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.by_name.keys().map(String::as_str).collect();
            Error::new(format!(
                "no namespace `{name}` in this set: {}",
                known.join(", ")
            ))
        })
    }

    /// Applies manifests, each namespace and each reference to one renamed (see
    /// [`Manifests::renamed`]). What names no namespace goes into the one called `default`, if the
    /// set has one.
    #[track_caller]
    pub fn apply(&self, yaml: &str) -> Result<Vec<Value>> {
        let manifests = Manifests::parse(yaml)?.renamed(&self.real_names());
        let default = self
            .by_name
            .get("default")
            .map_or("default", Namespace::name);
        block_on(self.cluster.apply_all(&manifests, default))
    }

    /// The real names by the short ones.
    pub fn real_names(&self) -> BTreeMap<String, String> {
        self.by_name
            .iter()
            .map(|(short, namespace)| (short.clone(), namespace.name.clone()))
            .collect()
    }

    /// A text (an output of a command) with the short names in place of the real ones.
    pub fn shortened(&self, text: &str) -> String {
        self.by_name
            .iter()
            .fold(text.to_owned(), |text, (short, namespace)| {
                text.replace(&namespace.name, short)
            })
    }
}

/// A name that nobody else has: the process and a count, since a reused control plane may still
/// hold what an earlier run left.
pub(crate) fn fresh(stem: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{:x}-{count}", std::process::id())
}
