//! AMB107: machines outside Kubernetes that are part of the mesh.
//!
//! Sources: `https://istio.io/latest/docs/ambient/migrate/` (VM workloads are named as a blocker);
//! `networking.istio.io` WorkloadEntry (`serviceAccount` is that of a sidecar on the machine);
//! istio/istio `pilot/pkg/autoregistration/controller.go` (the annotations of entries that a machine
//! registered itself).

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::{Input, Object};
use crate::kinds::path::field;
use crate::kinds::service_entry::{WorkloadEntry, WorkloadGroup};
use crate::kinds::{FieldPath, Kind, KindSet, Name, Resource};

/// The annotation of entries made from a group.
const GROUP: &str = "istio.io/autoRegistrationGroup";

/// The check.
pub static CHECK: VirtualMachines = VirtualMachines;

/// The check's type.
#[derive(Debug)]
pub struct VirtualMachines;

static META: Meta = Meta {
    id: Id("AMB107"),
    slug: "virtual-machines",
    area: Area::Environment,
    highest: Severity::Blocking,
    reads: KindSet::of(&[Kind::WorkloadEntry, Kind::WorkloadGroup]),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb107_virtual_machines.md"),
};

impl Check for VirtualMachines {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let entries = view.mesh.all::<WorkloadEntry>();
        let groups = view.mesh.all::<WorkloadGroup>();
        let mut elsewhere: BTreeMap<&Name, Vec<&Object<WorkloadEntry>>> = BTreeMap::new();
        let mut inhabited = BTreeSet::new();
        for entry in entries {
            let Some(sign) = sign(entry) else { continue };
            let namespace = &entry.metadata.namespace;
            if let Some(group) = entry.metadata.annotations.get(GROUP) {
                inhabited.insert((namespace.as_ref(), group));
            }
            if view.judges(namespace) {
                machine(entry, sign, out);
            } else {
                elsewhere.entry(namespace).or_default().push(entry);
            }
        }
        let complete = view.mesh.inventory().input != Input::Manifests;
        for object in groups
            .iter()
            .filter(|group| view.judges(&group.metadata.namespace))
        {
            let meta = &object.metadata;
            let empty =
                complete && !inhabited.contains(&(meta.namespace.as_ref(), meta.name.as_ref()));
            group(object, empty, out);
        }
        for (namespace, machines) in elsewhere {
            others(namespace, &machines, out);
        }
    }
}

/// What shows that a proxy of the mesh runs on the machine, and where that stands.
fn sign(entry: &WorkloadEntry) -> Option<(FieldPath, String)> {
    let annotations = &entry.metadata.annotations;
    if let Some(group) = annotations.get(GROUP) {
        return Some((
            FieldPath::annotation(GROUP),
            format!("it registered itself from WorkloadGroup/{group}"),
        ));
    }
    let account = &entry.spec.service_account;
    (!account.is_empty()).then(|| {
        (
            field!["spec", "serviceAccount"],
            format!("it has the identity of service account {account}"),
        )
    })
}

fn machine(entry: &Object<WorkloadEntry>, (field, why): (FieldPath, String), out: &mut Sink<'_>) {
    let meta = &entry.metadata;
    out.find(
        &meta.namespace,
        Severity::Blocking,
        (entry.reference(), field),
        format!("a machine outside Kubernetes is part of the mesh ({why}): it has no node whose ztunnel could carry its traffic, and it keeps its sidecar"),
        Remedy::command(
            format!("keep {} in sidecar mode, or move the machine's entries to a namespace that stays", meta.namespace),
            format!("kubectl get workloadentries -n {}", meta.namespace),
        ),
    );
}

fn group(group: &Object<WorkloadGroup>, empty: bool, out: &mut Sink<'_>) {
    let meta = &group.metadata;
    let (severity, message) = if empty {
        (
            Severity::Warning,
            "machines outside Kubernetes can register here, and none has: one that does after the move would be in sidecar mode in an ambient namespace",
        )
    } else {
        (
            Severity::Blocking,
            "machines outside Kubernetes register here and keep their sidecars: the namespace cannot be moved as a whole",
        )
    };
    let remedy = if empty {
        Remedy::command(
            "remove the group if it is not used",
            format!(
                "kubectl delete workloadgroup {} -n {}",
                meta.name, meta.namespace
            ),
        )
    } else {
        Remedy::command(
            "keep the namespace in sidecar mode, or give the machines one of their own",
            format!(
                "kubectl get workloadgroups,workloadentries -n {}",
                meta.namespace
            ),
        )
    };
    let at = (group.reference(), FieldPath::root());
    out.find(&meta.namespace, severity, at, message, remedy);
}

/// Machines of namespaces that are not judged: possible callers, with sidecars of their own.
fn others(namespace: &Name, machines: &[&Object<WorkloadEntry>], out: &mut Sink<'_>) {
    let Some(first) = machines.first() else {
        return;
    };
    let who = match machines.len() {
        1 => format!("a machine outside Kubernetes is part of the mesh in {namespace}"),
        n => format!("{n} machines outside Kubernetes are part of the mesh in {namespace}"),
    };
    out.find_for_all(
        Severity::Warning,
        (first.reference(), FieldPath::root()),
        format!("{who}: calls from there come by sidecar, past every waypoint, and without an identity unless the proxy there opens HBONE tunnels"),
        Remedy::command(
            "find out whether it calls what is moved",
            format!("kubectl get workloadentries -n {namespace}"),
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::CHECK;
    use crate::checks::{Scope, Severity, judge};
    use crate::inventory::{Input, InventoryBuilder};
    use crate::kinds::Name;
    use crate::mesh::Mesh;

    #[test]
    fn in_a_cluster_a_group_without_machines_is_no_blocker() {
        let found = |input| {
            let mut builder = InventoryBuilder::new(input, "shop");
            let text =
                "apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {name: vms}\n";
            builder.file("group.yaml", text.to_owned());
            let mesh = Mesh::new(builder.finish());
            judge(&mesh, &Scope::of([Name::from("shop")]), &[&CHECK], false).findings[0].severity
        };
        assert_eq!(found(Input::Manifests), Severity::Blocking);
        assert_eq!(found(Input::Cluster), Severity::Warning);
    }
}
