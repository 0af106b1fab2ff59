//! Checks whose findings are what a translation says: `convert` and `check` speak of the same thing
//! with one voice.
//!
//! What is only written in another form is no finding, but where nothing else is said of a topic and
//! who reads it decides better: there it is `info`.

use super::{Check, Meta, Remedy, Severity, Sink, View};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::translate::{Remark, Topic, Treatment, Weight};

/// A check that reports the remarks of a topic.
#[derive(Debug)]
pub struct Translated {
    meta: &'static Meta,
    topic: Topic,
    /// How much it weighs that something is written in another form.
    form: Option<Severity>,
    /// Whether another check tells of it.
    told: fn(&ObjectRef, &Remark) -> bool,
}

impl Translated {
    /// Reports the remarks of this topic.
    pub const fn new(meta: &'static Meta, topic: Topic) -> Self {
        Self {
            meta,
            topic,
            form: None,
            told: |_, _| false,
        }
    }

    /// Reports the remarks of this topic, those too that say what is written in another form.
    pub const fn with_forms(meta: &'static Meta, topic: Topic) -> Self {
        let mut check = Self::new(meta, topic);
        check.form = Some(Severity::Info);
        check
    }

    /// Leaves out what another check tells of.
    #[must_use]
    pub const fn unless(mut self, told: fn(&ObjectRef, &Remark) -> bool) -> Self {
        self.told = told;
        self
    }

    /// How much a remark weighs; `None` for what is no finding.
    const fn severity(&self, weight: Weight) -> Option<Severity> {
        match weight {
            Weight::Form => self.form,
            Weight::Kept => Some(Severity::Info),
            Weight::Stated => Some(Severity::Warning),
            Weight::Lossy | Weight::Refused => Some(Severity::Blocking),
        }
    }
}

impl Check for Translated {
    fn meta(&self) -> &'static Meta {
        self.meta
    }

    fn asks_for_treatments(&self) -> bool {
        true
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for treatment in view.treatments() {
            let namespace = home(&treatment.object);
            if !view.judges(namespace) {
                continue;
            }
            for remark in treatment
                .remarks
                .iter()
                .filter(|remark| remark.topic == self.topic)
                .filter(|remark| !(self.told)(&treatment.object, remark))
            {
                let Some(severity) = self.severity(remark.weight) else {
                    continue;
                };
                out.find(
                    namespace,
                    severity,
                    (treatment.object.clone(), remark.field.clone()),
                    says(treatment, remark),
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

/// What is said; of a VirtualService that is kept also that it is.
fn says(treatment: &Treatment, remark: &Remark) -> String {
    if treatment.object.kind == Kind::VirtualService && remark.weight == Weight::Kept {
        let says = &remark.says;
        return format!("{says}; the VirtualService stays, and a waypoint does what it says");
    }
    remark.says.clone()
}

fn remedy(remark: &Remark) -> Remedy {
    match &remark.remedy {
        Some(remedy) => Remedy::person(remedy.clone()),
        None => Remedy::Nothing,
    }
}
