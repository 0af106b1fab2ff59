//! The document of `status`: which data plane each namespace's pods are in.

use schemars::JsonSchema;
use serde::Serialize;

use super::check::UnreadEntry;
use super::{API_VERSION, Header};
use crate::checks::Scope;
use crate::kinds::Name;
use crate::mesh::injection::NamespaceInjection;
use crate::mesh::namespaces::Namespace;
use crate::mesh::workloads::{DataPlane, Mode, Role, data_plane};
use crate::mesh::{Mesh, Part};

/// What `status` says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    api_version: &'static str,
    kind: &'static str,
    /// What differs from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Header>,
    /// The oldest version among the istiods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub istio_version: Option<String>,
    /// The namespaces, by name.
    pub namespaces: Vec<StatusEntry>,
    /// Runs of these namespaces that are not over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_runs: Vec<super::OpenRunEntry>,
    /// What could not be read.
    pub unread: Vec<UnreadEntry>,
}

/// A namespace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusEntry {
    /// Its name.
    pub name: Name,
    /// `sidecar`, `ambient`, `mixed`, `none`, `unknown`.
    pub mode: &'static str,
    /// Whether pods of both data planes run in it.
    pub mixed: bool,
    /// What its labels say: `istio-injection=enabled`, `istio.io/dataplane-mode=ambient`; `unknown`.
    pub labels: String,
    /// Its workloads; gateways and waypoints are not counted.
    /// Absent, as the counts of pods are, when not all could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workloads: Option<usize>,
    /// Its pods; absent when the input holds no pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<usize>,
    /// Those with a sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sidecars: Option<usize>,
    /// Those whose traffic goes through ztunnel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ambient: Option<usize>,
    /// The waypoints in it, or that its Services are bound to, by namespace and name.
    pub waypoints: Vec<String>,
}

impl StatusReport {
    /// The document for these namespaces.
    pub fn new(mesh: &Mesh, scope: &Scope, header: Option<Header>) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "Status",
            metadata: header,
            istio_version: super::istio_version(mesh),
            namespaces: scope
                .iter()
                .filter_map(|name| mesh.namespace(name))
                .map(|namespace| entry(mesh, namespace))
                .collect(),
            open_runs: Vec::new(),
            unread: mesh
                .inventory()
                .unread
                .iter()
                .map(UnreadEntry::from)
                .collect(),
        }
    }
}

fn entry(mesh: &Mesh, namespace: &Namespace) -> StatusEntry {
    let applications: Vec<_> = mesh
        .workloads_in(&namespace.name)
        .iter()
        .filter(|workload| workload.role == Role::Application)
        .collect();
    let planes: Vec<DataPlane> = applications
        .iter()
        .flat_map(|workload| mesh.pods(workload))
        .map(|pod| data_plane(pod))
        .collect();
    let count = |wanted| planes.iter().filter(|plane| **plane == wanted).count();
    let (sidecars, ambient) = (count(DataPlane::Sidecar), count(DataPlane::Ambient));
    let all_read = super::all_read(mesh, crate::mesh::WORKLOADS);
    let counted = super::all_read(mesh, crate::mesh::COUNTED);
    let holds_pods = counted && mesh.holds(Part::Pods);
    let has = |wanted: Mode| {
        applications
            .iter()
            .any(|workload| workload.mode() == wanted)
    };
    let in_sidecars = sidecars > 0 || has(Mode::All(DataPlane::Sidecar)) || has(Mode::Mixed);
    let in_ambient = ambient > 0 || has(Mode::All(DataPlane::Ambient));
    let mixed = in_sidecars && in_ambient;
    let mode = match (in_sidecars, in_ambient) {
        (true, true) => "mixed",
        (true, false) => "sidecar",
        (false, true) => "ambient",
        (false, false) if has(Mode::Unknown) || !all_read => "unknown",
        (false, false) if applications.is_empty() => declared(namespace),
        (false, false) => "none",
    };
    let mut waypoints: Vec<String> = mesh
        .services_in(&namespace.name)
        .iter()
        .filter_map(|service| mesh.binding(service).effective().cloned())
        .chain(
            mesh.waypoints()
                .iter()
                .map(|waypoint| waypoint.object.clone())
                .filter(|object| object.namespace == namespace.name),
        )
        .map(|object| format!("{}/{}", object.namespace, object.name))
        .collect();
    waypoints.sort();
    waypoints.dedup();
    StatusEntry {
        name: namespace.name.clone(),
        mode,
        mixed,
        labels: labels(namespace),
        workloads: counted.then_some(applications.len()),
        pods: holds_pods.then_some(planes.len()),
        sidecars: holds_pods.then_some(sidecars),
        ambient: holds_pods.then_some(ambient),
        waypoints,
    }
}

/// The mode of a namespace without workloads: what its labels would make of one.
fn declared(namespace: &Namespace) -> &'static str {
    match (&namespace.injection, namespace.ambient()) {
        (NamespaceInjection::Revision(_), _) => "sidecar",
        (NamespaceInjection::Unknown, _) | (_, None) => "unknown",
        (_, Some(true)) => "ambient",
        (_, Some(false)) => "none",
    }
}

fn labels(namespace: &Namespace) -> String {
    use crate::mesh::injection::{INJECTION_LABEL, REVISION_LABEL};
    use crate::mesh::namespaces::DATA_PLANE_LABEL;
    use crate::mesh::waypoints::USE_WAYPOINT;
    if namespace.labels.is_none() {
        return "unknown".to_owned();
    }
    let shown: Vec<String> = [
        INJECTION_LABEL,
        REVISION_LABEL,
        DATA_PLANE_LABEL,
        USE_WAYPOINT,
    ]
    .into_iter()
    .filter_map(|key| Some(format!("{key}={}", namespace.label(key)?)))
    .collect();
    shown.join(",")
}
