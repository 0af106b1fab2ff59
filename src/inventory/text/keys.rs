//! The keys of a mapping that is being read.

use std::collections::HashSet;
use std::ops::Range;

/// The keys of a mapping, to find one that is given twice.
#[derive(Default)]
pub(super) struct Keys {
    /// Where each stands in the JSON, with its quotes.
    pub(super) written: Vec<Range<usize>>,
    /// The same keys, once there are too many to compare one by one.
    index: HashSet<Box<str>>,
}

/// More keys than this are looked up instead of compared.
const FEW_KEYS: usize = 24;

impl Keys {
    /// Whether a key is there; `key` as it is written in JSON.
    pub(super) fn contains(&self, json: &str, key: &str) -> bool {
        if self.written.len() <= FEW_KEYS {
            self.written.iter().any(|range| &json[range.clone()] == key)
        } else {
            self.index.contains(key)
        }
    }

    /// Adds the key that stands at `range` in the JSON.
    pub(super) fn add(&mut self, json: &str, range: Range<usize>) {
        self.written.push(range);
        if self.written.len() > FEW_KEYS {
            let first = if self.index.is_empty() {
                0
            } else {
                self.written.len() - 1
            };
            for range in &self.written[first..] {
                self.index.insert(Box::from(&json[range.clone()]));
            }
        }
    }
}
