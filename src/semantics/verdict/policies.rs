//! The policies of a mesh, and which of them an enforcement point has.
//!
//! Source: `pilot/pkg/model/policyattachment.go` (`ShouldAttachPolicy`), `authorization.go`
//! (`ListAuthorizationPolicies`), `authentication.go` (`getConfigsForWorkload`), and for ztunnel
//! `pilot/pkg/serviceregistry/ambient/workloads.go` (`buildWorkloadPolicies`).

use std::collections::{BTreeMap, HashMap};

use crate::kinds::authorization::{
    AuthorizationPolicy, PeerAuthentication, PolicySelector, RequestAuthentication, TargetRef,
};
use crate::kinds::selector::contains;
use crate::kinds::{Kind, Labels, Meta, Name, Resource};
use crate::mesh::Mesh;
use crate::mesh::installation::{Authorizer, MeshConfig};
use crate::mesh::waypoints::WAYPOINT_CLASS;
use crate::mesh::workloads::GATEWAY_NAME_LABEL;

/// What the mesh's configuration says, as far as verdicts depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The namespace of policies for the whole mesh.
    pub root_namespace: Name,
    /// The trust domain of identities.
    pub trust_domain: String,
    /// Other trust domains that mean the same to sidecars and waypoints; ztunnel knows none.
    pub trust_domain_aliases: Vec<String>,
    /// Trust domains whose callers sidecars and waypoints accept besides (`caCertificates`).
    pub other_trust_domains: Vec<String>,
    /// The external authorizers that are defined; `None` when that is not known.
    pub providers: Option<BTreeMap<String, Authorizer>>,
    /// Whether one workload may ask several (`PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS`).
    pub several_providers: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            root_namespace: Name::from("istio-system"),
            trust_domain: "cluster.local".to_owned(),
            trust_domain_aliases: Vec::new(),
            other_trust_domains: Vec::new(),
            providers: None,
            several_providers: false,
        }
    }
}

impl Settings {
    /// What the configuration of a mesh says. Flags of istiod are at their defaults.
    pub fn of(config: &MeshConfig) -> Self {
        Self {
            root_namespace: config.root_namespace.clone(),
            trust_domain: config.trust_domain.clone(),
            trust_domain_aliases: config.trust_domain_aliases.clone(),
            other_trust_domains: config.other_trust_domains.clone(),
            providers: config.is_known().then(|| config.authorizers.clone()),
            several_providers: false,
        }
    }
}

/// Where a call is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point<'m> {
    /// The sidecar of a pod.
    Sidecar(Pod<'m>),
    /// ztunnel, for an ambient pod.
    Ztunnel(Pod<'m>),
    /// A waypoint.
    Waypoint {
        /// The namespace of its Gateway.
        namespace: &'m str,
        /// The name of its Gateway.
        name: &'m str,
        /// What the call is addressed to; `None` when that is a pod.
        target: Option<Target<'m>>,
    },
    /// A pod of a gateway at the edge.
    Gateway(Pod<'m>),
}

/// A pod as policies see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pod<'m> {
    /// Its namespace.
    pub namespace: &'m str,
    /// Its labels.
    pub labels: &'m Labels,
}

/// What stands behind a waypoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'m> {
    /// A Service or a ServiceEntry.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: &'m str,
    /// Its name.
    pub name: &'m str,
}

/// A policy that is attached by labels or by reference.
trait Attached: Resource {
    fn selector(&self) -> Option<&PolicySelector>;
    fn targets(&self) -> &[TargetRef];
}

macro_rules! attached {
    ($($type:ident),+) => {$(
        impl Attached for $type {
            fn selector(&self) -> Option<&PolicySelector> {
                self.spec.selector.as_ref()
            }
            fn targets(&self) -> &[TargetRef] {
                match (&self.spec.target_refs, &self.spec.target_ref) {
                    (refs, Some(single)) if refs.is_empty() => std::slice::from_ref(single),
                    (refs, _) => refs,
                }
            }
        }
    )+};
}
attached!(AuthorizationPolicy, RequestAuthentication);

/// Policies by what finds them.
#[derive(Debug)]
struct Index<'m, T> {
    list: Vec<&'m T>,
    /// Those without a selector and without targets, by namespace.
    wide: HashMap<&'m str, Vec<usize>>,
    /// Those with a selector, by namespace and by the first pair that it asks for.
    by_label: HashMap<(&'m str, &'m str, &'m str), Vec<usize>>,
    /// Those with targets, by namespace, kind and name of a target.
    by_target: HashMap<(&'m str, &'m str, &'m str), Vec<usize>>,
}

/// The policies of a mesh.
#[derive(Debug)]
pub struct Policies<'m> {
    /// What the mesh's configuration says.
    pub settings: &'m Settings,
    authorization: Index<'m, AuthorizationPolicy>,
    tokens: Index<'m, RequestAuthentication>,
    peers: HashMap<&'m str, Vec<&'m PeerAuthentication>>,
}

impl<'m> Policies<'m> {
    /// Indexes policies.
    pub fn new(
        settings: &'m Settings,
        authorization: impl IntoIterator<Item = &'m AuthorizationPolicy>,
        tokens: impl IntoIterator<Item = &'m RequestAuthentication>,
        peers: impl IntoIterator<Item = &'m PeerAuthentication>,
    ) -> Self {
        let mut peers: Vec<&PeerAuthentication> = peers.into_iter().collect();
        peers.sort_by(|a, b| age(&a.metadata).cmp(&age(&b.metadata)));
        let mut by_namespace: HashMap<&str, Vec<&PeerAuthentication>> = HashMap::new();
        for policy in peers {
            let own = by_namespace.entry(&policy.metadata.namespace).or_default();
            own.push(policy);
        }
        Self {
            settings,
            authorization: Index::new(authorization),
            tokens: Index::new(tokens),
            peers: by_namespace,
        }
    }

    /// The policies of a mesh.
    pub fn of(settings: &'m Settings, mesh: &'m Mesh) -> Self {
        Self::new(
            settings,
            mesh.all::<AuthorizationPolicy>().iter().map(|o| &o.value),
            mesh.all::<RequestAuthentication>().iter().map(|o| &o.value),
            mesh.all::<PeerAuthentication>().iter().map(|o| &o.value),
        )
    }

    /// The AuthorizationPolicies that a point has, by namespace and name. To ztunnel those are sent
    /// that it understands in part; what becomes of them there is not said here.
    pub fn authorization_at(&self, point: &Point<'_>) -> Vec<&'m AuthorizationPolicy> {
        self.authorization.at(point, &self.settings.root_namespace)
    }

    /// The RequestAuthentications that a point has, by namespace and name. ztunnel has none.
    pub fn tokens_at(&self, point: &Point<'_>) -> Vec<&'m RequestAuthentication> {
        if matches!(point, Point::Ztunnel(_)) {
            return Vec::new();
        }
        self.tokens.at(point, &self.settings.root_namespace)
    }

    /// The PeerAuthentications that count for a pod.
    pub fn peer_authentications(
        &self,
        pod: &Pod<'_>,
    ) -> impl Iterator<Item = &'m PeerAuthentication> {
        let Layers {
            mesh,
            namespace,
            own,
        } = self.peers_of(pod);
        [mesh, namespace, own].into_iter().flatten()
    }

    /// The PeerAuthentications of a namespace, oldest first.
    pub(super) fn peers_in(&self, namespace: &str) -> &[&'m PeerAuthentication] {
        self.peers.get(namespace).map_or(&[], Vec::as_slice)
    }

    /// The PeerAuthentications without a selector and those that select a pod: of the mesh, of its
    /// namespace and its own, of each the oldest.
    pub(super) fn peers_of(&self, pod: &Pod<'_>) -> Layers<'m> {
        let root = &*self.settings.root_namespace;
        let wide = |policy: &&&PeerAuthentication| labels(policy).is_none();
        let mesh = self.peers_in(root).iter().find(wide).copied();
        if pod.namespace == root {
            return Layers {
                mesh,
                namespace: None,
                own: None,
            };
        }
        let here = self.peers_in(pod.namespace);
        let own = here
            .iter()
            .find(|policy| labels(policy).is_some_and(|wanted| contains(pod.labels, wanted)));
        Layers {
            mesh,
            namespace: here.iter().find(wide).copied(),
            own: own.copied(),
        }
    }
}

/// What a selector asks for; `None` where it asks for nothing.
fn labels(policy: &PeerAuthentication) -> Option<&Labels> {
    let selector = policy.spec.selector.as_ref()?;
    (!selector.match_labels.is_empty()).then_some(&selector.match_labels)
}

/// The PeerAuthentications that count for a pod.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layers<'m> {
    /// Of the whole mesh.
    pub(super) mesh: Option<&'m PeerAuthentication>,
    /// Of the pod's namespace.
    pub(super) namespace: Option<&'m PeerAuthentication>,
    /// Of the pod.
    pub(super) own: Option<&'m PeerAuthentication>,
}

/// The order in which istiod takes policies: the oldest first, then by name. One without a time, as
/// in a file, counts as old.
fn age(meta: &Meta) -> (Option<&Name>, &Name) {
    (meta.creation_timestamp.as_ref(), &meta.name)
}

impl<'m, T: Attached> Index<'m, T> {
    fn new(policies: impl IntoIterator<Item = &'m T>) -> Self {
        let mut index = Self {
            list: policies.into_iter().collect(),
            wide: HashMap::new(),
            by_label: HashMap::new(),
            by_target: HashMap::new(),
        };
        index.list.sort_by(|a, b| name(*a).cmp(&name(*b)));
        for (position, policy) in index.list.iter().enumerate() {
            let namespace = &*policy.meta().namespace;
            let first = policy.selector().and_then(|s| s.match_labels.iter().next());
            match (policy.targets(), first) {
                ([], None) => index.wide.entry(namespace).or_default().push(position),
                ([], Some((key, value))) => {
                    let bucket = index.by_label.entry((namespace, key, value));
                    bucket.or_default().push(position);
                }
                (targets, _) => {
                    for target in targets {
                        let key = (namespace, target.kind.as_str(), target.name.as_str());
                        index.by_target.entry(key).or_default().push(position);
                    }
                }
            }
        }
        index
    }

    fn at(&self, point: &Point<'_>, root: &str) -> Vec<&'m T> {
        let mut found = Vec::new();
        match point {
            Point::Sidecar(pod) | Point::Ztunnel(pod) | Point::Gateway(pod) => {
                self.selecting(pod, root, &mut found);
                // Pods of Gateway-API gateways may be meant by name too.
                if let (Point::Gateway(_), Some(name)) = (point, pod.labels.get(GATEWAY_NAME_LABEL))
                {
                    self.targeting(pod.namespace, Kind::Gateway, name, &mut found);
                }
            }
            Point::Waypoint {
                namespace,
                name,
                target,
            } => {
                self.targeting(root, Kind::GatewayClass, WAYPOINT_CLASS, &mut found);
                self.targeting(namespace, Kind::Gateway, name, &mut found);
                if let Some(target) = target {
                    self.targeting(target.namespace, target.kind, target.name, &mut found);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found
            .into_iter()
            .map(|position| self.list[position])
            .collect()
    }

    fn selecting(&self, pod: &Pod<'_>, root: &str, found: &mut Vec<usize>) {
        let namespaces = [root, pod.namespace];
        let both = if root == pod.namespace { 1 } else { 2 };
        for namespace in &namespaces[..both] {
            found.extend(self.wide.get(namespace).into_iter().flatten());
            for (key, value) in pod.labels.iter() {
                let bucket = self.by_label.get(&(*namespace, key, value));
                found.extend(bucket.into_iter().flatten().filter(|position| {
                    let selector = self.list[**position].selector();
                    selector.is_some_and(|s| contains(pod.labels, &s.match_labels))
                }));
            }
        }
    }

    fn targeting(&self, namespace: &str, kind: Kind, name: &str, found: &mut Vec<usize>) {
        let Some(bucket) = self.by_target.get(&(namespace, kind.written(), name)) else {
            return;
        };
        found.extend(bucket.iter().filter(|position| {
            let targets = self.list[**position].targets();
            targets.iter().any(|target| {
                target.kind == kind.written() && target.name == name && is_of(&target.group, kind)
            })
        }));
    }
}

fn name<T: Resource>(policy: &T) -> (&Name, &Name) {
    (&policy.meta().namespace, &policy.meta().name)
}

/// Whether a reference's group is the kind's.
fn is_of(group: &str, kind: Kind) -> bool {
    match kind {
        Kind::Service => matches!(group, "" | "core"),
        Kind::ServiceEntry => group == "networking.istio.io",
        _ => group == "gateway.networking.k8s.io",
    }
}
