//! PodDisruptionBudgets.

use serde::Deserialize;

use super::lenient::{IntOrString, null_default};
use super::{LabelSelector, Meta};

/// A PodDisruptionBudget.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PodDisruptionBudget {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// Which pods it protects.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: BudgetSpec,
}
super::resource!(PodDisruptionBudget);

/// Spec of a PodDisruptionBudget.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BudgetSpec {
    /// The pods it protects; none when absent.
    #[serde(default)]
    pub selector: Option<LabelSelector>,
    /// How many of them must be up, by number or percentage.
    #[serde(default)]
    pub min_available: Option<IntOrString>,
    /// How many of them may be down.
    #[serde(default)]
    pub max_unavailable: Option<IntOrString>,
}
