//! NetworkPolicies: connections in the mesh arrive on one port, TCP 15008, whatever port they are for.
//!
//! A policy that admits peers to some ports has to admit them to 15008 as well, and can tell the
//! ports apart no more. So the ports are told apart by an AuthorizationPolicy that refuses all
//! others, where that says the same; where it cannot, nothing is admitted unless that is accepted.

pub(crate) mod admission;
pub(crate) mod entrance;
pub(crate) mod fronts;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use admission::{Gap, HBONE, gaps, selected};
use fronts::{Barrier, fronts};

use super::change::new_object;
use super::fidelity::{Remark, Weight};
use super::{Draft, Ground, Phase, Topic};
use crate::kinds::network_policy::{Direction, NetworkPolicy, PolicyRule};
use crate::kinds::path::field;
use crate::kinds::{FieldPath, IntOrString, Kind, Labels, Name, ObjectRef, Resource};
use crate::mesh::Mesh;
use crate::mesh::workloads::{GATEWAY_NAME_LABEL, Role, Workload};

/// What is added to the rules of one policy.
#[derive(Debug, Default)]
struct Added {
    /// Rules that get the port, by direction.
    rules: BTreeSet<(&'static str, usize)>,
    /// Directions in which the waypoint is admitted.
    waypoint: BTreeMap<&'static str, BTreeSet<ObjectRef>>,
}

pub(super) fn translate(ground: &Ground<'_>, draft: &mut Draft) {
    let mesh = ground.mesh;
    for name in ground.namespaces {
        let mut added: BTreeMap<ObjectRef, Added> = BTreeMap::new();
        let entered =
            |workload: &Workload| matches!(workload.role, Role::Application | Role::Waypoint);
        for gap in gaps(mesh, name, Direction::Ingress, entered) {
            inward(ground, &gap, &mut added, draft);
        }
        for gap in gaps(mesh, name, Direction::Egress, |_| true) {
            outward(ground, &gap, &mut added, draft);
        }
        admit_waypoints(ground, name, &mut added);
        for (object, added) in added {
            write(mesh, &object, &added, draft);
        }
    }
}

/// Peers are admitted to the tunnel, and what they were not admitted to is refused by identity-blind
/// rules on ports.
fn inward(
    ground: &Ground<'_>,
    gap: &Gap<'_>,
    added: &mut BTreeMap<ObjectRef, Added>,
    draft: &mut Draft,
) {
    let policy = gap.policy.reference();
    let at = field!["spec", "ingress"];
    let rules = gap.rules.keys().map(|index| ("ingress", *index));
    match told_apart(ground.mesh, gap) {
        Ok(ports) => {
            added.entry(policy.clone()).or_default().rules.extend(rules);
            let guard = ports_guard(gap, &ports);
            draft.becomes(&policy, guard.object());
            draft.create(Phase::Prepare, guard, &[&policy]);
            let says = format!(
                "admits TCP {HBONE} too; an AuthorizationPolicy refuses all ports but {}",
                words(&ports)
            );
            draft.remark(
                &policy,
                Remark::new(Topic::NetworkPolicy, Weight::Form, at, says),
            );
        }
        Err(why) if ground.options.accepted.contains(&Topic::NetworkPolicy) => {
            added.entry(policy.clone()).or_default().rules.extend(rules);
            let says = format!(
                "admits TCP {HBONE} too, by which its peers in the mesh reach every port: {why}"
            );
            draft.remark(
                &policy,
                Remark::new(Topic::NetworkPolicy, Weight::Lossy, at, says),
            );
        }
        Err(why) => {
            let says = format!(
                "has to admit TCP {HBONE}, by which its peers in the mesh would reach every port: {why}"
            );
            let remedy = format!(
                "refuse other ports with an AuthorizationPolicy and admit TCP {HBONE} yourself, or accept it: --accept {}=REASON",
                Topic::NetworkPolicy
            );
            let remark = Remark::new(Topic::NetworkPolicy, Weight::Refused, at, says);
            draft.remark(&policy, remark.remedy(remedy));
        }
    }
}

/// Pods may go to the tunnel. What they could not call before is for the callee to refuse.
fn outward(
    ground: &Ground<'_>,
    gap: &Gap<'_>,
    added: &mut BTreeMap<ObjectRef, Added>,
    draft: &mut Draft,
) {
    let policy = gap.policy.reference();
    let at = field!["spec", "egress"];
    let effect = format!("TCP {HBONE}, by which pods can call every port of its peers in the mesh");
    let remark = if ground.options.accepted.contains(&Topic::NetworkPolicy) {
        let rules = gap.rules.keys().map(|index| ("egress", *index));
        added.entry(policy.clone()).or_default().rules.extend(rules);
        Remark::new(
            Topic::NetworkPolicy,
            Weight::Lossy,
            at,
            format!("admits {effect}"),
        )
    } else {
        let remedy = format!(
            "refuse other ports at the callees, and accept it: --accept {}=REASON",
            Topic::NetworkPolicy
        );
        let says = format!("has to admit {effect}");
        Remark::new(Topic::NetworkPolicy, Weight::Refused, at, says).remedy(remedy)
    };
    draft.remark(&policy, remark);
}

/// The ports that all rules of all policies for these pods admit, where rules on ports alone say the
/// same as the policies do; otherwise why they do not.
fn told_apart(mesh: &Mesh, gap: &Gap<'_>) -> Result<BTreeSet<u16>, String> {
    let namespace = &gap.policy.metadata.namespace;
    let selector = &gap.policy.spec.pod_selector;
    if !selector.match_expressions.is_empty() {
        return Err(
            "its podSelector has expressions, which an AuthorizationPolicy cannot have".to_owned(),
        );
    }
    let policies = mesh.within::<NetworkPolicy>(namespace);
    let mut ports: Option<BTreeSet<u16>> = None;
    for (selecting, workloads) in selected(mesh, namespace, policies, Direction::Ingress) {
        let concerned: Vec<&Workload> = workloads
            .into_iter()
            .filter(|workload| {
                selector.matches(&workload.labels) && admission::takes_part(workload)
            })
            .collect();
        for workload in concerned {
            let rules = selecting
                .iter()
                .flat_map(|position| &policies[*position].spec.ingress);
            for rule in rules {
                let here = numbers(rule, workload)?;
                match &ports {
                    None => ports = Some(here),
                    Some(known) if *known == here => {}
                    Some(known) => {
                        return Err(format!(
                            "some peers are admitted to {}, others to {}",
                            words(known),
                            words(&here)
                        ));
                    }
                }
            }
        }
    }
    ports.ok_or_else(|| "no pods are known that it selects".to_owned())
}

/// The ports that a rule admits, by number. The tunnel is none of them.
fn numbers(rule: &PolicyRule, workload: &Workload) -> Result<BTreeSet<u16>, String> {
    if rule.ports.is_empty() {
        return Err("other peers are admitted to all ports".to_owned());
    }
    let mut ports = BTreeSet::new();
    for port in rule.ports.iter().filter(|port| port.is_tcp()) {
        match (&port.port, port.end_port) {
            (Some(IntOrString::Int(number)), None) => {
                if *number != HBONE {
                    ports.extend(u16::try_from(*number));
                }
            }
            (Some(IntOrString::Int(first)), Some(last)) => {
                return Err(format!("it admits a range of ports, {first} to {last}"));
            }
            (Some(IntOrString::String(name)), _) => {
                let declared = workload
                    .containers
                    .iter()
                    .flat_map(|container| &container.ports);
                let mut named = declared.filter(|port| port.name == *name).peekable();
                if named.peek().is_none() {
                    return Err(format!(
                        "no container of {} declares its port {name}",
                        workload.object.short()
                    ));
                }
                ports.extend(named.map(|port| port.container_port));
            }
            (None, _) => return Err("it admits all ports of TCP".to_owned()),
        }
    }
    Ok(ports)
}

/// An AuthorizationPolicy that refuses all other ports. Sidecars and ztunnel both count in ports of the
/// pod.
fn ports_guard(gap: &Gap<'_>, ports: &BTreeSet<u16>) -> super::Manifest {
    let meta = &gap.policy.metadata;
    let labels: &Labels = &gap.policy.spec.pod_selector.match_labels;
    let listed: Vec<String> = ports.iter().map(u16::to_string).collect();
    let mut spec = json!({
        "action": "DENY",
        "rules": [{"to": [{"operation": {"notPorts": listed}}]}],
    });
    if !labels.is_empty() {
        let pairs: BTreeMap<&str, &str> = labels.iter().collect();
        spec["selector"] = json!({"matchLabels": pairs});
    }
    new_object(
        Kind::AuthorizationPolicy,
        &meta.namespace,
        &format!("{}-ports", meta.name),
        Some(&gap.policy.reference()),
        &[],
        spec,
    )
}

fn words(ports: &BTreeSet<u16>) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    ports.join(", ")
}

/// Policies that name callers, or callees, and would stand between them and the waypoint.
fn admit_waypoints(ground: &Ground<'_>, name: &Name, added: &mut BTreeMap<ObjectRef, Added>) {
    let mesh = ground.mesh;
    if mesh.within::<NetworkPolicy>(name).is_empty() {
        return;
    }
    let Some(namespace) = mesh.namespace(name) else {
        return;
    };
    let waypoints: BTreeSet<ObjectRef> = ground
        .waypoints
        .of_namespace(name)
        .into_iter()
        .cloned()
        .collect();
    let mut note = |barrier: &Barrier<'_>, direction: &'static str| {
        if barrier.policy.metadata.namespace == *name {
            let entry = added.entry(barrier.policy.reference()).or_default();
            entry
                .waypoint
                .entry(direction)
                .or_default()
                .extend(waypoints.clone());
        }
    };
    for front in fronts(mesh, name) {
        for barrier in front.inward(mesh, name) {
            note(&barrier, "ingress");
        }
        for barrier in front.outward(mesh, namespace) {
            note(&barrier, "egress");
        }
        if let Some(barrier) = front.isolated(mesh, Direction::Ingress) {
            note(&barrier, "ingress");
        }
        if let Some(barrier) = front.isolated(mesh, Direction::Egress) {
            note(&barrier, "egress");
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
    let home = json!({"matchLabels": {"kubernetes.io/metadata.name": waypoint.namespace.as_ref()}});
    json!({"namespaceSelector": home, "podSelector": pods})
}

#[cfg(test)]
mod tests;
