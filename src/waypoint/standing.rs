//! How the waypoints of a cluster stand: programmed or not, who is bound to them, what they enforce.

use std::collections::BTreeMap;

use crate::kinds::gateway_api::Gateway;
use crate::kinds::meta::Owner;
use crate::kinds::{Kind, Labels, Name, ObjectRef};
use crate::mesh::waypoints::{
    Traffic, USE_WAYPOINT, USE_WAYPOINT_CANARY, USE_WAYPOINT_CANARY_NAMESPACE,
    USE_WAYPOINT_NAMESPACE, Unbound, WAYPOINT_CLASS, Waypoint,
};

/// The kinds whose labels bind them to a waypoint (`pilot/pkg/serviceregistry/ambient/waypoints.go`).
pub const BINDABLE: &[Kind] = &[
    Kind::Namespace,
    Kind::Pod,
    Kind::Service,
    Kind::ServiceEntry,
    Kind::WorkloadEntry,
];
/// The kinds that a waypoint enforces where their `targetRefs` lead to it.
pub const POLICIES: &[Kind] = &[
    Kind::AuthorizationPolicy,
    Kind::RequestAuthentication,
    Kind::WasmPlugin,
    Kind::TrafficExtension,
    Kind::Telemetry,
];
/// The kinds that may name a waypoint's Gateway as their parent.
pub const ROUTES: &[Kind] = &[
    Kind::HTTPRoute,
    Kind::GRPCRoute,
    Kind::TCPRoute,
    Kind::TLSRoute,
];

/// What was read of waypoints and of what belongs to them.
#[derive(Debug, Default)]
pub struct Survey {
    /// The Gateways of the waypoints' class.
    pub gateways: Vec<Found>,
    /// The labels of that class.
    pub class: Option<Labels>,
    /// The Deployments that istiod made of Gateways, by namespace and Gateway.
    pub deployments: BTreeMap<(Name, Name), Replicas>,
    /// The labels of namespaces.
    pub namespaces: BTreeMap<Name, Labels>,
    /// What carries a label that binds.
    pub labelled: Vec<Labelled>,
    /// Policies and routes, with what they are attached to.
    pub attached: Vec<Attached>,
    /// The namespace whose policies may be attached to the class.
    pub root: Name,
}

/// A Gateway as it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its content.
    pub gateway: Gateway,
    /// Its identity.
    pub uid: String,
    /// The ConfigMap that its parameters are in.
    pub options: Option<String>,
}

/// The pods of a waypoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replicas {
    /// How many there are to be.
    pub wanted: u64,
    /// How many of the latest template are ready.
    pub ready: u64,
    /// Whether no older pod is left and the controller has seen the latest template.
    pub settled: bool,
}

/// An object with a label that binds.
#[derive(Debug, Clone)]
pub struct Labelled {
    /// Which.
    pub object: ObjectRef,
    /// Its labels.
    pub labels: Labels,
    /// Who owns it, for pods.
    pub owner: Option<Owner>,
}

/// A policy or a route.
#[derive(Debug, Clone)]
pub struct Attached {
    /// Which.
    pub object: ObjectRef,
    /// What it is attached to.
    pub targets: Vec<ObjectRef>,
    /// Whether its controller accepts it, with the controller's message.
    pub accepted: Option<(bool, String)>,
}

/// How a waypoint stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What it is.
    pub waypoint: Waypoint,
    /// Its Gateway's identity.
    pub uid: String,
    /// The revision that its label names.
    pub revision: Option<String>,
    /// The ConfigMap that its parameters are in.
    pub options: Option<String>,
    /// Its pods; nothing where istiod has made no Deployment.
    pub replicas: Option<Replicas>,
    /// Whose labels name it, sorted.
    pub users: Vec<User>,
    /// What is enforced at it, sorted.
    pub enforced: Vec<Enforced>,
}

/// By which labels an object names a waypoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// As the one that its traffic goes through.
    Primary,
    /// As the one that a part of it goes through.
    Canary,
}

impl Role {
    const ALL: [Self; 2] = [Self::Primary, Self::Canary];

    /// The labels that name a waypoint: its name, its namespace.
    pub const fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Primary => (USE_WAYPOINT, USE_WAYPOINT_NAMESPACE),
            Self::Canary => (USE_WAYPOINT_CANARY, USE_WAYPOINT_CANARY_NAMESPACE),
        }
    }
}

/// An object whose label names a waypoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Which.
    pub object: ObjectRef,
    /// By which label.
    pub role: Role,
    /// Why the label has no effect; nothing when it has.
    pub unbound: Option<Unbound>,
    /// Who owns it, for pods: the label stands in its template as well.
    pub owner: Option<Owner>,
}

/// A policy or a route that a waypoint enforces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Enforced {
    /// Which.
    pub object: ObjectRef,
    /// What it is attached to: the Gateway, its class, or something behind the waypoint.
    pub through: ObjectRef,
    /// Whether its controller accepts it, with the controller's message.
    pub accepted: Option<(bool, String)>,
}

impl Standing {
    /// What a waypoint still lacks to take traffic without a gap; nothing when it is ready.
    pub fn lacks(&self) -> Option<String> {
        match &self.waypoint.programmed {
            None => return Some("istiod has not programmed it yet".to_owned()),
            Some((false, message)) if message.is_empty() => {
                return Some("it is not programmed".to_owned());
            }
            Some((false, message)) => return Some(format!("it is not programmed: {message}")),
            Some((true, _)) => {}
        }
        if self.waypoint.ready != Some(true) {
            return Some("it has no address".to_owned());
        }
        match self.replicas {
            None => Some("it has no Deployment".to_owned()),
            Some(replicas) if replicas.ready < replicas.wanted => Some(format!(
                "{} of its {} replicas are ready",
                replicas.ready, replicas.wanted
            )),
            Some(replicas) if replicas.wanted == 0 => Some("it is scaled to zero".to_owned()),
            Some(replicas) if !replicas.settled => Some("its pods are being replaced".to_owned()),
            Some(_) => None,
        }
    }

    /// What is attached to the Gateway itself, not to something behind it.
    pub fn attached_to_it(&self) -> impl Iterator<Item = &Enforced> {
        self.enforced
            .iter()
            .filter(|enforced| enforced.through == self.waypoint.object)
    }
}

/// Judges what was read, waypoint by waypoint, sorted by namespace and name.
pub fn standings(survey: &Survey) -> Vec<Standing> {
    let mut all: Vec<Standing> = survey
        .gateways
        .iter()
        .map(|found| standing(survey, found))
        .collect();
    all.sort_by(|a, b| a.waypoint.object.cmp(&b.waypoint.object));
    all
}

fn standing(survey: &Survey, found: &Found) -> Standing {
    let meta = &found.gateway.metadata;
    let waypoint = Waypoint::of(&found.gateway, survey.class.as_ref());
    let key = (meta.namespace.clone(), meta.name.clone());
    let mut users: Vec<User> = survey
        .labelled
        .iter()
        .flat_map(|labelled| Role::ALL.map(|role| (labelled, role)))
        .filter(|(labelled, role)| {
            let named = named_by(&labelled.labels, home(&labelled.object), *role);
            named.as_ref() == Some(&waypoint.object)
        })
        .map(|(labelled, role)| User {
            object: labelled.object.clone(),
            role,
            unbound: survey.refusal(&waypoint, &labelled.object),
            owner: labelled.owner.clone(),
        })
        .collect();
    users.sort_by(|a, b| (&a.object, a.role).cmp(&(&b.object, b.role)));
    let mut enforced: Vec<Enforced> = survey
        .attached
        .iter()
        .flat_map(|attached| {
            let targets = attached.targets.iter();
            let here = targets.filter(|target| survey.leads_to(target, attached, &waypoint));
            here.map(|target| Enforced {
                object: attached.object.clone(),
                through: target.clone(),
                accepted: attached.accepted.clone(),
            })
        })
        .collect();
    enforced.sort();
    enforced.dedup();
    Standing {
        revision: meta
            .labels
            .get(super::manifest::REVISION)
            .map(str::to_owned),
        uid: found.uid.clone(),
        options: found.options.clone(),
        replicas: survey.deployments.get(&key).copied(),
        users,
        enforced,
        waypoint,
    }
}

/// The namespace in which an object's labels count.
fn home(object: &ObjectRef) -> &Name {
    match object.kind {
        Kind::Namespace => &object.name,
        _ => &object.namespace,
    }
}

/// The waypoint that labels name in a role.
fn named_by(labels: &Labels, namespace: &Name, role: Role) -> Option<ObjectRef> {
    let (name, home) = role.labels();
    let name = labels.get(name)?;
    if name.is_empty() || name == "none" {
        return None;
    }
    let home = labels
        .get(home)
        .map_or_else(|| namespace.clone(), Name::from);
    Some(ObjectRef::new(Kind::Gateway, &home, &Name::from(name)))
}

impl Survey {
    /// Why the label of an object that names a waypoint has no effect.
    fn refusal(&self, waypoint: &Waypoint, object: &ObjectRef) -> Option<Unbound> {
        let namespace = home(object);
        let nothing = Labels::default();
        let labels = self.namespaces.get(namespace).unwrap_or(&nothing);
        let wants = match object.kind {
            Kind::Pod | Kind::WorkloadEntry => Traffic::Workload,
            // All that is in it: what the waypoint takes of that.
            Kind::Namespace if waypoint.traffic == Traffic::Workload => Traffic::Workload,
            _ => Traffic::Service,
        };
        let inside = ObjectRef::new(Kind::Service, namespace, &object.name);
        waypoint.refuses(&inside, labels, wants)
    }

    /// Whether what is attached to `target` is enforced at a waypoint.
    fn leads_to(&self, target: &ObjectRef, attached: &Attached, waypoint: &Waypoint) -> bool {
        match target.kind {
            Kind::Gateway => *target == waypoint.object,
            Kind::GatewayClass => {
                target.name.as_ref() == WAYPOINT_CLASS && attached.object.namespace == self.root
            }
            _ if ROUTES.contains(&attached.object.kind) => false,
            Kind::Service | Kind::ServiceEntry => {
                let mut named = Role::ALL.into_iter().map(|role| self.bound(target, role));
                named.any(|named| named.as_ref() == Some(&waypoint.object))
                    && self.refusal(waypoint, target).is_none()
            }
            _ => false,
        }
    }

    /// The waypoint that the labels of a Service, or of its namespace, name in a role.
    fn bound(&self, service: &ObjectRef, role: Role) -> Option<ObjectRef> {
        let own = self.labelled.iter().find(|labelled| {
            labelled.object == *service && labelled.labels.get(role.labels().0).is_some()
        });
        let labels = own
            .map(|own| &own.labels)
            .or_else(|| self.namespaces.get(&service.namespace))?;
        named_by(labels, &service.namespace, role)
    }
}

#[cfg(test)]
mod tests;
