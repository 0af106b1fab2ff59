//! AMB208: a waypoint that is not programmed, or that runs as a single pod. Istio counts a waypoint as
//! ready when its Gateway has an address, and sends traffic past it until then
//! (`pilot/pkg/serviceregistry/ambient/waypoints.go`, `gatewayToWaypointTransform`); the Deployment that
//! istiod makes for it has one replica
//! (`manifests/charts/istio-control/istio-discovery/files/waypoint.yaml`).

use std::collections::BTreeMap;

use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Labels, Name, ObjectRef};
use crate::mesh::namespaces::Namespace;
use crate::mesh::waypoints::{Binding, Waypoint};
use crate::mesh::workloads::{GATEWAY_NAME_LABEL, Role, Workload};
use crate::mesh::{self, Mesh};

/// The check.
pub static CHECK: WaypointNotReadyOrSingle = WaypointNotReadyOrSingle;

/// The check's type.
#[derive(Debug)]
pub struct WaypointNotReadyOrSingle;

static META: Meta = Meta {
    id: Id("AMB208"),
    slug: "waypoint-not-ready-or-single",
    area: Area::Workload,
    highest: Severity::Warning,
    reads: mesh::BINDING.and(mesh::WORKLOADS),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb208_waypoint_not_ready_or_single.md"),
};

impl Check for WaypointNotReadyOrSingle {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for namespace in view.namespaces() {
            for (waypoint, services) in concerned(view.mesh, namespace) {
                not_ready(namespace, waypoint, &services, out);
                single(view.mesh, namespace, waypoint, &services, out);
            }
        }
    }
}

/// The waypoints that stand in a namespace or are named there, with the Services that name them.
fn concerned<'a>(mesh: &'a Mesh, namespace: &Namespace) -> Vec<(&'a Waypoint, Vec<&'a ObjectRef>)> {
    let mut services: BTreeMap<ObjectRef, Vec<&ObjectRef>> = BTreeMap::new();
    let here = mesh.waypoints().iter().map(|waypoint| &waypoint.object);
    for object in here.filter(|object| object.namespace == namespace.name) {
        services.entry(object.clone()).or_default();
    }
    for service in mesh.services_in(&namespace.name) {
        if let Binding::Named { waypoint, .. } = mesh.binding(service) {
            services.entry(waypoint).or_default().push(&service.object);
        }
    }
    services
        .into_iter()
        .filter_map(|(object, services)| Some((mesh.waypoint(&object)?, services)))
        .collect()
}

/// Who uses a waypoint, in words.
fn users(services: &[&ObjectRef]) -> String {
    match services {
        [] => "no Service names it yet".to_owned(),
        [one] => format!("{} names it", one.short()),
        [first, more @ ..] => format!("{} and {} more name it", first.short(), more.len()),
    }
}

fn not_ready(
    namespace: &Namespace,
    waypoint: &Waypoint,
    services: &[&ObjectRef],
    out: &mut Sink<'_>,
) {
    let (what, field) = match (&waypoint.programmed, waypoint.ready) {
        (Some((false, why)), _) if why.is_empty() => (
            "is not programmed".to_owned(),
            field!["status", "conditions"],
        ),
        (Some((false, why)), _) => (
            format!("is not programmed (`{}`)", why.trim_end_matches('.')),
            field!["status", "conditions"],
        ),
        (_, Some(false)) => ("has no address".to_owned(), field!["status", "addresses"]),
        _ => return,
    };
    let effect = if services.is_empty() || waypoint.ready == Some(true) {
        ""
    } else {
        ": ambient callers pass it by, and its rules with it"
    };
    let ObjectRef {
        namespace: home,
        name,
        ..
    } = &waypoint.object;
    out.find(
        &namespace.name,
        Severity::Warning,
        (waypoint.object.clone(), field),
        format!("the waypoint {what}, and {}{effect}", users(services)),
        Remedy::command(
            "see why its pods do not come up",
            format!("kubectl describe pods -n {home} -l {GATEWAY_NAME_LABEL}={name}"),
        ),
    );
}

fn single(
    mesh: &Mesh,
    namespace: &Namespace,
    waypoint: &Waypoint,
    services: &[&ObjectRef],
    out: &mut Sink<'_>,
) {
    if services.is_empty() {
        return;
    }
    let ObjectRef {
        namespace: home,
        name,
        ..
    } = &waypoint.object;
    let label = Labels::from_pairs(vec![(Name::from(GATEWAY_NAME_LABEL), name.clone())]);
    let one =
        |workload: &&&Workload| workload.role == Role::Waypoint && workload.replicas == Some(1);
    let workloads = mesh.selected(home, &label);
    let Some(workload) = workloads.iter().find(one) else {
        return;
    };
    let object = workload.object.clone();
    let command = format!(
        "kubectl scale {} {} -n {home} --replicas=2",
        super::resource_argument(object.kind),
        object.name
    );
    out.find(
        &namespace.name,
        Severity::Warning,
        (object, FieldPath::new(vec!["spec".into(), "replicas".into()])),
        format!(
            "waypoint {name} runs as a single pod, and {}: while that pod is replaced or its node drained, ambient \
             callers get no answer",
            users(services)
        ),
        Remedy::command("let it run twice, with a PodDisruptionBudget", command),
    );
}
