//! ServiceEntries, and the workloads outside Kubernetes that may stand behind them.

use serde::Deserialize;

use super::lenient::null_default;
use super::{Labels, Meta};

/// A ServiceEntry.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct ServiceEntry {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// What it adds to the registry.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: ServiceEntrySpec,
}

/// Spec of a ServiceEntry.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEntrySpec {
    /// The hosts it adds.
    #[serde(default, deserialize_with = "null_default")]
    pub hosts: Vec<String>,
    /// What it offers.
    #[serde(default, deserialize_with = "null_default")]
    pub ports: Vec<EntryPort>,
    /// Which pods or WorkloadEntries serve.
    #[serde(default)]
    pub workload_selector: Option<WorkloadLabels>,
}

/// A port of a ServiceEntry.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EntryPort {
    /// Its number.
    #[serde(default)]
    pub number: u32,
    /// Its name.
    #[serde(default, deserialize_with = "null_default")]
    pub name: String,
    /// What it speaks, e.g. `HTTP`.
    #[serde(default, deserialize_with = "null_default")]
    pub protocol: String,
}

/// A selector by labels as Istio writes it in networking resources.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct WorkloadLabels {
    /// Pairs that must be there.
    #[serde(default)]
    pub labels: Labels,
}

/// A WorkloadEntry: one endpoint outside Kubernetes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WorkloadEntry {
    /// Name, labels, annotations; Istio annotates those that registered themselves.
    pub metadata: Meta,
    /// Where it is.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: WorkloadEntrySpec,
}

/// Spec of a WorkloadEntry.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadEntrySpec {
    /// The identity of the proxy that runs there; empty when none does.
    #[serde(default, deserialize_with = "null_default")]
    pub service_account: String,
}

/// A WorkloadGroup: virtual machines that register themselves.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct WorkloadGroup {
    /// Name, labels, annotations.
    pub metadata: Meta,
}
super::resource!(ServiceEntry, WorkloadEntry, WorkloadGroup);
