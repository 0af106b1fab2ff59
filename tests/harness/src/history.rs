//! What happened to objects, in order: what the recorder saw, and how tests ask about it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::condition::name;
use crate::error::{Error, Result};

/// How an object changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// It was there when the recording began.
    Present,
    /// It was created.
    Created,
    /// It was changed.
    Changed,
    /// It is gone; the object is its last state.
    Deleted,
}

/// One object at one version.
#[derive(Debug, Clone)]
pub struct Moment {
    /// How it came to be so.
    pub event: Event,
    /// The object's version, by which moments of all kinds are ordered.
    pub version: u64,
    /// The object as it was then, with `kind` and `apiVersion`.
    pub object: Value,
}

impl Moment {
    /// `Deployment shop/cart`.
    pub fn describe(&self) -> String {
        let kind = self.object["kind"].as_str().unwrap_or("(no kind)");
        match self.object["metadata"]["namespace"].as_str() {
            Some(namespace) => format!("{kind} {namespace}/{}", name(&self.object)),
            None => format!("{kind} {}", name(&self.object)),
        }
    }
}

/// All moments of a recording, in the order in which the server made them.
#[derive(Debug, Clone, Default)]
pub struct History {
    moments: Vec<Moment>,
}

impl History {
    /// Orders moments by version. (All kinds of a server share one count.)
    pub fn new(mut moments: Vec<Moment>) -> Self {
        moments.sort_by_key(|moment| moment.version);
        Self { moments }
    }

    /// All moments.
    pub fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// The moments of one object, by kind and name.
    #[must_use]
    pub fn of(&self, kind: &str, object: &str) -> Self {
        self.filtered(|moment| moment.object["kind"] == kind && name(&moment.object) == object)
    }

    /// The moments of all objects of a kind.
    #[must_use]
    pub fn of_kind(&self, kind: &str) -> Self {
        self.filtered(|moment| moment.object["kind"] == kind)
    }

    /// The moments that are changes: not what was there before.
    #[must_use]
    pub fn changes(&self) -> Self {
        self.filtered(|moment| moment.event != Event::Present)
    }

    fn filtered(&self, keep: impl Fn(&Moment) -> bool) -> Self {
        let moments = self.moments.iter().filter(|moment| keep(moment));
        Self {
            moments: moments.cloned().collect(),
        }
    }

    /// The states that all objects had together: after each moment, everything that then existed.
    pub fn states(&self) -> impl Iterator<Item = State<'_>> {
        let mut now: BTreeMap<String, &Value> = BTreeMap::new();
        let present = self
            .moments
            .iter()
            .filter(|moment| moment.event == Event::Present);
        for moment in present {
            now.insert(moment.describe(), &moment.object);
        }
        let changes = self
            .moments
            .iter()
            .filter(|moment| moment.event != Event::Present);
        let beginning = now.clone();
        let first = State {
            after: None,
            objects: beginning,
        };
        std::iter::once(first).chain(changes.map(move |moment| {
            match moment.event {
                Event::Deleted => now.remove(&moment.describe()),
                _ => now.insert(moment.describe(), &moment.object),
            };
            State {
                after: Some(moment),
                objects: now.clone(),
            }
        }))
    }

    /// Holds if `claim` is true of every state. The error tells after which change it was not.
    #[track_caller]
    pub fn always(&self, says: &str, claim: impl Fn(&State<'_>) -> bool) -> Result {
        let at = std::panic::Location::caller();
        for state in self.states() {
            if !claim(&state) {
                let when = state.after.map_or_else(
                    || "at the beginning".to_owned(),
                    |moment| {
                        format!(
                            "after {:?} {} (version {})",
                            moment.event,
                            moment.describe(),
                            moment.version
                        )
                    },
                );
                let there: Vec<&str> = state.objects.keys().map(String::as_str).collect();
                return Err(Error::new(format!("not always {says}: not {when}"))
                    .with(format_args!("there were: {}", there.join(", ")))
                    .with(self.told())
                    .at(at));
            }
        }
        Ok(())
    }

    /// The history in lines, for messages.
    pub fn told(&self) -> String {
        let lines: Vec<String> = self
            .moments
            .iter()
            .map(|moment| {
                let event = format!("{:?}", moment.event).to_lowercase();
                format!("{:>9} {event:8} {}", moment.version, moment.describe())
            })
            .collect();
        lines.join("\n")
    }
}

/// Everything that existed at one time.
#[derive(Debug, Clone)]
pub struct State<'a> {
    /// The change that led here; none at the beginning.
    pub after: Option<&'a Moment>,
    objects: BTreeMap<String, &'a Value>,
}

impl State<'_> {
    /// One object, by kind and name, if it existed.
    pub fn get(&self, kind: &str, object: &str) -> Option<&Value> {
        self.of_kind(kind).find(|one| name(one) == object)
    }

    /// The objects of a kind.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.objects
            .values()
            .copied()
            .filter(move |object| object["kind"] == kind)
    }
}
