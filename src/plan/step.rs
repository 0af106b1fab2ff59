//! Steps, and the stages they consist of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::write::{Planned, Write};
use crate::kinds::ObjectRef;

/// What a step is called.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StepId {
    /// Proxies that do not accept HBONE are replaced, and ways for it are opened.
    Hbone,
    /// The waypoint is made.
    Waypoint,
    /// What the waypoint will enforce is put there.
    Policies,
    /// Services are bound to the waypoint, and the namespace is enrolled.
    Bind,
    /// A workload loses its sidecars.
    Switch(String),
    /// The namespace injects no more.
    Injection,
    /// Routes of the Gateway API take over for a host.
    Routes(String),
    /// All of it is looked at once more.
    Verify,
    /// What only sidecars needed goes.
    Finish,
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hbone => f.write_str("hbone"),
            Self::Waypoint => f.write_str("waypoint"),
            Self::Policies => f.write_str("policies"),
            Self::Bind => f.write_str("bind"),
            Self::Switch(workload) => write!(f, "switch/{workload}"),
            Self::Injection => f.write_str("injection"),
            Self::Routes(host) => write!(f, "routes/{host}"),
            Self::Verify => f.write_str("verify"),
            Self::Finish => f.write_str("finish"),
        }
    }
}

/// A text that is no step's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no step: they are hbone, waypoint, policies, bind, switch/WORKLOAD, injection, \
     routes/HOST, verify, finish"
)]
pub struct NoStep(String);

impl FromStr for StepId {
    type Err = NoStep;

    fn from_str(text: &str) -> Result<Self, NoStep> {
        Ok(match text.split_once('/') {
            None => match text {
                "hbone" => Self::Hbone,
                "waypoint" => Self::Waypoint,
                "policies" => Self::Policies,
                "bind" => Self::Bind,
                "injection" => Self::Injection,
                "verify" => Self::Verify,
                "finish" => Self::Finish,
                _ => return Err(NoStep(text.to_owned())),
            },
            Some(("switch", workload)) if !workload.is_empty() => Self::Switch(workload.to_owned()),
            Some(("routes", host)) if !host.is_empty() => Self::Routes(host.to_owned()),
            Some(_) => return Err(NoStep(text.to_owned())),
        })
    }
}

impl Serialize for StepId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StepId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Writes, and what is waited for after them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    /// What is written, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<Planned>,
    /// What must hold then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gate: Vec<Condition>,
    /// What must hold when the writes are undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub undone: Vec<Condition>,
}

/// A workload whose pods a step replaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// The workload.
    pub workload: ObjectRef,
    /// How many pods it has.
    pub pods: u32,
    /// How it replaces them, as Kubernetes calls it.
    pub strategy: String,
    /// How many times it waits for new pods to be ready.
    pub turns: u32,
    /// How long a new pod has to be ready before it counts, in seconds (`minReadySeconds`).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_ready_seconds: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// Steps of one wave may be done side by side.
    pub wave: u32,
    /// What is done, one stage after the other.
    pub stages: Vec<Stage>,
    /// Workloads whose pods it replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollouts: Vec<Rollout>,
    /// What may be felt meanwhile, in sentences without a final stop.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<String>,
}

impl Step {
    /// A step with nothing in it.
    pub(super) fn new(id: StepId) -> Self {
        Self {
            id,
            wave: 0,
            stages: Vec::new(),
            rollouts: Vec::new(),
            risks: Vec::new(),
        }
    }

    /// Everything it writes.
    pub fn writes(&self) -> impl Iterator<Item = &Planned> {
        self.stages.iter().flat_map(|stage| &stage.writes)
    }

    /// What undoes it, given what became of each write: nothing for those that were not made. A stage is
    /// undone from its last write on, and then waited for. One that only waits stays, for the way back or for
    /// the way there again.
    pub(super) fn reversed(&self, made: impl Fn(usize, usize) -> Option<Write>) -> Self {
        let stages = self.stages.iter().enumerate().rev();
        let stages = stages.filter_map(|(at, stage)| {
            let writes: Vec<Planned> = (0..stage.writes.len())
                .rev()
                .filter_map(|write| made(at, write)?.undo().map(Planned::Write))
                .collect();
            let waits_alone = stage.writes.is_empty();
            (!writes.is_empty() || waits_alone).then(|| Stage {
                writes,
                gate: stage.undone.clone(),
                undone: stage.gate.clone(),
            })
        });
        let stages: Vec<Stage> = stages.collect();
        let restarts = |rollout: &&Rollout| {
            let mut writes = stages.iter().flat_map(|stage| &stage.writes);
            writes.any(|write| *write.object() == rollout.workload)
        };
        Self {
            id: self.id.clone(),
            wave: 0,
            rollouts: self.rollouts.iter().filter(restarts).cloned().collect(),
            stages,
            risks: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for id in [
            StepId::Hbone,
            StepId::Switch("statefulset.pay".to_owned()),
            StepId::Routes("reviews".to_owned()),
            StepId::Finish,
        ] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for text in ["", "switch", "switch/", "cake", "bind/a"] {
            assert!(text.parse::<StepId>().is_err(), "{text}");
        }
    }
}
