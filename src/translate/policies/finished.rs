//! What is left to do in files when no sidecar is left in them.
//!
//! A namespace whose workloads are all switched has nobody with a sidecar, so that nothing is translated
//! for it any more. What earlier phases made says so by its annotation: guards are then for all pods,
//! and what only sidecars enforced goes. In a cluster the run that moved the namespace does that.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::scene::Scene;
use crate::inventory::Input;
use crate::kinds::{Kind, Labels, Name, ObjectRef};
use crate::mesh::injection::INJECT_LABEL;
use crate::mesh::workloads::{TLS_MODE_LABEL, asked_of_template};
use crate::translate::change::SOURCE;
use crate::translate::earlier::source;
use crate::translate::{Draft, Phase};

pub(super) fn translate(scene: &Scene<'_>, draft: &mut Draft) {
    let inventory = scene.ground.mesh.inventory();
    if inventory.input == Input::Cluster {
        return;
    }
    let mut made: BTreeMap<Name, Vec<(ObjectRef, ObjectRef)>> = BTreeMap::new();
    inventory.objects.for_each_meta(&mut |object, meta| {
        if scene.ground.translates(&object.namespace)
            && let Some(from) = meta.annotations.get(SOURCE).and_then(source)
        {
            let of_namespace = made.entry(object.namespace.clone()).or_default();
            of_namespace.push((object, from));
        }
    });
    let has_sidecars = |namespace: &Name| {
        let mut members = scene.members.iter();
        members.any(|member| member.workload.object.namespace == *namespace)
    };
    for (namespace, made) in made {
        if has_sidecars(&namespace) {
            continue;
        }
        for (object, from) in &made {
            widen(scene, draft, object, from);
            retire(scene, draft, from, object);
        }
    }
}

/// A guard that is for pods which opted out of injection is for all that it selects besides.
fn widen(scene: &Scene<'_>, draft: &mut Draft, object: &ObjectRef, from: &ObjectRef) {
    let Some(labels) = selector(scene, object) else {
        return;
    };
    let guards = object.kind == Kind::AuthorizationPolicy && labels.has(INJECT_LABEL, "false");
    if !guards || !selects(scene, &object.namespace, &labels) {
        return;
    }
    let patch = json!({"spec": {"selector": {"matchLabels": {INJECT_LABEL: Value::Null}}}});
    draft.look(object);
    draft.patch(Phase::Retire, object, patch, &[from]);
}

/// What only sidecars enforced goes, where its copy is what waypoints enforce.
fn retire(scene: &Scene<'_>, draft: &mut Draft, object: &ObjectRef, copy: &ObjectRef) {
    let home = &object.namespace;
    if *home != copy.namespace {
        return;
    }
    let Some(labels) = selector(scene, object) else {
        return;
    };
    let inert = match object.kind {
        // An earlier phase narrowed it to pods with sidecars.
        Kind::AuthorizationPolicy => labels.has(TLS_MODE_LABEL, "istio"),
        Kind::RequestAuthentication
        | Kind::WasmPlugin
        | Kind::TrafficExtension
        | Kind::Telemetry => copy.kind == object.kind && scene.bystanders(home, &labels).is_empty(),
        _ => false,
    };
    if inert && selects(scene, home, &asked_of_template(&labels)) {
        draft.look(object);
        draft.becomes(object, copy);
        draft.remove(Phase::Retire, object, &[object]);
    }
}

/// Whether the input has somebody whom labels select: of whom it has not, nothing is known.
fn selects(scene: &Scene<'_>, namespace: &Name, labels: &Labels) -> bool {
    !scene.ground.mesh.selected(namespace, labels).is_empty()
}

/// Whom a policy selects by labels; `None` for one that is attached to something, or not there.
fn selector(scene: &Scene<'_>, object: &ObjectRef) -> Option<Labels> {
    let whole = scene.ground.mesh.inventory().whole(object)?;
    let spec = &whole["spec"];
    if !spec["targetRefs"].is_null() || !spec["targetRef"].is_null() {
        return None;
    }
    let labels = spec["selector"]["matchLabels"].as_object();
    let pairs = labels.into_iter().flatten();
    let pairs =
        pairs.filter_map(|(key, value)| Some((key.as_str().into(), value.as_str()?.into())));
    Some(Labels::from_pairs(pairs.collect()))
}
