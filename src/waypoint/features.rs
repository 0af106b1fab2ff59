//! What Services use beyond connections, with the object and field that say so.

use std::collections::BTreeMap;

use crate::inventory::{Listed, Object};
use crate::kinds::authorization::{
    Action, AuthorizationPolicy, PolicySelector, RequestAuthentication, TargetRef,
};
use crate::kinds::envoy_extension::{Plugin, Telemetry, TrafficExtension, WasmPlugin};
use crate::kinds::path::field;
use crate::kinds::traffic::{DestinationRule, VirtualService};
use crate::kinds::{FieldPath, Labels, Name, ObjectRef, Resource};
use crate::mesh::injection::Injection;
use crate::mesh::services::Service;
use crate::mesh::waypoints::Binding;
use crate::mesh::workloads::{DataPlane, Mode, Role, Workload, asked_of_template};
use crate::mesh::{Mesh, waypoints};
use crate::semantics::authorization::{is_dry_run, needs_http, policy_beyond_ztunnel};

/// Something a Service uses beyond mutual TLS and rules on identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Tokens are verified.
    Jwt,
    /// Rules on requests: methods, paths, headers, claims; an external authorizer; an audit.
    Authorization,
    /// Sidecars route requests for it by a VirtualService, or by a route of the Gateway API.
    Routing,
    /// A DestinationRule sets connection pools, load balancing or outlier detection.
    TrafficPolicy,
    /// A WasmPlugin or TrafficExtension runs in its proxies.
    Wasm,
    /// A Telemetry selects its proxies.
    Telemetry,
    /// A gateway routes requests to it. This is done at the gateway and needs no waypoint.
    GatewayRouting,
}

impl Feature {
    /// As the table shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jwt => "JWT",
            Self::Authorization => "authorization",
            Self::Routing => "routing",
            Self::TrafficPolicy => "traffic policy",
            Self::Wasm => "Wasm",
            Self::Telemetry => "telemetry",
            Self::GatewayRouting => "routing at the gateway",
        }
    }

    /// Whether only a waypoint can do it in ambient mode.
    pub const fn needs_waypoint(self) -> bool {
        !matches!(self, Self::GatewayRouting)
    }
}

/// Why a Service is said to use a feature.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// What it uses.
    pub feature: Feature,
    /// The object that says so.
    pub object: ObjectRef,
    /// The field of it.
    pub field: FieldPath,
    /// What stands there, in a few words.
    pub what: String,
}

type Found = BTreeMap<ObjectRef, Vec<Evidence>>;

/// The evidence for every Service of a namespace.
pub(super) fn of_namespace(mesh: &Mesh, namespace: &Name) -> Found {
    let mut found = Found::new();
    let root = mesh.root_namespace().clone();
    let homes: &[&Name] = if *namespace == root {
        &[namespace]
    } else {
        &[namespace, &root]
    };
    for home in homes {
        for policy in mesh.within::<RequestAuthentication>(home) {
            let spec = &policy.spec;
            let attached = Attached::of(
                spec.selector.as_ref(),
                spec.target_ref.as_ref(),
                &spec.target_refs,
            );
            attached.each(mesh, namespace, home, &mut found, |field| Evidence {
                feature: Feature::Jwt,
                object: policy.reference(),
                field,
                what: "verifies tokens".to_owned(),
            });
        }
        for policy in mesh.within::<AuthorizationPolicy>(home) {
            authorization(mesh, namespace, home, policy, &mut found);
        }
        extensions(mesh, namespace, home, &mut found);
    }
    for service in mesh.services_in(namespace) {
        let mut evidence = routes(mesh, service);
        evidence.extend(traffic_policies(mesh, service));
        found
            .entry(service.object.clone())
            .or_default()
            .append(&mut evidence);
    }
    found
}

/// How a policy is attached: to pods by labels, or to objects by name.
struct Attached<'a> {
    labels: Option<&'a Labels>,
    targets: Vec<&'a TargetRef>,
}

impl<'a> Attached<'a> {
    fn of(
        selector: Option<&'a PolicySelector>,
        target_ref: Option<&'a TargetRef>,
        target_refs: &'a [TargetRef],
    ) -> Self {
        Self {
            labels: selector.map(|selector| &selector.match_labels),
            targets: target_ref.into_iter().chain(target_refs).collect(),
        }
    }

    /// Adds the evidence to every Service of `namespace` that the attachment reaches.
    fn each(
        &self,
        mesh: &Mesh,
        namespace: &Name,
        home: &Name,
        found: &mut Found,
        evidence: impl Fn(FieldPath) -> Evidence,
    ) {
        let mut add = |service: &Service, field: FieldPath| {
            found
                .entry(service.object.clone())
                .or_default()
                .push(evidence(field));
        };
        if self.targets.is_empty() {
            let wanted = self.labels.map(asked_of_template).unwrap_or_default();
            let field = match self.labels {
                Some(_) => field!["spec", "selector"],
                None => field!["spec"],
            };
            for workload in mesh.selected(namespace, &wanted) {
                if workload.role == Role::Application && takes_part(workload) {
                    for service in mesh.services_of(workload) {
                        add(service, field.clone());
                    }
                }
            }
            return;
        }
        for (position, target) in self.targets.iter().enumerate() {
            let field = field!["spec", "targetRefs", position];
            for service in mesh.services_in(namespace) {
                if is_target(mesh, service, target, home) {
                    add(service, field.clone());
                }
            }
        }
    }
}

/// Whether a workload has sidecars or is ambient, or may be: policies judge nobody else.
fn takes_part(workload: &Workload) -> bool {
    match workload.mode() {
        Mode::All(plane) => plane != DataPlane::None,
        Mode::Mixed => true,
        Mode::Unknown => {
            workload.injection != Injection::NotInjected || workload.enrolled != Some(false)
        }
    }
}

/// Whether a policy of `home` with this target is enforced for a Service: the target is the Service,
/// the waypoint it is bound to, or (from the root namespace) the class of all waypoints.
fn is_target(mesh: &Mesh, service: &Service, target: &TargetRef, home: &Name) -> bool {
    match target.kind.as_str() {
        "Service" => *home == service.object.namespace && target.name == *service.object.name,
        "Gateway" => mesh
            .binding(service)
            .effective()
            .is_some_and(|w| w.namespace == *home && target.name == *w.name),
        "GatewayClass" => {
            target.name == waypoints::WAYPOINT_CLASS && mesh.binding(service).effective().is_some()
        }
        _ => false,
    }
}

fn authorization(
    mesh: &Mesh,
    namespace: &Name,
    home: &Name,
    policy: &Object<AuthorizationPolicy>,
    found: &mut Found,
) {
    let spec = &policy.spec;
    let attached = Attached::of(
        spec.selector.as_ref(),
        spec.target_ref.as_ref(),
        &spec.target_refs,
    );
    // One that is only tried enforces nothing that could be lost.
    if is_dry_run(&policy.metadata) || (attached.targets.is_empty() && !needs_http(spec)) {
        return;
    }
    let beyond = policy_beyond_ztunnel(spec);
    let (field, what) = match (spec.action, beyond.first()) {
        (Action::Custom | Action::Audit, _) => (
            Some(field!["spec", "action"]),
            format!("action {}", spec.action.written()),
        ),
        (_, Some(first)) => {
            let mut names: Vec<&str> = beyond.iter().map(|b| b.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            (
                Some(first.path.clone()),
                format!("{} by {}", spec.action.written(), names.join(", ")),
            )
        }
        (_, None) => (
            None,
            format!("{} attached by targetRefs", spec.action.written()),
        ),
    };
    attached.each(mesh, namespace, home, found, |attached_at| Evidence {
        feature: Feature::Authorization,
        object: policy.reference(),
        field: field.clone().unwrap_or(attached_at),
        what: what.clone(),
    });
}

fn extensions(mesh: &Mesh, namespace: &Name, home: &Name, found: &mut Found) {
    plugins::<WasmPlugin>(mesh, namespace, home, found);
    plugins::<TrafficExtension>(mesh, namespace, home, found);
    // One for a whole namespace or mesh changes what every proxy reports; it asks for none. A selector
    // of the root namespace selects only there.
    let chosen = |telemetry: &&Object<Telemetry>| {
        let spec = &telemetry.spec;
        (spec.selector.is_some() && home == namespace)
            || spec.target_ref.is_some()
            || !spec.target_refs.is_empty()
    };
    for telemetry in mesh.within::<Telemetry>(home).iter().filter(chosen) {
        let spec = &telemetry.spec;
        Attached::of(
            spec.selector.as_ref(),
            spec.target_ref.as_ref(),
            &spec.target_refs,
        )
        .each(mesh, namespace, home, found, |field| Evidence {
            feature: Feature::Telemetry,
            object: telemetry.reference(),
            field,
            what: "sets what its proxies report".to_owned(),
        });
    }
}

/// The namespaces whose traffic resources a waypoint of a Service takes: the Service's, and that of
/// the waypoint it is bound to. What other namespaces say, their own callers' sidecars alone follow.
fn homes(mesh: &Mesh, service: &Service) -> Vec<Name> {
    let mut homes = vec![service.object.namespace.clone()];
    if let Binding::Named { waypoint, .. } = mesh.binding(service) {
        homes.push(waypoint.namespace);
    }
    homes
}

fn routes(mesh: &Mesh, service: &Service) -> Vec<Evidence> {
    let mut found = Vec::new();
    let homes = homes(mesh, service);
    let own = mesh.mesh_routes(service);
    for route in own.filter(|route| homes.contains(&route.metadata.namespace)) {
        let (field, what) = describe(route);
        found.push(Evidence {
            feature: Feature::Routing,
            object: route.reference(),
            field,
            what,
        });
    }
    let attached = mesh.attached_routes(service);
    for route in attached.filter(|route| homes.contains(&route.namespace)) {
        found.push(Evidence {
            feature: Feature::Routing,
            object: route,
            field: field!["spec", "parentRefs"],
            what: "routes its requests".to_owned(),
        });
    }
    for route in mesh.gateway_routes(service) {
        found.push(Evidence {
            feature: Feature::GatewayRouting,
            object: route.reference(),
            field: field!["spec", "gateways"],
            what: format!("at {}", route.spec.gateways.join(", ")),
        });
    }
    for route in mesh.routed_backends(service) {
        found.push(Evidence {
            feature: Feature::GatewayRouting,
            object: route,
            field: field!["spec", "parentRefs"],
            what: "leads to it from a gateway".to_owned(),
        });
    }
    found
}

/// What a VirtualService does, in a few words, and where that stands.
fn describe(route: &VirtualService) -> (FieldPath, String) {
    let spec = &route.spec;
    if spec.http.is_empty() {
        let (part, count) = if spec.tcp.is_empty() {
            ("tls", spec.tls.len())
        } else {
            ("tcp", spec.tcp.len())
        };
        return (
            field!["spec", part],
            format!("{} {part} route{}", count, plural(count)),
        );
    }
    let mut uses: Vec<&str> = Vec::new();
    for http in &spec.http {
        let subset = http
            .route
            .iter()
            .any(|route| !route.destination.subset.is_empty());
        for (used, name) in [
            (http.matches > 0, "matches"),
            (http.route.len() > 1, "weights"),
            (subset, "subsets"),
            (http.redirect, "redirect"),
            (http.direct_response, "direct response"),
            (http.rewrite, "rewrite"),
            (http.timeout, "timeout"),
            (http.retries, "retries"),
            (http.fault, "faults"),
            (
                http.mirror.is_some() || !http.mirrors.is_empty(),
                "mirroring",
            ),
            (http.cors_policy, "CORS"),
            (http.headers, "headers"),
            (http.delegate.is_some(), "delegates"),
        ] {
            if used && !uses.contains(&name) {
                uses.push(name);
            }
        }
    }
    let count = spec.http.len();
    let uses = if uses.is_empty() {
        String::new()
    } else {
        format!(": {}", uses.join(", "))
    };
    (
        field!["spec", "http"],
        format!("{count} HTTP route{}{uses}", plural(count)),
    )
}

const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn traffic_policies(mesh: &Mesh, service: &Service) -> Vec<Evidence> {
    let homes = homes(mesh, service);
    let root = mesh.root_namespace();
    // A waypoint skips rules for certain client pods, and looks in the root namespace last.
    let taken = |rule: &&Object<DestinationRule>| rule.spec.workload_selector.is_none();
    let (near, wide): (Vec<_>, Vec<_>) = mesh
        .destination_rules(service)
        .filter(taken)
        .filter(|rule| homes.contains(&rule.metadata.namespace) || rule.metadata.namespace == *root)
        .partition(|rule| homes.contains(&rule.metadata.namespace));
    let followed = if near.is_empty() { wide } else { near };
    followed
        .into_iter()
        .filter_map(|rule| traffic_policy(rule))
        .collect()
}

/// What a DestinationRule says that only an Envoy can do: at callers' sidecars, or at a waypoint.
///
/// TLS is not among it: between pods of the mesh a waypoint needs no setting.
pub fn traffic_policy(rule: &DestinationRule) -> Option<Evidence> {
    let spec = &rule.spec;
    let mut uses: Vec<&str> = Vec::new();
    let mut first: Option<FieldPath> = None;
    let own = std::iter::once((field!["spec", "trafficPolicy"], &spec.traffic_policy));
    let subsets = spec.subsets.iter().enumerate().map(|(position, subset)| {
        let at = field!["spec", "subsets", position, "trafficPolicy"];
        (at, &subset.traffic_policy)
    });
    for (at, policy) in own.chain(subsets) {
        let ports = &policy.port_level_settings;
        let any = |own: bool, port: fn(&crate::kinds::traffic::PortPolicy) -> bool| {
            own || ports.iter().any(port)
        };
        for (used, name) in [
            (
                any(policy.load_balancer.is_some(), |port| {
                    port.load_balancer.is_some()
                }),
                "load balancing",
            ),
            (
                any(policy.connection_pool, |port| port.connection_pool),
                "connection pool",
            ),
            (
                any(policy.outlier_detection, |port| port.outlier_detection),
                "outlier detection",
            ),
            (policy.proxy_protocol, "PROXY protocol"),
            (policy.tunnel, "tunnel"),
        ] {
            if used {
                first.get_or_insert_with(|| at.clone());
                if !uses.contains(&name) {
                    uses.push(name);
                }
            }
        }
    }
    first.map(|field| Evidence {
        feature: Feature::TrafficPolicy,
        object: rule.reference(),
        field,
        what: uses.join(", "),
    })
}

fn plugins<T: Plugin + Listed>(mesh: &Mesh, namespace: &Name, home: &Name, found: &mut Found) {
    for plugin in mesh.within::<T>(home) {
        let spec = plugin.attached();
        if spec.beyond_waypoints().is_some() {
            continue;
        }
        Attached::of(
            spec.selector.as_ref(),
            spec.target_ref.as_ref(),
            &spec.target_refs,
        )
        .each(mesh, namespace, home, found, |field| Evidence {
            feature: Feature::Wasm,
            object: plugin.reference(),
            field,
            what: "runs in its proxies".to_owned(),
        });
    }
}
