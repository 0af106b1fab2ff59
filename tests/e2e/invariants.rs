//! What must be true at every moment of a move and of its way back, judged by what the API server
//! recorded.

use std::collections::BTreeMap;

use harness::{Error, Event, History, Result, State};
use serde_json::Value;

const USE_WAYPOINT: &str = "istio.io/use-waypoint";
const MANAGER: &str = "kubectl-ambient";

/// What a namespace needs at every moment.
#[derive(Clone, Copy)]
pub(crate) struct Needs<'n> {
    /// The namespace's real name.
    pub(crate) namespace: &'n str,
    /// The Services in front of each workload (by the label `app`) that must be bound as long as a
    /// pod of it has no sidecar.
    pub(crate) bound: &'n [&'n str],
    /// The workload (by the label `app`, which is also its Service's name) to which requests to these
    /// paths are denied.
    pub(crate) denied: Option<(&'n str, &'n str)>,
}

/// Judges all of it.
#[track_caller]
pub(crate) fn hold(history: &History, needs: Needs<'_>) -> Result {
    history.always("no label of a waypoint that is not ready", |state| {
        labelled(state, needs.namespace).all(|waypoint| is_ready(state, &waypoint))
    })?;
    history.always(
        "no pod without a sidecar that is not enrolled and bound",
        |state| applications(state).all(|pod| has_sidecar(pod) || is_enrolled(state, pod, needs)),
    )?;
    if let Some((app, path)) = needs.denied {
        history.always("what was denied is denied", |state| {
            applications(state)
                .filter(|pod| label(pod, "app") == Some(app))
                .all(|pod| is_denied(state, pod, app, path))
        })?;
    }
    locked(history, needs.namespace)
}

fn label<'v>(object: &'v Value, key: &str) -> Option<&'v str> {
    object["metadata"]["labels"][key].as_str()
}

/// The waypoints that labels in the namespace name.
fn labelled<'s>(state: &'s State<'_>, namespace: &'s str) -> impl Iterator<Item = String> + 's {
    let home = state.get("Namespace", namespace);
    let objects = home.into_iter().chain(state.of_kind("Service"));
    objects
        .filter_map(|object| label(object, USE_WAYPOINT))
        .filter(|name| *name != "none")
        .map(str::to_owned)
}

fn is_ready(state: &State<'_>, waypoint: &str) -> bool {
    let Some(gateway) = state.get("Gateway", waypoint) else {
        return false;
    };
    let programmed = gateway["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Programmed" && condition["status"] == "True");
    let address = gateway["status"]["addresses"][0].is_object();
    let pods = state
        .get("Deployment", waypoint)
        .is_some_and(|one| one["status"]["readyReplicas"] == one["spec"]["replicas"]);
    programmed && address && pods
}

/// Pods of applications, those that are going included.
fn applications<'s>(state: &'s State<'_>) -> impl Iterator<Item = &'s Value> + 's {
    state
        .of_kind("Pod")
        .filter(|pod| label(pod, "gateway.networking.k8s.io/gateway-name").is_none())
}

fn has_sidecar(pod: &Value) -> bool {
    pod["metadata"]["annotations"]["sidecar.istio.io/status"].is_string()
}

fn is_enrolled(state: &State<'_>, pod: &Value, needs: Needs<'_>) -> bool {
    let ambient = state
        .get("Namespace", needs.namespace)
        .is_some_and(|one| label(one, "istio.io/dataplane-mode") == Some("ambient"));
    let app = label(pod, "app").unwrap_or_default();
    let bound = !needs.bound.contains(&app)
        || state
            .get("Service", app)
            .is_some_and(|one| label(one, USE_WAYPOINT).is_some());
    ambient && bound
}

/// Whether the requests are denied where the pod's mode has them judged: by its sidecar; or by the
/// waypoint, with a guard that lets nobody past it.
fn is_denied(state: &State<'_>, pod: &Value, app: &str, path: &str) -> bool {
    let denials = || {
        state
            .of_kind("AuthorizationPolicy")
            .filter(|policy| policy["spec"]["action"] == "DENY")
    };
    let names_path = |policy: &&Value| policy["spec"]["rules"].to_string().contains(path);
    if has_sidecar(pod) {
        return denials()
            .filter(names_path)
            .any(|policy| selects(policy, pod));
    }
    let at_waypoint = denials().filter(names_path).any(|policy| {
        let targets = policy["spec"]["targetRefs"].as_array();
        targets
            .into_iter()
            .flatten()
            .any(|target| target["name"] == app)
    });
    let guarded = denials().any(|policy| {
        selects(policy, pod)
            && policy["spec"]["rules"]
                .to_string()
                .contains("notServiceAccounts")
    });
    at_waypoint && guarded
}

fn selects(policy: &Value, pod: &Value) -> bool {
    let selector = policy["spec"]["selector"]["matchLabels"].as_object();
    selector.is_some_and(|labels| {
        let mut labels = labels.iter();
        labels.all(|(key, value)| label(pod, key) == value.as_str())
    })
}

/// Every write of ours was made while somebody held the Lease.
#[track_caller]
fn locked(history: &History, namespace: &str) -> Result {
    let mut ours: BTreeMap<String, Value> = BTreeMap::new();
    let mut held = false;
    for moment in history.moments() {
        let object = &moment.object;
        let meta = &object["metadata"];
        if object["kind"] == "Lease" {
            held = moment.event != Event::Deleted && object["spec"]["holderIdentity"].is_string();
            continue;
        }
        let home = &meta[if object["kind"] == "Namespace" {
            "name"
        } else {
            "namespace"
        }];
        if home != namespace {
            continue;
        }
        let mark = meta["managedFields"].as_array().map(|entries| {
            let mut entries = entries.iter();
            entries
                .find(|entry| entry["manager"] == MANAGER)
                .cloned()
                .unwrap_or_default()
        });
        let mark = mark.unwrap_or_default();
        let last = ours.insert(moment.describe(), mark.clone());
        let written = moment.event != Event::Present && !mark.is_null() && last != Some(mark);
        if written && moment.event != Event::Deleted && !held {
            return Err(Error::new(format!(
                "{:?} {} (version {}) without the lock",
                moment.event,
                moment.describe(),
                moment.version
            ))
            .with(history.told()));
        }
    }
    Ok(())
}
