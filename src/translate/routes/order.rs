//! The order of rules. In a VirtualService the first match in the list acts; HTTPRoutes are sorted by
//! how specific they are (`pilot/pkg/config/kube/gateway/conversion.go`, `sortHTTPRoutes`).
//!
//! Only matches that may take the same request and do not do the same need an order. Where the sort
//! would turn one round, there are two ways: the earlier one gets a second match, as specific as the
//! later one, for what they have in common; or the later one is written as an expression, which ranks
//! below everything. Among expressions the longer one goes first, and an expression can be made longer
//! without changing what it matches.

use std::collections::BTreeSet;

use super::form::{Demands, LONGEST_PATH, Path, contains, may_overlap};
use super::paths::Change;
use crate::semantics::language::{Pattern, Shape};

/// A match, and what is done.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) path: Path,
    /// The paths that are meant.
    pub(super) pattern: Pattern,
    /// A path that is written takes, though it is not meant.
    pub(super) loose: Option<String>,
    /// Where a prefix ends with a slash: itself without it.
    pub(super) bare: Option<String>,
    pub(super) demands: Demands,
    /// What is done, by a number.
    pub(super) action: usize,
    pub(super) change: Change,
    /// The rule that it is of, by a number.
    pub(super) rule: usize,
    id: usize,
}

/// Why no order can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Disorder {
    /// The second of these rules would act before the first, and cannot be written otherwise.
    Turned(usize, usize),
    /// An expression would be too long.
    TooLong(usize),
}

/// The pieces in order.
#[derive(Debug)]
pub(super) struct Ordered {
    pub(super) pieces: Vec<Piece>,
    /// Paths that are taken though they are not meant, by rule.
    pub(super) loose: Vec<(usize, String)>,
    resolved: BTreeSet<(usize, usize)>,
}

type Rank = ((i8, usize), (bool, usize, usize));

impl Piece {
    pub(super) fn new(
        path: super::paths::Written,
        demands: Demands,
        action: usize,
        rule: usize,
    ) -> Self {
        Self {
            path: path.path,
            pattern: path.pattern,
            loose: path.loose,
            bare: path.bare,
            change: path.change,
            demands,
            action,
            rule,
            id: 0,
        }
    }

    fn rank(&self) -> Rank {
        (self.path.rank(), self.demands.rank())
    }

    /// Whether two pieces do the same.
    pub(super) fn acts_alike(&self, other: &Self) -> bool {
        self.action == other.action && self.change == other.change
    }

    fn meets(&self, other: &Self) -> bool {
        may_overlap(&self.pattern, &other.pattern) && self.demands.may_meet(&other.demands)
    }

    /// Whether the order of two pieces matters.
    fn matters_to(&self, other: &Self) -> bool {
        !self.acts_alike(other) && self.meets(other)
    }

    fn takes_all(&self) -> bool {
        self.pattern.is_any() && self.demands == Demands::default()
    }

    /// Whether every request of another piece is one of this.
    fn covers(&self, other: &Self) -> bool {
        self.demands.is_within(&other.demands) && covers(&self.pattern, &other.pattern)
    }

    /// What is done with one path, which it takes.
    fn change_at(&self, path: &str) -> Change {
        self.change.at(self.path.text(), path)
    }
}

/// Whether all of a pattern is in another, as far as that is plain to see.
fn covers(wide: &Pattern, narrow: &Pattern) -> bool {
    if wide.is_any() || wide == narrow {
        return true;
    }
    if wide.ignores_case() || narrow.ignores_case() {
        return false;
    }
    match (wide.shape(), narrow.shape()) {
        (_, Shape::Exact(text)) => contains(wide, text) == Some(true),
        (Shape::Prefix(short), Shape::Prefix(long) | Shape::Element(long)) => {
            long.starts_with(short.as_str())
        }
        (Shape::Element(short), Shape::Prefix(long) | Shape::Element(long)) => long
            .strip_prefix(short.as_str())
            .is_some_and(|rest| rest.starts_with('/')),
        _ => false,
    }
}

/// Brings pieces into a form that sorts as they are listed.
pub(super) fn ordered(pieces: Vec<Piece>) -> Result<Ordered, Disorder> {
    let mut start = reachable(pieces);
    let loose = tighten(&mut start);
    for (id, piece) in start.iter_mut().enumerate() {
        piece.id = id;
    }
    let budget = start.len() * 2 + 8;
    let mut ordered = match arranged(start.clone(), budget) {
        Ok(ordered) => ordered,
        // Additions that need additions of their own: without any it ends.
        Err(_) => arranged(start, 0)?,
    };
    lengthen(&mut ordered)?;
    ordered.loose = loose;
    Ok(ordered)
}

/// The pieces that some request reaches, as far as that is plain to see. Dead ones could come alive.
fn reachable(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut kept: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if kept.iter().any(|earlier| earlier.covers(&piece)) {
            continue;
        }
        let ends = piece.takes_all();
        kept.push(piece);
        if ends {
            break;
        }
    }
    kept
}

/// Prefixes that end with a slash, in the form of path elements. That form takes the prefix without
/// its slash too: where an earlier piece takes that path it does no harm; where a later piece does,
/// that one gets a match on just this path, before. Otherwise, and only where there is no other form,
/// the path is told of.
fn tighten(pieces: &mut Vec<Piece>) -> Vec<(usize, String)> {
    let mut told = Vec::new();
    let mut at = 0;
    while at < pieces.len() {
        let piece = &pieces[at];
        let Some(bare) = piece.loose.clone().or_else(|| piece.bare.clone()) else {
            at += 1;
            continue;
        };
        let takes_bare = |other: &Piece| contains(&other.pattern, &bare) == Some(true);
        let earlier = pieces[..at]
            .iter()
            .rposition(|other| takes_bare(other) && other.demands.is_within(&piece.demands));
        if earlier.is_none()
            && let Some(later) = same_for_bare(pieces, at, &bare)
        {
            let known = pieces.remove(later);
            pieces.insert(at, known);
            at += 1;
            continue;
        }
        if earlier.is_none() && piece.loose.is_none() {
            at += 1;
            continue;
        }
        if let Some(earlier) = earlier {
            let known = pieces[earlier].clone();
            at = as_element(pieces, at, &bare, earlier, &known);
            continue;
        }
        let (guards, complete) = guards(&pieces[at + 1..], &pieces[at], &bare);
        if !complete {
            told.push((pieces[at].rule, bare.clone()));
        }
        let count = guards.len();
        pieces.splice(at..at, guards);
        at += count;
        pieces[at].pattern = Pattern::element(&bare);
        pieces[at].loose = None;
        at += 1;
    }
    told
}

/// A later piece that is for the bare prefix alone, does what a piece would do with it, and could as
/// well stand before it.
fn same_for_bare(pieces: &[Piece], at: usize, bare: &str) -> Option<usize> {
    let piece = &pieces[at];
    let later = at
        + 1
        + pieces[at + 1..].iter().position(|other| {
            matches!(&other.path, Path::Exact(text) if text == bare)
                && says_the_same_of(bare, other, piece)
        })?;
    let between = &pieces[at + 1..later];
    (!between.iter().any(|other| other.meets(&pieces[later]))).then_some(later)
}

/// Whether a piece for one path does with it what another would do that takes what is below it.
fn says_the_same_of(bare: &str, known: &Piece, piece: &Piece) -> bool {
    let mut element = piece.clone();
    element.path = Path::Prefix(bare.to_owned());
    known.demands == piece.demands
        && known.action == piece.action
        && known.change == element.change_at(bare)
}

/// Writes a piece by path elements; an earlier piece that says the same of the bare prefix alone goes.
fn as_element(
    pieces: &mut Vec<Piece>,
    at: usize,
    bare: &str,
    earlier: usize,
    known: &Piece,
) -> usize {
    let piece = &mut pieces[at];
    piece.path = Path::Prefix(bare.to_owned());
    piece.pattern = Pattern::element(bare);
    piece.loose = None;
    piece.bare = None;
    let piece = pieces[at].clone();
    let is_needless = matches!(&known.path, Path::Exact(text) if text == bare)
        && says_the_same_of(bare, known, &piece)
        && !pieces[earlier + 1..at]
            .iter()
            .any(|other| known.meets(other));
    if is_needless {
        pieces.remove(earlier);
        return at;
    }
    at + 1
}

/// Matches on one path for the pieces that take it after another piece, and whether they take all of
/// its requests.
fn guards(later: &[Piece], before: &Piece, path: &str) -> (Vec<Piece>, bool) {
    let mut guards = Vec::new();
    for piece in later {
        if contains(&piece.pattern, path) != Some(true) || !piece.demands.may_meet(&before.demands)
        {
            continue;
        }
        let mut guard = piece.clone();
        guard.change = piece.change_at(path);
        guard.path = Path::Exact(path.to_owned());
        guard.pattern = Pattern::exact(path);
        guard.loose = None;
        guard.bare = None;
        guards.push(guard);
        if piece.demands.is_within(&before.demands) {
            return (guards, true);
        }
    }
    (guards, false)
}

/// Inserts and rewrites pieces until the sort turns none round, with so many additions at most.
fn arranged(mut pieces: Vec<Piece>, mut budget: usize) -> Result<Ordered, Disorder> {
    let mut resolved = BTreeSet::new();
    let mut next = pieces.len();
    let may_add = budget > 0;
    while let Some((i, j)) = turned(&pieces, &resolved) {
        let (first, second) = (&pieces[i], &pieces[j]);
        let common = may_add
            .then(|| common(first, second))
            .flatten()
            .filter(|common| common.rank() >= second.rank());
        if let Some(mut common) = common {
            if budget == 0 {
                return Err(Disorder::Turned(first.rule, second.rule));
            }
            budget -= 1;
            resolved.insert((first.id, second.id));
            common.id = next;
            next += 1;
            pieces.insert(i, common);
        } else if matches!(second.change, Change::Prefix(_)) {
            return Err(Disorder::Turned(first.rule, second.rule));
        } else {
            let path = second.path.as_regex();
            pieces[j].path = path;
        }
    }
    Ok(Ordered {
        pieces,
        loose: Vec::new(),
        resolved,
    })
}

/// The first two pieces of which the second would act before the first, but for expressions.
fn turned(pieces: &[Piece], resolved: &BTreeSet<(usize, usize)>) -> Option<(usize, usize)> {
    for (j, second) in pieces.iter().enumerate() {
        for (i, first) in pieces[..j].iter().enumerate() {
            let both = first.path.is_regex() && second.path.is_regex();
            if !both
                && second.rank() > first.rank()
                && !resolved.contains(&(first.id, second.id))
                && first.matters_to(second)
            {
                return Some((i, j));
            }
        }
    }
    None
}

/// What two pieces have in common, doing what the first does; `None` where it cannot be written, or
/// only as an expression.
fn common(first: &Piece, second: &Piece) -> Option<Piece> {
    let narrow = if covers(&first.pattern, &second.pattern) {
        second
    } else if covers(&second.pattern, &first.pattern) {
        first
    } else {
        return None;
    };
    if narrow.path.is_regex() {
        return None;
    }
    let change = match (&narrow.path, first.change_at(narrow.path.text())) {
        _ if narrow.path == first.path => first.change.clone(),
        (Path::Prefix(_), Change::Full(by)) if matches!(first.change, Change::Prefix(_)) => {
            Change::Prefix(by)
        }
        (_, change) => change,
    };
    Some(Piece {
        path: narrow.path.clone(),
        pattern: narrow.pattern.clone(),
        demands: first.demands.and(&second.demands)?,
        change,
        ..first.clone()
    })
}

/// Makes expressions longer where a later one would go first, from the last to the first.
fn lengthen(ordered: &mut Ordered) -> Result<(), Disorder> {
    let pieces = &mut ordered.pieces;
    for i in (0..pieces.len()).rev() {
        let Path::Regex(text) = &pieces[i].path else {
            continue;
        };
        let mut least = text.len();
        for second in &pieces[i + 1..] {
            if !second.path.is_regex() || ordered.resolved.contains(&(pieces[i].id, second.id)) {
                continue;
            }
            let equal = pieces[i].demands.rank() >= second.demands.rank();
            let wanted = second.path.text().len() + usize::from(!equal);
            if wanted > least && pieces[i].matters_to(second) {
                least = wanted;
            }
        }
        let longer = longer(text, least);
        if longer.len() > LONGEST_PATH {
            return Err(Disorder::TooLong(pieces[i].rule));
        }
        pieces[i].path = Path::Regex(longer);
    }
    Ok(())
}

/// The same expression with so many characters at least. It has to match all of a path anyway.
fn longer(text: &str, least: usize) -> String {
    let mut longer = text.to_owned();
    while longer.len() < least {
        if least - longer.len() >= 4 {
            longer = format!("(?:{longer})");
        } else if !longer.ends_with('$') {
            longer.push('$');
        } else if !longer.starts_with('^') {
            longer.insert(0, '^');
        } else {
            longer = format!("(?:{longer})");
        }
    }
    longer
}

impl Ordered {
    /// Whether it would matter which of two pieces goes first, and only their places in the list say.
    pub(super) fn tie_matters(&self, first: &Piece, second: &Piece) -> bool {
        first.rank() == second.rank()
            && !self.resolved.contains(&(first.id, second.id))
            && first.matters_to(second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_expressions_match_the_same() {
        for (text, least, expected) in [
            ("/a.*", 4, "/a.*"),
            ("/a.*", 5, "/a.*$"),
            ("/a.*", 6, "^/a.*$"),
            ("/a.*", 8, "(?:/a.*)"),
            ("/a.*", 9, "(?:/a.*)$"),
            ("^a$", 4, "(?:^a$)"),
        ] {
            assert_eq!(longer(text, least), expected, "{text} {least}");
        }
    }
}
