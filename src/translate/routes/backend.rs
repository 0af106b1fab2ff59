//! Destinations of a VirtualService as backends of a route.

use std::collections::BTreeSet;

use super::obstacle::{Findings, Gravity, Obstacle, Spot};
use super::world::{World, full_name, service_of};
use crate::kinds::complete::virtual_service::{Destination, HttpRoute};
use crate::kinds::complete::{BackendReference, Filter, Fraction, MirrorFilter};
use crate::kinds::{Name, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::installation::Version;
use crate::semantics::routing::Services;
use crate::translate::Topic;
use crate::translate::options::GatewayApi;
use crate::translate::versions::{Candidates, Lack};

/// The release in which shares of mirrors became standard.
const SHARES: Version = Version::new(1, 3);
/// The group and kind by which a route leads to a host of a ServiceEntry.
const ISTIO: &str = "networking.istio.io";
const HOSTNAME: &str = "Hostname";

/// Reads destinations for one port of a Service.
pub(super) struct Backends<'a> {
    pub(super) mesh: &'a Mesh,
    pub(super) world: &'a World,
    pub(super) candidates: &'a Candidates,
    pub(super) gateway_api: GatewayApi,
    /// The namespace in which the route will be.
    pub(super) home: &'a Name,
    /// The port to which requests are sent.
    pub(super) port: u16,
    /// The subsets that routes lead to.
    pub(super) used: &'a std::cell::RefCell<BTreeSet<(ObjectRef, String)>>,
}

/// What is sent to a destination.
#[derive(Debug, Clone, Copy)]
enum Sent {
    Requests,
    /// Proxies drop them where the destination is not there.
    Copies,
}

impl Sent {
    /// That what is sent gets nowhere.
    fn lost(self, spot: &Spot, why: &str) -> Obstacle {
        let (gravity, topic, what) = match self {
            Self::Requests => (Gravity::Wrong, Topic::Destinations, "such requests fail"),
            Self::Copies => (Gravity::NoForm, Topic::Mirrors, "such copies are dropped"),
        };
        spot.obstacle(gravity, topic, format!("{why}: {what}"))
    }
}

impl Backends<'_> {
    /// The backend of a destination of requests, written in `namespace`.
    pub(super) fn of(
        &self,
        to: &Destination,
        namespace: &str,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Option<BackendReference> {
        self.backend(to, namespace, Sent::Requests, spot, findings)
    }

    fn backend(
        &self,
        to: &Destination,
        namespace: &str,
        sent: Sent,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Option<BackendReference> {
        if let Some(service) = service_of(self.mesh, &to.host, namespace) {
            return self.service(&service.object, to, sent, spot, findings);
        }
        let spot_host = spot.then("host");
        let Some(ports) = self.world.ports(&to.host).filter(|_| to.host.contains('.')) else {
            findings.meet(unresolved(&to.host, sent, &spot_host));
            return None;
        };
        if !to.subset.is_empty() {
            findings.meet(spot.then("subset").obstacle(
                Gravity::NoForm,
                Topic::Subsets,
                format!(
                    "{} is a host of a ServiceEntry, of which no Service can select a part",
                    to.host
                ),
            ));
            return None;
        }
        let port = self.port_of(to, ports, sent, spot, findings)?;
        Some(BackendReference {
            group: Some(ISTIO.to_owned()),
            kind: Some(HOSTNAME.to_owned()),
            name: to.host.clone(),
            namespace: None,
            port: Some(port),
        })
    }

    fn service(
        &self,
        service: &ObjectRef,
        to: &Destination,
        sent: Sent,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Option<BackendReference> {
        let host = full_name(service);
        let port = self.port_of(
            to,
            self.world.ports(&host).unwrap_or_default(),
            sent,
            spot,
            findings,
        );
        let mut target = service.clone();
        if !to.subset.is_empty() {
            let spot = spot.then("subset");
            match self.candidates.get(service, &to.subset) {
                Ok(version) => {
                    target = version.service.clone();
                    let key = (service.clone(), to.subset.clone());
                    self.used.borrow_mut().insert(key);
                }
                Err(Lack::Undefined) => {
                    findings.meet(
                        spot.obstacle(
                            Gravity::Wrong,
                            Topic::Subsets,
                            format!(
                                "no DestinationRule of namespace {} defines subset {} of {}",
                                service.namespace,
                                to.subset,
                                service.short()
                            ),
                        )
                        .remedy("define the subset, or take the destination out"),
                    );
                    return None;
                }
                Err(Lack::Impossible(why)) => {
                    let says = format!("no Service can stand for subset {}: {why}", to.subset);
                    findings.meet(spot.obstacle(Gravity::NoForm, Topic::Subsets, says));
                    return None;
                }
            }
        }
        Some(BackendReference {
            group: None,
            kind: None,
            name: target.name.to_string(),
            namespace: (target.namespace != *self.home).then(|| target.namespace.to_string()),
            port: Some(port?),
        })
    }

    /// The port of a destination: its own, the only one, or that of the request
    /// (`GetDestinationCluster`).
    fn port_of(
        &self,
        to: &Destination,
        ports: &[u16],
        sent: Sent,
        spot: &Spot,
        findings: &mut Findings,
    ) -> Option<u16> {
        let port = match (&to.port, ports) {
            (Some(port), _) => u16::try_from(port.number).ok(),
            (None, [only]) => Some(*only),
            (None, _) => Some(self.port),
        };
        let port = port.filter(|port| ports.contains(port));
        if port.is_none() {
            let number = to.port.as_ref().map_or(u32::from(self.port), |p| p.number);
            let why = format!("{} has no port {number}", to.host);
            let lost = sent.lost(&spot.then("port"), &why);
            findings.meet(lost.remedy("name a port that the destination has"));
        }
        port
    }

    /// Copies of requests.
    pub(super) fn mirrors(
        &self,
        route: &HttpRoute,
        namespace: &str,
        spot: &Spot,
        filters: &mut Vec<Filter>,
        findings: &mut Findings,
    ) {
        let whole = route.mirror_percent.or(route.mirror_percent_old);
        let share = match (&route.mirror_percentage, whole) {
            (Some(percentage), _) => percentage.value,
            (None, Some(percent)) => f64::from(percent),
            (None, None) => 100.0,
        };
        let old = route
            .mirror
            .iter()
            .map(|to| (spot.then("mirror"), to, share));
        let new = route.mirrors.iter().enumerate().map(|(position, mirror)| {
            let at = spot.then("mirrors").then(position).then("destination");
            let share = mirror.percentage.as_ref().map_or(100.0, |p| p.value);
            (at, &mirror.destination, share)
        });
        let all: Vec<_> = old.chain(new).collect();
        for (spot, to, share) in all {
            let Some((percent, fraction)) = share_of(share) else {
                continue;
            };
            if (percent.is_some() || fraction.is_some())
                && !self.gateway_api.has_since(Some(SHARES))
            {
                findings.meet(spot.obstacle(
                    Gravity::NoForm,
                    Topic::Channel,
                    format!(
                        "an HTTPRoute of the Gateway API {} copies all requests or none",
                        self.gateway_api
                    ),
                ));
            }
            let Some(backend_ref) = self.backend(to, namespace, Sent::Copies, &spot, findings)
            else {
                continue;
            };
            filters.push(Filter::RequestMirror(MirrorFilter {
                backend_ref,
                percent,
                fraction,
            }));
        }
    }
}

fn unresolved(host: &str, sent: Sent, spot: &Spot) -> Obstacle {
    let why = if host.contains('.') {
        format!("{host} is no Service and no host of a ServiceEntry")
    } else {
        format!("there is no Service {host} in the namespace of the rule")
    };
    let remedy = if host.contains('.') && !host.contains(".svc.") {
        "write the name in full (name.namespace.svc.cluster.local): only a name without a dot is completed"
    } else {
        "name a Service that exists, or give its manifest too"
    };
    sent.lost(spot, &why).remedy(remedy)
}

/// A share in percent as an HTTPRoute writes it; nothing where nothing is copied. Envoy counts
/// millionths.
#[expect(
    clippy::cast_possible_truncation,
    reason = "percentages are small, and what is below a millionth is cut off"
)]
fn share_of(percent: f64) -> Option<(Option<i32>, Option<Fraction>)> {
    let millionths = (percent * 10_000.0) as i32;
    if millionths <= 0 {
        return None;
    }
    if millionths >= 1_000_000 {
        return Some((None, None));
    }
    if millionths % 10_000 == 0 {
        return Some((Some(millionths / 10_000), None));
    }
    let divisor = gcd(millionths, 1_000_000);
    Some((
        None,
        Some(Fraction {
            numerator: millionths / divisor,
            denominator: Some(1_000_000 / divisor),
        }),
    ))
}

fn gcd(a: i32, b: i32) -> i32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_as_shortly_as_they_can_be() {
        let fraction = |numerator, denominator| {
            Some((
                None,
                Some(Fraction {
                    numerator,
                    denominator: Some(denominator),
                }),
            ))
        };
        for (percent, expected) in [
            (0.0, None),
            (0.000_01, None),
            (100.0, Some((None, None))),
            (25.0, Some((Some(25), None))),
            (0.5, fraction(1, 200)),
            (12.5, fraction(1, 8)),
        ] {
            assert_eq!(share_of(percent), expected, "{percent}");
        }
    }
}
