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
    /// Which pods or WorkloadEntries serve.
    #[serde(default)]
    pub workload_selector: Option<WorkloadLabels>,
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
