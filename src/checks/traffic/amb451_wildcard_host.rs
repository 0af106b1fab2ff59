//! AMB451: hosts to which no HTTPRoute can belong, because they are no Service of the input
//! (`pilot/pkg/networking/core/listener_waypoint.go`, `getVirtualServiceForWaypoint`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::kinds::ObjectRef;
use crate::translate::{self, Remark, Topic, Weight};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::HostIsNoService).unless(told);

static META: Meta = Meta {
    id: Id("AMB451"),
    slug: "wildcard-host",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb451_wildcard_host.md"),
};

/// AMB401 tells of hosts that are no Service at all.
fn told(_: &ObjectRef, remark: &Remark) -> bool {
    remark.weight == Weight::Lossy
}
