//! Istio's installation and the cluster, and what several checks ask about them: which istiod
//! injects which namespace.

use std::collections::BTreeMap;

use super::declare::checks;
use crate::checks::View;
use crate::kinds::installation::MutatingWebhookConfiguration;
use crate::kinds::path::field;
use crate::kinds::workload::Deployment;
use crate::kinds::{FieldPath, Name};
use crate::mesh::Mesh;
use crate::mesh::injection::{Injection, NamespaceInjection, REVISION_LABEL};
use crate::mesh::installation::{ControlPlane, Version};
use crate::mesh::workloads::Role;

checks! {
    amb101_istio_release,
    amb102_istiod_without_ambient,
    amb103_node_agent_not_ready,
    amb104_cni_without_ambient,
    amb105_gateway_api,
    amb106_proxy_without_hbone,
    amb107_virtual_machines,
    amb109_several_clusters,
}

/// Which revision stands behind the names by which namespaces ask for injection.
#[derive(Debug)]
pub struct Revisions<'m> {
    mesh: &'m Mesh,
    by_tag: BTreeMap<&'m str, &'m str>,
}

impl<'m> Revisions<'m> {
    /// Those of a mesh.
    pub fn of(mesh: &'m Mesh) -> Self {
        let mut by_tag = BTreeMap::new();
        for configuration in mesh.all::<MutatingWebhookConfiguration>() {
            let labels = &configuration.metadata.labels;
            if let (Some(tag), Some(revision)) =
                (labels.get("istio.io/tag"), labels.get(REVISION_LABEL))
            {
                by_tag.insert(tag, revision);
            }
        }
        Self { mesh, by_tag }
    }

    /// The istiod of a revision or tag. A single istiod is taken for the one of every name.
    pub fn control_plane(&self, name: &str) -> Option<&'m ControlPlane> {
        let planes = &self.mesh.installation().control_planes;
        let named = |revision: &str| planes.iter().find(|plane| plane.revision == revision);
        let tagged = self.by_tag.get(name).and_then(|revision| named(revision));
        tagged.or_else(|| named(name)).or(match planes.as_slice() {
            [only] => Some(only),
            _ => None,
        })
    }

    /// The namespaces that are judged and injected by an istiod.
    pub fn judged_of(&self, view: &View<'m>, plane: &ControlPlane) -> Vec<&'m Name> {
        view.namespaces()
            .filter(|namespace| match &namespace.injection {
                NamespaceInjection::Revision(name) => self
                    .control_plane(name)
                    .is_some_and(|found| found.object == plane.object),
                _ => false,
            })
            .map(|namespace| &namespace.name)
            .collect()
    }
}

/// Whom something about one istiod concerns.
#[derive(Debug)]
pub enum Concerned<'m> {
    /// Every namespace: it is the only one.
    Everyone,
    /// The namespaces that are judged and injected by it.
    Namespaces(Vec<&'m Name>),
    /// None of those that are judged.
    NoneJudged,
}

/// Whom something about this istiod concerns.
pub fn concerned<'m>(
    revisions: &Revisions<'m>,
    view: &View<'m>,
    plane: &ControlPlane,
) -> Concerned<'m> {
    if view.mesh.installation().control_planes.len() == 1 {
        return Concerned::Everyone;
    }
    let namespaces = revisions.judged_of(view, plane);
    if namespaces.is_empty() {
        Concerned::NoneJudged
    } else {
        Concerned::Namespaces(namespaces)
    }
}

/// The path of istiod's own container.
pub fn discovery(mesh: &Mesh, plane: &ControlPlane) -> FieldPath {
    let containers = field!["spec", "template", "spec", "containers"];
    let position = mesh
        .named::<Deployment>(&plane.object.namespace, &plane.object.name)
        .and_then(|deployment| {
            let listed = &deployment.spec.template.spec.containers;
            listed.iter().position(|c| c.name == "discovery")
        });
    match position {
        Some(position) => containers.then(position),
        None => containers,
    }
}

/// The path of an environment variable of istiod, or of where it would stand.
pub fn variable(mesh: &Mesh, plane: &ControlPlane, name: &str) -> FieldPath {
    let env = discovery(mesh, plane).then("env");
    match plane.env.iter().position(|(key, _)| key == name) {
        Some(position) => env.then(position).then("value"),
        None => env,
    }
}

/// Helm's flag for the chart of a release; nothing when the release is not known.
pub fn chart_version(version: Option<Version>) -> String {
    version.map_or_else(String::new, |version| format!(" --version {version}"))
}

/// Whether anything in a namespace could be moved: an application that has a sidecar, gets one, or
/// may get one.
pub fn could_move(mesh: &Mesh, namespace: &Name) -> bool {
    mesh.workloads_in(namespace).iter().any(|workload| {
        workload.role == Role::Application
            && (workload.has_sidecar() || workload.injection != Injection::NotInjected)
    })
}
