//! Reading of structs from JSON that loses no field: each says which fields it asks for, and the
//! others are noted with their path.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::kinds::{DecodeError, FieldPath, Segment};

/// Where a value stands. It is a chain on the stack, so that paths cost nothing until one is asked
/// for.
#[derive(Debug)]
pub struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> Place<'p> {
    pub(super) fn root() -> Self {
        Self {
            parent: None,
            step: Step::Root,
        }
    }

    pub(super) fn key(&'p self, key: &'p str) -> Self {
        Self {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    fn index(&'p self, index: usize) -> Self {
        Self {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    pub(super) fn path(&self) -> FieldPath {
        let mut segments = Vec::new();
        let mut at = Some(self);
        while let Some(place) = at {
            match place.step {
                Step::Root => {}
                Step::Key(key) => segments.push(Segment::from(key)),
                Step::Index(index) => segments.push(Segment::from(index)),
            }
            at = place.parent;
        }
        segments.reverse();
        FieldPath::new(segments)
    }

    pub(super) fn error(&self, message: impl Into<String>) -> DecodeError {
        DecodeError {
            path: self.path(),
            message: message.into(),
        }
    }
}

/// The fields that nobody asked for.
#[derive(Debug, Default)]
pub struct Notes(RefCell<Vec<FieldPath>>);

impl Notes {
    pub(super) fn unknown(self) -> Vec<FieldPath> {
        self.0.into_inner()
    }
}

/// A value that can be read from JSON.
pub trait Read: Sized {
    /// Reads it.
    ///
    /// # Errors
    /// When it is not what its schema demands.
    fn read(value: &Value, place: &Place<'_>, notes: &Notes) -> Result<Self, DecodeError>;

    /// Whether it says nothing and is left out when it is written.
    fn is_absent(&self) -> bool {
        false
    }
}

/// Whether a field is written, by how it is read.
pub(super) mod written {
    use super::Read;

    pub(in crate::kinds::complete) fn required<T>(_: &T) -> bool {
        true
    }

    pub(in crate::kinds::complete) fn optional<T: Read>(value: &T) -> bool {
        !value.is_absent()
    }

    pub(in crate::kinds::complete) fn or_default<T: Read>(value: &T) -> bool {
        !value.is_absent()
    }
}

/// The fields of an object.
pub(super) struct Fields<'f> {
    map: &'f Map<String, Value>,
    place: &'f Place<'f>,
    notes: &'f Notes,
    asked: Vec<&'static str>,
}

impl<'f> Fields<'f> {
    pub(super) fn of(
        value: &'f Value,
        place: &'f Place<'f>,
        notes: &'f Notes,
    ) -> Result<Self, DecodeError> {
        let map = value
            .as_object()
            .ok_or_else(|| place.error(format!("expected an object, found {}", kind_of(value))))?;
        Ok(Self {
            map,
            place,
            notes,
            asked: Vec::with_capacity(16),
        })
    }

    /// Takes a field as it stands.
    pub(super) fn pass(&mut self, name: &'static str) -> Option<&'f Value> {
        self.asked.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// A field that must be there.
    pub(super) fn required<T: Read>(&mut self, name: &'static str) -> Result<T, DecodeError> {
        self.optional(name)?
            .ok_or_else(|| self.place.key(name).error("is required"))
    }

    /// A field that may be absent.
    pub(super) fn optional<T: Read>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, DecodeError> {
        self.pass(name)
            .map(|value| T::read(value, &self.place.key(name), self.notes))
            .transpose()
    }

    /// A field that means its type's default when it is absent.
    pub(super) fn or_default<T: Read + Default>(
        &mut self,
        name: &'static str,
    ) -> Result<T, DecodeError> {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    /// Notes the fields that nobody asked for.
    pub(super) fn finish(self) {
        for key in self.map.keys() {
            if !self.asked.contains(&key.as_str()) {
                self.notes.0.borrow_mut().push(self.place.key(key).path());
            }
        }
    }
}

/// Declares a struct that is read and written: `"name" how field: Type`, where `how` is one of
/// `required`, `optional` and `or_default`.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$doc:meta])* $key:literal $how:ident $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$doc])* pub $field: $type,)*
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                $(
                    if $crate::kinds::complete::reader::written::$how(&self.$field) {
                        serde::ser::SerializeMap::serialize_entry(&mut map, $key, &self.$field)?;
                    }
                )*
                serde::ser::SerializeMap::end(map)
            }
        }

        impl $crate::kinds::complete::reader::Read for $name {
            fn read(
                value: &serde_json::Value,
                place: &$crate::kinds::complete::reader::Place<'_>,
                notes: &$crate::kinds::complete::reader::Notes,
            ) -> Result<Self, $crate::kinds::DecodeError> {
                let mut fields = $crate::kinds::complete::reader::Fields::of(value, place, notes)?;
                let record = Self { $($field: fields.$how($key)?,)* };
                fields.finish();
                Ok(record)
            }
        }
    };
}
pub(super) use record;

/// Declares an enumeration of words.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// As manifests write it.
            pub const fn written(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::kinds::complete::reader::Read for $name {
            fn read(
                value: &serde_json::Value,
                place: &$crate::kinds::complete::reader::Place<'_>,
                _: &$crate::kinds::complete::reader::Notes,
            ) -> Result<Self, $crate::kinds::DecodeError> {
                match value.as_str() {
                    $(Some($word) => Ok(Self::$variant),)*
                    _ => Err(place.error(format!(
                        "expected one of {}, found {value}", [$($word),*].join(", ")
                    ))),
                }
            }
        }
    };
}
pub(super) use words;

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn expected<T>(what: &str, value: &Value, place: &Place<'_>) -> Result<T, DecodeError> {
    Err(place.error(format!("expected {what}, found {}", kind_of(value))))
}

impl Read for String {
    fn read(value: &Value, place: &Place<'_>, _: &Notes) -> Result<Self, DecodeError> {
        match value {
            Value::String(text) => Ok(text.clone()),
            other => expected("a string", other, place),
        }
    }
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Read for bool {
    fn read(value: &Value, place: &Place<'_>, _: &Notes) -> Result<Self, DecodeError> {
        match value {
            Value::Bool(value) => Ok(*value),
            other => expected("a boolean", other, place),
        }
    }
    fn is_absent(&self) -> bool {
        !self
    }
}

impl Read for f64 {
    fn read(value: &Value, place: &Place<'_>, _: &Notes) -> Result<Self, DecodeError> {
        match value.as_f64() {
            Some(number) => Ok(number),
            None => expected("a number", value, place),
        }
    }
    fn is_absent(&self) -> bool {
        *self == 0.0
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Read for $type {
            fn read(value: &Value, place: &Place<'_>, _: &Notes) -> Result<Self, DecodeError> {
                // A whole number may be written as one with a fraction of nothing (`1.0`).
                #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
                let number = value.as_i64().or_else(|| {
                    let number = value.as_f64()?;
                    (number.fract() == 0.0 && number.abs() < 9e15).then_some(number as i64)
                });
                match number.map(<$type>::try_from) {
                    Some(Ok(number)) => Ok(number),
                    Some(Err(_)) => Err(place.error(format!("{value} is out of range"))),
                    None => expected("a whole number", value, place),
                }
            }
            fn is_absent(&self) -> bool {
                *self == 0
            }
        }
    )*};
}
integers!(u16, u32, i32, i64);

impl<T: Read> Read for Option<T> {
    fn read(value: &Value, place: &Place<'_>, notes: &Notes) -> Result<Self, DecodeError> {
        T::read(value, place, notes).map(Some)
    }
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(value: &Value, place: &Place<'_>, notes: &Notes) -> Result<Self, DecodeError> {
        let Value::Array(list) = value else {
            return expected("a list", value, place);
        };
        list.iter()
            .enumerate()
            .map(|(index, value)| T::read(value, &place.index(index), notes))
            .collect()
    }
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read(value: &Value, place: &Place<'_>, notes: &Notes) -> Result<Self, DecodeError> {
        let Value::Object(map) = value else {
            return expected("an object", value, place);
        };
        map.iter()
            .map(|(key, value)| Ok((key.clone(), T::read(value, &place.key(key), notes)?)))
            .collect()
    }
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// What nothing here interprets.
impl Read for Value {
    fn read(value: &Value, _: &Place<'_>, _: &Notes) -> Result<Self, DecodeError> {
        Ok(value.clone())
    }
}
