//! Languages of texts: what the matches of routes accept, and which values tell them apart.
//!
//! A match on a path, a header, a query parameter is a [`Predicate`] on the values of a
//! [`Domain`]. [`cells`] splits the domain by a list of predicates: for each combination of their
//! answers that some value has, one value that has it. Literal texts go through a trie; only
//! expressions are compiled to automata, within a bound. What cannot be compiled is
//! [`Undecided`]: its answer is not known, which is not the same as no.

mod automaton;
mod cells;
mod domain;
mod pattern;
mod product;
mod re2;
mod replace;
mod trie;

pub use cells::{Bounds, Cell, Cells, Relevance, Truth, cells, cells_that_matter};
pub use domain::Domain;
pub use pattern::{Pattern, Shape};
pub use replace::Replacement;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use automaton::Automaton;
use rustc_hash::FxHashMap;

/// Why an expression has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Undecided {
    /// It is not an expression of RE2, or one that only RE2 reads.
    Unreadable,
    /// Its automaton has too many states.
    TooLarge,
}

impl fmt::Display for Undecided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "it cannot be read",
            Self::TooLarge => "it is too large",
        })
    }
}

/// A pattern that is ready to be asked.
#[derive(Debug, Clone)]
pub struct Predicate {
    pattern: Pattern,
    compiled: Compiled,
}

#[derive(Debug, Clone)]
enum Compiled {
    /// The text of the pattern says it all.
    Literal,
    Automaton(Arc<Automaton>),
    Undecided(Undecided),
}

/// Expressions that are kept compiled. Meshes have few, and ask about them again and again.
const KEPT: usize = 1_000;

/// An expression, compiled when it is first met.
fn compiled(pattern: &Pattern) -> Compiled {
    thread_local! {
        static KNOWN: RefCell<FxHashMap<Pattern, Compiled>> = RefCell::default();
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(compiled) = known.get(pattern) {
            return compiled.clone();
        }
        if known.len() == KEPT {
            known.clear();
        }
        let compiled = match pattern.automaton() {
            Ok(automaton) => Compiled::Automaton(Arc::new(automaton)),
            Err(why) => Compiled::Undecided(why),
        };
        known.insert(pattern.clone(), compiled.clone());
        compiled
    })
}

impl Predicate {
    /// Compiles a pattern.
    pub fn new(pattern: Pattern) -> Self {
        let compiled = match pattern.shape() {
            Shape::Regex(_) => compiled(&pattern),
            _ => Compiled::Literal,
        };
        Self { pattern, compiled }
    }

    /// What it was made of.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// Whether a value is in it; `None` when that is undecided.
    pub fn contains(&self, value: &str) -> Option<bool> {
        match &self.compiled {
            Compiled::Literal => self.pattern.contains_literally(value),
            Compiled::Automaton(automaton) => Some(automaton.contains(value.as_bytes())),
            Compiled::Undecided(_) => None,
        }
    }

    /// Why it has no answers, when it has none.
    pub fn undecided(&self) -> Option<Undecided> {
        match self.compiled {
            Compiled::Undecided(why) => Some(why),
            _ => None,
        }
    }

    /// Whether its text says it all, so that many of them make few cells.
    pub fn is_plain(&self) -> bool {
        matches!(self.compiled, Compiled::Literal) && !self.pattern.ignores_case()
    }
}

#[cfg(test)]
mod tests;
