//! AMB301: an ALLOW rule with L7 fields, selected by pod labels. ztunnel drops such a rule; when none
//! is left, the policy refuses everything. A rule with trust domains is the opposite: releases up to
//! 1.31 blank them silently, and the rule admits more.
//!
//! Source: `pilot/pkg/serviceregistry/ambient/authorization.go`, `handleRule`.

use super::{ENFORCED, enforced_in, lost, widened};
use crate::checks::{Area, Check, Id, Meta, Severity, Sink, View};
use crate::kinds::authorization::Action;

/// The check.
pub static CHECK: AllowWithL7Fields = AllowWithL7Fields;

/// The check's type.
#[derive(Debug)]
pub struct AllowWithL7Fields;

static META: Meta = Meta {
    id: Id("AMB301"),
    slug: "allow-with-l7-fields",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: ENFORCED,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb301_allow_with_l7_fields.md"),
};

impl Check for AllowWithL7Fields {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for enforced in enforced_in(view) {
            let spec = &enforced.policy.spec;
            if spec.action != Action::Allow {
                continue;
            }
            if enforced.reach.by_selector
                && let Some(fate) = lost(spec)
            {
                enforced.report(out, Severity::Change, &fate, enforced.moved());
            }
            for fate in widened(spec) {
                let remedy = enforced.edit(
                    "say it by `principals` or `notPrincipals` (a trust domain is `DOMAIN/*`), which ztunnel knows",
                );
                enforced.report_all(out, Severity::Blocking, &fate, remedy);
            }
            enforced.report_unknown(out);
        }
    }
}
