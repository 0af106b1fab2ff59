//! What a test waits for, and how it says what is missing.

use serde_json::Value;

/// Decides over objects; the error says what is missing.
type Decide = Box<dyn Fn(&[Value]) -> Result<(), String> + Send + Sync>;

/// Something that objects come to fulfil: says what, and decides over the objects as they are now.
pub struct Condition {
    says: String,
    decide: Decide,
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Condition").field(&self.says).finish()
    }
}

impl Condition {
    /// A condition over all objects that are watched; the error says what is missing.
    pub fn over(
        says: impl Into<String>,
        decide: impl Fn(&[Value]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            says: says.into(),
            decide: Box::new(decide),
        }
    }

    /// A condition over one object, which must exist; the error says what is missing.
    pub fn of(
        says: impl Into<String>,
        decide: impl Fn(&Value) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self::over(says, move |objects| match objects.first() {
            Some(object) => decide(object),
            None => Err("it does not exist".to_owned()),
        })
    }

    /// An object of which this is true.
    pub fn that(
        says: impl Into<String>,
        holds: impl Fn(&Value) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self::of(says, move |object| {
            if holds(object) {
                Ok(())
            } else {
                Err("not so".to_owned())
            }
        })
    }

    /// What is waited for, as it continues the object's name: `to be rolled out`.
    pub fn says(&self) -> &str {
        &self.says
    }

    /// Whether the objects fulfil it; else what is missing.
    pub fn decide(&self, objects: &[Value]) -> Result<(), String> {
        (self.decide)(objects)
    }
}

/// It exists.
pub fn exists() -> Condition {
    Condition::that("to exist", |_| true)
}

/// It is gone (or all are, where several are watched).
pub fn gone() -> Condition {
    Condition::over("to be gone", |objects| match objects {
        [] => Ok(()),
        some => Err(format!("{} still there", names(some))),
    })
}

/// A Deployment, StatefulSet or DaemonSet has all of its newest replicas available and no others,
/// as `kubectl rollout status` sees it.
pub fn rolled_out() -> Condition {
    Condition::of("to be rolled out", |workload| {
        let number = |pointer: &str| workload.pointer(pointer).and_then(Value::as_u64);
        let status = |field: &str| number(&format!("/status/{field}")).unwrap_or(0);
        if status("observedGeneration") < number("/metadata/generation").unwrap_or(0) {
            return Err("its controller has not seen the last change".to_owned());
        }
        if workload["kind"] == "DaemonSet" {
            let wanted = status("desiredNumberScheduled");
            let (updated, available) =
                (status("updatedNumberScheduled"), status("numberAvailable"));
            return if updated == wanted && available == wanted {
                Ok(())
            } else {
                Err(format!(
                    "{updated} updated, {available} available of {wanted}"
                ))
            };
        }
        let wanted = number("/spec/replicas").unwrap_or(1);
        let (all, updated, ready) = (
            status("replicas"),
            status("updatedReplicas"),
            status("readyReplicas"),
        );
        if all == wanted && updated == wanted && ready == wanted {
            Ok(())
        } else {
            Err(format!(
                "{all} there, {updated} updated, {ready} ready of {wanted}"
            ))
        }
    })
}

/// A condition of the object's status is `True` (or another value) and speaks of its newest
/// generation.
pub fn condition(kind: &str, value: &str) -> Condition {
    let (kind, value) = (kind.to_owned(), value.to_owned());
    let says = format!("to have the condition {kind}={value}");
    Condition::of(says, move |object| {
        let generation = object["metadata"]["generation"].as_u64();
        let conditions = object["status"]["conditions"].as_array();
        let found = conditions
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == kind.as_str());
        let Some(found) = found else {
            return Err(format!("it has no condition {kind}"));
        };
        // Istio writes the number as a text.
        let observed = &found["observedGeneration"];
        let observed = observed
            .as_u64()
            .or_else(|| observed.as_str()?.parse().ok());
        if observed.is_some_and(|observed| Some(observed) < generation) {
            return Err(format!("{kind} is of an older generation"));
        }
        if found["status"] == value.as_str() {
            Ok(())
        } else {
            Err(format!(
                "{kind} is {}: {} {}",
                found["status"], found["reason"], found["message"]
            ))
        }
    })
}

/// Exactly `count` pods, all of them ready as kubectl's READY column would show it: `2/2`.
/// Restartable init containers (native sidecars) count, as they do there.
pub fn pods_ready(count: usize, ready: &str) -> Condition {
    let ready = ready.to_owned();
    let says = format!("to be {count} and all {ready}");
    Condition::over(says, move |pods| {
        let shown: Vec<String> = pods.iter().map(ready_column).collect();
        let going = pods
            .iter()
            .any(|pod| pod["metadata"].get("deletionTimestamp").is_some());
        if shown.len() == count && !going && shown.iter().all(|one| *one == ready) {
            return Ok(());
        }
        let each: Vec<String> = pods
            .iter()
            .zip(&shown)
            .map(|(pod, shown)| {
                let phase = pod["status"]["phase"].as_str().unwrap_or("no phase");
                let going = if pod["metadata"].get("deletionTimestamp").is_some() {
                    ", being deleted"
                } else {
                    ""
                };
                format!("{} {shown} {phase}{going}", name(pod))
            })
            .collect();
        Err(format!("{} pods: {}", pods.len(), each.join("; ")))
    })
}

/// A pod's READY column: `ready/all` over its containers and native sidecars.
pub fn ready_column(pod: &Value) -> String {
    let list = |pointer: &str| pod.pointer(pointer).and_then(Value::as_array);
    let sidecars: Vec<&str> = list("/spec/initContainers")
        .into_iter()
        .flatten()
        .filter(|container| container["restartPolicy"] == "Always")
        .filter_map(|container| container["name"].as_str())
        .collect();
    let all = list("/spec/containers").map_or(0, Vec::len) + sidecars.len();
    let is_ready = |status: &&Value| status["ready"] == true;
    let containers = list("/status/containerStatuses").into_iter().flatten();
    let natives = list("/status/initContainerStatuses")
        .into_iter()
        .flatten()
        .filter(|status| {
            status["name"]
                .as_str()
                .is_some_and(|name| sidecars.contains(&name))
        });
    let ready = containers.filter(is_ready).count() + natives.filter(is_ready).count();
    format!("{ready}/{all}")
}

pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or("(no name)")
}

fn names(objects: &[Value]) -> String {
    let names: Vec<&str> = objects.iter().map(name).collect();
    names.join(", ")
}
