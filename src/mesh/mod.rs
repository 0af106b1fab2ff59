//! The mesh: an inventory resolved and indexed once, then immutable.
//!
//! Every question that checks and the waypoint plan ask is answered here by a lookup. Each answer
//! notes the kinds it was derived from ([`Mesh::touched`]), so that a check's declaration of what it
//! reads can be held against what it does.

pub mod cni;
pub mod definitions;
pub mod hosts;
pub mod injection;
pub mod installation;
pub mod namespaces;
pub mod ownership;
pub mod services;
pub mod waypoints;
pub mod workloads;

use std::collections::BTreeMap;

use crate::inventory::{
    Input, Inventory, Listed, Object, Origin, Place, Subject, Unread, in_namespace,
};
use crate::kinds::gateway_api::RouteSpec;
use crate::kinds::path::field;
use crate::kinds::pod::Pod;
use crate::kinds::service::ServiceSpec;
use crate::kinds::service_entry::ServiceEntry;
use crate::kinds::traffic::{DestinationRule, VirtualService};
use crate::kinds::{FieldPath, Kind, KindSet, KindTally, Labels, Name, ObjectRef, Resource};

use injection::Injectors;
use installation::Installation;
use namespaces::Namespace;
use services::{LabelIndex, Service};
use waypoints::{Binding, Traffic, Waypoint};
use workloads::Workload;

/// The kinds from which namespaces and their labels are known.
pub const NAMESPACES: KindSet = KindSet::of(&[Kind::Namespace]);
/// The kinds from which workloads and their modes are known.
pub const WORKLOADS: KindSet = KindSet::of(&[
    Kind::Namespace,
    Kind::Pod,
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::ReplicaSet,
    Kind::Job,
    Kind::CronJob,
    Kind::Rollout,
    Kind::MutatingWebhookConfiguration,
]);
/// The kinds from which it is known how many workloads and pods there are, whatever their modes.
pub const COUNTED: KindSet = WORKLOADS.without(KindSet::of(&[Kind::MutatingWebhookConfiguration]));
/// The kinds from which a Service's pods are known.
pub const BACKING: KindSet = WORKLOADS.and(KindSet::of(&[Kind::Service]));
/// The kinds from which the installation is known.
pub const INSTALLATION: KindSet =
    KindSet::of(&[Kind::Deployment, Kind::DaemonSet, Kind::ConfigMap]);
/// The kinds from which the mesh's configuration is known.
pub const MESH_CONFIG: KindSet = KindSet::of(&[Kind::Deployment, Kind::ConfigMap]);
/// The kinds from which waypoints are known.
pub const WAYPOINTS: KindSet = KindSet::of(&[Kind::Gateway, Kind::GatewayClass]);
/// The kinds from which a Service's waypoint is known.
pub const BINDING: KindSet = WAYPOINTS.and(KindSet::of(&[Kind::Service, Kind::Namespace]));
/// The routes of the Gateway API.
pub const ROUTES: KindSet = KindSet::of(&[
    Kind::HTTPRoute,
    Kind::GRPCRoute,
    Kind::TCPRoute,
    Kind::TLSRoute,
]);

/// A part of the world that manifests usually do not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Istio's installation.
    Installation,
    /// Pods.
    Pods,
    /// Nodes.
    Nodes,
    /// CustomResourceDefinitions of the Gateway API.
    Definitions,
}

impl Part {
    /// As people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Installation => "Istio installation",
            Self::Pods => "pods",
            Self::Nodes => "nodes",
            Self::Definitions => "definitions of the Gateway API",
        }
    }
}

/// A resolved mesh.
#[derive(Debug)]
pub struct Mesh {
    inventory: Inventory,
    namespaces: BTreeMap<Name, Namespace>,
    injectors: Injectors,
    workloads: Vec<Workload>,
    labels: LabelIndex,
    services: Vec<Service>,
    installation: Installation,
    waypoints: Vec<Waypoint>,
    touched: KindTally,
}

impl Mesh {
    /// Resolves an inventory.
    pub fn new(mut inventory: Inventory) -> Self {
        let namespaces = namespaces::resolve(&inventory);
        let injectors = Injectors::of(&inventory.objects.webhooks);
        let mut workloads = workloads::resolve(&inventory, &namespaces, &injectors);
        let labels = LabelIndex::of(&workloads);
        let services = services::resolve(&inventory, &mut workloads, &labels);
        let installation = Installation::of(&inventory);
        note_unreadable_configuration(&installation, &mut inventory);
        let mut waypoints = waypoints::resolve(&inventory);
        waypoints.sort_by(|a, b| a.object.cmp(&b.object));
        Self {
            inventory,
            namespaces,
            injectors,
            workloads,
            labels,
            services,
            installation,
            waypoints,
            touched: KindTally::default(),
        }
    }

    fn touch(&self, kinds: KindSet) {
        self.touched.add(kinds);
    }

    /// The kinds that answers were derived from since the last call.
    pub fn touched(&self) -> KindSet {
        self.touched.take()
    }

    /// What was read, what was not, and whence. Looking at it is not noted.
    pub fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// Whether the input holds a part of the world. A cluster holds all of it.
    pub fn holds(&self, part: Part) -> bool {
        self.inventory.input != Input::Manifests
            || match part {
                Part::Installation => !self.installation.control_planes.is_empty(),
                Part::Pods => self.inventory.objects.count(Kind::Pod) > 0,
                Part::Nodes => self.inventory.objects.count(Kind::Node) > 0,
                // Definitions of other APIs say nothing about the one that matters.
                Part::Definitions => self
                    .inventory
                    .objects
                    .crds
                    .iter()
                    .any(|crd| crd.metadata.name.ends_with(".gateway.networking.k8s.io")),
            }
    }

    /// What it was made of.
    pub fn into_inventory(self) -> Inventory {
        self.inventory
    }

    /// Where a field of an object stands, for objects that came from files.
    pub fn place(&self, object: &ObjectRef, field: &FieldPath) -> Option<Place> {
        let origin: &Origin = self.inventory.objects.origin(object)?;
        self.inventory.place(origin, field)
    }

    /// All objects of a kind, sorted by namespace and name.
    pub fn all<T: Listed>(&self) -> &[Object<T>] {
        self.touch(KindSet::of(&[T::KIND]));
        T::list(&self.inventory.objects)
    }

    /// The objects of a kind in one namespace, sorted by name.
    pub fn within<T: Listed>(&self, namespace: &str) -> &[Object<T>] {
        in_namespace(self.all::<T>(), namespace)
    }

    /// The object of a name.
    pub fn named<T: Listed>(&self, namespace: &str, name: &str) -> Option<&Object<T>> {
        crate::inventory::find(self.all::<T>(), namespace, name)
    }

    /// Namespaces that are there or are mentioned, by name.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.touch(NAMESPACES);
        self.namespaces.values()
    }

    /// A namespace.
    pub fn namespace(&self, name: &str) -> Option<&Namespace> {
        self.touch(NAMESPACES);
        self.namespaces.get(name)
    }

    /// Who injects sidecars.
    pub fn injectors(&self) -> &Injectors {
        self.touch(KindSet::of(&[Kind::MutatingWebhookConfiguration]));
        &self.injectors
    }

    /// All workloads, sorted by namespace, kind and name.
    pub fn workloads(&self) -> &[Workload] {
        self.touch(WORKLOADS);
        &self.workloads
    }

    /// The workloads of a namespace.
    pub fn workloads_in(&self, namespace: &str) -> &[Workload] {
        let workloads = self.workloads();
        let start = workloads.partition_point(|w| w.object.namespace.as_ref() < namespace);
        let end = workloads.partition_point(|w| w.object.namespace.as_ref() <= namespace);
        &workloads[start..end]
    }

    /// The pods of a workload, sorted by name.
    pub fn pods(&self, workload: &Workload) -> impl Iterator<Item = &Object<Pod>> {
        self.touch(WORKLOADS);
        workload
            .pods
            .iter()
            .map(|position| &self.inventory.objects.pods[*position as usize])
    }

    /// The workloads of a namespace that have all these labels; all of it when there are none.
    pub fn selected(&self, namespace: &Name, labels: &Labels) -> Vec<&Workload> {
        if labels.is_empty() {
            return self.workloads_in(namespace).iter().collect();
        }
        self.touch(WORKLOADS);
        let positions = self.labels.select(namespace, labels, &self.workloads);
        positions
            .into_iter()
            .map(|position| &self.workloads[position as usize])
            .collect()
    }

    /// All Services, sorted by namespace and name.
    pub fn services(&self) -> &[Service] {
        self.touch(KindSet::of(&[Kind::Service]));
        &self.services
    }

    /// The Services of a namespace, sorted by name.
    pub fn services_in(&self, namespace: &str) -> &[Service] {
        let services = self.services();
        let start = services.partition_point(|s| s.object.namespace.as_ref() < namespace);
        let end = services.partition_point(|s| s.object.namespace.as_ref() <= namespace);
        &services[start..end]
    }

    /// The Services that a host, written in a resource of `namespace`, means.
    pub fn services_of_host(&self, host: &str, namespace: &str) -> &[Service] {
        let services = self.services();
        &services[services::of_host(services, host, namespace)]
    }

    /// What a Service selects and offers.
    pub fn spec(&self, service: &Service) -> &ServiceSpec {
        self.touch(KindSet::of(&[Kind::Service]));
        &self.inventory.objects.services[service.position].spec
    }

    /// A Service's labels.
    pub fn labels(&self, service: &Service) -> &Labels {
        self.touch(KindSet::of(&[Kind::Service]));
        &self.inventory.objects.services[service.position]
            .metadata
            .labels
    }

    /// The workloads behind a Service.
    pub fn backing(&self, service: &Service) -> impl Iterator<Item = &Workload> {
        self.touch(BACKING);
        service
            .workloads
            .iter()
            .map(|position| &self.workloads[*position as usize])
    }

    /// The Services in front of a workload.
    pub fn services_of(&self, workload: &Workload) -> impl Iterator<Item = &Service> {
        self.touch(BACKING);
        workload
            .services
            .iter()
            .map(|position| &self.services[*position as usize])
    }

    /// VirtualServices that sidecars apply to requests for a Service.
    pub fn mesh_routes(&self, service: &Service) -> impl Iterator<Item = &Object<VirtualService>> {
        self.touch(KindSet::of(&[Kind::VirtualService, Kind::Service]));
        let list = &self.inventory.objects.virtual_services;
        service
            .mesh_routes
            .iter()
            .map(|position| &list[*position as usize])
    }

    /// VirtualServices by which gateways lead to a Service.
    pub fn gateway_routes(
        &self,
        service: &Service,
    ) -> impl Iterator<Item = &Object<VirtualService>> {
        self.touch(KindSet::of(&[Kind::VirtualService, Kind::Service]));
        let list = &self.inventory.objects.virtual_services;
        service
            .gateway_routes
            .iter()
            .map(|position| &list[*position as usize])
    }

    /// DestinationRules for a Service.
    pub fn destination_rules(
        &self,
        service: &Service,
    ) -> impl Iterator<Item = &Object<DestinationRule>> {
        self.touch(KindSet::of(&[Kind::DestinationRule, Kind::Service]));
        let list = &self.inventory.objects.destination_rules;
        service
            .destination_rules
            .iter()
            .map(|position| &list[*position as usize])
    }

    /// Gateway API routes whose parent is the Service.
    pub fn attached_routes(&self, service: &Service) -> impl Iterator<Item = ObjectRef> {
        self.touch(ROUTES.and(KindSet::of(&[Kind::Service])));
        service
            .attached_routes
            .iter()
            .map(|(kind, position)| self.route(*kind, *position).0)
    }

    /// The Services to which Gateway API routes lead whose parent is the Service.
    pub fn attached_backends(&self, service: &Service) -> Vec<&Service> {
        self.touch(ROUTES.and(KindSet::of(&[Kind::Service])));
        let routes = service.attached_routes.iter();
        let routes = routes.map(|(kind, position)| self.route(*kind, *position));
        let backends = routes.flat_map(|(route, spec)| {
            let backends = spec.rules.iter().flat_map(|rule| &rule.backend_refs);
            backends.filter_map(move |backend| {
                let namespace = backend.namespace.as_deref().unwrap_or(&route.namespace);
                services::named(&self.services, namespace, &backend.name)
            })
        });
        backends.map(|position| &self.services[position]).collect()
    }

    /// Gateway API routes by which gateways lead to the Service.
    pub fn routed_backends(&self, service: &Service) -> impl Iterator<Item = ObjectRef> {
        self.touch(ROUTES.and(KindSet::of(&[Kind::Service])));
        service
            .routed_backends
            .iter()
            .map(|(kind, position)| self.route(*kind, *position).0)
    }

    fn route(&self, kind: Kind, position: u32) -> (ObjectRef, &RouteSpec) {
        let objects = &self.inventory.objects;
        let position = position as usize;
        let (meta, spec) = match kind {
            Kind::GRPCRoute => (
                &objects.grpc_routes[position].metadata,
                &objects.grpc_routes[position].spec,
            ),
            Kind::TCPRoute => (
                &objects.tcp_routes[position].metadata,
                &objects.tcp_routes[position].spec,
            ),
            Kind::TLSRoute => (
                &objects.tls_routes[position].metadata,
                &objects.tls_routes[position].spec,
            ),
            _ => (
                &objects.http_routes[position].metadata,
                &objects.http_routes[position].spec,
            ),
        };
        (ObjectRef::new(kind, &meta.namespace, &meta.name), spec)
    }

    /// Istio's installation.
    pub fn installation(&self) -> &Installation {
        self.touch(INSTALLATION);
        &self.installation
    }

    /// The namespace of policies for the whole mesh.
    pub fn root_namespace(&self) -> &Name {
        self.touch(MESH_CONFIG);
        &self.installation.config.root_namespace
    }

    /// The trust domain of identities.
    pub fn trust_domain(&self) -> &str {
        self.touch(MESH_CONFIG);
        &self.installation.config.trust_domain
    }

    /// Waypoints, sorted by namespace and name.
    pub fn waypoints(&self) -> &[Waypoint] {
        self.touch(WAYPOINTS);
        &self.waypoints
    }

    /// The waypoint of a reference.
    pub fn waypoint(&self, object: &ObjectRef) -> Option<&Waypoint> {
        let waypoints = self.waypoints();
        let found = waypoints.binary_search_by(|waypoint| waypoint.object.cmp(object));
        found.ok().map(|position| &waypoints[position])
    }

    /// The waypoint that a ServiceEntry's labels, or its namespace's, name.
    pub fn entry_binding(&self, entry: &Object<ServiceEntry>) -> Binding {
        self.touch(BINDING.and(KindSet::of(&[Kind::ServiceEntry])));
        let meta = &entry.metadata;
        let namespace = self.namespaces.get(&meta.namespace);
        waypoints::binding(
            &self.waypoints,
            &entry.reference(),
            &meta.labels,
            namespace,
            Traffic::Service,
        )
    }

    /// The waypoint that a Service's labels, or its namespace's, name.
    pub fn binding(&self, service: &Service) -> Binding {
        self.touch(BINDING);
        let namespace = self.namespaces.get(&service.object.namespace);
        let labels = self.labels(service);
        // The Services of waypoints and gateways that istiod made never have a waypoint.
        if labels.get(workloads::MANAGED_LABEL).is_some() {
            return Binding::None;
        }
        waypoints::binding(
            &self.waypoints,
            &service.object,
            labels,
            namespace,
            Traffic::Service,
        )
    }
}

/// Without its configuration neither the mesh's root namespace nor its trust domain is known: what is
/// derived from them must not pass.
fn note_unreadable_configuration(installation: &Installation, inventory: &mut Inventory) {
    let config = &installation.config;
    if let (Some(object), Some(why)) = (&config.object, &config.unreadable) {
        let field = field!["data", "mesh"];
        let origin = inventory.objects.origin(object).cloned();
        inventory.unread.push(Unread {
            subject: Subject::Object(object.clone()),
            reason: format!("the mesh configuration in {field} cannot be read: {why}"),
            place: origin.and_then(|origin| inventory.place(&origin, &field)),
        });
        inventory.unread.sort();
        // A mesh may be made of an inventory again.
        inventory.unread.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::InventoryBuilder;

    #[test]
    fn a_mesh_configuration_that_cannot_be_read_is_unread_and_has_no_defaults() {
        let read = |mesh: &str| {
            let text = format!(
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\n\
                 data:\n  mesh: |\n    {mesh}\n"
            );
            let mut builder = InventoryBuilder::new(Input::Manifests, "default");
            builder.file("mesh.yaml", text);
            Mesh::new(builder.finish())
        };
        assert!(
            read("rootNamespace: mesh-policies")
                .inventory()
                .unread
                .is_empty()
        );
        let broken = read("rootNamespace: [");
        let unread = &broken.inventory().unread;
        assert_eq!(unread.len(), 1);
        assert_eq!(
            unread[0].place.as_ref().map(ToString::to_string).unwrap(),
            "mesh.yaml:5:3"
        );
        assert!(
            unread[0]
                .reason
                .starts_with("the mesh configuration in data.mesh cannot be read")
        );
    }
}
