//! YAML and JSON text into single objects, and a field back to its line and column.
//!
//! Nothing is kept that the caller does not keep: [`each`] hands out one object after the other,
//! JSON borrowed from the text, YAML written as JSON.

mod documents;
mod head;
mod json;
mod keys;
mod locate;
mod position;
mod problem;
mod scalar;
#[cfg(test)]
mod tests;
mod written;
mod yaml;

use std::borrow::Cow;
use std::ops::Range;

pub use locate::{locate, locate_in};
pub use position::Lines;

use position::Position;

/// One object of a text, still undecoded.
#[derive(Debug, Clone)]
pub struct RawObject<'t> {
    /// `apiVersion`.
    pub api_version: Cow<'t, str>,
    /// `kind`.
    pub kind: Cow<'t, str>,
    /// The object as JSON; borrowed where the text is JSON.
    pub json: Cow<'t, str>,
    /// The bytes of the text that hold it.
    pub range: Range<usize>,
}

/// Something in a text that is no object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, a lower-case sentence without a stop.
    pub message: String,
}

/// What a text holds.
#[derive(Debug, Default)]
pub struct Split<'t> {
    /// The objects in order; the items of a `kind: List` are objects of their own.
    pub objects: Vec<RawObject<'t>>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// Documents that can be read and are no Kubernetes objects (the values of a chart, the
    /// configuration of another tool), and what they are.
    pub others: Vec<Problem>,
}

/// One thing that stands in a text.
#[derive(Debug)]
pub enum Found<'t> {
    /// An object.
    Object(RawObject<'t>),
    /// Something that could not be read.
    Problem(Problem),
    /// Something that is no Kubernetes object and does not mean to be one.
    Other(Problem),
}

/// Splits a text (JSON, or YAML of any number of documents) into objects.
///
/// ```
/// use kubectl_ambient::inventory::text::split;
/// let found = split("kind: Service\napiVersion: v1\n---\nkind: [\n");
/// assert_eq!(found.objects[0].json, r#"{"kind":"Service","apiVersion":"v1"}"#);
/// assert_eq!(found.problems[0].line, 4);
/// ```
pub fn split(text: &str) -> Split<'_> {
    let mut split = Split::default();
    each(text, &mut |found| match found {
        Found::Object(object) => split.objects.push(object),
        Found::Problem(problem) => split.problems.push(problem),
        Found::Other(other) => split.others.push(other),
    });
    split
}

/// Hands out what a text holds, in order. Only one object is in memory at a time.
pub fn each<'t>(text: &'t str, take: &mut dyn FnMut(Found<'t>)) {
    let mut sink = Sink {
        text,
        position: Position::default(),
        expansion: ALIASES_AT_LEAST + 2 * text.len(),
        template: false,
        take,
    };
    let start = text.len() - text.trim_start_matches('\u{feff}').len();
    documents::read(start, &mut sink);
}

/// How many bytes aliases, anchors and merges may add to a text, whatever its length. An alias
/// bomb ends here; no manifest that people write comes near.
const ALIASES_AT_LEAST: usize = 16 << 20;

/// Where found things go, and what is counted over a whole text.
struct Sink<'t, 's> {
    text: &'t str,
    position: Position,
    /// Bytes that aliases may still add.
    expansion: usize,
    /// Whether the text was called a template.
    template: bool,
    take: &'s mut dyn FnMut(Found<'t>),
}

impl<'t> Sink<'t, '_> {
    fn object(&mut self, object: RawObject<'t>) {
        (self.take)(Found::Object(object));
    }

    fn problem(&mut self, offset: usize, message: impl Into<String>) {
        let problem = self.at(offset, message.into());
        (self.take)(Found::Problem(problem));
    }

    fn other(&mut self, offset: usize, message: impl Into<String>) {
        let other = self.at(offset, message.into());
        (self.take)(Found::Other(other));
    }

    fn at(&mut self, offset: usize, message: String) -> Problem {
        let (line, column) = self.position.of(self.text, offset);
        Problem {
            line,
            column,
            message,
        }
    }
}

/// Something wrong at a byte of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure {
    offset: usize,
    message: String,
}
