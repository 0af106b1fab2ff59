//! AMB311: callers that reach pods and not their waypoint, where a waypoint has to read requests
//! (`pilot/pkg/serviceregistry/ambient/policies.go`; istio.io, Configure waypoint proxies).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::kinds::ObjectRef;
use crate::translate::{self, Remark, Topic, Weight};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Guard).unless(told);

static META: Meta = Meta {
    id: Id("AMB311"),
    slug: "past-the-waypoint",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb311_past_the_waypoint.md"),
};

/// Nobody is known to come past the waypoint.
fn told(_: &ObjectRef, remark: &Remark) -> bool {
    remark.weight == Weight::Stated
}
