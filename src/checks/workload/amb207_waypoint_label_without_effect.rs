//! AMB207: a `use-waypoint` label that names no waypoint or one that cannot take the Service, or that says
//! `none` where one is needed.
//! Traffic then goes straight to the pods, past every rule on requests
//! (`pilot/pkg/serviceregistry/ambient/waypoints.go`, `fetchWaypointForTarget`; istio/istio.io#17520).

use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Input;
use crate::kinds::gateway_api::Gateway;
use crate::kinds::{FieldPath, Kind, KindSet, Name, ObjectRef};
use crate::mesh::namespaces::Namespace;
use crate::mesh::waypoints::{
    Binding, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE, Unbound, WAYPOINT_FOR,
};
use crate::mesh::{self, Mesh};
use crate::waypoint::{Evidence, Feature, NamespaceNeed, assess};

/// The check.
pub static CHECK: WaypointLabelWithoutEffect = WaypointLabelWithoutEffect;

/// The check's type.
#[derive(Debug)]
pub struct WaypointLabelWithoutEffect;

static META: Meta = Meta {
    id: Id("AMB207"),
    slug: "waypoint-label-without-effect",
    area: Area::Workload,
    highest: Severity::Blocking,
    reads: mesh::BINDING
        .and(mesh::BACKING)
        .and(mesh::MESH_CONFIG)
        .and(mesh::ROUTES)
        .and(KindSet::of(&[
            Kind::AuthorizationPolicy,
            Kind::RequestAuthentication,
            Kind::WasmPlugin,
            Kind::TrafficExtension,
            Kind::Telemetry,
            Kind::VirtualService,
            Kind::DestinationRule,
        ])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb207_waypoint_label_without_effect.md"),
};

impl Check for WaypointLabelWithoutEffect {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for namespace in view.namespaces() {
            let labels = Labelled::of(view.mesh, namespace);
            for (waypoint, on, services) in &labels.missing {
                dangling(view, namespace, waypoint, on, services, out);
            }
            if labels.opted_out.is_empty() && labels.refused.is_empty() {
                continue;
            }
            let need = assess(view.mesh, &namespace.name);
            for (on, services) in &labels.opted_out {
                opted_out(namespace, &need, on, services, out);
            }
            for refused in &labels.refused {
                refused.find(view.mesh, namespace, &need, out);
            }
        }
    }
}

/// The labels of a namespace and its Services that have no effect or forbid one, each with the
/// object that carries it and the Services that it decides for.
#[derive(Default)]
struct Labelled {
    missing: Vec<(ObjectRef, ObjectRef, Vec<ObjectRef>)>,
    opted_out: Vec<(ObjectRef, Vec<ObjectRef>)>,
    refused: Vec<Refused>,
}

impl Labelled {
    fn of(mesh: &Mesh, namespace: &Namespace) -> Self {
        let mut labelled = Self::default();
        match namespace.label(USE_WAYPOINT) {
            Some("none") => labelled.opted_out.push((namespace.reference(), Vec::new())),
            Some(name) if !name.is_empty() => {
                let home = namespace
                    .label(USE_WAYPOINT_NAMESPACE)
                    .map_or_else(|| namespace.name.clone(), Name::from);
                let waypoint = ObjectRef::new(Kind::Gateway, &home, &Name::from(name));
                if mesh.waypoint(&waypoint).is_none() {
                    labelled
                        .missing
                        .push((waypoint, namespace.reference(), Vec::new()));
                }
            }
            _ => {}
        }
        for service in mesh.services_in(&namespace.name) {
            match mesh.binding(service) {
                Binding::Named {
                    waypoint,
                    declared_on,
                    unbound: Some(Unbound::Missing),
                } => labelled.add_missing(waypoint, declared_on, service.object.clone()),
                Binding::OptedOut => {
                    let own = mesh.labels(service).get(USE_WAYPOINT).is_some();
                    let on = if own {
                        service.object.clone()
                    } else {
                        namespace.reference()
                    };
                    labelled.add_opted_out(on, service.object.clone());
                }
                Binding::Named {
                    waypoint,
                    declared_on,
                    unbound: Some(why @ (Unbound::NotAllowed | Unbound::OtherTraffic)),
                } => labelled.add_refused(Refused {
                    waypoint,
                    on: declared_on,
                    why,
                    services: vec![service.object.clone()],
                }),
                Binding::Named {
                    unbound: None | Some(Unbound::NotReady),
                    ..
                }
                | Binding::None => {}
            }
        }
        labelled
    }

    fn add_refused(&mut self, refused: Refused) {
        let mut known = self.refused.iter_mut();
        match known.find(|known| known.on == refused.on) {
            Some(known) => known.services.extend(refused.services),
            None => self.refused.push(refused),
        }
    }

    fn add_missing(&mut self, waypoint: ObjectRef, on: ObjectRef, service: ObjectRef) {
        // Only the namespace's own label, which is first, decides for several.
        match self.missing.first_mut() {
            Some((_, declared_on, services)) if *declared_on == on => services.push(service),
            _ => self.missing.push((waypoint, on, vec![service])),
        }
    }

    fn add_opted_out(&mut self, on: ObjectRef, service: ObjectRef) {
        match self.opted_out.first_mut() {
            Some((declared_on, services)) if *declared_on == on => services.push(service),
            _ => self.opted_out.push((on, vec![service])),
        }
    }
}

/// A label that names a waypoint which cannot take the Services that it decides for.
struct Refused {
    waypoint: ObjectRef,
    on: ObjectRef,
    why: Unbound,
    services: Vec<ObjectRef>,
}

impl Refused {
    fn find(&self, mesh: &Mesh, namespace: &Namespace, need: &NamespaceNeed, out: &mut Sink<'_>) {
        let mut needing = need.needing().map(|need| &need.service);
        let needed = needing.any(|service| self.services.contains(service));
        let for_pods = self.why == Unbound::OtherTraffic;
        // The label of a namespace may be meant for its pods alone.
        if !needed && for_pods && self.on.kind == Kind::Namespace {
            return;
        }
        let waypoint = &self.waypoint;
        let why = if for_pods {
            let traffic = mesh
                .waypoint(waypoint)
                .map_or("", |known| known.traffic.name());
            format!("takes no traffic to Services ({WAYPOINT_FOR}: {traffic})")
        } else {
            format!("has no listener that admits namespace {}", namespace.name)
        };
        let who = naming(&self.services);
        let message = format!(
            "{waypoint} {why}: ambient callers reach the pods of {who} directly, past every rule on requests"
        );
        let here = waypoint.namespace == namespace.name;
        let severity = match (needed, here) {
            // A selector of namespaces that were not read may admit this one.
            _ if namespace.labels.is_none() && !for_pods => Severity::Warning,
            (false, _) => Severity::Warning,
            (true, true) => Severity::Change,
            (true, false) => Severity::Blocking,
        };
        let remedy = if severity == Severity::Change {
            Remedy::moved(
                "Services that need a waypoint are bound to one of the namespace that takes their traffic",
            )
        } else if for_pods {
            let text = format!(
                "have {waypoint} take traffic to Services ({WAYPOINT_FOR}: all), or remove the label"
            );
            unlabel(namespace, &self.on, &text)
        } else {
            let text = format!(
                "have {waypoint} admit the namespace in allowedRoutes of a listener, or remove the label"
            );
            unlabel(namespace, &self.on, &text)
        };
        let at = (self.on.clone(), FieldPath::label(USE_WAYPOINT));
        out.find(&namespace.name, severity, at, message, remedy);
    }
}

/// Services by the first of them.
fn naming(services: &[ObjectRef]) -> String {
    match services {
        [] => "what is labelled".to_owned(),
        [one] => one.short(),
        [first, more @ ..] => format!("{} and {} more", first.short(), more.len()),
    }
}

fn dangling(
    view: &View<'_>,
    namespace: &Namespace,
    waypoint: &ObjectRef,
    on: &ObjectRef,
    services: &[ObjectRef],
    out: &mut Sink<'_>,
) {
    let mesh = view.mesh;
    let other = mesh
        .named::<Gateway>(&waypoint.namespace, &waypoint.name)
        .map(|gateway| gateway.spec.gateway_class_name.clone());
    let who = naming(services);
    let (severity, message, remedy) = if let Some(class) = other {
        wrong_class(namespace, waypoint, on, &class, &who)
    } else if mesh.inventory().input == Input::Manifests {
        (
            Severity::Warning,
            format!(
                "{waypoint} is not among what was read: if it is not in the cluster either, ambient callers reach the \
                 pods of {who} directly, past every rule on requests"
            ),
            Remedy::person("see that the waypoint is there, or give its manifest as well"),
        )
    } else {
        let message = format!(
            "there is no {waypoint}{}: ambient callers reach the pods of {who} directly, past every rule on requests",
            alternatives(mesh, waypoint)
        );
        if waypoint.namespace == namespace.name {
            let remedy = Remedy::moved(
                "the label is taken off, and Services that need a waypoint are labelled one by one when it is ready and \
                 its policies are in place",
            );
            (Severity::Change, message, remedy)
        } else {
            (
                Severity::Blocking,
                message,
                unlabel(
                    namespace,
                    on,
                    "correct the label, or remove it if no waypoint is wanted",
                ),
            )
        }
    };
    out.find(
        &namespace.name,
        severity,
        (on.clone(), FieldPath::label(USE_WAYPOINT)),
        message,
        remedy,
    );
}

fn wrong_class(
    namespace: &Namespace,
    waypoint: &ObjectRef,
    on: &ObjectRef,
    class: &str,
    who: &str,
) -> (Severity, String, Remedy) {
    if matches!(class, "istio" | "istio-remote" | "istio-east-west") {
        (
            Severity::Blocking,
            format!(
                "{waypoint} is of class {class} and no waypoint: ambient callers reach the pods of {who} directly, past \
                 every rule on requests"
            ),
            unlabel(
                namespace,
                on,
                "name a Gateway of class istio-waypoint, or remove the label",
            ),
        )
    } else {
        (
            Severity::Warning,
            format!(
                "{waypoint} is of class {class}, not istio-waypoint: whether it is a waypoint for {who} is not judged"
            ),
            Remedy::person("see with who serves that class what it does for ambient callers"),
        )
    }
}

/// The waypoints that may have been meant.
fn alternatives(mesh: &Mesh, waypoint: &ObjectRef) -> String {
    let others: Vec<&str> = mesh
        .waypoints()
        .iter()
        .filter(|other| other.object.namespace == waypoint.namespace)
        .map(|other| other.object.name.as_ref())
        .take(3)
        .collect();
    if others.is_empty() {
        String::new()
    } else {
        format!(" (there is {})", others.join(", "))
    }
}

fn unlabel(namespace: &Namespace, on: &ObjectRef, text: &str) -> Remedy {
    let command = if on.kind == Kind::Namespace {
        format!("kubectl label namespace {} {USE_WAYPOINT}-", namespace.name)
    } else {
        format!(
            "kubectl label service {} -n {} {USE_WAYPOINT}-",
            on.name, on.namespace
        )
    };
    Remedy::command(text, command)
}

fn opted_out(
    namespace: &Namespace,
    need: &NamespaceNeed,
    on: &ObjectRef,
    services: &[ObjectRef],
    out: &mut Sink<'_>,
) {
    let mut needing: Vec<(&Evidence, &ObjectRef)> = need
        .needing()
        .filter(|need| services.contains(&need.service))
        .filter_map(|need| {
            let why = need
                .evidence
                .iter()
                .find(|why| why.feature.needs_waypoint())?;
            Some((why, &need.service))
        })
        .collect();
    // What weighs most comes first; Services keep their order.
    needing.sort_by_key(|(why, _)| why.feature);
    let Some((why, first)) = needing.first() else {
        return;
    };
    let severity = match why.feature {
        Feature::TrafficPolicy | Feature::Telemetry => Severity::Warning,
        _ => Severity::Blocking,
    };
    let who = match needing.len() - 1 {
        0 => first.short(),
        more => format!("{} and {more} more", first.short()),
    };
    out.find(
        &namespace.name,
        severity,
        (on.clone(), FieldPath::label(USE_WAYPOINT)),
        format!(
            "the label keeps {who} away from every waypoint, and in ambient mode only a waypoint can do what {} asks for \
             ({})",
            why.object, why.what
        ),
        unlabel(
            namespace,
            on,
            "remove the label, or do without what needs a waypoint",
        ),
    );
}

#[cfg(test)]
mod tests {
    use crate::checks::{Scope, by_id, judge, page};
    use crate::inventory::InventoryBuilder;
    use crate::mesh::Mesh;

    use super::*;

    fn shown(input: Input) -> String {
        let mut builder = InventoryBuilder::new(input, "default");
        let text = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled, istio.io/use-waypoint: shared, istio.io/use-waypoint-namespace: infra}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypiont, istio.io/use-waypoint-namespace: shop}}
spec: {selector: {app: cart}, ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: shop}
spec: {gatewayClassName: istio-waypoint}
";
        builder.file("a.yaml", text.to_owned());
        let mesh = Mesh::new(builder.finish());
        let check = by_id("AMB207").unwrap();
        let judgement = judge(&mesh, &Scope::of(["shop".into()]), &[check], false);
        judgement.findings.iter().map(page::shown).collect()
    }

    #[test]
    fn in_a_cluster_what_is_not_there_does_not_exist() {
        let shown = shown(Input::Cluster);
        assert!(shown.contains("blocking Namespace/shop"), "{shown}");
        assert!(shown.contains("change Service/cart -n shop"), "{shown}");
        assert!(shown.contains("(there is waypoint)"), "{shown}");
    }

    #[test]
    fn in_manifests_it_may() {
        let shown = shown(Input::Manifests);
        assert!(
            !shown.contains("blocking") && !shown.contains("change"),
            "{shown}"
        );
    }
}
