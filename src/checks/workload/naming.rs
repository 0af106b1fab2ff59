//! Which policies name an identity: as a principal, by its namespace, by its service account.
//! Patterns without a wildcard are looked up; the few with one are compared.

use std::collections::{BTreeSet, HashMap};

use crate::kinds::authorization::{AuthorizationPolicy, AuthorizationSpec};
use crate::kinds::{Name, ObjectRef, Resource};
use crate::mesh::Mesh;

/// What a pattern of a policy is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Of {
    Principal,
    Namespace,
    Account,
}

/// The identities that the AuthorizationPolicies of the mesh name.
#[derive(Debug, Default)]
pub(super) struct Named {
    exact: HashMap<(Of, String), BTreeSet<ObjectRef>>,
    patterns: Vec<(Of, String, ObjectRef)>,
    trust_domains: [String; 2],
}

impl Named {
    /// Those that the policies of this mesh name, in any rule, with or without `not`.
    pub(super) fn by_policies(mesh: &Mesh) -> Self {
        let mut named = Self {
            trust_domains: [mesh.trust_domain().to_owned(), "cluster.local".to_owned()],
            ..Self::default()
        };
        for policy in mesh.all::<AuthorizationPolicy>() {
            named.add(&policy.spec, &policy.reference());
        }
        named
    }

    /// The policies that name a service account; any of the namespace when it is not known which.
    pub(super) fn naming(&self, namespace: &str, account: Option<&Name>) -> BTreeSet<&ObjectRef> {
        let accounts: Vec<String> = account
            .map(|account| format!("{namespace}/{account}"))
            .into_iter()
            .collect();
        let principals: Vec<String> = account
            .into_iter()
            .flat_map(|account| {
                let domains = self.trust_domains.iter();
                domains.map(move |domain| format!("{domain}/ns/{namespace}/sa/{account}"))
            })
            .collect();
        let namespaces = [namespace.to_owned()];
        let mut found = BTreeSet::new();
        for (of, values) in [
            (Of::Principal, principals.as_slice()),
            (Of::Namespace, &namespaces),
            (Of::Account, &accounts),
        ] {
            for value in values {
                found.extend(self.exact.get(&(of, value.clone())).into_iter().flatten());
                let alike = self
                    .patterns
                    .iter()
                    .filter(|(kind, pattern, _)| *kind == of && matches(pattern, value));
                found.extend(alike.map(|(_, _, policy)| policy));
            }
        }
        found
    }

    fn add(&mut self, spec: &AuthorizationSpec, policy: &ObjectRef) {
        for rule in &spec.rules {
            for from in &rule.from {
                for (field, values) in &from.source.0 {
                    let of = match field.as_str() {
                        "principals" | "notPrincipals" => Of::Principal,
                        "namespaces" | "notNamespaces" => Of::Namespace,
                        "serviceAccounts" | "notServiceAccounts" => Of::Account,
                        _ => continue,
                    };
                    self.insert(of, values, policy);
                }
            }
            for condition in &rule.when {
                let of = match condition.key.as_str() {
                    "source.principal" => Of::Principal,
                    "source.namespace" => Of::Namespace,
                    "source.serviceAccount" => Of::Account,
                    _ => continue,
                };
                self.insert(of, &condition.values, policy);
                self.insert(of, &condition.not_values, policy);
            }
        }
    }

    fn insert(&mut self, of: Of, values: &[String], policy: &ObjectRef) {
        for value in values {
            if value.contains('*') {
                let entry = (of, value.clone(), policy.clone());
                if !self.patterns.contains(&entry) {
                    self.patterns.push(entry);
                }
                continue;
            }
            // A service account without a namespace is one of the policy's own.
            let value = if of == Of::Account && !value.contains('/') {
                format!("{}/{value}", policy.namespace)
            } else {
                value.clone()
            };
            self.exact
                .entry((of, value))
                .or_default()
                .insert(policy.clone());
        }
    }
}

/// Whether a value fits a pattern with one `*`, at either end.
fn matches(pattern: &str, value: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(suffix), _) => value.ends_with(suffix),
        (None, Some(prefix)) => value.starts_with(prefix),
        (None, None) => pattern == value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Kind;

    fn named(spec: &str) -> Named {
        let mut named = Named {
            trust_domains: ["acme".to_owned(), "cluster.local".to_owned()],
            ..Named::default()
        };
        let policy = ObjectRef::new(Kind::AuthorizationPolicy, &"shop".into(), &"p".into());
        named.add(&serde_json::from_str(spec).unwrap(), &policy);
        named
    }

    #[test]
    fn identities_are_found_by_each_of_their_names() {
        let db = Name::from("db");
        for (source, account, expected) in [
            (r#""principals":["acme/ns/shop/sa/db"]"#, Some(&db), true),
            (
                r#""principals":["cluster.local/ns/shop/sa/db"]"#,
                Some(&db),
                true,
            ),
            (r#""principals":["other/ns/shop/sa/db"]"#, Some(&db), false),
            (r#""principals":["*/ns/shop/sa/db"]"#, Some(&db), true),
            (r#""principals":["*"]"#, Some(&db), true),
            (r#""notPrincipals":["acme/ns/shop/*"]"#, Some(&db), true),
            (r#""principals":["acme/ns/shop/sa/web"]"#, Some(&db), false),
            (r#""namespaces":["shop"]"#, None, true),
            (r#""namespaces":["shop-*"]"#, None, false),
            (r#""serviceAccounts":["db"]"#, Some(&db), true),
            (r#""serviceAccounts":["other/db"]"#, Some(&db), false),
            (r#""ipBlocks":["10.0.0.0/8"]"#, Some(&db), false),
        ] {
            let spec = format!(r#"{{"rules":[{{"from":[{{"source":{{{source}}}}}]}}]}}"#);
            let found = !named(&spec).naming("shop", account).is_empty();
            assert_eq!(found, expected, "{source}");
        }
    }

    #[test]
    fn conditions_name_identities_too() {
        let spec = r#"{"rules":[{"when":[{"key":"source.namespace","notValues":["shop"]}]}]}"#;
        assert_eq!(named(spec).naming("shop", None).len(), 1);
        assert_eq!(named(spec).naming("web", None).len(), 0);
    }
}
