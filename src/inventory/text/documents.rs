//! A text's documents: where each begins and ends, and which are JSON.

use std::iter::Peekable;
use std::ops::Range;
use std::str::MatchIndices;

use super::json::{self, End};
use super::{Failure, Sink, problem, yaml};

/// Reads all documents from a byte on.
pub(super) fn read(start: usize, sink: &mut Sink<'_, '_>) {
    let text = sink.text;
    let mut at = start;
    let json = json::may_start(&text[at..]);
    // Most JSON files hold nothing else, and looking for `---` in them would cost a pass.
    if json {
        match json::stream(at..text.len(), sink) {
            End::Done => return,
            End::Rest(rest) => at = rest,
            End::Broken { value, .. } => at = value,
        }
    }
    for range in Documents::new(text, at) {
        let goes_on = range.start == at && !starts_with_marker(&text[at..], "---");
        if json && goes_on {
            json_document(range, sink);
        } else {
            document(range, sink);
        }
    }
}

fn document(range: Range<usize>, sink: &mut Sink<'_, '_>) {
    let text = &sink.text[range.clone()];
    let content = if starts_with_marker(text, "---") {
        &text[3..]
    } else {
        text
    };
    if json::may_start(content) {
        json_document(range.end - content.len()..range.end, sink);
    } else if let Err(failure) = yaml::document(range.clone(), sink) {
        problem::report(&range, failure, sink);
    }
}

/// Reads what begins like JSON. What is not JSON may still be YAML, whose flow style looks alike.
fn json_document(range: Range<usize>, sink: &mut Sink<'_, '_>) {
    let mut at = range.start;
    while at < range.end {
        let (value, error, unfinished, message) = match json::stream(at..range.end, sink) {
            End::Done => return,
            End::Rest(rest) => (rest, rest, false, None),
            End::Broken {
                value,
                error,
                unfinished,
                message,
            } => (value, error, unfinished, Some(message)),
        };
        let next = if unfinished {
            range.end
        } else {
            sink.text[error..range.end]
                .find("\n{")
                .map_or(range.end, |found| error + found + 1)
        };
        if let Err(mut failure) = yaml::document(value..next, sink) {
            if let Some(message) = message {
                failure = Failure {
                    offset: error,
                    message,
                };
            }
            problem::report(&(value..next), failure, sink);
        }
        at = next;
    }
}

/// Whether a line begins with `---` or `...` as a marker of documents.
fn starts_with_marker(text: &str, marker: &str) -> bool {
    text.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// The documents of a YAML text, each with the `---` that begins it.
///
/// YAML lets nothing hide a marker at the start of a line, neither a block of text nor quotes. So
/// documents can be told apart without reading them, and one that is broken does not hurt the next.
struct Documents<'t> {
    text: &'t str,
    at: usize,
    starts: Peekable<MatchIndices<'t, &'static str>>,
    ends: Peekable<MatchIndices<'t, &'static str>>,
}

impl<'t> Documents<'t> {
    fn new(text: &'t str, at: usize) -> Self {
        Self {
            text,
            at,
            starts: text.match_indices("\n---").peekable(),
            ends: text.match_indices("\n...").peekable(),
        }
    }

    /// The text up to the next marker, and where to go on.
    fn piece(&mut self) -> Range<usize> {
        let from = self.at;
        let start = next(&mut self.starts, self.text, from, "---");
        let end = next(&mut self.ends, self.text, from, "...");
        match (start, end) {
            (Some(start), None) => self.at = start,
            (Some(start), Some(end)) if start < end => self.at = start,
            (_, Some(end)) => {
                let line = &self.text[end..];
                self.at = end + line.find('\n').map_or(line.len(), |length| length + 1);
                return from..end;
            }
            (None, None) => self.at = self.text.len(),
        }
        from..self.at
    }
}

/// The first marker on a line after the one where `from` stands.
fn next(
    found: &mut Peekable<MatchIndices<'_, &'static str>>,
    text: &str,
    from: usize,
    marker: &str,
) -> Option<usize> {
    loop {
        let line = found.peek()?.0 + 1;
        if line > from && starts_with_marker(&text[line..], marker) {
            return Some(line);
        }
        found.next();
    }
}

impl Iterator for Documents<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        let from = self.at;
        while self.at < self.text.len() {
            let piece = self.piece();
            // Directives stand before the `---` of the document that they are about.
            let go_on = self.at < self.text.len() && only_directives(&self.text[piece.clone()]);
            if !go_on {
                return Some(from..piece.end);
            }
        }
        None
    }
}

fn only_directives(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| {
        let line = line.trim_start_matches('\u{feff}').trim_start();
        !line.is_empty() && !line.starts_with('#')
    });
    let mut any = false;
    lines.all(|line| {
        any = true;
        line.starts_with('%')
    }) && any
}
