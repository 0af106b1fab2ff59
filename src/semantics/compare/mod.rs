//! Whether two tables do the same with every request, and with which they do not.
//!
//! The requests are explored as a decision tree, one property at a time: the values of a property
//! are split into cells by the conditions that may still matter, and a branch ends where both
//! tables have decided. Each leaf is a class of requests about which both tables say one thing, so
//! that one request for each leaf is enough: the answer is [`How::Complete`]. Where a bound is
//! reached or an expression cannot be decided it is [`How::Sampled`], and says why.

mod explore;
mod lexicon;
mod paths;

use std::fmt;

use crate::semantics::language::Bounds;
use crate::semantics::routing::{Outcome, Request, Resolver, Table};

/// A table, and what its destinations reach.
#[derive(Clone, Copy)]
pub struct Side<'s> {
    /// The table.
    pub table: &'s Table,
    /// What its destinations reach.
    pub resolver: &'s dyn Resolver,
}

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Classes of requests that are compared.
    pub classes: usize,
    /// Differences that are kept.
    pub differences: usize,
    /// Cells and states of the values of one property.
    pub bounds: Bounds,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            classes: 20_000,
            differences: 20,
            bounds: Bounds::default(),
        }
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Classes of requests that were compared.
    pub classes: usize,
    /// Classes that differ.
    pub differing: usize,
    /// A request of each class that differs, up to the limit.
    pub differences: Vec<Difference>,
    /// Whether every request is of one of these classes.
    pub how: How,
}

impl Comparison {
    /// Whether no difference was found.
    pub fn is_same(&self) -> bool {
        self.differing == 0
    }
}

/// A request with which the two tables do not do the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The request.
    pub request: Request,
    /// What the first table does.
    pub before: Outcome,
    /// What the second table does.
    pub after: Outcome,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            request,
            before,
            after,
        } = self;
        write!(f, "{request}: before {before}; after {after}")
    }
}

/// How much a comparison says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// Every request is of a class that was compared.
    Complete,
    /// There may be requests of other classes.
    Sampled {
        /// Why, each reason once.
        why: Vec<String>,
    },
}

/// Compares two tables.
pub fn compare(before: Side<'_>, after: Side<'_>, limits: Limits) -> Comparison {
    explore::Exploration::new([before, after], limits).run()
}

/// A request of each class that two tables tell apart, whether or not they do the same with it.
/// With the same table twice, these are the requests that it tells apart itself.
pub fn witnesses(before: Side<'_>, after: Side<'_>, limits: Limits) -> Vec<Request> {
    explore::Exploration::new([before, after], limits).witnesses()
}

#[cfg(test)]
mod tests;
