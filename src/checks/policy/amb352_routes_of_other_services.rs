//! AMB352: policies of one of several workloads to which the routes of a Service lead
//! (`pilot/pkg/networking/core/listener_waypoint.go`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::OtherRoutes);

static META: Meta = Meta {
    id: Id("AMB352"),
    slug: "routes-of-other-services",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb352_routes_of_other_services.md"),
};
