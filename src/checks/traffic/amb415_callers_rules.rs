//! AMB415: rules that some callers follow and others do not: a waypoint is one proxy for all callers
//! (`pilot/pkg/networking/core/listener_waypoint.go`, `getVirtualServiceForWaypoint`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::kinds::ObjectRef;
use crate::kinds::path::field;
use crate::translate::{self, Remark, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::CallersRules).unless(told);

static META: Meta = Meta {
    id: Id("AMB415"),
    slug: "callers-rules",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb415_callers_rules.md"),
};

/// AMB401 and AMB417 tell of rules in the namespace of callers.
fn told(_: &ObjectRef, remark: &Remark) -> bool {
    remark.field != field!["spec", "exportTo"]
}
