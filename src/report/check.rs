//! The document of `check`.

use schemars::JsonSchema;
use serde::Serialize;

use super::{API_VERSION, Header};
use crate::checks::{Finding, Judgement, NotRunReason, Remedy, Scope, Severity, Verdict, by_id};
use crate::inventory::{Input, Place, Unread};
use crate::kinds::Name;
use crate::mesh::Mesh;
use crate::mesh::workloads::Role;
use crate::waypoint::{self, Feature, NamespaceNeed, Placement};

/// What `check` says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckReport {
    api_version: &'static str,
    kind: &'static str,
    /// What differs from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Header>,
    /// Where the mesh was read from.
    pub source: &'static str,
    /// The oldest version among its istiods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub istio_version: Option<String>,
    /// From which severity on a finding is a no: the exit code is 1. Absent when none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_on: Option<Severity>,
    /// The namespaces that were judged, by name.
    pub namespaces: Vec<NamespaceEntry>,
    /// What was found, heaviest first within an area.
    pub findings: Vec<FindingEntry>,
    /// Findings that were told to be left out, each with the reason given.
    pub ignored: Vec<IgnoredEntry>,
    /// Ignores that cover no finding of the checks that were run.
    pub unused_ignores: Vec<String>,
    /// Checks that were not run.
    pub not_run: Vec<NotRunEntry>,
    /// Checks that were run and found nothing.
    pub passed: Vec<String>,
    /// Runs of these namespaces that are not over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_runs: Vec<super::OpenRunEntry>,
    /// What could not be read.
    pub unread: Vec<UnreadEntry>,
    /// Objects of kinds that are not read, by `apiVersion/kind`.
    pub other_kinds: Vec<OtherKind>,
}

/// Objects that are not read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct OtherKind {
    /// Their `apiVersion/kind`.
    pub kind: String,
    /// How many.
    pub count: usize,
}

/// A namespace that was judged.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceEntry {
    /// Its name.
    pub name: Name,
    /// What can be said of it.
    pub verdict: &'static str,
    /// How many applications it has; absent when not all could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workloads: Option<usize>,
    /// How many pods those have; absent when the input holds no pods, or not all could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<usize>,
    /// Which waypoints it needs.
    pub waypoint: WaypointSummary,
}

/// Which waypoints a namespace needs, in short.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaypointSummary {
    /// `none`, `namespace`, `service`, `shared`; `unknown` when none is known to be needed but not all
    /// could be read.
    pub placement: &'static str,
    /// Whether all that decides it was read.
    pub complete: bool,
    /// Which traffic it must take: `service`, `all`, `none`.
    pub traffic: &'static str,
    /// The waypoint that is shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
    /// The Services that need one, with what they use.
    pub services: Vec<ServiceFeatures>,
    /// How many Services do with ztunnel alone.
    pub without: usize,
}

/// A Service that needs a waypoint.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ServiceFeatures {
    /// Its name.
    pub name: Name,
    /// What it uses.
    pub features: Vec<&'static str>,
}

/// A finding.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FindingEntry {
    /// The check's id.
    pub id: &'static str,
    /// The check's slug.
    pub slug: &'static str,
    /// What the check is about.
    pub area: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// The namespace it concerns; absent when it concerns every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Name>,
    /// The object: `Kind/name`.
    pub object: String,
    /// The object's namespace; absent for cluster-scoped objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_namespace: Option<Name>,
    /// The field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
    /// Where it stands, for manifests: `file:line:column`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub place: Option<Place>,
    /// The evidence.
    pub message: String,
    /// What answers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<RemedyEntry>,
}

impl FindingEntry {
    /// The object as one would type it: `Kind/name -n namespace`.
    pub fn typed(&self) -> String {
        match &self.object_namespace {
            Some(namespace) => format!("{} -n {namespace}", self.object),
            None => self.object.clone(),
        }
    }
}

/// What answers a finding.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RemedyEntry {
    /// `move` or `person`.
    pub by: &'static str,
    /// What is done.
    pub text: String,
    /// What to type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
}

/// A finding that was told to be left out.
#[derive(Debug, Serialize, JsonSchema)]
pub struct IgnoredEntry {
    /// Why, as it was told.
    pub reason: String,
    /// The finding.
    pub finding: FindingEntry,
}

/// A check that was not run.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotRunEntry {
    /// The check's id.
    pub id: &'static str,
    /// The check's slug.
    pub slug: &'static str,
    /// What the check is about.
    pub area: &'static str,
    /// Why not.
    pub reason: NotRunKind,
    /// What is missing.
    pub detail: String,
}

/// Why a check was not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NotRunKind {
    /// Something could not be read.
    Unreadable,
    /// The input cannot hold it.
    Absent,
}

impl NotRunKind {
    /// As people read it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Absent => "absent",
        }
    }
}

/// Something that could not be read.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UnreadEntry {
    /// What.
    pub what: String,
    /// Why.
    pub reason: String,
    /// Where, for files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

impl From<&Unread> for UnreadEntry {
    fn from(unread: &Unread) -> Self {
        Self {
            what: unread.what(),
            reason: unread.reason.clone(),
            place: unread.place.as_ref().map(ToString::to_string),
        }
    }
}

impl CheckReport {
    /// The document for a judgement.
    pub fn new(mesh: &Mesh, scope: &Scope, judgement: &Judgement, header: Option<Header>) -> Self {
        let found = |id: &str| {
            let ignored = judgement.ignored.iter().map(|(_, finding)| finding);
            judgement
                .findings
                .iter()
                .chain(ignored)
                .any(|finding| finding.check.0 == id)
        };
        let inventory = mesh.inventory();
        Self {
            api_version: API_VERSION,
            kind: "CheckReport",
            metadata: header,
            source: match inventory.input {
                Input::Manifests => "manifests",
                Input::Cluster => "cluster",
                Input::Overlay => "manifests on top of the cluster",
            },
            istio_version: super::istio_version(mesh),
            fail_on: None,
            namespaces: scope
                .iter()
                .map(|name| namespace_entry(mesh, judgement, name))
                .collect(),
            findings: by_area_and_weight(&judgement.findings)
                .into_iter()
                .map(|finding| finding_entry(mesh, finding))
                .collect(),
            ignored: judgement
                .ignored
                .iter()
                .map(|(reason, finding)| IgnoredEntry {
                    reason: reason.clone(),
                    finding: finding_entry(mesh, finding),
                })
                .collect(),
            unused_ignores: judgement.unused_ignores.clone(),
            not_run: judgement.not_run.iter().filter_map(not_run_entry).collect(),
            passed: judgement
                .run
                .iter()
                .filter(|id| !found(id.0))
                .map(|id| id.0.to_owned())
                .collect(),
            open_runs: Vec::new(),
            unread: inventory.unread.iter().map(UnreadEntry::from).collect(),
            other_kinds: inventory
                .ignored
                .iter()
                .map(|(kind, count)| OtherKind {
                    kind: kind.clone(),
                    count: *count,
                })
                .collect(),
        }
    }

    /// How many findings there are of a severity, for a namespace and for all.
    pub fn count(&self, severity: Severity, namespace: &str) -> usize {
        self.concerning(namespace)
            .filter(|f| f.severity == severity)
            .count()
    }

    /// Whether a finding is a no, and the exit code 1.
    pub fn fails(&self, finding: &FindingEntry) -> bool {
        self.fail_on
            .is_some_and(|threshold| finding.severity >= threshold)
    }

    /// The findings that concern a namespace's move.
    pub fn concerning<'a>(
        &'a self,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a FindingEntry> + 'a {
        self.findings.iter().filter(move |finding| {
            finding
                .namespace
                .as_deref()
                .is_none_or(|name| name == namespace)
        })
    }
}

fn by_area_and_weight(findings: &[Finding]) -> Vec<&Finding> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| {
        let area = by_id(finding.check.0).map(|check| check.meta().area);
        (area, std::cmp::Reverse(finding.severity))
    });
    sorted
}

fn finding_entry(mesh: &Mesh, finding: &Finding) -> FindingEntry {
    let meta = by_id(finding.check.0).map(crate::checks::Check::meta);
    let object = &finding.object;
    FindingEntry {
        id: finding.check.0,
        slug: meta.map_or("", |meta| meta.slug),
        area: meta.map_or("", |meta| meta.area.name()),
        severity: finding.severity,
        namespace: finding.namespace.clone(),
        object: object.short(),
        object_namespace: (!object.namespace.is_empty()).then(|| object.namespace.clone()),
        field: finding.field.to_string(),
        place: mesh.place(object, &finding.field),
        message: finding.message.clone(),
        remedy: match &finding.remedy {
            Remedy::Move(text) => Some(RemedyEntry {
                by: "move",
                text: text.clone(),
                command: None,
            }),
            Remedy::Person { text, command } => Some(RemedyEntry {
                by: "person",
                text: text.clone(),
                command: command.clone(),
            }),
            Remedy::Nothing => None,
        },
    }
}

fn not_run_entry(skipped: &crate::checks::NotRun) -> Option<NotRunEntry> {
    let meta = by_id(skipped.check.0)?.meta();
    let (reason, detail) = match &skipped.reason {
        NotRunReason::Unreadable(what) => (NotRunKind::Unreadable, what.clone()),
        NotRunReason::Absent(parts) => {
            let names: Vec<&str> = parts.iter().map(|part| part.name()).collect();
            (
                NotRunKind::Absent,
                format!("no {} in the input", names.join(", no ")),
            )
        }
    };
    Some(NotRunEntry {
        id: meta.id.0,
        slug: meta.slug,
        area: meta.area.name(),
        reason,
        detail,
    })
}

fn namespace_entry(mesh: &Mesh, judgement: &Judgement, name: &Name) -> NamespaceEntry {
    let applications: Vec<_> = mesh
        .workloads_in(name)
        .iter()
        .filter(|w| w.role == Role::Application)
        .collect();
    let need = waypoint::assess(mesh, name);
    let counted = super::all_read(mesh, crate::mesh::COUNTED);
    let services: Vec<ServiceFeatures> = need
        .needing()
        .map(|service| ServiceFeatures {
            name: service.service.name.clone(),
            features: service
                .features()
                .into_iter()
                .filter(|feature| feature.needs_waypoint())
                .map(Feature::name)
                .collect(),
        })
        .collect();
    NamespaceEntry {
        name: name.clone(),
        verdict: Verdict::name(judgement.verdict(name)),
        workloads: counted.then_some(applications.len()),
        pods: (counted && mesh.holds(crate::mesh::Part::Pods)).then(|| {
            applications
                .iter()
                .map(|workload| workload.pod_count())
                .sum()
        }),
        waypoint: WaypointSummary {
            placement: placement_name(&need),
            complete: need.complete,
            traffic: need.traffic.name(),
            shared: match &need.placement {
                Placement::Shared(waypoint) => Some(waypoint.to_string()),
                _ => None,
            },
            without: need.services.len() - services.len(),
            services,
        },
    }
}

/// A placement as documents name it.
pub(super) const fn placement_name(need: &NamespaceNeed) -> &'static str {
    match &need.placement {
        Placement::None if !need.complete => "unknown",
        Placement::None => "none",
        Placement::Namespace => "namespace",
        Placement::Service(_) => "service",
        Placement::Shared(_) => "shared",
    }
}
