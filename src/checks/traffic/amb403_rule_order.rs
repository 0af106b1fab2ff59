//! AMB403: an HTTPRoute sorts its matches, where a VirtualService tries them as they are written
//! (`pilot/pkg/config/kube/gateway/conversion.go`, `sortHTTPRoutes`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Order);

static META: Meta = Meta {
    id: Id("AMB403"),
    slug: "rule-order",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb403_rule_order.md"),
};
