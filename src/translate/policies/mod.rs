//! Policies: who judges the callers of a workload when its sidecar is gone.
//!
//! What each policy becomes is worked out by itself ([`authorization`], [`wide`], [`tokens`],
//! [`extensions`], [`peers`]); what keeps callers on the way through the waypoint, workload by
//! workload ([`guard`]); what is left of both when no sidecar is left ([`finished`]).

mod attached;
mod authorization;
mod callers;
mod copies;
mod extensions;
mod finished;
mod guard;
mod labels;
mod peers;
pub(super) mod ports;
mod rewrites;
mod rules;
pub(super) mod scene;
mod shared;
mod targets;
mod tokens;
pub(super) mod ways;
mod wide;

#[cfg(test)]
mod tests;

use super::{Draft, Ground};
use crate::semantics::verdict::Settings;

pub(super) fn translate(ground: &Ground<'_>, draft: &mut Draft) {
    let settings = Settings::of(&ground.mesh.installation().config);
    let scene = scene::Scene::new(ground, &settings);
    tokens::translate(&scene, draft);
    authorization::translate(&scene, draft);
    wide::translate(&scene, draft);
    guard::translate(&scene, draft);
    extensions::translate(&scene, draft);
    peers::translate(&scene, draft);
    finished::translate(&scene, draft);
}
