//! AMB402: a VirtualService and a route of the Gateway API act on one Service. Which of them a
//! request meets depends on who sends it and by which proxy.
//!
//! Source: `pilot/pkg/model/virtualservice.go`, `SelectVirtualServices` (sidecars), and
//! `pilot/pkg/networking/core/listener_waypoint.go` (waypoints).

use crate::checks::traffic::routed_in;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::path::field;
use crate::kinds::traffic::VirtualServiceSpec;
use crate::kinds::{Kind, Name, ObjectRef, Resource};
use crate::mesh::Mesh;
use crate::mesh::services::Service;
use crate::translate::{self, Topic, Weight};

/// The check.
pub static CHECK: VirtualServiceBesideRoute = VirtualServiceBesideRoute;

/// The check's type.
#[derive(Debug)]
pub struct VirtualServiceBesideRoute;

static META: Meta = Meta {
    id: Id("AMB402"),
    slug: "virtual-service-beside-route",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb402_virtual_service_beside_route.md"),
};

impl Check for VirtualServiceBesideRoute {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn asks_for_treatments(&self) -> bool {
        true
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        for namespace in view.namespaces() {
            let name = &namespace.name;
            for routed in routed_in(mesh, name) {
                let route = routed.route;
                if route.metadata.namespace != *name {
                    continue;
                }
                let object = route.reference();
                let services = routed.services.into_iter();
                let pairs: Vec<_> = services
                    .filter_map(|service| {
                        Some((service, beside(mesh, name, &route.spec, service)?))
                    })
                    .collect();
                let stay = !pairs.is_empty() && stay(view, &object, pairs.len());
                for (service, beside) in pairs {
                    if stay {
                        same(name, object.clone(), &beside, service, out);
                    } else {
                        report(name, &object, &beside, service, out);
                    }
                }
            }
        }
    }
}

/// A route of the same namespace for the same Service and the same kind of traffic.
fn beside(
    mesh: &Mesh,
    namespace: &Name,
    spec: &VirtualServiceSpec,
    service: &Service,
) -> Option<ObjectRef> {
    mesh.attached_routes(service)
        .filter(|route| route.namespace == *namespace)
        .find(|route| match route.kind {
            Kind::TCPRoute => !spec.tcp.is_empty(),
            Kind::TLSRoute => !spec.tls.is_empty(),
            _ => !spec.http.is_empty(),
        })
}

/// Whether a translation found that a VirtualService may stay beside the routes of so many Services.
fn stay(view: &View<'_>, object: &ObjectRef, services: usize) -> bool {
    let mut treatments = view.treatments().iter();
    treatments
        .find(|treatment| treatment.object == *object)
        .is_some_and(|treatment| {
            let remarks = treatment.remarks.iter();
            let beside = remarks.filter(|remark| remark.topic == Topic::BesideRoute);
            let weights: Vec<Weight> = beside.map(|remark| remark.weight).collect();
            weights.len() == services && weights.iter().all(|weight| *weight == Weight::Kept)
        })
}

fn same(
    namespace: &Name,
    object: ObjectRef,
    beside: &ObjectRef,
    service: &Service,
    out: &mut Sink<'_>,
) {
    let (route, host) = (beside.short(), service.object.short());
    out.find(
        namespace,
        Severity::Info,
        (object, field!["spec", "hosts"]),
        format!(
            "{route} routes {host} too; both may stay, a waypoint does with them what sidecars do"
        ),
        Remedy::Nothing,
    );
}

fn report(
    namespace: &Name,
    object: &ObjectRef,
    beside: &ObjectRef,
    service: &Service,
    out: &mut Sink<'_>,
) {
    let kind = beside.kind;
    let (route, host) = (beside.short(), service.object.short());
    out.find(
        namespace,
        Severity::Blocking,
        (object.clone(), field!["spec", "hosts"]),
        format!(
            "{route} routes {host} too: sidecars here follow the {kind} alone, sidecars elsewhere the older of the two, and a waypoint applies the {kind}'s rules first and then these",
        ),
        Remedy::command(
            "compare the two, put what is wanted into one of them, and delete the other",
            format!(
                "kubectl get virtualservice/{} {}/{} -n {namespace} -o yaml",
                object.name,
                kind.written().to_lowercase(),
                beside.name,
            ),
        ),
    );
}
