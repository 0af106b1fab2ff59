//! AMB413: limits of the HTTPRoute of the Gateway API (`HTTPRouteSpec`, `HTTPRouteRule`, `HTTPRouteMatch`), which its
//! server enforces.

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Limits);

static META: Meta = Meta {
    id: Id("AMB413"),
    slug: "route-limits",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb413_route_limits.md"),
};
