//! Services in front of workloads that are judged by different policies.
//!
//! A waypoint judges before it picks a pod, so that a policy of some of a Service's pods would be
//! one of all.

use super::scene::Scene;
use crate::kinds::{FieldPath, ObjectRef};
use crate::translate::{Draft, Remark, Topic, Weight};

/// Whether every Service in front of some members selects nobody else.
pub(super) fn same_for_all(
    scene: &Scene<'_>,
    draft: &mut Draft,
    policy: &ObjectRef,
    members: &[usize],
    at: &FieldPath,
) -> bool {
    let mut fine = true;
    for member in members {
        for front in &scene.members[*member].behind {
            let backing = scene.ground.mesh.backing(front.service);
            let mut others = backing
                .filter_map(|workload| scene.member_of(workload))
                .filter(|other| !members.contains(other));
            let Some(other) = others.next() else {
                continue;
            };
            fine = false;
            let says = format!(
                "judges {} and not {}, and {} leads to both: a waypoint judges before it picks a pod",
                scene.members[*member].workload.object.short(),
                scene.members[other].workload.object.short(),
                front.service.object.short(),
            );
            let remark = Remark::new(Topic::Targets, Weight::Refused, at.clone(), says)
                .remedy("give each workload a Service of its own, or let the policy select both");
            draft.remark(policy, remark);
        }
    }
    fine
}
