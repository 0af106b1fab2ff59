//! WasmPlugins, TrafficExtensions and Telemetries: what runs in sidecars runs in waypoints.

use super::copies::{self, Move, is_ours};
use super::scene::Scene;
use super::targets::in_front;
use crate::inventory::{Listed, Object};
use crate::kinds::authorization::AttachedSpec;
use crate::kinds::envoy_extension::{PLUGINS, Plugin, Telemetry, TrafficExtension, WasmPlugin};
use crate::kinds::path::field;
use crate::kinds::{Kind, Name};
use crate::mesh::waypoints::WAYPOINT_CLASS;
use crate::translate::{Draft, Remark, Topic, Weight};

pub(super) fn translate(scene: &Scene<'_>, draft: &mut Draft) {
    each::<WasmPlugin>(scene, draft, Plugin::attached);
    each::<TrafficExtension>(scene, draft, Plugin::attached);
    each::<Telemetry>(scene, draft, |telemetry| &telemetry.spec);
}

fn each<T: Listed>(scene: &Scene<'_>, draft: &mut Draft, spec: fn(&T) -> &AttachedSpec) {
    for namespace in scene.ground.namespaces {
        for object in scene.ground.mesh.within::<T>(namespace) {
            one(scene, draft, object, spec(object), namespace);
        }
        let root = &scene.settings.root_namespace;
        // Telemetries of the mesh and of a namespace are every proxy's, waypoints' too.
        if !PLUGINS.contains(T::KIND) || namespace == root {
            continue;
        }
        for object in scene.ground.mesh.within::<T>(root) {
            one(scene, draft, object, spec(object), namespace);
        }
    }
}

fn is_attached(spec: &AttachedSpec) -> bool {
    !spec.target_refs.is_empty() || spec.target_ref.is_some()
}

fn one<T: Listed>(
    scene: &Scene<'_>,
    draft: &mut Draft,
    object: &Object<T>,
    spec: &AttachedSpec,
    namespace: &Name,
) {
    let name = object.reference();
    let own = name.namespace == *namespace;
    if own {
        draft.look(&name);
    }
    let Some(whole) = scene.ground.mesh.inventory().whole(&name) else {
        return;
    };
    if is_ours(&whole) {
        return;
    }
    if is_attached(spec) {
        if own {
            super::attached::remark(scene, draft, &name, &spec.target_refs);
        }
        return;
    }
    let selector = spec.selector.as_ref();
    let labels = selector.map(|s| s.match_labels.clone()).unwrap_or_default();
    if labels.is_empty() && T::KIND == Kind::Telemetry {
        let says = "is for every proxy of its namespace, waypoints too";
        draft.remark(
            &name,
            Remark::new(Topic::ProxyExtension, Weight::Kept, field!["spec"], says),
        );
        return;
    }
    let at = if labels.is_empty() {
        field!["spec"]
    } else {
        field!["spec", "selector"]
    };
    let members = scene.selected(namespace, &labels);
    if members.is_empty() {
        return;
    }
    draft.look(&name);
    if let Some(remark) = stays_behind(spec, own) {
        draft.remark(&name, remark);
        return;
    }
    let judged = in_front(scene, &members);
    let without = members
        .iter()
        .find(|member| scene.members[**member].behind.is_empty());
    if let Some(member) = without
        && !labels.is_empty()
    {
        let workload = scene.members[*member].workload.object.short();
        let says = format!("{workload} has no Service with a waypoint that it could run in");
        let remark = Remark::new(Topic::ProxyExtension, Weight::Refused, at, says)
            .remedy("put a Service in front of it that has a waypoint");
        draft.remark(&name, remark);
        return;
    }
    if judged.is_empty() || !super::shared::same_for_all(scene, draft, &name, &members, &at) {
        return;
    }
    let moved = Move {
        object: &name,
        namespace,
        spec: &whole["spec"],
        labels: &labels,
        members: &members,
        judged: &judged,
        remark: (Topic::ProxyExtension, at, "goes on at the waypoint, as"),
    };
    copies::move_over(scene, draft, &moved);
}

/// What of a plugin no copy at a waypoint does.
fn stays_behind(spec: &AttachedSpec, own: bool) -> Option<Remark> {
    let refused = |at, says, remedy| {
        Remark::new(Topic::ProxyExtension, Weight::Refused, at, says).remedy(remedy)
    };
    if let Some((position, field)) = spec.beyond_waypoints() {
        let says = if field == "mode" {
            "runs for calls that its pods make; a waypoint runs plugins for calls that come in, and none with this mode"
        } else {
            "runs for certain ports; a waypoint asks for plugins without a port, and runs none that names one"
        };
        let remedy = "say it without this, if it may run for all that comes through the waypoint, or leave its workloads in \
                      sidecar mode";
        return Some(refused(
            field!["spec", "match", position, field],
            says,
            remedy,
        ));
    }
    spec.pull_secret().filter(|_| !own).map(|at| {
        let says = "its image is pulled with a Secret of the root namespace, which a copy for a waypoint cannot name";
        let remedy = format!("its owner may attach a copy to GatewayClass/{WAYPOINT_CLASS}; then accept this one");
        let remark = refused(at, says, "");
        remark.remedy(remedy)
    })
}
