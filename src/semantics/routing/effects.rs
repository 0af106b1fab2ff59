//! What becomes of headers, whatever the order in which the changes are written.

use std::collections::BTreeMap;
use std::fmt;

use crate::kinds::complete::virtual_service::HeaderOperations;

/// What becomes of one header.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Effect {
    /// Whether the values that were there are gone.
    pub replaced: bool,
    /// Values that are there now, beside those that stay.
    pub values: Vec<String>,
}

/// What becomes of headers, by their names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Effects(BTreeMap<String, Effect>);

/// A host that header operations set, beside their effects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Operations<'o> {
    set: Vec<(&'o str, &'o str)>,
    add: Vec<(&'o str, &'o str)>,
    remove: Vec<&'o str>,
    /// The host that the operations set.
    pub(super) authority: Option<&'o str>,
}

/// Headers that Envoy does not let routes change (`isInternalHeader`).
fn is_internal(name: &str) -> bool {
    name.starts_with(':') || name.eq_ignore_ascii_case("host")
}

/// `isAuthorityHeader`.
fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case(":authority") || name.eq_ignore_ascii_case("host")
}

impl<'o> Operations<'o> {
    /// The operations of one level (`TranslateHeadersOperations`).
    pub(super) fn of(operations: Option<&'o HeaderOperations>) -> Self {
        let Some(operations) = operations else {
            return Self::default();
        };
        let host = |map: &'o BTreeMap<String, String>| {
            map.iter()
                .rfind(|(name, value)| is_authority(name) && !value.is_empty())
                .map(|(_, value)| value.as_str())
        };
        let plain = |map: &'o BTreeMap<String, String>| {
            map.iter()
                .filter(|(name, _)| !is_internal(name))
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect()
        };
        Self {
            set: plain(&operations.set),
            add: plain(&operations.add),
            remove: operations
                .remove
                .iter()
                .map(String::as_str)
                .filter(|name| !is_internal(name))
                .collect(),
            authority: host(&operations.set).or_else(|| host(&operations.add)),
        }
    }

    /// The operations of this level and of another, in one: a lone destination's are appended to
    /// its route's (`processDestination`).
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.set.extend(&other.set);
        self.add.extend(&other.add);
        self.remove.extend(&other.remove);
        self
    }
}

impl Effects {
    /// Applies the operations of one level: Envoy removes first, then overwrites, then adds.
    pub(super) fn apply(&mut self, level: &Operations<'_>) {
        for name in &level.remove {
            self.replace(name, None);
        }
        for (name, value) in &level.set {
            self.replace(name, Some(value));
        }
        for (name, value) in &level.add {
            let effect = self.0.entry(name.to_ascii_lowercase()).or_default();
            effect.values.push((*value).to_owned());
        }
    }

    fn replace(&mut self, name: &str, value: Option<&str>) {
        let effect = Effect {
            replaced: true,
            values: value.into_iter().map(str::to_owned).collect(),
        };
        self.0.insert(name.to_ascii_lowercase(), effect);
    }

    /// Names and what becomes of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Effect)> {
        self.0.iter().map(|(name, effect)| (name.as_str(), effect))
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, effect)) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            let values = effect.values.join(", ");
            match (effect.replaced, effect.values.is_empty()) {
                (true, true) => write!(f, "-{name}")?,
                (true, false) => write!(f, "{name}={values}")?,
                (false, _) => write!(f, "{name}+={values}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operations(set: &[(&str, &str)], add: &[(&str, &str)], remove: &[&str]) -> HeaderOperations {
        let map = |pairs: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            pairs.iter().map(own).collect()
        };
        HeaderOperations {
            set: map(set),
            add: map(add),
            remove: remove.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn removals_come_first_and_additions_last() {
        let level = operations(
            &[("A", "1")],
            &[("a", "2"), ("b", "3")],
            &["B", "c", "Host"],
        );
        let mut effects = Effects::default();
        effects.apply(&Operations::of(Some(&level)));
        assert_eq!(effects.to_string(), "a=1, 2, b=3, -c");
    }

    #[test]
    fn a_lone_destination_overwrites_before_its_route_adds() {
        let route = operations(&[], &[("a", "route")], &[]);
        let own = operations(&[("a", "own")], &[], &[]);
        let (route, own) = (Operations::of(Some(&route)), Operations::of(Some(&own)));
        let mut lone = Effects::default();
        lone.apply(&route.clone().and(&own));
        assert_eq!(lone.to_string(), "a=own, route");
        let mut weighted = Effects::default();
        weighted.apply(&own);
        weighted.apply(&route);
        assert_eq!(weighted.to_string(), "a=own, route");
    }

    #[test]
    fn the_host_is_no_header() {
        let level = operations(
            &[("host", "a.example")],
            &[(":authority", "b.example")],
            &[],
        );
        let level = Operations::of(Some(&level));
        assert_eq!(level.authority, Some("a.example"));
        let mut effects = Effects::default();
        effects.apply(&level);
        assert!(effects.is_empty());
    }
}
