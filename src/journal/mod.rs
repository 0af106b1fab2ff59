//! The journal of a run: what was meant to be done, and what became of it.
//!
//! It is a list of lines: the first says what the run is, then comes its plan, then what happened, in order.
//! A write is noted before it is made, with the values before and after, so that whatever interrupts a
//! run, the journal and the objects together say what is done ([`State`]), what comes next
//! ([`machine`]) and how to undo it ([`undo`]).

mod entry;
pub mod machine;
mod pages;
mod state;
#[cfg(test)]
mod tests;
mod undo;

pub use entry::{Entry, Place, Record};
pub use pages::{
    CONTINUED, Damage, PAGE, PAGE_NUMBER, Pages, RUN_LABEL, page_name, pages_of, read_pages,
};
pub use state::{Ended, Progress, State};
pub use undo::{Undo, undo};

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kinds::{Name, ObjectRef};
use crate::plan::Plan;

/// The version of the format that this program writes. It reads this one and those before it.
pub const VERSION: u32 = 1;

/// What a run is called: when it began, to the second, and a few letters where two began together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// The name of a run that begins now (RFC 3339, in UTC), beside those that are known.
    pub fn new(now: &str, known: &[RunId]) -> Self {
        let digits: String = now.chars().filter(char::is_ascii_digit).take(14).collect();
        let (day, time) = digits.split_at(digits.len().min(8));
        let base = format!("{day}-{time}");
        let taken = |id: &str| known.iter().any(|known| known.0 == id);
        let mut id = base.clone();
        let mut more = 2;
        while taken(&id) {
            id = format!("{base}-{more}");
            more += 1;
        }
        Self(id)
    }

    /// A name that somebody typed.
    pub fn typed(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a run is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Purpose {
    /// A namespace is moved.
    Move,
    /// What another run did is undone.
    #[serde(rename_all = "camelCase")]
    Rollback {
        /// That run; nothing where the namespace was moved by hand.
        of: Option<RunId>,
    },
}

/// What a run is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The version of the format.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// What it is for.
    pub purpose: Purpose,
    /// The namespace.
    pub namespace: Name,
    /// The `uid` of the namespace `kube-system`, by which clusters are told apart; nothing where it may
    /// not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The `uid` of the namespace, by which it is told from one of the same name that was made when it was
    /// deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// When it began, RFC 3339.
    pub began: String,
    /// Who began it, as the API server or the machine calls them.
    pub who: String,
    /// The release of this program.
    pub client: String,
    /// Why obstacles were accepted, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub accepted: BTreeMap<String, String>,
    /// The revision that injected, where the namespace or its pods told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The step that a rollback goes back to; nothing when it undoes all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<crate::plan::StepId>,
    /// What was there when a move was planned: policies, routes, Services, workloads. Who goes on with a
    /// run looks whether there is more.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub seen: BTreeSet<ObjectRef>,
    /// What else the plan may depend on, with the generation that it had ([`crate::plan::around`]).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub around: BTreeMap<ObjectRef, i64>,
    /// What was asked of the move; nothing in journals of namespaces that were moved by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<crate::plan::Asked>,
    /// How many rollouts may be under way at once.
    pub parallel: u32,
    /// How long each may take, in seconds.
    pub timeout: u64,
}

/// A journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// What the run is.
    pub header: Header,
    /// What it does.
    pub plan: Plan,
    /// What happened.
    pub entries: Vec<Entry>,
}

impl Journal {
    /// The journal of a run that begins.
    pub fn new(header: Header, plan: Plan) -> Self {
        Self {
            header,
            plan,
            entries: Vec::new(),
        }
    }

    /// Notes what happened, and gives the entry back as it is kept.
    pub fn note(&mut self, at: &str, record: Record) -> &Entry {
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry {
            number,
            at: at.to_owned(),
            record,
        });
        &self.entries[self.entries.len() - 1]
    }

    /// What it amounts to.
    pub fn state(&self) -> State {
        State::of(self)
    }
}
