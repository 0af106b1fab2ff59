//! A program that takes something for verified without looking, for `make mutants`: tests have to find it out.
//! It is compiled only with `--cfg mutant`, which nothing that is shipped is built with.

use crate::plan::{Condition, Direction, StepId};

/// The conditions of a step that are looked at. What holds without a look, the environment names: all of a kind
/// of step on the way there (`bind`), or a kind of condition in a kind of step on the way back
/// (`back/bind/noAmbient`).
pub(super) fn spared(
    direction: Direction,
    step: &StepId,
    conditions: &[Condition],
) -> Vec<Condition> {
    let step = step.to_string();
    let step = step.split('/').next().unwrap_or_default();
    let mutant = std::env::var("KUBECTL_AMBIENT_MUTANT").unwrap_or_default();
    let is_spared = |condition: &&Condition| match direction {
        Direction::Forward => mutant == step,
        Direction::Back => {
            let condition = serde_json::to_value(condition).unwrap_or_default();
            let kind = condition["kind"].as_str().unwrap_or_default();
            mutant == format!("back/{step}/{kind}")
        }
    };
    let looked_at = conditions.iter().filter(|condition| !is_spared(condition));
    looked_at.cloned().collect()
}
