//! Services that stand for subsets: an HTTPRoute leads to Services only.

use std::collections::BTreeMap;

use super::{Draft, Ground};
use crate::kinds::ObjectRef;

/// The Services that stand for subsets.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    by_subset: BTreeMap<(ObjectRef, String), ObjectRef>,
}

impl Versions {
    pub(super) fn of(_ground: &Ground<'_>) -> Self {
        Self::default()
    }

    /// The Service that stands for a subset of a Service; `None` where there can be none.
    pub(crate) fn of_subset(&self, service: &ObjectRef, subset: &str) -> Option<&ObjectRef> {
        self.by_subset.get(&(service.clone(), subset.to_owned()))
    }

    /// The Services that stand for subsets of a Service, sorted.
    pub(crate) fn of_service(&self, service: &ObjectRef) -> impl Iterator<Item = &ObjectRef> {
        let from = (service.clone(), String::new());
        self.by_subset
            .range(from..)
            .take_while(move |((of, _), _)| of == service)
            .map(|(_, version)| version)
    }
}

pub(super) fn translate(_ground: &Ground<'_>, _draft: &mut Draft) {}
