//! One copy of what many objects repeat. Ten thousand pods share a few hundred label sets.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Labels, Name};

/// Gives equal names and equal label sets one allocation.
#[derive(Debug, Default)]
pub struct Interner {
    names: HashSet<Name>,
    labels: HashSet<Labels>,
}

impl Interner {
    /// The shared copy of a name.
    pub fn name(&mut self, text: &str) -> Name {
        if let Some(name) = self.names.get(text) {
            return name.clone();
        }
        let name = Name::from(text);
        self.names.insert(name.clone());
        name
    }

    /// The shared copy of a label set.
    pub fn labels(&mut self, pairs: &[(Cow<'_, str>, Cow<'_, str>)]) -> Labels {
        let pairs = pairs
            .iter()
            .map(|(key, value)| (self.name(key), self.name(value)))
            .collect();
        let labels = Labels::from_pairs(pairs);
        if let Some(shared) = self.labels.get(&labels) {
            return shared.clone();
        }
        self.labels.insert(labels.clone());
        labels
    }
}
