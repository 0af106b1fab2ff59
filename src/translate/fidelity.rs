//! How exactly an object is translated, and what is to be said of it.

use super::Topic;
use crate::kinds::{FieldPath, ObjectRef};

/// What a remark says of the translation. Ordered from the lightest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Something is written otherwise and means the same.
    Form,
    /// Something stays as it is, and goes on working.
    Kept,
    /// A default differs, or something that no comparison of requests shows.
    Stated,
    /// Requests exist that are treated otherwise.
    Lossy,
    /// It cannot be had, or cannot be decided.
    Refused,
}

/// Something said of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What it is about.
    pub topic: Topic,
    /// What it means for the translation.
    pub weight: Weight,
    /// The field of the source.
    pub field: FieldPath,
    /// One sentence, without a final stop.
    pub says: String,
    /// What a person can do, where there is something to do.
    pub remedy: Option<String>,
}

impl Remark {
    /// A remark without a remedy.
    pub fn new(topic: Topic, weight: Weight, field: FieldPath, says: impl Into<String>) -> Self {
        Self {
            topic,
            weight,
            field,
            says: says.into(),
            remedy: None,
        }
    }

    /// Says what a person can do.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// How exactly an object is translated: as its heaviest remark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fidelity {
    /// It needs no change, or its counterpart says the same in the same words.
    Exact,
    /// It is written otherwise, or a default differs that no request shows.
    Equivalent,
    /// It stays as it is.
    Kept,
    /// Some requests are treated otherwise.
    Lossy,
    /// It is not translated.
    Refused,
}

impl Fidelity {
    /// As written in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Equivalent => "equivalent",
            Self::Kept => "kept",
            Self::Lossy => "lossy",
            Self::Refused => "refused",
        }
    }
}

/// What becomes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Treatment {
    /// The object.
    pub object: ObjectRef,
    /// What it becomes; nothing where it stays alone, or goes without a successor.
    pub becomes: Vec<ObjectRef>,
    /// What is to be said, by field and topic.
    pub remarks: Vec<Remark>,
}

impl Treatment {
    /// How exactly it is translated.
    pub fn fidelity(&self) -> Fidelity {
        match self.remarks.iter().map(|remark| remark.weight).max() {
            None => Fidelity::Exact,
            Some(Weight::Form | Weight::Stated) if !self.is_kept() => Fidelity::Equivalent,
            Some(Weight::Form | Weight::Stated | Weight::Kept) => Fidelity::Kept,
            Some(Weight::Lossy) => Fidelity::Lossy,
            Some(Weight::Refused) => Fidelity::Refused,
        }
    }

    fn is_kept(&self) -> bool {
        let mut remarks = self.remarks.iter();
        remarks.any(|remark| remark.weight == Weight::Kept)
    }
}
