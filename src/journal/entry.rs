//! What happened in a run.

use serde::{Deserialize, Serialize};

use crate::plan::{Drift, StepId, Write};

/// A write of a plan: which step, which of its stages, which write in it; all from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The step.
    pub step: usize,
    /// The stage.
    pub stage: usize,
    /// The write.
    pub write: usize,
}

/// A line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counted from zero.
    #[serde(rename = "n")]
    pub number: u32,
    /// When, RFC 3339.
    pub at: String,
    /// What.
    #[serde(flatten)]
    pub record: Record,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Record {
    /// A write is about to be made.
    Intent {
        /// Which.
        place: Place,
        /// With the values that stand there.
        write: Write,
    },
    /// A write was made, or was found made.
    Made {
        /// Which.
        place: Place,
        /// The object's `metadata.generation` then, where its kind counts them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        generation: Option<i64>,
    },
    /// A write was left out of a rollback, since somebody changed what it is about.
    Kept {
        /// Which.
        place: Place,
        /// What was changed.
        drift: Vec<Drift>,
    },
    /// Writes that were left out are to be made after all, whatever somebody changed.
    Reopened {
        /// Which.
        places: Vec<Place>,
    },
    /// What a stage waits for holds.
    Passed {
        /// The step.
        step: usize,
        /// The stage.
        stage: usize,
        /// What nothing in the cluster tells of, so that time alone was waited for.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unconfirmed: Vec<String>,
    },
    /// The run stopped.
    Halted {
        /// In which step.
        step: StepId,
        /// Why.
        why: String,
    },
    /// The run stopped where it was told to.
    Paused {
        /// After which step.
        after: StepId,
    },
    /// Somebody goes on with it.
    Resumed {
        /// Who.
        who: String,
    },
    /// All is done but the step `finish`.
    Done {
        /// What still has sidecars.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        remainder: Vec<crate::kinds::ObjectRef>,
    },
    /// The step `finish` is done, or everything of a rollback.
    Finished,
    /// Another run undoes it: nobody goes on with it any more.
    RolledBack {
        /// By which run.
        by: super::RunId,
        /// The step that it goes back to; nothing when all is undone.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<StepId>,
    },
}
