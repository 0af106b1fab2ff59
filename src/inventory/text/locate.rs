//! A field of an object back to its place in the text.

use std::fmt;
use std::ops::Range;

use granit_parser::{Event, Options, Parser, ScalarStyle};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::position::{Lines, Position, boundary};
use super::scalar;
use crate::kinds::{FieldPath, Segment};

/// Line and column in characters, from 1, of a field of the object in `range`: of its key, or of
/// the first character of a list's item.
///
/// When the field is not in the text, the place is that of the nearest enclosing one that is.
///
/// ```
/// use kubectl_ambient::inventory::text::locate;
/// use kubectl_ambient::kinds::FieldPath;
/// let text = "kind: Pod\nmetadata:\n  labels: {app: a}\n";
/// assert_eq!(locate(text, 0..text.len(), &FieldPath::label("app")), (3, 12));
/// assert_eq!(locate(text, 0..text.len(), &FieldPath::label("tier")), (3, 3));
/// ```
pub fn locate(text: &str, range: Range<usize>, path: &FieldPath) -> (usize, usize) {
    Position::default().of(text, offset(text, range, path))
}

/// The same for a text whose lines are known: of many places in one text, each costs the same.
pub fn locate_in(
    text: &str,
    lines: &Lines,
    range: Range<usize>,
    path: &FieldPath,
) -> (usize, usize) {
    lines.position(text, offset(text, range, path))
}

/// The byte of the text where a field stands.
pub(super) fn offset(text: &str, range: Range<usize>, path: &FieldPath) -> usize {
    let start = boundary(text, range.start);
    let end = boundary(text, range.end).max(start);
    let object = &text[start..end];
    let found = if object.starts_with(['{', '[']) {
        in_json(object, path)
            .map(|place| start + place)
            .or_else(|| in_yaml(text, start, end, path))
    } else {
        in_yaml(text, start, end, path)
    };
    found.unwrap_or(start)
}

/// Looks in JSON; `None` when the text is not JSON.
fn in_json(object: &str, path: &FieldPath) -> Option<usize> {
    let offset = |raw: &str| raw.as_ptr() as usize - object.as_ptr() as usize;
    let mut place = 0;
    let mut value: &str = serde_json::from_str::<&RawValue>(object).ok()?.get();
    for segment in path.segments() {
        let wanted = Wanted(segment);
        let mut reader = serde_json::Deserializer::from_str(value);
        let Some((at, found)) = wanted.find(&mut reader) else {
            break;
        };
        place = offset(at.get());
        value = found.get();
    }
    Some(place)
}

/// A step of a path to be taken in JSON.
struct Wanted<'p>(&'p Segment);

/// Where a field stands (its key, or the item itself) and its value.
type Hit<'de> = Option<(&'de RawValue, &'de RawValue)>;

impl Wanted<'_> {
    fn find<'de, D: Deserializer<'de>>(self, reader: D) -> Hit<'de> {
        reader.deserialize_any(self).ok().flatten()
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Hit<'de>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut hit = None;
        while let Some(key) = map.next_key::<&'de RawValue>()? {
            if hit.is_none() && self.is_key(key) {
                hit = Some((key, map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(hit)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut hit = None;
        let mut index = 0;
        while let Some(item) = seq.next_element::<&'de RawValue>()? {
            if matches!(self.0, Segment::Index(wanted) if *wanted == index) {
                hit = Some((item, item));
            }
            index += 1;
        }
        Ok(hit)
    }
}

impl Wanted<'_> {
    fn is_key(&self, written: &RawValue) -> bool {
        let Segment::Key(key) = self.0 else {
            return false;
        };
        let written = written.get();
        match written.strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
            Some(plain) if !plain.contains('\\') => plain == key,
            _ => serde_json::from_str::<String>(written).is_ok_and(|text| text == *key),
        }
    }
}

/// Looks in YAML, as far as it can be parsed.
fn in_yaml(text: &str, start: usize, end: usize, path: &FieldPath) -> Option<usize> {
    // An item of a list begins in the middle of a line, and its other lines are indented as deep.
    // In flow style no line is indented in any particular way.
    let line = text[..start].rfind('\n').map_or(0, |line_end| line_end + 1);
    let flow = text[start..end].starts_with(['{', '[']);
    let indent = if flow { 0 } else { start - line };
    let padded;
    let object = if indent == 0 {
        &text[start..end]
    } else {
        padded = " ".repeat(indent) + &text[start..end];
        &padded
    };
    let mut options = Options::default();
    options.set_emit_comments(false);
    // What an alias stands for may be outside of the object.
    options.emit_unresolved_aliases = true;
    let mut search = Search {
        path: path.segments(),
        place: None,
        inside: Inside::Nothing,
        deeper: 0,
    };
    for event in Parser::new_from_str_with_options(object, options) {
        let Ok((event, span)) = event else { break };
        let mut at = span.byte_range().map_or(0, |range| range.start);
        if let Event::Scalar(_, ScalarStyle::Literal | ScalarStyle::Folded, ..) = event {
            at = block_header(object, at);
        }
        if search.event(&event, at) {
            break;
        }
    }
    let place = search.place?;
    Some((start + place).saturating_sub(indent))
}

/// Where the `|` or `>` stands of a block of text whose first line begins at `content`.
fn block_header(object: &str, content: usize) -> usize {
    let line = object[..content].rfind('\n').unwrap_or_default();
    let before = object[..line].trim_end();
    let header = before.rfind('\n').map_or(0, |line_end| line_end + 1);
    before[header..]
        .find(['|', '>'])
        .map_or(content, |at| header + at)
}

/// A walk along a path through the events of a YAML parser.
struct Search<'p> {
    /// What is left of the path.
    path: &'p [Segment],
    /// The last field of the path that was met.
    place: Option<usize>,
    /// The mapping or list that the path leads through.
    inside: Inside,
    /// How many mappings and lists beside the path are open.
    deeper: usize,
}

#[derive(Clone, Copy)]
enum Inside {
    /// Before the object.
    Nothing,
    /// In a mapping, before a key.
    Key,
    /// In a mapping, before a value; whether it is the wanted one.
    Value(bool),
    /// In a list, before the item of this index.
    List(usize),
}

impl Search<'_> {
    /// Takes an event; `true` when there is no more to find.
    fn event(&mut self, event: &Event<'_>, at: usize) -> bool {
        let opens = matches!(event, Event::MappingStart(..) | Event::SequenceStart(..));
        let closes = matches!(event, Event::MappingEnd | Event::SequenceEnd);
        let leaf = matches!(
            event,
            Event::Scalar(..) | Event::Alias(..) | Event::UnresolvedAlias(..)
        );
        if !(opens || closes || leaf) {
            return false;
        }
        if self.deeper > 0 {
            if opens {
                self.deeper += 1;
            } else if closes {
                self.deeper -= 1;
            }
            return false;
        }
        if closes {
            return true;
        }
        let wanted = match self.inside {
            Inside::Nothing => {
                self.place = Some(at);
                true
            }
            Inside::Key => {
                let hit = self.is_key(event);
                if hit {
                    self.place = Some(at);
                    self.path = &self.path[1..];
                }
                self.inside = Inside::Value(hit);
                self.deeper = usize::from(opens);
                return hit && self.path.is_empty();
            }
            Inside::Value(hit) => {
                self.inside = Inside::Key;
                hit
            }
            Inside::List(index) => {
                self.inside = Inside::List(index + 1);
                let hit =
                    matches!(self.path.first(), Some(Segment::Index(wanted)) if *wanted == index);
                if hit {
                    self.place = Some(at);
                    self.path = &self.path[1..];
                }
                hit
            }
        };
        if !wanted {
            self.deeper = usize::from(opens);
            return false;
        }
        match event {
            Event::MappingStart(..) => self.inside = Inside::Key,
            Event::SequenceStart(..) => self.inside = Inside::List(0),
            _ => return true,
        }
        self.path.is_empty()
    }

    fn is_key(&self, event: &Event<'_>) -> bool {
        let (Some(Segment::Key(wanted)), Event::Scalar(text, style, _, tag)) =
            (self.path.first(), event)
        else {
            return false;
        };
        scalar::key(text, *style, tag.as_deref()).is_some_and(|key| key == *wanted)
    }
}
