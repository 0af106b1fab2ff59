//! Policies that are attached by `targetRefs` already.

use super::scene::Scene;
use crate::kinds::authorization::TargetRef;
use crate::kinds::path::field;
use crate::kinds::{Kind, Name, ObjectRef};
use crate::translate::{Draft, Remark, Topic, Weight};

/// Says of each target whether a waypoint will enforce the policy for it.
pub(super) fn remark(
    scene: &Scene<'_>,
    draft: &mut Draft,
    policy: &ObjectRef,
    targets: &[TargetRef],
) {
    for (position, target) in targets.iter().enumerate() {
        let name = Name::from(target.name.as_str());
        let named = |kind| ObjectRef::new(kind, &policy.namespace, &name);
        let served = match target.kind.as_str() {
            "Service" => scene
                .ground
                .waypoints
                .serving(&named(Kind::Service))
                .is_some(),
            "Gateway" => {
                let gateway = named(Kind::Gateway);
                scene
                    .ground
                    .mesh
                    .named::<crate::kinds::gateway_api::Gateway>(&policy.namespace, &name)
                    .is_some()
                    || scene.ground.waypoints.made().any(|made| *made == gateway)
            }
            _ => continue,
        };
        if !served {
            let lacks = match target.kind.as_str() {
                "Service" => "has no waypoint",
                _ => "is not there",
            };
            let says = format!(
                "is attached to {}/{}, which {lacks}: nobody enforces it there",
                target.kind, target.name
            );
            let at = field!["spec", "targetRefs", position];
            draft.remark(policy, Remark::new(Topic::Targets, Weight::Kept, at, says));
        }
    }
}
