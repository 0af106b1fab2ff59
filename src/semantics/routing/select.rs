//! Which configurations are in force for a host, and in which order.
//!
//! Sources: `pilot/pkg/model/virtualservice.go` (`SelectVirtualServices`), `push_context.go`
//! (`initVirtualServices`), `sidecar.go` (`computeWildcardHostVirtualServiceIndex`),
//! `networking/core/listener_waypoint.go` (`getVirtualServiceForWaypoint`).

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::routes::Host;
use super::table::Origin;
use crate::kinds::Name;
use crate::kinds::complete::virtual_service::HttpRoute;

/// What a rule was written as. It decides what prefixes and rewrites mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Semantics {
    VirtualService,
    /// An HTTPRoute.
    GatewayApi,
}

/// A rule, in the one form that both APIs have in istiod.
#[derive(Debug, Clone)]
pub(super) struct Rule<'r> {
    pub(super) route: Cow<'r, HttpRoute>,
    /// The namespace that completes short hosts.
    pub(super) namespace: Name,
    pub(super) origin: Origin,
    /// Whether the origin is the rule, so that a match has a field of its own below it.
    pub(super) names_matches: bool,
}

/// Who sees a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Export {
    Nobody,
    Everybody,
    Namespaces(BTreeSet<String>),
}

impl Export {
    pub(super) fn of(export_to: &[String], own: &str) -> Self {
        if export_to.is_empty() || export_to.iter().any(|to| to == "*") {
            return Self::Everybody;
        }
        if export_to.iter().any(|to| to == "~") {
            return Self::Nobody;
        }
        let name = |to: &String| {
            if to == "." {
                own.to_owned()
            } else {
                to.clone()
            }
        };
        Self::Namespaces(export_to.iter().map(name).collect())
    }

    pub(super) fn reaches(&self, namespace: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everybody => true,
            Self::Namespaces(names) => names.contains(namespace),
        }
    }
}

/// A VirtualService, or what HTTPRoutes of one namespace were merged to for one host.
#[derive(Debug, Clone)]
pub(super) struct Config<'r> {
    pub(super) name: String,
    pub(super) namespace: Name,
    pub(super) created: Option<Name>,
    pub(super) semantics: Semantics,
    /// Hosts in full, in lower case; they may be wildcards.
    pub(super) hosts: Vec<String>,
    pub(super) in_mesh: bool,
    pub(super) export: Export,
    pub(super) rules: Vec<Rule<'r>>,
}

impl Config<'_> {
    /// The list it is in for a namespace: its own before those exported there before the public
    /// ones; in each, HTTPRoutes of the namespace come first.
    fn rank(&self, namespace: &str) -> Option<(u8, bool)> {
        if !self.in_mesh || !self.export.reaches(namespace) {
            return None;
        }
        let list = match self.export {
            Export::Everybody => 2,
            _ if *self.namespace == *namespace => 0,
            _ => 1,
        };
        let own = self.semantics == Semantics::GatewayApi && *self.namespace == *namespace;
        Some((list, !own))
    }
}

/// Configurations by host, in the order of their creation.
pub(super) struct Index<'r> {
    configs: Vec<Config<'r>>,
    exact: HashMap<String, Vec<usize>>,
    /// Wildcards without their asterisk.
    wild: HashMap<String, Vec<usize>>,
}

impl<'r> Index<'r> {
    pub(super) fn new(mut configs: Vec<Config<'r>>) -> Self {
        // `configCompareByCreationTime`. What was never in a cluster has no time and is older.
        configs.sort_by(|a, b| {
            let key = |config: &Config<'_>| (config.created.clone(), config.name.clone());
            (key(a), &a.namespace).cmp(&(key(b), &b.namespace))
        });
        let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
        let mut wild: HashMap<String, Vec<usize>> = HashMap::new();
        for (number, config) in configs.iter().enumerate() {
            for host in &config.hosts {
                let list = match host.strip_prefix('*') {
                    Some(suffix) => wild.entry(suffix.to_owned()),
                    None => exact.entry(host.clone()),
                };
                let list = list.or_default();
                if list.last() != Some(&number) {
                    list.push(number);
                }
            }
        }
        Self {
            configs,
            exact,
            wild,
        }
    }

    /// Those of a list that a namespace sees, in its order.
    fn ordered(&self, numbers: impl Iterator<Item = usize>, namespace: &str) -> Vec<usize> {
        let mut seen: Vec<_> = numbers
            .filter_map(|n| Some((self.configs[n].rank(namespace)?, n)))
            .collect();
        seen.sort_unstable();
        seen.dedup();
        seen.into_iter().map(|(_, number)| number).collect()
    }

    /// The configurations of which the first with a route is in force at a sidecar.
    ///
    /// Where one names the host, wildcards do not count; else the most specific one does.
    pub(super) fn for_sidecar(
        &self,
        host: &Host,
        client: &str,
    ) -> impl Iterator<Item = &Config<'r>> {
        let name = host.name.to_ascii_lowercase();
        let exact = self.exact.get(&name).into_iter().flatten().copied();
        let mut chosen = self.ordered(exact, client);
        if chosen.is_empty() {
            for suffix in suffixes(&name) {
                let wild = self.wild.get(suffix).into_iter().flatten().copied();
                let first = self.ordered(wild, client).first().copied();
                if let Some(first) = first {
                    // HTTPRoutes do not take the Services that a wildcard matches.
                    chosen.extend(
                        (self.configs[first].semantics == Semantics::VirtualService)
                            .then_some(first),
                    );
                    break;
                }
            }
        }
        let (client, owner) = (client.to_owned(), host.namespace.clone());
        chosen
            .into_iter()
            .map(|n| &self.configs[n])
            .filter(move |config| {
                // An HTTPRoute counts for clients of its namespace, or for everybody where it is in
                // the namespace of the Service.
                config.semantics == Semantics::VirtualService
                    || *config.namespace == *owner
                    || *config.namespace == *client
            })
    }

    /// The configurations whose routes a waypoint appends.
    pub(super) fn for_waypoint(
        &self,
        host: &Host,
        waypoint: &str,
    ) -> impl Iterator<Item = &Config<'r>> {
        let name = host.name.to_ascii_lowercase();
        let exact = self.exact.get(&name).into_iter().flatten();
        let wild = suffixes(&name)
            .filter_map(|suffix| self.wild.get(suffix))
            .flatten();
        let chosen = self.ordered(exact.chain(wild).copied(), waypoint);
        let (waypoint, owner) = (waypoint.to_owned(), host.namespace.clone());
        chosen
            .into_iter()
            .map(|n| &self.configs[n])
            .filter(move |config| *config.namespace == *waypoint || *config.namespace == *owner)
    }
}

/// What a wildcard may leave of a name, the most specific first.
fn suffixes(name: &str) -> impl Iterator<Item = &str> {
    (0..=name.len()).filter_map(|start| name.get(start..))
}
