//! AMB501: a Sidecar resource shapes the sidecars of workloads that lose them. In ambient mode it has no
//! effect.
//!
//! Source: istio/api#3517; istio/istio#54281 (`REGISTRY_ONLY`);
//! `pkg/config/analysis/msg/messages.yaml`, IST0167.

use std::collections::BTreeSet;

use crate::checks::extension::with_sidecar;
use crate::checks::wording::first_and_more;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Object;
use crate::kinds::path::field;
use crate::kinds::traffic::Sidecar;
use crate::kinds::{Kind, KindSet, Labels, Name, ObjectRef, Resource};
use crate::mesh::workloads::Workload;
use crate::mesh::{self, Mesh};

/// The check.
pub static CHECK: SidecarResource = SidecarResource;

/// The check's type.
#[derive(Debug)]
pub struct SidecarResource;

static META: Meta = Meta {
    id: Id("AMB501"),
    slug: "sidecar-resource",
    area: Area::Extension,
    highest: Severity::Blocking,
    reads: mesh::WORKLOADS
        .and(mesh::INSTALLATION)
        .and(KindSet::of(&[Kind::Sidecar])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb501_sidecar_resource.md"),
};

impl Check for SidecarResource {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        for namespace in view.namespaces() {
            let name = &namespace.name;
            let shaped = shaped(view, name);
            for Shaped { sidecar, workloads } in &shaped {
                if let Some(sidecar) = sidecar
                    && !workloads.is_empty()
                {
                    judge(name, sidecar, workloads, out);
                }
            }
            mesh_wide(mesh, name, &shaped, out);
        }
    }
}

/// Workloads that still have a sidecar, by the Sidecar resource that shapes it.
struct Shaped<'a> {
    /// `None` for those that none shapes.
    sidecar: Option<&'a Object<Sidecar>>,
    workloads: Vec<&'a Workload>,
}

/// A Sidecar with labels goes before the namespace's without, and that before the root namespace's.
fn shaped<'a>(view: &View<'a>, namespace: &Name) -> Vec<Shaped<'a>> {
    let mesh = view.mesh;
    let (chosen, general): (Vec<_>, Vec<_>) = mesh
        .within::<Sidecar>(namespace)
        .iter()
        .partition(|sidecar| !labels(sidecar).is_empty());
    let mut taken: BTreeSet<&ObjectRef> = BTreeSet::new();
    let mut found = Vec::new();
    for sidecar in chosen {
        let workloads: Vec<&Workload> = with_sidecar(view, namespace, &labels(sidecar))
            .into_iter()
            .filter(|workload| taken.insert(&workload.object))
            .collect();
        found.push(Shaped {
            sidecar: Some(sidecar),
            workloads,
        });
    }
    let root = mesh.within::<Sidecar>(mesh.root_namespace());
    let rest = general
        .into_iter()
        .next()
        .or_else(|| root.iter().find(|sidecar| labels(sidecar).is_empty()));
    found.push(Shaped {
        sidecar: rest,
        workloads: with_sidecar(view, namespace, &Labels::default())
            .into_iter()
            .filter(|workload| !taken.contains(&workload.object))
            .collect(),
    });
    found
}

fn labels(sidecar: &Sidecar) -> Labels {
    let selector = sidecar.spec.workload_selector.as_ref();
    selector
        .map(|selector| selector.labels.clone())
        .unwrap_or_default()
}

fn judge(namespace: &Name, sidecar: &Object<Sidecar>, workloads: &[&Workload], out: &mut Sink<'_>) {
    let names = first_and_more(workloads.iter().map(|workload| &workload.object));
    let spec = &sidecar.spec;
    let own_listeners = spec.ingress > 0;
    let mode = spec.outbound_traffic_policy.mode.as_str();
    if own_listeners {
        out.find(
            namespace,
            Severity::Blocking,
            (sidecar.reference(), field!["spec", "ingress"]),
            format!(
                "{names} takes inbound traffic on listeners that this Sidecar defines; ztunnel hands each connection to the port and address that the client asked for",
            ),
            Remedy::person("let the application listen on its Services' target ports at the pod's address, or keep the workload in sidecar mode"),
        );
    }
    if mode == "REGISTRY_ONLY" {
        out.find(
            namespace,
            Severity::Warning,
            (
                sidecar.reference(),
                field!["spec", "outboundTrafficPolicy", "mode"],
            ),
            egress(&names),
            restrict(namespace),
        );
    } else if !own_listeners {
        out.find(
            namespace,
            Severity::Info,
            (sidecar.reference(), field!["spec"]),
            format!("what it says to the sidecars of {names} has no effect in ambient mode"),
            Remedy::Nothing,
        );
    }
}

fn egress(names: &str) -> String {
    format!(
        "REGISTRY_ONLY keeps {names} from hosts that the mesh does not know; ztunnel lets such connections through"
    )
}

fn restrict(namespace: &Name) -> Remedy {
    Remedy::command(
        "restrict egress with a NetworkPolicy before the pods lose their sidecars; see which are there",
        format!("kubectl get networkpolicy -n {namespace}"),
    )
}

/// The policy of the mesh, for workloads whose Sidecar says nothing of it.
fn mesh_wide(mesh: &Mesh, namespace: &Name, shaped: &[Shaped<'_>], out: &mut Sink<'_>) {
    let config = &mesh.installation().config;
    let Some(object) = config.object.as_ref().filter(|_| config.registry_only) else {
        return;
    };
    let says_nothing = |shaped: &&Shaped<'_>| {
        let sidecar = shaped.sidecar;
        sidecar.is_none_or(|sidecar| sidecar.spec.outbound_traffic_policy.mode.is_empty())
    };
    let mut workloads = shaped
        .iter()
        .filter(says_nothing)
        .flat_map(|shaped| &shaped.workloads)
        .map(|workload| &workload.object)
        .peekable();
    if workloads.peek().is_some() {
        out.find(
            namespace,
            Severity::Warning,
            (object.clone(), field!["data", "mesh"]),
            egress(&first_and_more(workloads)),
            restrict(namespace),
        );
    }
}
