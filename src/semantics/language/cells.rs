//! The cells into which predicates split a domain.

use rustc_hash::FxHashSet;

use super::domain::Domain;
use super::{Predicate, product, trie};

/// The answers of a list of predicates about one value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Truth(Box<[u64]>);

impl Truth {
    /// Every answer is no.
    pub fn none(predicates: usize) -> Self {
        Self(vec![0; predicates.div_ceil(64)].into())
    }

    /// The answers, in the order of the predicates.
    pub fn of(answers: impl ExactSizeIterator<Item = bool>) -> Self {
        let mut truth = Self::none(answers.len());
        for (position, answer) in answers.enumerate() {
            if answer {
                truth.set(position);
            }
        }
        truth
    }

    /// The answer of a predicate.
    pub fn get(&self, predicate: usize) -> bool {
        self.0[predicate / 64] >> (predicate % 64) & 1 == 1
    }

    /// Adds an answer that is yes.
    pub fn insert(&mut self, predicate: usize) {
        self.set(predicate);
    }

    /// Makes it the same as another of as many predicates.
    pub(super) fn copy_from(&mut self, other: &Self) {
        self.0.copy_from_slice(&other.0);
    }

    /// Whether no answer is yes.
    pub(super) fn is_none(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn set_all(&mut self, predicates: &[usize]) {
        for predicate in predicates {
            self.set(*predicate);
        }
    }

    fn set(&mut self, predicate: usize) {
        self.0[predicate / 64] |= 1 << (predicate % 64);
    }
}

/// The values about which all predicates say the same, and one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// What the predicates say.
    pub truth: Truth,
    /// A value of which they say it: a short one that reads well.
    pub witness: String,
}

/// The cells of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// Those that hold a value.
    pub found: Vec<Cell>,
    /// Whether these are all; otherwise a bound was reached.
    pub complete: bool,
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Cells of one domain.
    pub cells: usize,
    /// States of the product of automata.
    pub states: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            cells: 4_096,
            states: 50_000,
        }
    }
}

/// Says which predicates still matter, once some are known to hold however a value goes on. More of
/// those never make more matter.
pub type Relevance<'r> = dyn Fn(&Truth) -> Truth + 'r;

/// Splits a domain by predicates, none of which may be undecided.
pub fn cells(domain: Domain, predicates: &[&Predicate], bounds: Bounds) -> Cells {
    split(domain, predicates, bounds, None)
}

/// Splits a domain by predicates as far as they matter. What does not matter for a cell may be said
/// to be no there. Without it, expressions such as `.*a.*` would make a cell for each set of them.
pub fn cells_that_matter(
    domain: Domain,
    predicates: &[&Predicate],
    bounds: Bounds,
    relevance: &Relevance<'_>,
) -> Cells {
    split(domain, predicates, bounds, Some(relevance))
}

fn split(
    domain: Domain,
    predicates: &[&Predicate],
    bounds: Bounds,
    relevance: Option<&Relevance<'_>>,
) -> Cells {
    let mut into = Collector::new(bounds.cells);
    for seed in domain.seeds() {
        let answers = predicates
            .iter()
            .map(|predicate| predicate.contains(seed).unwrap_or(false));
        into.add(&Truth::of(answers), || (*seed).to_owned());
    }
    let complete = if predicates.iter().all(|predicate| predicate.is_plain()) {
        trie::split(domain.grammar(), predicates, &mut into);
        true
    } else {
        product::split(
            domain.grammar(),
            predicates,
            bounds.states,
            relevance,
            &mut into,
        )
    };
    Cells {
        complete: complete && !into.full,
        found: into.found,
    }
}

/// The cells found so far, each once, with its first value.
pub(super) struct Collector {
    known: FxHashSet<Truth>,
    found: Vec<Cell>,
    most: usize,
    full: bool,
}

impl Collector {
    fn new(most: usize) -> Self {
        Self {
            known: FxHashSet::default(),
            found: Vec::new(),
            most,
            full: false,
        }
    }

    /// Keeps a cell if it is new; the value is made only then.
    pub(super) fn add(&mut self, truth: &Truth, witness: impl FnOnce() -> String) {
        if self.known.contains(truth) {
            return;
        }
        if self.found.len() >= self.most {
            self.full = true;
            return;
        }
        self.found.push(Cell {
            truth: truth.clone(),
            witness: witness(),
        });
        self.known.insert(truth.clone());
    }
}
