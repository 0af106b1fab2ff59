//! The table of one proxy for one port of one host.

use std::fmt;

use super::action::{Action, Answer, Destination, Fault, Forward, Way};
use super::effects::Effects;
use super::request::Request;
use super::retry::Retry;
use super::rewrite::PathRewrite;
use crate::kinds::{FieldPath, ObjectRef};
use crate::semantics::language::{Domain, Pattern, Predicate};

/// What a proxy does with requests to one port of one host: the first entry that matches acts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Its entries in order.
    pub entries: Vec<Entry>,
    /// The values of `Host` with which a client reaches this table; any when empty.
    pub authorities: Vec<String>,
}

/// An entry: all its conditions must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// When it acts.
    pub conditions: Vec<Condition>,
    /// What it does.
    pub action: Action,
    /// What it was made of; `None` for what a proxy does without being told.
    pub origin: Option<Origin>,
}

/// What an entry was made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The object.
    pub object: ObjectRef,
    /// The rule or match in it.
    pub field: FieldPath,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.object, self.field)
    }
}

/// A property of requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The path without its query.
    Path,
    /// The method.
    Method,
    /// The host that the client asks for.
    Authority,
    /// The scheme.
    Scheme,
    /// A header, by its name in lower case.
    Header(String),
    /// A query parameter.
    Query(String),
    /// A claim of a verified token, by its path.
    Claim(String),
    /// The path with its query, which only a header match on `:path` sees.
    Target,
}

impl Dimension {
    /// What its values can be.
    pub(crate) fn domain(&self) -> Domain {
        match self {
            Self::Path | Self::Target => Domain::Path,
            Self::Method => Domain::Method,
            Self::Authority => Domain::Authority,
            Self::Scheme | Self::Header(_) | Self::Claim(_) => Domain::HeaderValue,
            Self::Query(_) => Domain::QueryValue,
        }
    }

    /// Whether a request may be without it.
    pub(crate) fn is_optional(&self) -> bool {
        matches!(self, Self::Header(_) | Self::Query(_) | Self::Claim(_))
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path => f.write_str("path"),
            Self::Method => f.write_str("method"),
            Self::Authority => f.write_str("host"),
            Self::Scheme => f.write_str("scheme"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Query(name) => write!(f, "query parameter {name}"),
            Self::Claim(name) => write!(f, "claim {name}"),
            Self::Target => f.write_str("path with query"),
        }
    }
}

/// A condition on one property.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Condition {
    /// The property.
    pub dimension: Dimension,
    /// What its value must be; with [`Pattern::any`] it must only be there.
    pub pattern: Pattern,
    /// Whether the opposite is demanded.
    pub negated: bool,
    /// Whether what is absent counts as empty, and not as no match.
    pub absent_is_empty: bool,
}

impl Condition {
    /// A condition that a property has such a value.
    pub fn new(dimension: Dimension, pattern: Pattern) -> Self {
        Self {
            dimension,
            pattern,
            negated: false,
            absent_is_empty: false,
        }
    }

    /// Whether it holds for a request; `None` when an expression cannot be decided.
    pub fn holds(&self, request: &Request) -> Option<bool> {
        let matches = match request.value(&self.dimension) {
            Some(value) => Predicate::new(self.pattern.clone()).contains(&value)?,
            None if self.absent_is_empty => Predicate::new(self.pattern.clone()).contains("")?,
            None => false,
        };
        Some(matches != self.negated)
    }
}

impl Table {
    /// The entry that acts on a request: `Ok(None)` when none matches, an error with the condition
    /// that cannot be decided.
    ///
    /// # Errors
    /// When an expression that has to be asked cannot be decided.
    pub fn entry(&self, request: &Request) -> Result<Option<&Entry>, &Condition> {
        'entries: for entry in &self.entries {
            for condition in &entry.conditions {
                match condition.holds(request) {
                    Some(true) => {}
                    Some(false) => continue 'entries,
                    None => return Err(condition),
                }
            }
            return Ok(Some(entry));
        }
        Ok(None)
    }

    /// A table that sends everything to one destination.
    pub(super) fn to(destination: Destination, retry: Option<Retry>) -> Self {
        let way = Way {
            destination,
            weight: 1,
            host: None,
            request: Effects::default(),
            response: Effects::default(),
        };
        let answer = Answer::Forward(Forward {
            ways: vec![way],
            path: PathRewrite::Keep,
            timeout: None,
            retry,
            mirrors: Vec::new(),
            missing: 503,
        });
        Self {
            entries: vec![Entry {
                conditions: Vec::new(),
                action: Action {
                    answer,
                    fault: Fault::default(),
                    cors: None,
                },
                origin: None,
            }],
            authorities: Vec::new(),
        }
    }
}
