//! The plan: the steps in which a namespace is moved, and back.
//!
//! A plan is made of a translation, whose changes are cut into steps: what may be written together,
//! and what must hold before the next is begun. It is data, so it can be shown, kept in a file,
//! compared with a later one, and reversed. Nothing here talks to a cluster.

mod asked;
mod build;
mod by_hand;
mod bypass;
pub mod condition;
mod left;
mod meantime;
mod obstacle;
mod order;
pub mod rights;
mod rollout;
pub mod seen;
mod since;
mod step;
#[cfg(test)]
mod tests;
pub mod write;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use asked::{Asked, judged, reads};
pub use build::{Ground, plan};
pub use by_hand::back_by_hand;
pub use bypass::{Bypass, Bypasser, Possible};
pub use condition::{Condition, Evidence, Holds, Pods};
pub use obstacle::{Accepted, Obstacle, in_files, obstacles};
pub use since::{Since, around};
pub use step::{NoStep, Rollout, Stage, Step, StepId};
pub use write::{Drift, FieldChange, Planned, Request, Standing, Write};

use serde_json::Value;

use crate::kinds::{Name, ObjectRef};
use crate::translate::change::SOURCE;

/// How workloads lose their sidecars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Manner {
    /// One by one, by their templates, while the namespace goes on injecting.
    Templates,
    /// The namespace injects no more, then they are restarted.
    Namespace,
}

/// Which way a plan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// To ambient mode.
    Forward,
    /// To what was before.
    Back,
}

/// The steps in which a namespace is moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The namespace; nothing is written outside of it.
    pub namespace: Name,
    /// Which way it goes.
    pub direction: Direction,
    /// How workloads lose their sidecars.
    pub manner: Manner,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// What keeps its sidecars, so that the namespace is not done: deferred workloads, bare pods,
    /// Jobs that run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remainder: Vec<ObjectRef>,
    /// On the way back: steps of the way there of which there is nothing to undo, and which whoever goes
    /// there again ends with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rest: Vec<Step>,
    /// Who goes past a waypoint on the way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bypasses: Vec<Bypass>,
}

/// How much a plan does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Totals {
    /// Objects that are made.
    pub add: usize,
    /// Objects that change.
    pub change: usize,
    /// Workloads whose pods are replaced.
    pub restart: usize,
    /// Objects that go.
    pub destroy: usize,
}

impl Plan {
    /// Whether it writes nothing.
    pub fn is_empty(&self) -> bool {
        self.writes().next().is_none()
    }

    /// All that it writes, in order.
    pub fn writes(&self) -> impl Iterator<Item = &Planned> {
        self.steps.iter().flat_map(Step::writes)
    }

    /// The objects that it makes, changes or removes.
    pub fn written(&self) -> BTreeSet<&ObjectRef> {
        self.writes().map(Planned::object).collect()
    }

    /// How much it does, up to the step `finish`, which waits for a command of its own.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        let mut changed = BTreeSet::new();
        let mut restarted = BTreeSet::new();
        for step in self.steps.iter().filter(|step| step.id != StepId::Finish) {
            for planned in step.writes() {
                match planned {
                    Planned::Write(Write::Create { .. }) => totals.add += 1,
                    Planned::Write(Write::Remove { .. } | Write::Delete { .. })
                    | Planned::Delete(_) => totals.destroy += 1,
                    Planned::Write(Write::Change { object, .. })
                    | Planned::Set { object, .. }
                    | Planned::Restart(object) => {
                        changed.insert(object);
                    }
                }
            }
            restarted.extend(step.rollouts.iter().map(|rollout| &rollout.workload));
        }
        totals.change = changed.len();
        totals.restart = restarted.len();
        totals
    }

    /// The step of a name.
    pub fn position(&self, id: &StepId) -> Option<usize> {
        self.steps.iter().position(|step| step.id == *id)
    }

    /// The plan that undoes what was made of this one: its steps from the last on. `made` says what
    /// became of a write (step, stage, write); nothing of those that were not made. `rest` are steps that
    /// have no part in the way back, and have one in the way there again.
    ///
    /// Where the namespace alone decides about sidecars, it injects again before pods are replaced, as it
    /// stopped injecting before they were.
    #[must_use]
    pub fn reversed(
        &self,
        made: impl Fn(usize, usize, usize) -> Option<Write>,
        rest: Vec<Step>,
    ) -> Self {
        let steps = self.steps.iter().enumerate().rev();
        let mut steps: Vec<Step> = steps
            .map(|(at, step)| {
                (
                    step.wave,
                    step.reversed(|stage, write| made(at, stage, write)),
                )
            })
            .filter(|(_, step)| step.writes().next().is_some())
            .map(|(wave, step)| Step { wave, ..step })
            .collect();
        if self.manner == Manner::Namespace {
            let switch = steps
                .iter()
                .position(|step| matches!(step.id, StepId::Switch(_)));
            let injection = steps.iter().position(|step| step.id == StepId::Injection);
            if let (Some(switch), Some(injection)) = (switch, injection)
                && switch < injection
            {
                let step = steps.remove(injection);
                steps.insert(switch, step);
            }
        }
        let direction = match self.direction {
            Direction::Forward => Direction::Back,
            Direction::Back => Direction::Forward,
        };
        if direction == Direction::Forward {
            let finish = steps.iter().position(|step| step.id == StepId::Finish);
            let at = finish.unwrap_or(steps.len());
            steps.splice(at..at, self.rest.iter().cloned());
        } else {
            steps.extend(self.all_back(&steps));
        }
        renumber(&mut steps);
        Self {
            namespace: self.namespace.clone(),
            direction,
            manner: self.manner,
            steps,
            remainder: self.remainder.clone(),
            rest,
            bypasses: Vec::new(),
        }
    }

    /// The last look of a way back: that what was switched back has its sidecars. Jobs are not waited for, which
    /// end when they end.
    fn all_back(&self, back: &[Step]) -> Option<Step> {
        let switched = back
            .iter()
            .filter(|step| matches!(step.id, StepId::Switch(_)));
        let workloads: Vec<ObjectRef> = switched
            .flat_map(|step| &step.rollouts)
            .map(|rollout| rollout.workload.clone())
            .collect();
        if workloads.is_empty() {
            return None;
        }
        let mut step = Step::new(StepId::Verify);
        step.wave = u32::MAX;
        step.stages.push(Stage {
            gate: vec![Condition::NoAmbient {
                namespace: self.namespace.clone(),
                of: workloads,
            }],
            ..Stage::default()
        });
        Some(step)
    }

    /// How this plan differs from another of the same namespace: the first step, object and field.
    pub fn first_difference(&self, other: &Self) -> Option<String> {
        for (one, two) in self.steps.iter().zip(&other.steps) {
            if one.id != two.id {
                return Some(format!("step {} stands where {} stood", two.id, one.id));
            }
            let pairs = one.writes().zip(two.writes());
            for (one_write, two_write) in pairs {
                if one_write == two_write {
                    continue;
                }
                let object = one_write.object();
                return Some(if object == two_write.object() {
                    format!(
                        "step {}: {object}{}",
                        one.id,
                        field_of(one_write, two_write)
                    )
                } else {
                    format!(
                        "step {}: {} stands where {object} stood",
                        one.id,
                        two_write.object()
                    )
                });
            }
            if one != two {
                return Some(format!(
                    "step {} writes or waits for something else",
                    one.id
                ));
            }
        }
        let (one, two) = (self.steps.len(), other.steps.len());
        if one != two {
            return Some(format!("{two} steps instead of {one}"));
        }
        // Who goes past a waypoint depends on other namespaces, and changes nothing that is done.
        let same = self.remainder == other.remainder && self.manner == other.manner;
        (!same).then(|| "what keeps its sidecars, or how workloads are switched".to_owned())
    }
}

/// The field in which two writes of an object differ.
fn field_of(one: &Planned, two: &Planned) -> String {
    let whole = |planned: &Planned| match planned {
        Planned::Write(Write::Create { manifest, .. } | Write::Remove { manifest, .. }) => {
            Some(manifest.clone())
        }
        _ => None,
    };
    if let (Some(one), Some(two)) = (whole(one), whole(two)) {
        let source = two["metadata"]["annotations"][SOURCE].as_str();
        let source = source.map_or_else(String::new, |source| format!(" (made from {source})"));
        let mut path = Vec::new();
        first_path(&one, &two, &mut path);
        return format!("{source}, field {}", path.join("."));
    }
    let fields = |planned: &Planned| match planned {
        Planned::Write(Write::Change { fields, .. }) => fields.clone(),
        _ => Vec::new(),
    };
    let (one, two) = (fields(one), fields(two));
    let first = one.iter().find(|field| !two.contains(field));
    let first = first.or_else(|| two.iter().find(|field| !one.contains(field)));
    first.map_or_else(
        || " is not what it was".to_owned(),
        |field| format!(", field {}", field.path.join(".")),
    )
}

/// The way to the first value in which two objects differ.
fn first_path(one: &Value, two: &Value, path: &mut Vec<String>) {
    let differing = match (one, two) {
        (Value::Object(one), Value::Object(two)) => {
            let keys: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
            let mut keys = keys.into_iter();
            let key = keys.find(|key| one.get(*key) != two.get(*key));
            key.map(|key| (key.clone(), one.get(key), two.get(key)))
        }
        (Value::Array(one), Value::Array(two)) => {
            let mut all = 0..one.len().max(two.len());
            let at = all.find(|at| one.get(*at) != two.get(*at));
            at.map(|at| (at.to_string(), one.get(at), two.get(at)))
        }
        _ => None,
    };
    if let Some((key, one, two)) = differing {
        path.push(key);
        if let (Some(one), Some(two)) = (one, two) {
            first_path(one, two, path);
        }
    }
}

/// Waves count from zero, and steps that stood in one wave stay in one.
fn renumber(steps: &mut [Step]) {
    let mut last = None;
    let mut wave = 0;
    for step in steps {
        let old = step.wave;
        if last.is_some_and(|last| last != old) {
            wave += 1;
        }
        last = Some(old);
        step.wave = wave;
    }
}
