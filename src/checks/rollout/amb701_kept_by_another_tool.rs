//! AMB701: objects that the move would write and that another tool writes from its own source. Argo
//! CD and Flux put changes back, Helm does at its next upgrade; see `mesh/ownership.rs` for the marks.

use std::collections::BTreeMap;

use crate::checks::policy::is_attached;
use crate::checks::workload::{in_words, may_have_sidecar};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::{Listed, Object};
use crate::kinds::authorization::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};
use crate::kinds::meta::Namespace as NamespaceObject;
use crate::kinds::network_policy::NetworkPolicy;
use crate::kinds::path::field;
use crate::kinds::service::Service;
use crate::kinds::traffic::{DestinationRule, VirtualService};
use crate::kinds::workload::{CronJob, DaemonSet, Deployment, ReplicaSet, Rollout, StatefulSet};
use crate::kinds::{Kind, KindSet, Meta as ObjectMeta, ObjectRef};
use crate::mesh::injection::NamespaceInjection;
use crate::mesh::namespaces::Namespace;
use crate::mesh::ownership::{Keeper, keeper};
use crate::mesh::services::is_mesh;
use crate::mesh::workloads::{Role, Workload};
use crate::mesh::{self, Mesh};

/// The check.
pub static CHECK: KeptByAnotherTool = KeptByAnotherTool;

/// The check's type.
#[derive(Debug)]
pub struct KeptByAnotherTool;

static META: Meta = Meta {
    id: Id("AMB701"),
    slug: "kept-by-another-tool",
    area: Area::Rollout,
    highest: Severity::Blocking,
    reads: mesh::BACKING.and(KindSet::of(&[
        Kind::AuthorizationPolicy,
        Kind::RequestAuthentication,
        Kind::PeerAuthentication,
        Kind::VirtualService,
        Kind::DestinationRule,
        Kind::NetworkPolicy,
    ])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb701_kept_by_another_tool.md"),
};

impl Check for KeptByAnotherTool {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for namespace in view.namespaces() {
            let mut kept = Kept::default();
            if !is_done(view.mesh, namespace) {
                kept.look(view.mesh, namespace);
            }
            for (keeper, (mark, objects)) in &kept.by {
                report(namespace, *keeper, mark, objects, out);
            }
        }
    }
}

/// Whether nothing of a namespace is left to move.
fn is_done(mesh: &Mesh, namespace: &Namespace) -> bool {
    let on = matches!(namespace.injection, NamespaceInjection::Revision(_));
    namespace.ambient() == Some(true)
        && !on
        && !mesh.workloads_in(&namespace.name).iter().any(moves)
}

fn moves(workload: &Workload) -> bool {
    workload.role == Role::Application && may_have_sidecar(workload)
}

/// What the move of a namespace would write and others keep, by keeper, with the mark on the first
/// object. The order is that of a person's interest, not of the alphabet.
#[derive(Default)]
struct Kept {
    by: BTreeMap<Keeper, (String, Vec<ObjectRef>)>,
}

impl Kept {
    fn look(&mut self, mesh: &Mesh, namespace: &Namespace) {
        let name = &namespace.name;
        if let Some(object) = mesh.named::<NamespaceObject>("", name) {
            self.note(object);
        }
        for workload in mesh.workloads_in(name).iter().filter(|w| moves(w)) {
            if let Some(meta) = controller(mesh, &workload.object) {
                self.add(workload.object.clone(), meta);
            }
        }
        for service in mesh.services_in(name) {
            if mesh
                .backing(service)
                .any(|workload| workload.role == Role::Application)
                && let Some(object) = mesh.named::<Service>(name, &service.object.name)
            {
                self.note(object);
            }
        }
        for policy in mesh.within::<AuthorizationPolicy>(name) {
            if !is_attached(policy.spec.target_ref.as_ref(), &policy.spec.target_refs) {
                self.note(policy);
            }
        }
        for policy in mesh.within::<RequestAuthentication>(name) {
            if !is_attached(policy.spec.target_ref.as_ref(), &policy.spec.target_refs) {
                self.note(policy);
            }
        }
        for route in mesh.within::<VirtualService>(name) {
            if is_mesh(&route.spec.gateways) {
                self.note(route);
            }
        }
        mesh.within::<DestinationRule>(name)
            .iter()
            .for_each(|object| self.note(object));
        mesh.within::<PeerAuthentication>(name)
            .iter()
            .for_each(|object| self.note(object));
        mesh.within::<NetworkPolicy>(name)
            .iter()
            .for_each(|object| self.note(object));
    }

    fn note<T: Listed>(&mut self, object: &Object<T>) {
        self.add(object.reference(), object.meta());
    }

    fn add(&mut self, object: ObjectRef, meta: &ObjectMeta) {
        if let Some((keeper, mark)) = keeper(meta) {
            let entry = self.by.entry(keeper).or_insert_with(|| (mark, Vec::new()));
            entry.1.push(object);
        }
    }
}

/// The metadata of what makes a workload's pods; a bare pod and a Job are not written.
fn controller<'a>(mesh: &'a Mesh, object: &ObjectRef) -> Option<&'a ObjectMeta> {
    fn meta<'a, T: Listed + 'a>(mesh: &'a Mesh, object: &ObjectRef) -> Option<&'a ObjectMeta> {
        mesh.named::<T>(&object.namespace, &object.name)
            .map(|found| found.meta())
    }
    match object.kind {
        Kind::Deployment => meta::<Deployment>(mesh, object),
        Kind::StatefulSet => meta::<StatefulSet>(mesh, object),
        Kind::DaemonSet => meta::<DaemonSet>(mesh, object),
        Kind::ReplicaSet => meta::<ReplicaSet>(mesh, object),
        Kind::Rollout => meta::<Rollout>(mesh, object),
        Kind::CronJob => meta::<CronJob>(mesh, object),
        _ => None,
    }
}

fn report(
    namespace: &Namespace,
    keeper: Keeper,
    mark: &str,
    objects: &[ObjectRef],
    out: &mut Sink<'_>,
) {
    let Some(first) = objects.first() else {
        return;
    };
    let count = match objects.len() {
        1 => "an object".to_owned(),
        more => format!("{more} objects"),
    };
    let references: Vec<&ObjectRef> = objects.iter().collect();
    let name = keeper.name();
    let which = in_words(&references);
    let (severity, effect, remedy) = match keeper {
        Keeper::ArgoCd | Keeper::Flux => (
            Severity::Blocking,
            "and may put back what is changed in the cluster alone",
            format!(
                "make the changes in the source that {name} writes from, step by step, and let it bring them to the cluster"
            ),
        ),
        Keeper::Helm => (
            Severity::Warning,
            "and its next upgrade writes what the chart says",
            "carry the changes over to the chart or its values before the next upgrade".to_owned(),
        ),
    };
    out.find(
        &namespace.name,
        severity,
        (first.clone(), field!["metadata"]),
        format!("{name} keeps {count} that the move may write ({which}; {mark}), {effect}"),
        Remedy::person(remedy),
    );
}
