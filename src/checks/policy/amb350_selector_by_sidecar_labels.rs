//! AMB350: what finds its pods by a label that they lose together with their sidecars, or that the move
//! itself changes: a policy then applies to nothing, a NetworkPolicy isolates nobody, a Service leads
//! nowhere, and the API server refuses the template of a controller.

use super::names;
use super::relabelled::{Changing, Relabelled};
use crate::checks::workload::may_have_sidecar;
use crate::checks::{self, Area, Check, Id, Remedy, Severity, Sink, View};
use crate::inventory::Listed;
use crate::kinds::authorization::{
    AuthorizationPolicy, PeerAuthentication, PolicySelector, RequestAuthentication,
};
use crate::kinds::envoy_extension::{Telemetry, TrafficExtension, WasmPlugin};
use crate::kinds::network_policy::{Direction, NetworkPolicy};
use crate::kinds::path::field;
use crate::kinds::selector::contains;
use crate::kinds::service::Service;
use crate::kinds::workload::{DaemonSet, Deployment, ReplicaSet, Rollout, StatefulSet};
use crate::kinds::{FieldPath, Kind, KindSet, LabelSelector, Meta, Name, ObjectRef, Resource};
use crate::mesh::workloads::{Role, Workload};
use crate::mesh::{self, Mesh};
use crate::semantics::authorization::is_dry_run;

/// The check.
pub static CHECK: SelectorBySidecarLabels = SelectorBySidecarLabels;

/// The check's type.
#[derive(Debug)]
pub struct SelectorBySidecarLabels;

static META: checks::Meta = checks::Meta {
    id: Id("AMB350"),
    slug: "selector-by-sidecar-labels",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: mesh::WORKLOADS.and(mesh::MESH_CONFIG).and(KindSet::of(&[
        Kind::AuthorizationPolicy,
        Kind::RequestAuthentication,
        Kind::PeerAuthentication,
        Kind::WasmPlugin,
        Kind::TrafficExtension,
        Kind::Telemetry,
        Kind::NetworkPolicy,
        Kind::Service,
    ])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb350_selector_by_sidecar_labels.md"),
};

impl Check for SelectorBySidecarLabels {
    fn meta(&self) -> &'static checks::Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let severe = Severity::Blocking;
        look::<AuthorizationPolicy>(view, severe, out, |p| p.spec.selector.as_ref());
        look::<RequestAuthentication>(view, severe, out, |p| p.spec.selector.as_ref());
        look::<PeerAuthentication>(view, severe, out, |p| p.spec.selector.as_ref());
        look::<WasmPlugin>(view, severe, out, |p| p.spec.selector.as_ref());
        look::<TrafficExtension>(view, severe, out, |p| p.spec.selector.as_ref());
        look::<Telemetry>(view, Severity::Warning, out, |p| p.spec.selector.as_ref());
        network(view, out);
        services(view, out);
        controllers(view, out);
    }
}

/// What a person can do who selects by such a label.
const KEPT: &str = "select by labels that the pod template has and keeps";

/// Reports the policies of one kind that find their pods by such a label.
fn look<T: Listed>(
    view: &View<'_>,
    severity: Severity,
    out: &mut Sink<'_>,
    selector: impl Fn(&T) -> Option<&PolicySelector>,
) {
    let mesh = view.mesh;
    let root = mesh.root_namespace();
    for namespace in view.namespaces() {
        let name = &namespace.name;
        let homes: &[&Name] = if name == root { &[name] } else { &[name, root] };
        for policy in homes.iter().flat_map(|home| mesh.within::<T>(home)) {
            let Some(wanted) = selector(&policy.value).map(|selector| &selector.match_labels)
            else {
                continue;
            };
            let Some(label) = Changing::in_policy(wanted) else {
                continue;
            };
            let mut who = moving(view, name);
            who.retain(|it| contains(&it.before, wanted) && !contains(&it.marked(), wanted));
            let meta = policy.value.meta();
            if who.is_empty() || is_dry_run(meta) {
                continue;
            }
            let (then, text) = if label.is_injected() {
                (
                    "without one it would not apply to",
                    "select by a label of the pod template, or give the template this one",
                )
            } else {
                ("it would not apply to", KEPT)
            };
            let says = format!(
                "its selector asks for {}, {}: {then} {}",
                label.key,
                label.why,
                named(&who)
            );
            let at = (policy.value.reference(), field!["spec", "selector"]);
            out.find(name, severity, at, says, edit::<T>(text, meta));
        }
    }
}

/// The applications of a namespace that have sidecars and do not keep them, with their labels.
fn moving<'a>(view: &View<'a>, namespace: &Name) -> Vec<Relabelled<'a>> {
    let workloads = view.mesh.workloads_in(namespace).iter();
    workloads
        .filter(|it| it.role == Role::Application && !it.host_network && may_have_sidecar(it))
        .filter(|it| !view.defers(it))
        .map(Relabelled::of)
        .collect()
}

fn named(who: &[Relabelled<'_>]) -> String {
    let workloads: Vec<&Workload> = who.iter().map(|it| it.workload).collect();
    names(&workloads)
}

fn edit<T: Listed>(text: &str, meta: &Meta) -> Remedy {
    let resource = T::KIND.resource();
    Remedy::command(
        text,
        format!(
            "kubectl edit {resource} {} -n {}",
            meta.name, meta.namespace
        ),
    )
}

/// What a selector of Kubernetes finds before a move and not after it, or the other way round.
struct Difference {
    label: Changing,
    /// Whom it finds no more.
    lost: String,
    /// Whom it begins to find.
    won: String,
}

impl Difference {
    fn of(selector: &LabelSelector, who: &[Relabelled<'_>]) -> Option<Self> {
        let label = Changing::in_selector(selector)?;
        let among = |wanted: (bool, bool)| {
            let found = who.iter().map(|it| it.workload);
            let found = found.zip(who).filter(|(_, it)| {
                (selector.matches(&it.before), selector.matches(&it.after)) == wanted
            });
            let found: Vec<&Workload> = found.map(|(workload, _)| workload).collect();
            if found.is_empty() {
                String::new()
            } else {
                names(&found)
            }
        };
        let (lost, won) = (among((true, false)), among((false, true)));
        (!lost.is_empty() || !won.is_empty()).then_some(Self { label, lost, won })
    }

    /// In words: what it does not do any more, and what it begins to do.
    fn says(&self, subject: &str, not: &str, begins: &str) -> String {
        let Self { label, lost, won } = self;
        let then = match (lost.as_str(), won.as_str()) {
            (lost, "") => format!("{not} {lost}"),
            ("", won) => format!("{begins} {won}"),
            (lost, won) => format!("{not} {lost}, and {begins} {won}"),
        };
        format!(
            "{subject} asks for {}, {}: it would {then}",
            label.key, label.why
        )
    }
}

/// NetworkPolicies that select pods by such a label: those that they isolate, those that they admit.
fn network(view: &View<'_>, out: &mut Sink<'_>) {
    let mesh = view.mesh;
    for namespace in view.namespaces() {
        let name = &namespace.name;
        let who = moving(view, name);
        let labels = namespace.labels_with_name();
        for policy in mesh.all::<NetworkPolicy>() {
            let home = policy.metadata.namespace == *name;
            let mut report = |field: FieldPath, says: String| {
                let remedy = edit::<NetworkPolicy>(KEPT, &policy.metadata);
                out.find(
                    name,
                    Severity::Blocking,
                    (policy.reference(), field),
                    says,
                    remedy,
                );
            };
            if home && let Some(found) = Difference::of(&policy.spec.pod_selector, &who) {
                let says = found.says("its podSelector", "not isolate", "begin to isolate");
                report(field!["spec", "podSelector"], says);
            }
            for (direction, rules, peers) in [
                (Direction::Ingress, "ingress", "from"),
                (Direction::Egress, "egress", "to"),
            ] {
                for (i, rule) in policy.spec.rules(direction).iter().enumerate() {
                    for (j, peer) in rule.peers.iter().enumerate() {
                        let here = peer
                            .namespace_selector
                            .as_ref()
                            .map_or(home, |selector| selector.matches(&labels));
                        let selector = peer.pod_selector.as_ref().filter(|_| here);
                        let found = selector.and_then(|it| Difference::of(it, &who));
                        if let Some(found) = found {
                            let says = found.says("a rule", "not admit", "begin to admit");
                            report(field!["spec", rules, i, peers, j, "podSelector"], says);
                        }
                    }
                }
            }
        }
    }
}

/// Services that find their pods by such a label.
fn services(view: &View<'_>, out: &mut Sink<'_>) {
    let mesh = view.mesh;
    for namespace in view.namespaces() {
        let who = moving(view, &namespace.name);
        for service in mesh.within::<Service>(&namespace.name) {
            let selector = LabelSelector {
                match_labels: service.spec.selector.clone(),
                ..LabelSelector::default()
            };
            if let Some(found) = Difference::of(&selector, &who) {
                out.find(
                    &namespace.name,
                    Severity::Blocking,
                    (service.reference(), field!["spec", "selector"]),
                    found.says("its selector", "not lead to", "begin to lead to"),
                    edit::<Service>(KEPT, &service.metadata),
                );
            }
        }
    }
}

/// Controllers whose own selector, which nobody can change, asks for a label of the template that a move
/// changes: the API server takes no template that the selector does not match.
fn controllers(view: &View<'_>, out: &mut Sink<'_>) {
    for namespace in view.namespaces() {
        for it in moving(view, &namespace.name) {
            let object = &it.workload.object;
            let Some(selector) = selector_of(view.mesh, object) else {
                continue;
            };
            let Some(label) = Changing::in_selector(selector) else {
                continue;
            };
            let template = &it.workload.labels;
            if !selector.matches(template) || selector.matches(&it.after) {
                continue;
            }
            out.find(
                &namespace.name,
                Severity::Blocking,
                (object.clone(), field!["spec", "selector"]),
                format!(
                    "its selector asks for {}, {}: the API server would refuse the template, which must have what \
                     the selector asks for",
                    label.key, label.why
                ),
                Remedy::person(format!(
                    "a selector cannot be changed: make {} anew under another name, with a selector of other labels, or \
                     keep it in sidecar mode",
                    object.short()
                )),
            );
        }
    }
}

/// The selector of a controller.
fn selector_of<'a>(mesh: &'a Mesh, object: &ObjectRef) -> Option<&'a LabelSelector> {
    let (home, name) = (&object.namespace, &object.name);
    match object.kind {
        Kind::Deployment => mesh
            .named::<Deployment>(home, name)
            .map(|it| &it.spec.selector),
        Kind::StatefulSet => mesh
            .named::<StatefulSet>(home, name)
            .map(|it| &it.spec.selector),
        Kind::DaemonSet => mesh
            .named::<DaemonSet>(home, name)
            .map(|it| &it.spec.selector),
        Kind::ReplicaSet => mesh
            .named::<ReplicaSet>(home, name)
            .map(|it| &it.spec.selector),
        Kind::Rollout => mesh
            .named::<Rollout>(home, name)
            .map(|it| &it.spec.selector),
        _ => None,
    }
}
