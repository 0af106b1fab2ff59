//! What enrols a namespace: its labels, and the templates of its workloads.
//!
//! Where only identities matter, the namespace is labelled and its pods are restarted without
//! injection. Where a waypoint judges requests, each workload is switched by its own template, so
//! that the mode of every pod is a function of its own labels and a guard can select by it
//! (`pkg/kube/inject/inject.go`, `injectRequired`: a pod's own `sidecar.istio.io/inject` goes before
//! the namespace's label).

use serde_json::{Value, json};

use super::fidelity::{Remark, Weight};
use super::{Draft, Ground, Phase, Topic};
use crate::kinds::{FieldPath, Kind, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::injection::{
    INJECT_LABEL, INJECTION_LABEL, Injection, NamespaceInjection, REVISION_LABEL,
};
use crate::mesh::namespaces::{DATA_PLANE_LABEL, Namespace};
use crate::mesh::workloads::{Role, Workload};

/// How the workloads of a namespace are switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    /// With the namespace's injection.
    Namespace,
    /// One by one, by their templates.
    Templates,
}

/// How the workloads of a namespace are switched.
pub(crate) fn switch(ground: &Ground<'_>, namespace: &Name) -> Switch {
    let judged = !ground.waypoints.of_namespace(namespace).is_empty();
    let mut deferred = ground.options.deferred.iter();
    if judged || deferred.any(|(home, _)| home == namespace) || asks_itself(ground, namespace) {
        Switch::Templates
    } else {
        Switch::Namespace
    }
}

/// Whether a template of a namespace asks for sidecars itself, so that its pods get them whatever the
/// namespace says.
fn asks_itself(ground: &Ground<'_>, namespace: &Name) -> bool {
    let mesh = ground.mesh;
    let Some(known) = mesh.namespace(namespace) else {
        return false;
    };
    let mut workloads = mesh.workloads_in(namespace).iter();
    workloads.any(|workload| {
        workload.role == Role::Application
            && workload.has_template
            && workload.object.kind != Kind::Job
            && injected_without(mesh, known, workload).is_some()
    })
}

/// The revision of the sidecar that pods of a workload would still get if their namespace injected none.
///
/// `istio-injection` set to anything but `enabled` keeps every pod out. Where unlabelled namespaces are
/// injected, the move leaves that label behind.
pub(crate) fn injected_without(
    mesh: &Mesh,
    namespace: &Namespace,
    workload: &Workload,
) -> Option<String> {
    let injectors = mesh.injectors();
    if injectors.by_default || namespace.injection == NamespaceInjection::Off {
        return None;
    }
    let afterwards = injectors.decide(
        &namespace.name,
        &NamespaceInjection::Unlabelled,
        &workload.labels,
        &workload.annotations,
        workload.host_network,
    );
    match afterwards {
        Injection::Injected(revision) => Some(revision),
        _ => None,
    }
}

/// Whether a workload keeps its sidecars.
fn is_deferred(ground: &Ground<'_>, workload: &Workload) -> bool {
    let object = &workload.object;
    let name = (object.namespace.clone(), object.name.clone());
    ground.options.deferred.contains(&name)
}

pub(super) fn translate(ground: &Ground<'_>, draft: &mut Draft) {
    for name in ground.namespaces {
        let Some(namespace) = ground.mesh.namespace(name) else {
            continue;
        };
        let moving: Vec<&Workload> = ground
            .mesh
            .workloads_in(name)
            .iter()
            .filter(|workload| workload.role == Role::Application && has_or_gets_sidecar(workload))
            .collect();
        label(ground, namespace, draft);
        if switch(ground, name) == Switch::Templates {
            for workload in &moving {
                template(ground, workload, draft);
            }
        }
        let held: Vec<&Workload> = moving
            .into_iter()
            .filter(|workload| is_deferred(ground, workload))
            .collect();
        injection(ground, namespace, &held, draft);
    }
}

fn has_or_gets_sidecar(workload: &Workload) -> bool {
    workload.has_sidecar() || !matches!(workload.injection, Injection::NotInjected)
}

/// The namespace is enrolled.
fn label(ground: &Ground<'_>, namespace: &Namespace, draft: &mut Draft) {
    let object = namespace.reference();
    draft.look(&object);
    if namespace.ambient() == Some(true) {
        return;
    }
    let patch = json!({"metadata": {"labels": {DATA_PLANE_LABEL: "ambient"}}});
    if ground.mesh.inventory().objects.origin(&object).is_some() {
        draft.patch(Phase::Enrol, &object, patch, &[]);
        return;
    }
    absent(
        draft,
        &object,
        FieldPath::label(DATA_PLANE_LABEL),
        "the namespace is not in the input, and has to be enrolled",
        format!(
            "when the waypoints are ready: kubectl label namespace {} {DATA_PLANE_LABEL}=ambient",
            namespace.name
        ),
    );
}

/// Something that has to change is not in the input.
fn absent(draft: &mut Draft, object: &ObjectRef, field: FieldPath, says: &str, remedy: String) {
    let remark = Remark::new(Topic::NotInInput, Weight::Stated, field, says);
    draft.remark(object, remark.remedy(remedy));
}

/// A workload is switched by its template.
fn template(ground: &Ground<'_>, workload: &Workload, draft: &mut Draft) {
    let object = &workload.object;
    draft.look(object);
    if is_deferred(ground, workload) {
        let says = "keeps its sidecars, as asked for with --defer";
        let remark = Remark::new(Topic::Guard, Weight::Kept, FieldPath::root(), says);
        draft.remark(object, remark);
        return;
    }
    let labels = json!({"metadata": {"labels": {INJECT_LABEL: "false", REVISION_LABEL: null}}});
    let patch: Value = match object.kind {
        Kind::Deployment
        | Kind::StatefulSet
        | Kind::DaemonSet
        | Kind::ReplicaSet
        | Kind::Rollout
            if workload.has_template =>
        {
            json!({"spec": {"template": labels}})
        }
        Kind::CronJob => json!({"spec": {"jobTemplate": {"spec": {"template": labels}}}}),
        _ => {
            let says =
                "has no template that can be changed: its pods keep their sidecars until they end";
            let remark = Remark::new(Topic::NotInInput, Weight::Stated, FieldPath::root(), says);
            let remedy =
                format!("what makes it again gives its pods the label {INJECT_LABEL}=false");
            draft.remark(object, remark.remedy(remedy));
            return;
        }
    };
    draft.patch(Phase::Switch, object, patch, &[]);
}

/// The namespace injects no more, once nothing in it may need that.
fn injection(ground: &Ground<'_>, namespace: &Namespace, held: &[&Workload], draft: &mut Draft) {
    let object = namespace.reference();
    if let Some(first) = held.first() {
        let says = format!(
            "goes on injecting sidecars for {}, which is deferred; all other templates opt out",
            first.object.short()
        );
        let field = FieldPath::label(INJECTION_LABEL);
        draft.remark(
            &object,
            Remark::new(Topic::Guard, Weight::Kept, field, says),
        );
        return;
    }
    let by_default = ground.mesh.injectors().by_default;
    let setting = if by_default {
        json!("disabled")
    } else {
        Value::Null
    };
    match namespace.injection {
        NamespaceInjection::Off => {}
        NamespaceInjection::Unlabelled if !by_default => {}
        NamespaceInjection::Revision(_) | NamespaceInjection::Unlabelled => {
            let labels = json!({INJECTION_LABEL: setting, REVISION_LABEL: null});
            let patch = json!({"metadata": {"labels": labels}});
            draft.patch(Phase::Switch, &object, patch, &[]);
        }
        NamespaceInjection::Unknown => absent(
            draft,
            &object,
            FieldPath::label(INJECTION_LABEL),
            "whether the namespace injects sidecars is not in the input",
            format!(
                "when all workloads are switched: kubectl label namespace {} {INJECTION_LABEL}- {REVISION_LABEL}-",
                namespace.name
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::inventory::{Input, InventoryBuilder};
    use crate::translate::{Options, Translation};

    const PLAIN: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/rev: canary, team: a}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec: {template: {metadata: {labels: {app: pay}}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report, namespace: shop}
spec: {jobTemplate: {spec: {template: {metadata: {labels: {app: report}}}}}}
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {selector: {app: pay}, ports: [{name: http, port: 80}]}
---
";
    const ROUTE: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec: {hosts: [pay], http: [{timeout: 1s, route: [{destination: {host: pay}}]}]}
---
";

    fn translated(text: &str, deferred: &[&str]) -> Translation {
        let mut builder = InventoryBuilder::new(Input::Manifests, "default");
        builder.file("shop.yaml", text.to_owned());
        let mesh = Mesh::new(builder.finish());
        let shop = Name::from("shop");
        let options = Options {
            deferred: deferred
                .iter()
                .map(|name| (shop.clone(), Name::from(*name)))
                .collect(),
            ..Options::default()
        };
        let namespaces = BTreeSet::from([shop]);
        let ground = Ground::new(&mesh, &namespaces, &options);
        let mut draft = Draft::of_changes();
        translate(&ground, &mut draft);
        draft.finish(&mesh)
    }

    /// What each change leaves: phase, object, labels.
    fn labels(translation: &Translation) -> Vec<(Phase, String, Value)> {
        let changes = translation.changes.iter();
        changes
            .filter_map(|change| {
                let json = change.edit.after()?.json();
                let labels = json
                    .pointer("/spec/template/metadata/labels")
                    .or_else(|| json.pointer("/spec/jobTemplate/spec/template/metadata/labels"))
                    .or_else(|| json.pointer("/metadata/labels"));
                let object = change.edit.object().short();
                Some((change.phase, object, labels.cloned().unwrap_or_default()))
            })
            .collect()
    }

    #[test]
    fn without_a_waypoint_the_namespace_alone_is_relabelled() {
        assert_eq!(
            labels(&translated(PLAIN, &[])),
            [
                (
                    Phase::Enrol,
                    "Namespace/shop".to_owned(),
                    json!({"istio.io/dataplane-mode": "ambient", "istio.io/rev": "canary", "team": "a"})
                ),
                (
                    Phase::Switch,
                    "Namespace/shop".to_owned(),
                    json!({"istio.io/dataplane-mode": "ambient", "team": "a"})
                ),
            ]
        );
    }

    #[test]
    fn with_a_waypoint_each_workload_is_switched_by_its_template() {
        let found = labels(&translated(&format!("{PLAIN}{ROUTE}"), &[]));
        let templates: Vec<_> = found
            .iter()
            .filter(|(_, object, _)| !object.starts_with("Namespace"))
            .map(|(phase, object, labels)| (*phase, object.as_str(), labels.clone()))
            .collect();
        let label = "sidecar.istio.io/inject";
        assert_eq!(
            templates,
            [
                (
                    Phase::Switch,
                    "Deployment/pay",
                    json!({"app": "pay", label: "false"})
                ),
                (
                    Phase::Switch,
                    "CronJob/report",
                    json!({"app": "report", label: "false"})
                ),
            ]
        );
    }

    #[test]
    fn a_template_that_asks_for_a_sidecar_itself_is_switched_by_itself() {
        let asks = PLAIN.replace("{app: pay}}}}", "{app: pay, istio.io/rev: canary}}}}");
        let found = labels(&translated(&asks, &[]));
        let inject = "sidecar.istio.io/inject";
        assert!(found.contains(&(
            Phase::Switch,
            "Deployment/pay".to_owned(),
            json!({"app": "pay", inject: "false"})
        )));
    }

    #[test]
    fn a_deferred_workload_keeps_its_sidecar_and_the_namespace_its_injection() {
        let result = translated(PLAIN, &["pay"]);
        let changed: Vec<String> = labels(&result)
            .into_iter()
            .map(|(_, object, _)| object)
            .collect();
        assert_eq!(changed, ["Namespace/shop", "CronJob/report"]);
        let kept = result
            .treatments
            .iter()
            .find(|t| t.object.kind == Kind::Deployment);
        assert_eq!(kept.unwrap().fidelity(), super::super::Fidelity::Kept);
    }

    #[test]
    fn a_namespace_that_is_not_in_the_input_is_told_of() {
        let without = PLAIN.split_once("---").unwrap().1;
        let result = translated(without, &[]);
        assert!(result.changes.is_empty());
        let told = &result
            .treatments
            .iter()
            .find(|t| t.object.kind == Kind::Namespace)
            .unwrap();
        let remedies: Vec<_> = told
            .remarks
            .iter()
            .filter_map(|r| r.remedy.as_deref())
            .collect();
        assert_eq!(
            remedies,
            [
                "when all workloads are switched: kubectl label namespace shop istio-injection- istio.io/rev-",
                "when the waypoints are ready: kubectl label namespace shop istio.io/dataplane-mode=ambient",
            ]
        );
    }
}
