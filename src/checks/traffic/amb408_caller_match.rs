//! AMB408: matches on the labels or the namespace of callers, which a waypoint cannot judge
//! (`pilot/pkg/networking/core/route/route.go`, `sourceMatchHTTP`, compares with the proxy that it
//! configures).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::CallerMatch);

static META: Meta = Meta {
    id: Id("AMB408"),
    slug: "caller-match",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb408_caller_match.md"),
};
