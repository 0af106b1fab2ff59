//! Which kinds the server serves, in which versions.
//!
//! A kind that is absent is simply not served. A group version that the server cannot speak for at
//! the moment (an aggregated API whose backend is down) is another thing, and is kept apart.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Client;
use super::error::ClientError;
use super::request::{Read, accept};
use super::target::group_version_path;

/// A kind that is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedKind {
    /// The kind, e.g. `Pod`.
    pub kind: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// The verbs, e.g. `list`, sorted.
    pub verbs: BTreeSet<String>,
}

/// Whether a kind is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Served<'a> {
    /// It is.
    Yes(&'a ServedKind),
    /// It is not.
    No,
    /// The server could not say.
    Unknown {
        /// Why not.
        reason: &'a str,
    },
}

/// What the server serves of the groups that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    groups: BTreeMap<String, Vec<Version>>,
}

/// One version of a group, in the server's order of preference.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Version {
    name: String,
    /// The kinds by plural, or why they are not known.
    kinds: Result<BTreeMap<String, ServedKind>, String>,
}

impl Discovery {
    /// Whether a kind is served in this version. The core group's name is empty.
    pub fn served(&self, group: &str, version: &str, plural: &str) -> Served<'_> {
        let versions = self.groups.get(group).map_or(&[][..], Vec::as_slice);
        match versions
            .iter()
            .find(|known| known.name == version)
            .map(|known| &known.kinds)
        {
            None => Served::No,
            Some(Ok(kinds)) => kinds.get(plural).map_or(Served::No, Served::Yes),
            Some(Err(reason)) => Served::Unknown { reason },
        }
    }

    /// The versions in which a kind is served, the one that the server prefers first.
    pub fn versions(&self, group: &str, plural: &str) -> Vec<&str> {
        self.groups
            .get(group)
            .into_iter()
            .flatten()
            .filter(|version| {
                version
                    .kinds
                    .as_ref()
                    .is_ok_and(|kinds| kinds.contains_key(plural))
            })
            .map(|version| version.name.as_str())
            .collect()
    }

    /// The group versions that the server could not speak for, with the reason.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.groups.iter().flat_map(|(group, versions)| {
            versions.iter().filter_map(move |version| {
                let reason = version.kinds.as_ref().err()?;
                Some((group.as_str(), version.name.as_str(), reason.as_str()))
            })
        })
    }
}

impl Client {
    /// Asks what the server serves of `groups`; the core group's name is empty.
    ///
    /// A server that knows aggregated discovery (by default since Kubernetes 1.27, in this form
    /// since 1.30) answers in two requests; an older one is asked for each version of each group.
    pub async fn discover(&self, groups: &[&str]) -> Result<Discovery, ClientError> {
        let mut discovery = Discovery::default();
        let wants_core = groups.contains(&"");
        let wants_named = groups.iter().any(|group| !group.is_empty());
        for root in [wants_core.then_some("/api"), wants_named.then_some("/apis")]
            .into_iter()
            .flatten()
        {
            let read = discovery_read("the API's groups", root.to_owned(), accept::DISCOVERY);
            let answer = self.read_json::<Root>(&read).await;
            match answer.map_err(ClientError::of_what_every_server_has)? {
                Root {
                    items: Some(items), ..
                } => {
                    for group in items
                        .into_iter()
                        .filter(|item| groups.contains(&item.metadata.name.as_str()))
                    {
                        let versions = group.versions.into_iter().map(Version::from).collect();
                        discovery.groups.insert(group.metadata.name, versions);
                    }
                }
                Root {
                    groups: Some(all), ..
                } => {
                    for group in all
                        .into_iter()
                        .filter(|group| groups.contains(&group.name.as_str()))
                    {
                        let names = group.versions.into_iter().map(|version| version.version);
                        let versions = self.ask_versions(&group.name, names).await?;
                        discovery.groups.insert(group.name, versions);
                    }
                }
                Root {
                    versions: Some(names),
                    ..
                } => {
                    let versions = self.ask_versions("", names.into_iter()).await?;
                    discovery.groups.insert(String::new(), versions);
                }
                Root { .. } => {
                    return Err(ClientError::Malformed {
                        what: read.what,
                        why: format!("neither groups nor versions at {root}"),
                    });
                }
            }
        }
        Ok(discovery)
    }

    /// Asks for the resources of each version by itself.
    async fn ask_versions(
        &self,
        group: &str,
        names: impl Iterator<Item = String>,
    ) -> Result<Vec<Version>, ClientError> {
        let mut versions = Vec::new();
        for name in names {
            let path = group_version_path(group, &name);
            let read = discovery_read(&format!("the resources of {path}"), path, accept::OBJECT);
            let kinds = match self.read_json::<ResourceList>(&read).await {
                Ok(list) => Ok(list.kinds()),
                // Listed a moment ago and gone: not served.
                Err(ClientError::NotFound { .. }) => continue,
                // The server answers, only not for this one.
                Err(
                    error @ (ClientError::Server { .. }
                    | ClientError::Throttled { .. }
                    | ClientError::Forbidden { .. }
                    | ClientError::Malformed { .. }),
                ) => Err(error.to_string()),
                Err(error) => return Err(error),
            };
            versions.push(Version { name, kinds });
        }
        Ok(versions)
    }
}

fn discovery_read(what: &str, target: String, accept: &'static str) -> Read {
    Read {
        what: what.to_owned(),
        target,
        accept,
        post: None,
    }
}

/// What `/api` and `/apis` answer: `APIGroupDiscoveryList` (`items`), `APIGroupList` (`groups`) or
/// `APIVersions` (`versions`).
#[derive(Deserialize)]
struct Root {
    items: Option<Vec<GroupDiscovery>>,
    groups: Option<Vec<Group>>,
    versions: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct GroupDiscovery {
    #[serde(default)]
    metadata: GroupName,
    #[serde(default)]
    versions: Vec<VersionDiscovery>,
}

/// The core group's metadata has no name.
#[derive(Deserialize, Default)]
struct GroupName {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct VersionDiscovery {
    version: String,
    #[serde(default)]
    resources: Vec<ResourceDiscovery>,
    #[serde(default)]
    freshness: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceDiscovery {
    resource: String,
    #[serde(default)]
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    verbs: BTreeSet<String>,
}

#[derive(Deserialize, Default)]
struct ResponseKind {
    #[serde(default)]
    kind: String,
}

impl From<VersionDiscovery> for Version {
    fn from(found: VersionDiscovery) -> Self {
        if found.freshness == "Stale" {
            return Self {
                name: found.version,
                kinds: Err(
                    "the API service behind it does not answer (stale discovery)".to_owned(),
                ),
            };
        }
        let kinds = found
            .resources
            .into_iter()
            .map(|found| {
                let kind = ServedKind {
                    kind: found.response_kind.unwrap_or_default().kind,
                    namespaced: found.scope == "Namespaced",
                    verbs: found.verbs,
                };
                (found.resource, kind)
            })
            .collect();
        Self {
            name: found.version,
            kinds: Ok(kinds),
        }
    }
}

#[derive(Deserialize)]
struct Group {
    name: String,
    #[serde(default)]
    versions: Vec<GroupVersion>,
}

#[derive(Deserialize)]
struct GroupVersion {
    version: String,
}

/// `APIResourceList`.
#[derive(Deserialize)]
struct ResourceList {
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    name: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    namespaced: bool,
    #[serde(default)]
    verbs: BTreeSet<String>,
}

impl ResourceList {
    /// The kinds by plural, without subresources.
    fn kinds(self) -> BTreeMap<String, ServedKind> {
        self.resources
            .into_iter()
            .filter(|resource| !resource.name.contains('/'))
            .map(|resource| {
                let kind = ServedKind {
                    kind: resource.kind,
                    namespaced: resource.namespaced,
                    verbs: resource.verbs,
                };
                (resource.name, kind)
            })
            .collect()
    }
}
