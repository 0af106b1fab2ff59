//! What was asked of a move beside what the cluster says, and the plan that is made of both.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Accepted, Ground, Obstacle, Plan, obstacles, plan};
use crate::checks::{self, Judgement, Scope};
use crate::inventory::Inventory;
use crate::kinds::{KindSet, Name};
use crate::mesh::Mesh;
use crate::translate::options::{Guard, Options, PathForm, RouteForm};
use crate::translate::{self, Decision, Topic, Translated, translate_on};

/// What was asked of a move.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asked {
    /// What becomes of VirtualServices.
    #[serde(default)]
    pub routes: RouteForm,
    /// What becomes of prefixes.
    #[serde(default)]
    pub paths: PathForm,
    /// What becomes of callers past the waypoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// Workloads that keep their sidecars, by namespace and name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub deferred: BTreeSet<(Name, Name)>,
    /// Whether pods that nobody makes again are deleted.
    #[serde(default)]
    pub delete_bare_pods: bool,
}

impl Asked {
    /// What was asked of the translation, and whether bare pods are deleted. What is accepted is kept
    /// with its reasons, apart from this.
    pub fn of(options: &Options, delete_bare_pods: bool) -> Self {
        Self {
            routes: options.routes,
            paths: options.paths,
            guard: options.guard,
            deferred: options.deferred.clone(),
            delete_bare_pods,
        }
    }

    fn options(&self, accepted: &Accepted) -> Options {
        Options {
            routes: self.routes,
            paths: self.paths,
            guard: self.guard,
            deferred: self.deferred.clone(),
            accepted: accepted.keys().filter_map(|id| Topic::of(id)).collect(),
            ..Options::default()
        }
    }

    /// The plan that would be made of what was read, and what stands in its way that nobody accepted.
    pub(super) fn plan(
        &self,
        inventory: Inventory,
        namespace: &Name,
        accepted: &Accepted,
    ) -> (Plan, Vec<Obstacle>) {
        let options = self.options(accepted);
        let namespaces = BTreeSet::from([namespace.clone()]);
        let Translated {
            mesh, translation, ..
        } = translate_on(Mesh::new(inventory), &namespaces, &options);
        let decision = Decision::new(&translation, &options, &mesh);
        let ground = Ground {
            mesh: &mesh,
            namespace,
            decision: &decision,
            guarded: options.guard.is_some(),
            deferred: &options.deferred,
            delete_bare_pods: self.delete_bare_pods,
        };
        let all: Vec<_> = checks::all().collect();
        let scope = Scope::of([namespace.clone()]);
        let judgement = checks::judge_but(&mesh, &scope, &all, false, &options.deferred);
        let (plan, mut found) = judged(&ground, &judgement, accepted);
        found.retain(|obstacle| obstacle.accepted.is_none());
        (plan, found)
    }
}

/// The kinds that a plan is made of: what stands in its way is what all checks find.
pub fn reads() -> KindSet {
    checks::all().fold(translate::READS, |all, check| all.and(check.meta().reads))
}

/// The plan of a namespace, and all that stands in its way, with the reasons why some of it does not count.
pub fn judged(
    ground: &Ground<'_>,
    judgement: &Judgement,
    accepted: &Accepted,
) -> (Plan, Vec<Obstacle>) {
    let (made, mut past) = plan(ground);
    for obstacle in &mut past {
        let id = obstacle.id.as_ref();
        obstacle.accepted = id.and_then(|id| accepted.get(id)).cloned();
    }
    let Ground {
        mesh,
        namespace,
        decision,
        ..
    } = *ground;
    let mut found = obstacles(mesh, namespace, judgement, decision, accepted);
    // What is done already needs nothing any more.
    if made.is_empty() {
        found.retain(|obstacle| obstacle.id.is_none());
    } else {
        found.extend(past);
    }
    (made, found)
}
