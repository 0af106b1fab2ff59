//! AMB307: a policy for a whole namespace or the whole mesh, of which ztunnel loses something. A
//! waypoint does not make up for it: it takes only policies attached to it by name.
//!
//! Source: `pilot/pkg/model/policyattachment.go`, `ShouldAttachPolicy` ("waypoints never use
//! selector"); for GatewayClass targets `pilot/pkg/serviceregistry/ambient/policies.go`.

use super::{ENFORCED, Enforced, enforced_in, lost};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::authorization::{Action, AuthorizationPolicy};
use crate::mesh::{Mesh, waypoints};
use crate::semantics::authorization::is_dry_run;

/// The check.
pub static CHECK: WidePolicy = WidePolicy;

/// The check's type.
#[derive(Debug)]
pub struct WidePolicy;

static META: Meta = Meta {
    id: Id("AMB307"),
    slug: "wide-policy",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: ENFORCED,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb307_wide_policy.md"),
};

impl Check for WidePolicy {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for enforced in enforced_in(view) {
            let spec = &enforced.policy.spec;
            if enforced.reach.by_selector {
                continue;
            }
            let Some(mut fate) = lost(spec) else {
                continue;
            };
            fate.fact = format!(
                "no waypoint takes a policy for the whole {}, and {}",
                if enforced.from_root {
                    "mesh"
                } else {
                    "namespace"
                },
                fate.fact
            );
            let (severity, remedy) = answer(&enforced, view.mesh);
            enforced.report(out, severity, &fate, remedy);
        }
    }
}

/// What answers it: the move, for a policy of the namespace; its owner, for one of the root
/// namespace, unless a copy is there that all waypoints take.
fn answer(enforced: &Enforced<'_>, mesh: &Mesh) -> (Severity, Remedy) {
    if !enforced.from_root {
        let what = "a copy attached to the waypoint (to each Service, if the waypoint serves other namespaces too) is enforced there; this policy is narrowed to pods with a sidecar, with a copy for each gateway";
        return (Severity::Change, Remedy::moved(what));
    }
    if has_copy_for_waypoints(enforced, mesh) {
        let what =
            "its copy for all waypoints is enforced at the waypoint; this policy is not touched";
        return (Severity::Change, Remedy::moved(what));
    }
    let severity = match enforced.policy.spec.action {
        Action::Audit => Severity::Warning,
        Action::Allow | Action::Deny | Action::Custom => Severity::Blocking,
    };
    let meta = &enforced.policy.metadata;
    let what = format!(
        "add a copy in {} with targetRefs to the GatewayClass {}; every waypoint of the mesh takes it at once",
        meta.namespace,
        waypoints::WAYPOINT_CLASS
    );
    let command = format!(
        "kubectl get authorizationpolicy {} -n {} -o yaml",
        meta.name, meta.namespace
    );
    (severity, Remedy::command(what, command))
}

/// Whether the root namespace holds a policy of the same action and rules for all waypoints.
fn has_copy_for_waypoints(enforced: &Enforced<'_>, mesh: &Mesh) -> bool {
    let original = &enforced.policy.spec;
    mesh.within::<AuthorizationPolicy>(&enforced.policy.metadata.namespace)
        .iter()
        .filter(|copy| !is_dry_run(&copy.metadata))
        .filter(|copy| copy.spec.action == original.action && copy.spec.rules == original.rules)
        .any(|copy| {
            let mut targets = copy.spec.target_ref.iter().chain(&copy.spec.target_refs);
            targets.any(|t| t.kind == "GatewayClass" && t.name == waypoints::WAYPOINT_CLASS)
        })
}
