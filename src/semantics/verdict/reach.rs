//! How a workload is reached: by callers of a mode, at pods of a mode, through a waypoint or not.
//!
//! Source: ztunnel's `src/proxy/outbound.rs`, `pilot/pkg/xds/endpoints/endpoint_builder.go`. Only
//! callers whose traffic ztunnel takes, and gateways that are told to, go through waypoints; a
//! sidecar calls the pod. A pod with a sidecar takes HBONE if its proxy was injected to; what cannot
//! speak to it in a way that it takes speaks plain text. DestinationRules are not looked at.

use super::policies::{Pod, Point, Policies, Target};
use super::way::{Carrier, Hop, Situation};
use crate::mesh::workloads::DataPlane;
use crate::semantics::identity::Identity;

/// A pod, in its mode.
#[derive(Debug, Clone, Copy)]
pub struct Callee<'m> {
    /// The pod.
    pub pod: Pod<'m>,
    /// How it takes part in the mesh.
    pub mode: DataPlane,
    /// Whether its sidecar takes HBONE.
    pub takes_hbone: bool,
    /// The policies that its proxy has received.
    pub policies: &'m Policies<'m>,
}

/// A waypoint that callers are sent through.
#[derive(Debug, Clone)]
pub struct Through<'m> {
    /// The namespace of its Gateway.
    pub namespace: &'m str,
    /// The name of its Gateway.
    pub name: &'m str,
    /// Who it is to those behind it.
    pub identity: Identity,
    /// What the call is addressed to; `None` when that is a pod.
    pub target: Option<Target<'m>>,
    /// The policies that it has received.
    pub policies: &'m Policies<'m>,
}

impl<'m> Situation<'m> {
    /// The ways of callers of a mode to a pod. `through` says where those go that use a waypoint;
    /// for a gateway that is told to use it, the callers are as ambient ones.
    pub fn of(callee: Callee<'m>, callers: DataPlane, through: Option<&Through<'m>>) -> Self {
        let waypoint = through.filter(|_| callers == DataPlane::Ambient);
        let last = |carrier, peer| -> Vec<Hop<'m>> {
            let point = match callee.mode {
                DataPlane::Sidecar => Point::Sidecar(callee.pod),
                DataPlane::Ambient => Point::Ztunnel(callee.pod),
                DataPlane::None => return Vec::new(),
            };
            vec![Hop {
                point,
                policies: callee.policies,
                carrier,
                peer,
                address: None,
            }]
        };
        let carrier = match (callers, callee.mode) {
            (DataPlane::None, _) | (_, DataPlane::None) => Carrier::PlainText,
            (_, DataPlane::Ambient) => Carrier::Hbone,
            (DataPlane::Sidecar, DataPlane::Sidecar) => Carrier::MutualTls,
            (DataPlane::Ambient, DataPlane::Sidecar) if callee.takes_hbone => Carrier::Hbone,
            (DataPlane::Ambient, DataPlane::Sidecar) => Carrier::PlainText,
        };
        let plain = last(Carrier::PlainText, None);
        let Some(waypoint) = waypoint else {
            return Self {
                meshed: last(carrier, None),
                plain,
            };
        };
        let first = Hop {
            point: Point::Waypoint {
                namespace: waypoint.namespace,
                name: waypoint.name,
                target: waypoint.target,
            },
            policies: waypoint.policies,
            carrier: Carrier::Hbone,
            peer: None,
            address: None,
        };
        let mut meshed = vec![first];
        meshed.extend(last(carrier, Some(waypoint.identity.clone())));
        Self { meshed, plain }
    }
}
