//! Which Service needs a proxy that reads HTTP in ambient mode, why, and which waypoints follow.
//!
//! ztunnel gives every connection mutual TLS and judges it by identity. What sidecars did beyond that
//! (tokens, rules on requests, routes, traffic policies) is done by a waypoint, or by nobody.

mod features;
pub mod manifest;
pub mod standing;

use std::collections::BTreeSet;

pub use features::{Evidence, Feature, traffic_policy};

use crate::kinds::gateway_api::Gateway;
use crate::kinds::{Kind, KindSet, Name, ObjectRef};
use crate::mesh::waypoints::Traffic;
use crate::mesh::{Mesh, services::Service};

/// The kinds from which the need is known.
pub const READS: KindSet = crate::mesh::BACKING
    .and(crate::mesh::BINDING)
    .and(crate::mesh::MESH_CONFIG)
    .and(crate::mesh::ROUTES)
    .and(KindSet::of(&[
        Kind::AuthorizationPolicy,
        Kind::RequestAuthentication,
        Kind::VirtualService,
        Kind::DestinationRule,
        Kind::WasmPlugin,
        Kind::TrafficExtension,
        Kind::Telemetry,
    ]));

/// What one Service needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceNeed {
    /// The Service.
    pub service: ObjectRef,
    /// What it uses beyond connections, each with the object that says so; sorted.
    pub evidence: Vec<Evidence>,
    /// The waypoint that its labels, or its namespace's, name today, if that can take its traffic.
    pub bound_to: Option<ObjectRef>,
    /// Whether clients reach its pods' addresses, so that a waypoint must take traffic addressed to
    /// pods as well.
    pub headless: bool,
}

impl ServiceNeed {
    /// Whether it needs a waypoint. What is enforced at a gateway does not ask for one.
    pub fn needs_waypoint(&self) -> bool {
        self.evidence
            .iter()
            .any(|evidence| evidence.feature.needs_waypoint())
    }

    /// The features in use, each once, in order.
    pub fn features(&self) -> BTreeSet<Feature> {
        self.evidence
            .iter()
            .map(|evidence| evidence.feature)
            .collect()
    }
}

/// Which waypoints a namespace needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// None: ztunnel alone does what is in use.
    None,
    /// One, for the Services of the namespace that need it.
    Namespace,
    /// One, for a single Service among several.
    Service(ObjectRef),
    /// One of another namespace, to which Services here are bound already.
    Shared(ObjectRef),
}

/// What a namespace needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceNeed {
    /// The namespace.
    pub namespace: Name,
    /// Its Services, sorted by name.
    pub services: Vec<ServiceNeed>,
    /// Which waypoints follow.
    pub placement: Placement,
    /// Which traffic the waypoint must take.
    pub traffic: Traffic,
    /// Whether all that decides it was read. If not, a Service may need one that is not known to.
    pub complete: bool,
}

impl NamespaceNeed {
    /// The Services that need a waypoint.
    pub fn needing(&self) -> impl Iterator<Item = &ServiceNeed> {
        self.services
            .iter()
            .filter(|service| service.needs_waypoint())
    }
}

/// What the Services of a namespace need.
///
/// Services that Istio made for gateways and waypoints, those in front of gateways, mere aliases and
/// the API server's own are left out: nothing of theirs moves.
pub fn assess(mesh: &Mesh, namespace: &Name) -> NamespaceNeed {
    let mut evidence = features::of_namespace(mesh, namespace);
    let services: Vec<ServiceNeed> = mesh
        .services_in(namespace)
        .iter()
        .filter(|service| moves(mesh, service))
        .map(|service| {
            let mut evidence = evidence.remove(&service.object).unwrap_or_default();
            evidence.sort();
            evidence.dedup();
            ServiceNeed {
                service: service.object.clone(),
                evidence,
                bound_to: mesh.binding(service).usable().cloned(),
                headless: mesh.spec(service).is_headless(),
            }
        })
        .collect();
    let placement = placement(namespace, &services);
    let pods_too = services
        .iter()
        .any(|need| need.headless && need.needs_waypoint());
    let traffic = match placement {
        Placement::None => Traffic::None,
        _ if pods_too => Traffic::All,
        _ => Traffic::Service,
    };
    let mut unread = mesh.inventory().unread.iter();
    NamespaceNeed {
        namespace: namespace.clone(),
        services,
        placement,
        traffic,
        complete: !unread.any(|unread| unread.is_of_a_file() || unread.is_of(READS)),
    }
}

/// The waypoint to which a Service of a namespace is bound that needs one and has none: a shared one,
/// one of the namespace that takes the traffic of Services, or one that is made. `None` where no
/// Service needs one.
pub fn planned(mesh: &Mesh, need: &NamespaceNeed) -> Option<ObjectRef> {
    match &need.placement {
        Placement::None => None,
        Placement::Shared(shared) => Some(shared.clone()),
        Placement::Namespace | Placement::Service(_) => Some(own(mesh, &need.namespace)),
    }
}

/// The waypoint of a namespace: the one of the usual name or another that is there, else one to be
/// made under a name that nothing has.
fn own(mesh: &Mesh, namespace: &Name) -> ObjectRef {
    let gateway = |name: &str| ObjectRef::new(Kind::Gateway, namespace, &Name::from(name));
    let usual = gateway(manifest::NAME);
    let mut there: Vec<&ObjectRef> = mesh
        .waypoints()
        .iter()
        .filter(|known| {
            known.object.namespace == *namespace && known.traffic.takes(Traffic::Service)
        })
        .map(|known| &known.object)
        .collect();
    there.sort_by_key(|known| **known != usual);
    if let Some(known) = there.first() {
        return (*known).clone();
    }
    let mut free = manifest::names()
        .map(|name| gateway(&name))
        .filter(|made| is_free(mesh, made));
    free.next().unwrap_or(usual)
}

/// Whether nobody else has made an object of the names that a waypoint and its parameters take: its
/// Gateway, and the ConfigMap beside it.
fn is_free(mesh: &Mesh, gateway: &ObjectRef) -> bool {
    let options = Name::from(manifest::options_name(&gateway.name).as_str());
    let options = ObjectRef::new(Kind::ConfigMap, &gateway.namespace, &options);
    let (label, ours) = manifest::MANAGED_BY;
    let theirs = mesh
        .inventory()
        .whole(&options)
        .is_some_and(|options| options["metadata"]["labels"][label] != ours);
    let taken = mesh.named::<Gateway>(&gateway.namespace, &gateway.name);
    taken.is_none() && !theirs
}

fn moves(mesh: &Mesh, service: &Service) -> bool {
    use crate::mesh::workloads::{MANAGED_LABEL, Role};
    if mesh.spec(service).is_external_name()
        || mesh.labels(service).get(MANAGED_LABEL).is_some()
        || is_api_server(&service.object)
    {
        return false;
    }
    let mut backing = mesh.backing(service).peekable();
    backing.peek().is_none() || backing.any(|workload| workload.role == Role::Application)
}

/// Every cluster has this Service, which the API server keeps for itself.
fn is_api_server(service: &ObjectRef) -> bool {
    service.namespace.as_ref() == "default" && service.name.as_ref() == "kubernetes"
}

fn placement(namespace: &Name, services: &[ServiceNeed]) -> Placement {
    let needing: Vec<&ServiceNeed> = services.iter().filter(|s| s.needs_waypoint()).collect();
    let shared = needing.iter().find_map(|need| {
        let waypoint = need.bound_to.as_ref()?;
        (waypoint.namespace != *namespace).then(|| waypoint.clone())
    });
    match (needing.as_slice(), shared) {
        ([], _) => Placement::None,
        (_, Some(waypoint)) => Placement::Shared(waypoint),
        ([only], None) if services.len() > 1 => Placement::Service(only.service.clone()),
        _ => Placement::Namespace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Input, InventoryBuilder};

    #[test]
    fn the_api_servers_own_service_does_not_move() {
        let services = "
apiVersion: v1
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {ports: [{port: 443}]}
---
apiVersion: v1
kind: Service
metadata: {name: kubernetes, namespace: shop}
spec: {ports: [{port: 443}]}
";
        let mut builder = InventoryBuilder::new(Input::Manifests, "default");
        builder.file("services.yaml", services.to_owned());
        let mesh = Mesh::new(builder.finish());
        let count = |namespace: &str| assess(&mesh, &Name::from(namespace)).services.len();
        assert_eq!((count("default"), count("shop")), (0, 1));
    }

    #[test]
    fn what_no_waypoint_of_the_service_would_take_asks_for_none() {
        let shop = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec: {template: {metadata: {labels: {app: pay}}}}
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {selector: {app: pay}, ports: [{port: 80}]}
---
";
        let host = "pay.shop.svc.cluster.local";
        let route = format!(
            "kind: VirtualService\napiVersion: networking.istio.io/v1\n\
             spec: {{hosts: [{host}], http: [{{route: [{{destination: {{host: {host}}}}}]}}]}}\n"
        );
        let http_route = "kind: HTTPRoute\napiVersion: gateway.networking.k8s.io/v1\n\
             spec: {parentRefs: [{group: '', kind: Service, name: pay, namespace: shop, port: 80}]}\n";
        let rule = |more: &str| {
            format!(
                "kind: DestinationRule\napiVersion: networking.istio.io/v1\nspec: {{host: {host}, \
                 trafficPolicy: {{outlierDetection: {{interval: 1s}}}}{more}}}\n"
            )
        };
        let telemetry = "kind: Telemetry\napiVersion: telemetry.istio.io/v1\n\
             spec: {selector: {matchLabels: {app: pay}}, accessLogging: [{disabled: true}]}\n";
        for (home, object, expected) in [
            ("shop", route.as_str(), true),
            ("web", &route, false),
            ("shop", http_route, true),
            ("web", http_route, false),
            ("shop", &rule(""), true),
            (
                "shop",
                &rule(", workloadSelector: {matchLabels: {a: b}}"),
                false,
            ),
            ("web", &rule(""), false),
            ("istio-system", &rule(""), true),
            ("shop", telemetry, true),
            ("istio-system", telemetry, false),
        ] {
            let mut builder = InventoryBuilder::new(Input::Manifests, "default");
            let object = format!("metadata: {{name: a, namespace: {home}}}\n{object}");
            builder.file("a.yaml", format!("{shop}{object}"));
            let mesh = Mesh::new(builder.finish());
            let need = assess(&mesh, &"shop".into());
            assert_eq!(need.needing().count() == 1, expected, "{object}");
        }
    }
}
