//! PodDisruptionBudgets.

use serde::Deserialize;

use super::lenient::null_default;
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
pub struct BudgetSpec {
    /// The pods it protects; none when absent.
    #[serde(default)]
    pub selector: Option<LabelSelector>,
}
