//! AMB223: what a restart does not reach, or reaches at a price. A pod keeps its sidecar until it is
//! replaced, and not every controller replaces pods when their template changes (Kubernetes:
//! `updateStrategy` of StatefulSets and DaemonSets, `paused`). The restart of the guide covers
//! Deployments only (istio.io, Enable ambient mode). For bursts of 503: istio/istio#58514.

use std::collections::HashMap;

use super::{in_words, may_have_sidecar, resource_argument, template_path};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::disruption_budget::{BudgetSpec, PodDisruptionBudget};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, IntOrString, Kind, KindSet, Name, ObjectRef, Resource};
use crate::mesh::workloads::{Role, Workload};
use crate::mesh::{self, Mesh};

/// The check.
pub static CHECK: PodsNotReplaced = PodsNotReplaced;

/// The check's type.
#[derive(Debug)]
pub struct PodsNotReplaced;

static META: Meta = Meta {
    id: Id("AMB223"),
    slug: "pods-not-replaced",
    area: Area::Workload,
    highest: Severity::Blocking,
    reads: mesh::BACKING.and(KindSet::of(&[Kind::PodDisruptionBudget])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb223_pods_not_replaced.md"),
};

impl Check for PodsNotReplaced {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        for namespace in view.namespaces() {
            let name = &namespace.name;
            let budgets = Budgets::of(mesh, name);
            let mut left = Left::default();
            let mut abrupt = Vec::new();
            for workload in mesh.workloads_in(name).iter().filter(|w| is_replaced(w)) {
                let found = held_back(workload).or_else(|| costly(mesh, workload, &budgets));
                if let Some(found) = found {
                    found.report(name, workload, out);
                } else {
                    left.add(mesh, workload);
                }
                if is_abrupt(mesh, workload) {
                    abrupt.push(workload);
                }
            }
            left.report(name, out);
            without_pre_stop(name, &abrupt, out);
        }
    }
}

/// Whether a move would have to replace pods of it.
fn is_replaced(workload: &Workload) -> bool {
    let empty = workload.replicas == Some(0) && workload.pod_count() == 0;
    workload.role == Role::Application && may_have_sidecar(workload) && !empty
}

/// What is to be said of one workload.
struct Found {
    severity: Severity,
    field: FieldPath,
    message: String,
    remedy: Remedy,
}

impl Found {
    fn report(self, namespace: &Name, workload: &Workload, out: &mut Sink<'_>) {
        let at = (workload.object.clone(), self.field);
        out.find(namespace, self.severity, at, self.message, self.remedy);
    }
}

fn patch(object: &ObjectRef, spec: &str) -> String {
    format!(
        r#"kubectl patch {} {} -n {} --type=merge -p '{{"spec":{spec}}}'"#,
        resource_argument(object.kind),
        object.name,
        object.namespace
    )
}

/// Controllers that keep their pods when the template changes.
fn held_back(workload: &Workload) -> Option<Found> {
    let object = &workload.object;
    let name = object.short();
    let blocking = |field, message, remedy| {
        Some(Found {
            severity: Severity::Blocking,
            field,
            message,
            remedy,
        })
    };
    let strategy = &workload.update_strategy;
    let partition = match strategy.rolling_update.partition {
        Some(IntOrString::Int(partition)) if partition > 0 => Some(partition),
        _ => None,
    };
    match (object.kind, partition) {
        (Kind::StatefulSet | Kind::DaemonSet, _) if strategy.kind == "OnDelete" => blocking(
            field!["spec", "updateStrategy", "type"],
            format!(
                "{name} replaces a pod only when somebody deletes it: its pods would keep their sidecars"
            ),
            Remedy::command(
                "let it replace its pods by itself, at least for the move",
                patch(object, r#"{"updateStrategy":{"type":"RollingUpdate"}}"#),
            ),
        ),
        (Kind::StatefulSet, Some(partition)) => blocking(
            field!["spec", "updateStrategy", "rollingUpdate", "partition"],
            format!(
                "{name} replaces only pods with an ordinal of {partition} or more: the others would keep their sidecars"
            ),
            Remedy::command(
                "let it replace all its pods",
                patch(
                    object,
                    r#"{"updateStrategy":{"rollingUpdate":{"partition":0}}}"#,
                ),
            ),
        ),
        _ if workload.paused => blocking(
            field!["spec", "paused"],
            format!(
                "{name} is paused: a change to its template would wait, and its pods keep their sidecars"
            ),
            Remedy::command("let it go on", patch(object, r#"{"paused":false}"#)),
        ),
        (Kind::ReplicaSet, _) if workload.has_template => blocking(
            FieldPath::root(),
            format!(
                "{name} has no Deployment above it and replaces no pod when its template changes: its pods would keep their sidecars"
            ),
            Remedy::person("let a Deployment take it over"),
        ),
        _ => None,
    }
}

/// Controllers that do replace their pods, at a price that their owner should know before.
fn costly(mesh: &Mesh, workload: &Workload, budgets: &Budgets) -> Option<Found> {
    let served = mesh.services_of(workload).next().is_some();
    let object = &workload.object;
    let name = object.short();
    let warning = |field, message, text: &str| {
        let remedy = Remedy::person(text);
        Some(Found {
            severity: Severity::Warning,
            field,
            message,
            remedy,
        })
    };
    match object.kind {
        Kind::Rollout => warning(
            field!["spec", "strategy"],
            format!(
                "{name} replaces its pods by its own steps: the move waits for its pauses and analyses, with pods of both modes behind one Service"
            ),
            "choose a time at which somebody can promote it",
        ),
        Kind::Deployment if served && workload.update_strategy.kind == "Recreate" => warning(
            field!["spec", "strategy", "type"],
            format!(
                "{name} stops all its pods before it starts new ones: it does not answer while it is switched"
            ),
            "choose a time at which that is acceptable",
        ),
        Kind::StatefulSet | Kind::DaemonSet => {
            if let Some(budget) = budgets.strict.get(object) {
                return warning(
                    template_path(object.kind),
                    format!(
                        "{} allows none of the pods of {name} to be down, and a restart does not ask it: they are stopped one \
                         after the other",
                        budget.short()
                    ),
                    "see that the others carry the load while one is replaced",
                );
            }
            if served && object.kind == Kind::StatefulSet && workload.replicas == Some(1) {
                return warning(
                    field!["spec", "replicas"],
                    format!(
                        "{name} has a single pod, which stops before the new one starts: it does not answer while it is switched"
                    ),
                    "choose a time at which that is acceptable",
                );
            }
            None
        }
        _ => None,
    }
}

/// The PodDisruptionBudgets of a namespace that allow no pod of a workload to be down.
struct Budgets {
    strict: HashMap<ObjectRef, ObjectRef>,
}

impl Budgets {
    fn of(mesh: &Mesh, namespace: &Name) -> Self {
        let mut strict = HashMap::new();
        for budget in mesh.within::<PodDisruptionBudget>(namespace) {
            let Some(selector) = &budget.spec.selector else {
                continue;
            };
            for workload in mesh.selected(namespace, &selector.match_labels) {
                if selector.matches(&workload.labels)
                    && allows_none(&budget.spec, workload.replicas)
                {
                    strict
                        .entry(workload.object.clone())
                        .or_insert_with(|| budget.reference());
                }
            }
        }
        Self { strict }
    }
}

fn allows_none(budget: &BudgetSpec, replicas: Option<u32>) -> bool {
    match (&budget.max_unavailable, &budget.min_available) {
        (Some(IntOrString::Int(max)), _) => *max == 0,
        (Some(IntOrString::String(max)), _) => max == "0%",
        (None, Some(IntOrString::Int(min))) => {
            replicas.is_some_and(|replicas| *min >= i64::from(replicas))
        }
        (None, Some(IntOrString::String(min))) => min == "100%",
        (None, None) => false,
    }
}

/// Pods that nobody replaces during a move: with them the namespace keeps sidecars.
#[derive(Default)]
struct Left<'a> {
    bare: Vec<&'a ObjectRef>,
    finite: Vec<&'a ObjectRef>,
    foreign: Vec<(&'a ObjectRef, String)>,
}

impl<'a> Left<'a> {
    fn add(&mut self, mesh: &Mesh, workload: &'a Workload) {
        let object = &workload.object;
        match object.kind {
            Kind::Job | Kind::CronJob if workload.pod_count() > 0 => self.finite.push(object),
            Kind::Pod | Kind::ReplicaSet if !workload.has_template => {
                let pod = mesh.pods(workload).next();
                match pod.and_then(|pod| pod.metadata.owner.as_ref()) {
                    None => self.bare.push(object),
                    Some(owner) => {
                        self.foreign
                            .push((object, format!("{}/{}", owner.kind, owner.name)));
                    }
                }
            }
            _ => {}
        }
    }

    fn report(&self, namespace: &Name, out: &mut Sink<'_>) {
        let mut warn = |objects: &[&ObjectRef], message: String, text: &str| {
            if let Some(first) = objects.first() {
                let at = ((*first).clone(), FieldPath::root());
                out.find(
                    namespace,
                    Severity::Warning,
                    at,
                    message,
                    Remedy::person(text),
                );
            }
        };
        let bare = in_words(&self.bare);
        warn(
            &self.bare,
            format!(
                "nobody makes {bare} again when deleted: the move leaves bare pods alone, and the namespace keeps their sidecars"
            ),
            "delete and create them again once the namespace no longer injects, or have the move delete them with --delete-bare-pods",
        );
        let finite = in_words(&self.finite);
        warn(
            &self.finite,
            format!("pods of {finite} keep the sidecar they were made with until they end"),
            "wait for their end before the move, or count on sidecars in the namespace until then",
        );
        let objects: Vec<&ObjectRef> = self.foreign.iter().map(|(object, _)| *object).collect();
        if let Some((_, owner)) = self.foreign.first() {
            let pods = in_words(&objects);
            warn(
                &objects,
                format!(
                    "the pod template behind {pods} ({owner}) is not read: whether and how its pods are replaced is not known"
                ),
                "have them replaced by what made them, once the namespace no longer injects",
            );
        }
    }
}

/// Whether its pods stop serving at once when they are told to stop.
fn is_abrupt(mesh: &Mesh, workload: &Workload) -> bool {
    let serves = matches!(
        workload.object.kind,
        Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet | Kind::Rollout
    );
    let mut containers = workload.containers.iter();
    serves
        && !workload.containers.is_empty()
        && !containers.any(|container| container.lifecycle.pre_stop)
        && mesh.services_of(workload).next().is_some()
}

/// One finding for all of a namespace, since it holds for most workloads.
fn without_pre_stop(namespace: &Name, workloads: &[&Workload], out: &mut Sink<'_>) {
    let Some(first) = workloads.first() else {
        return;
    };
    let objects: Vec<&ObjectRef> = workloads.iter().map(|workload| &workload.object).collect();
    let (have, their) = if objects.len() == 1 {
        ("has", "its")
    } else {
        ("have", "their")
    };
    out.find(
        namespace,
        Severity::Info,
        (
            first.object.clone(),
            template_path(first.object.kind).then("spec").then("containers"),
        ),
        format!(
            "{} {have} no preStop hook: in ambient mode requests may fail with 503 for a moment when {their} pods are \
             replaced",
            in_words(&objects)
        ),
        Remedy::person("let containers wait some seconds before they stop, so that callers learn of it first"),
    );
}
