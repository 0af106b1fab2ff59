//! Labels that select some workloads and nobody else.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::scene::{Scene, without_tls_mode};
use crate::kinds::{Labels, Name};
use crate::mesh::workloads::{Role, Workload};

/// Labels as a selector writes them.
pub(super) fn written(labels: &Labels) -> Value {
    let pairs = labels
        .iter()
        .map(|(key, value)| (key.to_owned(), value.into()));
    Value::Object(pairs.collect::<Map<String, Value>>())
}

/// Labels by which some of a set of members are selected, and no other pods of the mesh.
pub(super) struct Group {
    /// The labels.
    pub(super) labels: Labels,
    /// What the group is called.
    pub(super) name: Name,
    /// The members.
    pub(super) members: Vec<usize>,
}

/// Parts a set of members into groups by labels. Those of whom nothing tells others apart come
/// second.
pub(super) fn groups(scene: &Scene<'_>, set: &BTreeSet<usize>) -> (Vec<Group>, Vec<usize>) {
    let mut groups: Vec<Group> = Vec::new();
    let mut alike = Vec::new();
    let mut left = set.clone();
    while let Some(member) = left.pop_first() {
        let found = candidates(scene, member)
            .into_iter()
            .find_map(|(labels, name)| {
                let members = only(scene, member, &labels, set)?;
                Some(Group {
                    labels,
                    name,
                    members,
                })
            });
        match found {
            Some(group) => {
                for member in &group.members {
                    left.remove(member);
                }
                groups.push(group);
            }
            None => alike.push(member),
        }
    }
    (groups, alike)
}

/// The members that labels select, if these are all of the set.
fn only(
    scene: &Scene<'_>,
    member: usize,
    labels: &Labels,
    set: &BTreeSet<usize>,
) -> Option<Vec<usize>> {
    let namespace = &scene.members[member].workload.object.namespace;
    let mut found = Vec::new();
    for workload in scene.ground.mesh.selected(namespace, labels) {
        match (scene.member_of(workload), workload.role) {
            (Some(member), _) if set.contains(&member) => found.push(member),
            (None, Role::Waypoint | Role::Istio) => {}
            // What has no proxy now is nobody's to judge, but must not begin to be refused.
            _ => return None,
        }
    }
    found.contains(&member).then_some(found)
}

/// Labels that may tell a member from others, each with a name for what it selects: those by which
/// its policies select it, those of its Services, its own.
fn candidates(scene: &Scene<'_>, member: usize) -> Vec<(Labels, Name)> {
    let mut all = Vec::new();
    let this = &scene.members[member];
    let home = &this.workload.object.namespace;
    for policy in scene.authorization(member) {
        if policy.metadata.namespace == *home && policy.spec.target_refs.is_empty() {
            let selector = policy.spec.selector.as_ref();
            let labels = selector.map(|s| s.match_labels.clone()).unwrap_or_default();
            all.push((without_tls_mode(&labels).1, policy.metadata.name.clone()));
        }
    }
    // One for all of the namespace comes last of these.
    all.sort_by_key(|(labels, _): &(Labels, Name)| labels.is_empty());
    let policies = all.len();
    let services = this.behind.iter().map(|front| front.service);
    for service in services.chain(this.past.iter().map(|(service, _)| *service)) {
        let selector = scene.ground.mesh.spec(service).selector.clone();
        if !selector.is_empty() {
            all.push((selector, service.object.name.clone()));
        }
    }
    all.extend(own(this.workload).map(|labels| (labels, this.workload.object.name.clone())));
    // What a Service selects is called like the Service, whoever else selects it.
    let called: Vec<(Labels, Name)> = all.iter().skip(policies).cloned().collect();
    for (labels, name) in &mut all {
        if labels.is_empty() {
            *name = home.clone();
        } else if let Some((_, better)) = called.iter().find(|(known, _)| known == labels) {
            *name = better.clone();
        }
    }
    all
}

/// Labels of a workload that may tell it from others: one that is meant for it, then all.
fn own(workload: &Workload) -> impl Iterator<Item = Labels> {
    let usual = ["app", "app.kubernetes.io/name", "k8s-app", "name"];
    let single = usual.into_iter().filter_map(|key| {
        let value = workload.labels.get(key)?;
        Some(Labels::from_pairs(vec![(key.into(), value.into())]))
    });
    let hash = |key: &str| key.ends_with("template-hash") || key == "controller-revision-hash";
    let pairs = workload.labels.pairs().iter();
    let stable = pairs.filter(|(key, _)| !hash(key)).cloned().collect();
    let all = Some(Labels::from_pairs(stable)).filter(|labels| !labels.is_empty());
    single.chain(all)
}

/// Labels that select a workload alone, as far as there are any.
pub(super) fn of_workload(scene: &Scene<'_>, workload: &Workload) -> Labels {
    let mesh = scene.ground.mesh;
    let candidates: Vec<Labels> = own(workload).collect();
    let alone = candidates
        .iter()
        .find(|labels| mesh.selected(&workload.object.namespace, labels).len() == 1);
    alone.or(candidates.last()).cloned().unwrap_or_default()
}
