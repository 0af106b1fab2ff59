//! Services whose callers reach workloads that are judged by different policies.
//!
//! A waypoint judges before it picks a pod, and before it follows a route, so that a policy of some
//! of those whom callers reach would be one of all.

use super::scene::Scene;
use crate::kinds::{FieldPath, ObjectRef};
use crate::translate::{Draft, Remark, Topic, Weight};

/// Whether callers of every Service that lead to some members reach nobody else.
pub(super) fn same_for_all(
    scene: &Scene<'_>,
    draft: &mut Draft,
    policy: &ObjectRef,
    members: &[usize],
    at: &FieldPath,
) -> bool {
    let mut fine = true;
    for member in members {
        let this = &scene.members[*member].workload.object;
        for front in &scene.members[*member].judged_for {
            let reached = scene.reached(front.service);
            let Some(other) = reached.iter().find(|other| !members.contains(other)) else {
                continue;
            };
            fine = false;
            let other = scene.members[*other].workload.object.short();
            let service = front.service.object.short();
            let (this, at) = (this.short(), at.clone());
            let remark = if scene.ways.tables(&front.service.object).is_empty() {
                let says = format!(
                    "judges {this} and not {other}, and {service} leads to both: a waypoint judges \
                     before it picks a pod"
                );
                Remark::new(Topic::Targets, Weight::Refused, at, says).remedy(
                    "give each workload a Service of its own, or let the policy select both",
                )
            } else {
                let says = format!(
                    "judges {this} and not {other}, and routes of {service} lead to both: its waypoint \
                     judges before it follows them"
                );
                Remark::new(Topic::OtherRoutes, Weight::Refused, at, says).remedy(
                    "let the policy select both, or let callers use the Service of each workload",
                )
            };
            draft.remark(policy, remark);
        }
    }
    fine
}
