//! Routes, before and after: what the sidecars of clients do with requests for a Service, and what
//! its waypoint does when all is done.

use std::collections::{BTreeMap, BTreeSet};

use super::RouteProof;
use super::side::{Side, host_of};
use crate::kinds::service::Speaks;
use crate::kinds::{Kind, Labels, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::semantics::compare::{self, Limits, compare};
use crate::semantics::routing::{Defaults, Host, Routes, Table, Viewpoint};
use crate::translate::Ground;

/// A client of which the rules know no name.
const ELSEWHERE: &str = "";

/// Compares the routes to every Service that will have a waypoint. `after` holds the objects that stay,
/// and those that are new or changed, as they were read back.
pub(super) fn prove(ground: &Ground<'_>, after: &Side) -> Vec<RouteProof> {
    let before = ground.source();
    let compared = Compared {
        root: ground.mesh.root_namespace().clone(),
        clients: clients(before),
        before: routes(before),
        after: routes(after),
        sides: (before, after),
    };
    let mut proofs = Vec::new();
    for (service, bound) in ground.waypoints.bound() {
        for (port, grpc) in http_ports(ground.mesh, service) {
            let host = Host {
                name: host_of(service),
                namespace: service.namespace.to_string(),
                port,
                grpc,
            };
            compared.host(service, &host, &bound.waypoint.namespace, &mut proofs);
        }
    }
    proofs
}

fn routes(side: &Side) -> Routes<'_> {
    Routes::new(
        &side.virtual_services,
        &side.http_routes,
        &side.hosts,
        super::side::DOMAIN,
        Defaults::default(),
    )
}

/// The ports of a Service on which a proxy reads HTTP, and whether they are declared as gRPC.
fn http_ports(mesh: &Mesh, service: &ObjectRef) -> Vec<(u16, bool)> {
    let services = mesh.services_in(&service.namespace);
    let Some(known) = services.iter().find(|known| known.object == *service) else {
        return Vec::new();
    };
    let ports = mesh.spec(known).ports.iter();
    ports
        .filter(|port| port.speaks().takes_requests())
        .map(|port| (port.port, port.speaks() == Speaks::Grpc))
        .collect()
}

/// A client as rules tell clients apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Client {
    namespace: String,
    labels: BTreeMap<String, String>,
}

impl Client {
    /// Whether no rule knows anything of it.
    fn is_anybody(&self) -> bool {
        self.namespace == ELSEWHERE && self.labels.is_empty()
    }

    fn shown(&self) -> String {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        match (self.namespace.as_str(), labels.is_empty()) {
            (ELSEWHERE, true) => "any other namespace".to_owned(),
            (ELSEWHERE, false) => format!("any namespace, with labels {}", labels.join(",")),
            (namespace, true) => namespace.to_owned(),
            (namespace, false) => format!("{namespace}, with labels {}", labels.join(",")),
        }
    }

    fn pairs(&self) -> Labels {
        let pairs = self.labels.iter();
        Labels::from_pairs(
            pairs
                .map(|(k, v)| (Name::from(k.as_str()), Name::from(v.as_str())))
                .collect(),
        )
    }
}

/// The clients that matches name, and where rules are shown to some only; by the namespace of the
/// rules. A rule of another namespace than the Service's is its own clients' affair.
fn clients(side: &Side) -> BTreeSet<(Name, Client)> {
    let mut clients = BTreeSet::new();
    for object in &side.virtual_services {
        let home = &object.metadata.namespace;
        for rule in &object.spec.http {
            for found in &rule.matches {
                if found.source_labels.is_empty() && found.source_namespace.is_empty() {
                    continue;
                }
                let namespace = match found.source_namespace.as_str() {
                    "" => home.to_string(),
                    named => named.to_owned(),
                };
                clients.insert((
                    home.clone(),
                    Client {
                        namespace,
                        labels: found.source_labels.clone(),
                    },
                ));
            }
        }
    }
    clients
}

struct Compared<'s> {
    root: Name,
    clients: BTreeSet<(Name, Client)>,
    before: Routes<'s>,
    after: Routes<'s>,
    sides: (&'s Side, &'s Side),
}

impl Compared<'_> {
    fn host(&self, service: &ObjectRef, host: &Host, waypoint: &str, proofs: &mut Vec<RouteProof>) {
        let after = self.after.table(
            &Viewpoint::Waypoint {
                namespace: waypoint,
            },
            host,
        );
        for (client, shown, before) in self.views(service, host) {
            let concerns = concerns(&[&before, &after]);
            if concerns.is_empty() {
                continue;
            }
            let seen = self.sides.0.hosts.seen_from(&client.namespace, &self.root);
            let after_seen = self.sides.1.hosts.seen_from(waypoint, &self.root);
            let comparison = compare(
                compare::Side {
                    table: &before,
                    resolver: &seen,
                },
                compare::Side {
                    table: &after,
                    resolver: &after_seen,
                },
                Limits::default(),
            );
            proofs.push(RouteProof {
                service: service.clone(),
                port: host.port,
                client: shown,
                concerns,
                comparison,
            });
        }
    }

    /// What the sidecars of clients do with requests, and which clients. Clients of any namespace are
    /// one where they have one table, as nearly all have.
    fn views(&self, service: &ObjectRef, host: &Host) -> Vec<(Client, String, Table)> {
        let mut views: Vec<(Client, String, Table)> = Vec::new();
        for client in self.clients_of(service) {
            let labels = client.pairs();
            let view = Viewpoint::Sidecar {
                namespace: &client.namespace,
                labels: &labels,
            };
            let mut table = self.before.table(&view, host);
            // The waypoint takes what is sent to the Service, whatever host it asks for.
            table.authorities = Vec::new();
            if client.is_anybody()
                && let Some((_, shown, own)) = views.first_mut()
                && *own == table
            {
                "any namespace".clone_into(shown);
                continue;
            }
            views.push((client.clone(), client.shown(), table));
        }
        views
    }

    /// Clients of the Service's own namespace, of any other, and those that its rules name.
    fn clients_of(&self, service: &ObjectRef) -> Vec<Client> {
        let plain = |namespace: &str| Client {
            namespace: namespace.to_owned(),
            labels: BTreeMap::new(),
        };
        let mut clients = vec![plain(&service.namespace), plain(ELSEWHERE)];
        let named = self.clients.iter();
        let named = named.filter(|(home, _)| *home == service.namespace);
        clients.extend(named.map(|(_, client)| client.clone()));
        clients
    }
}

/// The objects that tables were made of.
fn concerns(tables: &[&Table]) -> Vec<ObjectRef> {
    let entries = tables.iter().flat_map(|table| &table.entries);
    let objects: BTreeSet<ObjectRef> = entries
        .filter_map(|entry| entry.origin.as_ref())
        .map(|origin| origin.object.clone())
        .filter(|object| matches!(object.kind, Kind::VirtualService | Kind::HTTPRoute))
        .collect();
    objects.into_iter().collect()
}
