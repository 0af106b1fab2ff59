//! Words for what is wrong with a text.

use std::ops::Range;

use granit_parser::{ErrorKind, ScanError};

use super::{Failure, Sink};

const TEMPLATE: &str = "looks like a Helm template; render it first: \
                        `helm template CHART | kubectl ambient check -f -`";

/// Reports why a document could not be read. A template says so instead of where it is not YAML,
/// and says it once; what follows in the same text is not worth a word of its own.
pub(super) fn report(range: &Range<usize>, failure: Failure, sink: &mut Sink<'_, '_>) {
    match template(&sink.text[range.clone()]) {
        Some(_) if sink.template => {}
        Some(offset) => {
            sink.template = true;
            sink.problem(range.start + offset, TEMPLATE);
        }
        None => sink.problem(failure.offset, failure.message),
    }
}

/// Where a text has a template's action outside of quotes, as far as a line tells.
fn template(text: &str) -> Option<usize> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let content = line.trim_start();
        if let Some(at) = line.find("{{") {
            let before = content[..at - (line.len() - content.len())].trim_end();
            let comment = before.starts_with('#');
            let value = before.is_empty() || before.ends_with(':') || before.ends_with('-');
            if value && !comment {
                return Some(start + at);
            }
        }
        start += line.len();
    }
    None
}

/// What the YAML parser complains about, and where in the text it read.
pub(super) fn yaml_failure(text: &str, error: &ScanError) -> Failure {
    let offset = error.marker().byte_offset().unwrap_or_default();
    let kind = error.kind();
    // A tab that would indent a line is noticed at the end of the value before it.
    let offset = if *kind == ErrorKind::TabInPlainScalar {
        tab(text, offset).unwrap_or(offset)
    } else {
        offset
    };
    Failure {
        offset,
        message: yaml_message(kind),
    }
}

/// The first tab in the indentation of a line after `from`.
fn tab(text: &str, from: usize) -> Option<usize> {
    let mut start = from;
    for line in text.get(from..)?.split_inclusive('\n') {
        let indentation = &line[..line.len() - line.trim_start_matches([' ', '\t']).len()];
        if start > from
            && let Some(at) = indentation.find('\t')
        {
            return Some(start + at);
        }
        start += line.len();
    }
    None
}

fn yaml_message(kind: &ErrorKind) -> String {
    let what = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => "a tab is used as indentation".to_owned(),
        ErrorKind::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
        ErrorKind::UnknownAnchor => "an alias has no anchor before it".to_owned(),
        ErrorKind::UnclosedQuotedScalar => "a quote is not closed".to_owned(),
        ErrorKind::UnclosedFlowCollection { open } => format!("`{open}` is not closed"),
        ErrorKind::UnexpectedEofFlowSequence => "`[` is not closed".to_owned(),
        ErrorKind::UnexpectedEofFlowMapping | ErrorKind::UnexpectedEofImplicitFlowMapping => {
            "`{` is not closed".to_owned()
        }
        ErrorKind::MappingValueNotAllowed => "a `:` is not expected here".to_owned(),
        ErrorKind::SimpleKeyExpected => "a key is expected, and then a `:`".to_owned(),
        ErrorKind::ExpectedBlockMappingKey => "a key is expected".to_owned(),
        other => {
            let text = other.to_string();
            let short = match text.split_once(", ") {
                Some((context, what)) if context.starts_with("while ") => what,
                _ => &text,
            };
            short.to_owned()
        }
    };
    format!("invalid YAML: {what}")
}
