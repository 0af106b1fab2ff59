//! What stands in the way of a plan: findings that a person has to answer first.

use std::collections::BTreeMap;

use crate::checks::{Finding, Id, Judgement, NotRunReason, Remedy, Severity};
use crate::kinds::{Name, ObjectRef};
use crate::mesh::Mesh;
use crate::translate::{Decision, Topic};

/// Reasons by the ids that they accept.
pub type Accepted = BTreeMap<String, String>;

/// Objects that another tool keeps.
const KEPT_BY_ANOTHER_TOOL: Id = Id("AMB701");

/// Something that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Obstacle {
    /// The id that `explain` and `--accept` take; nothing for what cannot be accepted.
    pub id: Option<String>,
    /// The object in question, where there is one.
    pub object: Option<ObjectRef>,
    /// What it is, in one sentence without a final stop.
    pub says: String,
    /// What a person can do.
    pub remedy: Option<String>,
    /// Why it is gone on in spite of it.
    pub accepted: Option<String>,
}

impl Obstacle {
    fn of(finding: &Finding) -> Self {
        Self {
            id: Some(finding.check.0.to_owned()),
            object: Some(finding.object.clone()),
            says: finding.message.clone(),
            remedy: match &finding.remedy {
                Remedy::Person {
                    text,
                    command: Some(command),
                } => Some(format!("{text}: {command}")),
                Remedy::Person { text, .. } | Remedy::Move(text) => Some(text.clone()),
                Remedy::Nothing => None,
            },
            accepted: None,
        }
    }
}

/// The findings that block the move of a namespace and that the translation has no answer to.
fn findings(
    namespace: &Name,
    judgement: &Judgement,
    decision: &Decision<'_>,
    accepted: &Accepted,
) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let treated = |object: &ObjectRef| decision.treatments().any(|t| t.object == *object);
    for finding in &judgement.findings {
        let here = finding
            .namespace
            .as_ref()
            .is_none_or(|name| name == namespace);
        // What the translation has an answer to is judged with what was asked for.
        let answered = Topic::of(finding.check.0).is_some() && treated(&finding.object);
        if finding.severity == Severity::Blocking && here && !answered {
            let mut obstacle = Obstacle::of(finding);
            // What a tool puts back would be undone in the middle of a run.
            if finding.check != KEPT_BY_ANOTHER_TOOL {
                obstacle.accepted = accepted.get(finding.check.0).cloned();
            }
            found.push(obstacle);
        }
    }
    found
}

/// What stands in the way of the files in which a namespace is moved, sorted: the findings that would
/// stop a move by this program, but that another tool applies the files, which is what they are for.
pub fn in_files(
    namespace: &Name,
    judgement: &Judgement,
    decision: &Decision<'_>,
    accepted: &Accepted,
) -> Vec<Obstacle> {
    let mut found = findings(namespace, judgement, decision, accepted);
    found.retain(|obstacle| obstacle.id.as_deref() != Some(KEPT_BY_ANOTHER_TOOL.0));
    found.sort();
    found.dedup();
    found
}

/// What stands in the way of moving a namespace, sorted: findings that block, what is refused or
/// lossy, and what could not be looked at.
pub fn obstacles(
    mesh: &Mesh,
    namespace: &Name,
    judgement: &Judgement,
    decision: &Decision<'_>,
    accepted: &Accepted,
) -> Vec<Obstacle> {
    let mut found = findings(namespace, judgement, decision, accepted);
    // A difference that was accepted stops nothing; what is refused cannot be accepted.
    for treatment in decision.treatments() {
        for remark in treatment
            .remarks
            .iter()
            .filter(|remark| decision.stops(remark))
        {
            found.push(Obstacle {
                id: Some(remark.topic.id().to_owned()),
                object: Some(treatment.object.clone()),
                says: remark.says.clone(),
                remedy: remark.remedy.clone(),
                accepted: None,
            });
        }
    }
    for skipped in &judgement.not_run {
        if let NotRunReason::Unreadable(why) = &skipped.reason {
            found.push(unread(format!("{} was not run: {why}", skipped.check)));
        }
    }
    for unread_one in &mesh.inventory().unread {
        found.push(unread(format!(
            "{} could not be read: {}",
            unread_one.what(),
            unread_one.reason
        )));
    }
    // What is refused takes everything with it that would move the namespace: a plan without that
    // protects nothing.
    if decision.refuses() && found.iter().all(|obstacle| obstacle.accepted.is_some()) {
        found.push(unread(
            "changes that the move needs are withheld".to_owned(),
        ));
    }
    found.sort();
    found.dedup();
    found
}

/// Something that could not be looked at: nothing can be accepted about it.
fn unread(says: String) -> Obstacle {
    Obstacle {
        id: None,
        object: None,
        says,
        remedy: Some(
            "have it readable, then ask again: what was not looked at is not moved".to_owned(),
        ),
        accepted: None,
    }
}
