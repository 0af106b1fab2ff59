//! What is said of VirtualServices about which nothing is decided: those of callers, those that are
//! not in force, those whose hosts no waypoint serves.

use std::collections::BTreeSet;

use super::Planner;
use crate::kinds::complete::VirtualService;
use crate::kinds::complete::virtual_service::HttpMatch;
use crate::kinds::path::field;
use crate::kinds::service_entry::ServiceEntry;
use crate::kinds::{FieldPath, Labels, Name, ObjectRef, Resource};
use crate::mesh::hosts::{Host as Meant, resolve};
use crate::mesh::services::Service;
use crate::mesh::waypoints::{Binding, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
use crate::semantics::routing::{Host, Viewpoint};
use crate::translate::routes::case::{compare_tables, decider, hosts};
use crate::translate::routes::matches::who_calls;
use crate::translate::routes::obstacle::{Gravity, Note, Spot};
use crate::translate::routes::valid;
use crate::translate::routes::world::full_name;
use crate::translate::waypoints::Bound;
use crate::translate::{Remark, Topic, Weight};

/// A namespace that no VirtualService names: no name ends so.
const ELSEWHERE: &str = "elsewhere.";

impl Planner<'_> {
    /// A VirtualService that takes requests of certain callers only.
    pub(super) fn of_certain_callers(&mut self, object: &ObjectRef) {
        let read = self.world.virtual_services.get(object);
        let Some((rule, number)) = read.and_then(asks_who_calls) else {
            return;
        };
        let accepted = self.ground.options.accepted.contains(&Topic::CallerMatch);
        let spot = Spot {
            object: object.clone(),
            field: field!["spec", "http", rule, "match", number],
        };
        let one = read.map(|read| &read.spec.http[rule].matches[number]);
        let spot = spot.then(match one {
            Some(one) if one.source_labels.is_empty() => "sourceNamespace",
            _ => "sourceLabels",
        });
        let weight = if accepted {
            Weight::Lossy
        } else {
            Weight::Refused
        };
        let obstacle = who_calls(&spot, Gravity::Nowhere);
        self.say(std::iter::once((obstacle, weight)));
    }

    /// A VirtualService that has no route for requests to any port of a Service.
    pub(super) fn of_no_port(&mut self, object: &ObjectRef, service: &Service) {
        let read = self.world.virtual_services.get(object);
        if read.is_none_or(|read| read.spec.http.is_empty()) {
            return;
        }
        let spot = valid::spot(object).then("hosts");
        let says = format!(
            "has no route for requests to a port of {}",
            service.object.short()
        );
        self.note(spot.note(Topic::VirtualService, Weight::Kept, says));
    }

    pub(super) fn refuse(
        &mut self,
        all: &[ObjectRef],
        service: &Service,
        topic: Topic,
        says: &str,
        remedy: &str,
    ) {
        let deciding = self.deciding(service);
        for object in all.iter().filter(|object| deciding.contains(object)) {
            let spot = valid::spot(object).then("hosts");
            let remark = Remark::new(topic, Weight::Refused, spot.field.clone(), says);
            self.note(Note {
                object: object.clone(),
                remark: remark.remedy(remedy),
            });
        }
    }

    /// The VirtualServices that clients of a Service's own namespace follow.
    pub(super) fn deciding(&self, service: &Service) -> BTreeSet<ObjectRef> {
        let client = &service.object.namespace;
        let hosts = hosts(self.ground, service);
        let found = hosts
            .iter()
            .filter_map(|host| decider(self.routes, host, client));
        found.map(|decider| decider.object).collect()
    }

    pub(super) fn without_waypoint(&mut self, service: &Service, all: &[ObjectRef]) {
        let mesh = self.ground.mesh;
        let name = service.object.short();
        let (says, remedy) = if mesh.spec(service).is_external_name() {
            (
                format!("{name} is a mere alias, which cannot stand behind a waypoint"),
                "route a ServiceEntry that is bound to a waypoint instead",
            )
        } else if mesh.binding(service) == Binding::OptedOut {
            (
                format!(
                    "{name} refuses a waypoint by its label, and callers in ambient mode do not apply it"
                ),
                "take the label istio.io/use-waypoint=none away, or remove the VirtualService",
            )
        } else {
            let homes = [&service.object.namespace];
            let own = |object: &&ObjectRef| homes.contains(&&object.namespace);
            if all.iter().find(own).is_none() {
                // Rules of callers alone: told of where callers are looked at.
                return;
            }
            (
                format!(
                    "{name} stands behind no waypoint, and callers in ambient mode do not apply it"
                ),
                "bind the Service to a waypoint by the label istio.io/use-waypoint",
            )
        };
        self.refuse(all, service, Topic::VirtualService, &says, remedy);
    }

    /// A Service that is routed by a route of the Gateway API already.
    pub(super) fn beside_route(
        &mut self,
        service: &Service,
        bound: &Bound,
        all: &[ObjectRef],
        route: &ObjectRef,
    ) {
        let labels = Labels::default();
        let elsewhere = Name::from(ELSEWHERE);
        // Sidecars of the Service's namespace follow the route, those elsewhere the older of both.
        let callers = [&service.object.namespace, &elsewhere];
        let after = Viewpoint::Waypoint {
            namespace: &bound.waypoint.namespace,
        };
        let mut differs = None;
        for host in hosts(self.ground, service) {
            let after = self.routes.table(&after, &host);
            for namespace in callers {
                let labels = &labels;
                let before = Viewpoint::Sidecar { namespace, labels };
                let before = self.routes.table(&before, &host);
                let found = compare_tables(self.ground, self.candidates, &before, &after);
                differs = differs.or_else(|| found.differences.first().map(ToString::to_string));
            }
        }
        for object in all {
            let field = valid::spot(object).then("hosts").field;
            let beside = format!(
                "{} is routed by {} too",
                service.object.short(),
                route.short()
            );
            let remark = match &differs {
                None => Remark::new(
                    Topic::BesideRoute,
                    Weight::Kept,
                    field,
                    format!("{beside}; both stay, and a waypoint does what sidecars do"),
                ),
                Some(difference) => Remark::new(
                    Topic::BesideRoute,
                    Weight::Refused,
                    field,
                    format!(
                        "{beside}; sidecars take one of both, a waypoint appends them: {difference}"
                    ),
                )
                .remedy("make one of both"),
            };
            self.note(Note {
                object: object.clone(),
                remark,
            });
        }
    }

    /// Clients of other namespaces, which follow another VirtualService, or none.
    pub(super) fn other_clients(&mut self, service: &Service, all: &[ObjectRef]) {
        let own = &service.object.namespace;
        // One that everybody sees is the same for everybody.
        if let [only] = all {
            let read = self.world.virtual_services.get(only);
            let exports = read.map(|read| read.spec.export_to.as_slice());
            if exports.is_none_or(|to| to.is_empty() || to == ["*"]) {
                return;
            }
        }
        let mut clients: BTreeSet<String> = BTreeSet::from([ELSEWHERE.to_owned()]);
        for object in all {
            clients.insert(object.namespace.to_string());
            if let Some(read) = self.world.virtual_services.get(object) {
                let named = read.spec.export_to.iter();
                clients.extend(
                    named
                        .filter(|to| !matches!(to.as_str(), "*" | "." | "~"))
                        .cloned(),
                );
            }
        }
        clients.remove(&**own);
        let mut told: BTreeSet<ObjectRef> = BTreeSet::new();
        for host in hosts(self.ground, service) {
            let here = decider(self.routes, &host, own).map(|decider| decider.object);
            for client in &clients {
                let there = decider(self.routes, &host, client).map(|decider| decider.object);
                let Some(about) = there.clone().or_else(|| here.clone()) else {
                    continue;
                };
                if there == here || told.contains(&about) || !self.differ(&host, own, client) {
                    continue;
                }
                told.insert(about.clone());
                self.note(of_other_clients(&about, there.is_some(), service, &host));
            }
        }
    }

    pub(super) fn differ(&self, host: &Host, own: &str, client: &str) -> bool {
        let labels = Labels::default();
        let table = |namespace: &str| {
            let view = Viewpoint::Sidecar {
                namespace,
                labels: &labels,
            };
            let mut table = self.routes.table(&view, host);
            table.authorities.clear();
            table
        };
        let (own, client) = (table(own), table(client));
        !compare_tables(self.ground, self.candidates, &own, &client).is_same()
    }

    /// The ServiceEntry of a host that is bound to a waypoint which takes rules of a namespace.
    fn entry_behind_waypoint(&self, host: &str, namespace: &str) -> Option<ObjectRef> {
        let mesh = self.ground.mesh;
        let entries = mesh.all::<ServiceEntry>().iter();
        let mut bound = entries.filter(|entry| {
            let meta = &entry.metadata;
            let name = meta.labels.get(USE_WAYPOINT);
            let home = meta
                .labels
                .get(USE_WAYPOINT_NAMESPACE)
                .unwrap_or(&meta.namespace);
            entry.spec.hosts.iter().any(|known| known == host)
                && name.is_some_and(|name| name != "none")
                && (*meta.namespace == *namespace || *home == *namespace)
        });
        bound.next().map(|entry| entry.reference())
    }

    /// Hosts of these namespaces' VirtualServices that are no Services of these namespaces.
    pub(super) fn hosts_elsewhere(&mut self) {
        let world = self.world;
        for (object, read) in &world.virtual_services {
            if !self.ground.translates(&object.namespace) {
                continue;
            }
            for (position, host) in read.spec.hosts.iter().enumerate() {
                let spot = Spot {
                    object: object.clone(),
                    field: field!["spec", "hosts", position],
                };
                let services = self.ground.mesh.services_of_host(host, &object.namespace);
                if services.is_empty() {
                    let entry = self.entry_behind_waypoint(host, &object.namespace);
                    let note = entry.map_or_else(
                        || no_service(&spot, host),
                        |entry| {
                            let says =
                                format!("{host} is a host of {entry}, whose waypoint applies it");
                            spot.note(Topic::HostIsNoService, Weight::Kept, says)
                        },
                    );
                    self.note(note);
                } else if let Some(service) = services
                    .iter()
                    .find(|service| !self.ground.translates(&service.object.namespace))
                {
                    let says = format!(
                        "callers of {} follow it when they call {}; its waypoint takes rules of its own namespace only, so that callers in ambient mode lose it",
                        object.namespace, service.object
                    );
                    let note = spot.note(Topic::CallersRules, Weight::Lossy, says);
                    self.note(with_remedy(
                        note,
                        format!("move it to namespace {}", service.object.namespace),
                    ));
                }
            }
        }
    }

    /// A VirtualService that sidecars do not apply, because an older one has the host. A waypoint would
    /// append it.
    pub(super) fn shadowed(&mut self, other: &ObjectRef, source: &ObjectRef, service: &Service) {
        let spot = valid::spot(other).then("hosts");
        let name = service.object.short();
        let says = format!(
            "is not in force for {name}: sidecars take {source}, which is older; a waypoint would apply both"
        );
        if !self.ground.translates(&other.namespace) {
            self.note(spot.note(Topic::SeveralForHost, Weight::Stated, says));
            return;
        }
        let says = format!("{says}, so that the host is taken out");
        self.note(spot.note(Topic::SeveralForHost, Weight::Form, says));
        let host = full_name(&service.object);
        self.plan.retirement.shadowed(other, host);
    }
}

/// The first rule and match that asks who calls.
pub(super) fn asks_who_calls(read: &VirtualService) -> Option<(usize, usize)> {
    read.spec.http.iter().enumerate().find_map(|(rule, route)| {
        let asks = |one: &HttpMatch| {
            one.gateways.is_empty()
                && !(one.source_labels.is_empty() && one.source_namespace.is_empty())
        };
        Some((rule, route.matches.iter().position(asks)?))
    })
}

fn with_remedy(mut note: Note, remedy: impl Into<String>) -> Note {
    note.remark = note.remark.remedy(remedy);
    note
}

fn no_service(spot: &Spot, host: &str) -> Note {
    if let Meant::Service { namespace, name } = resolve(host, &spot.object.namespace) {
        let says = format!(
            "{host} means Service/{name} -n {namespace}, which was not found: it is left as it is, and callers in \
             ambient mode follow it only at a waypoint of that Service"
        );
        return with_remedy(
            spot.note(Topic::HostIsNoService, Weight::Lossy, says),
            "give the Service together with it, or delete it",
        );
    }
    let says = format!(
        "{host} is no Service here: it is left as it is, and callers in ambient mode do not apply it"
    );
    with_remedy(
        spot.note(Topic::HostIsNoService, Weight::Lossy, says),
        "bind a ServiceEntry of the host to a waypoint, or let callers name the Service",
    )
}

/// What clients of other namespaces do otherwise.
fn of_other_clients(about: &ObjectRef, follows: bool, service: &Service, host: &Host) -> Note {
    let name = &service.object;
    let says = if follows {
        format!(
            "callers that see it follow it when they call {name} port {}; the waypoint does what is said for callers of {}",
            host.port, name.namespace
        )
    } else {
        format!("only some namespaces see it; at the waypoint of {name} it holds for all callers")
    };
    let spot = Spot {
        object: about.clone(),
        field: if follows {
            FieldPath::root().then("spec").then("hosts")
        } else {
            field!["spec", "exportTo"]
        },
    };
    spot.note(Topic::CallersRules, Weight::Lossy, says)
}
