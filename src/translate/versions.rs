//! Services that stand for subsets: an HTTPRoute leads to Services only.
//!
//! A subset that a route of the result leads to becomes a Service of its own, which selects the pods
//! of the subset, and a DestinationRule with what the subset's rule says about them.

mod rules;
mod traffic_policy;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::change::new_object;
use super::fidelity::{Remark, Weight};
use super::routes::world::{full_name, service_of};
use super::{Draft, Ground, Manifest, Phase, Topic};
use crate::inventory::Object;
use crate::kinds::complete;
use crate::kinds::path::field;
use crate::kinds::service::ServicePort;
use crate::kinds::traffic::{Destination, DestinationRule, VirtualService};
use crate::kinds::{FieldPath, IntOrString, Kind, Labels, Name, ObjectRef, Resource};
use crate::mesh::services::{Service, is_mesh};
use crate::mesh::waypoints::{USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};

/// Annotations by which a Service tells Istio how it is reached.
const ANNOTATIONS: [&str; 2] = [
    "networking.istio.io/exportTo",
    "networking.istio.io/traffic-distribution",
];
/// Fields of a Service that say how it is reached.
const MANNERS: [&str; 7] = [
    "internalTrafficPolicy",
    "ipFamilies",
    "ipFamilyPolicy",
    "publishNotReadyAddresses",
    "sessionAffinity",
    "sessionAffinityConfig",
    "trafficDistribution",
];

/// The Services that stand for subsets.
#[derive(Debug, Default)]
pub(crate) struct Versions {
    by_subset: BTreeMap<(ObjectRef, String), ObjectRef>,
    made: Vec<Version>,
}

/// A subset, and the Service that could stand for it.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// The Service whose subset it is.
    pub(crate) base: ObjectRef,
    /// The subset.
    pub(crate) subset: String,
    /// The Service that stands for it.
    pub(crate) service: ObjectRef,
    /// What that Service selects.
    pub(crate) selector: BTreeMap<String, String>,
    /// Where the subset is defined.
    rule: ObjectRef,
    field: FieldPath,
    /// The Service and the DestinationRule that are made; nothing where the Service is there.
    manifests: Vec<Manifest>,
}

/// The Services that could stand for subsets, and why there is none for others.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    known: BTreeMap<(ObjectRef, String), Result<Version, Lack>>,
    labels: BTreeMap<(ObjectRef, String), BTreeMap<String, String>>,
    by_host: BTreeMap<String, (ObjectRef, String)>,
}

/// Why no Service stands for a subset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lack {
    /// No DestinationRule defines the subset.
    Undefined,
    /// None can be made.
    Impossible(String),
}

impl Versions {
    /// The Services of the subsets that routes lead to.
    pub(super) fn of(candidates: Candidates, used: &BTreeSet<(ObjectRef, String)>) -> Self {
        let mut versions = Self::default();
        for (key, candidate) in candidates.known {
            if let (true, Ok(version)) = (used.contains(&key), candidate) {
                versions.by_subset.insert(key, version.service.clone());
                versions.made.push(version);
            }
        }
        versions
    }

    /// The Services that stand for subsets of a Service, sorted.
    pub(crate) fn of_service(&self, service: &ObjectRef) -> impl Iterator<Item = &ObjectRef> {
        let from = (service.clone(), String::new());
        self.by_subset
            .range(from..)
            .take_while(move |((of, _), _)| of == service)
            .map(|(_, version)| version)
    }
}

impl Candidates {
    /// What could stand for the subsets to which routes of the mesh lead.
    pub(super) fn of(ground: &Ground<'_>) -> Self {
        let mut candidates = Self::default();
        let mut definitions: BTreeMap<ObjectRef, Definitions<'_>> = BTreeMap::new();
        for route in ground.mesh.all::<VirtualService>() {
            if !route.spec.hosts.is_empty() && !is_mesh(&route.spec.gateways) {
                continue;
            }
            for destination in destinations(route) {
                if destination.subset.is_empty() {
                    continue;
                }
                let home = &route.metadata.namespace;
                let Some(service) = service_of(ground.mesh, &destination.host, home) else {
                    continue;
                };
                let key = (service.object.clone(), destination.subset.clone());
                if candidates.known.contains_key(&key) {
                    continue;
                }
                let defined = definitions
                    .entry(service.object.clone())
                    .or_insert_with(|| Definitions::of(ground, service));
                let found = candidates.candidate(ground, service, defined, &destination.subset);
                if let Ok(version) = &found {
                    let host = full_name(&version.service);
                    candidates.by_host.insert(host, key.clone());
                }
                candidates.known.insert(key, found);
            }
        }
        candidates
    }

    /// The Service that could stand for a subset.
    pub(crate) fn get(&self, service: &ObjectRef, subset: &str) -> Result<&Version, Lack> {
        let key = (service.clone(), subset.to_owned());
        match self.known.get(&key) {
            Some(Ok(version)) => Ok(version),
            Some(Err(lack)) => Err(lack.clone()),
            None => Err(Lack::Undefined),
        }
    }

    /// The labels of a subset's pods beside those that its Service asks for.
    pub(crate) fn labels(
        &self,
        service: &ObjectRef,
        subset: &str,
    ) -> Option<&BTreeMap<String, String>> {
        self.labels.get(&(service.clone(), subset.to_owned()))
    }

    /// The full names of the Services that could stand for subsets, with those whose subsets they are.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = (&str, &ObjectRef)> {
        self.by_host
            .iter()
            .map(|(host, (base, _))| (host.as_str(), base))
    }

    /// The subset for which a Service of this name would stand.
    pub(crate) fn version_of_host(&self, host: &str) -> Option<&Version> {
        self.by_host
            .get(host)
            .and_then(|key| match self.known.get(key) {
                Some(Ok(version)) => Some(version),
                _ => None,
            })
    }

    fn candidate(
        &mut self,
        ground: &Ground<'_>,
        service: &Service,
        defined: &Definitions<'_>,
        subset: &str,
    ) -> Result<Version, Lack> {
        let (object, whole, position) = defined.find(subset).ok_or(Lack::Undefined)?;
        let definition = &whole.spec.subsets[position];
        let key = (service.object.clone(), subset.to_owned());
        self.labels.insert(key, definition.labels.clone());
        let impossible = |why: String| Err(Lack::Impossible(why));
        let spec = ground.mesh.spec(service);
        let base = &service.object;
        if !ground.translates(&base.namespace) {
            return impossible(format!(
                "{base} is not among the namespaces that are translated"
            ));
        }
        if spec.is_external_name() {
            return impossible(format!("{} is a mere alias", base.short()));
        }
        if spec.selector.is_empty() {
            return impossible(format!("{} selects no pods by labels", base.short()));
        }
        let selector = joined(&spec.selector, &definition.labels).ok_or_else(|| {
            Lack::Impossible(format!(
                "its labels contradict those that {} asks for",
                base.short()
            ))
        })?;
        let name = name_of(&base.name, subset)
            .ok_or_else(|| Lack::Impossible("its name makes no name of a Service".to_owned()))?;
        let object_ref = ObjectRef::new(Kind::Service, &base.namespace, &Name::from(&*name));
        let mut version = Version {
            base: base.clone(),
            subset: subset.to_owned(),
            service: object_ref.clone(),
            selector,
            rule: object.reference(),
            field: field!["spec", "subsets", position],
            manifests: Vec::new(),
        };
        if let Some(there) = service_of(ground.mesh, &name, &base.namespace) {
            if !stands_already(ground, service, there, &version.selector) {
                return impossible(format!(
                    "{} is there already and is something else",
                    there.object.short()
                ));
            }
            return Ok(version);
        }
        let mut known = self.known.values().filter_map(|known| known.as_ref().ok());
        if known.any(|known| known.service == object_ref) {
            return impossible(format!("another subset becomes {} too", object_ref.short()));
        }
        version.manifests.push(stand_in(ground, service, &version));
        version
            .manifests
            .extend(own_rule(ground, &version, whole, definition));
        Ok(version)
    }
}

/// Where requests of a VirtualService go, copies included.
fn destinations(route: &VirtualService) -> impl Iterator<Item = &Destination> {
    let spec = &route.spec;
    let http = spec.http.iter().flat_map(|http| {
        let ways = http.route.iter().chain(&http.mirrors);
        ways.map(|way| &way.destination).chain(&http.mirror)
    });
    let streams = spec.tcp.iter().chain(&spec.tls);
    http.chain(streams.flat_map(|stream| stream.route.iter().map(|way| &way.destination)))
}

/// The rules that define subsets of a Service, those that count first.
struct Definitions<'g> {
    rules: Vec<(&'g Object<DestinationRule>, complete::DestinationRule)>,
}

impl<'g> Definitions<'g> {
    /// A waypoint looks in its own namespace, in the Service's, and in the root namespace; a name
    /// goes before a wildcard (`pilot/pkg/model/push_context.go`, `destinationRule`).
    fn of(ground: &Ground<'g>, service: &Service) -> Self {
        let mesh = ground.mesh;
        let own = &service.object.namespace;
        let root = mesh.root_namespace();
        let mut rules: Vec<_> = mesh
            .destination_rules(service)
            .filter(|rule| rule.spec.workload_selector.is_none())
            .filter(|rule| [own, root].contains(&&rule.metadata.namespace))
            .filter_map(|rule| {
                let json = mesh.inventory().whole(&rule.reference())?;
                Some((rule, complete::DestinationRule::from_json(&json).ok()?))
            })
            .collect();
        rules.sort_by_key(|(rule, _)| {
            let meta = &rule.metadata;
            let host = &rule.spec.host;
            (
                meta.namespace != *own,
                host.starts_with('*'),
                std::cmp::Reverse(host.len()),
                meta.creation_timestamp.clone(),
                meta.name.clone(),
            )
        });
        Self { rules }
    }

    /// Rules for the same host of one namespace are one; of two subsets of one name the first counts.
    fn find(
        &self,
        subset: &str,
    ) -> Option<(
        &'g Object<DestinationRule>,
        &complete::DestinationRule,
        usize,
    )> {
        let (first, _) = self.rules.first()?;
        let same = |rule: &Object<DestinationRule>| {
            rule.metadata.namespace == first.metadata.namespace && rule.spec.host == first.spec.host
        };
        self.rules
            .iter()
            .filter(|(rule, _)| same(rule))
            .find_map(|(rule, whole)| {
                let mut subsets = whole.spec.subsets.iter();
                let position = subsets.position(|known| known.name == subset)?;
                Some((*rule, whole, position))
            })
    }
}

/// Both sets of labels; `None` when they contradict each other.
fn joined(base: &Labels, more: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    let own = base.iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
    let mut all: BTreeMap<String, String> = own.collect();
    for (key, value) in more {
        if all
            .insert(key.clone(), value.clone())
            .is_some_and(|known| known != *value)
        {
            return None;
        }
    }
    Some(all)
}

/// The name of a Service (RFC 1035) for a subset; `None` where it would be too long.
fn name_of(service: &str, subset: &str) -> Option<String> {
    let letter = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() => c,
        _ => '-',
    };
    let subset: String = subset.chars().map(letter).collect();
    let name = format!("{service}-{}", subset.trim_matches('-'));
    let valid = name.len() <= 63
        && !name.ends_with('-')
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    valid.then_some(name)
}

/// Whether a Service that is there selects the subset's pods and offers what the base offers.
fn stands_already(
    ground: &Ground<'_>,
    base: &Service,
    there: &Service,
    selector: &BTreeMap<String, String>,
) -> bool {
    let (base, there) = (ground.mesh.spec(base), ground.mesh.spec(there));
    let own = there.selector.iter();
    own.eq(selector.iter().map(|(k, v)| (k.as_str(), v.as_str())))
        && !there.is_headless()
        && base
            .ports
            .iter()
            .all(|port| there.ports.iter().any(|own| is_same_port(own, port)))
}

/// Whether two ports are alike. TCP is what is meant where no protocol is written.
fn is_same_port(a: &ServicePort, b: &ServicePort) -> bool {
    let written = |port: &ServicePort| {
        let mut port = port.clone();
        if port.protocol.is_empty() {
            "TCP".clone_into(&mut port.protocol);
        }
        port.target_port
            .get_or_insert(IntOrString::Int(port.port.into()));
        port
    };
    written(a) == written(b)
}

/// The Service that stands for a subset.
fn stand_in(ground: &Ground<'_>, service: &Service, version: &Version) -> Manifest {
    let mesh = ground.mesh;
    let ports = mesh.spec(service).ports.iter().map(port);
    let mut spec = json!({"selector": version.selector, "ports": ports.collect::<Vec<_>>()});
    let whole = mesh.inventory().whole(&service.object).unwrap_or_default();
    for field in MANNERS {
        if let Some(value) = whole.pointer(&format!("/spec/{field}")) {
            spec[field] = value.clone();
        }
    }
    let bound = ground.waypoints.serving(&version.base);
    let mut labels = Vec::new();
    if let Some(bound) = bound.filter(|bound| !bound.newly) {
        labels.push((USE_WAYPOINT, &*bound.waypoint.name));
        if bound.waypoint.namespace != version.base.namespace {
            labels.push((USE_WAYPOINT_NAMESPACE, &*bound.waypoint.namespace));
        }
    }
    let (namespace, name) = (&version.service.namespace, &version.service.name);
    let source = Some(&version.rule);
    let manifest = new_object(Kind::Service, namespace, name, source, &labels, spec);
    let mut annotations = Map::new();
    for key in ANNOTATIONS {
        let value = whole
            .pointer("/metadata/annotations")
            .and_then(|all| all.get(key));
        annotations.extend(value.map(|value| (key.to_owned(), value.clone())));
    }
    if annotations.is_empty() {
        return manifest;
    }
    manifest.patched(&json!({"metadata": {"annotations": annotations}}))
}

fn port(port: &ServicePort) -> Value {
    let mut json = Map::new();
    if !port.name.is_empty() {
        json.insert("name".to_owned(), port.name.as_str().into());
    }
    if !port.app_protocol.is_empty() {
        json.insert("appProtocol".to_owned(), port.app_protocol.as_str().into());
    }
    if !matches!(port.protocol.as_str(), "" | "TCP") {
        json.insert("protocol".to_owned(), port.protocol.as_str().into());
    }
    json.insert("port".to_owned(), port.port.into());
    match &port.target_port {
        Some(IntOrString::Int(number)) => {
            json.insert("targetPort".to_owned(), (*number).into());
        }
        Some(IntOrString::String(name)) => {
            json.insert("targetPort".to_owned(), name.as_str().into());
        }
        None => {}
    }
    Value::Object(json)
}

/// The DestinationRule of the Service that stands for a subset, where anything is said of it.
fn own_rule(
    ground: &Ground<'_>,
    version: &Version,
    rule: &complete::DestinationRule,
    subset: &complete::Subset,
) -> Option<Manifest> {
    let policy = traffic_policy::merged(
        rule.spec.traffic_policy.as_ref(),
        subset.traffic_policy.as_ref(),
    )?;
    let policy = traffic_policy::without_istio_mutual(&policy)?;
    let service = &version.service;
    let mut spec = json!({"host": full_name(service), "trafficPolicy": policy});
    if !rule.spec.export_to.is_empty() {
        spec["exportTo"] = json!(rule.spec.export_to);
    }
    let namespace = &service.namespace;
    let taken = |name: &str| {
        let known = ground.mesh.named::<DestinationRule>(namespace, name);
        known.is_some()
    };
    let mut name = service.name.to_string();
    while taken(&name) {
        name.push_str("-subset");
    }
    let source = Some(&version.rule);
    Some(new_object(
        Kind::DestinationRule,
        namespace,
        &name,
        source,
        &[],
        spec,
    ))
}

pub(super) fn translate(ground: &Ground<'_>, draft: &mut Draft) {
    for version in &ground.versions.made {
        let mut made: Vec<&ObjectRef> = version.manifests.iter().map(Manifest::object).collect();
        if made.is_empty() {
            made.push(&version.service);
        }
        draft.remark(
            &version.rule,
            Remark::new(
                Topic::Subsets,
                Weight::Form,
                version.field.clone(),
                format!(
                    "{} stands for subset {} of {}, because an HTTPRoute leads to Services only",
                    version.service.short(),
                    version.subset,
                    version.base.short()
                ),
            ),
        );
        for object in made {
            draft.becomes(&version.rule, object);
        }
        let because = [&version.rule, &version.base];
        for manifest in &version.manifests {
            draft.create(Phase::Prepare, manifest.clone(), &because);
        }
        bind(ground, version, draft);
    }
    rules::translate(ground, draft);
}

/// Binds a Service to the waypoint of the Service whose subset it stands for, together with it.
fn bind(ground: &Ground<'_>, version: &Version, draft: &mut Draft) {
    let Some(bound) = ground.waypoints.serving(&version.base) else {
        return;
    };
    if !bound.newly || ground.waypoints.serving(&version.service).is_some() {
        return;
    }
    let waypoint = &bound.waypoint;
    let mut labels = json!({USE_WAYPOINT: waypoint.name.as_ref()});
    if waypoint.namespace != version.base.namespace {
        labels[USE_WAYPOINT_NAMESPACE] = waypoint.namespace.as_ref().into();
    }
    let patch = json!({"metadata": {"labels": labels}});
    draft.patch(Phase::Enrol, &version.service, patch, &[waypoint]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_service_can_have() {
        for (subset, expected) in [
            ("v1", Some("pay-v1")),
            ("V2", Some("pay-v2")),
            ("v1.2_x", Some("pay-v1-2-x")),
            ("-", None),
            (&"x".repeat(60), None),
        ] {
            assert_eq!(name_of("pay", subset).as_deref(), expected, "{subset}");
        }
    }
}
