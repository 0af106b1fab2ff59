//! AMB401: a VirtualService that the callers' sidecars apply. In ambient mode it is applied at a
//! waypoint of the Service, or by nobody.
//!
//! Source: `pilot/pkg/networking/core/listener_waypoint.go`, `getVirtualServiceForWaypoint` and
//! `getTLSRouteMatch`; <https://istio.io/latest/docs/ambient/migrate/migrate-policies/>.

use std::collections::BTreeMap;

use crate::checks::traffic::{
    Routed, Standing, has_moved, is_applied_at_waypoint, is_visible, routed_in, standing,
};
use crate::checks::wording::first_and_more;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Object;
use crate::kinds::path::field;
use crate::kinds::traffic::VirtualService;
use crate::kinds::{FieldPath, Kind, KindSet, Name, Resource};
use crate::mesh::hosts::{self, Host};
use crate::mesh::services::{Service, destinations, is_mesh};
use crate::mesh::workloads::Role;
use crate::mesh::{self, Mesh};

/// The check.
pub static CHECK: VirtualServiceInMesh = VirtualServiceInMesh;

/// The check's type.
#[derive(Debug)]
pub struct VirtualServiceInMesh;

static META: Meta = Meta {
    id: Id("AMB401"),
    slug: "virtual-service-in-mesh",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: mesh::BACKING
        .and(mesh::BINDING)
        .and(KindSet::of(&[Kind::VirtualService])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb401_virtual_service_in_mesh.md"),
};

impl Check for VirtualServiceInMesh {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        for namespace in view.namespaces() {
            let name = &namespace.name;
            let has_moved = has_moved(mesh, name);
            for routed in routed_in(mesh, name) {
                if routed.route.metadata.namespace == *name {
                    own(mesh, name, &routed, has_moved, out);
                } else {
                    foreign(mesh, name, &routed, out);
                }
            }
            for route in mesh.within::<VirtualService>(name) {
                if is_mesh(&route.spec.gateways) {
                    elsewhere(mesh, name, route, out);
                }
            }
        }
    }
}

/// A VirtualService of the namespace for Services of it: a waypoint takes it as it stands.
fn own(mesh: &Mesh, namespace: &Name, routed: &Routed<'_>, has_moved: bool, out: &mut Sink<'_>) {
    let mut by_standing: BTreeMap<Standing, Vec<&Service>> = BTreeMap::new();
    for service in &routed.services {
        by_standing
            .entry(standing(mesh, service))
            .or_default()
            .push(service);
    }
    for (standing, services) in by_standing {
        let at = (
            routed.route.reference(),
            host_field(mesh, routed.route, services[0]),
        );
        let names = first_and_more(services.iter().map(|service| &service.object));
        let (severity, message, remedy) = if has_moved && standing == Standing::Open {
            unbound(&names, services[0])
        } else {
            say(standing, &names, services[0])
        };
        out.find(namespace, severity, at, message, remedy);
    }
    for (position, message) in unanswered_tls(routed) {
        out.find(
            namespace,
            Severity::Warning,
            (routed.route.reference(), field!["spec", "tls", position]),
            message,
            Remedy::person("route these connections by an egress or ingress gateway, or keep their callers in sidecar mode"),
        );
    }
}

fn say(standing: Standing, names: &str, first: &Service) -> (Severity, String, Remedy) {
    let unapplied = "callers in ambient mode do not apply it";
    match standing {
        Standing::Bound => (
            Severity::Info,
            format!("{names} is bound to a waypoint, which applies it to callers in ambient mode"),
            Remedy::Nothing,
        ),
        Standing::Open => (
            Severity::Change,
            format!(
                "sidecars of callers apply it to requests for {names}; {unapplied}, and without a waypoint nobody does"
            ),
            Remedy::moved(
                "each of these Services is bound to a waypoint, which applies the VirtualService as it stands; HTTPRoutes replace it where they can say the same",
            ),
        ),
        Standing::OptedOut => (
            Severity::Blocking,
            format!(
                "{unapplied}, and {names} refuses a waypoint by its label istio.io/use-waypoint=none"
            ),
            Remedy::command(
                "take the label away, or delete the VirtualService if its routing is not wanted",
                format!(
                    "kubectl label service {} istio.io/use-waypoint- -n {}",
                    first.object.name, first.object.namespace
                ),
            ),
        ),
        Standing::Headless => (
            Severity::Blocking,
            format!(
                "{unapplied}, and {names} is headless: its clients address pods, and a waypoint does not route such traffic"
            ),
            Remedy::person(
                "put a Service with a cluster IP in front of the same pods and route that one, or delete the VirtualService if its routing is not wanted",
            ),
        ),
        Standing::Alias => (
            Severity::Blocking,
            format!(
                "{unapplied}, and {names} is of type ExternalName, which cannot be bound to a waypoint"
            ),
            Remedy::person(
                "replace the Service by a ServiceEntry bound to a waypoint, or let callers use the name that it stands for",
            ),
        ),
    }
}

/// The callers of the namespace are in ambient mode already, and nothing applies the routes.
fn unbound(names: &str, first: &Service) -> (Severity, String, Remedy) {
    let object = &first.object;
    (
        Severity::Warning,
        format!(
            "callers in ambient mode do not apply it, and {names} is not bound to a waypoint that would"
        ),
        Remedy::command(
            format!(
                "bind it to a waypoint (`istioctl waypoint apply -n {}` makes one)",
                object.namespace
            ),
            format!(
                "kubectl label service {} istio.io/use-waypoint=waypoint -n {}",
                object.name, object.namespace
            ),
        ),
    )
}

/// A waypoint answers a `tls` route only when its one SNI host is the Service's own name.
fn unanswered_tls<'r>(routed: &'r Routed<'_>) -> impl Iterator<Item = (usize, String)> + use<'r> {
    let routes = routed.route.spec.tls.iter().enumerate();
    routes.filter_map(|(position, route)| {
        let names: Vec<String> = routed.services.iter().map(|s| full_name(s)).collect();
        let answered = |hosts: &[String]| matches!(hosts, [one] if names.contains(one));
        let unanswered = route.matches.iter().find(|m| !answered(&m.sni_hosts))?;
        Some((
            position,
            format!(
                "a waypoint applies a tls route only when its one SNI host is the Service's full name, and this one matches {}",
                unanswered.sni_hosts.join(", "),
            ),
        ))
    })
}

fn full_name(service: &Service) -> String {
    format!(
        "{}.{}.svc.cluster.local",
        service.object.name, service.object.namespace
    )
}

/// A VirtualService of another namespace for Services of this one: no waypoint here takes it.
fn foreign(mesh: &Mesh, namespace: &Name, routed: &Routed<'_>, out: &mut Sink<'_>) {
    let route = routed.route;
    let home = &route.metadata.namespace;
    if !is_visible(&route.spec.export_to, home, namespace) {
        return;
    }
    let lost: Vec<&Service> = routed
        .services
        .iter()
        .copied()
        .filter(|service| !is_applied_at_waypoint(mesh, service, home))
        .collect();
    let Some(first) = lost.first() else { return };
    out.find(
        namespace,
        Severity::Warning,
        (route.reference(), host_field(mesh, route, first)),
        format!(
            "callers with a sidecar go on applying it to {}, callers in ambient mode do not: a waypoint takes VirtualServices of the Service's namespace and its own, not of {home}",
            first_and_more(lost.iter().map(|service| &service.object)),
        ),
        Remedy::person(format!(
            "its owner moves it to namespace {namespace} if callers there are to follow it"
        )),
    );
}

/// A VirtualService of the namespace for hosts outside it: what callers here lose.
fn elsewhere(mesh: &Mesh, namespace: &Name, route: &Object<VirtualService>, out: &mut Sink<'_>) {
    for (position, host) in route.spec.hosts.iter().enumerate() {
        let found = mesh.services_of_host(host, namespace);
        let outside = match hosts::resolve(host, namespace) {
            Host::Service { namespace: to, .. } | Host::Namespace(to) => *to != **namespace,
            Host::Elsewhere | Host::All => true,
        };
        let applied = |service| is_applied_at_waypoint(mesh, service, namespace);
        let lost = found.is_empty() || (outside && !found.iter().all(applied));
        if !lost {
            continue;
        }
        let at = (route.reference(), field!["spec", "hosts", position]);
        if !outside {
            out.find(
                namespace,
                Severity::Warning,
                at,
                format!("host {host} means a Service of this namespace, and none was found: if there is one, callers in ambient mode follow these routes only at a waypoint of it"),
                Remedy::person("check the Service together with the VirtualService, or delete the VirtualService"),
            );
            continue;
        }
        let gateway = through_gateway(mesh, route).map_or_else(String::new, |gateway| {
            format!(
                ", so their requests no longer go through {}",
                gateway.object
            )
        });
        out.find(
            namespace,
            Severity::Warning,
            at,
            format!("in ambient mode callers here no longer apply it to {host}{gateway}"),
            Remedy::person("bind that host's Service or ServiceEntry to a waypoint of this namespace, or keep the callers in sidecar mode"),
        );
    }
}

/// The gateway's Service to which a VirtualService sends requests, if it does.
fn through_gateway<'a>(mesh: &'a Mesh, route: &VirtualService) -> Option<&'a Service> {
    destinations(&route.spec)
        .flat_map(|host| mesh.services_of_host(host, &route.metadata.namespace))
        .find(|service| {
            let mut backing = mesh.backing(service);
            backing.any(|workload| workload.role == Role::Gateway)
        })
}

/// The host of a VirtualService that means a Service.
fn host_field(mesh: &Mesh, route: &VirtualService, service: &Service) -> FieldPath {
    let means = |host: &String| {
        let found = mesh.services_of_host(host, &route.metadata.namespace);
        found.iter().any(|found| found.object == service.object)
    };
    match route.spec.hosts.iter().position(means) {
        Some(position) => field!["spec", "hosts", position],
        None => field!["spec", "hosts"],
    }
}
