//! Routes: VirtualServices as HTTPRoutes, TCPRoutes and TLSRoutes.

pub(super) mod platform;

use super::{Draft, Ground};

pub(super) fn translate(_ground: &Ground<'_>, _draft: &mut Draft) {}
