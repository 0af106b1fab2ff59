//! Taking back what was moved by hand: a namespace without a journal.
//!
//! What stood there before is not known, so nothing is restored that cannot be seen: labels and templates
//! make sidecars again, Services are unbound, and policies stay as they are. Policies that somebody
//! deleted stay deleted, and the plan is refused where nothing would judge what a waypoint judges now.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::build::switch_name;
use super::condition::{Condition, Pods};
use super::order;
use super::rollout::rollout;
use super::step::{Stage, Step, StepId};
use super::write::{Planned, Write};
use super::{Direction, Manner, Obstacle, Plan};
use crate::kinds::authorization::AuthorizationPolicy;
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::injection::{
    INJECT_LABEL, INJECTION_LABEL, Injection, NamespaceInjection, REVISION_LABEL,
};
use crate::mesh::namespaces::DATA_PLANE_LABEL;
use crate::mesh::waypoints::{INGRESS_USE_WAYPOINT, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
use crate::mesh::workloads::{DataPlane, Role, Workload, data_plane};
use crate::translate::change::{SOURCE, merge};

/// The plan that takes a namespace back to sidecars, and what stands in its way.
pub fn back_by_hand(
    mesh: &Mesh,
    namespace: &Name,
    revision: Option<&str>,
    delete_waypoint: bool,
) -> (Plan, Vec<Obstacle>) {
    let mut obstacles = Vec::new();
    let mut steps = Vec::new();
    let back: Vec<&Workload> = mesh
        .workloads_in(namespace)
        .iter()
        .filter(|workload| returns(workload))
        .collect();
    let unbound = unbind(mesh, namespace);
    // Sidecars are for what had them: without a sign that it was moved, it may never have had any.
    if unbound.is_none() && revision.is_none() && !is_ambient(mesh, namespace) {
        return (nothing(namespace), obstacles);
    }
    match injection(mesh, namespace, revision) {
        Ok(step) => steps.extend(step),
        Err(obstacle) => obstacles.push(*obstacle),
    }
    let mut waves = order::of(mesh, namespace, &back).waves;
    waves.reverse();
    for (wave, objects) in waves.iter().enumerate() {
        for object in objects {
            let found = back.iter().find(|workload| workload.object == *object);
            if let Some(mut step) = found.and_then(|workload| switch(mesh, workload)) {
                step.wave = u32::try_from(wave).unwrap_or(u32::MAX);
                steps.push(step);
            }
        }
    }
    obstacles.extend(unjudged(mesh, namespace, &back));
    steps.extend(unbound);
    if delete_waypoint {
        obstacles.extend(bound_elsewhere(mesh, namespace));
        steps.extend(waypoints(mesh, namespace));
    }
    super::build::in_waves(&mut steps);
    let plan = Plan {
        steps,
        ..nothing(namespace)
    };
    debug_assert!(super::rights::hold(&plan.steps));
    (plan, obstacles)
}

/// A plan without steps.
fn nothing(namespace: &Name) -> Plan {
    Plan {
        namespace: namespace.clone(),
        direction: Direction::Back,
        manner: Manner::Namespace,
        steps: Vec::new(),
        remainder: Vec::new(),
        rest: Vec::new(),
        bypasses: Vec::new(),
    }
}

/// Whether ztunnel has a pod of the namespace.
fn is_ambient(mesh: &Mesh, namespace: &Name) -> bool {
    let mut workloads = mesh.workloads_in(namespace).iter();
    workloads.any(|workload| {
        let mut pods = mesh.pods(workload);
        pods.any(|pod| data_plane(pod) == DataPlane::Ambient)
    })
}

/// Whether a workload has no sidecars, and a controller that can give it some.
fn returns(workload: &Workload) -> bool {
    let replaces = matches!(
        workload.object.kind,
        Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet
    );
    workload.role == Role::Application
        && workload.has_template
        && replaces
        && !workload.host_network
        && !workload.has_sidecar()
}

fn obstacle(object: ObjectRef, says: String, remedy: &str) -> Obstacle {
    Obstacle {
        id: None,
        object: Some(object),
        says,
        remedy: Some(remedy.to_owned()),
        accepted: None,
    }
}

/// The namespace injects again, by the revision that is given, that its own sidecars still show, or
/// that alone is installed.
fn injection(
    mesh: &Mesh,
    namespace: &Name,
    given: Option<&str>,
) -> Result<Option<Step>, Box<Obstacle>> {
    let object = ObjectRef::new(Kind::Namespace, namespace, namespace);
    let known = mesh.namespace(namespace);
    if given.is_none()
        && matches!(
            known.map(|known| &known.injection),
            Some(NamespaceInjection::Revision(_))
        )
    {
        return Ok(None);
    }
    let shown: BTreeSet<&str> = mesh
        .workloads_in(namespace)
        .iter()
        .filter_map(|workload| match &workload.injection {
            Injection::Injected(revision) if workload.has_sidecar() => Some(revision.as_str()),
            _ => None,
        })
        .collect();
    let installed = mesh.injectors().revisions.clone().unwrap_or_default();
    let revision = given
        .map(str::to_owned)
        .or_else(|| match shown.iter().collect::<Vec<_>>().as_slice() {
            [only] => Some((**only).to_owned()),
            _ => None,
        })
        .or_else(|| {
            let mut all = installed.iter();
            all.next().filter(|_| installed.len() == 1).cloned()
        });
    let Some(revision) = revision else {
        let all: Vec<&str> = installed.iter().map(String::as_str).collect();
        let says = format!(
            "it is not known which revision injected here; installed are {}",
            if all.is_empty() {
                "none that could be read".to_owned()
            } else {
                all.join(", ")
            }
        );
        return Err(Box::new(obstacle(object, says, "name it with --revision")));
    };
    if !installed.is_empty() && !installed.contains(&revision) {
        let all: Vec<&str> = installed.iter().map(String::as_str).collect();
        let says = format!(
            "no webhook injects revision {revision}; installed are {}",
            all.join(", ")
        );
        let remedy = "name one of these with --revision";
        return Err(Box::new(obstacle(object, says, remedy)));
    }
    let labels = if revision == "default" {
        json!({INJECTION_LABEL: "enabled", REVISION_LABEL: null})
    } else {
        json!({REVISION_LABEL: revision, INJECTION_LABEL: null})
    };
    let mut step = Step::new(StepId::Injection);
    let patch = json!({"metadata": {"labels": labels}});
    step.stages.extend(patched(mesh, &object, &patch));
    Ok((!step.stages.is_empty()).then_some(step))
}

/// A change of an object as it is; nothing where it is so already or was not read whole.
fn patched(mesh: &Mesh, object: &ObjectRef, patch: &Value) -> Option<Stage> {
    let before = mesh.inventory().whole(object)?;
    let mut after = before.clone();
    merge(&mut after, patch);
    let write = Write::between(object, &before, &after);
    let changes = matches!(&write, Write::Change { fields, .. } if !fields.is_empty());
    changes.then(|| Stage {
        writes: vec![Planned::Write(write)],
        gate: vec![Condition::Settled],
        undone: vec![Condition::Settled],
    })
}

/// A workload gets its sidecars back: its template no longer refuses them, or it is restarted.
fn switch(mesh: &Mesh, workload: &Workload) -> Option<Step> {
    let object = &workload.object;
    let mut step = Step::new(StepId::Switch(switch_name(mesh, object)));
    let patch = json!({"spec": {"template": {"metadata": {"labels": {INJECT_LABEL: null}}}}});
    let refuses = workload.labels.has(INJECT_LABEL, "false");
    let rolled = |pods| {
        vec![Condition::RolledOut {
            workload: object.clone(),
            pods,
        }]
    };
    let writes = if refuses {
        patched(mesh, object, &patch)?.writes
    } else {
        vec![Planned::Restart(object.clone())]
    };
    step.stages.push(Stage {
        writes,
        gate: rolled(Pods::Sidecars),
        undone: rolled(Pods::Any),
    });
    step.rollouts.push(rollout(mesh, workload));
    Some(step)
}

/// Policies that only a waypoint enforces, where no policy of the pods would do so in their sidecars.
fn unjudged(mesh: &Mesh, namespace: &Name, back: &[&Workload]) -> Vec<Obstacle> {
    let policies = mesh.within::<AuthorizationPolicy>(namespace);
    let attached = |policy: &AuthorizationPolicy| {
        policy.spec.target_ref.is_some() || !policy.spec.target_refs.is_empty()
    };
    let judges = |policy: &AuthorizationPolicy, workload: &Workload| {
        let selector = policy.spec.selector.as_ref();
        !attached(policy)
            && policy.metadata.annotations.get(SOURCE).is_none()
            && selector.is_none_or(|selector| {
                let mut wanted = selector.match_labels.iter();
                wanted.all(|(key, value)| {
                    workload.labels.has(key, value) || key == crate::mesh::workloads::TLS_MODE_LABEL
                })
            })
    };
    let mut found = Vec::new();
    // What this program made for ambient pods refuses whoever does not come through the waypoint.
    for policy in policies.iter().filter(|policy| !attached(policy)) {
        if policy.metadata.annotations.get(SOURCE).is_some() {
            let object =
                ObjectRef::new(Kind::AuthorizationPolicy, namespace, &policy.metadata.name);
            found.push(obstacle(
                object,
                "was made for pods without sidecars, and the journal that knows what it stood beside is gone".to_owned(),
                "apply the policies that sidecars enforced before, delete this one when the pods have sidecars, and unbind the Services by hand",
            ));
        }
    }
    for policy in policies.iter().filter(|policy| attached(policy)) {
        let targets: Vec<&str> = policy
            .spec
            .target_refs
            .iter()
            .chain(&policy.spec.target_ref)
            .map(|target| target.name.as_str())
            .collect();
        let mut behind = back.iter().filter(|workload| {
            let mut services = mesh.services_of(workload);
            services.any(|service| targets.contains(&&*service.object.name))
        });
        let bare = behind.find(|workload| !policies.iter().any(|other| judges(other, workload)));
        if let Some(workload) = bare {
            let object =
                ObjectRef::new(Kind::AuthorizationPolicy, namespace, &policy.metadata.name);
            found.push(obstacle(
                object,
                format!(
                    "is enforced by the waypoint alone: in the sidecars of {} nobody would enforce it, and what it replaced is not here to be restored",
                    workload.object.short()
                ),
                "apply the policies that sidecars enforced before, then ask again",
            ));
        }
    }
    found
}

/// Services are unbound, and the namespace leaves the ambient data plane.
fn unbind(mesh: &Mesh, namespace: &Name) -> Option<Step> {
    let mut step = Step::new(StepId::Bind);
    let none =
        json!({USE_WAYPOINT: null, USE_WAYPOINT_NAMESPACE: null, INGRESS_USE_WAYPOINT: null});
    let patch = json!({"metadata": {"labels": none}});
    for service in mesh.services_in(namespace) {
        step.stages.extend(patched(mesh, &service.object, &patch));
    }
    let object = ObjectRef::new(Kind::Namespace, namespace, namespace);
    let mut labels = none;
    labels[DATA_PLANE_LABEL] = Value::Null;
    step.stages.extend(patched(
        mesh,
        &object,
        &json!({"metadata": {"labels": labels}}),
    ));
    (!step.stages.is_empty()).then_some(step)
}

/// Services of other namespaces that a waypoint of this one serves.
fn bound_elsewhere(mesh: &Mesh, namespace: &Name) -> Option<Obstacle> {
    let mut others = mesh
        .services()
        .iter()
        .filter(|service| service.object.namespace != *namespace);
    others.find_map(|service| {
        let binding = mesh.binding(service);
        let waypoint = binding
            .effective()
            .filter(|waypoint| waypoint.namespace == *namespace)?;
        Some(obstacle(
            waypoint.clone(),
            format!("serves {}", service.object),
            "leave --delete-waypoint out, or bind that Service to another waypoint first",
        ))
    })
}

/// The waypoints of a namespace go.
fn waypoints(mesh: &Mesh, namespace: &Name) -> Option<Step> {
    let mut step = Step::new(StepId::Waypoint);
    for waypoint in mesh
        .waypoints()
        .iter()
        .filter(|one| one.object.namespace == *namespace)
    {
        let Some(manifest) = mesh.inventory().whole(&waypoint.object) else {
            continue;
        };
        let manifest = crate::translate::Manifest::of(waypoint.object.clone(), manifest);
        step.stages.push(Stage {
            writes: vec![Planned::Write(Write::Remove {
                object: waypoint.object.clone(),
                manifest: manifest.json().clone(),
                generation: None,
            })],
            ..Stage::default()
        });
    }
    (!step.stages.is_empty()).then_some(step)
}
