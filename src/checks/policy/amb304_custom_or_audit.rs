//! AMB304: action CUSTOM or AUDIT on pods selected by their labels. ztunnel knows ALLOW and DENY only;
//! istiod does not send it the policy at all.
//!
//! Source: `pilot/pkg/serviceregistry/ambient/authorization.go`, `convertAuthorizationPolicy`.

use super::{ENFORCED, enforced_in, lost};
use crate::checks::{Area, Check, Id, Meta, Severity, Sink, View};
use crate::kinds::authorization::Action;

/// The check.
pub static CHECK: CustomOrAudit = CustomOrAudit;

/// The check's type.
#[derive(Debug)]
pub struct CustomOrAudit;

static META: Meta = Meta {
    id: Id("AMB304"),
    slug: "custom-or-audit",
    area: Area::Policy,
    highest: Severity::Change,
    reads: ENFORCED,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb304_custom_or_audit.md"),
};

impl Check for CustomOrAudit {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for enforced in enforced_in(view) {
            let spec = &enforced.policy.spec;
            if !matches!(spec.action, Action::Custom | Action::Audit) || !enforced.reach.by_selector
            {
                continue;
            }
            if let Some(fate) = lost(spec) {
                enforced.report(out, Severity::Change, &fate, enforced.moved());
            }
        }
    }
}
