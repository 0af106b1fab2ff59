//! AMB305: a rule by identity that the waypoint's identity does not pass. Behind a waypoint, ztunnel
//! (or a sidecar) at the pods sees the waypoint as the caller.
//!
//! Source: istio.io, ambient/usage/l4-policy; istio/istio.io#16586; ztunnel's `src/rbac.rs`. The
//! waypoint's account: `manifests/charts/istio-control/istio-discovery/files/waypoint.yaml`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Enforced, enforced_in, names};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::authorization::{Action, Rule};
use crate::kinds::{FieldPath, Name, ObjectRef, Resource};
use crate::mesh::Mesh;
use crate::mesh::workloads::{DataPlane, Mode, Workload};
use crate::semantics::authorization::{
    AllowAtZtunnel, DenyAtZtunnel, allow_at_ztunnel, deny_at_ztunnel, rule_path,
};
use crate::semantics::identity::{Identity, matches_caller, names_callers};
use crate::waypoint;

/// The check.
pub static CHECK: WaypointNotAdmitted = WaypointNotAdmitted;

/// The check's type.
#[derive(Debug)]
pub struct WaypointNotAdmitted;

static META: Meta = Meta {
    id: Id("AMB305"),
    slug: "waypoint-not-admitted",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: waypoint::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb305_waypoint_not_admitted.md"),
};

impl Check for WaypointNotAdmitted {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        let mesh = view.mesh;
        let fronts: BTreeMap<&Name, Fronts<'_>> = view
            .namespaces()
            .map(|namespace| (&namespace.name, fronts(mesh, &namespace.name)))
            .collect();
        let enforced = enforced_in(view);
        let planes = &mesh.installation().control_planes;
        let admitted_anyway = !planes.is_empty()
            && planes
                .iter()
                .all(|plane| plane.flag("PILOT_AUTO_ALLOW_WAYPOINT_POLICY"));
        if !admitted_anyway {
            not_admitted(&enforced, &fronts, out);
        }
        refused(&enforced, &fronts, out);
    }
}

/// The waypoint in front of a workload.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Front {
    /// The caller that its pods see.
    caller: Identity,
    /// The waypoint to which a Service of it is bound today; none where one is only needed.
    bound: Option<ObjectRef>,
}

/// Waypoints by the workload behind them.
type Fronts<'a> = BTreeMap<&'a ObjectRef, Front>;

/// The waypoints through which requests to the workloads of a namespace come, or will come because
/// a Service needs one.
fn fronts<'a>(mesh: &'a Mesh, namespace: &Name) -> Fronts<'a> {
    let need = waypoint::assess(mesh, namespace);
    let planned = waypoint::planned(mesh, &need);
    let there = planned
        .as_ref()
        .and_then(|waypoint| mesh.waypoint(waypoint));
    let needing: BTreeSet<&ObjectRef> = need.needing().map(|need| &need.service).collect();
    let mut found = Fronts::new();
    for service in mesh.services_in(namespace) {
        let bound = mesh.binding(service);
        let bound = bound
            .effective()
            .and_then(|waypoint| mesh.waypoint(waypoint));
        let needs = needing.contains(&service.object);
        if (bound.is_none() && !needs) || mesh.spec(service).is_headless() {
            continue;
        }
        let made = planned.as_ref().map_or("waypoint", |made| &made.name);
        let (home, account) = bound.or(there).map_or_else(
            || (namespace.clone(), Name::from(made)),
            |waypoint| {
                let home = waypoint.object.namespace.clone();
                (home, waypoint.service_account.clone())
            },
        );
        let front = Front {
            caller: Identity {
                trust_domain: mesh.trust_domain().to_owned(),
                namespace: home,
                service_account: account,
            },
            bound: bound.map(|waypoint| waypoint.object.clone()),
        };
        for workload in mesh.backing(service) {
            found
                .entry(&workload.object)
                .or_insert_with(|| front.clone());
        }
    }
    found
}

/// A rule that ztunnel enforces as it stands, and where it is.
#[derive(Clone, Copy)]
struct Judging<'a> {
    policy: usize,
    index: usize,
    rule: &'a Rule,
    home: &'a Name,
}

/// Reports ALLOW policies with a rule whose callers, coming through a waypoint, no rule admits.
fn not_admitted(
    enforced: &[Enforced<'_>],
    fronts: &BTreeMap<&Name, Fronts<'_>>,
    out: &mut Sink<'_>,
) {
    let mut rules: BTreeMap<&ObjectRef, Vec<Judging<'_>>> = BTreeMap::new();
    let mut behind: BTreeMap<&ObjectRef, (&Workload, &Front)> = BTreeMap::new();
    for (position, policy) in enforced.iter().enumerate() {
        if policy.policy.spec.action != Action::Allow {
            continue;
        }
        for workload in served(policy) {
            let front = fronts
                .get(policy.namespace)
                .and_then(|fronts| fronts.get(&workload.object));
            let Some(front) = front else { continue };
            behind.insert(&workload.object, (workload, front));
            let all = policy.policy.spec.rules.iter().enumerate();
            rules.entry(&workload.object).or_default().extend(
                all.filter(|(_, rule)| allow_at_ztunnel(rule) != AllowAtZtunnel::Nothing)
                    .map(|(index, rule)| Judging {
                        policy: position,
                        index,
                        rule,
                        home: &policy.policy.metadata.namespace,
                    }),
            );
        }
    }
    let mut found: BTreeMap<(usize, usize, &Front), Vec<&Workload>> = BTreeMap::new();
    for (object, rules) in &rules {
        let Some((workload, front)) = behind.get(object) else {
            continue;
        };
        if let Some(first) = first_shut(rules, &front.caller) {
            let key = (first.policy, first.index, *front);
            found.entry(key).or_default().push(workload);
        }
    }
    for ((policy, index, front), workloads) in found {
        report(&enforced[policy], index, front, &workloads, out);
    }
}

/// The first rule that does not admit the caller although no other rule does for the same requests.
fn first_shut<'a>(rules: &[Judging<'a>], caller: &Identity) -> Option<Judging<'a>> {
    let admits = |judging: &Judging<'_>| matches_caller(judging.rule, judging.home, caller);
    let admitting: Vec<&Rule> = rules
        .iter()
        .filter(|judging| admits(judging))
        .map(|judging| judging.rule)
        .collect();
    let covered = |rule: &Rule| {
        admitting.iter().any(|other| {
            let same_requests = other.to.is_empty() || other.to == rule.to;
            let everywhere = other
                .when
                .iter()
                .all(|when| when.key.starts_with("source."));
            same_requests && everywhere
        })
    };
    rules
        .iter()
        .find(|judging| !admits(judging) && !covered(judging.rule))
        .copied()
}

/// Reports DENY rules by identity that match the waypoint, as those with a negative identity do.
fn refused(enforced: &[Enforced<'_>], fronts: &BTreeMap<&Name, Fronts<'_>>, out: &mut Sink<'_>) {
    for policy in enforced {
        if policy.policy.spec.action != Action::Deny {
            continue;
        }
        for (index, rule) in policy.policy.spec.rules.iter().enumerate() {
            // Rules with L7 fields are other checks'.
            if !names_callers(rule) || deny_at_ztunnel(rule) != DenyAtZtunnel::Same {
                continue;
            }
            let home = &policy.policy.metadata.namespace;
            let mut found: BTreeMap<&Front, Vec<&Workload>> = BTreeMap::new();
            for workload in served(policy) {
                let front = fronts
                    .get(policy.namespace)
                    .and_then(|fronts| fronts.get(&workload.object));
                if let Some(front) = front.filter(|f| matches_caller(rule, home, &f.caller)) {
                    found.entry(front).or_default().push(workload);
                }
            }
            for (front, workloads) in found {
                report(policy, index, front, &workloads, out);
            }
        }
    }
}

fn served<'a>(policy: &Enforced<'a>) -> impl Iterator<Item = &'a Workload> {
    policy
        .reach
        .moving
        .iter()
        .chain(&policy.reach.ambient)
        .copied()
}

fn report(
    enforced: &Enforced<'_>,
    index: usize,
    front: &Front,
    workloads: &[&Workload],
    out: &mut Sink<'_>,
) {
    let (ambient, moving): (Vec<&Workload>, Vec<&Workload>) = workloads
        .iter()
        .partition(|workload| workload.mode() == Mode::All(DataPlane::Ambient));
    let caller = &front.caller;
    let deny = enforced.policy.spec.action == Action::Deny;
    let at = || {
        (
            enforced.policy.reference(),
            at(&enforced.policy.spec.rules[index], index),
        )
    };
    let account = format!("{}/{}", caller.namespace, caller.service_account);
    let fact = |who: &[&Workload]| {
        let (waypoint, seen) = match &front.bound {
            Some(w) => (
                format!("waypoint {}/{}", w.namespace, w.name),
                caller.to_string(),
            ),
            None => (
                "the waypoint that a Service needs".to_owned(),
                "the waypoint".to_owned(),
            ),
        };
        let rule = if deny {
            "which this rule refuses"
        } else {
            "which no rule admits"
        };
        format!(
            "behind {waypoint} the pods of {} see every caller as {seen}, {rule}",
            names(who)
        )
    };
    let exempt = || {
        enforced.edit(&format!(
            "exempt the waypoint in this rule, by its service account {account}"
        ))
    };
    if !moving.is_empty() {
        let (severity, remedy) = match (deny, enforced.from_root) {
            (true, true) => (Severity::Blocking, exempt()),
            (true, false) => (
                Severity::Change,
                Remedy::moved(
                    "a copy with targetRefs judges the callers at the waypoint, which this policy then exempts",
                ),
            ),
            (false, _) => (
                Severity::Change,
                Remedy::moved(
                    "a copy with targetRefs judges the callers at the waypoint, and a policy of its own admits the waypoint at the pods",
                ),
            ),
        };
        let message = format!("{}: requests through it would be refused", fact(&moving));
        out.find(enforced.namespace, severity, at(), message, remedy);
    }
    if !ambient.is_empty() && front.bound.is_some() {
        let message = format!("{}: requests through it are refused today", fact(&ambient));
        let remedy = if deny {
            exempt()
        } else {
            enforced.edit(&format!(
                "add a rule that admits the waypoint: `serviceAccounts: [{account}]`"
            ))
        };
        out.find(enforced.namespace, Severity::Warning, at(), message, remedy);
    }
}

/// The first part of a rule that says who asks.
fn at(rule: &Rule, index: usize) -> FieldPath {
    let path = rule_path(index);
    if rule.from.is_empty() {
        path.then("when")
    } else {
        path.then("from")
    }
}
