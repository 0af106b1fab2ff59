//! How Istio compares a string.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::reader::{Fields, Notes, Place, Read};
use crate::kinds::DecodeError;

/// How a string is compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StringMatch {
    /// It is this.
    Exact(String),
    /// It begins so.
    Prefix(String),
    /// An expression of RE2 matches all of it.
    Regex(String),
    /// Nothing is said (`{}`): of a header, that it is there.
    Present,
}

impl Read for StringMatch {
    fn read(value: &Value, place: &Place<'_>, notes: &Notes) -> Result<Self, DecodeError> {
        let mut fields = Fields::of(value, place, notes)?;
        let exact: Option<String> = fields.optional("exact")?;
        let prefix: Option<String> = fields.optional("prefix")?;
        let regex: Option<String> = fields.optional("regex")?;
        fields.finish();
        match (exact, prefix, regex) {
            (Some(text), None, None) => Ok(Self::Exact(text)),
            (None, Some(text), None) => Ok(Self::Prefix(text)),
            (None, None, Some(text)) => Ok(Self::Regex(text)),
            (None, None, None) => Ok(Self::Present),
            _ => Err(place.error("only one of exact, prefix and regex can be set")),
        }
    }
}

impl Serialize for StringMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Exact(text) => map.serialize_entry("exact", text)?,
            Self::Prefix(text) => map.serialize_entry("prefix", text)?,
            Self::Regex(text) => map.serialize_entry("regex", text)?,
            Self::Present => {}
        }
        map.end()
    }
}
