//! Policies of the root namespace. They are for the whole mesh and are never touched here: what they
//! demand of the workloads of a namespace is repeated there, for its waypoints.

use serde_json::Value;

use super::copies::{self, Original, is_ours};
use super::rules::{self, Naming, Shape};
use super::scene::Scene;
use super::targets::in_front;
use crate::inventory::Object;
use crate::kinds::authorization::{Action, AuthorizationPolicy};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Name, ObjectRef, Resource};
use crate::mesh::waypoints::WAYPOINT_CLASS;
use crate::semantics::authorization::{
    AllowAtZtunnel, DenyAtZtunnel, allow_at_ztunnel, deny_at_ztunnel, is_dry_run, rule_path,
};
use crate::semantics::identity::Identity;
use crate::translate::{Draft, Remark, Topic, Weight};

pub(super) fn translate(scene: &Scene<'_>, draft: &mut Draft) {
    let root = &scene.settings.root_namespace;
    for policy in scene.ground.mesh.within::<AuthorizationPolicy>(root) {
        if !policy.spec.target_refs.is_empty() || policy.spec.target_ref.is_some() {
            continue;
        }
        for namespace in scene.ground.namespaces {
            one(scene, draft, policy, namespace);
        }
    }
}

/// What a policy of the root namespace is in one other namespace.
fn one(
    scene: &Scene<'_>,
    draft: &mut Draft,
    policy: &Object<AuthorizationPolicy>,
    namespace: &Name,
) {
    let selector = policy.spec.selector.as_ref();
    let labels = selector.map(|s| s.match_labels.clone()).unwrap_or_default();
    let members = scene.selected(namespace, &labels);
    let object = policy.reference();
    let Some(whole) = scene.ground.mesh.inventory().whole(&object) else {
        return;
    };
    if members.is_empty() || is_ours(&whole) || is_dry_run(&policy.metadata) {
        return;
    }
    let shape = Shape::of(&policy.spec);
    let judged = in_front(scene, &members);
    let names_source = policy.spec.rules.iter().any(rules::names_source);
    let deny = policy.spec.action == Action::Deny;
    draft.look(&object);
    let mut waypoints: Vec<Identity> = judged
        .iter()
        .map(|judged| scene.identity(judged.waypoint))
        .collect();
    waypoints.sort();
    waypoints.dedup();
    if !at_ztunnel(scene, draft, &object, policy, &whole["spec"], &waypoints) {
        return;
    }
    if judged.is_empty() || (deny && !shape.needs_http() && !names_source) {
        return;
    }
    let mut spec = whole["spec"].clone();
    for rule in spec["rules"].as_array_mut().into_iter().flatten() {
        rules::with_namespaces(rule, &object.namespace);
    }
    let original = Original {
        object: &object,
        namespace,
        spec: &spec,
        wide: labels.is_empty(),
        dry_run: false,
        stays: false,
    };
    match copies::of_authorization(scene, &original, &judged) {
        Ok(copies) => {
            for remark in copies.remarks {
                draft.remark(&object, remark);
            }
            for copy in copies::create(scene, draft, &original, copies.specs) {
                let says = format!(
                    "is for the whole mesh and stays; the waypoints of {namespace} enforce a copy, \
                     {}, which does not follow it",
                    copy.short()
                );
                draft.becomes(&object, &copy);
                let remark = Remark::new(Topic::WidePolicy, Weight::Stated, field!["spec"], says);
                draft.remark(&object, remark.remedy(for_the_owner(namespace)));
            }
        }
        Err(remark) => draft.remark(&object, remark),
    }
}

/// What the owner of the mesh's policies may do instead.
fn for_the_owner(namespace: &str) -> String {
    format!(
        "its owner may attach a copy to GatewayClass/{WAYPOINT_CLASS} in the root namespace, for all \
         waypoints at once; the copy in {namespace} is not needed then"
    )
}

/// Whether the policy does at ztunnel nothing but what it did; it cannot be changed to.
fn at_ztunnel(
    scene: &Scene<'_>,
    draft: &mut Draft,
    object: &ObjectRef,
    policy: &AuthorizationPolicy,
    spec: &Value,
    waypoints: &[Identity],
) -> bool {
    let mut fine = true;
    let mut refuse = |at: FieldPath, says: &str, remedy: &str| {
        fine = false;
        let remark = Remark::new(Topic::WidePolicy, Weight::Refused, at, says).remedy(remedy);
        draft.remark(object, remark);
    };
    let naming = Naming::new(scene.ground.istio);
    for (index, rule) in policy.spec.rules.iter().enumerate() {
        let at = rule_path(index);
        match policy.spec.action {
            Action::Allow if allow_at_ztunnel(rule) == AllowAtZtunnel::More => refuse(
                at,
                "is for the whole mesh, and ztunnel leaves out the trust domains that it names: it \
                 would admit more",
                "its owner may name principals in place of trust domains",
            ),
            Action::Deny
                if deny_at_ztunnel(rule) == DenyAtZtunnel::Wider && !waypoints.is_empty() =>
            {
                refuse(
                    at,
                    "is for the whole mesh, and ztunnel leaves out what it says of requests: it would \
                     refuse the waypoint",
                    "its owner may write what concerns connections and what concerns requests as two \
                     policies, and attach the second to GatewayClass/istio-waypoint",
                );
            }
            Action::Deny if deny_at_ztunnel(rule) == DenyAtZtunnel::Same => {
                let mut written = spec["rules"][index].clone();
                if rules::names_source(rule) && naming.exempt(&mut written, waypoints) {
                    let written = serde_json::to_string(&written).unwrap_or_default();
                    refuse(
                        at,
                        "is for the whole mesh, and would refuse the waypoint, which is not whom it \
                         means",
                        &format!("its owner may leave the waypoint out: {written}"),
                    );
                }
            }
            _ => {}
        }
    }
    fine
}
