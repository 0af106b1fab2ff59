//! Ports told apart by AuthorizationPolicies, where the tunnel leads to all of them.
//!
//! An AuthorizationPolicy refuses ports whoever calls. So it says the same as NetworkPolicies do where
//! all whom these admit to a workload are admitted to the same ports.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::admission::{Gap, HBONE, selected, takes_part};
use crate::kinds::network_policy::{Direction, NetworkPolicy, PolicyPort, PolicyRule};
use crate::kinds::selector::Operator;
use crate::kinds::{IntOrString, Kind, LabelSelector, Labels, Name, ObjectRef, Resource};
use crate::mesh::Mesh;
use crate::mesh::workloads::{Role, Workload};
use crate::translate::change::new_object;
use crate::translate::{Draft, Phase};

/// As many ports of a range are written out.
const WRITTEN_OUT: i64 = 16;

/// As many guards are made for one selector.
const SELECTORS: usize = 8;

/// What refuses ports in the place of a NetworkPolicy.
#[derive(Debug, Default)]
pub(super) struct Apart {
    /// For pods with these labels, the ports that are not refused.
    pub(super) guards: Vec<(BTreeMap<String, String>, BTreeSet<u16>)>,
    /// Why that does not say the same.
    pub(super) short_of: Option<String>,
}

/// The ports to which a workload's callers are admitted.
enum Ports {
    /// All of them to these.
    All(BTreeSet<u16>),
    /// To some of these, and why that is all to be said.
    Some(BTreeSet<u16>, String),
    /// Not known, or not to be counted.
    Unknown(String),
}

/// What tells apart the ports of the pods that a policy selects.
pub(super) fn told_apart(mesh: &Mesh, gap: &Gap<'_>) -> Apart {
    let namespace = &gap.policy.metadata.namespace;
    let selector = &gap.policy.spec.pod_selector;
    let policies = mesh.within::<NetworkPolicy>(namespace);
    let mut all: Vec<(&Workload, Ports)> = Vec::new();
    for (selecting, workloads) in selected(mesh, namespace, policies, Direction::Ingress) {
        let concerned = workloads.into_iter().filter(|workload| {
            let known = workload.role != Role::Waypoint && takes_part(workload);
            known && selector.matches(&workload.labels)
        });
        for workload in concerned {
            let rules = selecting
                .iter()
                .flat_map(|position| &policies[*position].spec.ingress);
            all.push((workload, ports_of(rules, workload)));
        }
    }
    all.sort_by(|a, b| a.0.object.cmp(&b.0.object));
    let Some((_, first)) = all.first() else {
        return Apart {
            guards: Vec::new(),
            short_of: Some("no pods are known that it selects".to_owned()),
        };
    };
    if let Ports::All(ports) = first
        && all
            .iter()
            .all(|(_, other)| matches!(other, Ports::All(known) if known == ports))
        && let Some(labels) = as_labels(selector)
    {
        let guards = labels.into_iter().map(|labels| (labels, ports.clone()));
        return Apart {
            guards: guards.collect(),
            short_of: None,
        };
    }
    by_workload(mesh, namespace, &all)
}

/// A guard for each workload, where labels select it alone.
fn by_workload(mesh: &Mesh, namespace: &Name, all: &[(&Workload, Ports)]) -> Apart {
    let mut apart = Apart::default();
    for (workload, ports) in all {
        let mut short = |why: &str| {
            let of = match all.len() {
                1 => String::new(),
                _ => format!("for {}, ", workload.object.short()),
            };
            let _known = apart.short_of.get_or_insert_with(|| format!("{of}{why}"));
        };
        let ports = match ports {
            Ports::All(ports) => ports,
            Ports::Some(ports, why) => {
                short(why);
                ports
            }
            Ports::Unknown(why) => {
                short(why);
                continue;
            }
        };
        match own_labels(mesh, namespace, workload) {
            Some((key, value)) => {
                let labels = BTreeMap::from([(key, value)]);
                apart.guards.push((labels, ports.clone()));
            }
            None => short("no label is its own, by which an AuthorizationPolicy could select it"),
        }
    }
    apart
}

/// A label that no other workload has.
fn own_labels(mesh: &Mesh, namespace: &Name, workload: &Workload) -> Option<(String, String)> {
    let usual = |key: &str| {
        let usual = ["app", "app.kubernetes.io/name", "k8s-app"];
        usual
            .iter()
            .position(|known| *known == key)
            .unwrap_or(usual.len())
    };
    let of_istio = |key: &str| key.contains("istio.io/");
    let labels = workload.labels.pairs().iter();
    let own = labels.filter(|(key, value)| {
        let alone = Labels::from_pairs(vec![(key.clone(), value.clone())]);
        let selected = mesh.selected(namespace, &alone);
        !of_istio(key) && selected.iter().all(|other| other.object == workload.object)
    });
    let own = own.min_by_key(|(key, _)| (usual(key), key.clone()))?;
    Some((own.0.to_string(), own.1.to_string()))
}

/// The selectors of AuthorizationPolicies that together select the same pods.
fn as_labels(selector: &LabelSelector) -> Option<Vec<BTreeMap<String, String>>> {
    let pairs = selector.match_labels.iter();
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let mut all: Vec<BTreeMap<String, String>> = vec![pairs.collect()];
    for one in &selector.match_expressions {
        if one.operator != Operator::In || all.iter().any(|labels| labels.contains_key(&one.key)) {
            return None;
        }
        let with = |labels: &BTreeMap<String, String>, value: &String| {
            let mut labels = labels.clone();
            labels.insert(one.key.clone(), value.clone());
            labels
        };
        let each = all.iter().flat_map(|labels| {
            let values = one.values.iter();
            values.map(move |value| with(labels, value))
        });
        all = each.collect();
    }
    (!all.is_empty() && all.len() <= SELECTORS).then_some(all)
}

fn ports_of<'r>(rules: impl Iterator<Item = &'r PolicyRule>, workload: &Workload) -> Ports {
    let mut known: Option<BTreeSet<u16>> = None;
    let mut differ = None;
    for rule in rules {
        let here = match numbers(rule, workload) {
            Ok(Some(here)) => here,
            Ok(None) => continue,
            Err(why) => return Ports::Unknown(why),
        };
        let Some(ports) = &mut known else {
            known = Some(here);
            continue;
        };
        if *ports != here {
            let why = || {
                let (one, other) = (words(ports), words(&here));
                format!("some peers are admitted to {one}, others to {other}")
            };
            differ.get_or_insert_with(why);
            ports.extend(here);
        }
    }
    match (known, differ) {
        (Some(ports), None) => Ports::All(ports),
        (Some(ports), Some(why)) => Ports::Some(ports, why),
        (None, _) => Ports::Unknown("nobody is admitted to a port".to_owned()),
    }
}

/// The ports that a rule admits, by number. The tunnel is none of them; a rule for nothing else, or
/// not for TCP, is not counted.
pub(super) fn numbers(
    rule: &PolicyRule,
    workload: &Workload,
) -> Result<Option<BTreeSet<u16>>, String> {
    if rule.ports.is_empty() {
        return Err("other peers are admitted to all ports".to_owned());
    }
    let tunnel = |port: &PolicyPort| port.port == Some(IntOrString::Int(HBONE));
    let counted = |port: &&PolicyPort| port.is_tcp() && !(tunnel(port) && port.end_port.is_none());
    let mut ports = BTreeSet::new();
    let mut all = rule.ports.iter().filter(counted).peekable();
    if all.peek().is_none() {
        return Ok(None);
    }
    for port in all {
        match (&port.port, port.end_port) {
            (Some(IntOrString::Int(number)), None) => ports.extend(u16::try_from(*number)),
            (Some(IntOrString::Int(first)), Some(last)) => {
                if last - first >= WRITTEN_OUT {
                    return Err(format!("it admits a range of ports, {first} to {last}"));
                }
                let range = (*first..=last).filter(|port| *port != HBONE);
                ports.extend(range.flat_map(u16::try_from));
            }
            (Some(IntOrString::String(name)), _) => {
                let declared = workload
                    .containers
                    .iter()
                    .flat_map(|container| &container.ports);
                let mut named = declared.filter(|port| port.name == *name).peekable();
                if named.peek().is_none() {
                    let workload = workload.object.short();
                    return Err(format!(
                        "no container of {workload} declares its port {name}"
                    ));
                }
                ports.extend(named.map(|port| port.container_port));
            }
            (None, _) => return Err("it admits all ports of TCP".to_owned()),
        }
    }
    Ok(Some(ports))
}

/// AuthorizationPolicies that refuse all other ports, each with those. Sidecars and ztunnel both count
/// in ports of the pod.
pub(super) fn create(
    mesh: &Mesh,
    gap: &Gap<'_>,
    apart: &Apart,
    draft: &mut Draft,
) -> Vec<(ObjectRef, String)> {
    let policy = gap.policy.reference();
    let meta = &gap.policy.metadata;
    let mut made = Vec::new();
    for (labels, ports) in &apart.guards {
        let listed: Vec<String> = ports.iter().map(u16::to_string).collect();
        let mut spec = json!({
            "action": "DENY",
            "rules": [{"to": [{"operation": {"notPorts": listed}}]}],
        });
        if !labels.is_empty() {
            spec["selector"] = json!({"matchLabels": labels});
        }
        let of = |name: &str| {
            let (kind, home) = (Kind::AuthorizationPolicy, &meta.namespace);
            new_object(kind, home, name, Some(&policy), &[], spec.clone())
        };
        let name = format!("{}-ports", meta.name);
        let guard = draft.create_free(mesh, Phase::Prepare, &name, &[&policy], of);
        draft.becomes(&policy, &guard);
        made.push((guard, words(ports)));
    }
    made
}

fn words(ports: &BTreeSet<u16>) -> String {
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    ports.join(", ")
}
