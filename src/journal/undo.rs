//! The plan that undoes a run, from its journal.

use std::collections::BTreeSet;

use super::{Journal, Place, Progress, Record, State};
use crate::plan::{Direction, Plan, Step, StepId, Write};

/// What undoes a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undo {
    /// The plan.
    pub plan: Plan,
    /// Steps of which nothing is undone, since they are not after the one asked for.
    pub left: Vec<StepId>,
}

/// The plan that takes a namespace back to what it was before a run, or as it was after one of its
/// steps.
///
/// Writes that were noted and of which nobody knows whether they were made are undone as well: the
/// objects tell whether there is anything to undo.
pub fn undo(journal: &Journal, to: Option<&StepId>) -> Option<Undo> {
    let state = journal.state();
    let from = match to {
        None => 0,
        Some(step) => journal.plan.position(step)? + 1,
    };
    let made =
        |step: usize, stage: usize, at: usize| -> Option<Write> {
            if step < from {
                return None;
            }
            match state.writes.get(&Place {
                step,
                stage,
                write: at,
            })? {
                Progress::Intended(write) => Some(write.clone()),
                Progress::Made(write, generation) => {
                    // What the run itself changed afterwards has another generation by now, and one more
                    // when that is undone.
                    let again = state.writes.iter().any(|(other, progress)| {
                    *other != (Place { step, stage, write: at })
                        && matches!(progress, Progress::Intended(later) | Progress::Made(later, _)
                            if later.object() == write.object())
                });
                    let generation = if again { None } else { *generation };
                    Some(remembering(write.clone(), generation))
                }
                Progress::Kept(_) => None,
            }
        };
    let steps = journal.plan.steps.iter().take(from);
    let done: BTreeSet<usize> = state.writes.keys().map(|place| place.step).collect();
    let left = steps
        .enumerate()
        .filter(|(at, _)| done.contains(at))
        .map(|(_, step)| step.id.clone());
    Some(Undo {
        left: left.collect(),
        plan: journal.plan.reversed(made, rest(journal, &state)),
    })
}

/// What a way there that came to its end ends with, and of which nothing is to be undone: the last look, and
/// what waits for `--finish`.
fn rest(journal: &Journal, state: &State) -> Vec<Step> {
    let mut records = journal.entries.iter().map(|entry| &entry.record);
    let arrived = records.any(|record| matches!(record, Record::Done { .. } | Record::Finished));
    if journal.plan.direction == Direction::Back || !arrived {
        return Vec::new();
    }
    let began = |at: usize| state.writes.keys().any(|place| place.step == at);
    let steps = journal.plan.steps.iter().enumerate();
    let rest = steps.filter(|(at, step)| match step.id {
        StepId::Verify => true,
        StepId::Finish => !began(*at),
        _ => false,
    });
    // Each stands alone.
    let alone = rest.map(|(_, step)| Step {
        wave: u32::MAX - u32::from(step.id == StepId::Verify),
        ..step.clone()
    });
    alone.collect()
}

/// A write whose undo notices whether the object was changed since.
fn remembering(write: Write, generation: Option<i64>) -> Write {
    match write {
        Write::Create {
            object, manifest, ..
        } => Write::Create {
            object,
            manifest,
            generation,
        },
        other => other,
    }
}
