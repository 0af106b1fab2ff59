//! What changes the proxies themselves, and what several checks ask about it: which pods still have
//! a sidecar that it reaches.

use super::View;
use super::declare::checks;
use crate::kinds::{Labels, Name};
use crate::mesh::workloads::{Mode, Role, Workload};

checks! {
    amb501_sidecar_resource,
    amb502_proxy_extension,
}

/// The applications of a namespace with these labels whose pods have a sidecar, or may get one, and do
/// not keep it.
/// Gateways and waypoints are not among them: they stay Envoys.
pub fn with_sidecar<'a>(view: &View<'a>, namespace: &Name, labels: &Labels) -> Vec<&'a Workload> {
    view.mesh
        .selected(namespace, labels)
        .into_iter()
        .filter(|workload| {
            workload.role == Role::Application
                && (workload.has_sidecar() || workload.mode() == Mode::Unknown)
                && !view.defers(workload)
        })
        .collect()
}
