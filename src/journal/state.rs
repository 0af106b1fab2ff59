//! What a journal amounts to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Journal, Place, Record, RunId};
use crate::kinds::ObjectRef;
use crate::plan::{Drift, StepId, Write};

/// How a write stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// It is about to be made, or was made: the object tells.
    Intended(Write),
    /// It is made, and the object had this generation then.
    Made(Write, Option<i64>),
    /// It was left out, since somebody changed what it is about.
    Kept(Vec<Drift>),
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It is under way, or was interrupted.
    Open,
    /// It stopped in a step, for a reason.
    Halted(StepId, String),
    /// It stopped after a step, as it was told.
    Paused(StepId),
    /// It is done but for `finish`; this still has sidecars.
    Done(Vec<ObjectRef>),
    /// It is done.
    Finished,
    /// It was undone by another run, to this step or whole.
    RolledBack(RunId, Option<StepId>),
}

/// What a journal amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The writes that were begun.
    pub writes: BTreeMap<Place, Progress>,
    /// Stages (step, stage) whose gate was passed.
    pub passed: BTreeSet<(usize, usize)>,
    /// How the run stands.
    pub ended: Ended,
}

impl State {
    pub(super) fn of(journal: &Journal) -> Self {
        let mut state = Self {
            writes: BTreeMap::new(),
            passed: BTreeSet::new(),
            ended: Ended::Open,
        };
        for entry in &journal.entries {
            state.take(&entry.record);
        }
        state
    }

    fn take(&mut self, record: &Record) {
        match record {
            Record::Intent { place, write } => {
                self.writes
                    .insert(*place, Progress::Intended(write.clone()));
            }
            Record::Made { place, generation } => {
                if let Some(Progress::Intended(write) | Progress::Made(write, _)) =
                    self.writes.get(place)
                {
                    let made = Progress::Made(write.clone(), *generation);
                    self.writes.insert(*place, made);
                }
            }
            Record::Kept { place, drift } => {
                self.writes.insert(*place, Progress::Kept(drift.clone()));
            }
            Record::Reopened { places } => {
                for place in places {
                    self.writes.remove(place);
                    self.passed.remove(&(place.step, place.stage));
                }
            }
            Record::Passed { step, stage, .. } => {
                self.passed.insert((*step, *stage));
            }
            Record::Halted { step, why } => self.ended = Ended::Halted(step.clone(), why.clone()),
            Record::Paused { after } => self.ended = Ended::Paused(after.clone()),
            Record::Resumed { .. } => self.ended = Ended::Open,
            Record::Done { remainder } => self.ended = Ended::Done(remainder.clone()),
            Record::Finished => self.ended = Ended::Finished,
            Record::RolledBack { by, to } => {
                self.ended = Ended::RolledBack(by.clone(), to.clone());
            }
        }
    }

    /// Whether somebody may still go on with the run.
    pub const fn is_open(&self) -> bool {
        matches!(
            self.ended,
            Ended::Open | Ended::Halted(..) | Ended::Paused(_)
        )
    }

    /// The writes that were left out, and what somebody had changed.
    pub fn kept(&self) -> impl Iterator<Item = (Place, &[Drift])> {
        self.writes
            .iter()
            .filter_map(|(place, progress)| match progress {
                Progress::Kept(drift) => Some((*place, drift.as_slice())),
                Progress::Intended(_) | Progress::Made(..) => None,
            })
    }

    /// What was deleted for good: nothing makes it again.
    pub fn lost(&self) -> impl Iterator<Item = &ObjectRef> {
        self.writes.values().filter_map(|progress| match progress {
            Progress::Intended(Write::Delete { object, .. })
            | Progress::Made(Write::Delete { object, .. }, _) => Some(object),
            _ => None,
        })
    }

    /// Whether a write is done with.
    pub fn is_settled(&self, place: Place) -> bool {
        matches!(
            self.writes.get(&place),
            Some(Progress::Made(..) | Progress::Kept(_))
        )
    }
}
