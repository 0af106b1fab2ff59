//! Whether a rule of an AuthorizationPolicy matches a caller by who it is.
//!
//! Source: ztunnel's `src/rbac.rs` (`Authorization::matches`, `StringMatch`, `ServiceAccountMatch`)
//! and `pilot/pkg/serviceregistry/ambient/authorization.go` (`stringToMatch`,
//! `stringToServiceAccountMatch`). Names are compared as they are written: ztunnel is not told that
//! a trust domain has aliases.

use std::fmt;

use crate::kinds::Name;
use crate::kinds::authorization::{Clause, Condition, Rule};

/// Who a caller is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// The mesh's trust domain.
    pub trust_domain: String,
    /// The namespace of its service account.
    pub namespace: Name,
    /// Its service account.
    pub service_account: Name,
}

impl fmt::Display for Identity {
    /// As policies name it: `cluster.local/ns/shop/sa/cart`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            trust_domain,
            namespace,
            service_account,
        } = self;
        write!(f, "{trust_domain}/ns/{namespace}/sa/{service_account}")
    }
}

/// Whether a rule says anything about who asks.
pub fn names_callers(rule: &Rule) -> bool {
    let source = |key: &str| key.starts_with("source.");
    !rule.from.is_empty() || rule.when.iter().any(|when| source(&when.key))
}

/// Whether the part of a rule that says who asks surely matches this caller. Addresses are not
/// known, so a rule that demands one does not.
pub fn matches_caller(rule: &Rule, policy_namespace: &str, caller: &Identity) -> bool {
    let from = rule.from.is_empty()
        || rule
            .from
            .iter()
            .any(|from| source_matches(&from.source, policy_namespace, caller));
    from && rule
        .when
        .iter()
        .all(|condition| condition_matches(condition, caller))
}

fn source_matches(source: &Clause, policy_namespace: &str, caller: &Identity) -> bool {
    let principal = caller.to_string();
    // ztunnel skips a source that says nothing.
    let mut said = false;
    for (field, values) in source.0.iter().filter(|(_, values)| !values.is_empty()) {
        said = true;
        let any = |matches: &dyn Fn(&str) -> bool| values.iter().any(|value| matches(value));
        let account = |value: &str| {
            value.split_once('/').unwrap_or((policy_namespace, value))
                == (&*caller.namespace, &*caller.service_account)
        };
        let holds = match field.as_str() {
            "principals" => any(&|value| pattern(value, &principal)),
            "notPrincipals" => !any(&|value| pattern(value, &principal)),
            "namespaces" => any(&|value| pattern(value, &caller.namespace)),
            "notNamespaces" => !any(&|value| pattern(value, &caller.namespace)),
            "serviceAccounts" => any(&account),
            "notServiceAccounts" => !any(&account),
            "notIpBlocks" => true,
            _ => false,
        };
        if !holds {
            return false;
        }
    }
    said
}

fn condition_matches(condition: &Condition, caller: &Identity) -> bool {
    let subject = match condition.key.as_str() {
        "source.principal" => caller.to_string(),
        "source.namespace" => caller.namespace.to_string(),
        "source.ip" => return condition.values.is_empty(),
        // Not about who asks.
        _ => return true,
    };
    let any = |values: &[String]| values.iter().any(|value| pattern(value, &subject));
    (condition.values.is_empty() || any(&condition.values)) && !any(&condition.not_values)
}

/// Exact, `prefix*`, `*suffix`, or `*` for anything.
fn pattern(pattern: &str, text: &str) -> bool {
    if pattern == "*" {
        !text.is_empty()
    } else if let Some(suffix) = pattern.strip_prefix('*') {
        text.ends_with(suffix)
    } else if let Some(prefix) = pattern.strip_suffix('*') {
        text.starts_with(prefix)
    } else {
        pattern == text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_are_matched_as_ztunnel_does() {
        let caller = Identity {
            trust_domain: "cluster.local".to_owned(),
            namespace: "shop".into(),
            service_account: "waypoint".into(),
        };
        for (json, expected) in [
            (r"{}", true),
            (
                r#"{"from":[{"source":{"principals":["cluster.local/ns/shop/sa/waypoint"]}}]}"#,
                true,
            ),
            (
                r#"{"from":[{"source":{"principals":["cluster.local/ns/shop/*"]}}]}"#,
                true,
            ),
            (
                r#"{"from":[{"source":{"principals":["*/sa/waypoint"]}}]}"#,
                true,
            ),
            (
                r#"{"from":[{"source":{"principals":["spiffe://cluster.local/ns/shop/sa/waypoint"]}}]}"#,
                false,
            ),
            (
                r#"{"from":[{"source":{"namespaces":["web"]}},{"source":{"namespaces":["shop"]}}]}"#,
                true,
            ),
            (
                r#"{"from":[{"source":{"namespaces":["shop"],"notPrincipals":["*"]}}]}"#,
                false,
            ),
            // Without a namespace, an account is one of the policy's namespace.
            (
                r#"{"from":[{"source":{"serviceAccounts":["waypoint"]}}]}"#,
                false,
            ),
            (
                r#"{"from":[{"source":{"serviceAccounts":["shop/waypoint"]}}]}"#,
                true,
            ),
            (
                r#"{"from":[{"source":{"notServiceAccounts":["shop/waypoint"]}}]}"#,
                false,
            ),
            (
                r#"{"from":[{"source":{"ipBlocks":["10.0.0.0/8"]}}]}"#,
                false,
            ),
            (r#"{"from":[{"source":{}}]}"#, false),
            (
                r#"{"when":[{"key":"source.namespace","notValues":["shop"]}]}"#,
                false,
            ),
            (
                r#"{"when":[{"key":"destination.port","values":["80"]}]}"#,
                true,
            ),
        ] {
            let rule: Rule = serde_json::from_str(json).unwrap();
            assert_eq!(matches_caller(&rule, "other", &caller), expected, "{json}");
        }
    }
}
