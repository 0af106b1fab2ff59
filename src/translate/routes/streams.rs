//! Routes of connections: `tcp` as TCPRoutes, `tls` as TLSRoutes.
//!
//! Neither has a match: the port is the parent's, and of names in handshakes a waypoint knows the
//! Service's own only (`pilot/pkg/networking/core/listener_waypoint.go`, `getTLSRouteMatch`).

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::Value;

use super::backend::Backends;
use super::emit::parents;
use super::obstacle::{Findings, Gravity, Spot};
use super::world::{World, full_name};
use crate::kinds::complete::virtual_service::{StreamDestination, TcpMatch, TlsMatch};
use crate::kinds::complete::{BackendRef, StreamRule, TcpRouteSpec, TlsRouteSpec, VirtualService};
use crate::kinds::service::{ServicePort, Speaks};
use crate::kinds::{Kind, ObjectRef};
use crate::mesh::installation::Version;
use crate::mesh::services::Service;
use crate::translate::versions::Candidates;
use crate::translate::{Ground, Topic, Weight};

/// Since when a kind is there: as a standard one, in its version v1, and for istiod without a flag.
struct Since {
    standard: Version,
    stable: Version,
    istio: Version,
    /// Its version before that.
    before: &'static str,
}

const TCP: Since = Since {
    standard: Version::new(1, 6),
    stable: Version::new(1, 6),
    istio: Version::new(1, 31),
    before: "v1alpha2",
};
const TLS: Since = Since {
    standard: Version::new(1, 5),
    stable: Version::new(1, 5),
    istio: Version::new(1, 30),
    before: "v1alpha2",
};
/// The flag by which istiod reads kinds that are tried out.
const FLAG: &str = "PILOT_ENABLE_ALPHA_GATEWAY_API";

/// A route of connections.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stream {
    pub(super) kind: Kind,
    /// The version of the API group in which it is written.
    pub(super) version: &'static str,
    pub(super) spec: Value,
}

/// Draws the routes of connections that a VirtualService says for a Service.
pub(super) struct Streams<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) world: &'a World,
    pub(super) candidates: &'a Candidates,
    pub(super) service: &'a Service,
    pub(super) used: &'a RefCell<BTreeSet<(ObjectRef, String)>>,
}

impl Streams<'_> {
    /// The routes, with what was found on the way.
    pub(super) fn draw(
        &self,
        object: &ObjectRef,
        read: &VirtualService,
    ) -> (Vec<Stream>, Findings) {
        let mut findings = Findings::default();
        let mut rules: Vec<(Kind, Vec<u16>, StreamRule)> = Vec::new();
        for port in &self.ground.mesh.spec(self.service).ports {
            let found = [
                (Kind::TLSRoute, self.tls(object, read, port, &mut findings)),
                (Kind::TCPRoute, self.tcp(object, read, port, &mut findings)),
            ];
            for (kind, rule) in found {
                let Some(rule) = rule else { continue };
                let mut known = rules.iter_mut();
                match known.find(|(k, _, known)| *k == kind && *known == rule) {
                    Some((_, ports, _)) => ports.push(port.port),
                    None => rules.push((kind, vec![port.port], rule)),
                }
            }
        }
        let spot = Spot {
            object: object.clone(),
            field: crate::kinds::path::field!["spec"],
        };
        let streams = rules.into_iter().map(|(kind, ports, rule)| {
            let since = if kind == Kind::TCPRoute { &TCP } else { &TLS };
            let spot = spot.then(if kind == Kind::TCPRoute { "tcp" } else { "tls" });
            self.channel(kind, since, &spot, &mut findings);
            Stream {
                kind,
                version: if self.ground.gateway_api.version >= since.stable {
                    "v1"
                } else {
                    since.before
                },
                spec: self.spec(kind, &ports, rule),
            }
        });
        let streams = streams.collect();
        (streams, findings)
    }

    fn spec(&self, kind: Kind, ports: &[u16], rule: StreamRule) -> Value {
        let parent_refs = parents(&self.service.object, ports);
        let rules = vec![rule];
        let json = if kind == Kind::TCPRoute {
            serde_json::to_value(TcpRouteSpec {
                parent_refs,
                rules,
                ..TcpRouteSpec::default()
            })
        } else {
            serde_json::to_value(TlsRouteSpec {
                parent_refs,
                hostnames: vec![full_name(&self.service.object)],
                rules,
                ..TlsRouteSpec::default()
            })
        };
        json.unwrap_or_default()
    }

    /// Whether the kind is installed, and istiod reads it.
    fn channel(&self, kind: Kind, since: &Since, spot: &Spot, findings: &mut Findings) {
        let api = self.ground.gateway_api;
        if !api.has_since(Some(since.standard)) {
            let says = format!("the Gateway API {api} has no {kind}");
            let remedy = format!(
                "install the Gateway API {} or later",
                since.standard.minor_text()
            );
            findings.meet(
                spot.obstacle(Gravity::NoForm, Topic::Channel, says)
                    .remedy(remedy),
            );
        }
        let planes = &self.ground.mesh.installation().control_planes;
        let flagged = !planes.is_empty() && planes.iter().all(|plane| plane.flag(FLAG));
        if let Some(istio) = self
            .ground
            .istio
            .filter(|istio| *istio < since.istio && !flagged)
        {
            let says = format!(
                "Istio {} reads no {kind} without {FLAG}",
                istio.minor_text()
            );
            findings.meet(
                spot.obstacle(Gravity::NoForm, Topic::Channel, says)
                    .remedy(format!("set {FLAG}=true on istiod, or upgrade it")),
            );
        }
    }

    fn tcp(
        &self,
        object: &ObjectRef,
        read: &VirtualService,
        port: &ServicePort,
        findings: &mut Findings,
    ) -> Option<StreamRule> {
        if matches!(port.speaks(), Speaks::Http | Speaks::Grpc | Speaks::Udp) {
            return None;
        }
        for (number, route) in read.spec.tcp.iter().enumerate() {
            let spot = Spot {
                object: object.clone(),
                field: crate::kinds::path::field!["spec", "tcp", number],
            };
            let mut takes = route.matches.is_empty();
            for (number, one) in route.matches.iter().enumerate() {
                let spot = spot.then("match").then(number);
                if !at_port(one.port, port) || !in_mesh(&one.gateways) {
                    continue;
                }
                match condition(one) {
                    None => takes = true,
                    Some(field) => findings.meet(unknown_to_routes(&spot.then(field))),
                }
            }
            if takes {
                return Some(self.rule(&route.route, port, read, &spot, findings));
            }
        }
        None
    }

    fn tls(
        &self,
        object: &ObjectRef,
        read: &VirtualService,
        port: &ServicePort,
        findings: &mut Findings,
    ) -> Option<StreamRule> {
        if !matches!(port.speaks(), Speaks::Tls | Speaks::Unknown) {
            return None;
        }
        let own = full_name(&self.service.object);
        for (number, route) in read.spec.tls.iter().enumerate() {
            let spot = Spot {
                object: object.clone(),
                field: crate::kinds::path::field!["spec", "tls", number],
            };
            let mut takes = false;
            for (number, one) in route.matches.iter().enumerate() {
                let spot = spot.then("match").then(number);
                if !at_port(one.port, port) || !in_mesh(&one.gateways) {
                    continue;
                }
                if let Some(field) = tls_condition(one) {
                    findings.meet(unknown_to_routes(&spot.then(field)));
                } else if one.sni_hosts.iter().eq([&own]) {
                    takes = true;
                    let says = format!(
                        "a waypoint takes every TLS connection to {} for one that asks for {own}",
                        self.service.object.short()
                    );
                    findings.note(
                        spot.then("sniHosts")
                            .note(Topic::Streams, Weight::Stated, says),
                    );
                } else {
                    let says = format!("a waypoint knows connections for {own} only");
                    let obstacle =
                        spot.then("sniHosts")
                            .obstacle(Gravity::Nowhere, Topic::Streams, says);
                    findings.meet(obstacle.remedy(
                        "route other names at an egress gateway, or by ServiceEntries of their own",
                    ));
                }
            }
            if takes {
                return Some(self.rule(&route.route, port, read, &spot, findings));
            }
        }
        None
    }

    fn rule(
        &self,
        ways: &[StreamDestination],
        port: &ServicePort,
        read: &VirtualService,
        spot: &Spot,
        findings: &mut Findings,
    ) -> StreamRule {
        let backends = Backends {
            mesh: self.ground.mesh,
            world: self.world,
            candidates: self.candidates,
            gateway_api: self.ground.gateway_api,
            home: &self.service.object.namespace,
            port: port.port,
            used: self.used,
        };
        let alone = ways.len() == 1;
        let mut rule = StreamRule::default();
        for (number, way) in ways.iter().enumerate() {
            let spot = spot.then("route").then(number).then("destination");
            let home = &read.metadata.namespace;
            let Some(backend) = backends.of(&way.destination, home, &spot, findings) else {
                continue;
            };
            rule.backend_refs.push(BackendRef {
                group: backend.group,
                kind: backend.kind,
                name: backend.name,
                namespace: backend.namespace,
                port: backend.port,
                weight: (!alone).then_some(way.weight),
            });
        }
        rule
    }
}

fn at_port(wanted: u32, port: &ServicePort) -> bool {
    wanted == 0 || wanted == u32::from(port.port)
}

fn in_mesh(gateways: &[String]) -> bool {
    gateways.is_empty() || gateways.iter().any(|name| name == "mesh")
}

/// The field of a match beside port and gateways.
fn condition(one: &TcpMatch) -> Option<&'static str> {
    if !one.destination_subnets.is_empty() {
        Some("destinationSubnets")
    } else if !one.source_subnet.is_empty() {
        Some("sourceSubnet")
    } else if !one.source_labels.is_empty() {
        Some("sourceLabels")
    } else if one.source_namespace.is_empty() {
        None
    } else {
        Some("sourceNamespace")
    }
}

fn tls_condition(one: &TlsMatch) -> Option<&'static str> {
    if !one.destination_subnets.is_empty() {
        Some("destinationSubnets")
    } else if !one.source_labels.is_empty() {
        Some("sourceLabels")
    } else if one.source_namespace.is_empty() {
        None
    } else {
        Some("sourceNamespace")
    }
}

fn unknown_to_routes(spot: &Spot) -> super::obstacle::Obstacle {
    let says = "neither a route of connections nor a waypoint asks for addresses or for who calls";
    spot.obstacle(Gravity::Nowhere, Topic::Streams, says)
        .remedy("give these connections a Service of their own")
}
