//! Where the parts of an object stand in its text.

use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, StructureStyle};

use super::Obstacle;

/// A value, and the bytes that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// From its first character to its last; empty where nothing is written.
    pub(super) range: Range<usize>,
    pub(super) content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Scalar(ScalarStyle),
    Map { flow: bool, entries: Vec<Entry> },
    List { flow: bool, items: Vec<Node> },
}

/// A key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_range: Range<usize>,
    pub(super) value: Node,
}

impl Entry {
    /// The byte after its last character.
    pub(super) fn end(&self) -> usize {
        self.value.range.end.max(self.key_range.end)
    }
}

impl Node {
    /// Whether it is a mapping or a list whose parts stand on lines of their own.
    pub(super) fn is_block(&self) -> bool {
        match &self.content {
            Content::Scalar(style) => is_block_text(*style),
            Content::Map { flow, .. } | Content::List { flow, .. } => !flow,
        }
    }
}

fn is_block_text(style: ScalarStyle) -> bool {
    matches!(style, ScalarStyle::Literal | ScalarStyle::Folded)
}

/// What is open while the text is read.
struct Open {
    start: usize,
    flow: bool,
    is_map: bool,
    key: Option<(String, Range<usize>)>,
    entries: Vec<Entry>,
    items: Vec<Node>,
}

/// The tree of the object in these bytes.
pub(super) fn read(text: &str, range: &Range<usize>) -> Result<Node, Obstacle> {
    let base = range.start;
    let object = &text[range.clone()];
    let mut options = Options::default();
    options.set_emit_comments(false);
    let mut open: Vec<Open> = Vec::new();
    // Where the last thing that is written ended: a block ends where its last part does.
    let mut last = base;
    for event in Parser::new_from_str_with_options(object, options) {
        let (event, span) = event.map_err(|_| Obstacle::Unclear)?;
        let Range { start, end } = span.byte_range().ok_or(Obstacle::Unclear)?;
        let (start, end) = (base + start, base + end);
        let node = match event {
            Event::Scalar(value, style, anchor, tag) => {
                if anchor != 0 || tag.is_some() {
                    return Err(Obstacle::Anchors);
                }
                let written = start..trimmed(text, start, end);
                let written = if is_block_text(style) {
                    header(text, written.start)..written.end
                } else {
                    written
                };
                last = last.max(written.end);
                if let Some(parent) = open.last_mut()
                    && parent.is_map
                    && parent.key.is_none()
                {
                    parent.key = Some((value.into_owned(), written));
                    continue;
                }
                Node {
                    range: written,
                    content: Content::Scalar(style),
                }
            }
            Event::MappingStart(style, anchor, tag) => {
                opened(&mut open, start, style, anchor != 0 || tag.is_some(), true)?;
                continue;
            }
            Event::SequenceStart(style, anchor, tag) => {
                opened(&mut open, start, style, anchor != 0 || tag.is_some(), false)?;
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let Some(closed) = open.pop() else {
                    return Err(Obstacle::Unclear);
                };
                if closed.flow {
                    last = last.max(end);
                }
                closed_node(closed, last)
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => return Err(Obstacle::Anchors),
            _ => continue,
        };
        match open.last_mut() {
            None => return Ok(node),
            Some(parent) if parent.is_map => {
                let (key, key_range) = parent.key.take().ok_or(Obstacle::Unclear)?;
                parent.entries.push(Entry {
                    key,
                    key_range,
                    value: node,
                });
            }
            Some(parent) => parent.items.push(node),
        }
    }
    Err(Obstacle::Unclear)
}

fn opened(
    open: &mut Vec<Open>,
    start: usize,
    style: StructureStyle,
    decorated: bool,
    is_map: bool,
) -> Result<(), Obstacle> {
    if decorated {
        return Err(Obstacle::Anchors);
    }
    if open
        .last()
        .is_some_and(|parent| parent.is_map && parent.key.is_none())
    {
        return Err(Obstacle::Unclear);
    }
    open.push(Open {
        start,
        flow: style != StructureStyle::Block,
        is_map,
        key: None,
        entries: Vec::new(),
        items: Vec::new(),
    });
    Ok(())
}

fn closed_node(closed: Open, last: usize) -> Node {
    let range = closed.start..last.max(closed.start);
    let content = if closed.is_map {
        Content::Map {
            flow: closed.flow,
            entries: closed.entries,
        }
    } else {
        Content::List {
            flow: closed.flow,
            items: closed.items,
        }
    };
    Node { range, content }
}

/// The end of a scalar without what follows it on its lines.
fn trimmed(text: &str, start: usize, end: usize) -> usize {
    let end = end.max(start).min(text.len());
    start + text[start..end].trim_ascii_end().len()
}

/// Where the `|` or `>` stands of a block of text whose content begins at `content`.
fn header(text: &str, content: usize) -> usize {
    if text[content..].starts_with(['|', '>']) {
        return content;
    }
    let before = text[..content].trim_end();
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    before[line..]
        .rfind(['|', '>'])
        .map_or(content, |at| line + at)
}
