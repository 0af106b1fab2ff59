//! RequestAuthentications: tokens are verified at waypoints, before policies ask about them.

use super::copies::{self, Move, is_ours};
use super::scene::Scene;
use super::targets::in_front;
use crate::inventory::Object;
use crate::kinds::authorization::RequestAuthentication;
use crate::kinds::path::field;
use crate::kinds::{Name, Resource};
use crate::translate::{Draft, Remark, Topic, Weight};

pub(super) fn translate(scene: &Scene<'_>, draft: &mut Draft) {
    let root = scene.settings.root_namespace.clone();
    for namespace in scene.ground.namespaces {
        for home in [namespace, &root] {
            let all = scene.ground.mesh.within::<RequestAuthentication>(home);
            for policy in all {
                one(scene, draft, policy, namespace);
            }
            if *namespace == root {
                break;
            }
        }
    }
}

fn one(
    scene: &Scene<'_>,
    draft: &mut Draft,
    policy: &Object<RequestAuthentication>,
    namespace: &Name,
) {
    let object = policy.reference();
    let own = object.namespace == *namespace;
    let Some(whole) = scene.ground.mesh.inventory().whole(&object) else {
        return;
    };
    let selector = policy.spec.selector.as_ref();
    let labels = selector.map(|s| s.match_labels.clone()).unwrap_or_default();
    if own {
        draft.look(&object);
    }
    if is_ours(&whole) {
        return;
    }
    if !policy.spec.target_refs.is_empty() || policy.spec.target_ref.is_some() {
        if own {
            super::attached::remark(scene, draft, &object, &policy.spec.target_refs);
        }
        return;
    }
    let members = scene.selected(namespace, &labels);
    let judged = in_front(scene, &members);
    let at = if labels.is_empty() {
        field!["spec"]
    } else {
        field!["spec", "selector"]
    };
    if members.is_empty() {
        if own && scene.ground.mesh.selected(namespace, &labels).is_empty() {
            let says = "selects no workload of the input, and stays as it is";
            draft.remark(
                &object,
                Remark::new(Topic::NoService, Weight::Kept, at, says),
            );
        }
        return;
    }
    draft.look(&object);
    for member in members.iter().map(|member| &scene.members[*member]) {
        if member.behind.is_empty() && !labels.is_empty() {
            let name = member.workload.object.short();
            let says =
                format!("{name} has no Service with a waypoint: nobody would verify its tokens");
            let remark = Remark::new(Topic::Tokens, Weight::Refused, at.clone(), says)
                .remedy("put a Service in front of it that has a waypoint");
            draft.remark(&object, remark);
        }
    }
    if judged.is_empty() || !super::shared::same_for_all(scene, draft, &object, &members, &at) {
        return;
    }
    let moved = Move {
        object: &object,
        namespace,
        spec: &whole["spec"],
        labels: &labels,
        members: &members,
        judged: &judged,
        remark: (Topic::Tokens, at, "tokens are verified at the waypoint, by"),
    };
    copies::move_over(scene, draft, &moved);
}
