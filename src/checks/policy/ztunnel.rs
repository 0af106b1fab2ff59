//! What becomes of an AuthorizationPolicy at ztunnel, in words.
//!
//! Source: `pilot/pkg/serviceregistry/ambient/authorization.go`, `handleRule` and
//! `convertAuthorizationPolicy`; ztunnel's `src/rbac.rs`.

use std::collections::BTreeSet;

use super::enforced::{Enforced, names};
use crate::checks::{Remedy, Severity, Sink};
use crate::kinds::authorization::{Action, AuthorizationSpec, Rule};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Resource};
use crate::mesh::workloads::Workload;
use crate::semantics::authorization::{
    AllowAtZtunnel, Beyond, DenyAtZtunnel, Layer, allow_at_ztunnel, beyond_ztunnel,
    deny_at_ztunnel, remainders,
};

/// What becomes of a part of a policy at ztunnel.
#[derive(Debug)]
pub struct Fate {
    /// The field that says so.
    pub at: FieldPath,
    /// The fact: `ztunnel ignores action CUSTOM`.
    pub fact: String,
    /// What it happens to: `what it refuses`.
    pub subject: &'static str,
    /// What happens: `let through`.
    pub verb: &'static str,
}

/// What is lost of a policy at ztunnel, by its action: rules that are dropped or never match, or the
/// whole of it. Rules that match more than they say are not in it.
pub fn lost(spec: &AuthorizationSpec) -> Option<Fate> {
    match spec.action {
        Action::Allow => dropped(&spec.rules),
        Action::Deny => disarmed(&spec.rules),
        Action::Custom | Action::Audit if spec.rules.is_empty() => None,
        Action::Custom => Some(Fate {
            at: field!["spec", "action"],
            fact: "ztunnel ignores action CUSTOM".to_owned(),
            subject: "what its rules send to the external authorizer",
            verb: "let through unasked",
        }),
        Action::Audit => Some(Fate {
            at: field!["spec", "action"],
            fact: "ztunnel ignores action AUDIT".to_owned(),
            subject: "what it marks for the audit log",
            verb: "left unmarked",
        }),
    }
}

/// ALLOW rules that ztunnel drops, if they admit anything that no other rule does.
fn dropped(rules: &[Rule]) -> Option<Fate> {
    if rules.iter().any(Rule::matches_everything) {
        return None;
    }
    let gone = known_beyond(rules, |rule| {
        matches!(
            allow_at_ztunnel(rule),
            AllowAtZtunnel::Nothing | AllowAtZtunnel::Less
        )
    });
    let first = gone.first()?.first()?;
    let (effect, subject) = match (gone.len(), rules.len()) {
        (lost, all) if lost == all => ("the policy admits nothing".to_owned(), "what it admits"),
        (1, all) => (
            format!("1 of its {all} rules admits nothing"),
            "what only that rule admits",
        ),
        (lost, all) => (
            format!("{lost} of its {all} rules admit nothing"),
            "what only they admit",
        ),
    };
    Some(Fate {
        at: first.path.clone(),
        fact: format!("ALLOW by {}: at ztunnel {effect}", reader(&gone)),
        subject,
        verb: "refused",
    })
}

/// DENY rules that never match at ztunnel, or lose alternatives.
fn disarmed(rules: &[Rule]) -> Option<Fate> {
    let gone = known_beyond(rules, |rule| {
        matches!(
            deny_at_ztunnel(rule),
            DenyAtZtunnel::NeverMatches | DenyAtZtunnel::Narrower
        )
    });
    let first = gone.first()?.first()?;
    let partly = rules
        .iter()
        .any(|rule| deny_at_ztunnel(rule) == DenyAtZtunnel::Narrower);
    let (effect, subject) = match (gone.len(), rules.len(), partly) {
        (lost, all, false) if lost == all => {
            ("the policy refuses nothing".to_owned(), "what it refuses")
        }
        (1, 1, true) => (
            "a part of its rule never matches".to_owned(),
            "what that part refuses",
        ),
        (1, all, _) => (
            format!("1 of its {all} rules never matches, or a part of it"),
            "what only that rule refuses",
        ),
        (lost, all, _) => (
            format!("{lost} of its {all} rules never match, or a part of them"),
            "what only they refuse",
        ),
    };
    let effect = if partly {
        effect
    } else {
        effect.split(", or").next().unwrap_or_default().to_owned()
    };
    Some(Fate {
        at: first.path.clone(),
        fact: format!("DENY by {}: at ztunnel {effect}", reader(&gone)),
        subject,
        verb: "let through",
    })
}

/// What ztunnel cannot judge in each of the rules in question, those left out of which only fields
/// unknown to this program are said.
fn known_beyond(rules: &[Rule], in_question: impl Fn(&Rule) -> bool) -> Vec<Vec<Beyond>> {
    rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| in_question(rule))
        .map(|(index, rule)| beyond_ztunnel(rule, index))
        .filter(|beyond| beyond.iter().any(|b| b.layer != Layer::Unknown))
        .collect()
}

/// The attributes by name, and who could judge them.
fn reader(rules: &[Vec<Beyond>]) -> String {
    let all = || rules.iter().flatten();
    let names: BTreeSet<&str> = all().map(|beyond| beyond.name.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let http = all().any(|beyond| beyond.layer == Layer::L7);
    let why = match (http, names.len()) {
        (true, 1) => "needs a proxy that reads HTTP",
        (true, _) => "need a proxy that reads HTTP",
        (false, 1) => "is nothing that ztunnel is told",
        (false, _) => "are nothing that ztunnel is told",
    };
    format!("{} {why}", names.join(", "))
}

/// Rules that match more at ztunnel than they say, because it judges a source or an operation by a
/// part of its fields.
pub fn widened(spec: &AuthorizationSpec) -> Vec<Fate> {
    let deny = spec.action == Action::Deny;
    let wider = |rule: &Rule| match spec.action {
        Action::Allow => allow_at_ztunnel(rule) == AllowAtZtunnel::More,
        Action::Deny => deny_at_ztunnel(rule) == DenyAtZtunnel::Wider,
        Action::Custom | Action::Audit => false,
    };
    let mut found = Vec::new();
    for (index, rule) in spec
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| wider(rule))
    {
        let Some(left) = remainders(rule, index).into_iter().next() else {
            continue;
        };
        found.push(Fate {
            at: left.path.then(left.lost[0].as_str()),
            fact: format!(
                "{} by {}: of this {} ztunnel sees {} alone",
                spec.action.written(),
                left.lost.join(", "),
                left.what,
                left.kept.join(" and ")
            ),
            subject: match (deny, rule.from.is_empty() && rule.when.is_empty()) {
                (true, true) => "all that matches it, from the waypoint too,",
                (true, false) => "all that matches it",
                (false, _) => "all that matches it, of any trust domain,",
            },
            verb: if deny { "refused" } else { "admitted" },
        });
    }
    found
}

/// Fields that this program does not know: what ztunnel makes of them is not known either.
pub fn unknown(spec: &AuthorizationSpec) -> Option<Beyond> {
    let mut beyond = spec
        .rules
        .iter()
        .enumerate()
        .flat_map(|(index, rule)| beyond_ztunnel(rule, index));
    beyond.find(|beyond| beyond.layer == Layer::Unknown)
}

impl Enforced<'_> {
    /// Reports what will become of a policy at the workloads that move behind a Service, and what it
    /// is already at those that are ambient.
    pub fn report(&self, out: &mut Sink<'_>, severity: Severity, fate: &Fate, remedy: Remedy) {
        self.report_at(&self.reach.moving, out, severity, fate, remedy);
    }

    /// Reports what will become of a policy at all workloads that move, behind a Service or not, and
    /// what it is already at those that are ambient.
    pub fn report_all(&self, out: &mut Sink<'_>, severity: Severity, fate: &Fate, remedy: Remedy) {
        self.report_at(&self.reach.all_moving(), out, severity, fate, remedy);
    }

    fn report_at(
        &self,
        moving: &[&Workload],
        out: &mut Sink<'_>,
        severity: Severity,
        fate: &Fate,
        remedy: Remedy,
    ) {
        let Fate { fact, subject, .. } = fate;
        let verb = fate.verb;
        let at = || (self.policy.reference(), fate.at.clone());
        if !moving.is_empty() {
            let who = names(moving);
            let message = format!("{fact}; {subject} would be {verb} at {who}");
            out.find(self.namespace, severity, at(), message, remedy);
        }
        if !self.reach.ambient.is_empty() {
            let who = names(&self.reach.ambient);
            let message = format!("{fact}; {subject} is {verb} today at {who}, ambient already");
            out.find(
                self.namespace,
                Severity::Warning,
                at(),
                message,
                Remedy::person(
                    "attach a copy to the Service with targetRefs, and bind the Service to a waypoint",
                ),
            );
        }
    }

    /// Reports a field that this program does not know.
    pub fn report_unknown(&self, out: &mut Sink<'_>) {
        let Some(beyond) = unknown(&self.policy.spec) else {
            return;
        };
        let who = self.reach.all_moving();
        if !who.is_empty() {
            out.find(
                self.namespace,
                Severity::Blocking,
                (self.policy.reference(), beyond.path),
                format!(
                    "`{}` is not a field that this program knows, and what ztunnel makes of the rule at {} is not known",
                    beyond.name,
                    names(&who)
                ),
                self.edit("correct the field, or say the rule by fields that are known"),
            );
        }
    }

    /// The policy's owner changes it.
    pub fn edit(&self, what: &str) -> Remedy {
        let meta = &self.policy.metadata;
        Remedy::command(
            what,
            format!(
                "kubectl edit authorizationpolicy {} -n {}",
                meta.name, meta.namespace
            ),
        )
    }

    /// What the move does for a policy that only a waypoint can enforce.
    pub fn moved(&self) -> Remedy {
        let namespace = self.namespace;
        match (self.from_root, self.policy.spec.action) {
            (false, _) => Remedy::moved(
                "a copy with targetRefs is enforced at the waypoint, and this policy is narrowed to pods with a sidecar",
            ),
            (true, Action::Allow) => Remedy::moved(format!(
                "a copy in {namespace} with targetRefs is enforced at its waypoint, whose identity is admitted at the pods; this policy is not touched"
            )),
            (true, _) => Remedy::moved(format!(
                "a copy in {namespace} with targetRefs is enforced at its waypoint; this policy is not touched"
            )),
        }
    }
}
