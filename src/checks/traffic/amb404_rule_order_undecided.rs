//! AMB404: expressions that leave open whether two rules take the same request, so that it cannot be shown that an
//! HTTPRoute, which sorts its matches, does the same
//! (`pilot/pkg/config/kube/gateway/conversion.go`, `sortHTTPRoutes`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::OrderUndecided);

static META: Meta = Meta {
    id: Id("AMB404"),
    slug: "rule-order-undecided",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb404_rule_order_undecided.md"),
};
