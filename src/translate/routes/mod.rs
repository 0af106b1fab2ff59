//! Routes: VirtualServices as HTTPRoutes, TCPRoutes and TLSRoutes.
//!
//! For each Service that stands behind a waypoint in the result it is decided once ([`plan`]): an
//! HTTPRoute takes the place of the VirtualService where it says the same, which is looked for in the
//! forms that sort as they are listed ([`order`]) and then compared as it is written ([`case`]). Else
//! the VirtualService stays, if a waypoint does with it what sidecars do.

mod action;
mod backend;
mod case;
mod emit;
mod form;
mod matches;
mod obstacle;
mod order;
mod paths;
mod plan;
pub(super) mod platform;
mod reach;
mod retire;
mod streams;
#[cfg(test)]
mod tests;
mod timing;
mod valid;
pub(super) mod world;

pub(crate) use plan::Plan;

use super::{Draft, Ground};

pub(super) fn translate(ground: &Ground<'_>, draft: &mut Draft) {
    ground.routes.write(draft);
}
