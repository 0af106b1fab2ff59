//! What must hold before a run goes on, and how it is read off the cluster.
//!
//! A condition names the objects that tell; whoever runs a plan reads them again and again, and
//! [`Condition::judge`] says whether it holds. What istiod writes into conditions is what it computed; no
//! condition tells that proxies run it (`pilot/pkg/status`), so what has none is waited for a
//! moment and said to be *not confirmed*.

mod pods;
#[cfg(test)]
mod tests;

pub use pods::{has_sidecar, is_made_by};

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::waypoints::{USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
use crate::translate::change::SOURCE;

/// How long something without a condition is waited for.
pub const SETTLING: Duration = Duration::from_secs(5);

/// How the pods of a workload take part in the mesh when all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pods {
    /// Every pod has a sidecar that accepts HBONE.
    Sidecars,
    /// No pod has a sidecar, and ztunnel has every one.
    Ambient,
    /// Every pod has a sidecar, whatever it accepts.
    Injected,
    /// Whatever they are.
    Any,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Condition {
    /// A waypoint is programmed, has an address, and all its pods are ready.
    WaypointReady {
        /// Its Gateway.
        gateway: ObjectRef,
    },
    /// A Service is bound to its waypoint.
    Bound {
        /// The Service.
        service: ObjectRef,
        /// The waypoint's Gateway.
        waypoint: ObjectRef,
    },
    /// A policy is accepted by the waypoint that its targets are bound to.
    PolicyAccepted {
        /// The policy.
        policy: ObjectRef,
    },
    /// istiod has seen the present state of an object, or has had the time to.
    Seen {
        /// The object.
        object: ObjectRef,
    },
    /// Every parent of a route has accepted it and knows its backends.
    RouteAccepted {
        /// The route.
        route: ObjectRef,
    },
    /// A workload has replaced all its pods, and they take part in this way.
    RolledOut {
        /// The workload.
        workload: ObjectRef,
        /// How.
        pods: Pods,
    },
    /// No pod of a workload is of an old template any more, and they take part in this way. Going back, it is
    /// not asked whether they are ready: what does not come up is not to keep the rest from going back.
    Replaced {
        /// The workload.
        workload: ObjectRef,
        /// How.
        pods: Pods,
    },
    /// No pod of a namespace has a sidecar but those of these workloads, and pods that nobody replaces.
    NoSidecars {
        /// The namespace.
        namespace: Name,
        /// Pods of these may have one: deferred workloads, Jobs, bare pods.
        except: Vec<ObjectRef>,
    },
    /// No pod of these workloads is without a sidecar and in ztunnel's hands any more.
    NoAmbient {
        /// The namespace.
        namespace: Name,
        /// The workloads.
        of: Vec<ObjectRef>,
    },
    /// Proxies have had the time to hear of what was removed.
    Settled,
}

/// What was read to judge a condition.
#[derive(Debug, Default)]
pub struct Evidence {
    /// The objects that were asked for; absent ones are not in it.
    pub objects: BTreeMap<ObjectRef, Value>,
    /// The metadata of the pods that have not ended, if they were asked for.
    pub pods: Vec<Value>,
    /// Since when this is waited for.
    pub waited: Duration,
}

/// Whether a condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holds {
    /// The cluster says so.
    Yes,
    /// The time that it takes has passed; nothing in the cluster says so.
    Unconfirmed,
    /// Not yet, with what is missing.
    NotYet(String),
    /// It will not by itself.
    Never(String),
}

impl Condition {
    /// The objects that tell.
    pub fn objects(&self) -> Vec<ObjectRef> {
        match self {
            Self::WaypointReady { gateway } => vec![gateway.clone(), deployment_of(gateway)],
            Self::Bound { service, .. } => vec![service.clone()],
            Self::PolicyAccepted { policy } => vec![policy.clone()],
            Self::Seen { object } => vec![object.clone()],
            Self::RouteAccepted { route } => vec![route.clone()],
            Self::RolledOut { workload, .. } | Self::Replaced { workload, .. } => {
                vec![workload.clone()]
            }
            Self::NoSidecars { .. } | Self::NoAmbient { .. } | Self::Settled => Vec::new(),
        }
    }

    /// The namespace whose pods tell.
    pub fn pods_of(&self) -> Option<&Name> {
        match self {
            Self::RolledOut { workload, .. } | Self::Replaced { workload, .. } => {
                Some(&workload.namespace)
            }
            Self::NoSidecars { namespace, .. } | Self::NoAmbient { namespace, .. } => {
                Some(namespace)
            }
            _ => None,
        }
    }

    /// Whether it holds.
    pub fn judge(&self, evidence: &Evidence) -> Holds {
        let object = |object: &ObjectRef| evidence.objects.get(object);
        match self {
            Self::WaypointReady { gateway } => waypoint_ready(gateway, evidence),
            Self::Bound { service, waypoint } => of(object(service), service, |found| {
                bound(found, service, waypoint)
            }),
            Self::PolicyAccepted { policy } => of(object(policy), policy, |found| {
                policy_accepted(found, policy)
            }),
            Self::Seen { object: which } => of(object(which), which, |found| {
                seen(found, which, evidence.waited)
            }),
            Self::RouteAccepted { route } => {
                of(object(route), route, |found| route_accepted(found, route))
            }
            Self::RolledOut { workload, pods } => of(object(workload), workload, |found| {
                let rolled = controller_ready(found, workload);
                pods::with_pods(rolled, found, workload, *pods, &evidence.pods)
            }),
            Self::Replaced { workload, pods } => of(object(workload), workload, |found| {
                let replaced = controller_replaced(found, workload);
                pods::with_pods(replaced, found, workload, *pods, &evidence.pods)
            }),
            Self::NoSidecars { namespace, except } => {
                pods::no_sidecars(namespace, except, &evidence.pods)
            }
            Self::NoAmbient { of, .. } => pods::no_ambient(of, &evidence.pods),
            Self::Settled => settled(evidence.waited),
        }
    }

    /// What it is, in a sentence without a final stop.
    pub fn says(&self) -> String {
        match self {
            Self::WaypointReady { gateway } => format!(
                "{} is Programmed, has an address, and all its pods are ready",
                gateway.short()
            ),
            Self::Bound { service, waypoint } => {
                format!(
                    "{} says WaypointBound to {}",
                    service.short(),
                    waypoint.name
                )
            }
            Self::PolicyAccepted { policy } => format!("{} says WaypointAccepted", policy.short()),
            Self::Seen { object } => format!("istiod has seen {}", object.short()),
            Self::RouteAccepted { route } => {
                format!(
                    "{} is Accepted, with ResolvedRefs and ResolvedWaypoints",
                    route.short()
                )
            }
            Self::RolledOut { workload, pods } => match pods {
                Pods::Sidecars => format!(
                    "all pods of {} are replaced and ready, each with a sidecar that accepts HBONE",
                    workload.short()
                ),
                Pods::Ambient => format!(
                    "all pods of {} are replaced and ready, without a sidecar, captured by ztunnel",
                    workload.short()
                ),
                Pods::Injected => format!(
                    "all pods of {} are replaced and ready, each with a sidecar",
                    workload.short()
                ),
                Pods::Any => format!("all pods of {} are replaced and ready", workload.short()),
            },
            Self::Replaced { workload, .. } => {
                format!(
                    "all pods of {} are replaced, each with a sidecar",
                    workload.short()
                )
            }
            Self::NoSidecars { namespace, except } if except.is_empty() => {
                format!("no pod in {namespace} has a sidecar")
            }
            Self::NoSidecars { namespace, except } => {
                let names: Vec<String> = except.iter().map(ObjectRef::short).collect();
                format!(
                    "no pod in {namespace} has a sidecar but those of {}",
                    names.join(", ")
                )
            }
            Self::NoAmbient { namespace, .. } => {
                format!("no pod in {namespace} that was switched is without its sidecar")
            }
            Self::Settled => "proxies have had the time to hear of it".to_owned(),
        }
    }
}

/// The Deployment that istiod makes for a waypoint (`pilot/pkg/config/kube/gateway`, class
/// `istio-waypoint`: it has the Gateway's name).
pub fn deployment_of(gateway: &ObjectRef) -> ObjectRef {
    ObjectRef::new(Kind::Deployment, &gateway.namespace, &gateway.name)
}

fn of(found: Option<&Value>, object: &ObjectRef, judge: impl Fn(&Value) -> Holds) -> Holds {
    found.map_or_else(
        || Holds::NotYet(format!("{} is not there", object.short())),
        judge,
    )
}

fn settled(waited: Duration) -> Holds {
    if waited >= SETTLING {
        Holds::Unconfirmed
    } else {
        Holds::NotYet("proxies are given a moment to hear of it".to_owned())
    }
}

/// What istiod computed of a policy is in its conditions; that proxies have it is in none, so they are
/// given a moment besides. Of ours without targets ztunnel has to enforce every word: what it cannot is
/// left out, and told by the reason alone, the status being True (`pilot/pkg/serviceregistry/ambient/authorization.go`).
fn seen(found: &Value, object: &ObjectRef, waited: Duration) -> Holds {
    let ours = found
        .pointer("/metadata/annotations")
        .and_then(|all| all.get(SOURCE))
        .is_some();
    let dry = found
        .pointer("/metadata/annotations")
        .and_then(|all| all.get("istio.io/dry-run"));
    let attached = found.pointer("/spec/targetRefs").is_some();
    if ours
        && !attached
        && dry.is_none()
        && let Some((accepted, reason, message)) = says(found, "ZtunnelAccepted")
    {
        if !accepted {
            return Holds::Never(told(object, "ZtunnelAccepted", reason, message));
        }
        if reason == "UnsupportedValue" {
            return Holds::Never(format!(
                "{}: ztunnel does not enforce all of it ({message})",
                object.short()
            ));
        }
    }
    settled(waited)
}

fn conditions(object: &Value) -> impl Iterator<Item = &Value> {
    list(object.pointer("/status/conditions"))
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// Whether a condition is about the object as it is now. Istio writes `observedGeneration` as a text,
/// Kubernetes as a number; Services have none.
fn is_current(condition: &Value, object: &Value) -> bool {
    let number = |value: &Value| {
        value
            .as_i64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
    };
    let observed = condition.get("observedGeneration").and_then(number);
    let generation = object.pointer("/metadata/generation").and_then(number);
    match (observed, generation) {
        (Some(observed), Some(generation)) => observed >= generation,
        (None, Some(_)) => false,
        (_, None) => true,
    }
}

/// What a condition says: nothing where there is none that is current.
fn says<'v>(object: &'v Value, kind: &str) -> Option<(bool, &'v str, &'v str)> {
    let mut current = conditions(object).filter(|condition| is_current(condition, object));
    let found = current.find(|condition| condition["type"] == kind)?;
    let text = |key: &str| found[key].as_str().unwrap_or_default();
    Some((found["status"] == "True", text("reason"), text("message")))
}

fn told(object: &ObjectRef, condition: &str, reason: &str, message: &str) -> String {
    let text = if message.is_empty() { reason } else { message };
    format!("{}: {condition} is not True ({text})", object.short())
}

fn waypoint_ready(gateway: &ObjectRef, evidence: &Evidence) -> Holds {
    let Some(found) = evidence.objects.get(gateway) else {
        return Holds::NotYet(format!("{} is not there", gateway.short()));
    };
    match says(found, "Programmed") {
        Some((true, ..)) => {}
        Some((false, reason, message)) => {
            return Holds::NotYet(told(gateway, "Programmed", reason, message));
        }
        None => return Holds::NotYet(format!("{} is not Programmed yet", gateway.short())),
    }
    if list(found.pointer("/status/addresses")).next().is_none() {
        return Holds::NotYet(format!("{} has no address yet", gateway.short()));
    }
    // A waypoint that somebody else runs may have no Deployment of this name: its address is all
    // there is to see then.
    match evidence.objects.get(&deployment_of(gateway)) {
        None => Holds::Yes,
        Some(deployment) => controller_ready(deployment, &deployment_of(gateway)),
    }
}

fn bound(found: &Value, service: &ObjectRef, waypoint: &ObjectRef) -> Holds {
    let label = |key: &str| {
        found
            .pointer("/metadata/labels")
            .and_then(|labels| labels.get(key)?.as_str())
    };
    let home = label(USE_WAYPOINT_NAMESPACE).unwrap_or(&service.namespace);
    if label(USE_WAYPOINT) != Some(&waypoint.name) || home != &*waypoint.namespace {
        return Holds::Never(format!(
            "{} does not carry the label that binds it to {waypoint}: somebody took it away",
            service.short()
        ));
    }
    match says(found, "istio.io/WaypointBound") {
        Some((true, _, message)) if names(message, waypoint) => Holds::Yes,
        Some((true, ..)) => Holds::NotYet(format!(
            "{} is bound to another waypoint yet",
            service.short()
        )),
        Some((false, reason, message)) => {
            Holds::NotYet(told(service, "istio.io/WaypointBound", reason, message))
        }
        None => Holds::NotYet(format!(
            "{} does not say WaypointBound yet",
            service.short()
        )),
    }
}

/// Whether istiod's message names a waypoint: `Successfully attached to waypoint shop/waypoint. Ingress…`.
fn names(message: &str, waypoint: &ObjectRef) -> bool {
    let name = format!("{}/{}", waypoint.namespace, waypoint.name);
    let mut words = message
        .split_whitespace()
        .map(|word| word.trim_end_matches('.'));
    words.any(|word| word == name)
}

fn policy_accepted(found: &Value, policy: &ObjectRef) -> Holds {
    match says(found, "WaypointAccepted") {
        Some((true, "PartiallyInvalid", message)) => Holds::NotYet(format!(
            "{}: only some targets are valid ({message})",
            policy.short()
        )),
        Some((true, ..)) => Holds::Yes,
        Some((false, reason, message)) => {
            Holds::NotYet(told(policy, "WaypointAccepted", reason, message))
        }
        None => Holds::NotYet(format!(
            "{} does not say WaypointAccepted yet",
            policy.short()
        )),
    }
}

fn route_accepted(found: &Value, route: &ObjectRef) -> Holds {
    let mut parents = list(found.pointer("/status/parents"))
        .filter(|parent| parent["controllerName"] == "istio.io/gateway-controller")
        .peekable();
    if parents.peek().is_none() {
        return Holds::NotYet(format!("{} has no parent that answers yet", route.short()));
    }
    let asked = list(found.pointer("/spec/parentRefs")).count();
    let answered = list(found.pointer("/status/parents")).count();
    if answered < asked {
        return Holds::NotYet(format!(
            "{answered} of {asked} parents of {} answer",
            route.short()
        ));
    }
    for parent in parents {
        for kind in ["Accepted", "ResolvedRefs", "ResolvedWaypoints"] {
            let condition = list(parent.get("conditions"))
                .find(|condition| condition["type"] == kind && is_current(condition, found));
            match condition {
                Some(condition) if condition["status"] == "True" => {}
                Some(condition) => {
                    let text = |key: &str| condition[key].as_str().unwrap_or_default();
                    return Holds::NotYet(told(route, kind, text("reason"), text("message")));
                }
                // Releases before 1.26 do not write it.
                None if kind == "ResolvedWaypoints" => {}
                None => return Holds::NotYet(format!("{} does not say {kind} yet", route.short())),
            }
        }
    }
    Holds::Yes
}

/// What a controller says of its pods.
struct Counts {
    wanted: i64,
    updated: i64,
    ready: i64,
    all: i64,
}

impl Counts {
    fn of(found: &Value, kind: Kind) -> Option<Self> {
        let number = |path: &str| status_number(found, path);
        match kind {
            Kind::DaemonSet => Some(Self {
                wanted: number("/status/desiredNumberScheduled"),
                updated: number("/status/updatedNumberScheduled"),
                ready: number("/status/numberAvailable"),
                all: number("/status/desiredNumberScheduled"),
            }),
            Kind::StatefulSet | Kind::Deployment | Kind::Rollout | Kind::ReplicaSet => {
                let wanted = found.pointer("/spec/replicas").and_then(Value::as_i64);
                let ready = match kind {
                    Kind::StatefulSet => "/status/readyReplicas",
                    _ => "/status/availableReplicas",
                };
                Some(Self {
                    wanted: wanted.unwrap_or(1),
                    updated: number("/status/updatedReplicas"),
                    ready: number(ready),
                    all: number("/status/replicas"),
                })
            }
            _ => None,
        }
    }
}

/// A number of a status. Argo Rollouts writes the generation as a text.
fn status_number(found: &Value, path: &str) -> i64 {
    let value = found.pointer(path);
    let number = value.and_then(Value::as_i64);
    number
        .or_else(|| value?.as_str()?.parse().ok())
        .unwrap_or(0)
}

/// Whether a controller has replaced all its pods by those of its present template, ready or not.
fn controller_replaced(found: &Value, object: &ObjectRef) -> Holds {
    let name = object.short();
    let generation = status_number(found, "/metadata/generation");
    if status_number(found, "/status/observedGeneration") < generation {
        return Holds::NotYet(format!(
            "{name} has not been looked at by its controller yet"
        ));
    }
    let Some(Counts {
        wanted,
        updated,
        all,
        ..
    }) = Counts::of(found, object.kind)
    else {
        return Holds::NotYet(format!("{name} does not tell about its pods"));
    };
    if updated < wanted {
        return Holds::NotYet(format!("{updated} of {wanted} pods of {name} are replaced"));
    }
    if all > updated {
        return Holds::NotYet(format!("{} old pods of {name} are left", all - updated));
    }
    Holds::Yes
}

/// Whether a controller has brought all its pods to its present template and has them ready, as `kubectl
/// rollout status` judges it.
pub(super) fn controller_ready(found: &Value, object: &ObjectRef) -> Holds {
    let name = object.short();
    let replaced = controller_replaced(found, object);
    let Some(Counts {
        wanted,
        updated,
        ready,
        ..
    }) = Counts::of(found, object.kind)
    else {
        return replaced;
    };
    let stuck = conditions(found).find(|condition| {
        condition["type"] == "Progressing" && condition["reason"] == "ProgressDeadlineExceeded"
    });
    let looked = status_number(found, "/status/observedGeneration")
        >= status_number(found, "/metadata/generation");
    if let Some(stuck) = stuck
        && looked
        && (updated < wanted || ready < wanted)
    {
        let message = stuck["message"]
            .as_str()
            .unwrap_or("its progress deadline is exceeded");
        return Holds::Never(format!("{name} does not come up: {message}"));
    }
    if replaced != Holds::Yes {
        return replaced;
    }
    if ready < wanted {
        return Holds::NotYet(format!("{ready} of {wanted} pods of {name} are ready"));
    }
    let revision = |which: &str| {
        found
            .pointer(&format!("/status/{which}"))
            .and_then(Value::as_str)
    };
    if object.kind == Kind::StatefulSet
        && wanted > 0
        && revision("currentRevision") != revision("updateRevision")
    {
        return Holds::NotYet(format!("{name} has not finished its update"));
    }
    Holds::Yes
}
