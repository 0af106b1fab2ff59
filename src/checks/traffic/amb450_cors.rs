//! AMB450: what browsers are told about other origins: an HTTPRoute answers more preflights, and takes no expressions
//! (`pilot/pkg/networking/core/route/route.go`, `TranslateCORSPolicy`; `HTTPCORSFilter` of the Gateway API).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Cors);

static META: Meta = Meta {
    id: Id("AMB450"),
    slug: "cors",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb450_cors.md"),
};
