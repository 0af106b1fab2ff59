//! `rbac`: the rights that a command needs, as roles.
//!
//! They are made of what the code itself goes by: the kinds that checks and translations declare to
//! read, the verbs with which a cluster is read, the kinds and verbs of plans, and what a run keeps its
//! journal and its lock with.

use std::collections::{BTreeMap, BTreeSet};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::Context;
use crate::checks;
use crate::error::Error;
use crate::execute::BOOKKEEPING;
use crate::exit::Exit;
use crate::kinds::KindSet;
use crate::plan;
use crate::report::waypoint::GeneratedObjects;
use crate::source::live::{JOURNALS, verbs};
use crate::translate;

/// Print the role that a command needs
///
/// Reading a mesh takes a ClusterRole: what configures it may stand in any namespace. With -n, what is written is
/// in a Role of that namespace. Bind them to whoever runs the command.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct RbacArgs {
    /// The command
    #[arg(long = "for", value_enum, value_name = "COMMAND")]
    command: Needing,

    /// Namespace to move; by default any
    #[arg(short, long, value_name = "NAMESPACE", value_parser = super::scope::namespace)]
    namespace: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  kubectl ambient rbac --for check | kubectl apply -f -
  kubectl create clusterrolebinding a --clusterrole=kubectl-ambient-check --group=platform
  kubectl ambient rbac --for convert -n shop     a ClusterRole to read, a Role to write";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Needing {
    /// Read: check, status, history, waypoint plan, convert without a move
    Check,
    /// Move a namespace: convert --apply, --resume, --finish
    Convert,
    /// Take a move back
    Rollback,
}

impl Needing {
    const fn name(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Convert => "convert",
            Self::Rollback => "rollback",
        }
    }
}

pub(super) fn run(args: &RbacArgs, context: &Context<'_>) -> Result<Exit, Error> {
    let roles = roles(args.command, args.namespace.as_deref());
    context.answer(&GeneratedObjects(roles))?;
    Ok(Exit::Ok)
}

/// The verbs as they are usually written.
const ORDER: [&str; 6] = ["get", "list", "create", "update", "patch", "delete"];

/// Rights: for each group and resource, verbs.
#[derive(Default)]
struct Rights(BTreeMap<(&'static str, &'static str), BTreeSet<usize>>);

impl Rights {
    fn add(&mut self, group: &'static str, plural: &'static str, verbs: &[&str]) {
        let known = self.0.entry((group, plural)).or_default();
        let places = verbs
            .iter()
            .map(|verb| ORDER.iter().position(|one| one == verb));
        known.extend(places.flatten());
    }

    /// Rules: a group, and the resources of it with the same verbs.
    fn rules(&self) -> Vec<Value> {
        let mut rules: BTreeMap<(&str, Vec<&str>), Vec<&str>> = BTreeMap::new();
        for ((group, plural), verbs) in &self.0 {
            let verbs = verbs.iter().map(|at| ORDER[*at]).collect();
            rules.entry((group, verbs)).or_default().push(plural);
        }
        let rule = |((group, verbs), resources): ((&str, Vec<&str>), Vec<&str>)| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
        rules.into_iter().map(rule).collect()
    }
}

/// The roles of a command.
fn roles(command: Needing, namespace: Option<&str>) -> Vec<Value> {
    let mut wide = Rights::default();
    let mut own = Rights::default();
    let reads = checks::all().fold(translate::READS, |all, check| all.and(check.meta().reads));
    for kind in KindSet::iter(reads) {
        wide.add(kind.group(), kind.plural(), verbs(kind));
    }
    let (group, plural, list) = JOURNALS;
    own.add(group, plural, list);
    if command != Needing::Check {
        for kind in plan::rights::written() {
            own.add(kind.group(), kind.plural(), plan::rights::verbs(kind));
        }
        for (group, plural, verbs) in BOOKKEEPING {
            own.add(group, plural, verbs);
        }
    }
    let name = format!("kubectl-ambient-{}", command.name());
    let role = |kind: &str, namespace: Option<&str>, rights: &Rights| {
        let mut metadata = json!({ "name": name });
        if let Some(namespace) = namespace {
            metadata["namespace"] = namespace.into();
        }
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": metadata,
            "rules": rights.rules(),
        })
    };
    if let Some(namespace) = namespace {
        // The Role holds for the Namespace object of the same name as well.
        return vec![
            role("ClusterRole", None, &wide),
            role("Role", Some(namespace), &own),
        ];
    }
    for (right, verbs) in own.0 {
        wide.0.entry(right).or_default().extend(verbs);
    }
    vec![role("ClusterRole", None, &wide)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_only_reads_is_given_no_right_to_write() {
        for namespace in [None, Some("shop")] {
            for role in roles(Needing::Check, namespace) {
                for rule in role["rules"].as_array().unwrap() {
                    for verb in rule["verbs"].as_array().unwrap() {
                        assert!(["get", "list"].contains(&verb.as_str().unwrap()), "{rule}");
                    }
                    assert!(!rule.to_string().contains("secrets"));
                }
            }
        }
    }

    #[test]
    fn a_move_of_one_namespace_writes_in_a_role_of_it() {
        let roles = roles(Needing::Convert, Some("shop"));
        let [wide, own] = &roles[..] else {
            panic!("two roles");
        };
        assert_eq!(own["metadata"]["namespace"], "shop");
        assert!(own.to_string().contains("leases"));
        assert!(!wide.to_string().contains("create"));
    }
}
