//! Where routes lead the callers of a Service: a waypoint judges them as callers of that Service,
//! whoever serves them in the end.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::ObjectRef;
use crate::kinds::authorization::{AuthorizationPolicy, RequestAuthentication};
use crate::kinds::network_policy::NetworkPolicy;
use crate::kinds::service::ServicePort;
use crate::mesh::Mesh;
use crate::mesh::services::Service;
use crate::mesh::workloads::Workload;
use crate::semantics::routing::{
    Action, Answer, Defaults, Destination, Host, Routes, Table, Viewpoint,
};
use crate::semantics::verdict::Protocol;
use crate::translate::Ground;
use crate::translate::proof::side::{DOMAIN, host_of};

/// What a waypoint does with requests for Services that have routes.
#[derive(Default)]
pub(in crate::translate) struct Ways {
    by_service: BTreeMap<ObjectRef, Vec<(u16, Table)>>,
}

impl Ways {
    /// The tables of the Services that will have a waypoint and that some route is for.
    pub(in crate::translate) fn of(ground: &Ground<'_>) -> Self {
        let mesh = ground.mesh;
        let bound = ground.waypoints.bound().map(|(service, _)| service);
        let routed: Vec<&Service> = bound
            .filter_map(|service| named(mesh, service))
            .filter(|service| is_routed(mesh, service))
            .collect();
        if routed.is_empty() || !has_policies(mesh) {
            return Self::default();
        }
        let side = ground.source();
        let routes = Routes::new(
            &side.virtual_services,
            &side.http_routes,
            &side.hosts,
            DOMAIN,
            Defaults::default(),
        );
        let tables = routed.into_iter().map(|service| {
            let namespace = &service.object.namespace;
            let ports = mesh.spec(service).ports.iter();
            let http = ports.filter(|port| protocol(port) != Protocol::Tcp);
            let tables = http.map(|port| {
                let host = Host {
                    name: host_of(&service.object),
                    namespace: namespace.to_string(),
                    port: port.port,
                    grpc: false,
                };
                (
                    port.port,
                    routes.table(&Viewpoint::Waypoint { namespace }, &host),
                )
            });
            (service.object.clone(), tables.collect())
        });
        Self {
            by_service: tables.collect(),
        }
    }

    /// What is done with requests to a Service, port by port; nothing where it has no routes.
    pub(in crate::translate) fn tables(&self, service: &ObjectRef) -> &[(u16, Table)] {
        self.by_service.get(service).map_or(&[], Vec::as_slice)
    }

    /// The Services that have routes.
    pub(super) fn routed(&self) -> impl Iterator<Item = &ObjectRef> {
        self.by_service.keys()
    }

    /// The workloads that callers of a Service reach.
    pub(in crate::translate) fn reached<'m>(
        &self,
        mesh: &'m Mesh,
        service: &'m Service,
    ) -> Vec<&'m Workload> {
        let tables = self.tables(&service.object);
        if tables.is_empty() {
            return mesh.backing(service).collect();
        }
        let mut all: BTreeMap<&ObjectRef, &Workload> = BTreeMap::new();
        // Ports on which nobody reads requests lead to the Service's own pods.
        let own = mesh
            .spec(service)
            .ports
            .iter()
            .any(|port| protocol(port) != Protocol::Http);
        let own = own.then_some(service);
        let destinations = tables.iter().flat_map(|(_, table)| destinations(table));
        let services = destinations.flat_map(|to| mesh.services_of_host(&to.host, ""));
        for service in services.chain(own) {
            for workload in mesh.backing(service) {
                all.insert(&workload.object, workload);
            }
        }
        all.into_values().collect()
    }

    /// The ports of pods that callers of a Service's port reach; `None` where that is not known.
    pub(super) fn targets(
        &self,
        mesh: &Mesh,
        service: &Service,
        port: &ServicePort,
    ) -> Option<BTreeSet<u16>> {
        let mut tables = self.tables(&service.object).iter();
        let Some((_, table)) = tables.find(|(number, _)| *number == port.port) else {
            return super::ports::targets(port, mesh.backing(service));
        };
        let mut all = BTreeSet::new();
        for to in destinations(table) {
            for service in mesh.services_of_host(&to.host, "") {
                let ports = mesh.spec(service).ports.iter();
                for port in ports.filter(|port| u32::from(port.port) == to.port) {
                    all.extend(super::ports::targets(port, mesh.backing(service))?);
                }
            }
        }
        Some(all)
    }

    /// The ports of one workload's pods that callers of a Service's port reach. A port by a name that
    /// nobody declares is taken to be the Service's own.
    pub(in crate::translate) fn ports_of(
        &self,
        mesh: &Mesh,
        service: &Service,
        port: &ServicePort,
        workload: &Workload,
    ) -> BTreeSet<u16> {
        let of = |port: &ServicePort| {
            let pods = super::ports::targets(port, [workload]);
            pods.unwrap_or_else(|| BTreeSet::from([port.port]))
        };
        let mut tables = self.tables(&service.object).iter();
        let Some((_, table)) = tables.find(|(number, _)| *number == port.port) else {
            return of(port);
        };
        let mut all = BTreeSet::new();
        for to in destinations(table) {
            for service in mesh.services_of_host(&to.host, "") {
                if mesh
                    .backing(service)
                    .any(|behind| behind.object == workload.object)
                {
                    let ports = mesh.spec(service).ports.iter();
                    let meant = ports.filter(|port| u32::from(port.port) == to.port);
                    all.extend(meant.flat_map(&of));
                }
            }
        }
        all
    }
}

/// Where the entries of a table send requests, and copies of requests.
fn destinations(table: &Table) -> impl Iterator<Item = &Destination> {
    let forwards = table
        .entries
        .iter()
        .filter_map(|entry| match &entry.action {
            Action {
                answer: Answer::Forward(forward),
                ..
            } => Some(forward),
            _ => None,
        });
    forwards.flat_map(|forward| {
        let ways = forward.ways.iter().map(|way| &way.destination);
        ways.chain(forward.mirrors.iter().map(|mirror| &mirror.destination))
    })
}

fn protocol(port: &ServicePort) -> Protocol {
    port.speaks().into()
}

/// Whether anything judges callers, so that it matters where they are led.
fn has_policies(mesh: &Mesh) -> bool {
    !mesh.all::<AuthorizationPolicy>().is_empty()
        || !mesh.all::<RequestAuthentication>().is_empty()
        || !mesh.all::<NetworkPolicy>().is_empty()
}

fn is_routed(mesh: &Mesh, service: &Service) -> bool {
    mesh.mesh_routes(service).next().is_some() || mesh.attached_routes(service).next().is_some()
}

/// A Service by its name.
pub(in crate::translate) fn named<'m>(mesh: &'m Mesh, service: &ObjectRef) -> Option<&'m Service> {
    let here = mesh.services_in(&service.namespace);
    let found = here.binary_search_by(|known| known.object.cmp(service));
    found.ok().map(|position| &here[position])
}
