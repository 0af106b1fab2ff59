//! The document of a run: how it ended, and what to do next.

use schemars::JsonSchema;
use serde::Serialize;

use super::{API_VERSION, Header};
use crate::journal::{Ended, Journal, Purpose};
use crate::kinds::{Name, ObjectRef};
use crate::plan::Direction;

/// How a run stands.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    api_version: &'static str,
    kind: &'static str,
    /// What differs from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Header>,
    /// The namespace.
    pub namespace: Name,
    /// The run; nothing when there was nothing to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// `move` or `rollback`.
    pub purpose: &'static str,
    /// `nothing to do`, `done`, `done with a remainder`, `finished`, `halted`, `paused`, `open`, `rolled back`.
    pub outcome: &'static str,
    /// The step in which it stopped, or after which it paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What still has sidecars.
    pub remainder: Vec<String>,
    /// What was left as somebody else had changed it.
    pub kept: Vec<String>,
    /// How many steps are done, and of how many.
    pub steps_done: usize,
    /// How many there are.
    pub steps: usize,
    /// What is true now, in a sentence.
    pub now: String,
    /// The commands that go on or back.
    pub next: Vec<String>,
}

impl RunReport {
    /// How a run stands by its journal.
    pub fn new(journal: &Journal, program: &str, header: Option<Header>) -> Self {
        let namespace = &journal.header.namespace;
        let standing = Standing::of(journal, program);
        let all = 0..journal.plan.steps.len();
        let done = all
            .clone()
            .filter(|step| crate::journal::machine::is_done(journal, *step))
            .count();
        let state = journal.state();
        let kept = state.kept().filter_map(|(place, drift)| {
            let step = journal.plan.steps.get(place.step)?;
            let planned = step.stages.get(place.stage)?.writes.get(place.write)?;
            let each = drift
                .iter()
                .map(|one| format!("{} {}", one.field, one.says).trim().to_owned());
            let each: Vec<String> = each.collect();
            Some(format!("{}: {}", planned.object(), each.join("; ")))
        });
        Self {
            api_version: API_VERSION,
            kind: "Run",
            metadata: header,
            namespace: namespace.clone(),
            run: Some(journal.header.run.to_string()),
            purpose: match journal.header.purpose {
                Purpose::Move => "move",
                Purpose::Rollback { .. } => "rollback",
            },
            outcome: standing.outcome,
            step: standing.step,
            why: standing.why,
            remainder: standing.remainder,
            kept: kept.collect(),
            steps_done: done,
            steps: all.len(),
            now: truth(journal),
            next: standing.next,
        }
    }

    /// There was nothing to do.
    pub fn nothing(namespace: &Name, now: impl Into<String>, header: Option<Header>) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "Run",
            metadata: header,
            namespace: namespace.clone(),
            run: None,
            purpose: "move",
            outcome: "nothing to do",
            step: None,
            why: None,
            remainder: Vec::new(),
            kept: Vec::new(),
            steps_done: 0,
            steps: 0,
            now: now.into(),
            next: Vec::new(),
        }
    }
}

/// How a run stands, in words.
struct Standing {
    outcome: &'static str,
    step: Option<String>,
    why: Option<String>,
    remainder: Vec<String>,
    next: Vec<String>,
}

impl Standing {
    fn of(journal: &Journal, program: &str) -> Self {
        let state = journal.state();
        let back = journal.plan.direction == Direction::Back;
        let namespace = &journal.header.namespace;
        let rollback = format!("{program} rollback -n {namespace}");
        // A rollback that was interrupted goes on when it is asked for again.
        let resume = if back {
            rollback.clone()
        } else {
            format!("{program} convert -n {namespace} --resume")
        };
        let finish = format!("{program} convert -n {namespace} --finish");
        let (outcome, step, why, remainder, mut next) = match &state.ended {
            Ended::Open => ("open", None, None, Vec::new(), vec![resume, rollback]),
            Ended::Halted(step, why) => (
                "halted",
                Some(step.to_string()),
                Some(why.clone()),
                Vec::new(),
                vec![resume, rollback],
            ),
            Ended::Paused(step) => (
                "paused",
                Some(step.to_string()),
                None,
                Vec::new(),
                vec![resume, rollback],
            ),
            Ended::Done(left) => {
                let has_finish = journal
                    .plan
                    .position(&crate::plan::StepId::Finish)
                    .is_some();
                let mut next = vec![rollback];
                if has_finish && left.is_empty() {
                    next.insert(0, finish);
                }
                let outcome = if left.is_empty() {
                    "done"
                } else {
                    "done with a remainder"
                };
                (
                    outcome,
                    None,
                    None,
                    left.iter().map(ObjectRef::short).collect(),
                    next,
                )
            }
            Ended::Finished if back => {
                let again = format!("{program} convert -n {namespace} --apply");
                let mut next = vec![again];
                // What came before the step that it went back to is there still.
                if journal.header.to.is_some() {
                    next.insert(0, rollback.clone());
                }
                if state.kept().next().is_some() {
                    next.push(format!("{rollback} --overwrite-drift"));
                }
                ("finished", None, None, Vec::new(), next)
            }
            Ended::Finished => ("finished", None, None, Vec::new(), vec![rollback]),
            Ended::RolledBack(by, _) => {
                let again = format!("{rollback} {by}");
                ("rolled back", None, None, Vec::new(), vec![again])
            }
        };
        next.dedup();
        Self {
            outcome,
            step,
            why,
            remainder,
            next,
        }
    }
}

/// What is true of the namespace now.
fn truth(journal: &Journal) -> String {
    use crate::plan::StepId;
    let done = |wanted: &dyn Fn(&StepId) -> bool| -> (usize, usize) {
        let steps = journal
            .plan
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| wanted(&step.id));
        let steps: Vec<usize> = steps.map(|(at, _)| at).collect();
        let done = steps
            .iter()
            .filter(|at| crate::journal::machine::is_done(journal, **at))
            .count();
        (done, steps.len())
    };
    let back = journal.plan.direction == Direction::Back;
    let (switched, all) = done(&|id| matches!(id, StepId::Switch(_)));
    let mode = if back {
        "have their sidecars back"
    } else {
        "are in ambient mode"
    };
    let workloads = if all == 0 {
        "no workload is switched by it".to_owned()
    } else {
        format!("{switched} of {all} workloads {mode}")
    };
    let (bound, binds) = done(&|id| *id == StepId::Bind);
    let enrolled = match (bound == binds && binds > 0, back) {
        (true, false) => ", the namespace is enrolled",
        (true, true) => ", the namespace is no longer enrolled",
        (false, false) if binds > 0 => ", the namespace is not enrolled yet",
        _ => "",
    };
    let to = journal.header.to.as_ref().filter(|_| back);
    let left = to.map_or_else(String::new, |step| {
        format!(", what was done up to {step} stays until the rest is rolled back")
    });
    format!("{workloads}{enrolled}{left}")
}
