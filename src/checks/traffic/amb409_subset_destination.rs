//! AMB409: a VirtualService of the mesh sends requests to subsets. A waypoint honours them with the
//! VirtualService; HTTPRoutes know none.
//!
//! Source: `pilot/pkg/networking/core/cluster_waypoint.go` (clusters per subset);
//! <https://istio.io/latest/docs/ambient/migrate/migrate-policies/>; istio/api#3517.

use std::collections::BTreeMap;

use crate::checks::traffic::{Routed, Standing, destinations, has_moved, routed_in, standing};
use crate::checks::wording::words;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Object;
use crate::kinds::traffic::{Subset, VirtualService};
use crate::kinds::{FieldPath, Kind, KindSet, Name, ObjectRef, Resource, selector};
use crate::mesh::services::Service;
use crate::mesh::{self, Mesh};

/// The check.
pub static CHECK: SubsetDestination = SubsetDestination;

/// The check's type.
#[derive(Debug)]
pub struct SubsetDestination;

static META: Meta = Meta {
    id: Id("AMB409"),
    slug: "subset-destination",
    area: Area::Traffic,
    highest: Severity::Change,
    reads: mesh::BACKING
        .and(mesh::BINDING)
        .and(mesh::MESH_CONFIG)
        .and(KindSet::of(&[Kind::VirtualService, Kind::DestinationRule])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb409_subset_destination.md"),
};

impl Check for SubsetDestination {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        for namespace in view.namespaces() {
            let name = &namespace.name;
            let moves = !has_moved(mesh, name);
            for Routed { route, .. } in routed_in(mesh, name) {
                if route.metadata.namespace != *name {
                    continue;
                }
                for split in splits(mesh, route) {
                    judge(mesh, name, route, &split, moves, out);
                }
            }
        }
    }
}

/// The subsets of one Service to which a VirtualService sends requests.
struct Split<'a> {
    service: &'a Service,
    /// Their names, and where each is first named.
    subsets: BTreeMap<&'a str, FieldPath>,
}

fn splits<'a>(mesh: &'a Mesh, route: &'a VirtualService) -> Vec<Split<'a>> {
    let mut found: BTreeMap<&ObjectRef, Split<'a>> = BTreeMap::new();
    for (field, destination) in destinations(&route.spec) {
        if destination.subset.is_empty() {
            continue;
        }
        for service in mesh.services_of_host(&destination.host, &route.metadata.namespace) {
            let split = found.entry(&service.object).or_insert_with(|| Split {
                service,
                subsets: BTreeMap::new(),
            });
            split
                .subsets
                .entry(destination.subset.as_str())
                .or_insert_with(|| field.then("subset"));
        }
    }
    found.into_values().collect()
}

fn judge(
    mesh: &Mesh,
    namespace: &Name,
    route: &Object<VirtualService>,
    split: &Split<'_>,
    moves: bool,
    out: &mut Sink<'_>,
) {
    let service = split.service;
    let shown = &service.object;
    let mut served: Vec<(&str, &FieldPath)> = Vec::new();
    for (subset, field) in &split.subsets {
        let at = || (route.reference(), field.clone());
        match defined(mesh, route, service, subset) {
            None => out.find(
                namespace,
                Severity::Warning,
                at(),
                format!(
                    "no DestinationRule that callers here see defines subset {subset} of {}: without one such requests fail, at a sidecar and at a waypoint",
                    shown.short()
                ),
                Remedy::command(
                    "define the subset, or take the destination out of the VirtualService",
                    format!("istioctl analyze -n {namespace}"),
                ),
            ),
            Some(definition) if selects_nothing(mesh, service, definition) => out.find(
                namespace,
                Severity::Warning,
                at(),
                format!(
                    "subset {subset} of {} selects none of its pods: such requests fail today, and a Service made of the subset would have no endpoints",
                    shown.short()
                ),
                Remedy::person("correct the subset's labels, or take the destination out of the VirtualService"),
            ),
            Some(_) => served.push((subset, field)),
        }
    }
    let routable = matches!(standing(mesh, service), Standing::Bound | Standing::Open);
    let first = served.iter().map(|(_, field)| *field).min();
    if let Some(field) = first
        && moves
        && routable
    {
        let names: Vec<&str> = served.iter().map(|(name, _)| *name).collect();
        out.find(
            namespace,
            Severity::Change,
            (route.reference(), field.clone()),
            format!(
                "sidecars of callers send requests to subset{} {} of {}; in ambient mode a waypoint does, or they go to any of its pods",
                if names.len() == 1 { "" } else { "s" },
                words(&names),
                shown.short(),
            ),
            Remedy::moved(answer(mesh, namespace, service, &names)),
        );
    }
}

/// What the move does about subsets of a Service.
fn answer(mesh: &Mesh, namespace: &Name, service: &Service, subsets: &[&str]) -> String {
    let kept = "a waypoint goes on choosing the subset as long as the VirtualService stands";
    if service.object.namespace != *namespace {
        return format!(
            "{kept}; HTTPRoutes can replace it only when {} has a Service for each subset, which its owner makes",
            service.object.namespace
        );
    }
    if mesh.spec(service).selector.is_empty() {
        return format!(
            "{kept}; it stays, because the Service selects no pods that others could select in part"
        );
    }
    let made: Vec<String> = subsets
        .iter()
        .map(|subset| format!("{}-{subset}", service.object.name))
        .collect();
    let made: Vec<&str> = made.iter().map(String::as_str).collect();
    format!(
        "{kept}; HTTPRoutes that replace it lead to a Service for each subset ({}), with the DestinationRule's policy copied",
        words(&made)
    )
}

/// The definition of a subset where callers in the VirtualService's namespace look for it, and its
/// waypoint: their own namespace, the Service's, the root namespace.
fn defined<'a>(
    mesh: &'a Mesh,
    route: &VirtualService,
    service: &'a Service,
    subset: &str,
) -> Option<&'a Subset> {
    let root = mesh.root_namespace();
    mesh.destination_rules(service)
        .filter(|rule| {
            let home = &rule.metadata.namespace;
            *home == route.metadata.namespace || *home == service.object.namespace || home == root
        })
        .flat_map(|rule| &rule.spec.subsets)
        .find(|candidate| candidate.name == subset)
}

/// Whether the Service has pods and the subset none of them.
fn selects_nothing(mesh: &Mesh, service: &Service, subset: &Subset) -> bool {
    let mut backing = mesh.backing(service).peekable();
    backing.peek().is_some()
        && !backing.any(|workload| selector::contains(&workload.labels, &subset.labels))
}
