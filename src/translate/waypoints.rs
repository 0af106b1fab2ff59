//! Which waypoints there will be, and which Services are bound to which.
//!
//! A Service is bound by a label of its own, never by one of its namespace: what needs no waypoint
//! does not go through one. The name and the class are those of `istioctl waypoint`
//! (`istioctl/pkg/waypoint/waypoint.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Draft, Ground, Manifest, Phase, Remark, Topic, Weight};
use crate::kinds::{FieldPath, Kind, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::services::Service;
use crate::mesh::waypoints::{
    Binding, INGRESS_USE_WAYPOINT, Traffic, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE, Unbound,
};
use crate::waypoint::manifest::{SEVERAL, Wanted};
use crate::waypoint::{self, Feature, ServiceNeed};

/// Which waypoints there will be, and who is bound to which.
#[derive(Debug, Default)]
pub(crate) struct Waypoints {
    made: BTreeMap<ObjectRef, Made>,
    bound: BTreeMap<ObjectRef, Bound>,
}

/// A waypoint to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Made {
    traffic: Traffic,
    /// Whether a workload behind it has more than one replica.
    several: bool,
}

/// A Service behind a waypoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The waypoint's Gateway.
    pub(crate) waypoint: ObjectRef,
    /// Whether a label has to be written for it.
    pub(crate) newly: bool,
    /// The waypoint that a label names and that cannot take the Service.
    pub(crate) instead_of: Option<Refusing>,
    /// Whether gateways come through it.
    pub(crate) ingress: Ingress,
}

/// A waypoint that a label names, and why it cannot take the Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusing {
    waypoint: ObjectRef,
    why: Unbound,
}

impl Refusing {
    fn of(binding: Binding) -> Option<Self> {
        match binding {
            Binding::Named {
                waypoint,
                unbound: Some(why),
                ..
            } => Some(Self { waypoint, why }),
            _ => None,
        }
    }

    fn remark(&self, bound: &ObjectRef) -> Remark {
        let why = match self.why {
            Unbound::Missing | Unbound::NotReady => "is not in the input",
            Unbound::NotAllowed => "has no listener that admits this namespace",
            Unbound::OtherTraffic => "does not take traffic to Services",
        };
        let says = format!(
            "names {}, which {why}: {bound} takes its place",
            self.waypoint
        );
        let field = FieldPath::label(USE_WAYPOINT);
        Remark::new(Topic::Waypoint, Weight::Form, field, says)
    }
}

/// Whether gateways that lead to a Service come through its waypoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ingress {
    /// They go past it.
    Past,
    /// A label says that they do.
    Told,
    /// The label has to be written: policies are judged there, and no routes that would act once more
    /// behind the gateway's own.
    Telling,
}

impl Ingress {
    fn of(mesh: &Mesh, service: &Service, need: &ServiceNeed) -> Self {
        let namespace = mesh.namespace(&service.object.namespace);
        let of_namespace = namespace.and_then(|namespace| namespace.labels.as_ref());
        let mut labels = [Some(mesh.labels(service)), of_namespace]
            .into_iter()
            .flatten();
        if labels.any(|labels| labels.has(INGRESS_USE_WAYPOINT, "true")) {
            return Self::Told;
        }
        let features = need.features();
        let judged = [Feature::Jwt, Feature::Authorization, Feature::Wasm];
        let judged = judged.iter().any(|feature| features.contains(feature));
        let led = features.contains(&Feature::GatewayRouting);
        let twice = features.contains(&Feature::Routing);
        // A waypoint takes what is addressed to the Service, and a headless one has no address.
        if led && judged && !twice && !need.headless {
            Self::Telling
        } else {
            Self::Past
        }
    }
}

impl Waypoints {
    pub(super) fn of(mesh: &Mesh, namespaces: &BTreeSet<Name>) -> Self {
        let mut all = Self::default();
        for namespace in namespaces {
            let need = waypoint::assess(mesh, namespace);
            let ours = waypoint::planned(mesh, &need);
            for service in &need.services {
                let Some(known) = mesh
                    .services_in(namespace)
                    .iter()
                    .find(|s| s.object == service.service)
                else {
                    continue;
                };
                let binding = mesh.binding(known);
                let ingress = Ingress::of(mesh, known, service);
                let bound = match (binding.usable(), &ours) {
                    (Some(waypoint), _) => Bound {
                        waypoint: waypoint.clone(),
                        newly: false,
                        instead_of: None,
                        ingress,
                    },
                    (None, Some(ours))
                        if service.needs_waypoint() && binding != Binding::OptedOut =>
                    {
                        Bound {
                            waypoint: ours.clone(),
                            newly: true,
                            instead_of: Refusing::of(binding),
                            ingress,
                        }
                    }
                    _ => continue,
                };
                if mesh.waypoint(&bound.waypoint).is_none() {
                    let made = all.made.entry(bound.waypoint.clone()).or_insert(Made {
                        traffic: need.traffic,
                        several: false,
                    });
                    made.several |= mesh
                        .backing(known)
                        .any(|workload| workload.replicas > Some(1));
                }
                all.bound.insert(service.service.clone(), bound);
            }
        }
        all
    }

    /// The waypoint that a Service of these namespaces will be bound to.
    pub(crate) fn serving(&self, service: &ObjectRef) -> Option<&Bound> {
        self.bound.get(service)
    }

    /// The Services that will be bound, with their waypoints, sorted.
    pub(crate) fn bound(&self) -> impl Iterator<Item = (&ObjectRef, &Bound)> {
        self.bound.iter()
    }

    /// The waypoints that are made.
    pub(crate) fn made(&self) -> impl Iterator<Item = &ObjectRef> {
        self.made.keys()
    }

    /// The waypoints that Services of a namespace will be bound to.
    pub(crate) fn of_namespace(&self, namespace: &str) -> BTreeSet<&ObjectRef> {
        let bound = self.bound.iter();
        let here = bound.filter(|(service, _)| *service.namespace == *namespace);
        here.map(|(_, bound)| &bound.waypoint).collect()
    }

    /// The service account of a waypoint: its Gateway's name, if the Gateway does not name another.
    pub(crate) fn account(mesh: &Mesh, waypoint: &ObjectRef) -> (Name, Name) {
        let account = mesh.waypoint(waypoint).map_or_else(
            || waypoint.name.clone(),
            |known| known.service_account.clone(),
        );
        (waypoint.namespace.clone(), account)
    }
}

pub(super) fn translate(ground: &Ground<'_>, draft: &mut Draft) {
    for (waypoint, made) in &ground.waypoints.made {
        let wanted = Wanted {
            name: waypoint.name.to_string(),
            namespace: Some(waypoint.namespace.to_string()),
            // What takes nothing is made for Services: it is made because one is bound to it.
            traffic: Some(match made.traffic {
                Traffic::None => Traffic::Service,
                traffic => traffic,
            }),
            revision: None,
            replicas: made.several.then_some(SEVERAL),
        };
        let options = Name::from(wanted.options_name().as_str());
        let options = ObjectRef::new(Kind::ConfigMap, &waypoint.namespace, &options);
        if let Some(json) = wanted.options() {
            draft.create(Phase::Prepare, Manifest::of(options, json), &[waypoint]);
        }
        let gateway = Manifest::of(waypoint.clone(), wanted.gateway());
        draft.create(Phase::Prepare, gateway, &[]);
    }
    for (service, bound) in ground.waypoints.bound() {
        draft.look(service);
        let waypoint = &bound.waypoint;
        let mut labels = Map::new();
        if bound.newly {
            labels.insert(USE_WAYPOINT.to_owned(), waypoint.name.as_ref().into());
            // What a label of old says of another namespace must not stay beside the new name.
            let home = (waypoint.namespace != service.namespace)
                .then(|| Value::from(waypoint.namespace.as_ref()));
            if home.is_some() || bound.instead_of.is_some() {
                labels.insert(USE_WAYPOINT_NAMESPACE.to_owned(), home.unwrap_or_default());
            }
        }
        if let Some(refusing) = &bound.instead_of {
            draft.remark(service, refusing.remark(waypoint));
        }
        if bound.ingress == Ingress::Telling {
            labels.insert(INGRESS_USE_WAYPOINT.to_owned(), "true".into());
        }
        if !labels.is_empty() {
            let patch = json!({"metadata": {"labels": labels}});
            draft.patch(Phase::Enrol, service, patch, &[waypoint]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Options, translate};
    use super::*;
    use crate::inventory::{Input, InventoryBuilder};
    use crate::translate::Edit;

    /// What is created first for a Service whose Deployment has so many replicas.
    fn prepared(replicas: u32) -> Vec<String> {
        let shop = format!(
            "
apiVersion: v1
kind: Namespace
metadata: {{name: shop, labels: {{istio-injection: enabled}}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: pay, namespace: shop}}
spec: {{replicas: {replicas}, selector: {{matchLabels: {{app: pay}}}}, template: {{metadata: {{labels: {{app: pay}}}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: pay, namespace: shop}}
spec: {{selector: {{app: pay}}, ports: [{{name: http, port: 80}}]}}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: pay, namespace: shop}}
spec: {{selector: {{matchLabels: {{app: pay}}}}, jwtRules: [{{issuer: a}}]}}
"
        );
        let mut builder = InventoryBuilder::new(Input::Manifests, "default");
        builder.file("shop.yaml", shop);
        let mesh = Mesh::new(builder.finish());
        let namespaces = BTreeSet::from([Name::from("shop")]);
        let translation = translate(&mesh, &namespaces, &Options::default());
        let changes = translation.changes.iter();
        changes
            .filter_map(|change| match &change.edit {
                Edit::Create(manifest) => Some(manifest.object().short()),
                _ => None,
            })
            .take(2)
            .collect()
    }

    #[test]
    fn a_waypoint_before_several_pods_has_its_parameters_first() {
        let first = |replicas| prepared(replicas)[0].clone();
        assert_eq!(first(1), "Gateway/waypoint");
        assert_eq!(
            prepared(2),
            ["ConfigMap/waypoint-options", "Gateway/waypoint"]
        );
    }

    const JUDGED: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec: {replicas: 2, selector: {matchLabels: {app: pay}}, template: {metadata: {labels: {app: pay}}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: pay, namespace: shop}
spec: {selector: {matchLabels: {app: pay}}, rules: [{to: [{operation: {methods: [GET]}}]}]}
---
";

    /// What is created of Gateways and ConfigMaps for a Service with these labels beside something
    /// else, the labels of the Service then, and who a copy of its policy is for.
    fn bound(labels: &str, beside: &str) -> (Vec<String>, Value, Vec<String>) {
        let service = format!(
            "
apiVersion: v1
kind: Service
metadata: {{name: pay, namespace: shop, labels: {{{labels}}}}}
spec: {{selector: {{app: pay}}, ports: [{{name: http, port: 80}}]}}
---
"
        );
        let mut builder = InventoryBuilder::new(Input::Manifests, "default");
        builder.file("shop.yaml", format!("{JUDGED}{service}{beside}"));
        let mesh = Mesh::new(builder.finish());
        let namespaces = BTreeSet::from([Name::from("shop")]);
        let translation = translate(&mesh, &namespaces, &Options::default());
        assert!(!translation.refuses(), "{:?}", translation.treatments);
        let edits = || translation.changes.iter().map(|change| &change.edit);
        let made = edits().filter_map(|edit| match edit {
            Edit::Create(manifest) => Some(manifest.object()),
            _ => None,
        });
        let (waypoints, copies): (Vec<_>, Vec<_>) =
            made.partition(|object| object.kind != Kind::AuthorizationPolicy);
        let labels = edits()
            .filter(|edit| edit.object().kind == Kind::Service)
            .find_map(|edit| Some(edit.after()?.json()["metadata"]["labels"].clone()));
        let short = |objects: Vec<&ObjectRef>| objects.iter().map(|o| o.short()).collect();
        (short(waypoints), labels.unwrap_or_default(), short(copies))
    }

    fn gateway(place: &str, class: &str, labels: &str) -> String {
        let (namespace, name) = place.split_once('/').unwrap();
        format!(
            "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}
spec: {{gatewayClassName: {class}, listeners: [{{name: mesh, port: 15008, protocol: HBONE}}]}}
"
        )
    }

    #[test]
    fn a_service_is_bound_to_a_waypoint_that_takes_it() {
        let here = |name: &str| json!({"istio.io/use-waypoint": name});
        let shared = "istio.io/use-waypoint: shared, istio.io/use-waypoint-namespace: infra";
        let options = "
apiVersion: v1
kind: ConfigMap
metadata: {name: waypoint-options, namespace: shop}
data: {a: b}
";
        let second = ["ConfigMap/waypoint-2-options", "Gateway/waypoint-2"];
        let first = ["ConfigMap/waypoint-options", "Gateway/waypoint"];
        let waypoint = "istio-waypoint";
        let cases = [
            // What the labels name cannot take it.
            (
                shared,
                gateway("infra/shared", waypoint, ""),
                "waypoint",
                &first[..],
            ),
            (
                "istio.io/use-waypoint: pods",
                gateway("shop/pods", waypoint, "istio.io/waypoint-for: workload"),
                "waypoint",
                &first,
            ),
            // What has the usual name cannot, or is none.
            (
                "",
                gateway("shop/waypoint", waypoint, "istio.io/waypoint-for: none"),
                "waypoint-2",
                &second,
            ),
            (
                "",
                gateway("shop/waypoint", "istio", ""),
                "waypoint-2",
                &second,
            ),
            // Its parameters are somebody's.
            ("", options.to_owned(), "waypoint-2", &second),
            // Another can.
            (
                "",
                format!(
                    "{}---{}",
                    gateway("shop/waypoint", waypoint, "istio.io/waypoint-for: workload"),
                    gateway("shop/edge", waypoint, "istio.io/waypoint-for: all"),
                ),
                "edge",
                &[],
            ),
        ];
        for (labels, beside, name, made) in cases {
            let (waypoints, labels, copies) = bound(labels, &beside);
            assert_eq!(waypoints, made, "{beside}");
            assert_eq!(labels, here(name), "{beside}");
            assert!(
                copies.contains(&"AuthorizationPolicy/pay-wp".to_owned()),
                "{copies:?}"
            );
        }
    }

    #[test]
    fn a_shared_waypoint_that_admits_the_namespace_is_kept() {
        let labels = "istio.io/use-waypoint: shared, istio.io/use-waypoint-namespace: infra";
        let allowed = "allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {kubernetes.io/metadata.name: shop}}}}";
        let shared = gateway("infra/shared", "istio-waypoint", "")
            .replace("protocol: HBONE", &format!("protocol: HBONE, {allowed}"));
        let (waypoints, _, _) = bound(labels, &shared);
        assert_eq!(waypoints, [""; 0]);
    }
}
