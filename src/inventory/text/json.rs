//! JSON text: one pass over it, everything borrowed from it.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Sink;
use super::head::{self, Head, List};

/// How reading a series of JSON values ended.
pub(super) enum End {
    /// With the text.
    Done,
    /// At something that does not begin a JSON object or list.
    Rest(usize),
    /// In a value that is not JSON.
    Broken {
        /// Where the value begins.
        value: usize,
        /// Where it stops being JSON.
        error: usize,
        /// Whether it only lacks its end.
        unfinished: bool,
        /// What is wrong.
        message: String,
    },
}

/// Whether a JSON object or list may begin here.
pub(super) fn may_start(text: &str) -> bool {
    text.trim_ascii_start().starts_with(['{', '['])
}

/// Reads JSON values one after the other.
pub(super) fn stream(range: Range<usize>, sink: &mut Sink<'_, '_>) -> End {
    let mut at = range.start;
    loop {
        let rest = sink.text[at..range.end].trim_ascii_start();
        at = range.end - rest.len();
        if rest.is_empty() {
            return End::Done;
        }
        if !may_start(rest) {
            return End::Rest(at);
        }
        let mut reader = serde_json::Deserializer::from_str(rest).into_iter::<Document<'_>>();
        match reader.next() {
            None => return End::Done,
            Some(Ok(document)) => {
                let end = at + reader.byte_offset();
                deliver(document, at..end, sink);
                at = end;
            }
            Some(Err(error)) => {
                return End::Broken {
                    value: at,
                    error: at + offset(rest, &error),
                    unfinished: error.is_eof(),
                    message: format!("invalid JSON: {}", message(&error)),
                };
            }
        }
    }
}

fn deliver<'t>(document: Document<'t>, range: Range<usize>, sink: &mut Sink<'t, '_>) {
    match document {
        Document::Object(Root {
            head,
            items: Some(items),
        }) if head::is_list(&head.kind) => {
            deliver_items(items, &List::of(&head, None), sink);
        }
        Document::Object(root) => {
            let json = Cow::Borrowed(&sink.text[range.clone()]);
            head::classify(root.head, json, range, None, sink);
        }
        Document::List(items) => {
            let objects = items.iter().any(|item| is_object(item.get()));
            list_document(objects, range.start, sink);
        }
    }
}

/// A document that is a list: a mistake when it holds objects, else the file of another tool.
pub(super) fn list_document(holds_objects: bool, offset: usize, sink: &mut Sink<'_, '_>) {
    if holds_objects {
        let what = "is a list of objects; separate them with `---`, or make it a `kind: List`";
        sink.problem(offset, what);
    } else {
        sink.other(offset, "is not a Kubernetes object: it is a list");
    }
}

/// Whether JSON says that it is a Kubernetes object.
pub(super) fn is_object(json: &str) -> bool {
    let head = Head::of(json);
    head.kind.text().is_some() && head.api_version.text().is_some()
}

fn deliver_items<'t>(items: Vec<&'t RawValue>, list: &List, sink: &mut Sink<'t, '_>) {
    for item in items {
        let json = item.get();
        // The items are slices of the text, so their place is the distance of the two.
        let start = (json.as_ptr() as usize).saturating_sub(sink.text.as_ptr() as usize);
        let range = start..start + json.len();
        head::deliver(Cow::Borrowed(json), range, Some(list), sink);
    }
}

/// Hands out the items of a list that is itself an item; or its JSON
/// when it has none. Those of a
/// list that was YAML have no place of their own.
pub(super) fn inner_list<'t>(
    json: Cow<'t, str>,
    range: &Range<usize>,
    list: &List,
    sink: &mut Sink<'t, '_>,
) -> Result<(), Cow<'t, str>> {
    let json = match json {
        Cow::Borrowed(json) => {
            return match serde_json::from_str(json) {
                Ok(Root {
                    items: Some(items), ..
                }) => {
                    deliver_items(items, list, sink);
                    Ok(())
                }
                _ => Err(Cow::Borrowed(json)),
            };
        }
        Cow::Owned(json) => json,
    };
    match serde_json::from_str(&json) {
        Ok(Root {
            items: Some(items), ..
        }) => {
            for item in items {
                let json = Cow::Owned(item.get().to_owned());
                head::deliver(json, range.clone(), Some(list), sink);
            }
            Ok(())
        }
        _ => Err(Cow::Owned(json)),
    }
}

/// The elements of a JSON list, none when it is no list.
pub(super) fn elements(json: &str) -> Vec<&RawValue> {
    serde_json::from_str(json).unwrap_or_default()
}

/// The fields of a JSON object: keys as they are written, quotes and all.
pub(super) fn entries(json: &str) -> Option<Vec<(&str, &str)>> {
    struct Entries<'j>(Vec<(&'j str, &'j str)>);
    impl<'de> Deserialize<'de> for Entries<'de> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Fields;
            impl<'de> Visitor<'de> for Fields {
                type Value = Entries<'de>;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                    let mut entries = Vec::new();
                    while let Some(entry) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                        entries.push((entry.0.get(), entry.1.get()));
                    }
                    Ok(Entries(entries))
                }
            }
            deserializer.deserialize_map(Fields)
        }
    }
    serde_json::from_str::<Entries<'_>>(json)
        .ok()
        .map(|entries| entries.0)
}

/// A whole JSON value of a text.
enum Document<'t> {
    Object(Root<'t>),
    List(Vec<&'t RawValue>),
}

/// An object and, if it has them, its items.
struct Root<'t> {
    head: Head<'t>,
    items: Option<Vec<&'t RawValue>>,
}

impl<'de> Deserialize<'de> for Document<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Whole;
        impl<'de> Visitor<'de> for Whole {
            type Value = Document<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                root(map).map(Document::Object)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                raw_items(seq).map(Document::List)
            }
        }
        deserializer.deserialize_any(Whole)
    }
}

impl<'de> Deserialize<'de> for Root<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Document::deserialize(deserializer)? {
            Document::Object(root) => Ok(root),
            Document::List(_) => Err(D::Error::custom("a list")),
        }
    }
}

fn root<'de, A: MapAccess<'de>>(mut map: A) -> Result<Root<'de>, A::Error> {
    let mut root = Root {
        head: Head::default(),
        items: None,
    };
    while let Some(key) = map.next_key::<&'de RawValue>()? {
        let key = head::unquoted(key);
        if root.head.field(key, &mut map)? {
        } else if key == "items" {
            root.items = map.next_value::<Items<'de>>()?.0;
        } else {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(root)
}

fn raw_items<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<Vec<&'de RawValue>, A::Error> {
    let mut items = Vec::new();
    while let Some(item) = seq.next_element::<&'de RawValue>()? {
        items.push(item);
    }
    Ok(items)
}

/// The value of a field `items`: of a list a list, of other objects anything.
struct Items<'t>(Option<Vec<&'t RawValue>>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Items<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("items")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                raw_items(seq).map(|items| Items(Some(items)))
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Items(Some(Vec::new())))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Items(None))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Items(None))
            }
            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(Items(None))
            }
            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(Items(None))
            }
            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(Items(None))
            }
            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(Items(None))
            }
        }
        deserializer.deserialize_any(Anything)
    }
}

/// The byte of a text that an error is about.
fn offset(text: &str, error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return text.trim_ascii_end().len();
    }
    let line_start = if error.line() < 2 {
        0
    } else {
        text.match_indices('\n')
            .nth(error.line() - 2)
            .map_or(text.len(), |(end, _)| end + 1)
    };
    (line_start + error.column().saturating_sub(1)).min(text.len())
}

fn message(error: &serde_json::Error) -> String {
    if error.is_eof() {
        return "it ends too early".to_owned();
    }
    let message = error.to_string();
    match message.rsplit_once(" at line ") {
        Some((what, _)) => what.to_owned(),
        None => message,
    }
}
