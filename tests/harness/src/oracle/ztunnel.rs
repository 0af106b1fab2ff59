//! What is answered about ztunnel: only what it receives. It is not run.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::or_default;

/// What every ztunnel receives from istiod.
#[derive(Clone, Debug, Deserialize)]
pub struct Ztunnel {
    /// Authorization policies, by namespace and name.
    #[serde(deserialize_with = "or_default")]
    pub policies: Vec<Policy>,
    /// Workloads.
    #[serde(deserialize_with = "or_default")]
    pub workloads: Vec<Workload>,
    /// Services.
    #[serde(deserialize_with = "or_default")]
    pub services: Vec<Service>,
}

impl Ztunnel {
    /// A policy by its name.
    pub fn policy(&self, namespace: &str, name: &str) -> Option<&Policy> {
        let mut policies = self.policies.iter();
        policies.find(|policy| policy.namespace == namespace && policy.name == name)
    }

    /// A workload by its name: that of a pod is the pod's.
    pub fn workload(&self, namespace: &str, name: &str) -> Option<&Workload> {
        let mut workloads = self.workloads.iter();
        workloads.find(|workload| workload.namespace == namespace && workload.name == name)
    }

    /// A service by its name.
    pub fn service(&self, namespace: &str, name: &str) -> Option<&Service> {
        let mut services = self.services.iter();
        services.find(|service| service.namespace == namespace && service.name == name)
    }
}

/// An authorization policy in ztunnel's form: any of the groups, each all of its rules, each any of its matches, each all of its
/// fields.
#[derive(Clone, Debug, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// `ALLOW` (which istiod does not write) or `DENY`.
    #[serde(default = "allow")]
    pub action: String,
    /// `GLOBAL` (which istiod does not write), `NAMESPACE` or `WORKLOAD_SELECTOR`.
    #[serde(default = "global")]
    pub scope: String,
    #[serde(default)]
    groups: Vec<Group>,
}

impl Policy {
    /// Groups, each an array of rules, each an array of matches, each an object of ztunnel's fields.
    pub fn groups(&self) -> Value {
        let groups = self.groups.iter().map(|Group { rules }| {
            rules
                .iter()
                .map(|Clause { matches }| json!(matches))
                .collect::<Value>()
        });
        groups.collect()
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Group {
    #[serde(default)]
    rules: Vec<Clause>,
}

#[derive(Clone, Debug, Deserialize)]
struct Clause {
    #[serde(default)]
    matches: Vec<BTreeMap<String, Value>>,
}

fn allow() -> String {
    "ALLOW".to_owned()
}

fn global() -> String {
    "GLOBAL".to_owned()
}

/// A workload as ztunnel knows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Workload {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The policies with a selector that finds it, `namespace/name`.
    #[serde(default)]
    pub authorization_policies: Vec<String>,
    /// `NONE` or `HBONE`.
    #[serde(default = "none")]
    pub tunnel_protocol: String,
    /// Its waypoint, in istiod's own words; null for none.
    #[serde(default)]
    pub waypoint: Value,
}

fn none() -> String {
    "NONE".to_owned()
}

/// A service as ztunnel knows it.
#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its host.
    pub hostname: String,
    /// Its waypoint, in istiod's own words; null for none.
    #[serde(default)]
    pub waypoint: Value,
}
