//! AMB418: a gateway leads requests to a Service that needs a waypoint. Gateways pass by waypoints,
//! unless a label says otherwise; then the gateway's routes and the waypoint's both act.
//!
//! Source: `pilot/pkg/xds/endpoints/endpoint_builder.go`, `findServiceWaypoint`; istio/istio#52985,
//! istio/istio#54994; <https://istio.io/latest/docs/ambient/usage/waypoint/>.

use std::collections::BTreeSet;

use crate::checks::traffic::has_moved;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::{FieldPath, Kind, KindSet, Name, ObjectRef};
use crate::mesh::waypoints::INGRESS_USE_WAYPOINT;
use crate::mesh::{self, Mesh};
use crate::waypoint::{Feature, ServiceNeed, assess};

/// The check.
pub static CHECK: GatewayPastWaypoint = GatewayPastWaypoint;

/// The check's type.
#[derive(Debug)]
pub struct GatewayPastWaypoint;

static META: Meta = Meta {
    id: Id("AMB418"),
    slug: "gateway-past-waypoint",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: mesh::BACKING
        .and(mesh::BINDING)
        .and(mesh::ROUTES)
        .and(mesh::MESH_CONFIG)
        .and(KindSet::of(&[
            Kind::VirtualService,
            Kind::DestinationRule,
            Kind::AuthorizationPolicy,
            Kind::RequestAuthentication,
            Kind::WasmPlugin,
            Kind::TrafficExtension,
            Kind::Telemetry,
        ])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb418_gateway_past_waypoint.md"),
};

impl Check for GatewayPastWaypoint {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        for namespace in view.namespaces() {
            let name = &namespace.name;
            for need in &assess(mesh, name).services {
                if let Some(way) = Way::of(need) {
                    let opted_in = opted_in(mesh, &need.service);
                    judge(mesh, name, need, &way, opted_in, out);
                }
            }
        }
    }
}

/// How gateways lead to a Service, and what its waypoint would do with their requests.
struct Way {
    /// The routes at gateways, in words.
    routes: String,
    /// What the Service's sidecars do to every request, and its waypoint will.
    judged: Vec<&'static str>,
    /// A route that its waypoint would apply, and the gateway does not.
    mesh_route: Option<ObjectRef>,
}

impl Way {
    fn of(need: &ServiceNeed) -> Option<Self> {
        let objects = |wanted: fn(Feature) -> bool| -> BTreeSet<&ObjectRef> {
            let evidence = need.evidence.iter().filter(|e| wanted(e.feature));
            evidence.map(|evidence| &evidence.object).collect()
        };
        let at_gateway = objects(|feature| feature == Feature::GatewayRouting);
        let first = at_gateway.first()?;
        let routes = match at_gateway.len() {
            1 => first.to_string(),
            more => format!("{first} and {} more", more - 1),
        };
        let judged = need.features().into_iter().filter(|feature| {
            matches!(
                feature,
                Feature::Jwt | Feature::Authorization | Feature::Wasm | Feature::Telemetry
            )
        });
        let in_mesh = objects(|feature| feature == Feature::Routing);
        Some(Self {
            routes,
            judged: judged.map(Feature::name).collect(),
            mesh_route: in_mesh.first().map(|object| (*object).clone()),
        })
    }
}

/// Whether gateways' requests for a Service go through its waypoint, by its label or its namespace's.
fn opted_in(mesh: &Mesh, service: &ObjectRef) -> bool {
    let found = mesh
        .services_in(&service.namespace)
        .iter()
        .find(|found| found.object == *service);
    let own = found.and_then(|found| mesh.labels(found).get(INGRESS_USE_WAYPOINT));
    let namespace = mesh.namespace(&service.namespace);
    let inherited = || namespace.and_then(|found| found.label(INGRESS_USE_WAYPOINT));
    own.or_else(inherited) == Some("true")
}

fn judge(
    mesh: &Mesh,
    namespace: &Name,
    need: &ServiceNeed,
    way: &Way,
    opted_in: bool,
    out: &mut Sink<'_>,
) {
    let service = &need.service;
    let at = (service.clone(), FieldPath::label(INGRESS_USE_WAYPOINT));
    let routes = &way.routes;
    let judged = way.judged.join(", ");
    let past = format!(
        "requests that {routes} leads here from a gateway pass by the waypoint, and so by what it does for this Service ({judged})"
    );
    let label = format!(
        "kubectl label service {} {INGRESS_USE_WAYPOINT}=true -n {namespace}",
        service.name
    );
    let (severity, message, remedy) = match (&way.mesh_route, opted_in) {
        (Some(route), true) => (
            Severity::Warning,
            format!(
                "requests that {routes} leads here from a gateway meet {} too, at the waypoint: headers, faults and weights act twice",
                route.short()
            ),
            Remedy::person("leave the routing of gateway requests to one of the two"),
        ),
        _ if way.judged.is_empty() => return,
        (_, _) if need.headless => (
            Severity::Blocking,
            format!("{past}: a headless Service has no address by which a gateway could use it"),
            Remedy::person(
                "let the gateway lead to a Service with a cluster IP, or attach the policies to the gateway",
            ),
        ),
        (None, true) => return,
        (Some(route), false) => (
            Severity::Blocking,
            format!(
                "{past}; sent through it, they would meet {} as well, which gateways do not apply today",
                route.short()
            ),
            Remedy::command(
                "decide: send them through the waypoint by this label, or attach the policies to the gateway too",
                label,
            ),
        ),
        (None, false) if has_moved(mesh, namespace) => (
            Severity::Warning,
            past,
            Remedy::command("send them through the waypoint", label),
        ),
        (None, false) => (
            Severity::Change,
            past,
            Remedy::moved(format!(
                "the Service is labelled {INGRESS_USE_WAYPOINT}=true, so that gateways send its requests through the waypoint"
            )),
        ),
    };
    out.find(namespace, severity, at, message, remedy);
}
