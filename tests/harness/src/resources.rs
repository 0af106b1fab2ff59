//! The kinds that a server serves, and the paths of their objects.

use std::fmt;

use serde::Deserialize;

use crate::error::{Error, Result};

/// One kind of objects, as the server serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version, e.g. `v1`.
    pub version: String,
    /// The kind, e.g. `Deployment`.
    pub kind: String,
    /// The resource's plural, e.g. `deployments`.
    pub plural: String,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// The path of the collection, or of one object.
    pub fn path(&self, namespace: Option<&str>, name: Option<&str>) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if let (true, Some(namespace)) = (self.namespaced, namespace) {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        path.push('/');
        path.push_str(&self.plural);
        if let Some(name) = name {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// How messages name an object of it: `Deployment shop/cart`.
    pub fn describe(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{} {namespace}/{name}", self.kind),
            None => format!("{} {name}", self.kind),
        }
    }

    fn answers_to(&self, word: &str) -> bool {
        word.eq_ignore_ascii_case(&self.kind) || word.eq_ignore_ascii_case(&self.plural)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

/// All kinds of a server, in its own order of preference.
#[derive(Debug, Clone, Default)]
pub struct Resources(Vec<Resource>);

impl Resources {
    /// Reads the answers to `/api` and `/apis` in the aggregated form.
    pub(crate) fn from_discovery(documents: &[Discovery]) -> Self {
        let mut all = Vec::new();
        for group in documents.iter().flat_map(|document| &document.items) {
            for version in &group.versions {
                for resource in &version.resources {
                    let Some(kind) = resource.response_kind.as_ref() else {
                        continue;
                    };
                    all.push(Resource {
                        group: group.metadata.name.clone(),
                        version: version.version.clone(),
                        kind: kind.kind.clone(),
                        plural: resource.resource.clone(),
                        namespaced: resource.scope == "Namespaced",
                    });
                }
            }
        }
        Self(all)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.0.iter()
    }

    /// The kind that `word` means: `Deployment`, `deployments`, `Gateway.networking.istio.io`. Where
    /// several groups have the word, the core group is meant; else the group must be said.
    pub fn named(&self, word: &str) -> Result<&Resource> {
        let (plain, group) = match word.split_once('.') {
            Some((plain, group)) => (plain, Some(group)),
            None => (word, None),
        };
        let mut found: Vec<&Resource> = Vec::new();
        for resource in &self.0 {
            let wanted = resource.answers_to(plain)
                && group.is_none_or(|group| group.eq_ignore_ascii_case(&resource.group));
            if wanted && found.iter().all(|seen| seen.group != resource.group) {
                found.push(resource);
            }
        }
        match found.as_slice() {
            [] => Err(Error::new(format!("the server has no kind `{word}`"))),
            [only] => Ok(only),
            several => several
                .iter()
                .find(|resource| resource.group.is_empty())
                .copied()
                .ok_or_else(|| {
                    let names: Vec<String> = several.iter().map(ToString::to_string).collect();
                    Error::new(format!(
                        "`{word}` is a kind of several groups: say one of {}",
                        names.join(", ")
                    ))
                }),
        }
    }

    /// The kind of a manifest.
    pub fn of(&self, api_version: &str, kind: &str) -> Result<&Resource> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.0
            .iter()
            .find(|one| one.group == group && one.version == version && one.kind == kind)
            .ok_or_else(|| Error::new(format!("the server has no {kind} of {api_version}")))
    }
}

/// `apidiscovery.k8s.io/v2 APIGroupDiscoveryList`, the parts that are read.
#[derive(Debug, Deserialize)]
pub(crate) struct Discovery {
    #[serde(default)]
    items: Vec<Group>,
}

#[derive(Debug, Deserialize)]
struct Group {
    #[serde(default)]
    metadata: GroupMeta,
    #[serde(default)]
    versions: Vec<Version>,
}

#[derive(Debug, Default, Deserialize)]
struct GroupMeta {
    #[serde(default)]
    name: String,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: String,
    #[serde(default)]
    resources: Vec<Served>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Served {
    resource: String,
    #[serde(default)]
    response_kind: Option<ResponseKind>,
    #[serde(default)]
    scope: String,
}

#[derive(Debug, Deserialize)]
struct ResponseKind {
    kind: String,
}

/// What discovery is asked to answer with.
pub(crate) const DISCOVERY: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
