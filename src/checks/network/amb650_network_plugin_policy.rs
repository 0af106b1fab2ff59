//! AMB650: policies that the network plugin enforces besides NetworkPolicies (Cilium's, Calico's, those of
//! administrators). They are not judged, and any of them can close the tunnel's port, or cease to see the
//! requests that it looks into (istio.io, Ambient and Kubernetes NetworkPolicy; istio/istio#49277).

use std::collections::BTreeSet;

use crate::checks::policy::names;
use crate::checks::workload::may_have_sidecar;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Listed;
use crate::kinds::path::field;
use crate::kinds::plugin_policy::{
    AdminNetworkPolicy, BaselineAdminNetworkPolicy, CalicoGlobalNetworkPolicy, CalicoNetworkPolicy,
    CalicoStoredGlobalNetworkPolicy, CalicoStoredNetworkPolicy, Chosen,
    CiliumClusterwideNetworkPolicy, CiliumNetworkPolicy, ClusterNetworkPolicy, PluginPolicy,
    PluginRules, Ports,
};
use crate::kinds::{Kind, KindSet, Name, ObjectRef};
use crate::mesh::namespaces::Namespace;
use crate::mesh::workloads::{DataPlane, Mode, Workload};
use crate::mesh::{self, Mesh};
use crate::translate::network::admission::HBONE;

/// The check.
pub static CHECK: NetworkPluginPolicy = NetworkPluginPolicy;

/// The check's type.
#[derive(Debug)]
pub struct NetworkPluginPolicy;

static META: Meta = Meta {
    id: Id("AMB650"),
    slug: "network-plugin-policy",
    area: Area::Network,
    highest: Severity::Blocking,
    reads: mesh::WORKLOADS.and(KindSet::of(&[
        Kind::CiliumNetworkPolicy,
        Kind::CiliumClusterwideNetworkPolicy,
        Kind::CalicoNetworkPolicy,
        Kind::CalicoGlobalNetworkPolicy,
        Kind::CalicoStoredNetworkPolicy,
        Kind::CalicoStoredGlobalNetworkPolicy,
        Kind::AdminNetworkPolicy,
        Kind::BaselineAdminNetworkPolicy,
        Kind::ClusterNetworkPolicy,
    ])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb650_network_plugin_policy.md"),
};

impl Check for NetworkPluginPolicy {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        let mut policies = Vec::new();
        policies.extend(all::<CiliumNetworkPolicy>(mesh));
        policies.extend(all::<CiliumClusterwideNetworkPolicy>(mesh));
        policies.extend(calico::<CalicoNetworkPolicy, CalicoStoredNetworkPolicy>(
            mesh,
        ));
        policies.extend(calico::<
            CalicoGlobalNetworkPolicy,
            CalicoStoredGlobalNetworkPolicy,
        >(mesh));
        policies.extend(all::<AdminNetworkPolicy>(mesh));
        policies.extend(all::<BaselineAdminNetworkPolicy>(mesh));
        policies.extend(all::<ClusterNetworkPolicy>(mesh));
        for namespace in view.namespaces() {
            for policy in &policies {
                judge(view, namespace, policy, out);
            }
        }
        elsewhere(view, &policies, out);
    }
}

/// A policy of any of the kinds.
struct Policy<'a> {
    object: ObjectRef,
    rules: Vec<&'a PluginRules>,
}

fn all<T: Listed + PluginPolicy + 'static>(mesh: &Mesh) -> impl Iterator<Item = Policy<'_>> {
    mesh.all::<T>().iter().map(|policy| Policy {
        object: policy.reference(),
        rules: policy.rules().collect(),
    })
}

/// Calico's policies: as its API server has them, and what is only stored. The server shows what is stored
/// under the same name, that of the tier `default` without it, and NetworkPolicies of Kubernetes as `knp.…`.
fn calico<'a, Served, Stored>(mesh: &'a Mesh) -> impl Iterator<Item = Policy<'a>>
where
    Served: Listed + PluginPolicy + 'static,
    Stored: Listed + PluginPolicy + 'static,
{
    let key = |object: &ObjectRef| {
        let name = object.name.as_ref();
        let name = name.strip_prefix("default.").unwrap_or(name);
        (object.namespace.clone(), name.to_owned())
    };
    let served: Vec<Policy<'a>> = all::<Served>(mesh).collect();
    let known: BTreeSet<(Name, String)> = served.iter().map(|policy| key(&policy.object)).collect();
    let stored = all::<Stored>(mesh).filter(move |policy| !known.contains(&key(&policy.object)));
    served
        .into_iter()
        .chain(stored)
        .filter(|policy| !policy.object.name.starts_with("knp."))
}

impl<'a> Policy<'a> {
    /// The rules that are for pods of these, and these pods' workloads.
    fn hits(
        &self,
        namespace: &Namespace,
        workloads: &[&'a Workload],
    ) -> (Vec<&'a PluginRules>, Vec<&'a Workload>) {
        let home = &self.object.namespace;
        if !home.is_empty() && *home != namespace.name {
            return (Vec::new(), Vec::new());
        }
        let labels = namespace.labels_with_name();
        let chooses = |rules: &PluginRules, workload: &Workload| match &rules.chosen {
            Chosen::Undecided => true,
            Chosen::Nodes => false,
            Chosen::Pods { namespaces, pods } => {
                // Of a namespace that was not read, no more than the name is known.
                let in_namespace = namespace.labels.is_none() || namespaces.matches(&labels);
                in_namespace && pods.matches(&workload.labels)
            }
        };
        let mut rules = self.rules.clone();
        rules.retain(|rules| workloads.iter().any(|workload| chooses(rules, workload)));
        let mut chosen = workloads.to_vec();
        chosen.retain(|workload| rules.iter().any(|rules| chooses(rules, workload)));
        (rules, chosen)
    }
}

/// The workloads of a namespace whose connections a move changes, or has changed.
fn in_mesh<'a>(view: &View<'a>, namespace: &Name) -> Vec<&'a Workload> {
    let workloads = view.mesh.workloads_in(namespace).iter();
    let workloads = workloads.filter(|workload| !workload.host_network && !view.defers(workload));
    workloads
        .filter(|workload| may_have_sidecar(workload) || has_moved(workload))
        .collect()
}

fn has_moved(workload: &Workload) -> bool {
    workload.mode() == Mode::All(DataPlane::Ambient)
}

/// Says of a policy that it was not judged, and what of it a move may touch.
fn judge(view: &View<'_>, namespace: &Namespace, policy: &Policy<'_>, out: &mut Sink<'_>) {
    let (rules, workloads) = policy.hits(namespace, &in_mesh(view, &namespace.name));
    if workloads.is_empty() {
        return;
    }
    let who = names(&workloads);
    let any = |has: fn(&PluginRules) -> bool| rules.iter().any(|rules| has(rules));
    let (admitted, evidence) = if any(|rules| rules.judges_requests) {
        (
            false,
            format!(
                "it looks into requests, and in ambient mode the network sees only connections to TCP {HBONE}"
            ),
        )
    } else if any(|rules| rules.ports == Ports::Tunnel) {
        (
            true,
            format!(
                "it names TCP {HBONE} or the address of probes, whether for all that need it is not known"
            ),
        )
    } else if any(|rules| rules.ports == Ports::Others) {
        (
            false,
            format!(
                "it names ports, and not TCP {HBONE}, on which connections arrive in ambient mode"
            ),
        )
    } else {
        (
            false,
            format!(
                "it names nothing of TCP {HBONE}, on which connections arrive in ambient mode, or of a waypoint"
            ),
        )
    };
    let moves = workloads.iter().any(|workload| !has_moved(workload));
    let severity = if moves && !admitted {
        Severity::Blocking
    } else {
        Severity::Warning
    };
    let object = &policy.object;
    let place = match object.namespace.as_ref() {
        "" => String::new(),
        namespace => format!(" -n {namespace}"),
    };
    out.find(
        &namespace.name,
        severity,
        (object.clone(), field!["spec"]),
        format!("the network plugin applies it to {who}, and it is not judged here: {evidence}"),
        Remedy::command(
            format!(
                "see that it lets callers and waypoints connect to TCP {HBONE} of these pods, and these to TCP {HBONE} of what \
                 they call; then accept this finding"
            ),
            format!("kubectl get {} {}{place} -o yaml", object.kind.resource(), object.name),
        ),
    );
}

/// Policies of other namespaces by which pods there may not reach what moves: one finding, since nothing
/// says whom they call.
fn elsewhere(view: &View<'_>, policies: &[Policy<'_>], out: &mut Sink<'_>) {
    let mesh = view.mesh;
    let is_wide = |policy: &&Policy<'_>| {
        let home = &policy.object.namespace;
        let restricts = policy
            .rules
            .iter()
            .any(|rules| rules.restricts_egress && rules.ports != Ports::Tunnel);
        !home.is_empty()
            && restricts
            && !view.judges(home)
            && mesh
                .namespace(home)
                .is_some_and(|namespace| !policy.hits(namespace, &in_mesh(view, home)).1.is_empty())
    };
    let wide: Vec<&Policy<'_>> = policies.iter().filter(is_wide).collect();
    let Some(first) = wide.first() else {
        return;
    };
    let more = match wide.len() - 1 {
        0 => String::new(),
        1 => ", nor 1 policy more of other namespaces".to_owned(),
        more => format!(", nor {more} policies more of other namespaces"),
    };
    out.find_for_all(
        Severity::Warning,
        (first.object.clone(), field!["spec", "egress"]),
        format!("it limits what pods connect to, and is not judged here{more}: what they call in a namespace that moves, they reach only on TCP {HBONE}"),
        Remedy::person(format!("let callers of a namespace that moves connect to TCP {HBONE} of its pods and waypoints")),
    );
}
