//! Gateways without HBONE, and whether a route leads from them to what is judged.

use std::collections::{BTreeMap, BTreeSet};

use super::pods;
use crate::checks::{Remedy, Severity, Sink, View};
use crate::inventory::{Listed, Object};
use crate::kinds::gateway_api::{GRPCRoute, HTTPRoute, ParentRef, TCPRoute, TLSRoute};
use crate::kinds::istio_gateway::IstioGateway;
use crate::kinds::{FieldPath, Kind, Name, ObjectRef, Resource, selector};
use crate::mesh::Mesh;
use crate::mesh::workloads::{GATEWAY_NAME_LABEL, Role, Workload};

/// A gateway some of whose pods do not speak HBONE, or may not.
struct Gateway<'m> {
    workload: &'m Workload,
    /// Pods without it.
    without: usize,
    /// Pods of which it is not known.
    unknown: usize,
}

/// Reports them: the move restarts those of its own namespace; others are their owner's.
pub(super) fn report(view: &View<'_>, out: &mut Sink<'_>) {
    let gateways = gateways(view.mesh);
    if gateways.is_empty() {
        return;
    }
    let callers = Callers::of(view.mesh, &gateways);
    let mut linked = BTreeSet::new();
    for namespace in view.namespaces() {
        for (position, service) in callers.leading_to(view.mesh, &namespace.name) {
            let gateway = &gateways[position];
            linked.insert(position);
            if gateway.workload.object.namespace != namespace.name && gateway.without > 0 {
                route(&namespace.name, gateway, &service, out);
            }
        }
    }
    for (position, gateway) in gateways.iter().enumerate() {
        let object = &gateway.workload.object;
        if view.judges(&object.namespace) && gateway.without > 0 {
            own(gateway, out);
        } else if gateway.without > 0 && !linked.contains(&position) {
            idle(gateway, out);
        }
        if gateway.unknown > 0 {
            out.find_for_all(
                Severity::Warning,
                (object.clone(), FieldPath::root()),
                format!(
                    "{} HBONE or not: that was not checked, because only metadata could be read",
                    pods(gateway.unknown, OF, ["speaks", "speak"])
                ),
                restart(object),
            );
        }
    }
}

fn gateways(mesh: &Mesh) -> Vec<Gateway<'_>> {
    let mut found = Vec::new();
    for workload in mesh.workloads().iter().filter(|w| w.role == Role::Gateway) {
        let mut gateway = Gateway {
            workload,
            without: 0,
            unknown: 0,
        };
        for pod in mesh.pods(workload) {
            match pod.detail.as_ref().map(|detail| detail.hbone_env) {
                Some(Some(false)) => gateway.without += 1,
                // Without a proxy of Istio's it is another product's gateway.
                Some(Some(true) | None) => {}
                None => gateway.unknown += 1,
            }
        }
        if gateway.without + gateway.unknown > 0 {
            found.push(gateway);
        }
    }
    found
}

fn restart(object: &ObjectRef) -> Remedy {
    match object.kind {
        Kind::Deployment | Kind::DaemonSet | Kind::StatefulSet => Remedy::command(
            "have its owner restart the gateway after istiod has profile=ambient",
            format!(
                "kubectl rollout restart {}/{} -n {}",
                object.kind.written().to_lowercase(),
                object.name,
                object.namespace
            ),
        ),
        _ => Remedy::person("have its owner restart the gateway after istiod has profile=ambient"),
    }
}

const OF: &str = " of this gateway";
const RUN: [&str; 2] = ["runs", "run"];
const HOW: &str = "without ISTIO_META_ENABLE_HBONE=true";

fn own(gateway: &Gateway<'_>, out: &mut Sink<'_>) {
    let object = &gateway.workload.object;
    out.find(
        &object.namespace,
        Severity::Change,
        (object.clone(), FieldPath::root()),
        format!(
            "{} {HOW}: it would reach moved pods in plain text and without an identity",
            pods(gateway.without, OF, RUN)
        ),
        Remedy::moved("it is restarted before anything else, and comes up with HBONE"),
    );
}

fn route(namespace: &Name, gateway: &Gateway<'_>, service: &ObjectRef, out: &mut Sink<'_>) {
    let object = &gateway.workload.object;
    out.find(
        namespace,
        Severity::Blocking,
        (object.clone(), FieldPath::root()),
        format!(
            "{} {HOW}, and its routes lead to {}: it would reach moved pods in plain text and without an identity, and is refused where STRICT or a rule on identities applies",
            pods(gateway.without, OF, RUN),
            service.short()
        ),
        restart(object),
    );
}

fn idle(gateway: &Gateway<'_>, out: &mut Sink<'_>) {
    let object = &gateway.workload.object;
    out.find_for_all(
        Severity::Warning,
        (object.clone(), FieldPath::root()),
        format!(
            "{} {HOW}; no route was found that leads from it to what is judged",
            pods(gateway.without, OF, RUN)
        ),
        restart(object),
    );
}

/// Which gateways (by position) a Gateway object puts to use, and which Gateways routes name.
struct Callers {
    /// Istio's Gateways, by namespace and name.
    istio: BTreeMap<(Name, Name), Vec<usize>>,
    /// Routes of the Gateway API.
    routes: BTreeMap<ObjectRef, Vec<usize>>,
}

impl Callers {
    fn of(mesh: &Mesh, gateways: &[Gateway<'_>]) -> Self {
        let mut istio = BTreeMap::new();
        for object in mesh.all::<IstioGateway>() {
            let wanted = &object.spec.selector;
            let served: Vec<usize> = gateways
                .iter()
                .enumerate()
                .filter(|(_, gateway)| selector::contains(&gateway.workload.labels, wanted))
                .map(|(position, _)| position)
                .collect();
            let meta = &object.metadata;
            istio.insert((meta.namespace.clone(), meta.name.clone()), served);
        }
        let mut by_name: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
        for (position, gateway) in gateways.iter().enumerate() {
            if let Some(name) = gateway.workload.labels.get(GATEWAY_NAME_LABEL) {
                let key = (gateway.workload.object.namespace.as_ref(), name);
                by_name.entry(key).or_default().push(position);
            }
        }
        let mut routes = BTreeMap::new();
        collect::<HTTPRoute>(mesh, &by_name, |r| &r.spec.parent_refs, &mut routes);
        collect::<GRPCRoute>(mesh, &by_name, |r| &r.spec.parent_refs, &mut routes);
        collect::<TCPRoute>(mesh, &by_name, |r| &r.spec.parent_refs, &mut routes);
        collect::<TLSRoute>(mesh, &by_name, |r| &r.spec.parent_refs, &mut routes);
        Self { istio, routes }
    }

    /// The gateways from which a route leads to a Service of a namespace, each with the first such.
    fn leading_to(&self, mesh: &Mesh, namespace: &Name) -> BTreeMap<usize, ObjectRef> {
        let mut found = BTreeMap::new();
        for service in mesh.services_in(namespace) {
            let mut positions: Vec<usize> = Vec::new();
            for route in mesh.gateway_routes(service) {
                for gateway in &route.spec.gateways {
                    let own = &route.metadata.namespace;
                    let key = match gateway.split_once('/') {
                        Some((namespace, name)) => (Name::from(namespace), Name::from(name)),
                        None => (own.clone(), Name::from(gateway.as_str())),
                    };
                    positions.extend(self.istio.get(&key).into_iter().flatten());
                }
            }
            for route in mesh.routed_backends(service) {
                positions.extend(self.routes.get(&route).into_iter().flatten());
            }
            for position in positions {
                found
                    .entry(position)
                    .or_insert_with(|| service.object.clone());
            }
        }
        found
    }
}

fn collect<T: Listed + Resource>(
    mesh: &Mesh,
    by_name: &BTreeMap<(&str, &str), Vec<usize>>,
    parents: fn(&T) -> &[ParentRef],
    routes: &mut BTreeMap<ObjectRef, Vec<usize>>,
) {
    for object in mesh.all::<T>() {
        let route: &Object<T> = object;
        let own = route.meta().namespace.as_ref();
        let positions: Vec<usize> = parents(route)
            .iter()
            .filter(|parent| !parent.is_service())
            .filter_map(|parent| {
                let namespace = parent.namespace.as_deref().unwrap_or(own);
                by_name.get(&(namespace, parent.name.as_str()))
            })
            .flatten()
            .copied()
            .collect();
        if !positions.is_empty() {
            routes.insert(route.reference(), positions);
        }
    }
}
