//! Namespaces, workloads and waypoints, and what several checks ask about them.

mod naming;
mod strict;

use super::declare::checks;
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Kind, ObjectRef};
use crate::mesh::injection::Injection;
use crate::mesh::workloads::{Mode, Workload};

checks! {
    amb201_two_injection_labels,
    amb203_template_forces_injection,
    amb205_pods_without_sidecar_captured,
    amb207_waypoint_label_without_effect,
    amb208_waypoint_not_ready_or_single,
    amb221_outside_the_sidecar,
    amb223_pods_not_replaced,
    amb251_waypoint_out_of_reach,
}

/// Whether a workload's pods have a sidecar, or may have one as far as is known: of a namespace
/// whose labels were not read, only a pod's own labels can say no.
pub fn may_have_sidecar(workload: &Workload) -> bool {
    workload.has_sidecar()
        || (workload.mode() == Mode::Unknown && workload.injection == Injection::Unknown)
}

/// Where a workload's pod template stands; the object itself for a bare pod.
pub fn template_path(kind: Kind) -> FieldPath {
    match kind {
        Kind::Pod => FieldPath::root(),
        Kind::CronJob => field!["spec", "jobTemplate", "spec", "template"],
        _ => field!["spec", "template"],
    }
}

/// Where a label of a workload's pods stands.
pub fn template_label(kind: Kind, key: &str) -> FieldPath {
    template_path(kind)
        .then("metadata")
        .then("labels")
        .then(key)
}

/// Objects of one namespace in words: `Deployment/a`, `Deployment/a, Job/b and 3 more`.
pub fn in_words(objects: &[&ObjectRef]) -> String {
    let shown = if objects.len() > 3 { 2 } else { objects.len() };
    let names: Vec<String> = objects[..shown]
        .iter()
        .map(|object| object.short())
        .collect();
    match (names.as_slice(), objects.len() - shown) {
        ([], _) => "nothing".to_owned(),
        (_, more @ 1..) => format!("{} and {more} more", names.join(", ")),
        ([one], _) => one.clone(),
        ([first @ .., last], _) => format!("{} and {last}", first.join(", ")),
    }
}

/// A kind as kubectl takes it: `deployment`.
pub fn resource_argument(kind: Kind) -> String {
    kind.written().to_lowercase()
}
