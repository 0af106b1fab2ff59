//! AMB312: a workload under a policy that only a waypoint can enforce, and no Service through whose
//! address callers would come: nothing can be bound to a waypoint for it.
//!
//! Source: istio.io, ambient/usage/waypoint (traffic addressed to pods and to headless Services passes
//! by a waypoint for Services); `pilot/pkg/serviceregistry/ambient/waypoints.go`.

use super::{ENFORCED, Enforced, Fate, enforced_in, lost, names, widened};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::Resource;
use crate::kinds::authorization::Action;
use crate::mesh::Mesh;
use crate::mesh::workloads::Workload;

/// The check.
pub static CHECK: NoServiceInFront = NoServiceInFront;

/// The check's type.
#[derive(Debug)]
pub struct NoServiceInFront;

static META: Meta = Meta {
    id: Id("AMB312"),
    slug: "no-service-in-front",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: ENFORCED,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb312_no_service_in_front.md"),
};

impl Check for NoServiceInFront {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for enforced in enforced_in(view) {
            if enforced.reach.alone.is_empty() {
                continue;
            }
            let spec = &enforced.policy.spec;
            let wider = widened(spec)
                .into_iter()
                .filter(|_| spec.action == Action::Deny);
            for fate in lost(spec).into_iter().chain(wider) {
                report(&enforced, &fate, view.mesh, out);
            }
        }
    }
}

/// Reports the workloads that nothing selects and those that only headless Services do; those that
/// the policy means with more weight than those that run and end, or that it reaches with all others.
fn report(enforced: &Enforced<'_>, fate: &Fate, mesh: &Mesh, out: &mut Sink<'_>) {
    let alone = || enforced.reach.alone.iter().copied();
    for meant in [true, false] {
        for headless in [false, true] {
            let who: Vec<&Workload> = alone()
                .filter(|workload| {
                    (enforced.reach.by_selector && !workload.runs_to_completion()) == meant
                })
                .filter(|workload| mesh.services_of(workload).next().is_some() == headless)
                .collect();
            if who.is_empty() {
                continue;
            }
            let (front, remedy) = if headless {
                (
                    "only headless Services lead to it, whose callers pass by a waypoint for Services",
                    "give it a Service with an address that its callers use, say the rule by identities, or leave it in sidecar mode",
                )
            } else {
                (
                    "no Service leads to it at which a waypoint could judge",
                    "give it a Service that its callers use, say the rule by identities, or leave it in sidecar mode",
                )
            };
            let severity = if meant {
                Severity::Blocking
            } else {
                Severity::Warning
            };
            let Fate {
                fact,
                subject,
                verb,
                ..
            } = fate;
            out.find(
                enforced.namespace,
                severity,
                (enforced.policy.reference(), fate.at.clone()),
                format!(
                    "{fact}; {subject} would be {verb} at {}, and {front}",
                    names(&who)
                ),
                Remedy::person(remedy),
            );
        }
    }
}
