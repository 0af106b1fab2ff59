//! AMB410: retries and timeouts that an HTTPRoute says otherwise, or not at all
//! (`pilot/pkg/networking/core/route/retry/retry.go`; `HTTPRouteRetry` of the Gateway API).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Retries);

static META: Meta = Meta {
    id: Id("AMB410"),
    slug: "retries",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb410_retries.md"),
};
