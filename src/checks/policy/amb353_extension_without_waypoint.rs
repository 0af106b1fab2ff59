//! AMB353: WasmPlugins, TrafficExtensions and Telemetries of workloads that have no waypoint to take them over
//! (`pilot/pkg/model/policyattachment.go`, `ShouldAttachPolicy`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::kinds::ObjectRef;
use crate::translate::{self, Remark, Topic, Weight};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::ProxyExtension).unless(told);

static META: Meta = Meta {
    id: Id("AMB353"),
    slug: "extension-without-waypoint",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb353_extension_without_waypoint.md"),
};

/// AMB502 tells of those that no waypoint takes over from the mesh, and of those that stay.
fn told(_: &ObjectRef, remark: &Remark) -> bool {
    remark.weight == Weight::Kept
}
