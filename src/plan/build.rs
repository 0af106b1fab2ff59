//! Cutting a translation into steps.

use std::collections::{BTreeMap, BTreeSet};

use super::bypass::bypasses;
use super::condition::{Condition, Pods};
use super::left::{bare, moving, remainder, returning};
use super::meantime::{not_given_back, past_waypoints, unhealthy};
use super::rollout::rollout;
use super::step::{Stage, Step, StepId};
use super::write::{Planned, Write};
use super::{Direction, Manner, Obstacle, Plan, order};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::waypoints::{USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
use crate::mesh::workloads::{DataPlane, Role, TUNNEL_LABEL, Workload, data_plane};
use crate::translate::{Change, Decision, Edit, Phase};

/// What a plan is made of.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// The mesh as it is.
    pub mesh: &'a Mesh,
    /// The namespace that is moved.
    pub namespace: &'a Name,
    /// What its objects become.
    pub decision: &'a Decision<'a>,
    /// Whether it was said what becomes of callers that go past the waypoint.
    pub guarded: bool,
    /// Workloads that keep their sidecars.
    pub deferred: &'a BTreeSet<(Name, Name)>,
    /// Whether pods that nobody makes again are deleted.
    pub delete_bare_pods: bool,
}

/// The plan of a namespace, and what stands in its way beside what checks and the translation say.
pub fn plan(ground: &Ground<'_>) -> (Plan, Vec<Obstacle>) {
    let cut = Cut::of(ground);
    let moving = moving(ground);
    let manner = cut.manner(ground, &moving);
    let order = order::of(ground.mesh, ground.namespace, &moving);
    let mut steps = vec![
        hbone(ground, &cut),
        waypoint_step(&cut),
        policies(&cut),
        bind(ground, &cut, &moving),
    ];
    let mut switches = switches(ground, &cut, &order, manner);
    switches.extend(deleted(ground, order.waves.len()));
    let remainder = remainder(ground);
    let injection = injection(ground, &cut, manner, &remainder);
    match manner {
        Manner::Templates => steps.extend(switches.into_iter().chain([injection])),
        Manner::Namespace => steps.extend([injection].into_iter().chain(switches)),
    }
    // A client that keeps its sidecar reads the VirtualService: routes come when none is left.
    if remainder.is_empty() {
        steps.extend(cut.routes());
    }
    steps.push(verify(ground, &cut, &remainder));
    steps.push(cut.finish(ground.namespace));
    steps.retain(|step| step.id == StepId::Verify || !step.stages.is_empty());
    if steps.len() == 1 {
        steps.clear();
    }
    in_waves(&mut steps);
    let bypasses = bypasses(ground, &order, &steps);
    let plan = Plan {
        namespace: ground.namespace.clone(),
        direction: Direction::Forward,
        manner,
        steps,
        remainder,
        rest: Vec::new(),
        bypasses,
    };
    debug_assert!(super::rights::hold(&plan.steps));
    let mut obstacles = past_waypoints(ground, &order);
    obstacles.extend(unhealthy(ground, &moving));
    obstacles.extend(not_given_back(ground, &moving));
    (plan, obstacles)
}

/// Numbers the waves: workloads of one wave are switched side by side, all else stands alone.
pub(super) fn in_waves(steps: &mut [Step]) {
    let mut wave = 0;
    let mut last: Option<(bool, u32)> = None;
    for step in steps {
        let this = (matches!(step.id, StepId::Switch(_)), step.wave);
        if last.is_some_and(|last| !(last.0 && this.0 && last.1 == this.1)) {
            wave += 1;
        }
        last = Some(this);
        step.wave = wave;
    }
}

/// The changes of a translation, by the step that makes them.
#[derive(Default)]
struct Cut<'a> {
    opening: Vec<&'a Change>,
    waypoints: Vec<&'a Change>,
    policies: Vec<&'a Change>,
    bound: Vec<&'a Change>,
    enrolled: Vec<&'a Change>,
    templates: BTreeMap<ObjectRef, &'a Change>,
    injection: Vec<&'a Change>,
    routes: Vec<&'a Change>,
    finish: Vec<&'a Change>,
}

impl<'a> Cut<'a> {
    fn of(ground: &Ground<'a>) -> Self {
        let mut cut = Self::default();
        for change in ground.decision.made(None) {
            let object = change.edit.object();
            // What must change elsewhere is its owner's; the checks name it.
            let elsewhere = object.kind != Kind::Namespace && object.namespace != *ground.namespace;
            if elsewhere {
                continue;
            }
            let is_new = matches!(change.edit, Edit::Create(_));
            match (change.phase, object.kind) {
                (Phase::Prepare, Kind::NetworkPolicy) => cut.opening.push(change),
                (Phase::Prepare, Kind::DestinationRule) if !is_new => cut.opening.push(change),
                (Phase::Prepare, Kind::Gateway | Kind::ConfigMap) => cut.waypoints.push(change),
                (Phase::Prepare, _) => cut.policies.push(change),
                (Phase::Enrol, Kind::Namespace) => cut.enrolled.push(change),
                (Phase::Enrol, _) => cut.bound.push(change),
                (Phase::Switch, Kind::Namespace) => cut.injection.push(change),
                (Phase::Switch, _) => {
                    cut.templates.insert(object.clone(), change);
                }
                (Phase::Routes, _) | (Phase::Retire, Kind::VirtualService) => {
                    cut.routes.push(change);
                }
                (Phase::Retire, _) => cut.finish.push(change),
            }
        }
        cut
    }

    fn manner(&self, ground: &Ground<'_>, moving: &[&Workload]) -> Manner {
        let waits = |workload: &&Workload| self.templates.contains_key(&workload.object);
        let defers = ground
            .deferred
            .iter()
            .any(|(home, _)| home == ground.namespace);
        if defers || moving.iter().any(waits) {
            Manner::Templates
        } else {
            Manner::Namespace
        }
    }

    /// For each host, its routes, and what they replace once they are accepted.
    fn routes(&self) -> Vec<Step> {
        let mut groups: Vec<(BTreeSet<&ObjectRef>, Vec<&Change>)> = Vec::new();
        for change in &self.routes {
            let mut sources: BTreeSet<&ObjectRef> = change.because.iter().collect();
            if change.edit.object().kind == Kind::VirtualService {
                sources.insert(change.edit.object());
            }
            let (joined, apart): (Vec<_>, Vec<_>) = groups
                .into_iter()
                .partition(|(known, _)| !known.is_disjoint(&sources));
            let mut changes = vec![*change];
            for (known, more) in joined {
                sources.extend(known);
                changes.extend(more);
            }
            groups = apart;
            groups.push((sources, changes));
        }
        let mut steps: Vec<Step> = groups
            .into_iter()
            .map(|(_, changes)| routes_step(self, &changes))
            .collect();
        steps.sort_by(|a, b| a.id.cmp(&b.id));
        steps
    }

    fn finish(&self, namespace: &Name) -> Step {
        let mut step = Step::new(StepId::Finish);
        // A guard is chosen for its workload alone before what stood beside it goes.
        let (kept, gone): (Vec<&Change>, Vec<&Change>) = self
            .finish
            .iter()
            .partition(|change| !matches!(change.edit, Edit::Remove(_)));
        for changes in [kept, gone] {
            if let Some(stage) = stage(&changes, seen, |_| Condition::Settled) {
                step.stages.push(stage);
            }
        }
        // What protects sidecars goes when none is left, whoever looked before.
        if !step.stages.is_empty() {
            let gate = vec![Condition::NoSidecars {
                namespace: namespace.clone(),
                except: Vec::new(),
            }];
            let first = Stage {
                gate,
                ..Stage::default()
            };
            step.stages.insert(0, first);
        }
        step
    }
}

fn write_of(change: &Change) -> Planned {
    Planned::Write(match &change.edit {
        Edit::Create(manifest) => Write::Create {
            object: manifest.object().clone(),
            manifest: manifest.json().clone(),
            generation: None,
        },
        Edit::Update { before, after, .. } => {
            Write::between(after.object(), before.json(), after.json())
        }
        Edit::Remove(manifest) => Write::Remove {
            object: manifest.object().clone(),
            manifest: manifest.json().clone(),
            generation: None,
        },
    })
}

/// Changes that are written together; nothing where there are none.
fn stage(
    changes: &[&Change],
    gate: impl Fn(&Change) -> Condition,
    undone: impl Fn(&Change) -> Condition,
) -> Option<Stage> {
    let each = |condition: &dyn Fn(&Change) -> Condition| {
        let mut all: Vec<Condition> = Vec::new();
        for change in changes {
            let one = condition(change);
            if !all.contains(&one) {
                all.push(one);
            }
        }
        all
    };
    (!changes.is_empty()).then(|| Stage {
        writes: changes.iter().map(|change| write_of(change)).collect(),
        gate: each(&gate),
        undone: each(&undone),
    })
}

/// istiod has seen what was written; what is gone cannot tell.
fn seen(change: &Change) -> Condition {
    match &change.edit {
        Edit::Remove(_) => Condition::Settled,
        edit => Condition::Seen {
            object: edit.object().clone(),
        },
    }
}

/// What accepts no HBONE is replaced, and ways for it are opened.
fn hbone(ground: &Ground<'_>, cut: &Cut<'_>) -> Step {
    let mut step = Step::new(StepId::Hbone);
    step.stages.extend(stage(
        &cut.opening,
        |_| Condition::Settled,
        |_| Condition::Settled,
    ));
    for workload in ground.mesh.workloads_in(ground.namespace) {
        let mute = ground.mesh.pods(workload).any(|pod| match workload.role {
            Role::Application => {
                data_plane(pod) == DataPlane::Sidecar
                    && !pod.metadata.labels.has(TUNNEL_LABEL, "http")
            }
            Role::Gateway => pod
                .detail
                .as_ref()
                .is_some_and(|detail| detail.hbone_env == Some(false)),
            Role::Waypoint | Role::Istio => false,
        });
        let restarts = matches!(
            workload.object.kind,
            Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet
        );
        if !mute || !restarts || !workload.has_template {
            continue;
        }
        let pods = match workload.role {
            Role::Application => Pods::Sidecars,
            _ => Pods::Any,
        };
        let rolled = |pods| Condition::RolledOut {
            workload: workload.object.clone(),
            pods,
        };
        step.stages.push(Stage {
            writes: vec![Planned::Restart(workload.object.clone())],
            gate: vec![rolled(pods)],
            undone: vec![rolled(Pods::Any)],
        });
        step.rollouts.push(rollout(ground.mesh, workload));
    }
    step
}

/// Each waypoint with its parameters, which must be there before its Gateway.
fn waypoint_step(cut: &Cut<'_>) -> Step {
    let mut step = Step::new(StepId::Waypoint);
    let (gateways, parameters): (Vec<&Change>, Vec<&Change>) = cut
        .waypoints
        .iter()
        .partition(|change| change.edit.object().kind == Kind::Gateway);
    for change in gateways {
        let gateway = change.edit.object();
        let parameters = parameters
            .iter()
            .filter(|parameters| parameters.because.contains(gateway));
        step.stages.push(Stage {
            writes: parameters.copied().chain([change]).map(write_of).collect(),
            gate: vec![Condition::WaypointReady {
                gateway: gateway.clone(),
            }],
            undone: Vec::new(),
        });
    }
    step
}

/// Policies: what is new first, then what makes room for it. istiod has seen one before the other.
fn policies(cut: &Cut<'_>) -> Step {
    let mut step = Step::new(StepId::Policies);
    let (new, changed): (Vec<&Change>, Vec<&Change>) = cut
        .policies
        .iter()
        .partition(|change| matches!(change.edit, Edit::Create(_)));
    for changes in [new, changed] {
        let gate = |change: &Change| match change.edit.object().kind {
            Kind::AuthorizationPolicy => seen(change),
            _ => Condition::Settled,
        };
        step.stages
            .extend(stage(&changes, gate, |_| Condition::Settled));
    }
    step
}

fn bind(ground: &Ground<'_>, cut: &Cut<'_>, moving: &[&Workload]) -> Step {
    let mut step = Step::new(StepId::Bind);
    let gate = |change: &Change| binding(change).unwrap_or(Condition::Settled);
    step.stages
        .extend(stage(&cut.bound, gate, |_| Condition::Settled));
    // What is not accepted is not enforced: nothing is enrolled before.
    let accepted: Vec<Condition> = cut.accepted().collect();
    let binds = !step.stages.is_empty() || !cut.enrolled.is_empty();
    if !accepted.is_empty() && binds {
        step.stages.push(Stage {
            gate: accepted,
            ..Stage::default()
        });
    }
    step.stages.extend(stage(
        &cut.enrolled,
        |_| Condition::Settled,
        |_| Condition::Settled,
    ));
    // Going back, what protects pods without sidecars goes after the last of them.
    let returning = returning(ground, moving);
    if !step.stages.is_empty() && !returning.is_empty() {
        step.stages.push(Stage {
            undone: vec![Condition::NoAmbient {
                namespace: ground.namespace.clone(),
                of: returning,
            }],
            ..Stage::default()
        });
    }
    for workload in ground.mesh.workloads_in(ground.namespace) {
        let captured = workload.role == Role::Application
            && ground
                .mesh
                .pods(workload)
                .any(|pod| data_plane(pod) == DataPlane::None)
            && !workload.host_network;
        if captured && !cut.enrolled.is_empty() {
            step.risks.push(format!(
                "pods of {} have no sidecar: ztunnel takes their connections from the moment on in which the namespace is labelled",
                workload.object.short()
            ));
        }
    }
    step
}

impl Cut<'_> {
    /// That the policies at the waypoint are accepted there.
    fn accepted(&self) -> impl Iterator<Item = Condition> {
        self.policies.iter().filter_map(|change| {
            let after = change.edit.after()?;
            let object = after.object();
            let attached = after.json().pointer("/spec/targetRefs").is_some();
            (attached && object.kind == Kind::AuthorizationPolicy).then(|| {
                Condition::PolicyAccepted {
                    policy: object.clone(),
                }
            })
        })
    }
}

/// That a Service is bound to the waypoint that its label names.
fn binding(change: &Change) -> Option<Condition> {
    let after = change.edit.after()?;
    let service = after.object().clone();
    let label = |key: &str| {
        after
            .json()
            .pointer("/metadata/labels")?
            .get(key)?
            .as_str()
            .map(Name::from)
    };
    let home = label(USE_WAYPOINT_NAMESPACE).unwrap_or_else(|| service.namespace.clone());
    let waypoint = ObjectRef::new(Kind::Gateway, &home, &label(USE_WAYPOINT)?);
    Some(Condition::Bound { service, waypoint })
}

/// The name of a workload in a step's: its own, with its kind where another has the same.
pub(super) fn switch_name(mesh: &Mesh, object: &ObjectRef) -> String {
    let mut same = mesh.workloads_in(&object.namespace).iter();
    let shared =
        same.any(|other| other.object.name == object.name && other.object.kind != object.kind);
    if shared {
        format!(
            "{}.{}",
            object.kind.written().to_ascii_lowercase(),
            object.name
        )
    } else {
        object.name.to_string()
    }
}

fn switches(ground: &Ground<'_>, cut: &Cut<'_>, order: &order::Order, manner: Manner) -> Vec<Step> {
    let mesh = ground.mesh;
    let find = |object: &ObjectRef| {
        mesh.workloads_in(ground.namespace)
            .iter()
            .find(|w| w.object == *object)
    };
    let mut steps = Vec::new();
    for (wave, objects) in order.waves.iter().enumerate() {
        for object in objects {
            let Some(workload) = find(object) else {
                continue;
            };
            let planned = match (manner, cut.templates.get(object)) {
                (_, Some(change)) => write_of(change),
                // Pods of the next run of a CronJob ask the namespace.
                (Manner::Namespace, None)
                    if workload.has_sidecar() && object.kind != Kind::CronJob =>
                {
                    Planned::Restart(object.clone())
                }
                _ => continue,
            };
            let mut step = Step::new(StepId::Switch(switch_name(mesh, object)));
            step.wave = u32::try_from(wave).unwrap_or(u32::MAX);
            let rolled = |pods| Condition::RolledOut {
                workload: object.clone(),
                pods,
            };
            let replaces = object.kind != Kind::CronJob;
            let accepts = !mesh.pods(workload).any(|pod| {
                data_plane(pod) == DataPlane::Sidecar
                    && !pod.metadata.labels.has(TUNNEL_LABEL, "http")
            });
            let back = if workload.has_sidecar() && accepts {
                Pods::Sidecars
            } else {
                Pods::Injected
            };
            let replaced = Condition::Replaced {
                workload: object.clone(),
                pods: back,
            };
            step.stages.push(Stage {
                writes: vec![planned],
                gate: if replaces {
                    vec![rolled(Pods::Ambient)]
                } else {
                    Vec::new()
                },
                undone: if replaces { vec![replaced] } else { Vec::new() },
            });
            if replaces {
                step.rollouts.push(rollout(mesh, workload));
            }
            steps.push(step);
        }
    }
    steps
}

/// Pods that nobody makes again are deleted, when all others are switched.
fn deleted(ground: &Ground<'_>, wave: usize) -> Vec<Step> {
    let all = ground.mesh.workloads_in(ground.namespace).iter();
    let doomed = all.filter(|workload| ground.delete_bare_pods && bare(ground, workload));
    let steps = doomed.map(|workload| {
        let object = &workload.object;
        let mut step = Step::new(StepId::Switch(switch_name(ground.mesh, object)));
        step.wave = u32::try_from(wave).unwrap_or(u32::MAX);
        step.stages.push(Stage {
            writes: vec![Planned::Delete(object.clone())],
            ..Stage::default()
        });
        step.risks.push(format!(
            "nobody makes {} again: what it does ends with it, and `rollback` does not bring it back",
            object.short()
        ));
        step
    });
    steps.collect()
}

/// The namespace injects no more. Where its workloads have moved already, no sidecar is left then but those
/// of the remainder: one that came meanwhile would go by the routes that are replaced next.
fn injection(ground: &Ground<'_>, cut: &Cut<'_>, manner: Manner, remainder: &[ObjectRef]) -> Step {
    let mut step = Step::new(StepId::Injection);
    step.stages.extend(stage(
        &cut.injection,
        |_| match manner {
            Manner::Templates => no_sidecars(ground, remainder),
            Manner::Namespace => Condition::Settled,
        },
        |_| Condition::Settled,
    ));
    step
}

fn no_sidecars(ground: &Ground<'_>, remainder: &[ObjectRef]) -> Condition {
    Condition::NoSidecars {
        namespace: ground.namespace.clone(),
        except: remainder.to_vec(),
    }
}

fn routes_step(cut: &Cut<'_>, changes: &[&Change]) -> Step {
    let host = |change: &&Change| {
        let json = change.edit.after()?.json();
        json.pointer("/spec/parentRefs/0/name")?
            .as_str()
            .map(str::to_owned)
    };
    // In the order of the translation, which puts what others refer to first.
    let ordered = |which: &dyn Fn(&Change) -> bool| -> Vec<&Change> {
        let mine = cut
            .routes
            .iter()
            .filter(|change| changes.iter().any(|c| std::ptr::eq(*c, **change)));
        mine.filter(|change| which(change)).copied().collect()
    };
    let new = ordered(&|change| change.edit.object().kind != Kind::VirtualService);
    let old = ordered(&|change| change.edit.object().kind == Kind::VirtualService);
    let name = new.iter().find_map(host).unwrap_or_else(|| {
        let first = changes
            .first()
            .map(|change| change.edit.object().name.to_string());
        first.unwrap_or_default()
    });
    let mut step = Step::new(StepId::Routes(name));
    let accepted = |change: &Change| match change.edit.object().kind {
        Kind::HTTPRoute | Kind::GRPCRoute | Kind::TCPRoute | Kind::TLSRoute => {
            Condition::RouteAccepted {
                route: change.edit.object().clone(),
            }
        }
        _ => Condition::Settled,
    };
    step.stages
        .extend(stage(&new, accepted, |_| Condition::Settled));
    step.stages
        .extend(stage(&old, |_| Condition::Settled, |_| Condition::Settled));
    step
}

fn verify(ground: &Ground<'_>, cut: &Cut<'_>, remainder: &[ObjectRef]) -> Step {
    let mut step = Step::new(StepId::Verify);
    let mut gate = vec![no_sidecars(ground, remainder)];
    gate.extend(cut.bound.iter().filter_map(|change| binding(change)));
    gate.extend(cut.accepted());
    step.stages.push(Stage {
        gate,
        ..Stage::default()
    });
    step
}
