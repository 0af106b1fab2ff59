//! AMB406: delays and failures on purpose, which no HTTPRoute has and a waypoint applies as long as the
//! VirtualService stands (`pilot/pkg/networking/core/route/route.go`, `TranslateFault`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Fault);

static META: Meta = Meta {
    id: Id("AMB406"),
    slug: "fault-injection",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb406_fault_injection.md"),
};
