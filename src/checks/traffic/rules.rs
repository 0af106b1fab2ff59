//! DestinationRules as clients follow them: which of several, and what they say about TLS.
//!
//! A client looks in its own namespace first, then in the Service's, then in the root namespace; in one
//! namespace the most specific host wins (`pilot/pkg/model/push_context.go`, `destinationRule`).

use std::collections::BTreeMap;

use crate::inventory::Object;
use crate::kinds::path::field;
use crate::kinds::traffic::{ClientTlsMode, DestinationRule, DestinationRuleSpec, TrafficPolicy};
use crate::kinds::{FieldPath, Name};
use crate::mesh::Mesh;
use crate::mesh::services::Service;

/// A TLS setting of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Where it stands.
    pub field: FieldPath,
    /// Its mode.
    pub mode: ClientTlsMode,
}

/// All TLS settings of a rule: for all ports, for single ports, for subsets.
pub fn tls(spec: &DestinationRuleSpec) -> Vec<Setting> {
    let mut found = Vec::new();
    of_policy(
        &field!["spec", "trafficPolicy"],
        &spec.traffic_policy,
        &mut found,
    );
    for (position, subset) in spec.subsets.iter().enumerate() {
        let at = field!["spec", "subsets", position, "trafficPolicy"];
        of_policy(&at, &subset.traffic_policy, &mut found);
    }
    found
}

fn of_policy(at: &FieldPath, policy: &TrafficPolicy, found: &mut Vec<Setting>) {
    let ports = policy.port_level_settings.iter().enumerate();
    let ports = ports.map(|(position, port)| {
        let at = at.then("portLevelSettings").then(position);
        (at, port.tls)
    });
    for (at, tls) in std::iter::once((at.clone(), policy.tls)).chain(ports) {
        if let Some(tls) = tls {
            found.push(Setting {
                field: at.then("tls"),
                mode: tls.mode,
            });
        }
    }
}

/// The rules for a Service that hide no more specific one of their own namespace. A rule for
/// certain client pods neither hides nor is hidden.
pub fn followed<'a>(mesh: &'a Mesh, service: &Service) -> Vec<&'a Object<DestinationRule>> {
    let mut best: BTreeMap<&Name, usize> = BTreeMap::new();
    let rules: Vec<_> = mesh.destination_rules(service).collect();
    for rule in &rules {
        if rule.spec.workload_selector.is_none() {
            let best = best.entry(&rule.metadata.namespace).or_default();
            *best = (*best).max(precision(&rule.spec.host));
        }
    }
    rules
        .into_iter()
        .filter(|rule| {
            rule.spec.workload_selector.is_some()
                || best.get(&rule.metadata.namespace) == Some(&precision(&rule.spec.host))
        })
        .collect()
}

/// How specific a host is: a full name more than any wildcard, a longer wildcard more than a shorter.
fn precision(host: &str) -> usize {
    if host.starts_with('*') {
        host.len()
    } else {
        usize::MAX
    }
}
