//! A plan in a document: what each step does, waits for, and is undone by.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::kinds::{Kind, Name, ObjectRef};
use crate::plan::{
    Bypass, Bypasser, Condition, Direction, FieldChange, Manner, Obstacle, Plan, Planned, Possible,
    Rollout, Step, StepId, Totals, Write,
};

/// The plan of a namespace.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanEntry {
    /// The namespace.
    pub namespace: Name,
    /// `templates` or `namespace`: what decides that a pod has no sidecar.
    pub switched_by: &'static str,
    /// How much it does.
    pub totals: Totals,
    /// The steps, in order.
    pub steps: Vec<StepEntry>,
    /// What keeps its sidecars.
    pub remainder: Vec<String>,
    /// Who goes past a waypoint while it has sidecars.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bypasses: Vec<BypassEntry>,
    /// What stands in the way, or is accepted.
    pub obstacles: Vec<ObstacleEntry>,
}

/// A workload whose requests a waypoint has to judge, and who goes past it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BypassEntry {
    /// `Kind/name` of the workload that is called.
    pub called: String,
    /// The step from which on its own pods judge no requests.
    pub from: String,
    /// What judges requests to it.
    pub rules: Vec<String>,
    /// Callers that policies or routes name.
    pub callers: Vec<BypasserEntry>,
    /// Others that have sidecars, where a rule admits anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub possible: Option<Possible>,
}

/// A caller that is named.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BypasserEntry {
    /// Who: a workload, a principal, gateways.
    pub who: String,
    /// What names it.
    pub because: String,
    /// The step from which on it comes through the waypoint; nothing when this move does not bring it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// A step.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepEntry {
    /// Its name.
    pub id: String,
    /// Steps of one wave may be done side by side.
    pub wave: u32,
    /// Whether it waits for `--finish`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub later: bool,
    /// What it writes, in order.
    pub writes: Vec<WriteEntry>,
    /// What must hold before the next step begins.
    pub gate: Vec<String>,
    /// What undoes it.
    pub undo: Vec<String>,
    /// Workloads whose pods it replaces.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollouts: Vec<RolloutEntry>,
    /// What may be felt meanwhile.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub risks: Vec<String>,
}

/// Something that is written.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WriteEntry {
    /// `create`, `change`, `restart` or `remove`.
    pub verb: &'static str,
    /// `Kind/name`.
    pub object: String,
    /// The fields that change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldEntry>,
    /// What is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Value>,
    /// The same as a command; nothing where it takes a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubectl: Option<String>,
}

/// A field that changes.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FieldEntry {
    /// Its path.
    pub field: String,
    /// As it is before; nothing where it is absent or not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// As it is after; nothing where it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// A workload whose pods are replaced.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutEntry {
    /// `Kind/name`.
    pub workload: String,
    /// How many pods it has.
    pub pods: u32,
    /// How it replaces them.
    pub strategy: String,
    /// How many times it waits for new pods to be ready.
    pub turns: u32,
    /// How many seconds a new pod has to be ready before it counts.
    pub min_ready_seconds: u32,
    /// The least that it takes in seconds, if pods are ready at once.
    pub at_least_seconds: u32,
}

/// Something that stands in the way.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ObstacleEntry {
    /// The id that `--accept` takes; nothing for what cannot be accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The object in question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// What it is.
    pub message: String,
    /// What a person can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Why it is gone on in spite of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

impl PlanEntry {
    /// A plan, and what stands in its way.
    pub fn new(plan: &Plan, obstacles: &[Obstacle]) -> Self {
        Self {
            namespace: plan.namespace.clone(),
            switched_by: match plan.manner {
                Manner::Templates => "templates",
                Manner::Namespace => "namespace",
            },
            totals: plan.totals(),
            steps: plan.steps.iter().map(StepEntry::new).collect(),
            remainder: match plan.direction {
                Direction::Forward => plan.remainder.iter().map(ObjectRef::short).collect(),
                Direction::Back => Vec::new(),
            },
            bypasses: plan.bypasses.iter().map(BypassEntry::new).collect(),
            obstacles: obstacles.iter().map(ObstacleEntry::new).collect(),
        }
    }

    /// Whether something stands in the way that was not accepted.
    pub fn is_blocked(&self) -> bool {
        self.obstacles
            .iter()
            .any(|obstacle| obstacle.accepted.is_none())
    }
}

impl BypassEntry {
    fn new(bypass: &Bypass) -> Self {
        Self {
            called: bypass.called.short(),
            from: bypass.from.to_string(),
            rules: bypass.rules.iter().map(ObjectRef::short).collect(),
            callers: bypass.callers.iter().map(BypasserEntry::new).collect(),
            possible: bypass.possible,
        }
    }
}

impl BypasserEntry {
    fn new(caller: &Bypasser) -> Self {
        Self {
            who: caller.who.clone(),
            because: caller.because.clone(),
            until: caller.until.as_ref().map(ToString::to_string),
        }
    }
}

impl ObstacleEntry {
    pub(super) fn new(obstacle: &Obstacle) -> Self {
        Self {
            id: obstacle.id.clone(),
            object: obstacle.object.as_ref().map(ToString::to_string),
            message: obstacle.says.clone(),
            remedy: obstacle.remedy.clone(),
            accepted: obstacle.accepted.clone(),
        }
    }
}

impl StepEntry {
    fn new(step: &Step) -> Self {
        let writes: Vec<WriteEntry> = step.writes().map(WriteEntry::new).collect();
        let mut gate: Vec<String> = Vec::new();
        for condition in step.stages.iter().flat_map(|stage| &stage.gate) {
            let says = condition.says();
            if *condition != Condition::Settled && !gate.contains(&says) {
                gate.push(says);
            }
        }
        let undo = step
            .stages
            .iter()
            .rev()
            .flat_map(|stage| stage.writes.iter().rev());
        Self {
            id: step.id.to_string(),
            wave: step.wave,
            later: step.id == StepId::Finish,
            writes,
            gate,
            undo: undo.map(undone).collect(),
            rollouts: step.rollouts.iter().map(RolloutEntry::new).collect(),
            risks: step.risks.clone(),
        }
    }
}

/// What undoes a write, in words.
fn undone(planned: &Planned) -> String {
    let object = planned.object().short();
    match planned {
        Planned::Write(Write::Create { .. }) => format!("remove {object}"),
        Planned::Write(Write::Remove { .. }) => format!("create {object} again, as it was"),
        Planned::Write(Write::Change { .. }) | Planned::Set { .. } => {
            format!("give {object} its fields back")
        }
        Planned::Restart(_) => format!("give {object} its annotation back, which restarts it"),
        Planned::Write(Write::Delete { .. }) | Planned::Delete(_) => {
            format!("nothing: {object} is not made again")
        }
    }
}

impl RolloutEntry {
    fn new(rollout: &Rollout) -> Self {
        Self {
            workload: rollout.workload.short(),
            pods: rollout.pods,
            strategy: rollout.strategy.clone(),
            turns: rollout.turns,
            min_ready_seconds: rollout.min_ready_seconds,
            at_least_seconds: rollout.turns.saturating_mul(rollout.min_ready_seconds),
        }
    }
}

impl WriteEntry {
    fn new(planned: &Planned) -> Self {
        let object = planned.object();
        let (verb, fields, manifest) = match planned {
            Planned::Write(Write::Create { manifest, .. }) => {
                ("create", Vec::new(), Some(manifest.clone()))
            }
            Planned::Write(Write::Remove { .. } | Write::Delete { .. }) | Planned::Delete(_) => {
                ("remove", Vec::new(), None)
            }
            Planned::Write(Write::Change { fields, .. }) => {
                ("change", fields.iter().map(FieldEntry::new).collect(), None)
            }
            Planned::Restart(_) => ("restart", Vec::new(), None),
            Planned::Set { path, value, .. } => {
                let field = FieldEntry {
                    field: path.join("."),
                    before: None,
                    after: Some(value.clone()),
                };
                ("change", vec![field], None)
            }
        };
        Self {
            verb,
            object: object.short(),
            fields,
            manifest,
            kubectl: kubectl(planned),
        }
    }
}

impl FieldEntry {
    fn new(field: &FieldChange) -> Self {
        Self {
            field: field.path.join("."),
            before: field.before.clone(),
            after: field.after.clone(),
        }
    }
}

/// A write as a command that a person could type.
fn kubectl(planned: &Planned) -> Option<String> {
    let object = planned.object();
    let named = format!("{} {}{}", resource(object.kind), object.name, home(object));
    match planned {
        Planned::Write(Write::Create { .. }) => None,
        Planned::Write(Write::Remove { .. } | Write::Delete { .. }) | Planned::Delete(_) => {
            Some(format!("kubectl delete {named}"))
        }
        Planned::Restart(_) => Some(format!(
            "kubectl rollout restart {}/{}{}",
            resource(object.kind),
            object.name,
            home(object)
        )),
        Planned::Write(Write::Change { fields, .. }) => Some(match labels(fields) {
            Some(labels) => format!("kubectl label --overwrite {named} {labels}"),
            None => patch(&named, fields),
        }),
        Planned::Set { path, value, .. } => {
            let field = FieldChange {
                path: path.clone(),
                before: None,
                after: Some(value.clone()),
            };
            Some(patch(&named, &[field]))
        }
    }
}

fn home(object: &ObjectRef) -> String {
    match &*object.namespace {
        "" => String::new(),
        namespace => format!(" -n {namespace}"),
    }
}

fn resource(kind: Kind) -> String {
    match kind.group() {
        "" | "apps" | "batch" | "policy" | "networking.k8s.io" => {
            kind.written().to_ascii_lowercase()
        }
        group => format!("{}.{group}", kind.written().to_ascii_lowercase()),
    }
}

/// Changes of an object's own labels, as `kubectl label` takes them; nothing where others change, too.
fn labels(fields: &[FieldChange]) -> Option<String> {
    let mut words = Vec::new();
    for field in fields {
        let [meta, labels, key] = field.path.as_slice() else {
            return None;
        };
        if meta != "metadata" || labels != "labels" {
            return None;
        }
        words.push(match field.after.as_ref().and_then(Value::as_str) {
            Some(value) => format!("{key}={value}"),
            None => format!("{key}-"),
        });
    }
    Some(words.join(" "))
}

fn patch(named: &str, fields: &[FieldChange]) -> String {
    let mut patch = Value::Object(Map::new());
    for field in fields {
        let nested = field
            .path
            .iter()
            .rev()
            .fold(field.after.clone().unwrap_or(Value::Null), |value, key| {
                Value::Object(Map::from_iter([(key.clone(), value)]))
            });
        join(&mut patch, nested);
    }
    let text = patch.to_string().replace('\'', "'\\''");
    format!("kubectl patch {named} --type=merge -p '{text}'")
}

fn join(target: &mut Value, more: Value) {
    match (target, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (key, value) in more {
                join(fields.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, more) => *target = more,
    }
}
