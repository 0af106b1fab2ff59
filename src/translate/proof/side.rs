//! One side of the comparison: the objects that route requests, and what destinations reach.

use std::collections::BTreeMap;

use crate::inventory::{Listed, Object};
use crate::kinds::complete::{DestinationRule, HttpRoute, Specification, VirtualService, Whole};
use crate::kinds::service::{Service, ServiceSpec};
use crate::kinds::service_entry::ServiceEntry;
use crate::kinds::{IntOrString, Kind, Name, ObjectRef, Resource, traffic};
use crate::mesh::Mesh;
use crate::semantics::routing::{Destination, Reach, Resolver, Services};

/// The domain of the cluster.
pub(in crate::translate) const DOMAIN: &str = "cluster.local";

/// The objects that route requests.
#[derive(Default)]
pub(in crate::translate) struct Side {
    pub(in crate::translate) virtual_services: Vec<VirtualService>,
    pub(in crate::translate) http_routes: Vec<HttpRoute>,
    pub(in crate::translate) hosts: Hosts,
    /// Those that cannot be read whole, and take part in no table.
    pub(in crate::translate) unreadable: Vec<Unreadable>,
}

/// An object of which nothing is known but its name and its hosts.
pub(in crate::translate) struct Unreadable {
    /// The object.
    pub(in crate::translate) object: ObjectRef,
    /// The hosts that it names, as they are written.
    pub(in crate::translate) hosts: Vec<String>,
    /// Why.
    pub(in crate::translate) why: String,
}

impl Side {
    /// The objects of a mesh, but for those that `other` holds or that are gone, and those of
    /// `other`.
    pub(in crate::translate) fn of(
        mesh: &Mesh,
        gone: &dyn Fn(&ObjectRef) -> bool,
        other: Option<&Mesh>,
    ) -> Self {
        let mut side = Self::default();
        let stays = |object: &ObjectRef| {
            !gone(object)
                && other.is_none_or(|other| other.inventory().objects.origin(object).is_none())
        };
        side.add(mesh, &stays);
        if let Some(other) = other {
            side.add(other, &|_| true);
        }
        side
    }

    fn note(&mut self, object: ObjectRef, hosts: Vec<String>, why: String) {
        self.unreadable.push(Unreadable { object, hosts, why });
    }

    fn add(&mut self, mesh: &Mesh, takes: &dyn Fn(&ObjectRef) -> bool) {
        for (object, read) in wholes::<traffic::VirtualService, _>(mesh, takes) {
            match read {
                Ok(read) => self.virtual_services.push(read),
                Err(why) => self.note(
                    object.value.reference(),
                    object.value.spec.hosts.clone(),
                    why,
                ),
            }
        }
        for (object, read) in wholes::<crate::kinds::gateway_api::HTTPRoute, _>(mesh, takes) {
            match read {
                Ok(read) => self.http_routes.push(read),
                Err(why) => self.note(object.value.reference(), Vec::new(), why),
            }
        }
        for (object, read) in wholes::<traffic::DestinationRule, _>(mesh, takes) {
            let rule: DestinationRule = match read {
                Ok(rule) => rule,
                Err(why) => {
                    let host = object.value.spec.host.clone();
                    self.note(object.value.reference(), vec![host], why);
                    continue;
                }
            };
            let host = full_name(&rule.spec.host, &rule.metadata.namespace);
            let rules = self.hosts.rules.entry(host).or_default();
            rules.push((rule.metadata.namespace.clone(), rule));
        }
        for service in mesh.all::<Service>() {
            if takes(&service.value.reference()) {
                self.hosts.service(&service.value);
            }
        }
        for entry in mesh.all::<ServiceEntry>() {
            if takes(&entry.value.reference()) {
                self.hosts.entry(&entry.value);
            }
        }
    }
}

/// The objects of a kind, each with all its fields, and with its metadata as the inventory has it: what
/// a file does not say of its namespace, the reader knows.
fn wholes<'m, T: Listed + 'm, S: Specification>(
    mesh: &'m Mesh,
    takes: &'m dyn Fn(&ObjectRef) -> bool,
) -> impl Iterator<Item = (&'m Object<T>, Result<Whole<S>, String>)> + use<'m, T, S> {
    let objects = mesh.all::<T>().iter();
    objects
        .filter(|object| takes(&object.value.reference()))
        .map(|object| {
            let json = match &object.whole {
                Some(json) => serde_json::from_str(json).ok(),
                None => mesh.inventory().whole(&object.value.reference()),
            };
            let read = match json {
                Some(json) => Whole::from_json(&json).map_err(|error| error.to_string()),
                None => Err("its fields were not kept".to_owned()),
            };
            (object, read.map(|read| read.of(object.value.meta())))
        })
}

/// A host in full: only a name without any dot is completed.
fn full_name(host: &str, namespace: &str) -> String {
    if host.is_empty() || host.contains('.') || host == "*" {
        return host.to_ascii_lowercase();
    }
    format!("{host}.{namespace}.svc.{DOMAIN}")
}

/// The hosts that take requests.
#[derive(Default)]
pub(in crate::translate) struct Hosts {
    services: BTreeMap<String, (Name, ServiceSpec)>,
    ports: BTreeMap<String, Vec<u16>>,
    entries: BTreeMap<(Name, Name), Vec<String>>,
    rules: BTreeMap<String, Vec<(Name, DestinationRule)>>,
}

impl Hosts {
    fn service(&mut self, service: &Service) {
        let meta = &service.metadata;
        let host = format!("{}.{}.svc.{DOMAIN}", meta.name, meta.namespace);
        let ports = service.spec.ports.iter().map(|port| port.port).collect();
        self.ports.insert(host.clone(), ports);
        let known = (meta.namespace.clone(), service.spec.clone());
        self.services.insert(host, known);
    }

    fn entry(&mut self, entry: &ServiceEntry) {
        let meta = &entry.metadata;
        for host in &entry.spec.hosts {
            let ports = entry.spec.ports.iter();
            let ports = ports.filter_map(|port| u16::try_from(port.number).ok());
            self.ports
                .insert(host.to_ascii_lowercase(), ports.collect());
        }
        let name = (meta.namespace.clone(), meta.name.clone());
        self.entries.insert(name, entry.spec.hosts.clone());
    }

    /// What destinations reach for a proxy of a namespace, which follows the DestinationRules of its own
    /// namespace, then the Service's, then the root namespace.
    pub(in crate::translate) fn seen_from<'h>(
        &'h self,
        namespace: &'h str,
        root: &'h str,
    ) -> Seen<'h> {
        Seen {
            hosts: self,
            namespace,
            root,
        }
    }
}

impl Services for Hosts {
    fn ports(&self, host: &str) -> Option<&[u16]> {
        self.ports.get(host).map(Vec::as_slice)
    }

    fn service_entry_hosts(&self, namespace: &str, name: &str) -> Vec<String> {
        let key = (Name::from(namespace), Name::from(name));
        self.entries.get(&key).cloned().unwrap_or_default()
    }
}

/// What destinations reach for a proxy of a namespace.
pub(in crate::translate) struct Seen<'h> {
    hosts: &'h Hosts,
    namespace: &'h str,
    root: &'h str,
}

impl Resolver for Seen<'_> {
    fn reach(&self, destination: &Destination) -> Reach {
        if destination.host.is_empty() {
            return Reach::Nothing;
        }
        let named = || Reach::Named(destination.clone());
        let Some((namespace, spec)) = self.hosts.services.get(&destination.host) else {
            return named();
        };
        if spec.selector.is_empty() || spec.is_external_name() {
            return named();
        }
        let port = spec
            .ports
            .iter()
            .find(|port| u32::from(port.port) == destination.port);
        let Some(port) = port else {
            return Reach::Nothing;
        };
        let mut labels: BTreeMap<String, String> = spec
            .selector
            .iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        if !destination.subset.is_empty() {
            let Some(more) = self.subset(destination, namespace) else {
                return Reach::Nothing;
            };
            // Pods cannot have two values of one label.
            let clashes = more
                .iter()
                .any(|(key, value)| labels.get(key).is_some_and(|known| known != value));
            if clashes {
                return Reach::Nothing;
            }
            labels.extend(more.clone());
        }
        Reach::Endpoints {
            namespace: namespace.to_string(),
            labels,
            port: match &port.target_port {
                None => port.port.to_string(),
                Some(IntOrString::Int(number)) => number.to_string(),
                Some(IntOrString::String(name)) => name.clone(),
            },
        }
    }
}

impl Seen<'_> {
    /// The labels of a subset, by the first rule that counts and defines it.
    fn subset(&self, destination: &Destination, owner: &str) -> Option<&BTreeMap<String, String>> {
        let rules = self.hosts.rules.get(&destination.host)?;
        for home in [self.namespace, owner, self.root] {
            let mut here = rules
                .iter()
                .filter(|(namespace, rule)| {
                    **namespace == *home && rule.spec.workload_selector.is_none()
                })
                .map(|(_, rule)| rule)
                .peekable();
            if here.peek().is_some() {
                return here
                    .flat_map(|rule| &rule.spec.subsets)
                    .find(|subset| subset.name == destination.subset)
                    .map(|subset| &subset.labels);
            }
        }
        None
    }
}

/// The Service of a host, as an object.
pub(in crate::translate) fn host_of(service: &ObjectRef) -> String {
    debug_assert_eq!(service.kind, Kind::Service);
    format!("{}.{}.svc.{DOMAIN}", service.name, service.namespace)
}
