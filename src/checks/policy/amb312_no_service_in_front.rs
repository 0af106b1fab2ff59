//! AMB312: a workload under a policy that only a waypoint can enforce, and no Service through whose
//! address callers would come: nothing can be bound to a waypoint for it.
//!
//! Source: istio.io, ambient/usage/waypoint (traffic addressed to pods and to headless Services passes
//! by a waypoint for Services); `pilot/pkg/serviceregistry/ambient/waypoints.go`.

use super::{ENFORCED, Enforced, Fate, enforced_in, lost, names, widened};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::checks::workload::may_have_sidecar;
use crate::kinds::authorization::{Action, AuthorizationPolicy};
use crate::kinds::path::field;
use crate::kinds::{Name, Resource};
use crate::mesh::Mesh;
use crate::mesh::workloads::{Role, Workload};
use crate::semantics::authorization::is_dry_run;

/// The check.
pub static CHECK: NoServiceInFront = NoServiceInFront;

/// The check's type.
#[derive(Debug)]
pub struct NoServiceInFront;

static META: Meta = Meta {
    id: Id("AMB312"),
    slug: "no-service-in-front",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: ENFORCED,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb312_no_service_in_front.md"),
};

impl Check for NoServiceInFront {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for enforced in enforced_in(view) {
            if enforced.reach.alone.is_empty() {
                continue;
            }
            let spec = &enforced.policy.spec;
            let wider = widened(spec).into_iter().filter(|_| spec.action == Action::Deny);
            for fate in lost(spec).into_iter().chain(wider) {
                report(&enforced, &fate, view.mesh, out);
            }
        }
        by_labels_of_sidecars(view, out);
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

/// Reports policies that find their pods by a label which the pods lose with their sidecars.
fn by_labels_of_sidecars(view: &View<'_>, out: &mut Sink<'_>) {
    let mesh = view.mesh;
    let root = mesh.root_namespace();
    for namespace in view.namespaces() {
        let name = &namespace.name;
        let homes: &[&Name] = if name == root { &[name] } else { &[name, root] };
        for policy in homes.iter().flat_map(|home| mesh.within::<AuthorizationPolicy>(home)) {
            let Some(wanted) = policy.spec.selector.as_ref().map(|s| &s.match_labels) else {
                continue;
            };
            let named = INJECTED.iter().find(|(key, _)| wanted.get(key).is_some());
            let Some((key, _)) = named.filter(|_| !is_dry_run(&policy.metadata)) else {
                continue;
            };
            let meant = |workload: &&Workload| {
                let has = |key: &str, value: &str| workload.labels.has(key, value);
                let mut injected = false;
                let all = wanted.pairs().iter().all(|(key, value)| {
                    has(key, value) || {
                        injected = true;
                        is_injected(workload, key, value)
                    }
                });
                all && injected && workload.role == Role::Application && may_have_sidecar(workload)
            };
            let who: Vec<&Workload> = mesh.workloads_in(name).iter().filter(meant).collect();
            if who.is_empty() {
                continue;
            }
            let meta = &policy.metadata;
            out.find(
                name,
                Severity::Blocking,
                (policy.reference(), field!["spec", "selector"]),
                format!(
                    "its selector asks for {key}, which pods get together with a sidecar: without one the policy would not \
                     apply to {}",
                    names(&who)
                ),
                Remedy::command(
                    "select by a label of the pod template, or give the template this one",
                    format!("kubectl edit authorizationpolicy {} -n {}", meta.name, meta.namespace),
                ),
            );
        }
    }
}

/// Reports the workloads that nothing selects and those that only headless Services do; those that
/// the policy means with more weight than those that run and end, or that it reaches with all others.
fn report(enforced: &Enforced<'_>, fate: &Fate, mesh: &Mesh, out: &mut Sink<'_>) {
    let alone = || enforced.reach.alone.iter().copied();
    for meant in [true, false] {
        for headless in [false, true] {
            let who: Vec<&Workload> = alone()
                .filter(|workload| (enforced.reach.by_selector && !workload.runs_to_completion()) == meant)
                .filter(|workload| mesh.services_of(workload).next().is_some() == headless)
                .collect();
            if who.is_empty() {
                continue;
            }
            let (front, remedy) = if headless {
                (
                    "only headless Services lead to it, whose callers pass by a waypoint for Services",
                    "give it a Service with an address that its callers use, say the rule by identities, or leave it in sidecar mode",
                )
            } else {
                (
                    "no Service leads to it at which a waypoint could judge",
                    "give it a Service that its callers use, say the rule by identities, or leave it in sidecar mode",
                )
            };
            let severity = if meant { Severity::Blocking } else { Severity::Warning };
            let Fate { fact, subject, verb, .. } = fate;
            out.find(
                enforced.namespace,
                severity,
                (enforced.policy.reference(), fate.at.clone()),
                format!("{fact}; {subject} would be {verb} at {}, and {front}", names(&who)),
                Remedy::person(remedy),
            );
        }
    }
}
