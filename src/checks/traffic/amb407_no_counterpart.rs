//! AMB407: fields of a VirtualService that the Gateway API does not have
//! (`pilot/pkg/networking/core/route/route.go`, `TranslateRoute`, on the one side; `HTTPRouteMatch` and
//! `HTTPRouteFilter` of the Gateway API on the other).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::NoCounterpart);

static META: Meta = Meta {
    id: Id("AMB407"),
    slug: "no-counterpart",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb407_no_counterpart.md"),
};
