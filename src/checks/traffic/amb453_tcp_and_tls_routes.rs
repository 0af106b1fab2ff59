//! AMB453: matches on connections by callers and addresses, which neither a waypoint nor a route of the
//! Gateway API knows (`pilot/pkg/networking/core/listener_waypoint.go`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Streams);

static META: Meta = Meta {
    id: Id("AMB453"),
    slug: "tcp-and-tls-routes",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb453_tcp_and_tls_routes.md"),
};
