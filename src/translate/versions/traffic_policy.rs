//! The policy of a DestinationRule for one of its subsets, as one policy
//! (`pkg/config/…/MergeTrafficPolicy`): what a subset says replaces what the rule says, and what is
//! said for a port replaces all that can be said for ports.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// What can be said for a port.
const FOR_PORTS: [&str; 4] = ["connectionPool", "loadBalancer", "outlierDetection", "tls"];
const PORTS: &str = "portLevelSettings";

/// The policy of a subset, together with what its rule says for all; `None` when nothing is said.
pub(super) fn merged(rule: Option<&Value>, subset: Option<&Value>) -> Option<Value> {
    let (rule, subset) = (Policy::of(rule), Policy::of(subset));
    let mut whole = rule.common.clone();
    whole.extend(subset.common.clone());
    let mut ports = Vec::new();
    let numbers = rule.ports.keys().chain(subset.ports.keys());
    let mut numbers: Vec<u64> = numbers.copied().collect();
    numbers.sort_unstable();
    numbers.dedup();
    for number in numbers {
        let own = if let Some(own) = subset.ports.get(&number) {
            own.clone()
        } else {
            let mut own = rule.ports.get(&number).cloned().unwrap_or_default();
            let said = subset.common.iter();
            let said = said.filter(|(key, _)| FOR_PORTS.contains(&key.as_str()));
            own.extend(said.map(|(key, value)| (key.clone(), value.clone())));
            own
        };
        let mut entry = own;
        entry.insert("port".to_owned(), json!({"number": number}));
        ports.push(Value::Object(entry));
    }
    if !ports.is_empty() {
        whole.insert(PORTS.to_owned(), Value::Array(ports));
    }
    (!whole.is_empty()).then_some(Value::Object(whole))
}

#[derive(Default)]
struct Policy {
    common: Map<String, Value>,
    ports: BTreeMap<u64, Map<String, Value>>,
}

impl Policy {
    fn of(policy: Option<&Value>) -> Self {
        let Some(Value::Object(fields)) = policy else {
            return Self::default();
        };
        let mut common = fields.clone();
        let mut ports = BTreeMap::new();
        if let Some(Value::Array(list)) = common.remove(PORTS) {
            for entry in list {
                let Value::Object(mut entry) = entry else {
                    continue;
                };
                let number = entry.remove("port");
                let number = number.and_then(|port| port.get("number")?.as_u64());
                // Of two entries for one port the first counts.
                ports.entry(number.unwrap_or_default()).or_insert(entry);
            }
        }
        Self { common, ports }
    }
}

/// The policy without `tls: ISTIO_MUTUAL`, which between pods of the mesh is a matter of course;
/// `None` when it said nothing else.
pub(super) fn without_istio_mutual(policy: &Value) -> Option<Value> {
    let Value::Object(fields) = policy else {
        return Some(policy.clone());
    };
    let mut fields = fields.clone();
    drop_istio_mutual(&mut fields);
    if let Some(Value::Array(list)) = fields.get_mut(PORTS) {
        for entry in list.iter_mut().filter_map(Value::as_object_mut) {
            drop_istio_mutual(entry);
        }
        // A port of which nothing is said stands for itself: the rule's own settings do not hold there.
        let others = fields.keys().any(|key| FOR_PORTS.contains(&key.as_str()));
        if let Some(Value::Array(list)) = fields.get_mut(PORTS) {
            list.retain(|entry| others || entry.as_object().is_none_or(|entry| entry.len() > 1));
            if list.is_empty() {
                fields.remove(PORTS);
            }
        }
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}

fn drop_istio_mutual(fields: &mut Map<String, Value>) {
    let mode = fields.get("tls").and_then(|tls| tls.get("mode"));
    if mode.and_then(Value::as_str) == Some("ISTIO_MUTUAL") {
        fields.remove("tls");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nearer_replaces_what_is_further_away() {
        let rule = json!({
            "connectionPool": {"tcp": {"maxConnections": 1}},
            "outlierDetection": {"interval": "1s"},
            "portLevelSettings": [{"port": {"number": 80}, "tls": {"mode": "SIMPLE"}}],
        });
        let subset = json!({"connectionPool": {"tcp": {"maxConnections": 2}}});
        let port = json!({"portLevelSettings": [
            {"port": {"number": 80}, "loadBalancer": {"simple": "RANDOM"}}]});
        for (rule, subset, expected) in [
            (None, None, None),
            (Some(&rule), None, Some(rule.clone())),
            (
                Some(&rule),
                Some(&subset),
                Some(json!({
                    "connectionPool": {"tcp": {"maxConnections": 2}},
                    "outlierDetection": {"interval": "1s"},
                    "portLevelSettings": [{
                        "port": {"number": 80}, "tls": {"mode": "SIMPLE"},
                        "connectionPool": {"tcp": {"maxConnections": 2}},
                    }],
                })),
            ),
            (
                Some(&rule),
                Some(&port),
                Some(json!({
                    "connectionPool": {"tcp": {"maxConnections": 1}},
                    "outlierDetection": {"interval": "1s"},
                    "portLevelSettings": [
                        {"port": {"number": 80}, "loadBalancer": {"simple": "RANDOM"}}],
                })),
            ),
        ] {
            assert_eq!(merged(rule, subset), expected);
        }
    }

    #[test]
    fn only_istios_own_tls_goes() {
        for (policy, expected) in [
            (json!({"tls": {"mode": "ISTIO_MUTUAL"}}), None),
            (
                json!({"tls": {"mode": "SIMPLE"}}),
                Some(json!({"tls": {"mode": "SIMPLE"}})),
            ),
            (
                json!({"portLevelSettings": [
                    {"port": {"number": 80}, "tls": {"mode": "ISTIO_MUTUAL"}}]}),
                None,
            ),
            (
                json!({"tls": {"mode": "SIMPLE"}, "portLevelSettings": [
                    {"port": {"number": 80}, "tls": {"mode": "ISTIO_MUTUAL"}}]}),
                Some(json!({"tls": {"mode": "SIMPLE"}, "portLevelSettings": [
                    {"port": {"number": 80}}]})),
            ),
        ] {
            assert_eq!(without_istio_mutual(&policy), expected, "{policy}");
        }
    }
}
