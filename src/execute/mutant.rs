//! A program that takes something for verified without looking, for `make mutants`: tests have to find it out.
//! It is compiled only with `--cfg mutant`, which nothing that is shipped is built with.

use crate::plan::StepId;

/// Whether the gates of a step hold without a look: the environment names one kind of step.
pub(super) fn spares(step: &StepId) -> bool {
    let kind = step.to_string();
    let kind = kind.split('/').next().unwrap_or_default();
    std::env::var("KUBECTL_AMBIENT_MUTANT").is_ok_and(|spared| spared == kind)
}
