//! Services: who serves them and what routes to them.

use std::collections::HashMap;

use super::hosts::{self, Host};
use super::workloads::Workload;
use crate::inventory::{Inventory, Object};
use crate::kinds::traffic::VirtualService;
use crate::kinds::{Kind, Labels, Name, ObjectRef, selector};

/// A Service and what belongs to it. Positions are those of the inventory's lists.
#[derive(Debug)]
pub struct Service {
    /// The object.
    pub object: ObjectRef,
    pub(super) position: usize,
    pub(super) workloads: Vec<u32>,
    pub(super) mesh_routes: Vec<u32>,
    pub(super) gateway_routes: Vec<u32>,
    pub(super) destination_rules: Vec<u32>,
    pub(super) attached_routes: Vec<(Kind, u32)>,
    pub(super) routed_backends: Vec<(Kind, u32)>,
}

/// Workloads by namespace and by each label they have.
#[derive(Debug, Default)]
pub(super) struct LabelIndex {
    by_pair: HashMap<(Name, Name, Name), Vec<u32>>,
}

impl LabelIndex {
    pub(super) fn of(workloads: &[Workload]) -> Self {
        let mut by_pair: HashMap<_, Vec<u32>> = HashMap::new();
        for (position, workload) in workloads.iter().enumerate() {
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            for (key, value) in workload.labels.pairs() {
                let entry = (
                    workload.object.namespace.clone(),
                    key.clone(),
                    value.clone(),
                );
                by_pair.entry(entry).or_default().push(position);
            }
        }
        Self { by_pair }
    }

    /// Workloads of a namespace that have all these labels. The rarest label is looked up, so that
    /// a label that everything carries does not make every selector look at everything.
    pub(super) fn select(
        &self,
        namespace: &Name,
        wanted: &Labels,
        workloads: &[Workload],
    ) -> Vec<u32> {
        let mut rarest: Option<&Vec<u32>> = None;
        for (key, value) in wanted.pairs() {
            let entry = (namespace.clone(), key.clone(), value.clone());
            match self.by_pair.get(&entry) {
                None => return Vec::new(),
                Some(list) if rarest.is_none_or(|best| list.len() < best.len()) => {
                    rarest = Some(list);
                }
                Some(_) => {}
            }
        }
        let candidates = rarest.map(Vec::as_slice).unwrap_or_default();
        candidates
            .iter()
            .copied()
            .filter(|position| selector::contains(&workloads[*position as usize].labels, wanted))
            .collect()
    }
}

/// All Services, sorted by namespace and name, joined with workloads and routes.
pub(super) fn resolve(
    inventory: &Inventory,
    workloads: &mut [Workload],
    index: &LabelIndex,
) -> Vec<Service> {
    let mut services: Vec<Service> = inventory
        .objects
        .services
        .iter()
        .enumerate()
        .map(|(position, object)| Service {
            object: ObjectRef::new(
                Kind::Service,
                &object.metadata.namespace,
                &object.metadata.name,
            ),
            position,
            workloads: if object.spec.selector.is_empty() || object.spec.is_external_name() {
                Vec::new()
            } else {
                index.select(&object.metadata.namespace, &object.spec.selector, workloads)
            },
            mesh_routes: Vec::new(),
            gateway_routes: Vec::new(),
            destination_rules: Vec::new(),
            attached_routes: Vec::new(),
            routed_backends: Vec::new(),
        })
        .collect();
    for (position, service) in services.iter().enumerate() {
        for workload in &service.workloads {
            workloads[*workload as usize].services.push(small(position));
        }
    }
    join_istio(inventory, &mut services);
    join_gateway_api(inventory, &mut services);
    services
}

fn small(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// The positions of the Services that a host means.
pub(super) fn of_host(services: &[Service], host: &str, namespace: &str) -> std::ops::Range<usize> {
    match hosts::resolve(host, namespace) {
        Host::Service { namespace, name } => {
            named(services, &namespace, &name).map_or(0..0, |found| found..found + 1)
        }
        Host::Namespace(namespace) => {
            let start = services.partition_point(|s| s.object.namespace.as_ref() < &*namespace);
            let end = services.partition_point(|s| s.object.namespace.as_ref() <= &*namespace);
            start..end
        }
        Host::All => 0..services.len(),
        Host::Elsewhere => 0..0,
    }
}

/// Whether a VirtualService acts inside the mesh, not only at gateways.
pub fn is_mesh(gateways: &[String]) -> bool {
    gateways.is_empty() || gateways.iter().any(|gateway| gateway == "mesh")
}

/// Whether a VirtualService acts at a gateway.
pub fn is_gateway(gateways: &[String]) -> bool {
    gateways.iter().any(|gateway| gateway != "mesh")
}

fn join_istio(inventory: &Inventory, services: &mut [Service]) {
    for (position, route) in inventory.objects.virtual_services.iter().enumerate() {
        let namespace = &route.metadata.namespace;
        let spec = &route.spec;
        if is_mesh(&spec.gateways) {
            for host in &spec.hosts {
                for service in of_host(services, host, namespace) {
                    push_once(&mut services[service].mesh_routes, position);
                }
            }
        }
        if is_gateway(&spec.gateways) {
            let delegates = delegates(&inventory.objects.virtual_services, route);
            for spec in std::iter::once(route).chain(delegates) {
                for host in destinations(&spec.spec) {
                    for service in of_host(services, host, &spec.metadata.namespace) {
                        push_once(&mut services[service].gateway_routes, position);
                    }
                }
            }
        }
    }
    for (position, rule) in inventory.objects.destination_rules.iter().enumerate() {
        for service in of_host(services, &rule.spec.host, &rule.metadata.namespace) {
            push_once(&mut services[service].destination_rules, position);
        }
    }
}

fn push_once(list: &mut Vec<u32>, position: usize) {
    let position = small(position);
    if list.last() != Some(&position) {
        list.push(position);
    }
}

/// The VirtualServices to which one delegates; they go no further
/// (`pilot/pkg/model/virtualservice.go`, `mergeVirtualServicesIfNeeded`).
pub fn delegates<'a>(
    all: &'a [Object<VirtualService>],
    route: &'a VirtualService,
) -> impl Iterator<Item = &'a Object<VirtualService>> {
    let delegates = route
        .spec
        .http
        .iter()
        .filter_map(|http| http.delegate.as_ref());
    delegates.filter_map(|delegate| {
        let namespace = match delegate.namespace.as_str() {
            "" => route.metadata.namespace.as_ref(),
            namespace => namespace,
        };
        let found = crate::inventory::find(all, namespace, &delegate.name)?;
        found.spec.hosts.is_empty().then_some(found)
    })
}

/// The hosts to which a VirtualService sends requests.
pub fn destinations(
    spec: &crate::kinds::traffic::VirtualServiceSpec,
) -> impl Iterator<Item = &str> {
    let http = spec.http.iter().flat_map(|http| &http.route);
    let streams = spec
        .tcp
        .iter()
        .chain(&spec.tls)
        .flat_map(|stream| &stream.route);
    http.chain(streams)
        .map(|route| route.destination.host.as_str())
}

fn join_gateway_api(inventory: &Inventory, services: &mut [Service]) {
    let objects = &inventory.objects;
    macro_rules! join {
        ($($field:ident: $kind:ident),+) => {$(
            for (position, route) in objects.$field.iter().enumerate() {
                let own = route.metadata.namespace.as_ref();
                let entry = (Kind::$kind, small(position));
                for parent in route.spec.parent_refs.iter().filter(|parent| parent.is_service()) {
                    let namespace = parent.namespace.as_deref().unwrap_or(own);
                    if let Some(found) = named(services, namespace, &parent.name) {
                        services[found].attached_routes.push(entry);
                    }
                }
                if route.spec.parent_refs.iter().any(|parent| !parent.is_service()) {
                    for backend in route.spec.rules.iter().flat_map(|rule| &rule.backend_refs) {
                        let namespace = backend.namespace.as_deref().unwrap_or(own);
                        if let Some(found) = named(services, namespace, &backend.name)
                            && services[found].routed_backends.last() != Some(&entry)
                        {
                            services[found].routed_backends.push(entry);
                        }
                    }
                }
            }
        )+};
    }
    join!(http_routes: HTTPRoute, grpc_routes: GRPCRoute, tcp_routes: TCPRoute, tls_routes: TLSRoute);
}

pub(super) fn named(services: &[Service], namespace: &str, name: &str) -> Option<usize> {
    services
        .binary_search_by(|service| {
            (
                service.object.namespace.as_ref(),
                service.object.name.as_ref(),
            )
                .cmp(&(namespace, name))
        })
        .ok()
}
