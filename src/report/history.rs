//! The documents about runs there were.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{API_VERSION, Header};
use crate::journal::{Ended, Journal, Purpose, Record, machine};
use crate::kinds::{Name, ObjectRef};
use crate::plan::{Direction, Write};

/// The runs of some namespaces.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryReport {
    api_version: &'static str,
    kind: &'static str,
    /// What differs from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Header>,
    /// The runs, by namespace and age.
    pub runs: Vec<RunEntry>,
}

/// A run.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RunEntry {
    /// The namespace.
    pub namespace: Name,
    /// The run.
    pub run: String,
    /// `move` or `rollback`.
    pub purpose: &'static str,
    /// The run that a rollback undoes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// How it stands: `open`, `halted`, `paused`, `done`, `done with a remainder`, `finished`, `rolled back`,
    /// `unreadable`.
    pub outcome: &'static str,
    /// In which step it stopped, why it cannot be read, or who undid it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<String>,
    /// Who began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Why obstacles were accepted, by id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub accepted: BTreeMap<String, String>,
    /// Its steps, where one run was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepEntry>,
}

/// A step of a run.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepEntry {
    /// Its name.
    pub id: String,
    /// Whether it is done.
    pub done: bool,
    /// What it wrote, with the time.
    pub writes: Vec<String>,
}

/// A run that is not over, for documents about something else.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenRunEntry {
    /// The namespace.
    pub namespace: Name,
    /// The run.
    pub run: String,
    /// `move` or `rollback`.
    pub purpose: &'static str,
    /// `open`, `halted` or `paused`.
    pub outcome: &'static str,
    /// In which step it stopped, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The commands that go on or back.
    pub next: Vec<String>,
}

impl OpenRunEntry {
    /// A run, if it is not over.
    pub fn of(journal: &Journal) -> Option<Self> {
        if !journal.state().is_open() {
            return None;
        }
        let (outcome, detail) = standing(journal);
        let namespace = &journal.header.namespace;
        let back = format!("kubectl ambient rollback -n {namespace}");
        let on = format!("kubectl ambient convert -n {namespace} --resume");
        // A rollback that was taken back goes there again.
        let is_move = journal.plan.direction == Direction::Forward;
        Some(Self {
            namespace: namespace.clone(),
            run: journal.header.run.to_string(),
            purpose: purpose(journal),
            outcome,
            detail,
            next: if is_move { vec![on, back] } else { vec![back] },
        })
    }
}

fn purpose(journal: &Journal) -> &'static str {
    match journal.header.purpose {
        Purpose::Move => "move",
        Purpose::Rollback { .. } => "rollback",
    }
}

/// How a run stands, in a word, and what belongs to it.
fn standing(journal: &Journal) -> (&'static str, Option<String>) {
    match journal.state().ended {
        Ended::Open => ("open", None),
        Ended::Halted(step, why) => ("halted", Some(format!("{step}: {why}"))),
        Ended::Paused(step) => ("paused", Some(format!("after {step}"))),
        Ended::Done(left) if left.is_empty() => ("done", None),
        Ended::Done(left) => {
            let left: Vec<String> = left.iter().map(ObjectRef::short).collect();
            ("done with a remainder", Some(left.join(", ")))
        }
        Ended::Finished => ("finished", None),
        Ended::RolledBack(by, None) => ("rolled back", Some(format!("by {by}"))),
        Ended::RolledBack(by, Some(to)) => ("rolled back", Some(format!("by {by}, to {to}"))),
    }
}

impl RunEntry {
    /// A run; with its steps where it alone was asked for.
    pub fn new(journal: &Journal, with_steps: bool) -> Self {
        let (outcome, detail) = standing(journal);
        let header = &journal.header;
        Self {
            namespace: header.namespace.clone(),
            run: header.run.to_string(),
            purpose: purpose(journal),
            of: match &header.purpose {
                Purpose::Rollback { of } => of.as_ref().map(ToString::to_string),
                Purpose::Move => None,
            },
            outcome,
            detail,
            began: Some(header.began.clone()),
            who: Some(header.who.clone()),
            accepted: header.accepted.clone(),
            steps: if with_steps {
                steps(journal)
            } else {
                Vec::new()
            },
        }
    }

    /// A run whose journal cannot be read.
    pub fn unreadable(namespace: &Name, run: &str, why: &str) -> Self {
        Self {
            namespace: namespace.clone(),
            run: run.to_owned(),
            purpose: "unknown",
            of: None,
            outcome: "unreadable",
            detail: Some(why.to_owned()),
            began: None,
            who: None,
            accepted: BTreeMap::new(),
            steps: Vec::new(),
        }
    }
}

fn steps(journal: &Journal) -> Vec<StepEntry> {
    let written = |step: usize| {
        let mut writes = Vec::new();
        for entry in &journal.entries {
            let (place, text) = match &entry.record {
                Record::Intent { place, write } => {
                    let verb = match write {
                        Write::Create { .. } => "create",
                        Write::Change { .. } => "change",
                        Write::Remove { .. } | Write::Delete { .. } => "remove",
                    };
                    (place, format!("{} {verb} {}", entry.at, write.object()))
                }
                Record::Kept { place, .. } => {
                    (place, format!("{} left as others had changed it", entry.at))
                }
                _ => continue,
            };
            if place.step == step {
                writes.push(text);
            }
        }
        writes
    };
    let all = journal.plan.steps.iter().enumerate();
    all.map(|(at, step)| StepEntry {
        id: step.id.to_string(),
        done: machine::is_done(journal, at),
        writes: written(at),
    })
    .collect()
}

impl HistoryReport {
    /// The document of these runs.
    pub fn new(runs: Vec<RunEntry>, header: Option<Header>) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "History",
            metadata: header,
            runs,
        }
    }
}
