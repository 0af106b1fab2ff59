//! What ztunnel does with what it receives, read from its messages as it reads them.
//!
//! Source: ztunnel's `src/state.rs` (`assert_rbac`) and `src/rbac.rs` (`Authorization::matches`).

use std::net::{IpAddr, Ipv4Addr};

use harness::oracle::{Policy, Ztunnel};
use kubectl_ambient::semantics::verdict::Call;
use serde_json::Value;

/// Whether ztunnel lets a call in to a pod; `None` when it does not know the pod.
pub(super) fn allowed(ztunnel: &Ztunnel, namespace: &str, pod: &str, call: &Call) -> Option<bool> {
    let named = &ztunnel.workload(namespace, pod)?.authorization_policies;
    let applies = |policy: &&Policy| match policy.scope.as_str() {
        "GLOBAL" => true,
        "NAMESPACE" => policy.namespace == namespace,
        _ => named.contains(&format!("{}/{}", policy.namespace, policy.name)),
    };
    let (allow, deny): (Vec<&Policy>, Vec<&Policy>) = ztunnel
        .policies
        .iter()
        .filter(applies)
        .partition(|policy| policy.action == "ALLOW");
    let matched = |policy: &&Policy| matches(&policy.groups(), call);
    Some(!deny.iter().any(matched) && (allow.is_empty() || allow.iter().any(matched)))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn matches(groups: &Value, call: &Call) -> bool {
    list(groups).any(|group| {
        list(group).all(|clause| {
            let mut fields = list(clause).filter_map(Value::as_object);
            list(clause).next().is_none()
                || fields.any(|fields| {
                    let said = fields
                        .iter()
                        .filter(|(_, values)| list(values).next().is_some());
                    said.clone().next().is_some()
                        && said.clone().all(|(name, values)| {
                            let (name, wanted) = match name.strip_prefix("not_") {
                                Some(name) => (name, false),
                                None => (name.as_str(), true),
                            };
                            list(values).any(|value| field(name, value, call)) == wanted
                        })
                })
        })
    })
}

fn field(name: &str, value: &Value, call: &Call) -> bool {
    let identity = call.identity.as_ref();
    match name {
        "principals" => identity.is_some_and(|id| text(value, &id.to_string())),
        "namespaces" => identity.is_some_and(|id| text(value, &id.namespace)),
        "service_accounts" => identity.is_some_and(|id| {
            value["namespace"] == *id.namespace && value["serviceAccount"] == *id.service_account
        }),
        "destination_ports" => value.as_u64() == Some(u64::from(call.port.pod)),
        "source_ips" => call.source_ip.is_some_and(|ip| range(value, ip)),
        other => panic!("ztunnel is told of {other}"),
    }
}

fn text(wanted: &Value, own: &str) -> bool {
    let of = |kind: &str| wanted[kind].as_str();
    match (of("exact"), of("prefix"), of("suffix")) {
        (Some(exact), ..) => own == exact,
        (_, Some(prefix), _) => own.starts_with(prefix),
        (.., Some(suffix)) => own.ends_with(suffix),
        _ => !own.is_empty(),
    }
}

fn range(value: &Value, ip: IpAddr) -> bool {
    let bytes = value["address"].as_str().map(decoded).unwrap_or_default();
    let (Ok(bytes), IpAddr::V4(ip)) = (<[u8; 4]>::try_from(bytes), ip) else {
        panic!("only ranges of IPv4 are written here: {value}");
    };
    let length = value["length"]
        .as_u64()
        .and_then(|bits| u32::try_from(bits).ok());
    let away = 32 - length.unwrap_or_default();
    let head = |ip: Ipv4Addr| u64::from(ip.to_bits()) >> away;
    head(ip) == head(Ipv4Addr::from(bytes))
}

/// Base 64, as JSON has bytes.
fn decoded(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let Some(digit) = ALPHABET.iter().position(|own| *own == letter) else {
            continue;
        };
        bits = bits << 6 | u32::try_from(digit).unwrap_or_default();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.extend(u8::try_from(bits >> held & 0xff));
        }
    }
    bytes
}
