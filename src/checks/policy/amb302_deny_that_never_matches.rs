//! AMB302: a DENY rule that never matches at ztunnel. Its L7 fields are blanked, an empty match is
//! skipped, and a clause of which nothing is left is false: what the rule refuses is let through.
//!
//! Source: `pilot/pkg/serviceregistry/ambient/authorization.go`, `handleRule` (`isMatchEmpty`,
//! `hasEffectiveRules`); ztunnel's `src/rbac.rs`; istio/istio#61126, #61166.

use super::{ENFORCED, enforced_in, lost};
use crate::checks::{Area, Check, Id, Meta, Severity, Sink, View};
use crate::kinds::authorization::Action;

/// The check.
pub static CHECK: DenyThatNeverMatches = DenyThatNeverMatches;

/// The check's type.
#[derive(Debug)]
pub struct DenyThatNeverMatches;

static META: Meta = Meta {
    id: Id("AMB302"),
    slug: "deny-that-never-matches",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: ENFORCED,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb302_deny_that_never_matches.md"),
};

impl Check for DenyThatNeverMatches {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for enforced in enforced_in(view) {
            let spec = &enforced.policy.spec;
            if spec.action != Action::Deny {
                continue;
            }
            if enforced.reach.by_selector
                && let Some(fate) = lost(spec)
            {
                enforced.report(out, Severity::Change, &fate, enforced.moved());
            }
            enforced.report_unknown(out);
        }
    }
}
