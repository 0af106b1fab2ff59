//! Minimal structs of the objects we read: only the fields that something asks for, one file a kind
//! or a family. Nothing here interprets a field; that is `mesh`.
//!
//! An object that is more than these fields is never written from them: what we may write is kept
//! whole beside them (`inventory::Object::whole`).

pub mod authorization;
pub mod complete;
pub mod disruption_budget;
pub mod envoy_extension;
pub mod gateway_api;
mod go_bool;
pub mod installation;
pub mod interner;
pub mod istio_gateway;
mod lenient;
pub mod meta;
pub mod network_policy;
pub mod path;
pub mod plugin_policy;
pub mod pod;
pub mod selector;
pub mod service;
pub mod service_entry;
mod table;
pub mod traffic;
pub mod workload;

pub use go_bool::is_true;
pub use interner::Interner;
pub use lenient::IntOrString;
pub use meta::{Labels, Meta, Name, ObjectRef};
pub use path::{FieldPath, Segment};
pub use selector::LabelSelector;
pub(crate) use table::for_each_kind;
pub use table::{Kind, KindSet, KindTally, Scope};

use std::fmt;

use serde::Deserialize;

/// An object as we keep it.
pub trait Resource: Sized {
    /// Which kind it is.
    const KIND: Kind;

    /// Name, namespace, labels and so on.
    fn meta(&self) -> &Meta;

    /// What it is called.
    fn reference(&self) -> ObjectRef {
        ObjectRef::new(Self::KIND, &self.meta().namespace, &self.meta().name)
    }

    /// Its metadata, to fill in what the reader knows (a default namespace).
    fn meta_mut(&mut self) -> &mut Meta;

    /// Whether it takes part in anything; what does not is not kept.
    fn takes_part(&self) -> bool {
        true
    }

    /// Reads one object's JSON.
    ///
    /// # Errors
    /// When the text is not JSON or a field that we read has another type.
    fn decode(json: &str, names: &mut Interner) -> Result<Self, DecodeError>;
}

/// Why an object could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// The field in question.
    pub path: FieldPath,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_root() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

/// Implements [`Resource`] for a struct with a `metadata` field.
macro_rules! resource {
    ($($type:ident),+ $(,)?) => {$(
        impl $crate::kinds::Resource for $type {
            const KIND: $crate::kinds::Kind = $crate::kinds::Kind::$type;
            fn meta(&self) -> &$crate::kinds::Meta { &self.metadata }
            fn meta_mut(&mut self) -> &mut $crate::kinds::Meta { &mut self.metadata }
            fn decode(
                json: &str,
                _: &mut $crate::kinds::Interner,
            ) -> Result<Self, $crate::kinds::DecodeError> {
                $crate::kinds::decode_json(json)
            }
        }
    )+};
}
pub(crate) use resource;

/// Reads JSON at full speed; what is wrong with it is worked out only when something is.
fn decode_json<'de, T: Deserialize<'de>>(json: &'de str) -> Result<T, DecodeError> {
    serde_json::from_str(json).map_err(|_| explain::<T>(json))
}

fn explain<'de, T: Deserialize<'de>>(json: &'de str) -> DecodeError {
    let mut reader = serde_json::Deserializer::from_str(json);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut reader) else {
        return DecodeError {
            path: FieldPath::root(),
            message: "is not one JSON object".to_owned(),
        };
    };
    let segments: Vec<Segment> = error
        .path()
        .iter()
        .filter_map(|segment| match segment {
            serde_path_to_error::Segment::Seq { index } => Some(Segment::Index(*index)),
            serde_path_to_error::Segment::Map { key } => Some(Segment::Key(key.clone())),
            _ => None,
        })
        .collect();
    let message = error.into_inner().to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(what, _)| what);
    DecodeError {
        path: FieldPath::new(segments),
        message: message.to_owned(),
    }
}
