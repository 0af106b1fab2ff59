//! Whether two ways to change a path do the same to all paths of a cell.

use crate::semantics::language::{Bounds, Cell, Domain, Pattern, Predicate, cells};
use crate::semantics::routing::PathRewrite;

/// Paths that agree on some predicates.
pub(super) struct Paths<'p> {
    /// The predicates.
    pub(super) predicates: Vec<&'p Predicate>,
    /// What they say.
    pub(super) answers: Vec<bool>,
}

/// What comparing two ways gave.
pub(super) struct Verdict {
    /// Cells that were looked at.
    pub(super) classes: usize,
    /// Paths that show a difference.
    pub(super) differing: Vec<String>,
    /// Why there may be others.
    pub(super) why: Vec<String>,
}

/// Compares two ways over the paths of a cell.
///
/// A prefix that is replaced or taken away is a fixed text in each cell between the splits, so that
/// one path decides. A path that is replaced whole agrees with another way by chance, so that a
/// second path is asked. Expressions are only compared at such paths.
pub(super) fn compare(ways: [&PathRewrite; 2], paths: &Paths<'_>, bounds: Bounds) -> Verdict {
    let mut splits: Vec<Pattern> = ways.iter().flat_map(|way| way.splits()).collect();
    splits.sort();
    splits.dedup();
    let splits: Vec<Predicate> = splits.into_iter().map(Predicate::new).collect();
    let mut predicates = paths.predicates.clone();
    predicates.extend(&splits);
    let found = cells(Domain::Path, &predicates, bounds);
    let mut verdict = Verdict {
        classes: 0,
        differing: Vec::new(),
        why: Vec::new(),
    };
    if !found.complete {
        verdict
            .why
            .push("there are too many kinds of paths".to_owned());
    }
    if !is_decided_by_one(ways) && ways.iter().any(|way| !is_const(way) && !is_linear(way)) {
        let expression = ways.iter().find(|way| !is_const(way) && !is_linear(way));
        let expression = expression.map(ToString::to_string).unwrap_or_default();
        verdict
            .why
            .push(format!("{expression} is only compared at examples"));
    }
    let own = |cell: &&Cell| {
        let mut answers = paths.answers.iter().enumerate();
        answers.all(|(position, answer)| cell.truth.get(position) == *answer)
    };
    for cell in found.found.iter().filter(own) {
        verdict.classes += 1;
        let mut examples = vec![cell.witness.clone()];
        if !is_decided_by_one(ways) {
            let known = Predicate::new(Pattern::exact(&cell.witness));
            let mut predicates = predicates.clone();
            predicates.push(&known);
            let others = cells(Domain::Path, &predicates, bounds).found;
            let last = predicates.len() - 1;
            let same = |other: &&Cell| {
                !other.truth.get(last) && (0..last).all(|p| other.truth.get(p) == cell.truth.get(p))
            };
            examples.extend(others.iter().find(same).map(|other| other.witness.clone()));
        }
        for example in examples {
            match (ways[0].apply(&example), ways[1].apply(&example)) {
                (Some(a), Some(b)) if a == b => {}
                (Some(_), Some(_)) => {
                    verdict.differing.push(example);
                    break;
                }
                _ => verdict
                    .why
                    .push(format!("what becomes of {example} cannot be decided")),
            }
        }
    }
    verdict
}

/// Whether it gives every path the same other one.
fn is_const(way: &PathRewrite) -> bool {
    matches!(way, PathRewrite::Whole(_))
}

/// Whether it keeps the end of every path, behind a beginning that a cell fixes.
fn is_linear(way: &PathRewrite) -> bool {
    matches!(
        way,
        PathRewrite::Keep | PathRewrite::Strip(_) | PathRewrite::Prefix { fold: false, .. }
    )
}

fn is_decided_by_one(ways: [&PathRewrite; 2]) -> bool {
    ways.iter().all(|way| is_const(way)) || ways.iter().all(|way| is_linear(way))
}
