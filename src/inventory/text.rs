//! YAML and JSON text into single objects, and a field back to its line and column.

use std::borrow::Cow;
use std::ops::Range;

use crate::kinds::FieldPath;

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
}

/// Splits a text (JSON, or YAML of any number of documents) into objects.
pub fn split(text: &str) -> Split<'_> {
    let mut split = Split::default();
    let mut start = 0;
    for document in text.split("\n---") {
        let range = start..start + document.len();
        start = range.end + 4;
        let Ok(value) = serde_saphyr::from_str::<serde_json::Value>(document) else {
            continue;
        };
        let text = |field: &str| Cow::Owned(value[field].as_str().unwrap_or_default().to_owned());
        split.objects.push(RawObject {
            api_version: text("apiVersion"),
            kind: text("kind"),
            json: Cow::Owned(value.to_string()),
            range,
        });
    }
    split
}

/// Line and column, from 1, of a field of the object in `range`.
pub fn locate(text: &str, range: Range<usize>, _path: &FieldPath) -> (usize, usize) {
    let before = &text[..range.start];
    (before.matches('\n').count() + 1, 1)
}
