//! Which waypoints there will be, and which Services are bound to which.
//!
//! A Service is bound by a label of its own, never by one of its namespace: what needs no waypoint
//! does not go through one. The name and the class are those of `istioctl waypoint`
//! (`istioctl/pkg/waypoint/waypoint.go`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::change::new_object;
use super::{Draft, Ground, Phase};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::waypoints::{
    Binding, Traffic, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE, WAYPOINT_CLASS, WAYPOINT_FOR,
};
use crate::waypoint::{self, Placement};

/// The name of a waypoint that we make, and of its service account.
const NAME: &str = "waypoint";

/// Which waypoints there will be, and who is bound to which.
#[derive(Debug, Default)]
pub(crate) struct Waypoints {
    made: BTreeMap<ObjectRef, Traffic>,
    bound: BTreeMap<ObjectRef, Bound>,
}

/// A Service behind a waypoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bound {
    /// The waypoint's Gateway.
    pub(crate) waypoint: ObjectRef,
    /// Whether a label has to be written for it.
    pub(crate) newly: bool,
}

impl Waypoints {
    pub(super) fn of(mesh: &Mesh, namespaces: &BTreeSet<Name>) -> Self {
        let mut all = Self::default();
        for namespace in namespaces {
            let need = waypoint::assess(mesh, namespace);
            let ours = match &need.placement {
                Placement::None => None,
                Placement::Shared(shared) => Some(shared.clone()),
                Placement::Namespace | Placement::Service(_) => Some(own(mesh, namespace)),
            };
            for service in &need.services {
                let Some(known) = mesh
                    .services_in(namespace)
                    .iter()
                    .find(|s| s.object == service.service)
                else {
                    continue;
                };
                let binding = mesh.binding(known);
                let bound = match (&binding, &ours) {
                    (Binding::Named { waypoint, .. }, _) if mesh.waypoint(waypoint).is_some() => {
                        Bound {
                            waypoint: waypoint.clone(),
                            newly: false,
                        }
                    }
                    (Binding::OptedOut, _) => continue,
                    (_, Some(ours)) if service.needs_waypoint() => Bound {
                        waypoint: ours.clone(),
                        newly: true,
                    },
                    _ => continue,
                };
                if mesh.waypoint(&bound.waypoint).is_none() {
                    all.made.insert(bound.waypoint.clone(), need.traffic);
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

/// The waypoint of a namespace: the one that is there, else one to be made.
fn own(mesh: &Mesh, namespace: &Name) -> ObjectRef {
    let usual = ObjectRef::new(Kind::Gateway, namespace, &Name::from(NAME));
    if mesh.waypoint(&usual).is_some() {
        return usual;
    }
    let mut here = mesh
        .waypoints()
        .iter()
        .filter(|known| known.object.namespace == *namespace)
        .filter(|known| matches!(known.traffic, Traffic::Service | Traffic::All));
    here.next().map_or(usual, |known| known.object.clone())
}

pub(super) fn translate(ground: &Ground<'_>, draft: &mut Draft) {
    for (waypoint, traffic) in &ground.waypoints.made {
        let traffic = match traffic {
            Traffic::All => "all",
            Traffic::Workload => "workload",
            Traffic::Service | Traffic::None => "service",
        };
        let manifest = new_object(
            Kind::Gateway,
            &waypoint.namespace,
            &waypoint.name,
            None,
            &[(WAYPOINT_FOR, traffic)],
            json!({
                "gatewayClassName": WAYPOINT_CLASS,
                "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}],
            }),
        );
        draft.create(Phase::Prepare, manifest, &[]);
    }
    for (service, bound) in ground.waypoints.bound() {
        draft.look(service);
        if !bound.newly {
            continue;
        }
        let waypoint = &bound.waypoint;
        let mut labels = json!({USE_WAYPOINT: waypoint.name.as_ref()});
        if waypoint.namespace != service.namespace {
            labels[USE_WAYPOINT_NAMESPACE] = waypoint.namespace.as_ref().into();
        }
        draft.patch(
            Phase::Enrol,
            service,
            json!({"metadata": {"labels": labels}}),
            &[waypoint],
        );
    }
}
