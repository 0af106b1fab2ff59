//! Istio's own installation: control planes, ztunnel, the CNI plugin, the mesh configuration.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::cni::CniConfig;
use super::injection::REVISION_LABEL;
use crate::inventory::{Inventory, Object};
use crate::kinds::installation::ConfigMap;
use crate::kinds::workload::{DaemonSet, Deployment};
use crate::kinds::{Kind, Labels, Name, ObjectRef, is_true};

/// A release of Istio, e.g. 1.27.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 1.
    pub major: u32,
    /// 27.
    pub minor: u32,
    /// 1; 0 for builds that do not tell.
    pub patch: u32,
}

impl Version {
    /// A release without its patch level.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self {
            major,
            minor,
            patch: 0,
        }
    }

    /// Reads `1.27.1`, `v1.27`, `1.27.1-distroless`, `1.32-alpha.86c9f01`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let release = text.split(['-', '+']).next()?;
        let mut parts = release.split('.').map(str::parse);
        let (major, minor) = (parts.next()?.ok()?, parts.next()?.ok()?);
        let patch = parts.next().and_then(Result::ok).unwrap_or(0);
        Some(Self {
            major,
            minor,
            patch,
        })
    }

    /// Reads the tag of an image, e.g. `registry/istio/pilot:1.27.1@sha256:…`.
    pub fn of_image(image: &str) -> Option<Self> {
        let image = image.split('@').next()?;
        let (_, tag) = image.rsplit('/').next()?.rsplit_once(':')?;
        Self::parse(tag)
    }

    /// `1.27`, the release without its patch level.
    pub fn minor_text(self) -> String {
        format!("{}.{}", self.major, self.minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// One istiod.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    /// Its Deployment.
    pub object: ObjectRef,
    /// Its revision; `default` when it has none.
    pub revision: String,
    /// Its version, from its image's tag or the label `app.kubernetes.io/version`.
    pub version: Option<Version>,
    /// Names and literal values of its environment.
    pub env: Vec<(String, Option<String>)>,
    /// Whether the proxies that it injects speak HBONE, by its mesh configuration
    /// (`defaultConfig.proxyMetadata.ISTIO_META_ENABLE_HBONE`); `None` when that was not read.
    pub gives_hbone: Option<bool>,
}

/// What an environment variable says of a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// It is not there.
    Unset,
    /// It is written out.
    Literal(bool),
    /// Its value comes from another object.
    Elsewhere,
}

impl ControlPlane {
    /// A flag of istiod: the literal value of an environment variable.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env
            .iter()
            .find(|(key, _)| key == name)
            .and_then(|(_, value)| value.as_deref())
    }

    /// Whether a boolean flag is on.
    pub fn flag(&self, name: &str) -> bool {
        self.switch(name) == Switch::Literal(true)
    }

    /// What the environment says of a boolean flag.
    pub fn switch(&self, name: &str) -> Switch {
        match self.env.iter().find(|(key, _)| key == name) {
            None => Switch::Unset,
            Some((_, None)) => Switch::Elsewhere,
            Some((_, Some(value))) => Switch::Literal(is_true(value)),
        }
    }
}

/// A DaemonSet of the installation.
#[derive(Debug, Clone)]
pub struct NodeAgent {
    /// The object.
    pub object: ObjectRef,
    /// Its version.
    pub version: Option<Version>,
    /// Nodes that should run it.
    pub desired: u32,
    /// Nodes that run it, ready.
    pub ready: u32,
}

/// What a mesh's ConfigMap says, and what holds where it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeshConfig {
    /// The ConfigMap; `None` when none was read.
    pub object: Option<ObjectRef>,
    /// Where policies for the whole mesh live.
    pub root_namespace: Name,
    /// The trust domain of identities.
    pub trust_domain: String,
    /// Trust domains that mean the same.
    pub trust_domain_aliases: Vec<String>,
    /// Trust domains that are accepted besides, with authorities of their own.
    pub other_trust_domains: Vec<String>,
    /// The external authorizers that are defined, by name.
    pub authorizers: BTreeMap<String, Authorizer>,
    /// Whether networks are configured (`meshNetworks`).
    pub has_networks: bool,
    /// Whether traffic to unknown destinations is refused for the whole mesh.
    pub registry_only: bool,
    /// Whether sidecars serve the metrics of the application with their own (`enablePrometheusMerge`).
    pub merges_metrics: bool,
    /// Why the text of the configuration could not be read, if it could not: what stands in it is then
    /// unknown, and `Mesh` counts it as unread.
    pub(super) unreadable: Option<String>,
}

impl MeshConfig {
    /// Whether what it says is known: it was found, and could be read.
    pub fn is_known(&self) -> bool {
        self.object.is_some() && self.unreadable.is_none()
    }
}

/// What an external authorizer speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorizer {
    /// HTTP: it is asked about requests only.
    Http,
    /// gRPC: it is asked about connections too.
    Grpc,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct MeshConfigText {
    root_namespace: Option<String>,
    trust_domain: Option<String>,
    trust_domain_aliases: Option<Vec<String>>,
    ca_certificates: Option<Vec<CaCertificate>>,
    extension_providers: Option<Vec<ExtensionProvider>>,
    outbound_traffic_policy: Option<Mode>,
    enable_prometheus_merge: Option<bool>,
    default_config: Option<ProxyDefaults>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct CaCertificate {
    trust_domains: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ExtensionProvider {
    name: String,
    envoy_ext_authz_http: Option<serde::de::IgnoredAny>,
    envoy_ext_authz_grpc: Option<serde::de::IgnoredAny>,
}

impl ExtensionProvider {
    fn authorizer(self) -> Option<(String, Authorizer)> {
        match (self.envoy_ext_authz_http, self.envoy_ext_authz_grpc) {
            (_, Some(_)) => Some((self.name, Authorizer::Grpc)),
            (Some(_), None) => Some((self.name, Authorizer::Http)),
            (None, None) => None,
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ProxyDefaults {
    proxy_metadata: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Mode {
    mode: String,
}

/// Istio's installation.
#[derive(Debug)]
pub struct Installation {
    /// Its istiods, by namespace and name.
    pub control_planes: Vec<ControlPlane>,
    /// Its ztunnel DaemonSets.
    pub ztunnels: Vec<NodeAgent>,
    /// Its CNI DaemonSets.
    pub cni: Vec<NodeAgent>,
    /// What the CNI agent was told; `None` when there is no agent or its ConfigMap was not read.
    pub cni_config: Option<CniConfig>,
    /// The configuration of the default revision.
    pub config: MeshConfig,
}

impl Installation {
    /// Finds it among what was read.
    pub fn of(inventory: &Inventory) -> Self {
        let objects = &inventory.objects;
        let control_planes: Vec<ControlPlane> = objects
            .deployments
            .iter()
            .filter(|d| is_istiod(d))
            .map(|deployment| control_plane(deployment, inventory))
            .collect();
        let agents = |is: fn(&Labels) -> bool| {
            objects
                .daemon_sets
                .iter()
                .filter(|set| is(&set.spec.template.metadata.labels) || is(&set.metadata.labels))
                .map(node_agent)
                .collect()
        };
        let config = mesh_config(inventory, &control_planes);
        let cni: Vec<NodeAgent> = agents(|labels| labels.has("k8s-app", "istio-cni-node"));
        Self {
            cni_config: cni
                .first()
                .and_then(|agent| super::cni::config(inventory, &agent.object)),
            cni,
            ztunnels: agents(|labels| labels.has("app", "ztunnel")),
            control_planes,
            config,
        }
    }

    /// The oldest version among the istiods whose version is known.
    pub fn oldest_version(&self) -> Option<Version> {
        self.control_planes
            .iter()
            .filter_map(|plane| plane.version)
            .min()
    }
}

fn is_istiod(deployment: &Object<Deployment>) -> bool {
    let template = &deployment.spec.template;
    (deployment.metadata.labels.has("app", "istiod")
        || template.metadata.labels.has("app", "istiod"))
        && template
            .spec
            .containers
            .iter()
            .any(|container| container.name == "discovery")
}

fn control_plane(deployment: &Object<Deployment>, inventory: &Inventory) -> ControlPlane {
    let meta = &deployment.metadata;
    let containers = &deployment.spec.template.spec.containers;
    let discovery = containers
        .iter()
        .find(|container| container.name == "discovery");
    let version = discovery
        .and_then(|container| Version::of_image(&container.image))
        .or_else(|| {
            meta.labels
                .get("app.kubernetes.io/version")
                .and_then(Version::parse)
        });
    let revision = meta.labels.get(REVISION_LABEL).unwrap_or("default");
    ControlPlane {
        object: ObjectRef::new(Kind::Deployment, &meta.namespace, &meta.name),
        gives_hbone: gives_hbone(inventory, &meta.namespace, revision),
        revision: revision.to_owned(),
        version,
        env: discovery
            .map(|container| {
                container
                    .env
                    .iter()
                    .map(|env| (env.name.clone(), env.value.clone()))
                    .collect()
            })
            .unwrap_or_default(),
    }
}

fn node_agent(set: &Object<DaemonSet>) -> NodeAgent {
    let meta = &set.metadata;
    let version = set
        .spec
        .template
        .spec
        .containers
        .iter()
        .find_map(|container| Version::of_image(&container.image))
        .or_else(|| {
            meta.labels
                .get("app.kubernetes.io/version")
                .and_then(Version::parse)
        });
    NodeAgent {
        object: ObjectRef::new(Kind::DaemonSet, &meta.namespace, &meta.name),
        version,
        desired: set.status.desired_number_scheduled,
        ready: set.status.number_ready,
    }
}

/// The ConfigMap from which an istiod has its mesh configuration.
fn mesh_map<'i>(
    inventory: &'i Inventory,
    namespace: &str,
    revision: &str,
) -> Option<&'i Object<ConfigMap>> {
    let maps = &inventory.objects.config_maps;
    let own = crate::inventory::find(maps, namespace, &format!("istio-{revision}"));
    match own {
        // The default revision's map bears no revision.
        None if revision == "default" => crate::inventory::find(maps, namespace, "istio"),
        own => own,
    }
}

fn gives_hbone(inventory: &Inventory, namespace: &str, revision: &str) -> Option<bool> {
    let text = mesh_map(inventory, namespace, revision)?.data.get("mesh")?;
    let config: MeshConfigText = serde_saphyr::from_str(text).ok()?;
    let metadata = config
        .default_config
        .unwrap_or_default()
        .proxy_metadata
        .unwrap_or_default();
    // The injection template compares with this very text.
    let value = metadata.get("ISTIO_META_ENABLE_HBONE");
    Some(value.and_then(serde_json::Value::as_str) == Some("true"))
}

fn mesh_config(inventory: &Inventory, planes: &[ControlPlane]) -> MeshConfig {
    let system = planes
        .first()
        .map_or("istio-system", |plane| plane.object.namespace.as_ref());
    let revision = planes
        .first()
        .map_or("default", |plane| plane.revision.as_str());
    let found = mesh_map(inventory, system, revision)
        .or_else(|| crate::inventory::find(&inventory.objects.config_maps, system, "istio"));
    let mut config = MeshConfig {
        object: found.map(|map| {
            ObjectRef::new(Kind::ConfigMap, &map.metadata.namespace, &map.metadata.name)
        }),
        root_namespace: Name::from(system),
        trust_domain: "cluster.local".to_owned(),
        trust_domain_aliases: Vec::new(),
        other_trust_domains: Vec::new(),
        authorizers: BTreeMap::new(),
        has_networks: false,
        registry_only: false,
        merges_metrics: true,
        unreadable: None,
    };
    let Some(map) = found else { return config };
    config.has_networks = map
        .data
        .get("meshNetworks")
        .is_some_and(|text| !matches!(text.trim(), "" | "networks: {}" | "{}" | "networks:"));
    match map
        .data
        .get("mesh")
        .map(|text| serde_saphyr::from_str::<MeshConfigText>(text))
    {
        Some(Ok(text)) => {
            if let Some(root) = text.root_namespace.filter(|root| !root.is_empty()) {
                config.root_namespace = Name::from(root);
            }
            if let Some(domain) = text.trust_domain.filter(|domain| !domain.is_empty()) {
                config.trust_domain = domain;
            }
            config.trust_domain_aliases = text.trust_domain_aliases.unwrap_or_default();
            let authorities = text.ca_certificates.into_iter().flatten();
            let others = authorities.filter_map(|authority| authority.trust_domains);
            config.other_trust_domains = others.flatten().collect();
            let providers = text.extension_providers.into_iter().flatten();
            let authorizers = providers.filter_map(ExtensionProvider::authorizer);
            config.authorizers = authorizers.collect();
            config.merges_metrics = text.enable_prometheus_merge.unwrap_or(true);
            config.registry_only = text
                .outbound_traffic_policy
                .is_some_and(|policy| policy.mode == "REGISTRY_ONLY");
        }
        Some(Err(error)) => {
            let why = error.to_string();
            config.unreadable = why.lines().next().map(str::to_owned);
        }
        None => {}
    }
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_tags_as_they_occur() {
        let version = |major, minor, patch| {
            Some(Version {
                major,
                minor,
                patch,
            })
        };
        for (image, expected) in [
            ("docker.io/istio/pilot:1.24.0", version(1, 24, 0)),
            ("pilot:1.27.1-distroless", version(1, 27, 1)),
            (
                "localhost:5000/istio/pilot:1.26.2@sha256:abc",
                version(1, 26, 2),
            ),
            (
                "gcr.io/istio-testing/pilot:1.32-alpha.86c9f01",
                version(1, 32, 0),
            ),
            ("localhost:5000/pilot", None),
            ("pilot@sha256:abc", None),
            ("pilot:latest", None),
        ] {
            assert_eq!(Version::of_image(image), expected, "{image}");
        }
    }
}
