//! What the comparison of both sides found, as documents have it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::semantics::compare::How;
use crate::translate::Proofs;
use crate::translate::proof::{CallProof, RouteProof};

/// What the comparison of both sides found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ComparisonEntry {
    /// Classes of requests that were compared.
    pub classes: usize,
    /// Classes that differ.
    pub differing: usize,
    /// Calls of which it is not known whether they come to the same.
    pub undecided: usize,
    /// Whether every request is of a class that was compared.
    pub complete: bool,
    /// Why not every request is, each reason once.
    pub sampled_because: Vec<String>,
    /// A request of each class that differs, up to a bound.
    pub differences: Vec<DifferenceEntry>,
}

/// A request that is treated otherwise.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceEntry {
    /// What is compared: `route` or `verdict`.
    pub of: &'static str,
    /// To whom the request goes.
    pub to: String,
    /// The objects that take part.
    pub concerns: Vec<String>,
    /// The request.
    pub request: String,
    /// What becomes of it before.
    pub before: String,
    /// What becomes of it after.
    pub after: String,
    /// Whether something is let through, or may be, that was refused.
    pub opens: bool,
    /// Whether it is not known that they differ.
    pub undecided: bool,
}

impl ComparisonEntry {
    pub(super) fn new(proofs: &Proofs) -> Self {
        let mut differences: Vec<DifferenceEntry> = Vec::new();
        let mut reasons = std::collections::BTreeSet::new();
        let mut complete = true;
        let mut note = |how: &How| {
            if let How::Sampled { why } = how {
                complete = false;
                reasons.extend(why.iter().cloned());
            }
        };
        let mut undecided = 0;
        for proof in &proofs.routes {
            note(&proof.comparison.how);
            differences.extend(of_route(proof));
        }
        for proof in &proofs.calls {
            note(&proof.comparison.how);
            undecided += proof.comparison.undecided.len();
            differences.extend(of_call(proof));
        }
        Self {
            classes: proofs.classes(),
            differing: proofs.differing(),
            undecided,
            complete: complete && undecided == 0,
            sampled_because: reasons.into_iter().collect(),
            differences,
        }
    }
}

fn of_route(proof: &RouteProof) -> impl Iterator<Item = DifferenceEntry> {
    let found = proof.comparison.differences.iter();
    found.map(|difference| DifferenceEntry {
        of: "route",
        to: format!(
            "{} port {} from {}",
            proof.service, proof.port, proof.client
        ),
        concerns: proof.concerns.iter().map(ToString::to_string).collect(),
        request: difference.request.to_string(),
        before: difference.before.to_string(),
        after: difference.after.to_string(),
        opens: false,
        undecided: false,
    })
}

fn of_call(proof: &CallProof) -> impl Iterator<Item = DifferenceEntry> {
    let differing = proof.comparison.differences.iter().map(|d| (d, false));
    let undecided = proof.comparison.undecided.iter().map(|d| (d, true));
    let to = match &proof.service {
        Some(service) => format!("{} by {}", proof.workload, service.short()),
        None => proof.workload.to_string(),
    };
    differing
        .chain(undecided)
        .map(move |(difference, undecided)| {
            let supposing = difference.supposing.iter().map(|(what, is)| {
                let is = if *is { "yes" } else { "no" };
                format!("; supposing {what}: {is}")
            });
            DifferenceEntry {
                of: "verdict",
                to: to.clone(),
                concerns: proof.concerns.iter().map(ToString::to_string).collect(),
                request: format!("{}{}", difference.call, supposing.collect::<String>()),
                before: difference.before.to_string(),
                after: difference.after.to_string(),
                opens: difference.opens(),
                undecided,
            }
        })
}
