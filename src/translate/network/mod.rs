//! NetworkPolicies: connections in the mesh arrive on one port, TCP 15008, whatever port they are for,
//! and those through a waypoint arrive from the waypoint.
//!
//! A policy that admits peers to some ports has to admit them to 15008 as well, and can tell the
//! ports apart no more. So the ports are told apart by an AuthorizationPolicy that refuses all
//! others, where that says the same; where it cannot, nothing is admitted unless that is accepted.
//!
//! A waypoint's pods are a hop of their own. The policies of the pods behind it admit it, and a policy
//! for it keeps from it whoever was kept from them; what others behind the same waypoint let through
//! has to be accepted.

pub(crate) mod admission;
mod callees;
pub(crate) mod fronts;
pub(crate) mod hop;
pub(crate) mod peers;
mod ports;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use admission::{Gap, HBONE, own_gaps};
use fronts::{Front, fronts};
use hop::Hop;
use peers::of_name;

use super::change::new_object;
use super::fidelity::{Remark, Weight};
use super::{Draft, Ground, Phase, Topic};
use crate::kinds::network_policy::{Direction, NetworkPolicy};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, Kind, Name, ObjectRef, Resource};
use crate::mesh::Mesh;
use crate::mesh::workloads::{GATEWAY_NAME_LABEL, Workload};

/// What is added to the rules of one policy.
#[derive(Debug, Default)]
struct Added {
    /// Rules that get the port, by direction.
    rules: BTreeSet<(&'static str, usize)>,
    /// Directions in which waypoints are admitted.
    waypoint: BTreeMap<&'static str, BTreeSet<ObjectRef>>,
}

type AllAdded = BTreeMap<ObjectRef, Added>;

pub(super) fn translate(ground: &Ground<'_>, draft: &mut Draft) {
    let mesh = ground.mesh;
    let mut added = AllAdded::new();
    for name in ground.namespaces {
        for gap in own_gaps(mesh, name, Direction::Ingress) {
            inward(ground, &gap, &mut added, draft);
        }
        for gap in own_gaps(mesh, name, Direction::Egress) {
            outward(ground, &gap, &mut added, draft);
        }
    }
    for front in fronts(mesh, ground.namespaces, &ground.waypoints) {
        admit(ground, &front, &mut added);
        isolate(ground, &front, draft);
        beyond(ground, &front, draft);
    }
    for (object, added) in added {
        write(mesh, &object, &added, draft);
    }
}

fn remark(weight: Weight, at: FieldPath, says: String) -> Remark {
    Remark::new(Topic::NetworkPolicy, weight, at, says)
}

/// What to do about what is lost.
fn or_accept(first: &str) -> String {
    format!(
        "{first}, or accept it: --accept {}=REASON",
        Topic::NetworkPolicy
    )
}

/// Peers are admitted to the tunnel, and what they were not admitted to is refused by identity-blind
/// rules on ports.
fn inward(ground: &Ground<'_>, gap: &Gap<'_>, added: &mut AllAdded, draft: &mut Draft) {
    let policy = gap.policy.reference();
    let at = || field!["spec", "ingress"];
    let apart = ports::told_apart(ground.mesh, gap);
    let accepted = ground.options.accepted.contains(&Topic::NetworkPolicy);
    if let (Some(why), false) = (&apart.short_of, accepted) {
        let says = format!(
            "has to admit TCP {HBONE}, by which its peers in the mesh would reach every port: {why}"
        );
        let remedy = or_accept(&format!(
            "refuse other ports with an AuthorizationPolicy and admit TCP {HBONE} yourself"
        ));
        draft.remark(&policy, remark(Weight::Refused, at(), says).remedy(remedy));
        return;
    }
    let rules = gap.rules.keys().map(|index| ("ingress", *index));
    added.entry(policy.clone()).or_default().rules.extend(rules);
    let guards = ports::create(ground.mesh, gap, &apart, draft);
    if let Some(why) = &apart.short_of {
        let says = format!(
            "admits TCP {HBONE} too, by which its peers in the mesh reach more ports: {why}"
        );
        draft.remark(&policy, remark(Weight::Lossy, at(), says));
    }
    for (guard, open) in &guards {
        let by = match guards.len() {
            1 => "an AuthorizationPolicy".to_owned(),
            _ => guard.short(),
        };
        let says = format!("admits TCP {HBONE} too; {by} refuses all ports but {open}");
        draft.remark(&policy, remark(Weight::Form, at(), says));
    }
}

/// Pods may go to the tunnel. What they could not call before is for the callee to refuse.
fn outward(ground: &Ground<'_>, gap: &Gap<'_>, added: &mut AllAdded, draft: &mut Draft) {
    let policy = gap.policy.reference();
    let at = field!["spec", "egress"];
    let effect = format!("TCP {HBONE}, by which pods can call every port of its peers in the mesh");
    let rules = gap.rules.keys().map(|index| ("egress", *index));
    if callees::refuse_the_rest(ground, gap) {
        added.entry(policy.clone()).or_default().rules.extend(rules);
        let says = format!("admits TCP {HBONE} too; its peers refuse other ports themselves");
        draft.remark(&policy, remark(Weight::Form, at, says));
    } else if ground.options.accepted.contains(&Topic::NetworkPolicy) {
        added.entry(policy.clone()).or_default().rules.extend(rules);
        draft.remark(
            &policy,
            remark(Weight::Lossy, at, format!("admits {effect}")),
        );
    } else {
        let remedy = or_accept("refuse other ports at the callees");
        let says = format!("has to admit {effect}");
        draft.remark(&policy, remark(Weight::Refused, at, says).remedy(remedy));
    }
}

/// Policies that name callers, or callees, and would stand between them and the waypoint, admit it.
fn admit(ground: &Ground<'_>, front: &Front<'_>, added: &mut AllAdded) {
    let mesh = ground.mesh;
    for name in ground.namespaces {
        let Some(namespace) = mesh.namespace(name) else {
            continue;
        };
        let inward = front.inward(mesh, name).into_iter();
        let inward = inward.map(|barrier| ("ingress", barrier));
        let outward = front.outward(mesh, namespace).into_iter();
        for (direction, barrier) in inward.chain(outward.map(|barrier| ("egress", barrier))) {
            let entry = added.entry(barrier.policy.reference()).or_default();
            let waypoints = entry.waypoint.entry(direction).or_default();
            waypoints.insert(front.waypoint.clone());
        }
    }
}

/// The waypoint's own pods are kept from whom the pods behind it are kept from, and get their ways.
fn isolate(ground: &Ground<'_>, front: &Front<'_>, draft: &mut Draft) {
    if front.services.is_empty() {
        return;
    }
    let (mesh, home) = (ground.mesh, &front.waypoint.namespace);
    let may_write = ground.translates(home);
    let hop = Hop::of(mesh, front, may_write);
    let kept_apart = front.behind.values().filter(|behind| behind.newly);
    let kept_apart = kept_apart.flat_map(|behind| &behind.policies);
    let sources: Vec<ObjectRef> = kept_apart
        .chain(&hop.isolating)
        .map(|policy| policy.reference())
        .filter(|policy| ground.translates(&policy.namespace))
        .collect();
    let waypoint = front.waypoint.short();
    if may_write && (hop.ingress || hop.egress) {
        let spec = hop.spec(mesh, front);
        let named = |name: &str| {
            let source = sources.first();
            new_object(Kind::NetworkPolicy, home, name, source, &[], spec.clone())
        };
        let because: Vec<&ObjectRef> = sources.iter().collect();
        let name = &front.waypoint.name;
        let own = draft.create_free(mesh, Phase::Prepare, name, &because, named);
        let of = |source: &ObjectRef, direction| {
            let policy = mesh.named::<NetworkPolicy>(&source.namespace, &source.name);
            policy.is_some_and(|policy| policy.spec.isolates(direction))
        };
        for source in &sources {
            draft.becomes(source, &own);
            if hop.ingress && of(source, Direction::Ingress) {
                let says = format!(
                    "{} lets those call {waypoint} on TCP {HBONE} who may call what is behind it: {}",
                    own.short(),
                    hop.callers.words()
                );
                draft.remark(
                    source,
                    remark(Weight::Form, field!["spec", "ingress"], says),
                );
            }
            if hop.egress && of(source, Direction::Egress) {
                let says = format!(
                    "{} lets {waypoint} call what is behind it, istiod and name servers; anything \
                     else that it calls has to be admitted too",
                    own.short()
                );
                draft.remark(source, remark(Weight::Form, field!["spec", "egress"], says));
            }
        }
    } else if !may_write && (!hop.missing.is_empty() || !hop.out_of_reach.is_empty()) {
        let says = format!(
            "policies of {home} stand between {waypoint} and its callers, or what is behind it: \
             requests through it do not get there"
        );
        let remedy = or_accept(&format!(
            "admit TCP {HBONE} to the waypoint's pods and from them"
        ));
        for service in &front.services {
            let lost = remark(Weight::Lossy, FieldPath::root(), says.clone());
            draft.remark(service, lost.remedy(remedy.clone()));
        }
    }
    more_come(front, &hop, draft);
}

/// Whoever may call one pod behind the waypoint comes to the others.
fn more_come(front: &Front<'_>, hop: &Hop<'_>, draft: &mut Draft) {
    let waypoint = front.waypoint.short();
    for behind in front.behind.values().filter(|behind| behind.newly) {
        let more = hop.beyond(front, behind);
        if more.is_empty() {
            continue;
        }
        let says = format!(
            "through {waypoint}, which others may call too, {} is reached by more than it \
             was: {}",
            behind.workload.object.short(),
            more.words()
        );
        let remedy = or_accept(
            "give what has other callers a waypoint of its own, or refuse these by an AuthorizationPolicy",
        );
        for policy in &behind.policies {
            let lost = remark(Weight::Lossy, field!["spec", "ingress"], says.clone());
            draft.remark(&policy.reference(), lost.remedy(remedy.clone()));
        }
    }
}

/// Who may call the waypoint may call all that is behind it.
fn beyond(ground: &Ground<'_>, front: &Front<'_>, draft: &mut Draft) {
    let namespaces = ground.namespaces.iter();
    for namespace in namespaces.filter_map(|name| ground.mesh.namespace(name)) {
        for reached in front.reached(ground.mesh, namespace) {
            let names = |workloads: &[&Workload]| -> String {
                let names = workloads.iter().map(|workload| workload.object.short());
                names.collect::<Vec<String>>().join(", ")
            };
            let says = format!(
                "{} may call {}, and through it more than before: {}",
                names(&reached.callers),
                front.waypoint.short(),
                names(&reached.workloads)
            );
            let remedy = or_accept(
                "refuse these callers by an AuthorizationPolicy, or give what they call a waypoint of its own",
            );
            let lost = remark(Weight::Lossy, field!["spec", "egress"], says).remedy(remedy);
            draft.remark(&reached.policy.reference(), lost);
        }
    }
}

/// Notes the change of one policy.
fn write(mesh: &Mesh, object: &ObjectRef, added: &Added, draft: &mut Draft) {
    draft.look(object);
    let Some(whole) = mesh.inventory().whole(object) else {
        let says = "has to admit the tunnel, and could not be read whole";
        let remark = Remark::new(
            Topic::NetworkPolicy,
            Weight::Refused,
            FieldPath::root(),
            says,
        );
        draft.remark(object, remark);
        return;
    };
    let port = json!({"protocol": "TCP", "port": HBONE});
    let mut spec = serde_json::Map::new();
    for direction in ["ingress", "egress"] {
        let mut rules = whole["spec"][direction].clone();
        for (_, index) in added.rules.iter().filter(|(of, _)| *of == direction) {
            if let Some(ports) = rules[*index]["ports"].as_array_mut() {
                ports.push(port.clone());
            }
        }
        for waypoint in added.waypoint.get(direction).into_iter().flatten() {
            let peers = if direction == "ingress" { "from" } else { "to" };
            let peer = peer(waypoint, &object.namespace);
            let rule = json!({peers: [peer], "ports": [port.clone()]});
            match rules.as_array_mut() {
                Some(list) => list.push(rule),
                None => rules = Value::Array(vec![rule]),
            }
            let says = format!("admits {} on TCP {HBONE}", waypoint.short());
            let at = field!["spec", direction];
            draft.remark(
                object,
                Remark::new(Topic::NetworkPolicy, Weight::Form, at, says),
            );
        }
        if rules != whole["spec"][direction] {
            spec.insert(direction.to_owned(), rules);
        }
    }
    draft.patch(Phase::Prepare, object, json!({"spec": spec}), &[]);
}

/// The pods of a waypoint, as a policy names them.
fn peer(waypoint: &ObjectRef, namespace: &Name) -> Value {
    let pods = json!({"matchLabels": {GATEWAY_NAME_LABEL: waypoint.name.as_ref()}});
    if waypoint.namespace == *namespace {
        return json!({"podSelector": pods});
    }
    json!({"namespaceSelector": of_name(&waypoint.namespace), "podSelector": pods})
}

#[cfg(test)]
mod tests;
