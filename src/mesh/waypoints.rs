//! Waypoints, and which of them an object is bound to.
//!
//! Source: `pilot/pkg/serviceregistry/ambient/waypoints.go`.

use super::namespaces::Namespace;
use crate::inventory::{Inventory, find};
use crate::kinds::gateway_api::{FromNamespaces, Gateway, Listener};
use crate::kinds::{Kind, Labels, Name, ObjectRef};

/// The label that binds an object to a waypoint.
pub const USE_WAYPOINT: &str = "istio.io/use-waypoint";
/// The label that says in which namespace the waypoint is.
pub const USE_WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
/// The label that sends a part of an object's traffic through a second waypoint (Istio 1.31).
pub const USE_WAYPOINT_CANARY: &str = "istio.io/use-waypoint-canary";
/// The label that says in which namespace that one is.
pub const USE_WAYPOINT_CANARY_NAMESPACE: &str = "istio.io/use-waypoint-canary-namespace";
/// The label of a waypoint that says which traffic it takes.
pub const WAYPOINT_FOR: &str = "istio.io/waypoint-for";
/// The label that sends an ingress gateway's traffic through the waypoint.
pub const INGRESS_USE_WAYPOINT: &str = "istio.io/ingress-use-waypoint";
/// The class of Gateways that are waypoints.
pub const WAYPOINT_CLASS: &str = "istio-waypoint";

/// Which traffic a waypoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Addressed to Services.
    Service,
    /// Addressed to pods.
    Workload,
    /// Both.
    All,
    /// None.
    None,
}

/// A waypoint.
#[derive(Debug, Clone)]
pub struct Waypoint {
    /// Its Gateway.
    pub object: ObjectRef,
    /// Which traffic it takes.
    pub traffic: Traffic,
    /// Its service account's name.
    pub service_account: Name,
    /// Whether it has an address; only then is traffic sent to it. `None` when its status is not
    /// in the input.
    pub ready: Option<bool>,
    /// The status of its condition `Programmed`, with the controller's message.
    pub programmed: Option<(bool, String)>,
    listeners: Vec<Listener>,
}

/// Why an object that names a waypoint has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbound {
    /// There is no such waypoint.
    Missing,
    /// It has no address yet.
    NotReady,
    /// Its listeners do not admit the object's namespace.
    NotAllowed,
    /// It does not take traffic of this kind.
    OtherTraffic,
}

/// What an object's labels, or its namespace's, say about its waypoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// Nothing.
    None,
    /// `use-waypoint: none`.
    OptedOut,
    /// It names this waypoint.
    Named {
        /// The waypoint's Gateway; it may not exist.
        waypoint: ObjectRef,
        /// The object that carries the label.
        declared_on: ObjectRef,
        /// Why it has no effect; `None` when it has.
        unbound: Option<Unbound>,
    },
}

impl Traffic {
    /// As the label says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Workload => "workload",
            Self::All => "all",
            Self::None => "none",
        }
    }

    /// What a label says.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Service, Self::Workload, Self::All, Self::None]
            .into_iter()
            .find(|traffic| traffic.name() == name)
    }

    /// Whether traffic of one kind is part of it.
    pub fn takes(self, wanted: Self) -> bool {
        self == Self::All || self == wanted
    }
}

impl Binding {
    /// The waypoint that its labels name, if that takes its traffic now, or will once it has an
    /// address.
    pub fn usable(&self) -> Option<&ObjectRef> {
        match self {
            Self::Named {
                waypoint,
                unbound: None | Some(Unbound::NotReady),
                ..
            } => Some(waypoint),
            _ => None,
        }
    }

    /// The waypoint that traffic really goes through.
    pub fn effective(&self) -> Option<&ObjectRef> {
        match self {
            Self::Named {
                waypoint,
                unbound: None,
                ..
            } => Some(waypoint),
            _ => None,
        }
    }
}

pub(super) fn resolve(inventory: &Inventory) -> Vec<Waypoint> {
    inventory
        .objects
        .gateways
        .iter()
        .filter(|gateway| gateway.spec.gateway_class_name == WAYPOINT_CLASS)
        .map(|gateway| {
            let class = find(&inventory.objects.gateway_classes, "", WAYPOINT_CLASS);
            Waypoint::of(gateway, class.map(|class| &class.metadata.labels))
        })
        .collect()
}

/// What an object (a Service, a pod) of `namespace` is bound to by its labels or its namespace's.
pub(super) fn binding(
    waypoints: &[Waypoint],
    object: &ObjectRef,
    labels: &Labels,
    namespace: Option<&Namespace>,
    wants: Traffic,
) -> Binding {
    let nothing = Labels::default();
    let inherited = namespace
        .and_then(|ns| ns.labels.as_ref())
        .unwrap_or(&nothing);
    let (labels, declared_on) = match (labels.get(USE_WAYPOINT), namespace) {
        (Some(_), _) => (labels, object.clone()),
        (None, Some(ns)) if inherited.get(USE_WAYPOINT).is_some() => (inherited, ns.reference()),
        _ => return Binding::None,
    };
    let name = labels.get(USE_WAYPOINT).unwrap_or_default();
    if name == "none" {
        return Binding::OptedOut;
    }
    if name.is_empty() {
        return Binding::None;
    }
    let home = labels
        .get(USE_WAYPOINT_NAMESPACE)
        .unwrap_or(&object.namespace);
    let wanted = ObjectRef::new(Kind::Gateway, &Name::from(home), &Name::from(name));
    let unbound = match waypoints.binary_search_by(|w| w.object.cmp(&wanted)) {
        Err(_) => Some(Unbound::Missing),
        Ok(found) => waypoints[found].refuses(object, inherited, wants),
    };
    Binding::Named {
        waypoint: wanted,
        declared_on,
        unbound,
    }
}

impl Waypoint {
    /// A Gateway of the waypoints' class, with the labels of that class.
    pub fn of(gateway: &Gateway, class: Option<&Labels>) -> Self {
        let meta = &gateway.metadata;
        let traffic = meta
            .labels
            .get(WAYPOINT_FOR)
            .or_else(|| class.and_then(|labels| labels.get(WAYPOINT_FOR)));
        let status = gateway.status.as_ref();
        Self {
            object: ObjectRef::new(Kind::Gateway, &meta.namespace, &meta.name),
            traffic: traffic.and_then(Traffic::named).unwrap_or(Traffic::Service),
            service_account: meta
                .annotations
                .get("gateway.istio.io/service-account")
                .map_or_else(|| meta.name.clone(), Name::from),
            ready: status.map(|status| status.addresses > 0),
            programmed: status
                .and_then(|status| status.conditions.iter().find(|c| c.kind == "Programmed"))
                .map(|condition| (condition.status == "True", condition.message.clone())),
            listeners: gateway.spec.listeners.clone(),
        }
    }

    /// Why an object that names it is not bound to it. `namespace_labels` are those of the object's
    /// namespace, `wants` is the traffic that is addressed to such an object.
    pub fn refuses(
        &self,
        object: &ObjectRef,
        namespace_labels: &Labels,
        wants: Traffic,
    ) -> Option<Unbound> {
        // What time does not mend comes first.
        if !self.admits(&object.namespace, namespace_labels) {
            Some(Unbound::NotAllowed)
        } else if !self.traffic.takes(wants) {
            Some(Unbound::OtherTraffic)
        } else if self.ready == Some(false) {
            Some(Unbound::NotReady)
        } else {
            None
        }
    }

    /// Whether objects of other namespaces may be bound to it at all.
    pub fn admits_others(&self) -> bool {
        self.listeners.iter().any(|listener| {
            matches!(
                listener.allowed_routes.namespaces.from,
                FromNamespaces::All | FromNamespaces::Selector
            )
        })
    }

    fn admits(&self, namespace: &Name, labels: &Labels) -> bool {
        if *namespace == self.object.namespace {
            return true;
        }
        // The API server gives it to every namespace, and a manifest need not have it.
        let mut labels = labels.pairs().to_vec();
        labels.push((Name::from("kubernetes.io/metadata.name"), namespace.clone()));
        let labels = Labels::from_pairs(labels);
        self.listeners.iter().any(|listener| {
            let allowed = &listener.allowed_routes.namespaces;
            match allowed.from {
                FromNamespaces::All => true,
                FromNamespaces::Selector => allowed.selector.matches(&labels),
                FromNamespaces::Same | FromNamespaces::None => false,
            }
        })
    }
}
