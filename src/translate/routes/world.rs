//! The objects that route requests, with all their fields, and the hosts that take requests.

use std::collections::BTreeMap;

use crate::inventory::Object;
use crate::kinds::complete::{HttpRoute, Specification, VirtualService, Whole};
use crate::kinds::service_entry::ServiceEntry;
use crate::kinds::{DecodeError, Kind, ObjectRef, Resource, gateway_api, traffic};
use crate::mesh::Mesh;
use crate::mesh::services::{Service, is_mesh};
use crate::semantics::routing::Services;
use crate::translate::versions::Candidates;

/// The cluster's own domain.
pub(crate) const DOMAIN: &str = "cluster.local";

/// The objects that route requests, and the hosts that take them.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// VirtualServices of the mesh and delegates.
    pub(crate) virtual_services: BTreeMap<ObjectRef, VirtualService>,
    /// Those that cannot be read.
    pub(crate) unreadable: BTreeMap<ObjectRef, DecodeError>,
    /// Those of gateways alone that delegate: what they delegate to must stay.
    pub(crate) at_gateways: Vec<VirtualService>,
    /// HTTPRoutes.
    pub(crate) http_routes: Vec<HttpRoute>,
    ports: BTreeMap<String, Vec<u16>>,
    entries: BTreeMap<(String, String), Vec<String>>,
}

impl World {
    pub(crate) fn of(mesh: &Mesh) -> Self {
        let mut world = Self::default();
        for service in mesh.services() {
            let ports = mesh.spec(service).ports.iter().map(|port| port.port);
            world
                .ports
                .insert(full_name(&service.object), ports.collect());
        }
        for entry in mesh.all::<ServiceEntry>() {
            world.add_entry(entry);
        }
        for route in mesh.all::<traffic::VirtualService>() {
            let spec = &route.spec;
            if !spec.hosts.is_empty() && !is_mesh(&spec.gateways) {
                if spec.http.iter().any(|http| http.delegate.is_some()) {
                    world
                        .at_gateways
                        .extend(whole(mesh, route).and_then(Result::ok));
                }
                continue;
            }
            match whole(mesh, route) {
                Some(Ok(read)) => {
                    world.virtual_services.insert(route.reference(), read);
                }
                Some(Err(error)) => {
                    world.unreadable.insert(route.reference(), error);
                }
                None => {}
            }
        }
        for route in mesh.all::<gateway_api::HTTPRoute>() {
            if let Some(Ok(read)) = whole(mesh, route) {
                world.http_routes.push(read);
            }
        }
        world
    }

    /// Adds the Services that would stand for subsets, with the ports of those whose subsets they are.
    pub(crate) fn add_versions(&mut self, candidates: &Candidates) {
        for (host, base) in candidates.hosts() {
            if let Some(ports) = self.ports.get(&full_name(base)).cloned() {
                self.ports.insert(host.to_owned(), ports);
            }
        }
    }

    fn add_entry(&mut self, entry: &ServiceEntry) {
        let meta = &entry.metadata;
        let ports = entry.spec.ports.iter();
        let ports: Vec<u16> = ports
            .filter_map(|port| u16::try_from(port.number).ok())
            .filter(|port| *port != 0)
            .collect();
        for host in &entry.spec.hosts {
            // A Service of the cluster goes before an entry that names it.
            self.ports
                .entry(host.clone())
                .or_insert_with(|| ports.clone());
        }
        let key = (meta.namespace.to_string(), meta.name.to_string());
        self.entries.insert(key, entry.spec.hosts.clone());
    }
}

/// An object with all its fields, in the namespace that the input gives it.
fn whole<T: Resource, S: Specification>(
    mesh: &Mesh,
    object: &Object<T>,
) -> Option<Result<Whole<S>, DecodeError>> {
    let json = mesh.inventory().whole(&object.reference())?;
    let read = Whole::from_json(&json);
    Some(read.map(|mut read: Whole<S>| {
        read.metadata = object.meta().clone();
        read
    }))
}

impl Services for World {
    fn ports(&self, host: &str) -> Option<&[u16]> {
        self.ports.get(host).map(Vec::as_slice)
    }

    fn service_entry_hosts(&self, namespace: &str, name: &str) -> Vec<String> {
        let key = (namespace.to_owned(), name.to_owned());
        self.entries.get(&key).cloned().unwrap_or_default()
    }
}

/// The name of a Service in full.
pub(crate) fn full_name(service: &ObjectRef) -> String {
    format!("{}.{}.svc.{DOMAIN}", service.name, service.namespace)
}

/// The Service that a host, written in a resource of `namespace`, means; none for wildcards.
pub(crate) fn service_of<'m>(mesh: &'m Mesh, host: &str, namespace: &str) -> Option<&'m Service> {
    if host.contains('*') {
        return None;
    }
    mesh.services_of_host(host, namespace).first()
}

/// The kinds of routes by which a Service may be routed already.
pub(crate) fn is_request_route(object: &ObjectRef) -> bool {
    matches!(object.kind, Kind::HTTPRoute | Kind::GRPCRoute)
}
