//! Running checks over a mesh, and the verdict that follows from their findings.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::thread;

use super::{Check, Finding, Id, Ignore, Meta, Severity, Sink, View};
use crate::inventory::{Subject, Unread};
use crate::kinds::{Kind, KindSet, Name};
use crate::mesh::injection::NamespaceInjection;
use crate::mesh::{Mesh, Part};

/// The namespaces that are judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope(BTreeSet<Name>);

impl Scope {
    /// These namespaces.
    pub fn of(namespaces: impl IntoIterator<Item = Name>) -> Self {
        Self(namespaces.into_iter().collect())
    }

    /// Every namespace of the mesh in which something may be injected: those that are known not to
    /// inject are left out, unless one of their workloads asks for a sidecar or has one.
    pub fn injected(mesh: &Mesh) -> Self {
        let known_not = |namespace: &crate::mesh::namespaces::Namespace| {
            matches!(
                namespace.injection,
                NamespaceInjection::Off | NamespaceInjection::Unlabelled
            )
        };
        let scope = mesh
            .namespaces()
            .filter(|namespace| {
                let mut workloads = mesh
                    .workloads_in(&namespace.name)
                    .iter()
                    .filter(|workload| workload.role == crate::mesh::workloads::Role::Application);
                if known_not(namespace) {
                    workloads.any(crate::mesh::workloads::Workload::has_sidecar)
                } else {
                    true
                }
            })
            .map(|namespace| namespace.name.clone())
            .collect();
        Self(scope)
    }

    /// The namespaces, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &Name> + use<'_> {
        self.0.iter()
    }

    /// Whether a namespace is judged.
    pub fn contains(&self, namespace: &str) -> bool {
        self.0.contains(namespace)
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a check was not run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum NotRunReason {
    /// Something it reads could not be read.
    Unreadable(String),
    /// The input cannot hold what it needs.
    Absent(Vec<Part>),
}

/// A check that was not run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NotRun {
    /// Which.
    pub check: Id,
    /// Why.
    pub reason: NotRunReason,
}

/// What can be said of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It can move as it is.
    Ready,
    /// It can move, and the move changes objects.
    ReadyWithChanges,
    /// Not everything that could stand in the way was looked at.
    Undecided,
    /// A person must act first.
    Blocked,
}

impl Verdict {
    /// As written in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::ReadyWithChanges => "ready with changes",
            Self::Undecided => "undecided",
            Self::Blocked => "blocked",
        }
    }
}

/// What the checks said.
#[derive(Debug, Default)]
pub struct Judgement {
    /// What they found, by check, namespace, object and field.
    pub findings: Vec<Finding>,
    /// Findings that are left out of the report, each with the reason given.
    pub ignored: Vec<(String, Finding)>,
    /// Ignores that cover no finding of the checks that were run.
    pub unused_ignores: Vec<String>,
    /// Those that were not run.
    pub not_run: Vec<NotRun>,
    /// Those that were run.
    pub run: Vec<Id>,
    /// Whether something unreadable keeps every namespace from a yes, whichever check it concerns.
    pub something_unread: bool,
    /// Whether checks whose input is absent count as unreadable.
    pub strict: bool,
}

impl Judgement {
    /// Leaves findings out, each with the reason given.
    pub fn ignore(&mut self, ignore: &[Ignore]) {
        for entry in ignore {
            let (left_out, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.findings)
                .into_iter()
                .partition(|finding| entry.covers(finding));
            self.findings = kept;
            // Of a check that was not run nobody knows what it would have found.
            if left_out.is_empty() && self.run.contains(&entry.check) {
                self.unused_ignores.push(entry.to_string());
            }
            let reason = |finding| (entry.reason.clone(), finding);
            self.ignored.extend(left_out.into_iter().map(reason));
        }
    }

    /// The verdict for a namespace, derived from nothing but this.
    pub fn verdict(&self, namespace: &str) -> Verdict {
        let heaviest = self
            .findings
            .iter()
            .filter(|finding| {
                finding
                    .namespace
                    .as_deref()
                    .is_none_or(|name| name == namespace)
            })
            .map(|finding| finding.severity)
            .max();
        if heaviest == Some(Severity::Blocking) {
            Verdict::Blocked
        } else if self.something_unread || self.not_run.iter().any(|skipped| self.counts(skipped)) {
            Verdict::Undecided
        } else if heaviest == Some(Severity::Change) {
            Verdict::ReadyWithChanges
        } else {
            Verdict::Ready
        }
    }

    /// Whether a check that was not run keeps a verdict open: it could have found what matters.
    fn counts(&self, skipped: &NotRun) -> bool {
        let weighty = super::by_id(skipped.check.0)
            .is_some_and(|check| check.meta().highest >= Severity::Change);
        weighty && (self.strict || matches!(skipped.reason, NotRunReason::Unreadable(_)))
    }
}

/// Runs checks over the namespaces in question.
pub fn judge(mesh: &Mesh, scope: &Scope, checks: &[&'static dyn Check], strict: bool) -> Judgement {
    judge_but(mesh, scope, checks, strict, &BTreeSet::new())
}

/// Runs checks over the namespaces in question, of which some workloads, by namespace and name, keep their
/// sidecars.
pub fn judge_but(
    mesh: &Mesh,
    scope: &Scope,
    checks: &[&'static dyn Check],
    strict: bool,
    deferred: &BTreeSet<(Name, Name)>,
) -> Judgement {
    let mut judgement = Judgement {
        strict,
        ..Judgement::default()
    };
    let inventory = mesh.inventory();
    // All checks still run over the rest, and no verdict is a yes.
    judgement.something_unread = inventory.unread.iter().any(Unread::is_of_a_file);
    let treatments = OnceLock::new();
    let view = View {
        mesh,
        scope,
        deferred,
        treatments: &treatments,
    };
    let mut able = Vec::new();
    for check in checks {
        let meta = check.meta();
        match hindrance(mesh, meta) {
            Some(reason) => judgement.not_run.push(NotRun {
                check: meta.id,
                reason,
            }),
            None => able.push(*check),
        }
    }
    judgement.run = able.iter().map(|check| check.meta().id).collect();
    let (last, first): (Vec<_>, Vec<_>) = able
        .into_iter()
        .partition(|check| check.asks_for_treatments());
    thread::scope(|threads| {
        if !last.is_empty() && !first.is_empty() {
            // Where no thread can be had, the first check that asks makes them.
            let aside = thread::Builder::new().spawn_scoped(threads, || {
                view.treatments();
            });
            drop(aside);
        }
        for check in first.into_iter().chain(last) {
            check.run(
                &view,
                &mut Sink::new(check.meta().id, &mut judgement.findings),
            );
        }
    });
    judgement.findings.sort_by(|a, b| {
        let key = |f: &Finding| {
            (
                f.check,
                f.namespace.clone(),
                f.object.clone(),
                f.field.clone(),
            )
        };
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
    judgement.findings.dedup();
    judgement
}

/// Why a check cannot be run, if it cannot.
fn hindrance(mesh: &Mesh, meta: &Meta) -> Option<NotRunReason> {
    if let Some(reason) = unreadable(&mesh.inventory().unread, meta.reads) {
        return Some(NotRunReason::Unreadable(reason));
    }
    let needs = meta.needs.iter().copied();
    let absent: Vec<Part> = needs.filter(|part| !mesh.holds(*part)).collect();
    (!absent.is_empty()).then_some(NotRunReason::Absent(absent))
}

/// Why a check that reads these kinds cannot look, if it cannot.
fn unreadable(unread: &[Unread], reads: KindSet) -> Option<String> {
    let lists: Vec<&Unread> = unread.iter().filter(|unread| unread.is_of(reads)).collect();
    let first = lists.first()?;
    let what = match &first.subject {
        Subject::List { kind, namespace } => list_name(*kind, namespace.as_deref()),
        Subject::Object(object) => object.to_string(),
        Subject::File(name) => name.clone(),
    };
    let more = match lists.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Some(format!("{what}: {}{more}", first.reason))
}

fn list_name(kind: Kind, namespace: Option<&str>) -> String {
    match namespace {
        Some(namespace) => format!("{} in {namespace}", kind.resource()),
        None => kind.resource(),
    }
}
