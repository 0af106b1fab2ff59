//! Access reviews that agree with what the proxy forbids.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::rule::Right;
use crate::resources::Resources;

/// The verbs that `*` stands for.
const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// Denies in a `SelfSubjectAccessReview` what is forbidden.
pub(super) fn correct_access(review: &mut Value, forbidden: &[Right<'_>]) {
    let attributes = &review["spec"]["resourceAttributes"];
    let text = |field: &str| attributes[field].as_str().filter(|text| !text.is_empty());
    let (Some(verb), Some(plain)) = (text("verb"), text("resource")) else {
        return;
    };
    let resource = match text("subresource") {
        Some(sub) => format!("{plain}/{sub}"),
        None => plain.to_owned(),
    };
    let group = text("group").unwrap_or_default();
    let (namespace, name) = (text("namespace"), text("name"));
    let denied = forbidden
        .iter()
        .any(|right| right.covers(verb, group, &resource, namespace, name));
    if denied {
        review["status"] = json!({"allowed": false});
    }
}

/// Takes out of a `SelfSubjectRulesReview` what is forbidden in its namespace. A rule that grants it
/// is written out, since a rule cannot say what it does not grant: its groups and resources one by
/// one (as far as the server serves them), each with the verbs that are left.
pub(super) fn correct_rules(review: &mut Value, forbidden: &[Right<'_>], served: &Resources) {
    let namespace = review["spec"]["namespace"].as_str().map(str::to_owned);
    let Some(rules) = review["status"]["resourceRules"].as_array_mut() else {
        return;
    };
    let mut corrected = Vec::new();
    for rule in rules.drain(..) {
        let granted = Granted::by(&rule, served);
        let left = granted.without(forbidden, namespace.as_deref());
        if left == granted {
            corrected.push(rule);
        } else {
            corrected.extend(left.rules(&rule["resourceNames"]));
        }
    }
    *rules = corrected;
}

/// Verbs by group and resource.
#[derive(Debug, PartialEq, Eq)]
struct Granted(BTreeMap<(String, String), BTreeSet<String>>);

impl Granted {
    fn by(rule: &Value, served: &Resources) -> Self {
        let list = |field: &str| -> Vec<&str> {
            let items = rule[field].as_array().into_iter().flatten();
            items.filter_map(Value::as_str).collect()
        };
        let (groups, resources) = (list("apiGroups"), list("resources"));
        let verbs: BTreeSet<String> = list("verbs")
            .iter()
            .flat_map(|verb| match *verb {
                "*" => VERBS.to_vec(),
                one => vec![one],
            })
            .map(str::to_owned)
            .collect();
        let mut granted = BTreeMap::new();
        for one in served.iter() {
            let named = |list: &[&str], wanted: &str| list.contains(&"*") || list.contains(&wanted);
            if named(&groups, &one.group) && named(&resources, &one.plural) {
                granted.insert((one.group.clone(), one.plural.clone()), verbs.clone());
            }
        }
        // What is named is granted whether or not discovery lists it, as subresources are not.
        for group in groups.iter().filter(|group| **group != "*") {
            for resource in resources.iter().filter(|resource| **resource != "*") {
                let key = ((*group).to_owned(), (*resource).to_owned());
                granted.insert(key, verbs.clone());
            }
        }
        Self(granted)
    }

    fn without(&self, forbidden: &[Right<'_>], namespace: Option<&str>) -> Self {
        let left = self.0.iter().map(|((group, resource), verbs)| {
            let verbs = verbs.iter().filter(|verb| {
                let covers =
                    |right: &Right<'_>| right.covers(verb, group, resource, namespace, None);
                !forbidden.iter().any(covers)
            });
            ((group.clone(), resource.clone()), verbs.cloned().collect())
        });
        Self(left.collect())
    }

    fn rules(self, names: &Value) -> Vec<Value> {
        let mut by_verbs: BTreeMap<(String, BTreeSet<String>), Vec<String>> = BTreeMap::new();
        for ((group, resource), verbs) in self.0 {
            if !verbs.is_empty() {
                by_verbs.entry((group, verbs)).or_default().push(resource);
            }
        }
        by_verbs
            .into_iter()
            .map(|((group, verbs), resources)| {
                let mut rule =
                    json!({"verbs": verbs, "apiGroups": [group], "resources": resources});
                if !names.is_null() {
                    rule["resourceNames"] = names.clone();
                }
                rule
            })
            .collect()
    }
}
