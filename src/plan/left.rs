//! Which workloads lose their sidecars, which keep them, and which get them back.

use super::build::Ground;
use crate::kinds::{Kind, ObjectRef};
use crate::mesh::injection::Injection;
use crate::mesh::workloads::{DataPlane, Role, Workload, data_plane};

fn has_or_gets_sidecar(workload: &Workload) -> bool {
    workload.has_sidecar() || matches!(workload.injection, Injection::Injected(_))
}

/// The workloads that lose their sidecars.
pub(super) fn moving<'a>(ground: &Ground<'a>) -> Vec<&'a Workload> {
    let all = ground.mesh.workloads_in(ground.namespace).iter();
    all.filter(|workload| {
        let object = &workload.object;
        let name = (object.namespace.clone(), object.name.clone());
        workload.role == Role::Application
            && workload.has_template
            && has_or_gets_sidecar(workload)
            && !ground.deferred.contains(&name)
            && !matches!(object.kind, Kind::Job | Kind::Pod)
    })
    .collect()
}

/// What keeps its sidecars when all is done.
pub(super) fn remainder(ground: &Ground<'_>) -> Vec<ObjectRef> {
    let all = ground.mesh.workloads_in(ground.namespace).iter();
    let left = all.filter(|workload| {
        let object = &workload.object;
        let name = (object.namespace.clone(), object.name.clone());
        let ends = workload.runs_to_completion() && workload.pod_count() > 0;
        let bare = bare(ground, workload) && !ground.delete_bare_pods;
        workload.role == Role::Application
            && workload.has_sidecar()
            && (ground.deferred.contains(&name) || ends || bare || without_template(workload))
    });
    left.map(|workload| workload.object.clone()).collect()
}

/// The workloads whose pods have sidecars now, and have them again when all is undone.
pub(super) fn returning(ground: &Ground<'_>, moving: &[&Workload]) -> Vec<ObjectRef> {
    let without = |workload: &Workload| {
        let mut pods = ground.mesh.pods(workload);
        pods.any(|pod| data_plane(pod) == DataPlane::None)
    };
    let back = moving.iter().filter(|workload| !without(workload));
    back.map(|workload| workload.object.clone()).collect()
}

/// Whether a workload is a pod of an application that nobody makes again, with a sidecar.
pub(super) fn bare(ground: &Ground<'_>, workload: &Workload) -> bool {
    let object = &workload.object;
    let name = (object.namespace.clone(), object.name.clone());
    object.kind == Kind::Pod
        && workload.role == Role::Application
        && workload.has_sidecar()
        && !ground.deferred.contains(&name)
}

/// Whether somebody whom we do not know makes its pods.
fn without_template(workload: &Workload) -> bool {
    !workload.has_template && workload.object.kind != Kind::Pod
}
