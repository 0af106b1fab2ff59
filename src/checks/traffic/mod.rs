//! Routes and destinations, and what several checks ask about them: which VirtualServices act in the
//! mesh for the Services of a namespace, and what a waypoint makes of them.
//!
//! A waypoint takes a VirtualService that is bound to `mesh` (or to no gateway) and lives in the
//! Service's namespace or its own: `pilot/pkg/networking/core/listener_waypoint.go`,
//! `getVirtualServiceForWaypoint`.

pub mod rules;

use std::collections::BTreeMap;

use super::declare::checks;
use crate::inventory::Object;
use crate::kinds::path::field;
use crate::kinds::traffic::{Destination, VirtualService, VirtualServiceSpec};
use crate::kinds::{FieldPath, Name, ObjectRef, Resource};
use crate::mesh::Mesh;
use crate::mesh::services::Service;
use crate::mesh::waypoints::Binding;
use crate::mesh::workloads::{DataPlane, MANAGED_LABEL, Mode, Role};

checks! {
    amb401_virtual_service_in_mesh,
    amb402_virtual_service_beside_route,
    amb403_rule_order,
    amb404_rule_order_undecided,
    amb405_path_prefix,
    amb406_fault_injection,
    amb407_no_counterpart,
    amb408_caller_match,
    amb409_subset_destination,
    amb410_retries,
    amb411_destination_missing,
    amb412_rewrites,
    amb413_route_limits,
    amb414_several_virtual_services,
    amb415_callers_rules,
    amb416_destination_rule_tls,
    amb417_destination_rule_policy,
    amb418_gateway_past_waypoint,
    amb450_cors,
    amb451_wildcard_host,
    amb452_delegates,
    amb453_tcp_and_tls_routes,
    amb454_hosts_part,
    amb455_gateway_api_channel,
    amb456_header_text,
    amb457_mirror_missing,
}

/// A VirtualService and the Services of one namespace whose callers' sidecars apply it.
#[derive(Debug)]
pub struct Routed<'a> {
    /// The VirtualService; it may live in another namespace.
    pub route: &'a Object<VirtualService>,
    /// The Services, sorted by name.
    pub services: Vec<&'a Service>,
}

/// The VirtualServices that act in the mesh for Services of a namespace, sorted.
pub fn routed_in<'a>(mesh: &'a Mesh, namespace: &Name) -> Vec<Routed<'a>> {
    let mut found: BTreeMap<ObjectRef, Routed<'a>> = BTreeMap::new();
    for service in mesh.services_in(namespace) {
        if !is_of_applications(mesh, service) {
            continue;
        }
        for route in mesh.mesh_routes(service) {
            let routed = found.entry(route.reference()).or_insert_with(|| Routed {
                route,
                services: Vec::new(),
            });
            routed.services.push(service);
        }
    }
    found.into_values().collect()
}

/// Where a VirtualService sends requests and copies of them, with the field of each destination.
pub fn destinations(spec: &VirtualServiceSpec) -> Vec<(FieldPath, &Destination)> {
    let mut found = Vec::new();
    for (position, http) in spec.http.iter().enumerate() {
        let at = field!["spec", "http", position];
        for (list, name) in [(&http.route, "route"), (&http.mirrors, "mirrors")] {
            for (position, entry) in list.iter().enumerate() {
                let field = at.then(name).then(position).then("destination");
                found.push((field, &entry.destination));
            }
        }
        found.extend(http.mirror.iter().map(|copy| (at.then("mirror"), copy)));
    }
    for (list, name) in [(&spec.tcp, "tcp"), (&spec.tls, "tls")] {
        for (route, stream) in list.iter().enumerate() {
            for (position, entry) in stream.route.iter().enumerate() {
                let field = field!["spec", name, route, "route", position, "destination"];
                found.push((field, &entry.destination));
            }
        }
    }
    found
}

/// Whether a Service is one of applications. Those of gateways and waypoints are not: what is in
/// front of them stays as it is.
pub fn is_of_applications(mesh: &Mesh, service: &Service) -> bool {
    if mesh.labels(service).get(MANAGED_LABEL).is_some() {
        return false;
    }
    let mut backing = mesh.backing(service).peekable();
    backing.peek().is_none() || backing.any(|workload| workload.role == Role::Application)
}

/// Whether the applications of a namespace are in ambient mode already.
pub fn has_moved(mesh: &Mesh, namespace: &str) -> bool {
    let mut applications = mesh
        .workloads_in(namespace)
        .iter()
        .filter(|workload| workload.role == Role::Application)
        .peekable();
    applications.peek().is_some()
        && applications.all(|workload| workload.mode() == Mode::All(DataPlane::Ambient))
}

/// Whether callers in a namespace see what is exported in this way from its home.
pub fn is_visible(export_to: &[String], home: &str, namespace: &str) -> bool {
    export_to.is_empty()
        || export_to.iter().any(|entry| match entry.as_str() {
            "*" => true,
            "." => home == namespace,
            named => named == namespace,
        })
}

/// Whether the waypoint of a Service applies traffic resources of this namespace.
pub fn is_applied_at_waypoint(mesh: &Mesh, service: &Service, home: &str) -> bool {
    mesh.binding(service)
        .effective()
        .is_some_and(|waypoint| *home == *service.object.namespace || *home == *waypoint.namespace)
}

/// How a Service stands to waypoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It is bound to one.
    Bound,
    /// It can be bound to one.
    Open,
    /// Its labels refuse one.
    OptedOut,
    /// Its clients address pods; no route of a Service is applied to such traffic.
    Headless,
    /// It is a DNS alias, which ambient mode does not know.
    Alias,
}

/// How a Service stands to waypoints.
pub fn standing(mesh: &Mesh, service: &Service) -> Standing {
    let spec = mesh.spec(service);
    let binding = mesh.binding(service);
    if spec.is_external_name() {
        Standing::Alias
    } else if spec.is_headless() {
        Standing::Headless
    } else if binding == Binding::OptedOut {
        Standing::OptedOut
    } else if binding.effective().is_some() {
        Standing::Bound
    } else {
        Standing::Open
    }
}
