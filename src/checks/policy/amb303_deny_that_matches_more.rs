//! AMB303: a DENY rule that matches more at ztunnel than it says. When one source or one operation
//! holds L7 fields beside others, the L7 fields are blanked and the others alone decide.
//!
//! Source: `pilot/pkg/serviceregistry/ambient/authorization.go`, `handleRule`
//! (`httpDenyMixedBoilerplate`); ztunnel's `src/rbac.rs`.

use super::{ENFORCED, enforced_in, widened};
use crate::checks::{Area, Check, Id, Meta, Severity, Sink, View};
use crate::kinds::authorization::Action;

/// The check.
pub static CHECK: DenyThatMatchesMore = DenyThatMatchesMore;

/// The check's type.
#[derive(Debug)]
pub struct DenyThatMatchesMore;

static META: Meta = Meta {
    id: Id("AMB303"),
    slug: "deny-that-matches-more",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: ENFORCED,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb303_deny_that_matches_more.md"),
};

impl Check for DenyThatMatchesMore {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for enforced in enforced_in(view) {
            let spec = &enforced.policy.spec;
            if spec.action != Action::Deny {
                continue;
            }
            for fate in widened(spec) {
                let (severity, remedy) = if enforced.from_root {
                    let what = "attach a copy to the waypoints by targetRefs, and keep this one to gateways and to pods with a sidecar (label security.istio.io/tlsMode: istio)";
                    (Severity::Blocking, enforced.edit(what))
                } else {
                    (Severity::Change, enforced.moved())
                };
                enforced.report(out, severity, &fate, remedy);
            }
        }
    }
}
