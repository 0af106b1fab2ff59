//! What keeps callers of ambient pods on the way through the waypoint.
//!
//! A pod without a sidecar is judged by ztunnel, which sees the waypoint as the caller of all that
//! comes through it, and what does not come through it without its requests. Where a policy admits
//! callers, the waypoint has to be admitted too; where one refuses requests, whoever goes past the
//! waypoint is refused (closed), or judged by his identity alone (open).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::callers;
use super::copies::New;
use super::labels::{Group, groups, written};
use super::rules::{Naming, Shape, without_requests};
use super::scene::Scene;
use crate::kinds::authorization::{Action, AuthorizationPolicy};
use crate::kinds::path::field;
use crate::kinds::{Kind, ObjectRef, Resource};
use crate::mesh::injection::INJECT_LABEL;
use crate::semantics::authorization::is_dry_run;
use crate::semantics::identity::Identity;
use crate::translate::change::SOURCE;
use crate::translate::options::Guard;
use crate::translate::{Draft, Phase, Remark, Topic, Weight};

/// What judges a member now.
#[derive(Default)]
struct Judged<'g> {
    allows: Vec<&'g AuthorizationPolicy>,
    /// ALLOW policies that read requests.
    allows_requests: Vec<&'g AuthorizationPolicy>,
    /// What refuses by requests: DENY and CUSTOM.
    refuses_requests: Vec<&'g AuthorizationPolicy>,
    /// Whether an ALLOW admits somebody whose requests are not read.
    admits_connections: bool,
}

impl<'g> Judged<'g> {
    fn of(policies: Vec<&'g AuthorizationPolicy>) -> Self {
        let mut all = Self::default();
        for policy in policies {
            if is_dry_run(&policy.metadata) || policy.metadata.annotations.get(SOURCE).is_some() {
                continue;
            }
            let shape = Shape::of(&policy.spec);
            match policy.spec.action {
                Action::Allow => {
                    all.allows.push(policy);
                    all.admits_connections |= !shape.connections.is_empty();
                    if shape.needs_http() {
                        all.allows_requests.push(policy);
                    }
                }
                Action::Deny | Action::Custom if shape.needs_http() => {
                    all.refuses_requests.push(policy);
                }
                Action::Deny | Action::Custom | Action::Audit => {}
            }
        }
        all
    }
}

/// What is made for a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Piece {
    /// The waypoint is admitted.
    Admit,
    /// Whoever is not the waypoint is refused.
    Closed,
    /// Whoever is not the waypoint is judged by identity.
    Open,
}

/// Members that need the same, from the same waypoints.
type Needs<'g> = BTreeMap<(Piece, BTreeSet<&'g ObjectRef>, Vec<ObjectRef>), BTreeSet<usize>>;

pub(super) fn translate(scene: &Scene<'_>, draft: &mut Draft) {
    let mut needs = Needs::new();
    for (position, member) in scene.members.iter().enumerate() {
        by_other_ways(scene, draft, position);
        let judged = Judged::of(scene.authorization(position));
        let waypoints = member.waypoints();
        let reads = !judged.allows_requests.is_empty() || !judged.refuses_requests.is_empty();
        let home = &member.workload.object.namespace;
        if waypoints.is_empty() && !(reads && is_wide(&judged, home)) {
            continue;
        }
        let mut need = |piece, because: Vec<ObjectRef>| {
            let key = (piece, waypoints.clone(), because);
            needs.entry(key).or_default().insert(position);
        };
        let names = |policies: &[&AuthorizationPolicy]| -> Vec<ObjectRef> {
            policies.iter().map(|policy| policy.reference()).collect()
        };
        let open = scene.ground.options.guard == Some(Guard::Open);
        if !judged.allows.is_empty()
            && (!waypoints.is_empty() || !judged.allows_requests.is_empty())
        {
            need(Piece::Admit, names(&judged.allows));
        }
        if member.deferred {
            continue;
        }
        if open && !judged.allows_requests.is_empty() {
            need(Piece::Open, names(&judged.allows_requests));
        }
        let direct = judged.allows.is_empty() || judged.admits_connections;
        let tokens = if direct {
            scene.tokens(position)
        } else {
            Vec::new()
        };
        let mut because = names(&judged.refuses_requests);
        because.extend(tokens.iter().map(|policy| policy.reference()));
        if open {
            unjudged(scene, draft, &member.workload.object, &because);
        } else if !because.is_empty() {
            need(Piece::Closed, because);
        }
    }
    for ((piece, waypoints, because), members) in &needs {
        let mut identities: Vec<Identity> = waypoints.iter().map(|w| scene.identity(w)).collect();
        identities.sort();
        let made = Made {
            scene,
            piece: *piece,
            waypoints: &identities,
            because,
        };
        let (groups, alike) = groups(scene, members);
        for group in groups {
            made.create(draft, &group);
        }
        made.refuse(draft, &alike);
    }
}

/// Callers of a ServiceEntry that is bound to a waypoint come through that, where no copy of a policy
/// judges them: copies are for Services.
fn by_other_ways(scene: &Scene<'_>, draft: &mut Draft, position: usize) {
    let member = &scene.members[position];
    let bound = member.entries.iter();
    let bound = bound.filter_map(|(entry, waypoint)| Some((entry, waypoint.as_ref()?)));
    let authorization = scene.authorization(position).into_iter();
    let authorization =
        authorization.map(|policy| (policy.reference(), &policy.metadata.annotations));
    let tokens = scene.tokens(position).into_iter();
    let tokens = tokens.map(|policy| (policy.reference(), &policy.metadata.annotations));
    let policies: Vec<ObjectRef> = authorization
        .chain(tokens)
        .filter(|(_, annotations)| annotations.get(SOURCE).is_none())
        .map(|(policy, _)| policy)
        .collect();
    for (entry, waypoint) in bound {
        let says = format!(
            "judges {}, and callers of {} come to it through {waypoint}, where nothing would judge them by it",
            member.workload.object.short(),
            entry.short()
        );
        for policy in &policies {
            let remark = Remark::new(
                Topic::Waypoint,
                Weight::Refused,
                field!["spec"],
                says.clone(),
            );
            draft.remark(
                policy,
                remark.remedy("take the label istio.io/use-waypoint off the ServiceEntry, or let callers use a Service"),
            );
        }
    }
}

/// Says of policies that they do not judge callers who go past the waypoint.
fn unjudged(scene: &Scene<'_>, draft: &mut Draft, workload: &ObjectRef, policies: &[ObjectRef]) {
    for policy in policies {
        let says = format!(
            "callers of {} that go past the waypoint are not judged by it",
            workload.short()
        );
        let remark = Remark::new(Topic::Guard, when_open(scene), field!["spec"], says);
        draft.remark(policy, remark.remedy(CHOICES));
    }
}

/// What an open guard weighs.
fn when_open(scene: &Scene<'_>) -> Weight {
    if scene.ground.options.accepted.contains(&Topic::Guard) {
        Weight::Lossy
    } else {
        Weight::Refused
    }
}

/// What a person can do about callers that go past a waypoint.
const CHOICES: &str = "move these callers first, or choose: --guard closed refuses them, --guard open \
     judges them by identity alone (with --accept AMB311=REASON), --defer WORKLOAD leaves a workload \
     in sidecar mode";

/// Whether a policy of the whole namespace or mesh is what reads requests: others are refused
/// where no waypoint can read them.
fn is_wide(judged: &Judged<'_>, home: &str) -> bool {
    let mut all = judged
        .allows_requests
        .iter()
        .chain(&judged.refuses_requests);
    all.any(|policy| {
        let selector = policy.spec.selector.as_ref();
        *policy.metadata.namespace != *home || selector.is_none_or(|s| s.match_labels.is_empty())
    })
}

/// Something that is made for groups of members.
struct Made<'m, 'g> {
    scene: &'m Scene<'g>,
    piece: Piece,
    waypoints: &'m [Identity],
    because: &'m [ObjectRef],
}

impl Made<'_, '_> {
    fn create(&self, draft: &mut Draft, group: &Group) {
        let scene = self.scene;
        let naming = Naming::new(scene.ground.istio);
        let labels = written(&group.labels);
        let mut ambient = labels.clone();
        ambient[INJECT_LABEL] = "false".into();
        let (suffix, action, labels, rules) = match self.piece {
            Piece::Admit => {
                let rules = match self.waypoints {
                    [] => Vec::new(),
                    all => vec![json!({"from": [{"source": naming.only(all)}]})],
                };
                ("from-waypoint", "ALLOW", labels, rules)
            }
            Piece::Closed => {
                let rule = match self.waypoints {
                    [] => json!({}),
                    all => json!({"from": [{"source": naming.anybody_but(all)}]}),
                };
                ("guard", "DENY", ambient, vec![rule])
            }
            Piece::Open => ("guard", "ALLOW", ambient, self.by_identity(group)),
        };
        let mut spec = json!({"action": action});
        if labels.as_object().is_some_and(|labels| !labels.is_empty()) {
            spec["selector"] = json!({"matchLabels": labels});
        }
        if !rules.is_empty() {
            spec["rules"] = rules.into();
        }
        let Some(source) = self.because.first() else {
            return;
        };
        let Some(first) = group.members.first() else {
            return;
        };
        let new = New {
            kind: Kind::AuthorizationPolicy,
            namespace: &scene.members[*first].workload.object.namespace,
            name: &format!("{}-{suffix}", group.name),
            source,
            dry_run: false,
        };
        let because: Vec<&ObjectRef> = self.because.iter().collect();
        let made = new.create(scene, draft, &spec, &because);
        for policy in self.because {
            draft.becomes(policy, &made);
        }
        self.remark(draft, &made, group);
        if self.piece != Piece::Admit {
            let patch = json!({"spec": {"selector": {"matchLabels": {INJECT_LABEL: Value::Null}}}});
            draft.patch(Phase::Retire, &made, patch, &because);
        }
    }

    /// The rules of ALLOW policies, with what only a proxy can judge struck out.
    fn by_identity(&self, group: &Group) -> Vec<Value> {
        let inventory = self.scene.ground.mesh.inventory();
        let mut rules: Vec<Value> = Vec::new();
        let Some(member) = group.members.first() else {
            return rules;
        };
        for policy in Judged::of(self.scene.authorization(*member)).allows_requests {
            let shape = Shape::of(&policy.spec);
            let whole = inventory.whole(&policy.reference()).unwrap_or_default();
            for rule in super::rules::chosen(&whole["spec"], &shape.requests) {
                let mut rule = without_requests(&rule);
                super::rules::with_namespaces(&mut rule, &policy.metadata.namespace);
                super::rules::with_real_names(&mut rule, self.scene.settings);
                super::rules::with_read_namespaces(&mut rule);
                if !rules.contains(&rule) {
                    rules.push(rule);
                }
            }
        }
        rules
    }

    fn remark(&self, draft: &mut Draft, made: &ObjectRef, group: &Group) {
        if self.piece != Piece::Admit {
            self.remark_guard(draft, made, group, self.because);
            return;
        }
        let says = format!(
            "{} admits the waypoint, through which callers come",
            made.short()
        );
        for policy in self.because {
            let at = field!["spec"];
            let remark = Remark::new(Topic::WaypointIdentity, Weight::Form, at, says.clone());
            draft.remark(policy, remark);
        }
        let scene = self.scene;
        if scene.ground.options.guard != Some(Guard::Open)
            && let Some(first) = group.members.first()
            && !scene.members[*first].deferred
        {
            // Nobody else is admitted whose requests would have to be read.
            let reading = Judged::of(scene.authorization(*first)).allows_requests;
            let reading: Vec<ObjectRef> = reading.iter().map(|policy| policy.reference()).collect();
            self.remark_guard(draft, made, group, &reading);
        }
    }

    /// Says who is refused, or judged by identity alone.
    fn remark_guard(
        &self,
        draft: &mut Draft,
        made: &ObjectRef,
        group: &Group,
        policies: &[ObjectRef],
    ) {
        let scene = self.scene;
        let accepted = scene.ground.options.accepted.contains(&Topic::Guard);
        let workloads = group
            .members
            .iter()
            .map(|member| &scene.members[*member].workload.object);
        let workloads: Vec<String> = workloads.map(ObjectRef::short).collect();
        let workloads = callers::list(&workloads);
        let (weight, says) = if self.piece == Piece::Open {
            let weight = if accepted {
                Weight::Lossy
            } else {
                Weight::Refused
            };
            let how = format!("by identity alone, as {} says", made.short());
            (
                weight,
                format!("callers of {workloads} that go past the waypoint are judged {how}"),
            )
        } else {
            let known = callers::past(scene, &group.members);
            let weight = match scene.ground.options.guard {
                Some(Guard::Closed) => Weight::Stated,
                _ if known.is_empty() => Weight::Stated,
                _ if accepted => Weight::Lossy,
                _ => Weight::Refused,
            };
            let whom = if known.is_empty() {
                "; the input shows none".to_owned()
            } else {
                format!(": {}", callers::list(&known))
            };
            let by = made.short();
            let says = format!(
                "callers of {workloads} that go past the waypoint are refused, by {by}{whom}"
            );
            (weight, says)
        };
        for policy in policies {
            let remark = Remark::new(Topic::Guard, weight, field!["spec"], says.clone());
            draft.remark(policy, remark.remedy(CHOICES));
        }
    }

    /// Workloads that no labels tell from others, which must not get the same.
    fn refuse(&self, draft: &mut Draft, alike: &[usize]) {
        for member in alike {
            let says = format!(
                "no labels tell {} from workloads that other policies judge, so that it cannot be \
                 guarded alone",
                self.scene.members[*member].workload.object.short()
            );
            for policy in self.because {
                let remark =
                    Remark::new(Topic::Guard, Weight::Refused, field!["spec"], says.clone())
                        .remedy("give its pods a label of their own");
                draft.remark(policy, remark);
            }
        }
    }
}
