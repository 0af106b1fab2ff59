//! AMB350: a policy that finds its pods by a label which the injector writes. The pods lose it together
//! with their sidecars, and the policy then applies to nothing.
//!
//! Source: `pkg/kube/inject/template.go` and `pkg/model/proxy.go` (`CanonicalSeries`).

use super::names;
use crate::checks::workload::may_have_sidecar;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::inventory::Listed;
use crate::kinds::authorization::{
    AuthorizationPolicy, PeerAuthentication, PolicySelector, RequestAuthentication,
};
use crate::kinds::envoy_extension::{Telemetry, WasmPlugin};
use crate::kinds::path::field;
use crate::kinds::{Kind, KindSet, Labels, Name};
use crate::mesh::workloads::{Role, Workload};
use crate::mesh::{self, Mesh};
use crate::semantics::authorization::is_dry_run;

/// The check.
pub static CHECK: SelectorBySidecarLabels = SelectorBySidecarLabels;

/// The check's type.
#[derive(Debug)]
pub struct SelectorBySidecarLabels;

static META: Meta = Meta {
    id: Id("AMB350"),
    slug: "selector-by-sidecar-labels",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: mesh::WORKLOADS.and(mesh::MESH_CONFIG).and(KindSet::of(&[
        Kind::AuthorizationPolicy,
        Kind::RequestAuthentication,
        Kind::PeerAuthentication,
        Kind::WasmPlugin,
        Kind::Telemetry,
    ])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb350_selector_by_sidecar_labels.md"),
};

impl Check for SelectorBySidecarLabels {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let severe = Severity::Blocking;
        look::<AuthorizationPolicy>(view, severe, out, |p| p.spec.selector.as_ref());
        look::<RequestAuthentication>(view, severe, out, |p| p.spec.selector.as_ref());
        look::<PeerAuthentication>(view, severe, out, |p| p.spec.selector.as_ref());
        look::<WasmPlugin>(view, severe, out, |p| p.spec.selector.as_ref());
        look::<Telemetry>(view, Severity::Warning, out, |p| p.spec.selector.as_ref());
    }
}

/// The labels that the injector gives to a pod that lacks them, each with the labels that it takes the
/// value from (`pkg/model/proxy.go`, `CanonicalSeries`).
const INJECTED: [(&str, [&str; 2]); 2] = [
    ("service.istio.io/canonical-name", ["app.kubernetes.io/name", "app"]),
    ("service.istio.io/canonical-revision", ["app.kubernetes.io/version", "version"]),
];

/// Whether the pods of a workload have a label only as long as they have a sidecar.
fn is_injected(workload: &Workload, key: &str, value: &str) -> bool {
    let Some((_, sources)) = INJECTED.iter().find(|(injected, _)| *injected == key) else {
        return false;
    };
    let given = sources.iter().find_map(|source| workload.labels.get(source));
    let default = if key.ends_with("name") { &*workload.object.name } else { "latest" };
    workload.labels.get(key).is_none() && given.unwrap_or(default) == value
}

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
            let Some((key, _)) = INJECTED.iter().find(|(key, _)| wanted.get(key).is_some()) else {
                continue;
            };
            let who = meant(mesh, name, wanted);
            let meta = policy.value.meta();
            if who.is_empty() || is_dry_run(meta) {
                continue;
            }
            out.find(
                name,
                severity,
                (policy.value.reference(), field!["spec", "selector"]),
                format!(
                    "its selector asks for {key}, which pods get together with a sidecar: without one it would not apply \
                     to {}",
                    names(&who)
                ),
                Remedy::command(
                    "select by a label of the pod template, or give the template this one",
                    format!(
                        "kubectl edit {} {} -n {}",
                        T::KIND.resource(),
                        meta.name,
                        meta.namespace
                    ),
                ),
            );
        }
    }
}

/// The applications with sidecars that a selector finds by such a label.
fn meant<'a>(mesh: &'a Mesh, namespace: &Name, wanted: &Labels) -> Vec<&'a Workload> {
    let found = |workload: &&Workload| {
        let mut injected = false;
        let all = wanted.iter().all(|(key, value)| {
            workload.labels.has(key, value) || {
                injected = true;
                is_injected(workload, key, value)
            }
        });
        all && injected && workload.role == Role::Application && may_have_sidecar(workload)
    };
    mesh.workloads_in(namespace).iter().filter(found).collect()
}
