//! What an object says it is, and what follows: one object, the items of a list, or none of ours.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{RawObject, Sink, json, locate};
use crate::kinds::FieldPath;
use crate::kinds::path::field;

/// One of the two fields that say what an object is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Field<'j> {
    /// Not there, null, or empty.
    #[default]
    Missing,
    /// A string.
    Text(Cow<'j, str>),
    /// Anything else.
    Other,
}

impl<'j> Field<'j> {
    /// Reads a field's JSON.
    pub(super) fn of(json: &'j str) -> Self {
        match json {
            "null" | "\"\"" => Self::Missing,
            _ => match json.strip_prefix('"').and_then(|s| s.strip_suffix('"')) {
                Some(text) if !text.contains('\\') => Self::Text(Cow::Borrowed(text)),
                Some(_) => serde_json::from_str(json)
                    .map_or(Self::Other, |text: String| Self::Text(Cow::Owned(text))),
                None => Self::Other,
            },
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn into_owned(self) -> Field<'static> {
        match self {
            Self::Missing => Field::Missing,
            Self::Text(text) => Field::Text(Cow::Owned(text.into_owned())),
            Self::Other => Field::Other,
        }
    }
}

/// What an object says it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Head<'j> {
    pub(super) api_version: Field<'j>,
    pub(super) kind: Field<'j>,
    /// Whether it has a field that Kubernetes objects have and little else has.
    pub(super) body: bool,
    /// Whether it has any field.
    pub(super) fields: bool,
}

impl<'j> Head<'j> {
    /// The head of an object's JSON. Reading ends as soon as both fields are known.
    pub(super) fn of(json: &'j str) -> Self {
        let mut head = Self::default();
        let mut reader = serde_json::Deserializer::from_str(json);
        // An error is how reading ends early; the text itself was found to be JSON before.
        drop(Seed { head: &mut head }.deserialize(&mut reader));
        head
    }

    /// Takes note of a field; whether it was one of the two is told by `true`, and then `value`
    /// was read.
    pub(super) fn field<'de: 'j, A: MapAccess<'de>>(
        &mut self,
        key: &str,
        map: &mut A,
    ) -> Result<bool, A::Error> {
        self.fields = true;
        let field = match key {
            "apiVersion" => &mut self.api_version,
            "kind" => &mut self.kind,
            "metadata" | "spec" => {
                self.body = true;
                return Ok(false);
            }
            _ => return Ok(false),
        };
        *field = Field::of(map.next_value::<&'de RawValue>()?.get());
        Ok(true)
    }

    fn into_owned(self) -> Head<'static> {
        Head {
            api_version: self.api_version.into_owned(),
            kind: self.kind.into_owned(),
            ..self
        }
    }
}

/// A key as it is written, without its quotes. No key that we look for needs an escape.
pub(super) fn unquoted(key: &RawValue) -> &str {
    key.get().trim_matches('"')
}

struct Seed<'h, 'j> {
    head: &'h mut Head<'j>,
}

impl<'de> DeserializeSeed<'de> for Seed<'_, 'de> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, 'de> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&'de RawValue>()? {
            if !self.head.field(unquoted(key), &mut map)? {
                map.next_value::<IgnoredAny>()?;
            } else if self.head.api_version != Field::Missing && self.head.kind != Field::Missing {
                return Err(A::Error::custom("enough"));
            }
        }
        Ok(())
    }
}

/// The list that an object is an item of.
#[derive(Debug, Clone, Default)]
pub(super) struct List {
    /// How many lists it is in, one in the other.
    depth: usize,
    /// `apiVersion` and `kind` of items that do not say it themselves: a server writes the items
    /// of a `PodList` like that.
    items_are: Option<(String, String)>,
}

/// Lists inside lists further down than this are not read.
const DEEPEST_LIST: usize = 8;

impl List {
    /// The list of this head, which is itself an item of `outer`.
    pub(super) fn of(head: &Head<'_>, outer: Option<&List>) -> Self {
        let items_are = match (head.api_version.text(), head.kind.text()) {
            (Some(api_version), Some(kind)) => kind
                .strip_suffix("List")
                .filter(|item| !item.is_empty())
                .map(|item| (api_version.to_owned(), item.to_owned())),
            _ => None,
        };
        Self {
            depth: outer.map_or(1, |outer| outer.depth + 1),
            items_are,
        }
    }
}

/// Whether an object of this kind that has `items` is a list of objects.
pub(super) fn is_list(kind: &Field<'_>) -> bool {
    kind.text().is_some_and(|kind| kind.ends_with("List"))
}

/// Hands out an object's JSON as what it is. `range` is where it stands in the text.
pub(super) fn deliver<'t>(
    json: Cow<'t, str>,
    range: Range<usize>,
    list: Option<&List>,
    sink: &mut Sink<'t, '_>,
) {
    if !json.starts_with('{') {
        let what = "an item of the list is not an object";
        return sink.problem(range.start, what);
    }
    let head = match &json {
        Cow::Borrowed(json) => Head::of(json),
        Cow::Owned(json) => Head::of(json).into_owned(),
    };
    if is_list(&head.kind) {
        let depth = list.map_or(0, |list| list.depth);
        if depth >= DEEPEST_LIST {
            return sink.problem(range.start, "lists are nested too deeply");
        }
        match json::inner_list(json, &range, &List::of(&head, list), sink) {
            Ok(()) => {}
            Err(json) => classify(head, json, range, list, sink),
        }
    } else {
        classify(head, json, range, list, sink);
    }
}

/// Whether an object has `items` that are neither a list nor null.
fn has_other_items(json: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Items<'j> {
        #[serde(borrow, default)]
        items: Option<&'j RawValue>,
    }
    serde_json::from_str::<Items<'_>>(json).is_ok_and(|found| {
        found
            .items
            .is_some_and(|items| !items.get().starts_with('['))
    })
}

/// Hands out an object that is no list.
pub(super) fn classify<'t>(
    head: Head<'t>,
    json: Cow<'t, str>,
    range: Range<usize>,
    list: Option<&List>,
    sink: &mut Sink<'t, '_>,
) {
    let at = |path: &FieldPath| locate::offset(sink.text, range.clone(), path);
    match (head.api_version, head.kind) {
        (Field::Text(api_version), Field::Text(kind))
            if api_version == "v1" && kind == "List" && has_other_items(&json) =>
        {
            sink.problem(at(&field!["items"]), "the `items` of the List are no list");
        }
        (Field::Text(api_version), Field::Text(kind)) => sink.object(RawObject {
            api_version,
            kind,
            json,
            range,
        }),
        (Field::Missing, Field::Missing) => match list {
            Some(List {
                items_are: Some((api_version, kind)),
                ..
            }) => sink.object(RawObject {
                json: Cow::Owned(with_head(&json, api_version, kind)),
                api_version: Cow::Owned(api_version.clone()),
                kind: Cow::Owned(kind.clone()),
                range,
            }),
            Some(_) => {
                let what = "an item of the list has neither `apiVersion` nor `kind`";
                sink.problem(range.start, what);
            }
            None if head.fields => {
                let what = "is not a Kubernetes object: it has neither `apiVersion` nor `kind`";
                sink.other(range.start, what);
            }
            None => {}
        },
        // Charts have an `apiVersion` and pipelines have a `kind`; both lack what objects have.
        (Field::Missing, _) if !head.body && list.is_none() => {
            sink.other(
                range.start,
                "is not a Kubernetes object: it has no `apiVersion`",
            );
        }
        (_, Field::Missing) if !head.body && list.is_none() => {
            sink.other(range.start, "is not a Kubernetes object: it has no `kind`");
        }
        (Field::Other, _) => {
            sink.problem(at(&field!["apiVersion"]), "`apiVersion` is not a string");
        }
        (_, Field::Other) => sink.problem(at(&field!["kind"]), "`kind` is not a string"),
        (Field::Missing, _) => {
            sink.problem(at(&field!["kind"]), "has a `kind` but no `apiVersion`");
        }
        (_, Field::Missing) => {
            let what = "has an `apiVersion` but no `kind`";
            sink.problem(at(&field!["apiVersion"]), what);
        }
    }
}

/// An item of a typed list as it would stand alone.
fn with_head(json: &str, api_version: &str, kind: &str) -> String {
    let rest = json.trim_start_matches('{').trim_start();
    let comma = if rest.starts_with('}') { "" } else { "," };
    let api_version = serde_json::Value::from(api_version);
    let kind = serde_json::Value::from(kind);
    format!("{{\"apiVersion\":{api_version},\"kind\":{kind}{comma}{rest}")
}
