//! Checks: one check, one file, one page.
//!
//! A check reads the mesh and reports findings. It performs no I/O and sees no other check's result.
//! The page beside it is its explanation, its documentation and its test.

mod declare;
mod finding;
mod ignore;
mod registry;
mod run;
mod translated;

pub mod environment;
pub mod extension;
pub mod network;
pub mod page;
pub mod policy;
pub mod rollout;
pub mod traffic;
pub mod wording;
pub mod workload;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

pub use finding::{Finding, Remedy, Severity, Sink};
pub use ignore::Ignore;
pub use registry::{all, by_id};
pub use run::{Judgement, NotRun, NotRunReason, Scope, Verdict, judge, judge_but};
pub use translated::Translated;

use crate::kinds::{KindSet, Name};
use crate::mesh::workloads::Workload;
use crate::mesh::{Mesh, Part, namespaces::Namespace};
use crate::translate::{self, Options, Treatment};

/// The identity of a check, `AMBnxx`. It is never given to another check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub &'static str);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// What a check is about; the first digit of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Area {
    /// Istio's installation and the cluster (1).
    Environment,
    /// Namespaces, workloads, waypoints (2).
    Workload,
    /// Security policies (3).
    Policy,
    /// Routes and destinations (4).
    Traffic,
    /// What changes the proxies themselves (5).
    Extension,
    /// NetworkPolicies (6).
    Network,
    /// How the move can be carried out (7).
    Rollout,
}

impl Area {
    /// As people call it, and as its folder is named.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::Workload => "workload",
            Self::Policy => "policy",
            Self::Traffic => "traffic",
            Self::Extension => "extension",
            Self::Network => "network",
            Self::Rollout => "rollout",
        }
    }

    /// The digit after `AMB`.
    pub const fn digit(self) -> char {
        match self {
            Self::Environment => '1',
            Self::Workload => '2',
            Self::Policy => '3',
            Self::Traffic => '4',
            Self::Extension => '5',
            Self::Network => '6',
            Self::Rollout => '7',
        }
    }
}

/// What is known of a check without running it.
#[derive(Debug)]
pub struct Meta {
    /// Its identity.
    pub id: Id,
    /// The pattern it finds, in words joined by hyphens.
    pub slug: &'static str,
    /// What it is about.
    pub area: Area,
    /// The highest severity that a finding of it can have.
    pub highest: Severity,
    /// The kinds it reads; when one of them is unreadable, it is not run.
    pub reads: KindSet,
    /// The parts of the world without which it cannot judge; when the input holds one of them not,
    /// it is not run.
    pub needs: &'static [Part],
    /// The version of this program that brought it.
    pub since: &'static str,
    /// Its page.
    pub page: &'static str,
}

/// A check.
pub trait Check: Sync {
    /// What is known of it without running it.
    fn meta(&self) -> &'static Meta;

    /// Whether it asks for [`View::treatments`], which are worth making while others run.
    fn asks_for_treatments(&self) -> bool {
        false
    }

    /// Looks at the namespaces in question and reports what it finds.
    fn run(&self, view: &View<'_>, out: &mut Sink<'_>);
}

/// What a check may look at.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The mesh.
    pub mesh: &'a Mesh,
    scope: &'a Scope,
    deferred: &'a BTreeSet<(Name, Name)>,
    treatments: &'a OnceLock<Vec<Treatment>>,
}

impl<'a> View<'a> {
    /// The namespaces that are judged, sorted.
    pub fn namespaces(&self) -> impl Iterator<Item = &'a Namespace> + use<'a> {
        let mesh = self.mesh;
        self.scope
            .iter()
            .filter_map(move |name| mesh.namespace(name))
    }

    /// What the objects of these namespaces are in ambient mode, with the options that `convert` has
    /// when none is given. It is made when it is first asked for.
    pub fn treatments(&self) -> &'a [Treatment] {
        let mesh = self.mesh;
        let scope = self.scope;
        self.treatments.get_or_init(|| {
            let namespaces: BTreeSet<Name> = scope.iter().cloned().collect();
            translate::treatments(mesh, &namespaces, &Options::default())
        })
    }

    /// Whether a workload keeps its sidecars, as was asked for.
    pub fn defers(&self, workload: &Workload) -> bool {
        let object = &workload.object;
        let mut deferred = self.deferred.iter();
        deferred.any(|(namespace, name)| *namespace == object.namespace && *name == object.name)
    }

    /// Whether a namespace is one of those that are judged.
    pub fn judges(&self, namespace: &str) -> bool {
        self.scope.contains(namespace)
    }
}
