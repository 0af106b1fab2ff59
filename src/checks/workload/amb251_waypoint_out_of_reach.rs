//! AMB251: policies that read requests, and Services in front of their workloads that no waypoint serves
//! (`pilot/pkg/serviceregistry/ambient/waypoints.go`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Waypoint);

static META: Meta = Meta {
    id: Id("AMB251"),
    slug: "waypoint-out-of-reach",
    area: Area::Workload,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb251_waypoint_out_of_reach.md"),
};
