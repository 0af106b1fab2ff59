//! What ztunnel makes of an AuthorizationPolicy that was written for sidecars.
//!
//! Source: `pilot/pkg/serviceregistry/ambient/authorization.go` (`handleRule`), ztunnel's
//! `src/rbac.rs`. ztunnel knows the attributes of a connection (L4). In an ALLOW policy a rule with
//! any other attribute is dropped whole. In a DENY policy the other attributes are blanked; a match
//! that is empty then is skipped, and a clause of which nothing is left never matches.
//! `trustDomains` and `notTrustDomains` are blanked in both, silently, by releases up to 1.31; later
//! ones treat them as they treat L7 attributes.

use crate::kinds::authorization::{Action, AuthorizationSpec, Clause, Condition, Rule};
use crate::kinds::{FieldPath, Meta, Segment, is_true};

/// What can judge an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// ztunnel can: it is a property of the connection.
    L4,
    /// Only a proxy that reads HTTP can.
    L7,
    /// ztunnel is never told of it, and says nothing (`trustDomains`).
    Erased,
    /// Not known to this program.
    Unknown,
}

/// The layer of a field of `from.source`.
pub fn source_layer(field: &str) -> Layer {
    match field {
        "principals" | "notPrincipals" | "namespaces" | "notNamespaces" | "ipBlocks"
        | "notIpBlocks" | "serviceAccounts" | "notServiceAccounts" => Layer::L4,
        "requestPrincipals" | "notRequestPrincipals" | "remoteIpBlocks" | "notRemoteIpBlocks" => {
            Layer::L7
        }
        "trustDomains" | "notTrustDomains" => Layer::Erased,
        _ => Layer::Unknown,
    }
}

/// The layer of a field of `to.operation`.
pub fn operation_layer(field: &str) -> Layer {
    match field {
        "ports" | "notPorts" => Layer::L4,
        "hosts" | "notHosts" | "methods" | "notMethods" | "paths" | "notPaths" => Layer::L7,
        _ => Layer::Unknown,
    }
}

/// The layer of a key of `when`.
pub fn condition_layer(key: &str) -> Layer {
    match key {
        "source.ip" | "source.namespace" | "source.principal" | "destination.ip"
        | "destination.port" => Layer::L4,
        _ => Layer::L7,
    }
}

/// An attribute of a rule that ztunnel cannot judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beyond {
    /// The field, from the object's root.
    pub path: FieldPath,
    /// As people call it: `methods`, `request.headers[x-env]`.
    pub name: String,
    /// Why ztunnel cannot.
    pub layer: Layer,
}

/// The attributes of a rule that ztunnel cannot judge, in the order of the manifest.
pub fn beyond_ztunnel(rule: &Rule, index: usize) -> Vec<Beyond> {
    let mut found = Vec::new();
    for (position, from) in rule.from.iter().enumerate() {
        let path = || rule_path(index).then("from").then(position).then("source");
        collect(&from.source, source_layer, &path, &mut found);
    }
    for (position, to) in rule.to.iter().enumerate() {
        let path = || rule_path(index).then("to").then(position).then("operation");
        collect(&to.operation, operation_layer, &path, &mut found);
    }
    for (position, condition) in rule.when.iter().enumerate() {
        let layer = condition_layer(&condition.key);
        if layer != Layer::L4 {
            let path = rule_path(index).then("when").then(position).then("key");
            found.push(Beyond {
                path,
                name: condition.key.clone(),
                layer,
            });
        }
    }
    found
}

/// The attributes of a whole policy that ztunnel cannot judge.
pub fn policy_beyond_ztunnel(spec: &AuthorizationSpec) -> Vec<Beyond> {
    spec.rules
        .iter()
        .enumerate()
        .flat_map(|(i, rule)| beyond_ztunnel(rule, i))
        .collect()
}

/// Whether a policy is only tried: sidecars log what it would do, and ztunnel is not told of it
/// (unless a flag of istiod says so). Source: `convertAuthorizationPolicy`, `strconv.ParseBool`.
pub fn is_dry_run(meta: &Meta) -> bool {
    meta.annotations
        .get("istio.io/dry-run")
        .is_some_and(is_true)
}

/// Whether a policy needs a proxy that reads HTTP: an attribute or an action beyond ztunnel.
pub fn needs_http(spec: &AuthorizationSpec) -> bool {
    matches!(spec.action, Action::Custom | Action::Audit) || !policy_beyond_ztunnel(spec).is_empty()
}

/// The path of a rule.
pub fn rule_path(index: usize) -> FieldPath {
    FieldPath::new(vec![
        Segment::from("spec"),
        Segment::from("rules"),
        Segment::from(index),
    ])
}

/// Collects the attributes of a clause; its path is made where there is one, which is seldom.
fn collect(
    clause: &Clause,
    layer: fn(&str) -> Layer,
    path: &dyn Fn() -> FieldPath,
    found: &mut Vec<Beyond>,
) {
    for (field, values) in &clause.0 {
        let layer = layer(field);
        if layer != Layer::L4 && !values.is_empty() {
            found.push(Beyond {
                path: path().then(field.as_str()),
                name: field.clone(),
                layer,
            });
        }
    }
}

/// What becomes of one ALLOW rule at ztunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllowAtZtunnel {
    /// It admits what it admitted.
    Same,
    /// It admits nothing.
    Nothing,
    /// It admits less than it did.
    Less,
    /// It admits more than it did.
    More,
}

/// What becomes of an ALLOW rule at ztunnel.
pub fn allow_at_ztunnel(rule: &Rule) -> AllowAtZtunnel {
    if beyond_ztunnel(rule, 0)
        .iter()
        .any(|beyond| beyond.layer != Layer::Erased)
    {
        return AllowAtZtunnel::Nothing;
    }
    // Only erased attributes are left, and they are blanked here too.
    match deny_at_ztunnel(rule) {
        DenyAtZtunnel::Same => AllowAtZtunnel::Same,
        DenyAtZtunnel::NeverMatches => AllowAtZtunnel::Nothing,
        DenyAtZtunnel::Wider => AllowAtZtunnel::More,
        DenyAtZtunnel::Narrower => AllowAtZtunnel::Less,
    }
}

/// A source or an operation that loses some of its attributes and keeps others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remainder {
    /// `source` or `operation`.
    pub what: &'static str,
    /// Where it stands, from the object's root.
    pub path: FieldPath,
    /// What ztunnel judges it by, as `ports 8080, 9090`.
    pub kept: Vec<String>,
    /// The names of what is lost.
    pub lost: Vec<String>,
}

/// The sources and operations of a rule that ztunnel judges by a part of what they say.
pub fn remainders(rule: &Rule, index: usize) -> Vec<Remainder> {
    let base = rule_path(index);
    let mut found = Vec::new();
    for (position, from) in rule.from.iter().enumerate() {
        let path = base.then("from").then(position);
        found.extend(remainder(&from.source, source_layer, "source", &path));
    }
    for (position, to) in rule.to.iter().enumerate() {
        let path = base.then("to").then(position);
        found.extend(remainder(
            &to.operation,
            operation_layer,
            "operation",
            &path,
        ));
    }
    found
}

fn remainder(
    clause: &Clause,
    layer: fn(&str) -> Layer,
    what: &'static str,
    parent: &FieldPath,
) -> Option<Remainder> {
    let (mut kept, mut lost) = (Vec::new(), Vec::new());
    for (field, values) in clause.0.iter().filter(|(_, values)| !values.is_empty()) {
        if layer(field) == Layer::L4 {
            kept.push(format!("{field} {}", values.join(", ")));
        } else {
            lost.push(field.clone());
        }
    }
    (!kept.is_empty() && !lost.is_empty()).then(|| Remainder {
        what,
        path: parent.then(what),
        kept,
        lost,
    })
}

/// What becomes of one DENY rule at ztunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenyAtZtunnel {
    /// It refuses what it refused.
    Same,
    /// It never matches: what it refused is let through.
    NeverMatches,
    /// It matches on what is left of it: it refuses more than it did. Alternatives of which nothing
    /// is left may be gone besides.
    Wider,
    /// Some of its alternatives never match: a part of what it refused is let through.
    Narrower,
}

/// What becomes of a DENY rule at ztunnel.
pub fn deny_at_ztunnel(rule: &Rule) -> DenyAtZtunnel {
    let from = rule
        .from
        .iter()
        .map(|from| residue(&from.source, source_layer))
        .collect();
    let to = rule
        .to
        .iter()
        .map(|to| residue(&to.operation, operation_layer))
        .collect();
    let mut clauses: Vec<Vec<Residue>> = vec![from, to];
    clauses.extend(
        rule.when
            .iter()
            .map(|condition| vec![condition_residue(condition)]),
    );
    let mut wider = false;
    let mut narrower = false;
    for clause in clauses.iter().filter(|clause| !clause.is_empty()) {
        if clause.iter().all(|match_| *match_ == Residue::Nothing) {
            return DenyAtZtunnel::NeverMatches;
        }
        wider |= clause.contains(&Residue::Part);
        narrower |= clause.contains(&Residue::Nothing);
    }
    match (wider, narrower) {
        (true, _) => DenyAtZtunnel::Wider,
        (false, true) => DenyAtZtunnel::Narrower,
        (false, false) => DenyAtZtunnel::Same,
    }
}

/// What is left of a match when ztunnel's part is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Residue {
    Whole,
    Part,
    Nothing,
}

fn residue(clause: &Clause, layer: fn(&str) -> Layer) -> Residue {
    let mut kept = false;
    let mut lost = false;
    for (field, _) in clause.0.iter().filter(|(_, values)| !values.is_empty()) {
        if layer(field) == Layer::L4 {
            kept = true;
        } else {
            lost = true;
        }
    }
    match (kept, lost) {
        (_, false) => Residue::Whole,
        (true, true) => Residue::Part,
        (false, true) => Residue::Nothing,
    }
}

fn condition_residue(condition: &Condition) -> Residue {
    if condition_layer(&condition.key) == Layer::L4 {
        Residue::Whole
    } else {
        Residue::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(json: &str) -> Rule {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_deny_rule_is_judged_clause_by_clause() {
        use DenyAtZtunnel::{Narrower, NeverMatches, Same, Wider};
        for (json, expected) in [
            (r"{}", Same),
            (r#"{"from":[{"source":{"principals":["a"]}}]}"#, Same),
            (
                r#"{"to":[{"operation":{"methods":["GET"]}}]}"#,
                NeverMatches,
            ),
            // Two clauses: what is left of the second is nothing, so the rule is nothing.
            (
                r#"{"from":[{"source":{"principals":["a"]}}],"to":[{"operation":{"paths":["/x"]}}]}"#,
                NeverMatches,
            ),
            // One match with both: it fires for the port alone.
            (
                r#"{"to":[{"operation":{"ports":["80"],"methods":["GET"]}}]}"#,
                Wider,
            ),
            (
                r#"{"from":[{"source":{"principals":["a"],"requestPrincipals":["*"]}}]}"#,
                Wider,
            ),
            (
                r#"{"to":[{"operation":{"ports":["80"]}},{"operation":{"methods":["GET"]}}]}"#,
                Narrower,
            ),
            (
                r#"{"when":[{"key":"request.headers[x]","values":["1"]}]}"#,
                NeverMatches,
            ),
            (
                r#"{"when":[{"key":"source.namespace","values":["a"]}]}"#,
                Same,
            ),
        ] {
            assert_eq!(deny_at_ztunnel(&rule(json)), expected, "{json}");
        }
    }

    #[test]
    fn an_allow_rule_is_dropped_or_loses_what_is_erased() {
        use AllowAtZtunnel::{Less, More, Nothing, Same};
        for (json, expected) in [
            (r"{}", Same),
            (
                r#"{"from":[{"source":{"namespaces":["a"]}}],"to":[{"operation":{"methods":["GET"]}}]}"#,
                Nothing,
            ),
            (
                r#"{"from":[{"source":{"namespaces":["a"],"notTrustDomains":["x"]}}]}"#,
                More,
            ),
            (r#"{"from":[{"source":{"trustDomains":["x"]}}]}"#, Nothing),
            (
                r#"{"from":[{"source":{"trustDomains":["x"]}},{"source":{"namespaces":["a"]}}]}"#,
                Less,
            ),
            // Dropped whole before anything is erased.
            (
                r#"{"from":[{"source":{"namespaces":["a"],"notTrustDomains":["x"]}}],
                    "to":[{"operation":{"paths":["/a"]}}]}"#,
                Nothing,
            ),
        ] {
            assert_eq!(allow_at_ztunnel(&rule(json)), expected, "{json}");
        }
    }

    #[test]
    fn attributes_beyond_ztunnel_are_named_with_their_place() {
        let rule = rule(
            r#"{"from":[{"source":{"principals":["a"],"trustDomains":["x"]}}],
                "to":[{"operation":{"methods":["GET"],"ports":["80"]}}],
                "when":[{"key":"request.auth.claims[iss]","values":["x"]}]}"#,
        );
        let found: Vec<String> = beyond_ztunnel(&rule, 2)
            .iter()
            .map(|b| format!("{} {:?}", b.path, b.layer))
            .collect();
        assert_eq!(
            found,
            [
                "spec.rules[2].from[0].source.trustDomains Erased",
                "spec.rules[2].to[0].operation.methods L7",
                "spec.rules[2].when[0].key L7",
            ]
        );
    }
}
