//! Objects as text: what `-o yaml` prints, what is written to files, and what the proof reads back.

use super::{Manifest, Phase, Translation};
use std::collections::BTreeMap;

use crate::kinds::ObjectRef;

/// An object as a YAML document.
pub fn yaml(manifest: &Manifest) -> String {
    serde_saphyr::to_string(manifest.json()).unwrap_or_default()
}

/// Objects as a stream of YAML documents.
pub fn stream<'m>(manifests: impl IntoIterator<Item = &'m Manifest>) -> String {
    let documents: Vec<String> = manifests.into_iter().map(yaml).collect();
    documents.join("---\n")
}

impl Translation {
    /// The objects that one phase creates or changes, as they are after it, in the order in which
    /// they may be applied.
    pub fn of_phase(&self, phase: Phase) -> Vec<&Manifest> {
        let changes = self.changes.iter();
        let here = changes.filter(|change| change.phase == phase);
        here.filter_map(|change| change.edit.after()).collect()
    }

    /// The objects that one phase removes.
    pub fn removed_in(&self, phase: Phase) -> Vec<&ObjectRef> {
        let changes = self.changes.iter();
        let here = changes.filter(|change| change.phase == phase);
        let gone = here.filter(|change| change.edit.after().is_none());
        gone.map(|change| change.edit.object()).collect()
    }

    /// The objects that changed by the end of a phase and are there then, in the order in which they
    /// may be applied.
    pub fn by_the_end_of(&self, phase: Phase) -> Vec<&Manifest> {
        let mut latest: BTreeMap<&ObjectRef, (usize, Option<&Manifest>)> = BTreeMap::new();
        for (position, change) in self.changes.iter().enumerate() {
            if change.phase <= phase {
                let object = change.edit.object();
                latest.entry(object).or_insert((position, None)).1 = change.edit.after();
            }
        }
        let mut kept: Vec<_> = latest.into_values().collect();
        kept.sort_by_key(|(position, manifest)| {
            (
                manifest.map(|m| super::change::rank(m.object().kind)),
                *position,
            )
        });
        kept.into_iter()
            .filter_map(|(_, manifest)| manifest)
            .collect()
    }
}
