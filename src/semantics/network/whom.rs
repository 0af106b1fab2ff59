//! Callers, meant by what is known of them.

use std::collections::BTreeMap;

use crate::kinds::network_policy::{IpBlock, NetworkPeer};
use crate::kinds::{LabelSelector, Name};

/// Which callers are meant.
#[derive(Debug, Clone, PartialEq)]
pub enum Whom<'p> {
    /// All of them, or none.
    Always(bool),
    /// Those whom each of these means.
    All(Vec<Whom<'p>>),
    /// Those whom one of these means.
    Any(Vec<Whom<'p>>),
    /// All others.
    Not(Box<Whom<'p>>),
    /// Pods of any kind, not what stands outside of the cluster.
    Pods,
    /// Pods of this namespace.
    Of(&'p Name),
    /// Pods of namespaces with such labels.
    OfNamespaces(&'p LabelSelector),
    /// Pods with such labels.
    With(&'p LabelSelector),
    /// Those at these addresses.
    At(&'p IpBlock),
    /// Everyone, where the pods that are called are at these addresses.
    CalledAt(&'p IpBlock),
    /// Pods of these namespaces, as far as is said for each; of others all.
    ByNamespace(BTreeMap<&'p Name, Whom<'p>>),
}

impl<'p> Whom<'p> {
    /// Everyone.
    pub const EVERYONE: Self = Self::Always(true);
    /// Nobody.
    pub const NOBODY: Self = Self::Always(false);

    /// Those whom a peer means, named by a policy of a namespace as callers of its pods.
    pub fn of(peer: &'p NetworkPeer, home: &'p Name) -> Self {
        if let Some(block) = &peer.ip_block {
            return Self::At(block);
        }
        let mut parts = vec![match &peer.namespace_selector {
            None => Self::Of(home),
            Some(selector) if selector.is_empty() => Self::Pods,
            Some(selector) => Self::OfNamespaces(selector),
        }];
        let labels = peer.pod_selector.as_ref();
        let labels = labels.filter(|selector| !selector.is_empty());
        parts.extend(labels.map(Self::With));
        Self::all(parts)
    }

    /// Those whom each of these means.
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::Always(true) => {}
                Self::Always(false) => return Self::NOBODY,
                part => kept.push(part),
            }
        }
        match kept.len() {
            0 => Self::EVERYONE,
            1 => kept.remove(0),
            _ => Self::All(kept),
        }
    }

    /// Those whom one of these means.
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut kept = Vec::new();
        for part in parts {
            match part {
                Self::Always(false) => {}
                Self::Always(true) => return Self::EVERYONE,
                part => kept.push(part),
            }
        }
        match kept.len() {
            0 => Self::NOBODY,
            1 => kept.remove(0),
            _ => Self::Any(kept),
        }
    }

    /// All others.
    #[must_use]
    pub fn others(self) -> Self {
        match self {
            Self::Always(all) => Self::Always(!all),
            Self::Not(whom) => *whom,
            whom => Self::Not(Box::new(whom)),
        }
    }

    /// Whether everyone whom another means is meant, as far as their forms tell.
    pub(super) fn covers(&self, narrow: &Self) -> bool {
        match (self, narrow) {
            (Self::Always(true), _) | (_, Self::Always(false)) => true,
            (wide, narrow) if wide == narrow => true,
            (wide, Self::Any(parts)) => parts.iter().all(|part| wide.covers(part)),
            (Self::All(parts), narrow) => parts.iter().all(|part| part.covers(narrow)),
            (Self::Any(wide), Self::All(parts)) => {
                wide.iter().any(|one| one.covers(narrow))
                    || parts.iter().any(|part| self.covers(part))
            }
            (Self::Any(parts), narrow) => parts.iter().any(|part| part.covers(narrow)),
            (wide, Self::All(parts)) => parts.iter().any(|part| wide.covers(part)),
            _ => false,
        }
    }

    /// Whether surely nobody is meant.
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::Always(false))
    }
}
