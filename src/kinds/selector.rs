//! Label selectors, as Kubernetes evaluates them.

use serde::Deserialize;

use super::Labels;
use super::lenient::null_default;

/// `matchLabels` and `matchExpressions`; all must hold. An empty selector matches everything.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Pairs that must be there.
    #[serde(default, deserialize_with = "null_default")]
    pub match_labels: Labels,
    /// Requirements on single keys.
    #[serde(default, deserialize_with = "null_default")]
    pub match_expressions: Vec<Requirement>,
}

/// A requirement on one key.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    #[serde(default, deserialize_with = "null_default")]
    pub values: Vec<String>,
}

/// How a requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Operator {
    /// The value is one of these.
    In,
    /// The key is absent or its value is none of these.
    NotIn,
    /// The key is there.
    Exists,
    /// The key is absent.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether it matches everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether labels satisfy it.
    pub fn matches(&self, labels: &Labels) -> bool {
        contains(labels, &self.match_labels)
            && self
                .match_expressions
                .iter()
                .all(|requirement| requirement.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &Labels) -> bool {
        let value = labels.get(&self.key);
        let listed = || value.is_some_and(|value| self.values.iter().any(|v| v == value));
        match self.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// Whether `labels` hold all pairs of `wanted`.
pub fn contains(labels: &Labels, wanted: &Labels) -> bool {
    wanted.iter().all(|(key, value)| labels.has(key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_evaluated_as_kubernetes_does() {
        let labels: Labels = serde_json::from_str(r#"{"app":"a","tier":"x"}"#).unwrap();
        for (selector, expected) in [
            (r"{}", true),
            (r#"{"matchLabels":{"app":"a"}}"#, true),
            (r#"{"matchLabels":{"app":"b"}}"#, false),
            (
                r#"{"matchExpressions":[{"key":"app","operator":"In","values":["a","b"]}]}"#,
                true,
            ),
            (
                r#"{"matchExpressions":[{"key":"zone","operator":"NotIn","values":["a"]}]}"#,
                true,
            ),
            (
                r#"{"matchExpressions":[{"key":"app","operator":"NotIn","values":["a"]}]}"#,
                false,
            ),
            (
                r#"{"matchExpressions":[{"key":"app","operator":"DoesNotExist"}]}"#,
                false,
            ),
            (
                r#"{"matchExpressions":[{"key":"app","operator":"Exists"}]}"#,
                true,
            ),
        ] {
            let selector: LabelSelector = serde_json::from_str(selector).unwrap();
            assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        }
    }
}
