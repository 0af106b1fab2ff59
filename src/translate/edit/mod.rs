//! Objects changed in the text of their file: only the lines that must change.
//!
//! A file is edited where its own parser says that things stand, and nothing is written that was not
//! read back: the edited text is parsed as every manifest is, and what comes out must be what was
//! meant, for every object of the file. Where that fails, and where a text is more than it seems
//! (templates, anchors), the object's text is left as it is and the [`Obstacle`] says why.
//!
//! The editors of YAML on crates.io stand on parsers of their own, whose idea of a scalar is not
//! kubectl's; this one needs only what `inventory::text` reads with.

pub mod files;
mod flow;
mod kustomize;
mod lines;
mod plan;
mod scalar;
#[cfg(test)]
mod tests;
mod tree;

use std::fmt;
use std::ops::Range;

use serde_json::Value;

pub use kustomize::patched_by_kustomize;

use crate::inventory::text::{self, Split};

/// What is to become of an object in a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Want {
    /// The object at these bytes becomes this.
    Update(Range<usize>, Value),
    /// The object at these bytes goes.
    Remove(Range<usize>),
    /// An object is added at the end, as a YAML document.
    Append(Value, String),
}

/// Why a text is left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// The object is a template's output.
    Template,
    /// The object uses anchors, aliases or tags.
    Anchors,
    /// The object is an item of a list.
    ListItem,
    /// A comment stands where something has to go.
    Comment,
    /// An object cannot be added to a JSON file.
    Json,
    /// The edited text would not say what was meant.
    NotTheSame,
    /// The place of a field was not found.
    Unclear,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Template => "its text holds template syntax (`{{`)",
            Self::Anchors => "its text holds anchors, aliases or tags",
            Self::ListItem => "it is an item of a `kind: List`",
            Self::Comment => "a comment stands between fields that have to go",
            Self::Json => "nothing can be added to a JSON file",
            Self::NotTheSame => "the edited text would not say what is meant",
            Self::Unclear => "its text is written in a way that is not edited",
        })
    }
}

/// A file after its edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// Its text; `None` when nothing of it was changed.
    pub text: Option<String>,
    /// Whether no object is left in it.
    pub is_empty: bool,
    /// What was not done, by its position among what was wanted.
    pub left: Vec<(usize, Obstacle)>,
}

/// A change of some bytes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Splice {
    range: Range<usize>,
    text: String,
}

/// Edits a file's text.
pub fn edit(text: &str, wants: &[Want]) -> Edited {
    let split = text::split(text);
    let mut left = Vec::new();
    let mut planned = Vec::new();
    for (position, want) in wants.iter().enumerate() {
        match splices(text, &split, want) {
            Ok(splices) => planned.push((position, want, splices)),
            Err(obstacle) => left.push((position, obstacle)),
        }
    }
    if !says(text, &split, &planned) {
        // One may spoil the others: each is tried alone, then all that are left together.
        let (good, bad): (Vec<_>, Vec<_>) = planned
            .into_iter()
            .partition(|one| says(text, &split, std::slice::from_ref(one)));
        planned = good;
        left.extend(bad.iter().map(|(at, ..)| (*at, Obstacle::NotTheSame)));
        if !says(text, &split, &planned) {
            left.extend(planned.iter().map(|(at, ..)| (*at, Obstacle::NotTheSame)));
            planned.clear();
        }
    }
    left.sort_by_key(|(position, _)| *position);
    let removed = planned.iter().filter(|p| matches!(p.1, Want::Remove(_)));
    let added = planned.iter().any(|p| matches!(p.1, Want::Append(..)));
    let nothing_else = split.problems.is_empty() && split.others.is_empty();
    Edited {
        is_empty: removed.count() == split.objects.len() && !added && nothing_else,
        text: (!planned.is_empty()).then(|| applied(text, &planned)),
        left,
    }
}

type Planned<'w> = (usize, &'w Want, Vec<Splice>);

fn splices(text: &str, split: &Split<'_>, want: &Want) -> Result<Vec<Splice>, Obstacle> {
    match want {
        Want::Update(range, after) => {
            let object = object(text, split, range)?;
            plan::update(text, range.clone(), &object, after)
        }
        Want::Remove(range) => {
            object(text, split, range)?;
            Ok(vec![lines::without_document(text, range.clone())])
        }
        Want::Append(_, document) => {
            let is_json =
                |object: &text::RawObject<'_>| text[object.range.clone()].starts_with('{');
            if split.objects.iter().any(is_json) {
                return Err(Obstacle::Json);
            }
            Ok(vec![lines::with_document(text, document)])
        }
    }
}

/// An object that can be edited, as JSON.
fn object(text: &str, split: &Split<'_>, range: &Range<usize>) -> Result<Value, Obstacle> {
    let mut objects = split.objects.iter();
    let found = objects.find(|object| object.range == *range);
    let found = found.ok_or(Obstacle::Unclear)?;
    if text[range.clone()].contains("{{") {
        return Err(Obstacle::Template);
    }
    if !lines::is_a_document(text, range) {
        return Err(Obstacle::ListItem);
    }
    serde_json::from_str(&found.json).map_err(|_| Obstacle::Unclear)
}

fn applied(text: &str, planned: &[Planned<'_>]) -> String {
    let splices = planned.iter().flat_map(|(_, _, splices)| splices);
    let mut splices: Vec<&Splice> = splices.collect();
    // Of two at one place the one that was planned first comes first.
    splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for splice in splices {
        let start = splice.range.start.max(at);
        out.push_str(&text[at..start]);
        out.push_str(&splice.text);
        at = splice.range.end.max(start);
    }
    out.push_str(&text[at..]);
    out
}

/// Whether a text says what is meant once these changes are made.
fn says(text: &str, split: &Split<'_>, planned: &[Planned<'_>]) -> bool {
    let edited = applied(text, planned);
    let read = text::split(&edited);
    if read.problems.len() != split.problems.len() || read.others.len() != split.others.len() {
        return false;
    }
    let mut meant: Vec<Option<Value>> = Vec::new();
    for object in &split.objects {
        let wanted = planned.iter().find_map(|(_, want, _)| match want {
            Want::Update(range, after) if *range == object.range => Some(Some(after.clone())),
            Want::Remove(range) if *range == object.range => Some(None),
            _ => None,
        });
        match wanted {
            Some(None) => {}
            Some(after) => meant.push(after),
            None => meant.push(serde_json::from_str(&object.json).ok()),
        }
    }
    meant.extend(planned.iter().filter_map(|(_, want, _)| match want {
        Want::Append(value, _) => Some(Some(value.clone())),
        _ => None,
    }));
    let found = read.objects.iter();
    let found: Vec<Option<Value>> = found.map(|o| serde_json::from_str(&o.json).ok()).collect();
    found == meant
}
