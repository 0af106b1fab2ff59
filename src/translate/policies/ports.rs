//! Ports of pods as ports of Services.
//!
//! A policy names the port of the pod. A waypoint judges before it picks a pod, by the port that was
//! called: the Service's. (`pilot/pkg/networking/core/listener_waypoint.go`, chains by Service port.)

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::ways::Ways;
use crate::kinds::IntOrString;
use crate::kinds::service::ServicePort;
use crate::mesh::Mesh;
use crate::mesh::services::Service;
use crate::mesh::workloads::Workload;

/// The ports of one Service, each with the ports of the pods behind it.
#[derive(Debug, Default)]
pub(in crate::translate) struct ServicePorts {
    /// `None` where a port is named that no container declares.
    targets: BTreeMap<u16, Option<BTreeSet<u16>>>,
}

/// Why the ports of a rule cannot be said for a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unmapped {
    /// The Service's port leads to a port by name, and no container declares it.
    Unknown(u16),
    /// The Service's port leads to several ports, of which the rule names some.
    Several(u16),
}

impl Unmapped {
    /// Why, as people say it.
    pub(super) fn why(&self, service: &Service) -> String {
        let service = service.object.short();
        match self {
            Self::Unknown(port) => format!(
                "port {port} of {service} leads to a port by name, and no container in the input \
                 declares that name"
            ),
            Self::Several(port) => format!(
                "port {port} of {service} leads to several ports of pods, of which the rule names some"
            ),
        }
    }
}

/// The ports of pods that a Service's port leads to; `None` where that is not known.
pub(in crate::translate) fn targets<'w>(
    port: &ServicePort,
    backing: impl IntoIterator<Item = &'w Workload>,
) -> Option<BTreeSet<u16>> {
    let name = match &port.target_port {
        None => return Some(BTreeSet::from([port.port])),
        Some(IntOrString::Int(number)) => {
            return u16::try_from(*number)
                .ok()
                .map(|number| BTreeSet::from([if number == 0 { port.port } else { number }]));
        }
        Some(IntOrString::String(name)) => name,
    };
    if let Ok(number) = name.parse() {
        return Some(BTreeSet::from([number]));
    }
    let mut found = BTreeSet::new();
    for workload in backing {
        let declared = workload
            .containers
            .iter()
            .flat_map(|container| &container.ports);
        let named = declared.filter(|declared| declared.name == *name);
        found.extend(named.map(|declared| declared.container_port));
    }
    (!found.is_empty()).then_some(found)
}

impl ServicePorts {
    /// The ports of a Service.
    pub(in crate::translate) fn of(mesh: &Mesh, ways: &Ways, service: &Service) -> Self {
        let ports = mesh.spec(service).ports.iter();
        let targets = ports.map(|port| (port.port, ways.targets(mesh, service, port)));
        Self {
            targets: targets.collect(),
        }
    }

    /// The Service's ports that lead to some ports of pods.
    fn leading_to(&self, pods: &[String]) -> Result<Vec<String>, Unmapped> {
        let wanted: BTreeSet<u16> = pods.iter().filter_map(|text| text.parse().ok()).collect();
        let mut found = Vec::new();
        for (port, targets) in &self.targets {
            let Some(targets) = targets else {
                return Err(Unmapped::Unknown(*port));
            };
            if targets.is_subset(&wanted) {
                found.push(port.to_string());
            } else if !targets.is_disjoint(&wanted) {
                return Err(Unmapped::Several(*port));
            }
        }
        Ok(found)
    }

    /// A rule with the Service's ports; nothing where no call to the Service can match it.
    pub(super) fn rule(&self, rule: &Value) -> Result<Option<Value>, Unmapped> {
        let mut rule = rule.clone();
        if let Some(operations) = rule.get_mut("to").and_then(Value::as_array_mut) {
            let had = operations.len();
            let mut kept = Vec::new();
            let mut any = false;
            for mut entry in operations.drain(..) {
                let possible = match entry.get_mut("operation") {
                    Some(operation) => self.fields(operation, "ports", "notPorts")?,
                    None => true,
                };
                any |= possible
                    && entry["operation"]
                        .as_object()
                        .is_some_and(serde_json::Map::is_empty);
                if possible {
                    kept.push(entry);
                }
            }
            if had > 0 && kept.is_empty() {
                return Ok(None);
            }
            // One of several that matches every call is enough.
            *operations = if any { Vec::new() } else { kept };
        }
        if let Some(conditions) = rule.get_mut("when").and_then(Value::as_array_mut) {
            let mut kept = Vec::new();
            for mut condition in conditions.drain(..) {
                if condition["key"] == "destination.port" {
                    if !self.fields(&mut condition, "values", "notValues")? {
                        return Ok(None);
                    }
                    if condition.get("values").is_none() && condition.get("notValues").is_none() {
                        continue;
                    }
                }
                kept.push(condition);
            }
            *conditions = kept;
        }
        for field in ["to", "when"] {
            let emptied = rule.get(field).and_then(Value::as_array);
            if emptied.is_some_and(Vec::is_empty)
                && let Some(fields) = rule.as_object_mut()
            {
                fields.remove(field);
            }
        }
        Ok(Some(rule))
    }

    /// Maps the ports in two fields; says whether any call can still match.
    fn fields(&self, holder: &mut Value, yes: &str, no: &str) -> Result<bool, Unmapped> {
        let Some(fields) = holder.as_object_mut() else {
            return Ok(true);
        };
        if let Some(named) = strings(fields.get(yes)) {
            let mapped = self.leading_to(&named)?;
            if mapped.is_empty() {
                return Ok(false);
            }
            fields.insert(yes.to_owned(), json!(mapped));
        }
        if let Some(named) = strings(fields.get(no)) {
            let mapped = self.leading_to(&named)?;
            if mapped.is_empty() {
                fields.remove(no);
            } else {
                fields.insert(no.to_owned(), json!(mapped));
            }
        }
        Ok(true)
    }
}

/// The texts of a list that is there and not empty.
pub(super) fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    let list = value?.as_array()?;
    let texts: Vec<String> = list
        .iter()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect();
    (!texts.is_empty()).then_some(texts)
}
