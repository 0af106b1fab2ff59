//! How a workload replaces its pods.

use serde_json::Value;

use super::step::Rollout;
use crate::kinds::{IntOrString, Kind};
use crate::mesh::Mesh;
use crate::mesh::workloads::Workload;

/// How a workload replaces its pods, and in how many turns.
pub(super) fn rollout(mesh: &Mesh, workload: &Workload) -> Rollout {
    let pods = workload
        .replicas
        .unwrap_or_else(|| u32::try_from(workload.pod_count()).unwrap_or(u32::MAX));
    let strategy = match (workload.update_strategy.kind.as_str(), workload.object.kind) {
        ("", _) => "RollingUpdate",
        (named, _) => named,
    };
    let whole = mesh.inventory().whole(&workload.object).unwrap_or_default();
    let number = |path: &str| whole.pointer(path).and_then(Value::as_u64);
    let at_once = at_once(workload, pods, &whole);
    Rollout {
        workload: workload.object.clone(),
        pods,
        strategy: strategy.to_owned(),
        turns: pods.div_ceil(at_once.max(1)),
        min_ready_seconds: number("/spec/minReadySeconds")
            .and_then(|n| u32::try_from(n).ok())
            .unwrap_or(0),
    }
}

/// How many pods are replaced before new ones have to be ready, by Kubernetes' defaults: a quarter
/// above and a quarter below for Deployments, one by one for StatefulSets and DaemonSets.
fn at_once(workload: &Workload, pods: u32, whole: &Value) -> u32 {
    let strategy = &workload.update_strategy.kind;
    if strategy == "Recreate" {
        return pods;
    }
    let field = |name: &str| {
        let spec = if workload.object.kind == Kind::Deployment {
            "strategy"
        } else {
            "updateStrategy"
        };
        let value = whole.pointer(&format!("/spec/{spec}/rollingUpdate/{name}"))?;
        serde_json::from_value::<IntOrString>(value.clone()).ok()
    };
    let count = |value: Option<IntOrString>, default: u32, up: bool| match value {
        Some(IntOrString::Int(n)) => u32::try_from(n).unwrap_or(0),
        Some(IntOrString::String(text)) => {
            let percent: u32 = text.trim_end_matches('%').parse().unwrap_or(25);
            let part = u64::from(pods) * u64::from(percent);
            let part = if up { part.div_ceil(100) } else { part / 100 };
            u32::try_from(part).unwrap_or(u32::MAX)
        }
        None => default,
    };
    match workload.object.kind {
        Kind::Deployment => {
            count(field("maxSurge"), pods.div_ceil(4), true)
                + count(field("maxUnavailable"), pods / 4, false)
        }
        _ => count(field("maxUnavailable"), 1, true),
    }
}
