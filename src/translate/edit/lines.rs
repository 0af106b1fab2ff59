//! Lines of a text, and the documents that they make.

use std::ops::Range;

use super::Splice;

/// The first byte of the line in which a byte stands.
pub(super) fn start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |end| end + 1)
}

/// The byte after the last of the line in which a byte stands, without its line end.
pub(super) fn end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    if end > at && text[..end].ends_with('\r') {
        end - 1
    } else {
        end
    }
}

/// The first byte of the next line.
pub(super) fn next(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end + 1)
}

/// How many bytes of its line stand before a byte.
pub(super) fn column(text: &str, at: usize) -> usize {
    at - start(text, at)
}

/// Whether nothing but spaces stands before a byte in its line.
pub(super) fn is_first(text: &str, at: usize) -> bool {
    text[start(text, at)..at].trim_ascii().is_empty()
}

/// How a text ends its lines.
pub(super) fn newline(text: &str) -> &'static str {
    if text.contains("\r\n") { "\r\n" } else { "\n" }
}

/// Whether a line begins a document, or ends one.
fn is_marker(line: &str) -> bool {
    let marked = line
        .strip_prefix("---")
        .or_else(|| line.strip_prefix("..."));
    marked.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r']))
}

/// The lines of the document in which these bytes stand: from its `---`, or the line after the
/// marker that ends the one before, to the line of the marker that follows.
fn document(text: &str, range: &Range<usize>) -> Range<usize> {
    let mut from = start(text, range.start);
    loop {
        let line = &text[from..end(text, from)];
        if line.starts_with("---") && is_marker(line) {
            break;
        }
        if from == 0 {
            break;
        }
        let before = start(text, from - 1);
        if text[before..].starts_with("...") && is_marker(&text[before..end(text, before)]) {
            break;
        }
        from = before;
    }
    let mut to = next(text, range.end.max(from + 1).min(text.len()));
    // The object's own last line may end right before a marker.
    while to < text.len() && !is_marker(&text[to..end(text, to)]) {
        to = next(text, to);
    }
    from..to
}

/// Whether an object is all of its document.
pub(super) fn is_a_document(text: &str, range: &Range<usize>) -> bool {
    let document = document(text, range);
    let before = &text[document.start..range.start];
    let after = &text[range.end.min(document.end)..document.end];
    let blank = |line: &str| {
        let line = line.trim_start_matches('\u{feff}').trim();
        line.is_empty() || line.starts_with(['#', '%'])
    };
    let marker = |line: &str| {
        let rest = line.trim_start_matches('\u{feff}');
        rest.strip_prefix("---").is_some_and(blank)
    };
    before.lines().all(|line| blank(line) || marker(line)) && after.lines().all(blank)
}

/// Cuts an object out, with its document's marker. What stands above the first document of a file,
/// apart from it by an empty line, stays.
pub(super) fn without_document(text: &str, range: Range<usize>) -> Splice {
    let mut document = document(text, &range);
    let first = text[..document.start].trim_ascii().is_empty();
    let marked = text[document.start..].starts_with("---");
    if first && !marked {
        document.start = own_comments(text, document.start, range.start);
    }
    let last = text[document.end..].trim_ascii().is_empty();
    // The marker that follows would begin the file.
    if first
        && !marked
        && text[..document.start].trim_ascii().is_empty()
        && is_plain_marker(&text[document.end..end(text, document.end)])
    {
        document.end = next(text, document.end);
    } else if last && !first {
        document.end = text.len();
    }
    Splice {
        range: document,
        text: String::new(),
    }
}

fn is_plain_marker(line: &str) -> bool {
    line.strip_prefix("---")
        .is_some_and(|rest| rest.trim().is_empty())
}

/// Where the comments begin that stand right above an object.
fn own_comments(text: &str, from: usize, object: usize) -> usize {
    let mut at = start(text, object);
    while at > from {
        let before = start(text, at - 1);
        let line = text[before..at].trim();
        if !line.starts_with('#') {
            break;
        }
        at = before;
    }
    at
}

/// Adds a document at the end.
pub(super) fn with_document(text: &str, document: &str) -> Splice {
    let nl = newline(text);
    let mut added = String::new();
    if !text.is_empty() && !text.ends_with('\n') {
        added.push_str(nl);
    }
    if !text.trim().is_empty() {
        added.push_str("---");
        added.push_str(nl);
    }
    for line in document.lines() {
        added.push_str(line);
        added.push_str(nl);
    }
    Splice {
        range: text.len()..text.len(),
        text: added,
    }
}
