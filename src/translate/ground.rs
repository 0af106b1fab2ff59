//! What every part of a translation stands on.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::options::{GatewayApi, Options};
use super::policies::ways::Ways;
use super::proof::side::Side;
use super::routes::Plan;
use super::versions::{Candidates, Versions};
use super::waypoints::Waypoints;
use crate::kinds::Name;
use crate::mesh::Mesh;
use crate::mesh::installation::Version;

/// What every part of a translation stands on.
pub(crate) struct Ground<'m> {
    /// The mesh as it is.
    pub(crate) mesh: &'m Mesh,
    /// The namespaces that are translated.
    pub(crate) namespaces: &'m BTreeSet<Name>,
    /// What the user asks for.
    pub(crate) options: &'m Options,
    /// Which waypoints there will be, and who is bound to which.
    pub(crate) waypoints: Waypoints,
    /// The Services that stand for subsets.
    pub(crate) versions: Versions,
    /// What becomes of routes.
    pub(crate) routes: Plan,
    /// The Gateway API that the result is for.
    pub(crate) gateway_api: GatewayApi,
    /// The release of Istio that the result is for; `None` when nothing tells.
    pub(crate) istio: Option<Version>,
    source: OnceCell<Side>,
    ways: OnceCell<Ways>,
}

impl<'m> Ground<'m> {
    pub(super) fn new(
        mesh: &'m Mesh,
        namespaces: &'m BTreeSet<Name>,
        options: &'m Options,
    ) -> Self {
        let installed = super::routes::platform::installed(mesh);
        let mut ground = Self {
            mesh,
            namespaces,
            options,
            waypoints: Waypoints::default(),
            versions: Versions::default(),
            routes: Plan::default(),
            gateway_api: options.gateway_api.or(installed).unwrap_or_default(),
            istio: options
                .istio
                .or_else(|| mesh.installation().oldest_version()),
            source: OnceCell::new(),
            ways: OnceCell::new(),
        };
        ground.waypoints = Waypoints::of(mesh, namespaces);
        let candidates = Candidates::of(&ground);
        ground.routes = Plan::of(&ground, &candidates);
        ground.versions = Versions::of(candidates, &ground.routes.used);
        ground
    }

    /// The objects of the mesh that route requests, whole.
    pub(super) fn source(&self) -> &Side {
        self.source
            .get_or_init(|| Side::of(self.mesh, &|_| false, None))
    }

    /// Where routes lead the callers of Services that have a waypoint.
    pub(super) fn ways(&self) -> &Ways {
        self.ways.get_or_init(|| Ways::of(self))
    }

    /// Whether a namespace is one of those that are translated.
    pub(crate) fn translates(&self, namespace: &str) -> bool {
        self.namespaces.contains(namespace)
    }
}
