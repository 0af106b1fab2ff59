//! AMB351: policies on requests that routes rewrite: sidecars judge after the route, a waypoint before it
//! (`pilot/pkg/networking/core/listener_waypoint.go`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::RewrittenRequests);

static META: Meta = Meta {
    id: Id("AMB351"),
    slug: "rewritten-requests",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb351_rewritten_requests.md"),
};
