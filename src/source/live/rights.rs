//! Rights, asked for before anything is listed: a missing one is named once, and not met again as a
//! refusal of every page.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;

use super::Miss;
use crate::client::{Access, AccessRules, AccessVerdict, Client, ClientError};
use crate::error::Error;
use crate::kinds::{Kind, Name, Scope};

/// What may be listed. Where the server does not answer reviews, everything is tried.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// Kinds that may not be listed cluster-wide, with the reason.
    denied: BTreeMap<Kind, String>,
    /// What may be done in single namespaces; asked only if something is denied.
    rules: BTreeMap<Name, AccessRules>,
}

impl Rights {
    /// Asks for the right to list each kind cluster-wide; who may list everything is asked once.
    pub(super) async fn ask(
        client: &Client,
        kinds: &BTreeMap<Kind, String>,
    ) -> Result<Self, Error> {
        match answer(client.can_i(&list("*", "*", None)).await)? {
            Some(AccessVerdict::Denied { .. }) => {}
            Some(AccessVerdict::Allowed) | None => return Ok(Self::default()),
        }
        let reviews = kinds.keys().map(|kind| async move {
            let access = list(kind.group(), kind.plural(), None);
            let verdict = answer(client.can_i(&access).await)?;
            Ok::<_, Error>(refusal(*kind, None, verdict).map(|reason| (*kind, reason)))
        });
        Ok(Self {
            denied: try_join_all(reviews).await?.into_iter().flatten().collect(),
            rules: BTreeMap::new(),
        })
    }

    /// Asks what may be done in these namespaces, if not everything may be listed cluster-wide.
    pub(super) async fn review(
        &mut self,
        client: &Client,
        namespaces: &BTreeSet<Name>,
    ) -> Result<(), Error> {
        if self.denied.is_empty() {
            return Ok(());
        }
        let reviews = namespaces.iter().map(|namespace| async move {
            let rules = answer(client.access_rules(namespace).await)?;
            Ok::<_, Error>(rules.map(|rules| (namespace.clone(), rules)))
        });
        self.rules = try_join_all(reviews).await?.into_iter().flatten().collect();
        Ok(())
    }

    /// Whether the server said that none of these kinds may be listed, neither cluster-wide nor in any
    /// of these namespaces. Where it gave no answer that is complete, it did not say so.
    pub(super) fn are_none(
        &self,
        kinds: impl IntoIterator<Item = Kind>,
        homes: &BTreeSet<Name>,
    ) -> bool {
        let mut kinds = kinds.into_iter().peekable();
        kinds.peek().is_some()
            && kinds.all(|kind| {
                self.denied.contains_key(&kind)
                    && homes.iter().all(|home| {
                        self.rules.get(home).is_some_and(|rules| {
                            rules.is_complete() && !rules.allow("list", kind.group(), kind.plural())
                        })
                    })
            })
    }

    /// Why a kind may not be listed cluster-wide; `None` when it may, or may be tried.
    pub(super) fn everywhere(&self, kind: Kind) -> Option<&str> {
        self.denied.get(&kind).map(String::as_str)
    }

    /// Why a kind may not be listed in a namespace; `None` when it may, or may be tried.
    pub(super) async fn within(
        &self,
        client: &Client,
        kind: Kind,
        namespace: &Name,
    ) -> Result<Option<String>, Error> {
        let Some(rules) = self
            .rules
            .get(namespace)
            .filter(|_| self.denied.contains_key(&kind))
        else {
            return Ok(None);
        };
        if rules.allow("list", kind.group(), kind.plural()) {
            return Ok(None);
        }
        if rules.is_complete() {
            return Ok(Some(words(kind, Some(namespace), "")));
        }
        let access = list(kind.group(), kind.plural(), Some(namespace));
        let verdict = answer(client.can_i(&access).await)?;
        Ok(refusal(kind, Some(namespace), verdict))
    }
}

fn list(group: &str, plural: &str, namespace: Option<&Name>) -> Access {
    Access {
        verb: "list".to_owned(),
        group: group.to_owned(),
        plural: plural.to_owned(),
        namespace: namespace.map(|name| name.as_ref().to_owned()),
        name: None,
    }
}

/// The answer of a review; nothing where the server gives none, which is no answer on the right
/// itself.
fn answer<T>(outcome: Result<T, ClientError>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => Miss::of(error).map(|_| None),
    }
}

fn refusal(kind: Kind, namespace: Option<&Name>, verdict: Option<AccessVerdict>) -> Option<String> {
    match verdict? {
        AccessVerdict::Allowed => None,
        AccessVerdict::Denied { reason } => Some(words(kind, namespace, &reason)),
    }
}

fn words(kind: Kind, namespace: Option<&Name>, reason: &str) -> String {
    let mut words = "no right to list them".to_owned();
    if namespace.is_none() && kind.scope() == Scope::Namespaced {
        words.push_str(" in all namespaces");
    }
    if !reason.is_empty() {
        words.push_str(" (");
        words.push_str(reason);
        words.push(')');
    }
    words
}
