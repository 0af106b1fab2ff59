//! What the metadata of pods tells: how they take part in the mesh, and who made them.

use serde_json::Value;

use super::{Holds, Pods, list};
use crate::kinds::{Kind, LabelSelector, Labels, Name, ObjectRef};
use crate::mesh::workloads::{REDIRECTION, SIDECAR_STATUS, TUNNEL_LABEL};

pub(super) fn with_pods(
    controller: Holds,
    found: &Value,
    workload: &ObjectRef,
    pods: Pods,
    all: &[Value],
) -> Holds {
    if controller != Holds::Yes {
        return controller;
    }
    let selector: LabelSelector = found
        .pointer("/spec/selector")
        .and_then(|selector| serde_json::from_value(selector.clone()).ok())
        .unwrap_or_default();
    if selector.is_empty() {
        return Holds::NotYet(format!(
            "which pods {} has cannot be told",
            workload.short()
        ));
    }
    let owned = all.iter().filter(|pod| {
        labels(pod).is_some_and(|labels| selector.matches(&labels)) && is_made_by(pod, workload)
    });
    for pod in owned {
        let name = pod
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let lacks = match pods {
            Pods::Any => None,
            Pods::Injected => (!has_sidecar(pod)).then_some("has no sidecar"),
            Pods::Sidecars => (!has_sidecar(pod) || label(pod, TUNNEL_LABEL) != Some("http"))
                .then_some("has no sidecar that accepts HBONE"),
            Pods::Ambient if has_sidecar(pod) => Some("still has a sidecar"),
            Pods::Ambient => (annotation(pod, REDIRECTION) != Some("enabled"))
                .then_some("is not captured by ztunnel yet"),
        };
        if let Some(lacks) = lacks {
            return Holds::NotYet(format!("pod {name} of {} {lacks}", workload.short()));
        }
    }
    Holds::Yes
}

pub(super) fn no_sidecars(namespace: &Name, except: &[ObjectRef], all: &[Value]) -> Holds {
    let mut left = all
        .iter()
        .filter(|pod| has_sidecar(pod) && !except.iter().any(|one| is_made_by(pod, one)))
        .filter_map(|pod| pod.pointer("/metadata/name")?.as_str());
    match left.next() {
        None => Holds::Yes,
        Some(first) => match left.count() {
            0 => Holds::NotYet(format!("pod {first} in {namespace} has a sidecar")),
            more => Holds::NotYet(format!(
                "pod {first} and {more} more in {namespace} have sidecars"
            )),
        },
    }
}

/// Whether a pod has the sidecar of an application: gateways are made by another template, which does
/// not write the label (`manifests/charts/istio-control/istio-discovery/files/gateway-injection-template.yaml`).
pub fn has_sidecar(pod: &Value) -> bool {
    annotation(pod, SIDECAR_STATUS).is_some()
        && label(pod, crate::mesh::workloads::TLS_MODE_LABEL) == Some("istio")
}

fn annotation<'v>(pod: &'v Value, key: &str) -> Option<&'v str> {
    pod.pointer("/metadata/annotations")?.get(key)?.as_str()
}

fn label<'v>(pod: &'v Value, key: &str) -> Option<&'v str> {
    pod.pointer("/metadata/labels")?.get(key)?.as_str()
}

fn labels(pod: &Value) -> Option<Labels> {
    serde_json::from_value(pod.pointer("/metadata/labels")?.clone()).ok()
}

/// Whether a pod was made by a workload. A ReplicaSet has its Deployment's name and a hash, a CronJob's
/// Job its name and a time.
pub fn is_made_by(pod: &Value, workload: &ObjectRef) -> bool {
    let name = pod.pointer("/metadata/name").and_then(Value::as_str);
    if workload.kind == Kind::Pod {
        return name == Some(&*workload.name);
    }
    list(pod.pointer("/metadata/ownerReferences"))
        .filter(|owner| owner["controller"] == true)
        .any(|owner| {
            let kind = owner["kind"].as_str().unwrap_or_default();
            let name = owner["name"].as_str().unwrap_or_default();
            let made_of = |base: &str| name.rsplit_once('-').is_some_and(|(stem, _)| stem == base);
            match (workload.kind, kind) {
                (Kind::Deployment | Kind::Rollout, "ReplicaSet") | (Kind::CronJob, "Job") => {
                    made_of(&workload.name)
                }
                _ => workload.kind.written() == kind && *workload.name == *name,
            }
        })
}

/// Whether ztunnel has no pod of these workloads any more. Pods that are ending count: they still take
/// connections.
pub(super) fn no_ambient(of: &[ObjectRef], all: &[Value]) -> Holds {
    let captured =
        |pod: &Value| !has_sidecar(pod) && annotation(pod, REDIRECTION) == Some("enabled");
    let mut left = all
        .iter()
        .filter(|pod| captured(pod) && of.iter().any(|one| is_made_by(pod, one)))
        .filter_map(|pod| pod.pointer("/metadata/name")?.as_str());
    match (left.next(), left.count()) {
        (None, _) => Holds::Yes,
        (Some(first), 0) => Holds::NotYet(format!("pod {first} has no sidecar yet")),
        (Some(first), more) => {
            Holds::NotYet(format!("pod {first} and {more} more have no sidecar yet"))
        }
    }
}
