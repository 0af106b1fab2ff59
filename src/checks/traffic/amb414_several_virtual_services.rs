//! AMB414: several VirtualServices for one host, of which sidecars take the oldest and a waypoint all
//! (`pilot/pkg/model/sidecar.go`; `pilot/pkg/networking/core/listener_waypoint.go`,
//! `getVirtualServiceForWaypoint`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::with_forms(&META, Topic::SeveralForHost);

static META: Meta = Meta {
    id: Id("AMB414"),
    slug: "several-virtual-services",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb414_several_virtual_services.md"),
};
