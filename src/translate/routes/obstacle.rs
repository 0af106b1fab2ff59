//! What stands in the way of writing a rule otherwise, and what is to be said of one that is.

use crate::kinds::{FieldPath, ObjectRef};
use crate::translate::Topic;
use crate::translate::fidelity::{Remark, Weight};

/// How much stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gravity {
    /// A form exists that treats some requests otherwise.
    Differs,
    /// No form exists; a waypoint goes on doing it as it is written.
    NoForm,
    /// No form exists, and a waypoint does not do it either.
    Nowhere,
    /// It is wrong as it is written.
    Wrong,
}

/// Something that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) gravity: Gravity,
    pub(super) topic: Topic,
    /// The object and the field that it is about.
    pub(super) object: ObjectRef,
    pub(super) field: FieldPath,
    /// One sentence, without a final stop.
    pub(super) says: String,
    pub(super) remedy: Option<String>,
}

impl Obstacle {
    /// What is said of it in a translation.
    pub(super) fn remark(&self, weight: Weight) -> Remark {
        let remark = Remark::new(self.topic, weight, self.field.clone(), self.says.clone());
        match &self.remedy {
            Some(remedy) => remark.remedy(remedy.clone()),
            None => remark,
        }
    }
}

/// Where a rule stands, to say where something in it stands.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) object: ObjectRef,
    pub(super) field: FieldPath,
}

impl Spot {
    pub(super) fn then(&self, segment: impl Into<crate::kinds::Segment>) -> Self {
        Self {
            object: self.object.clone(),
            field: self.field.then(segment),
        }
    }

    pub(super) fn obstacle(
        &self,
        gravity: Gravity,
        topic: Topic,
        says: impl Into<String>,
    ) -> Obstacle {
        Obstacle {
            gravity,
            topic,
            object: self.object.clone(),
            field: self.field.clone(),
            says: says.into(),
            remedy: None,
        }
    }

    /// A note of what is written otherwise.
    pub(super) fn note(&self, topic: Topic, weight: Weight, says: impl Into<String>) -> Note {
        Note {
            object: self.object.clone(),
            remark: Remark::new(topic, weight, self.field.clone(), says),
        }
    }
}

/// Something to be said of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Note {
    pub(super) object: ObjectRef,
    pub(super) remark: Remark,
}

impl Obstacle {
    #[must_use]
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// What was found on the way.
#[derive(Debug, Default, Clone)]
pub(super) struct Findings {
    pub(super) obstacles: Vec<Obstacle>,
    pub(super) notes: Vec<Note>,
}

impl Findings {
    pub(super) fn meet(&mut self, obstacle: Obstacle) {
        if !self.obstacles.contains(&obstacle) {
            self.obstacles.push(obstacle);
        }
    }

    pub(super) fn note(&mut self, note: Note) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        other.obstacles.into_iter().for_each(|o| self.meet(o));
        other.notes.into_iter().for_each(|note| self.note(note));
    }
}
