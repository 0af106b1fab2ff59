//! What comes next in a run: from its journal alone.
//!
//! The machine has no memory of its own. Whoever runs it asks, does what it says, notes what became of it
//! in the journal, and asks again; so a run that was killed goes on as one that was not.

use super::{Journal, Place, Progress, Record};
use crate::plan::{Condition, Planned, StepId, Write};

/// What is to be done next in one step.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// A write that was not begun: it is resolved, noted, and made.
    Begin(Place, Planned),
    /// A write that was noted, and of which nobody knows whether it was made: the object tells.
    Resume(Place, Write),
    /// A gate is to be passed: (step, stage).
    Pass(usize, usize, Vec<Condition>),
}

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// To the step `finish`, which is left for a command of its own.
    Done,
    /// Through the step `finish`.
    Finished,
}

/// How far whoever goes on with a run goes: one that was done and is open again was being finished.
pub fn until(journal: &Journal) -> Until {
    let mut entries = journal.entries.iter();
    if entries.any(|entry| matches!(entry.record, Record::Done { .. })) {
        Until::Finished
    } else {
        Until::Done
    }
}

/// The steps that may be worked on now, in order: of the first wave that is not done. None when all is
/// done.
pub fn ready(journal: &Journal, until: Until) -> Vec<usize> {
    let state = journal.state();
    let steps = journal.plan.steps.iter().enumerate();
    let mut open = steps
        .filter(|(_, step)| until == Until::Finished || step.id != StepId::Finish)
        .filter(|(at, _)| next_in(journal, &state, *at).is_some())
        .peekable();
    let wave = open.peek().map(|(_, step)| step.wave);
    open.take_while(|(_, step)| Some(step.wave) == wave)
        .map(|(at, _)| at)
        .collect()
}

/// What is to be done next in a step; nothing when it is done.
pub fn next(journal: &Journal, step: usize) -> Option<Next> {
    next_in(journal, &journal.state(), step)
}

/// Whether a step is done.
pub fn is_done(journal: &Journal, step: usize) -> bool {
    next(journal, step).is_none()
}

fn next_in(journal: &Journal, state: &super::State, step: usize) -> Option<Next> {
    let stages = journal.plan.steps.get(step)?.stages.iter().enumerate();
    for (stage, content) in stages {
        if state.passed.contains(&(step, stage)) {
            continue;
        }
        for (write, planned) in content.writes.iter().enumerate() {
            let place = Place { step, stage, write };
            match state.writes.get(&place) {
                None => return Some(Next::Begin(place, planned.clone())),
                Some(Progress::Intended(write)) => return Some(Next::Resume(place, write.clone())),
                Some(Progress::Made(..) | Progress::Kept(_)) => {}
            }
        }
        return Some(Next::Pass(step, stage, content.gate.clone()));
    }
    None
}
