//! Checks whose findings are what a translation says: `convert` and `check` speak of the same thing
//! with one voice.
//!
//! What is only written in another form is no finding: it is said by `convert`.

use super::{Check, Meta, Remedy, Severity, Sink, View};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::translate::{Remark, Topic, Weight};

/// A check that reports the remarks of a topic.
#[derive(Debug)]
pub struct Translated {
    meta: &'static Meta,
    topic: Topic,
}

impl Translated {
    /// Reports the remarks of this topic.
    pub const fn new(meta: &'static Meta, topic: Topic) -> Self {
        Self { meta, topic }
    }
}

impl Check for Translated {
    fn meta(&self) -> &'static Meta {
        self.meta
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for treatment in &view.translation().treatments {
            let namespace = home(&treatment.object);
            if !view.judges(namespace) {
                continue;
            }
            for remark in treatment
                .remarks
                .iter()
                .filter(|remark| remark.topic == self.topic)
            {
                let Some(severity) = severity(remark.weight) else {
                    continue;
                };
                out.find(
                    namespace,
                    severity,
                    (treatment.object.clone(), remark.field.clone()),
                    remark.says.clone(),
                    remedy(remark),
                );
            }
        }
    }
}

/// The namespace that an object is of, or is.
fn home(object: &ObjectRef) -> &Name {
    if object.kind == Kind::Namespace {
        &object.name
    } else {
        &object.namespace
    }
}

/// How much a remark weighs; `None` for what changes nothing.
const fn severity(weight: Weight) -> Option<Severity> {
    match weight {
        Weight::Form => None,
        Weight::Kept => Some(Severity::Info),
        Weight::Stated => Some(Severity::Warning),
        Weight::Lossy | Weight::Refused => Some(Severity::Blocking),
    }
}

fn remedy(remark: &Remark) -> Remedy {
    match &remark.remedy {
        Some(remedy) => Remedy::person(remedy.clone()),
        None => Remedy::Nothing,
    }
}
