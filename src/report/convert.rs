//! The document of `convert`.

mod comparison;
mod files;
mod folders;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

pub use comparison::{ComparisonEntry, DifferenceEntry};
pub use files::{FileEntry, LeftEntry, WrittenEntry};
pub use folders::folders;

use super::check::UnreadEntry;
use super::plan::{ObstacleEntry, PlanEntry};
use super::{API_VERSION, Header};
use crate::checks::{Scope, Severity};
use crate::inventory::{Input, Origin};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::plan::Obstacle;
use crate::translate::{
    Change, Decision, Earlier, Edit, Manifest, Options, Phase, Remark, Topic, Translation,
    Treatment, Weight, written,
};

/// What `convert` says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conversion {
    api_version: &'static str,
    kind: &'static str,
    /// What differs from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Header>,
    /// Where the mesh was read from.
    pub source: &'static str,
    /// The release of Istio that the result is for, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub istio_version: Option<String>,
    /// The phase that alone is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<&'static str>,
    /// The namespaces that were looked at, by name.
    pub namespaces: Vec<Name>,
    /// What becomes of each object, by namespace, kind and name.
    pub objects: Vec<ObjectEntry>,
    /// Findings that stand in the way, or are accepted; from a cluster they stand with the plan.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<ObstacleEntry>,
    /// What changes, and what to wait for in between.
    pub phases: Vec<PhaseEntry>,
    /// What the comparison of both sides found.
    pub comparison: ComparisonEntry,
    /// What was accepted, each with the reason given.
    pub accepted: Vec<AcceptedEntry>,
    /// Ids that were accepted and that nothing needed.
    pub unused_accepts: Vec<&'static str>,
    /// What was done to files; absent when nothing was asked to be written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<WrittenEntry>,
    /// The steps of the move, from a cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<PlanEntry>,
    /// What could not be read.
    pub unread: Vec<UnreadEntry>,
    /// The objects as they are when all is done, or what the phase creates and changes.
    #[serde(skip)]
    manifests: Vec<Manifest>,
    /// Each object that changes, before and after, as YAML.
    #[serde(skip)]
    pub(crate) differences: Vec<ObjectDifference>,
}

/// What becomes of an object.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectEntry {
    /// `Kind/name`.
    pub object: String,
    /// Its namespace; absent for cluster-scoped objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Name>,
    /// Where it stands, for manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What it becomes: `Kind/name`, with the namespace where it is another. Nothing where it is refused.
    pub becomes: Vec<String>,
    /// What happens to it itself: `created`, `changed`, `removed`, `stays`, or `withheld` where it would
    /// change and may not.
    pub itself: &'static str,
    /// How exactly it is translated.
    pub fidelity: &'static str,
    /// The heaviest of its remarks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<&'static str>,
    /// What is to be said, by field.
    pub remarks: Vec<RemarkEntry>,
}

/// Something said of a field.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemarkEntry {
    /// The id that `explain` and `--accept` take.
    pub id: &'static str,
    /// How much it weighs.
    pub severity: &'static str,
    /// What it means for the translation.
    pub weight: &'static str,
    /// The field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// Where it stands, for manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What is said.
    pub message: String,
    /// What a person can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// Why it is accepted, as it was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted: Option<String>,
}

/// What may be applied together.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseEntry {
    /// Its name.
    pub name: &'static str,
    /// What changes, in the order in which it may be applied.
    pub changes: Vec<ChangeEntry>,
    /// What must hold before the next phase begins.
    pub wait_for: &'static str,
}

/// Something that changes.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChangeEntry {
    /// `create`, `change` or `remove`.
    pub action: &'static str,
    /// `Kind/name`.
    pub object: String,
    /// Its namespace; absent for cluster-scoped objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Name>,
    /// The objects on whose account.
    pub because: Vec<String>,
    /// The object that is refused, so that this is not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
    /// What is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Value>,
    /// What is changed, as a JSON merge patch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<Value>,
    /// The object as kubectl names it.
    #[serde(skip)]
    pub(crate) resource: String,
}

/// Something that was accepted.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AcceptedEntry {
    /// Its id.
    pub id: &'static str,
    /// Why.
    pub reason: String,
    /// How many remarks it covers.
    pub covers: usize,
}

/// An object that changes, as YAML.
#[derive(Debug)]
pub(crate) struct ObjectDifference {
    /// Its namespace, kind and name, as in a path.
    pub(crate) path: String,
    /// As it was; nothing when it is new.
    pub(crate) before: Option<String>,
    /// As it is then; nothing when it is gone.
    pub(crate) after: Option<String>,
}

/// Reasons by the ids that they accept.
pub type Reasons = BTreeMap<Topic, String>;

impl Conversion {
    /// The document of a translation.
    pub fn new(
        mesh: &Mesh,
        scope: &Scope,
        translation: &Translation,
        decision: &Decision<'_>,
        asked: &Asked<'_>,
        header: Option<Header>,
    ) -> Self {
        let inventory = mesh.inventory();
        let objects: Vec<ObjectEntry> = decision
            .treatments()
            .map(|treatment| object_entry(mesh, decision, treatment, asked.reasons))
            .collect();
        let (accepted, unused_accepts) = accepted(&objects, asked.reasons);
        let phases = Phase::ALL.into_iter();
        let phases = phases.filter(|phase| asked.phase.is_none_or(|only| only == *phase));
        Self {
            api_version: API_VERSION,
            kind: "Conversion",
            metadata: header,
            source: match inventory.input {
                Input::Manifests => "manifests",
                Input::Cluster => "cluster",
                Input::Overlay => "manifests on top of the cluster",
            },
            istio_version: asked
                .options
                .istio
                .map(|version| version.to_string())
                .or_else(|| super::istio_version(mesh)),
            phase: asked.phase.map(Phase::name),
            namespaces: scope.iter().cloned().collect(),
            objects,
            obstacles: Vec::new(),
            phases: phases
                .map(|phase| phase_entry(decision, phase))
                .filter(|entry| !entry.changes.is_empty())
                .collect(),
            comparison: ComparisonEntry::new(&translation.proofs),
            accepted,
            unused_accepts,
            written: None,
            plans: Vec::new(),
            unread: inventory.unread.iter().map(UnreadEntry::from).collect(),
            // A result in which something is missing is none.
            manifests: if inventory.unread.is_empty() {
                decision.objects(asked.phase)
            } else {
                Vec::new()
            },
            differences: differences(decision, asked.phase),
        }
    }

    /// Findings that stand in the way: each once, whichever namespaces it concerns.
    pub fn stands_in_the_way<'o>(&mut self, findings: impl Iterator<Item = &'o Obstacle>) {
        let findings: BTreeSet<&Obstacle> = findings.collect();
        self.obstacles = findings.into_iter().map(ObstacleEntry::new).collect();
    }

    /// Counts what nothing was to be said of, and what an earlier run made, among the objects that are
    /// there when all is done: all objects of these namespaces that stand in files.
    pub fn with_all_that_stays(&mut self, mesh: &Mesh, decision: &Decision<'_>, earlier: &Earlier) {
        let inventory = mesh.inventory();
        if self.phase.is_some() || !inventory.unread.is_empty() {
            return;
        }
        let mut others: Vec<Manifest> = earlier.manifests().collect();
        let mut in_files = Vec::new();
        inventory.objects.for_each_meta(&mut |object, _| {
            let home = match object.kind {
                Kind::Namespace => &object.name,
                _ => &object.namespace,
            };
            let origin = inventory.objects.origin(&object);
            if self.namespaces.contains(home) && matches!(origin, Some(Origin::File { .. })) {
                in_files.push(object);
            }
        });
        others.extend(in_files.into_iter().filter_map(|object| {
            let json = inventory.whole(&object)?;
            Some(Manifest::of(object, json))
        }));
        self.manifests = decision.objects_beside(&others, None);
    }

    /// The objects as a stream of YAML documents.
    pub fn manifests(&self) -> String {
        written::stream(&self.manifests)
    }

    /// The objects, as kubectl names them.
    pub fn manifest_names(&self) -> Vec<String> {
        self.manifests.iter().map(|m| name_of(m.object())).collect()
    }

    /// Whether anything changes.
    pub fn changes_anything(&self) -> bool {
        self.phases.iter().any(|phase| !phase.changes.is_empty())
    }

    /// Whether a remark is of this severity or weighs more.
    pub fn has(&self, threshold: Severity) -> bool {
        let remarks = self.objects.iter().flat_map(|object| &object.remarks);
        let mut severities = remarks.map(|remark| remark.severity);
        let heavy = Severity::ALL.iter().filter(|s| **s >= threshold);
        let heavy: Vec<&str> = heavy.map(|severity| severity.name()).collect();
        severities.any(|severity| heavy.contains(&severity))
    }

    /// How much stands in the way: refusals, losses that nobody accepted, findings.
    pub fn refusals(&self) -> usize {
        let open = self.obstacles.iter().filter(|o| o.accepted.is_none());
        self.count(Severity::Blocking) + open.count()
    }

    /// How many remarks are of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        let remarks = self.objects.iter().flat_map(|object| &object.remarks);
        remarks
            .filter(|remark| remark.severity == severity.name())
            .count()
    }
}

/// What was asked for, beside the scope.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What the translation was made with.
    pub options: &'a Options,
    /// The phase that alone is shown.
    pub phase: Option<Phase>,
    /// Why differences are accepted.
    pub reasons: &'a Reasons,
}

fn namespace_of(object: &ObjectRef) -> Option<Name> {
    (!object.namespace.is_empty()).then(|| object.namespace.clone())
}

/// An object as kubectl prints its name.
fn name_of(object: &ObjectRef) -> String {
    let kind = object.kind.written().to_ascii_lowercase();
    match object.kind.group() {
        "" => format!("{kind}/{}", object.name),
        group => format!("{kind}.{group}/{}", object.name),
    }
}

fn object_entry(
    mesh: &Mesh,
    decision: &Decision<'_>,
    treatment: &Treatment,
    reasons: &Reasons,
) -> ObjectEntry {
    let object = &treatment.object;
    let becomes = treatment.becomes.iter();
    let becomes = becomes
        .filter(|_| !decision.is_refused(object))
        .map(|what| {
            if what.namespace == object.namespace {
                what.short()
            } else {
                what.to_string()
            }
        });
    let remarks: Vec<RemarkEntry> = treatment
        .remarks
        .iter()
        .map(|remark| remark_entry(mesh, decision, object, remark, reasons))
        .collect();
    let heaviest = Severity::ALL.iter().map(|severity| severity.name());
    let root = crate::kinds::FieldPath::root();
    ObjectEntry {
        object: object.short(),
        namespace: namespace_of(object),
        place: mesh.place(object, &root).map(|place| place.to_string()),
        becomes: becomes.collect(),
        itself: itself(decision, object),
        fidelity: treatment.fidelity().name(),
        severity: heaviest
            .into_iter()
            .find(|name| remarks.iter().any(|remark| remark.severity == *name)),
        remarks,
    }
}

fn itself(decision: &Decision<'_>, object: &ObjectRef) -> &'static str {
    let changes = decision.changes();
    let (made, withheld): (Vec<_>, Vec<_>) = changes
        .filter(|(change, _)| change.edit.object() == object)
        .partition(|(_, withheld)| withheld.is_none());
    match made.last().map(|(change, _)| &change.edit) {
        Some(Edit::Create(_)) => "created",
        Some(Edit::Update { .. }) => "changed",
        Some(Edit::Remove(_)) => "removed",
        None if withheld.is_empty() && !decision.is_refused(object) => "stays",
        None => "withheld",
    }
}

fn remark_entry(
    mesh: &Mesh,
    decision: &Decision<'_>,
    object: &ObjectRef,
    remark: &Remark,
    reasons: &Reasons,
) -> RemarkEntry {
    let severity = match remark.weight {
        _ if decision.stops(remark) => Severity::Blocking,
        Weight::Refused => Severity::Blocking,
        Weight::Lossy | Weight::Stated => Severity::Warning,
        Weight::Form | Weight::Kept => Severity::Info,
    };
    let accepted = (remark.weight == Weight::Lossy)
        .then(|| reasons.get(&remark.topic))
        .flatten();
    RemarkEntry {
        id: remark.topic.id(),
        severity: severity.name(),
        weight: weight_name(remark.weight),
        field: remark.field.to_string(),
        place: mesh
            .place(object, &remark.field)
            .map(|place| place.to_string()),
        message: remark.says.clone(),
        remedy: remark.remedy.clone(),
        accepted: accepted.cloned(),
    }
}

const fn weight_name(weight: Weight) -> &'static str {
    match weight {
        Weight::Form => "form",
        Weight::Kept => "kept",
        Weight::Stated => "stated",
        Weight::Lossy => "lossy",
        Weight::Refused => "refused",
    }
}

fn accepted(objects: &[ObjectEntry], reasons: &Reasons) -> (Vec<AcceptedEntry>, Vec<&'static str>) {
    let covers = |topic: &Topic| {
        let remarks = objects.iter().flat_map(|object| &object.remarks);
        let covered = remarks.filter(|r| r.id == topic.id() && r.accepted.is_some());
        covered.count()
    };
    let (used, unused): (Vec<_>, Vec<_>) = reasons
        .iter()
        .map(|(topic, reason)| (topic.id(), reason, covers(topic)))
        .partition(|(_, _, covers)| *covers > 0);
    let used = used.into_iter().map(|(id, reason, covers)| AcceptedEntry {
        id,
        reason: reason.clone(),
        covers,
    });
    let unused = unused.into_iter().map(|(id, _, _)| id);
    (used.collect(), unused.collect())
}

fn phase_entry(decision: &Decision<'_>, phase: Phase) -> PhaseEntry {
    let changes = decision.changes();
    PhaseEntry {
        name: phase.name(),
        changes: changes
            .filter(|(change, _)| change.phase == phase)
            .map(|(change, withheld)| change_entry(change, withheld))
            .collect(),
        wait_for: phase.gate(),
    }
}

fn change_entry(change: &Change, withheld: Option<&ObjectRef>) -> ChangeEntry {
    let object = change.edit.object();
    let (action, manifest, patch) = match &change.edit {
        Edit::Create(manifest) => ("create", Some(manifest.json().clone()), None),
        Edit::Update { patch, .. } => ("change", None, Some(patch.clone())),
        Edit::Remove(_) => ("remove", None, None),
    };
    ChangeEntry {
        action,
        object: object.short(),
        namespace: namespace_of(object),
        because: change.because.iter().map(ToString::to_string).collect(),
        // What is not to be applied is not there to be copied either.
        manifest: manifest.filter(|_| withheld.is_none()),
        patch: patch.filter(|_| withheld.is_none()),
        withheld: withheld.map(ToString::to_string),
        resource: name_of(object),
    }
}

fn differences(decision: &Decision<'_>, phase: Option<Phase>) -> Vec<ObjectDifference> {
    let net = decision.net(phase).into_iter();
    net.map(|net| {
        let object = net.object;
        let home = match &*object.namespace {
            "" => String::new(),
            namespace => format!("{namespace}/"),
        };
        ObjectDifference {
            path: format!("{home}{}", object.short()),
            before: net.before.map(written::yaml),
            after: net.after.map(written::yaml),
        }
    })
    .collect()
}
