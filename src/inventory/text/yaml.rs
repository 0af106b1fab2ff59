//! YAML written as JSON in one pass over the parser's events, without a tree in between.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, StructureStyle, Tag};

use super::head::{self, Field, Head, List};
use super::keys::Keys;
use super::scalar::{self, Scalar};
use super::written::{push_number, push_string};
use super::{Failure, Sink, json, problem};

/// Reads one document; `range` is where it stands in the text.
pub(super) fn document(range: Range<usize>, sink: &mut Sink<'_, '_>) -> Result<(), Failure> {
    let text = &sink.text[range.clone()];
    let mut writer = Writer::new(text, range.start);
    let mut options = Options::default();
    options.set_emit_comments(false);
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let mut failure = problem::yaml_failure(text, &error);
            failure.offset += range.start;
            failure
        })?;
        writer.event(event, &span, sink)?;
    }
    Ok(())
}

/// A mapping or a list that is open.
struct Frame {
    /// Where its JSON begins.
    start: usize,
    /// Its anchor, or 0.
    anchor: usize,
    content: Content,
}

enum Content {
    List {
        count: usize,
    },
    Map {
        keys: Keys,
        /// Where in the JSON the value of the last key begins; `None` when a key comes next.
        value: Option<usize>,
        /// Whether the last key was `<<`.
        merging: bool,
        /// The JSON of what is merged in.
        merges: Vec<String>,
    },
}

/// What is known of the object at the root of a document.
#[derive(Default)]
struct Root {
    /// Where its text begins.
    start: usize,
    /// Whether it is in block style, and in which column.
    block_column: Option<usize>,
    api_version: Field<'static>,
    kind: Field<'static>,
    /// The items of a list: where each is in the JSON and in the text. Empty while they are handed
    /// out one by one.
    items: Vec<(Range<usize>, Range<usize>)>,
    /// The list whose items are handed out as they end.
    streaming: Option<List>,
    /// Where the text of the item begins that is being read.
    item_start: usize,
}

struct Writer<'t> {
    /// The document.
    text: &'t str,
    /// Where it begins in the whole text.
    base: usize,
    json: String,
    frames: Vec<Frame>,
    anchors: HashMap<usize, String>,
    root: Root,
    /// Where the last scalar, alias or bracket ended.
    last_end: usize,
}

impl<'t> Writer<'t> {
    fn new(text: &'t str, base: usize) -> Self {
        Self {
            text,
            base,
            json: String::new(),
            frames: Vec::new(),
            anchors: HashMap::new(),
            root: Root::default(),
            last_end: 0,
        }
    }

    fn event(
        &mut self,
        event: Event<'_>,
        span: &Span,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), Failure> {
        let Range { start, end } = span.byte_range().unwrap_or(0..0);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.last_end = end;
                if self.expects_key() {
                    return self.key(&text, style, tag.as_deref(), anchor, start, sink);
                }
                let begin = self.before_value(start);
                self.scalar(&text, style, tag.as_deref());
                self.after_value(begin, anchor, start, sink)
            }
            Event::Alias(id) => {
                self.last_end = end;
                if self.expects_key() {
                    return self.fail(start, "an alias is used as a key");
                }
                let begin = self.before_value(start);
                let Some(json) = self.anchors.get(&id) else {
                    return self.fail(start, "an alias stands inside its own anchor");
                };
                spend(sink, json.len()).map_err(|what| self.failure(start, what))?;
                self.json.push_str(json);
                self.after_value(begin, 0, start, sink)
            }
            Event::MappingStart(style, anchor, _) => {
                if self.expects_key() {
                    return self.fail(start, "a mapping is used as a key; put quotes around `{…}`");
                }
                let content = Content::Map {
                    keys: Keys::default(),
                    value: None,
                    merging: false,
                    merges: Vec::new(),
                };
                self.open('{', style, anchor, content, start);
                Ok(())
            }
            Event::SequenceStart(style, anchor, _) => {
                if self.expects_key() {
                    return self.fail(start, "a list is used as a key; put quotes around `[…]`");
                }
                self.open('[', style, anchor, Content::List { count: 0 }, start);
                Ok(())
            }
            Event::MappingEnd | Event::SequenceEnd => {
                // A block ends without a character of its own, before whatever comes next.
                if matches!(self.text.as_bytes().get(start), Some(b'}' | b']')) && end > start {
                    self.last_end = end;
                }
                self.close(start, sink)
            }
            Event::DocumentEnd => {
                self.deliver(sink);
                *self = Self::new(self.text, self.base);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn failure(&self, offset: usize, what: impl Into<String>) -> Failure {
        Failure {
            offset: self.base + offset,
            message: format!("invalid YAML: {}", what.into()),
        }
    }

    fn fail<T>(&self, offset: usize, what: impl Into<String>) -> Result<T, Failure> {
        Err(self.failure(offset, what))
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.frames.last(),
            Some(Frame {
                content: Content::Map { value: None, .. },
                ..
            })
        )
    }

    fn key(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        anchor: usize,
        start: usize,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), Failure> {
        if anchor != 0 {
            let mut json = String::new();
            push_string(&mut json, text);
            self.remember(anchor, json, start, sink)?;
        }
        let Some(key) = scalar::key(text, style, tag) else {
            return self.fail(start, "a key is null; put quotes around it");
        };
        let merge = scalar::is_merge(text, style, tag);
        let Some(Frame {
            content:
                Content::Map {
                    keys,
                    value,
                    merging,
                    ..
                },
            ..
        }) = self.frames.last_mut()
        else {
            return Ok(());
        };
        *merging = merge;
        if !merge {
            if !keys.written.is_empty() {
                self.json.push(',');
            }
            let begin = self.json.len();
            push_string(&mut self.json, &key);
            let (before, written) = self.json.split_at(begin);
            if keys.contains(before, written) {
                return self.fail(start, format!("the key `{key}` is given twice"));
            }
            keys.add(&self.json, begin..self.json.len());
            self.json.push(':');
        }
        *value = Some(self.json.len());
        Ok(())
    }

    /// Where the JSON of a value begins; in a list, after a comma.
    fn before_value(&mut self, start: usize) -> usize {
        match self.frames.len() {
            0 => self.root.start = start,
            2 if self.in_items() => self.root.item_start = start,
            _ => {}
        }
        if let Some(Frame {
            content: Content::List { count },
            ..
        }) = self.frames.last_mut()
        {
            if *count > 0 {
                self.json.push(',');
            }
            *count += 1;
        }
        self.json.len()
    }

    fn open(
        &mut self,
        bracket: char,
        style: StructureStyle,
        anchor: usize,
        content: Content,
        start: usize,
    ) {
        let begin = self.before_value(start);
        let block = style == StructureStyle::Block;
        if self.frames.is_empty() && block {
            let line = self.text[..start].rfind('\n').map_or(0, |end| end + 1);
            self.root.block_column = Some(start - line);
        }
        self.json.push(bracket);
        self.frames.push(Frame {
            start: begin,
            anchor,
            content,
        });
        if self.frames.len() == 2 && self.in_items() {
            self.root.streaming = self.list_ahead(start);
        }
    }

    /// Whether the second open frame is the list of items of the root.
    fn in_items(&self) -> bool {
        let [
            Frame {
                content: Content::Map { keys, .. },
                ..
            },
            Frame {
                content: Content::List { .. },
                ..
            },
            ..,
        ] = self.frames.as_slice()
        else {
            return false;
        };
        keys.written
            .last()
            .is_some_and(|key| &self.json[key.clone()] == "\"items\"")
    }

    /// The list whose items begin here, if it can be told that it is one. Its `kind` may stand
    /// after its items (kubectl sorts the fields), then it is looked for ahead: a large list is not
    /// to be kept in memory for it.
    fn list_ahead(&self, start: usize) -> Option<List> {
        let mut head = Head {
            api_version: self.root.api_version.clone(),
            kind: self.root.kind.clone(),
            ..Head::default()
        };
        if head.kind == Field::Missing {
            let needle = format!("\n{}kind:", " ".repeat(self.root.block_column?));
            let rest = &self.text[start..];
            let value = &rest[rest.find(&needle)? + needle.len()..];
            let line = value.lines().next()?;
            let word = line.split(" #").next()?.trim().trim_matches(['"', '\'']);
            head.kind = Field::Text(Cow::Owned(word.to_owned()));
        }
        let plain = head.kind.text() == Some("List");
        let known = plain || head.api_version.text().is_some();
        (head::is_list(&head.kind) && known).then(|| List::of(&head, None))
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>) {
        match Scalar::of(text, style, tag) {
            Scalar::Null => self.json.push_str("null"),
            Scalar::Bool(true) => self.json.push_str("true"),
            Scalar::Bool(false) => self.json.push_str("false"),
            Scalar::Int(value) => self.json.push_str(&value.to_string()),
            Scalar::Large(value) => self.json.push_str(&value.to_string()),
            // JSON has no infinity; a field that wants a number complains about the string.
            Scalar::Float(value) if !value.is_finite() => push_string(&mut self.json, text),
            Scalar::Float(value) => push_number(&mut self.json, value),
            Scalar::Text => push_string(&mut self.json, text),
        }
    }

    /// Closes the innermost mapping or list.
    fn close(&mut self, start: usize, sink: &mut Sink<'_, '_>) -> Result<(), Failure> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        match frame.content {
            Content::List { .. } => self.json.push(']'),
            Content::Map { keys, merges, .. } => {
                if !merges.is_empty() {
                    self.merge(keys, &merges, start, sink)?;
                }
                self.json.push('}');
            }
        }
        self.after_value(frame.start, frame.anchor, start, sink)
    }

    /// Adds the fields of merged mappings that the mapping itself does not have.
    fn merge(
        &mut self,
        mut keys: Keys,
        merges: &[String],
        start: usize,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), Failure> {
        for merged in merges {
            let sources: Vec<&str> = match merged.as_bytes().first() {
                Some(b'[') => json::elements(merged).iter().map(|raw| raw.get()).collect(),
                _ => vec![merged],
            };
            for source in sources {
                let Some(entries) = json::entries(source) else {
                    return self.fail(start, "`<<` takes a mapping or a list of mappings");
                };
                for (key, value) in entries {
                    if keys.contains(&self.json, key) {
                        continue;
                    }
                    spend(sink, key.len() + value.len())
                        .map_err(|what| self.failure(start, what))?;
                    if !keys.written.is_empty() {
                        self.json.push(',');
                    }
                    let begin = self.json.len();
                    self.json.push_str(key);
                    keys.add(&self.json, begin..self.json.len());
                    self.json.push(':');
                    self.json.push_str(value);
                }
            }
        }
        Ok(())
    }

    /// What follows a whole value, whose JSON begins at `begin`.
    fn after_value(
        &mut self,
        begin: usize,
        anchor: usize,
        start: usize,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), Failure> {
        if anchor != 0 {
            let json = self.json[begin..].to_owned();
            self.remember(anchor, json, start, sink)?;
        }
        let depth = self.frames.len();
        if depth == 2 && self.in_items() {
            self.after_item(begin, sink);
        }
        let Some(Frame {
            content:
                Content::Map {
                    keys,
                    value,
                    merging,
                    merges,
                },
            ..
        }) = self.frames.last_mut()
        else {
            return Ok(());
        };
        *value = None;
        if *merging {
            merges.push(self.json.split_off(begin));
        } else if depth == 1
            && let Some(key) = keys.written.last()
        {
            let field = || match Field::of(&self.json[begin..]) {
                Field::Missing => Field::Missing,
                Field::Text(text) => Field::Text(Cow::Owned(text.into_owned())),
                Field::Other => Field::Other,
            };
            match &self.json[key.clone()] {
                "\"apiVersion\"" => self.root.api_version = field(),
                "\"kind\"" => self.root.kind = field(),
                _ => {}
            }
        }
        Ok(())
    }

    fn after_item(&mut self, begin: usize, sink: &mut Sink<'_, '_>) {
        let text_range = self.trimmed(self.root.item_start);
        if let Some(list) = &self.root.streaming {
            let json = self.json.split_off(begin);
            head::deliver(Cow::Owned(json), text_range, Some(list), sink);
            if let Some(Frame {
                content: Content::List { count },
                ..
            }) = self.frames.last_mut()
            {
                *count = 0;
            }
        } else {
            self.root.items.push((begin..self.json.len(), text_range));
        }
    }

    /// The range of what begins at `start` and ends with the last thing read, in the whole text.
    fn trimmed(&self, start: usize) -> Range<usize> {
        let end = self.last_end.max(start);
        let length = self.text[start..end].trim_ascii_end().len();
        self.base + start..self.base + start + length
    }

    fn remember(
        &mut self,
        anchor: usize,
        json: String,
        start: usize,
        sink: &mut Sink<'_, '_>,
    ) -> Result<(), Failure> {
        spend(sink, json.len()).map_err(|what| self.failure(start, what))?;
        self.anchors.insert(anchor, json);
        Ok(())
    }

    /// Hands out a whole document.
    fn deliver(&mut self, sink: &mut Sink<'_, '_>) {
        let range = self.trimmed(self.root.start);
        match self.json.as_bytes().first() {
            None => {}
            Some(b'{') => {
                if self.root.streaming.is_some() {
                    return;
                }
                let items = std::mem::take(&mut self.root.items);
                let head = Head::of(&self.json);
                if head::is_list(&head.kind) && !items.is_empty() {
                    let list = List::of(&head, None);
                    for (json, range) in items {
                        let json = Cow::Owned(self.json[json].to_owned());
                        head::deliver(json, range, Some(&list), sink);
                    }
                } else {
                    let json = std::mem::take(&mut self.json);
                    head::deliver(Cow::Owned(json), range, None, sink);
                }
            }
            Some(b'[') => {
                let elements = json::elements(&self.json);
                let objects = elements.iter().any(|item| json::is_object(item.get()));
                json::list_document(objects, range.start, sink);
            }
            Some(_) if self.json == "null" => {}
            Some(_) => sink.problem(range.start, "is a single value, not an object"),
        }
    }
}

/// Counts what aliases add to a text.
fn spend(sink: &mut Sink<'_, '_>, bytes: usize) -> Result<(), &'static str> {
    sink.expansion = sink
        .expansion
        .checked_sub(bytes)
        .ok_or("its aliases multiply it beyond measure")?;
    Ok(())
}
