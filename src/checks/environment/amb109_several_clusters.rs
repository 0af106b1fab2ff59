//! AMB109: a mesh over several clusters or networks.
//!
//! Sources: `https://istio.io/latest/docs/ambient/migrate/` and
//! `https://istio.io/latest/docs/ambient/install/multicluster/` (primary-remote is not supported, and
//! sidecars beside ambient mode have open problems there; istio/istio #60837: no path between sidecars
//! of one network and ambient pods of another). The Secrets by which an istiod reads other clusters
//! are never read here.

use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::gateway_api::Gateway;
use crate::kinds::installation::MutatingWebhookConfiguration;
use crate::kinds::path::field;
use crate::kinds::service::Service;
use crate::kinds::{FieldPath, Kind, KindSet, ObjectRef, Resource};
use crate::mesh::{self, Part};

use super::variable;

/// The label of a gateway's Service, or of a Gateway, that leads into a network.
const NETWORK: &str = "topology.istio.io/network";

/// The check.
pub static CHECK: SeveralClusters = SeveralClusters;

/// The check's type.
#[derive(Debug)]
pub struct SeveralClusters;

static META: Meta = Meta {
    id: Id("AMB109"),
    slug: "several-clusters",
    area: Area::Environment,
    highest: Severity::Blocking,
    reads: mesh::INSTALLATION.and(KindSet::of(&[
        Kind::MutatingWebhookConfiguration,
        Kind::Service,
        Kind::Gateway,
    ])),
    needs: &[Part::Installation],
    since: "0.1.0",
    page: include_str!("amb109_several_clusters.md"),
};

impl Check for SeveralClusters {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let remote = injected_from_outside(view)
            .or_else(|| istiod_outside(view))
            .or_else(|| serves_others(view));
        if let Some((at, evidence)) = remote {
            out.find_for_all(
                Severity::Blocking,
                at,
                format!("{evidence}: ambient mode is not supported where clusters share a control plane as primary and remote"),
                Remedy::person("give each cluster an istiod of its own first (multi-primary), or stay in sidecar mode"),
            );
        }
        let networks = gateway_of_network(view)
            .or_else(|| service_of_network(view))
            .or_else(|| mesh_networks(view));
        if let Some((at, evidence)) = networks {
            out.find_for_all(
                Severity::Blocking,
                at,
                format!("{evidence}: between sidecars of one network and ambient pods of another there is no path, so callers of other networks would lose what is moved"),
                Remedy::person("go on only when no sidecar of another network calls, or is called by, what is moved"),
            );
        } else {
            named(view, out);
        }
    }
}

type Evidence = Option<((ObjectRef, FieldPath), String)>;

/// Sidecars are injected by an istiod that is not a Service of this cluster.
fn injected_from_outside(view: &View<'_>) -> Evidence {
    for configuration in view.mesh.all::<MutatingWebhookConfiguration>() {
        let outside = configuration.webhooks.iter().position(|webhook| {
            webhook.client_config.is_outside()
                && webhook.name.ends_with("sidecar-injector.istio.io")
        });
        if let Some(position) = outside {
            let field = field!["webhooks", position, "clientConfig", "url"];
            return Some((
                (configuration.reference(), field),
                "sidecars are injected by an istiod outside this cluster".to_owned(),
            ));
        }
    }
    None
}

/// The chart's Service for an istiod elsewhere.
fn istiod_outside(view: &View<'_>) -> Evidence {
    let service = view
        .mesh
        .all::<Service>()
        .iter()
        .find(|service| service.metadata.name.as_ref() == "istiod-remote")?;
    Some((
        (service.reference(), FieldPath::root()),
        "the proxies of this cluster have their istiod elsewhere".to_owned(),
    ))
}

/// An istiod that serves clusters beside its own.
fn serves_others(view: &View<'_>) -> Evidence {
    let flag = "EXTERNAL_ISTIOD";
    let plane = view
        .mesh
        .installation()
        .control_planes
        .iter()
        .find(|plane| plane.flag(flag))?;
    Some((
        (plane.object.clone(), variable(view.mesh, plane, flag)),
        "this istiod serves other clusters as well".to_owned(),
    ))
}

/// A Gateway to or of another network.
fn gateway_of_network(view: &View<'_>) -> Evidence {
    let gateway = view.mesh.all::<Gateway>().iter().find(|gateway| {
        let class = gateway.spec.gateway_class_name.as_str();
        matches!(class, "istio-east-west" | "istio-remote")
    })?;
    let class = &gateway.spec.gateway_class_name;
    Some((
        (gateway.reference(), field!["spec", "gatewayClassName"]),
        format!("a Gateway of class {class} joins this network to another"),
    ))
}

/// The Service of an east-west gateway.
fn service_of_network(view: &View<'_>) -> Evidence {
    let service = view.mesh.all::<Service>().iter().find(|service| {
        let network = service.metadata.labels.get(NETWORK);
        network.is_some_and(|network| !network.is_empty())
    })?;
    let network = service.metadata.labels.get(NETWORK).unwrap_or_default();
    Some((
        (service.reference(), FieldPath::label(NETWORK)),
        format!("this gateway leads other networks into {network}"),
    ))
}

fn mesh_networks(view: &View<'_>) -> Evidence {
    let config = &view.mesh.installation().config;
    let object = config.object.clone().filter(|_| config.has_networks)?;
    Some((
        (object, field!["data", "meshNetworks"]),
        "the mesh has networks of its own".to_owned(),
    ))
}

/// A cluster with a name of its own may be one of several in one network; nothing else tells.
fn named(view: &View<'_>, out: &mut Sink<'_>) {
    let variable_name = "CLUSTER_ID";
    for plane in &view.mesh.installation().control_planes {
        let Some(name) = plane.env(variable_name) else {
            continue;
        };
        if matches!(name, "" | "Kubernetes") {
            continue;
        }
        out.find_for_all(
            Severity::Info,
            (plane.object.clone(), variable(view.mesh, plane, variable_name)),
            format!("this cluster has a name of its own in the mesh ({name}): whether istiod reads other clusters of the same network stands in Secrets, which are not read"),
            Remedy::command("see which clusters istiod reads", "istioctl remote-clusters"),
        );
    }
}
