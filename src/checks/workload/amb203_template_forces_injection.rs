//! AMB203: a pod template that asks for a sidecar itself, so that taking injection off the namespace
//! does not end it (`manifests/charts/istio-control/istio-discovery/templates/mutatingwebhook.yaml`:
//! in a namespace without a label, a pod's `istio.io/rev` or `sidecar.istio.io/inject: "true"` opts in).

use super::template_label;
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::Kind;
use crate::mesh::injection::{INJECT_LABEL, REVISION_LABEL};
use crate::mesh::workloads::{Role, Workload};
use crate::mesh::{self, namespaces::Namespace};
use crate::translate::enrolment::injected_without;

/// The check.
pub static CHECK: TemplateForcesInjection = TemplateForcesInjection;

/// The check's type.
#[derive(Debug)]
pub struct TemplateForcesInjection;

static META: Meta = Meta {
    id: Id("AMB203"),
    slug: "template-forces-injection",
    area: Area::Workload,
    highest: Severity::Change,
    reads: mesh::WORKLOADS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb203_template_forces_injection.md"),
};

impl Check for TemplateForcesInjection {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for namespace in view.namespaces() {
            for workload in view.mesh.workloads_in(&namespace.name) {
                if workload.role != Role::Application || !workload.has_template {
                    continue;
                }
                if let Some(revision) = injected_without(view.mesh, namespace, workload) {
                    report(namespace, workload, &revision, out);
                }
            }
        }
    }
}

fn report(namespace: &Namespace, workload: &Workload, revision: &str, out: &mut Sink<'_>) {
    let key = if workload
        .labels
        .get(REVISION_LABEL)
        .is_some_and(|rev| !rev.is_empty())
    {
        REVISION_LABEL
    } else {
        INJECT_LABEL
    };
    let value = workload.labels.get(key).unwrap_or_default();
    let object = &workload.object;
    let (severity, remedy) = if object.kind == Kind::Job {
        (
            Severity::Warning,
            Remedy::person(
                "the template of a Job cannot be changed: take the label out of what makes the Job, for its next run",
            ),
        )
    } else {
        (
            Severity::Change,
            Remedy::moved(format!(
                "the template gets `{INJECT_LABEL}: \"false\"` and loses `{REVISION_LABEL}`, which replaces its pods"
            )),
        )
    };
    out.find(
        &namespace.name,
        severity,
        (object.clone(), template_label(object.kind, key)),
        format!(
            "the pod template asks for a sidecar itself ({key}={value}): without injection on the namespace, new pods \
             of {} would still get one of revision {revision} and stay out of ambient mode",
            object.short()
        ),
        remedy,
    );
}
