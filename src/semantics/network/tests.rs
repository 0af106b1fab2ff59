//! Policies read pod by pod, and callers found among all that there may be.

use std::collections::BTreeMap;
use std::net::IpAddr;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::search::{Addresses, Value as Has};
use super::*;
use crate::kinds::network_policy::{Direction, IpBlock, NetworkPolicy, PolicyPort, PolicyRule};
use crate::kinds::workload::Container;
use crate::kinds::{IntOrString, Labels, Name};
use crate::soak::cases;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs.iter();
    Labels::from_pairs(
        pairs
            .map(|(k, v)| (Name::from(*k), Name::from(*v)))
            .collect(),
    )
}

fn containers() -> Vec<Container> {
    let ports = json!([{"name": "http", "containerPort": 8080}]);
    serde_json::from_value(json!([{"name": "pay", "ports": ports}])).unwrap()
}

fn policy(namespace: &str, spec: &Value) -> NetworkPolicy {
    let metadata = json!({"name": "p", "namespace": namespace});
    serde_json::from_value(json!({"metadata": metadata, "spec": spec})).unwrap()
}

/// A caller of which all is known.
#[derive(Debug, Clone)]
struct Concrete {
    /// Its namespace, and that one's labels; none outside of the cluster.
    namespace: Option<(&'static str, Labels)>,
    labels: Labels,
    address: IpAddr,
    /// The address of the pod that is called.
    called: IpAddr,
}

/// Whether policies let a caller connect, as Kubernetes describes it.
fn connects(policies: &[NetworkPolicy], to: &Pod<'_>, port: Port, caller: &Concrete) -> bool {
    let selected = |namespace: &str, labels: &Labels, direction| {
        let here = policies
            .iter()
            .filter(|one| *one.metadata.namespace == *namespace);
        let all = here.filter(|one| one.spec.isolates(direction));
        all.filter(|one| one.spec.pod_selector.matches(labels))
            .collect::<Vec<_>>()
    };
    let inward = selected(to.namespace, to.labels, Direction::Ingress);
    let enters = inward.iter().any(|policy| {
        policy.spec.ingress.iter().any(|rule| {
            let mut peers = rule.peers.iter();
            names(rule, to, port)
                && (rule.peers.is_empty()
                    || peers.any(|peer| match (&peer.ip_block, &caller.namespace) {
                        (Some(block), _) => within(block, caller.address),
                        (None, None) => false,
                        (None, Some((name, of))) => {
                            peer.namespace_selector
                                .as_ref()
                                .map_or(**name == *policy.metadata.namespace, |selector| {
                                    selector.matches(of)
                                })
                                && peer
                                    .pod_selector
                                    .as_ref()
                                    .is_none_or(|selector| selector.matches(&caller.labels))
                        }
                    }))
        })
    });
    let Some((home, _)) = &caller.namespace else {
        return inward.is_empty() || enters;
    };
    let outward = selected(home, &caller.labels, Direction::Egress);
    let leaves = outward.iter().any(|policy| {
        policy.spec.egress.iter().any(|rule| {
            let mut peers = rule.peers.iter();
            names(rule, to, port)
                && (rule.peers.is_empty()
                    || peers.any(|peer| match &peer.ip_block {
                        Some(block) => within(block, caller.called),
                        None => {
                            peer.namespace_selector.as_ref().map_or(
                                *policy.metadata.namespace == **to.namespace,
                                |selector| {
                                    to.namespace_labels.is_some_and(|of| selector.matches(of))
                                },
                            ) && peer
                                .pod_selector
                                .as_ref()
                                .is_none_or(|selector| selector.matches(to.labels))
                        }
                    }))
        })
    });
    (inward.is_empty() || enters) && (outward.is_empty() || leaves)
}

fn names(rule: &PolicyRule, to: &Pod<'_>, port: Port) -> bool {
    let named = |one: &PolicyPort| {
        let number = match &one.port {
            None => return true,
            Some(IntOrString::Int(number)) => *number,
            Some(IntOrString::String(name)) => {
                let mut ports = to.containers.iter().flat_map(|one| &one.ports);
                ports
                    .find(|port| port.name == *name)
                    .map_or(-1, |one| one.container_port.into())
            }
        };
        (number..=one.end_port.unwrap_or(number)).contains(&i64::from(port.number))
    };
    let tcp = port.protocol == Protocol::Tcp;
    rule.ports.is_empty()
        || rule
            .ports
            .iter()
            .any(|one| one.is_tcp() == tcp && named(one))
}

/// The ranges of these tests begin at `10.`.
fn within(block: &IpBlock, address: IpAddr) -> bool {
    let IpAddr::V4(address) = address else {
        return false;
    };
    let inside = |cidr: &String| {
        let (first, given) = cidr.split_once('/').unwrap();
        let first: std::net::Ipv4Addr = first.parse().unwrap();
        let kept: u32 = given.parse().unwrap();
        let cut = |address: std::net::Ipv4Addr| u64::from(u32::from(address)) >> (32 - kept);
        cut(first) == cut(address)
    };
    inside(&block.cidr) && !block.except.iter().any(inside)
}

/// The namespaces that are known: shop of team a, bank of team b.
fn around() -> Surroundings {
    let of = |name: &'static str, team| {
        let labels = labels(&[("team", team), ("kubernetes.io/metadata.name", name)]);
        (Name::from(name), Some(labels))
    };
    Surroundings {
        namespaces: BTreeMap::from([of("shop", "a"), of("bank", "b")]),
    }
}

/// Callers of all kinds.
fn callers() -> Vec<Concrete> {
    let around = around();
    let known = |name: &'static str| (name, around.namespaces[name].clone().unwrap());
    let mut homes = vec![None, Some(known("shop")), Some(known("bank"))];
    for team in ["a", "b", "c"] {
        let of = labels(&[("team", team), ("kubernetes.io/metadata.name", "far")]);
        homes.push(Some(("far", of)));
    }
    homes.push(Some((
        "far",
        labels(&[("kubernetes.io/metadata.name", "far")]),
    )));
    let mut all = Vec::new();
    for home in homes {
        for app in [None, Some("web"), Some("clerk"), Some("other")] {
            for tier in [None, Some("front"), Some("back")] {
                for address in ["10.1.0.9", "10.2.0.9", "172.16.0.9"] {
                    for called in ["10.1.0.9", "10.2.0.9"] {
                        let app = app.map(|app| ("app", app));
                        let tier = tier.map(|tier| ("tier", tier));
                        let pairs: Vec<(&str, &str)> = app.into_iter().chain(tier).collect();
                        all.push(Concrete {
                            namespace: home.clone(),
                            labels: labels(&pairs),
                            address: address.parse().unwrap(),
                            called: called.parse().unwrap(),
                        });
                    }
                }
            }
        }
    }
    all
}

/// Somebody of the kind that was found.
fn concrete(caller: &Caller) -> Concrete {
    let pairs = |all: &BTreeMap<String, Has>| {
        let given = all.iter().filter_map(|(key, value)| match value {
            Has::Is(value) => Some((Name::from(key.as_str()), Name::from(value.as_str()))),
            Has::Other => Some((Name::from(key.as_str()), Name::from("any"))),
            Has::Absent => None,
        });
        given.collect::<Vec<(Name, Name)>>()
    };
    let address = |addresses: Addresses| match addresses {
        Addresses::Like(address) => address,
        _ => "172.16.0.9".parse().unwrap(),
    };
    let namespace = match &caller.place {
        Place::Outside => None,
        Place::In(name) if **name == *"shop" => Some("shop"),
        Place::In(_) => Some("bank"),
        Place::Elsewhere => Some("far"),
    };
    let namespace = namespace.map(|name| {
        let known = around().namespaces.get(name).cloned().flatten();
        let labels = known.unwrap_or_else(|| {
            let mut pairs = pairs(&caller.namespace_labels);
            pairs.push(("kubernetes.io/metadata.name".into(), name.into()));
            Labels::from_pairs(pairs)
        });
        (name, labels)
    });
    Concrete {
        namespace,
        labels: Labels::from_pairs(pairs(&caller.labels)),
        address: address(caller.address),
        called: address(caller.called),
    }
}

fn selectors() -> impl Strategy<Value = Value> {
    select(vec![
        json!({}),
        json!({"matchLabels": {"app": "web"}}),
        json!({"matchLabels": {"app": "clerk", "tier": "back"}}),
        json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}),
        json!({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}),
        json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}),
    ])
}

fn peers() -> impl Strategy<Value = Value> {
    let namespaces = select(vec![
        json!({}),
        json!({"matchLabels": {"team": "a"}}),
        json!({"matchLabels": {"kubernetes.io/metadata.name": "bank"}}),
        json!({"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["b"]}]}),
    ]);
    prop_oneof![
        selectors().prop_map(|pods| json!({"podSelector": pods})),
        namespaces
            .clone()
            .prop_map(|of| json!({"namespaceSelector": of})),
        (namespaces, selectors())
            .prop_map(|(of, pods)| json!({"namespaceSelector": of, "podSelector": pods})),
        select(vec![
            json!({"ipBlock": {"cidr": "10.1.0.0/16"}}),
            json!({"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.2.0.0/16"]}}),
        ]),
    ]
}

fn rules(field: &'static str) -> impl Strategy<Value = Value> {
    let ports = vec![
        json!({"port": 8080}),
        json!({"port": "http"}),
        json!({"port": 9000, "endPort": 9002}),
        json!({"port": 8080, "protocol": "UDP"}),
        json!({"port": 15008}),
    ];
    let peers = proptest::collection::vec(peers(), 0..3);
    (peers, subsequence(ports, 0..3))
        .prop_map(move |(peers, ports)| json!({field: peers, "ports": ports}))
}

/// Policies of both namespaces, with and without `policyTypes`.
fn some() -> impl Strategy<Value = Vec<NetworkPolicy>> {
    let types = select(vec![
        json!([]),
        json!(["Ingress"]),
        json!(["Egress"]),
        json!(["Ingress", "Egress"]),
    ]);
    let inward = proptest::collection::vec(rules("from"), 0..3);
    let outward = proptest::collection::vec(rules("to"), 0..2);
    let spec = (
        select(vec!["shop", "bank"]),
        selectors(),
        types,
        inward,
        outward,
    );
    let one = spec.prop_map(|(home, pods, types, inward, outward)| {
        let spec = json!({
            "podSelector": pods, "policyTypes": types, "ingress": inward, "egress": outward,
        });
        policy(home, &spec)
    });
    proptest::collection::vec(one, 0..4)
}

const PORTS: [Port; 4] = [
    Port::tcp(8080),
    Port::tcp(9001),
    Port::TUNNEL,
    Port {
        protocol: Protocol::Udp,
        number: 8080,
    },
];

proptest! {
    #![proptest_config(cases(48))]

    #[test]
    fn whoever_is_found_differs_and_whoever_differs_is_found(
        some in some(), others in some(), port in select(&PORTS[..]), app in select(&["web", "pay"][..]),
    ) {
        let around = around();
        let (home, own) = (Name::from("shop"), labels(&[("app", app)]));
        let containers = containers();
        let to = Pod {
            namespace: &home,
            namespace_labels: around.namespaces["shop"].as_ref(),
            labels: &own,
            containers: &containers,
        };
        let (policies, after) = (Policies::new(&some), Policies::new(&others));
        let yes = Whom::all([policies.admitted(&to, port), policies.let_out(&to, port)]);
        let no = Whom::all([after.admitted(&to, port), after.let_out(&to, port)]);
        let found = beyond(&yes, &no, &around);
        prop_assert!(found.complete);
        for caller in &found.callers {
            let caller = concrete(caller);
            prop_assert!(connects(&some, &to, port, &caller), "{caller:?}");
            prop_assert!(!connects(&others, &to, port, &caller), "{caller:?}");
        }
        for caller in callers() {
            if connects(&some, &to, port, &caller) && !connects(&others, &to, port, &caller) {
                prop_assert!(!found.callers.is_empty(), "{caller:?}");
            }
        }
    }
}

/// What policies of shop say, a port, and whether pods of shop and of bank may call it.
const LET_IN: [(&[&str], u16, bool, bool); 13] = [
    (&[], 8080, true, true),
    (&[r#"{"ingress":[]}"#], 8080, false, false),
    // Nothing is said of what comes in.
    (&[r#"{"policyTypes":["Egress"]}"#], 8080, false, true),
    (&[r#"{"egress":[{}]}"#], 8080, false, false),
    (
        &[
            "{}",
            r#"{"ingress":[{"from":[{"podSelector":{"matchLabels":{"app":"web"}}}]}]}"#,
        ],
        8080,
        true,
        false,
    ),
    (
        &[r#"{"ingress":[{"from":[{"namespaceSelector":{}}]}]}"#],
        8080,
        true,
        true,
    ),
    (
        &[r#"{"ingress":[{"ports":[{"port":"http"}]}]}"#],
        8080,
        true,
        true,
    ),
    (
        &[r#"{"ingress":[{"ports":[{"port":"http"}]}]}"#],
        9000,
        false,
        false,
    ),
    (
        &[r#"{"ingress":[{"ports":[{"port":"unknown"}]}]}"#],
        9000,
        true,
        true,
    ),
    (
        &[r#"{"ingress":[{"ports":[{"port":"unknown"}]}]}"#],
        15008,
        false,
        false,
    ),
    (
        &[r#"{"ingress":[{"ports":[{"port":9000,"endPort":9002}]}]}"#],
        9002,
        true,
        true,
    ),
    (
        &[r#"{"ingress":[{"ports":[{"port":9000,"endPort":9002}]}]}"#],
        9003,
        false,
        false,
    ),
    (
        &[r#"{"ingress":[{"ports":[{"protocol":"UDP"}]}]}"#],
        8080,
        false,
        false,
    ),
];

#[test]
fn a_pod_is_let_in_by_what_any_policy_admits() {
    let around = around();
    let (shop, bank) = (Name::from("shop"), Name::from("bank"));
    let (pay, web) = (labels(&[("app", "pay")]), labels(&[("app", "web")]));
    let containers = containers();
    let pod = |namespace, labels, containers| Pod {
        namespace,
        namespace_labels: around.namespaces.get(namespace).and_then(Option::as_ref),
        labels,
        containers,
    };
    let to = pod(&shop, &pay, containers.as_slice());
    let (near, far) = (pod(&shop, &web, &[]), pod(&bank, &web, &[]));
    for (specs, port, from_near, from_far) in LET_IN {
        let specs = specs.iter().map(|spec| serde_json::from_str(spec).unwrap());
        let policies: Vec<NetworkPolicy> = specs.map(|spec| policy("shop", &spec)).collect();
        let policies = Policies::new(&policies);
        let connects = |from| policies.connect(from, &to, Port::tcp(port), false);
        assert_eq!(connects(&near), from_near, "{policies:?} {port}");
        assert_eq!(connects(&far), from_far, "{policies:?} {port}");
    }
}

#[test]
fn callers_are_named_by_what_tells_them_apart() {
    let around = around();
    let (shop, pay) = (Name::from("shop"), labels(&[("app", "pay")]));
    let to = Pod {
        namespace: &shop,
        namespace_labels: None,
        labels: &pay,
        containers: &[],
    };
    let narrow = json!({"podSelector": {"matchLabels": {"app": "web"}}});
    for (wide, expected) in [
        (json!({"podSelector": {}}), "a pod (no app) of shop"),
        (
            json!({"namespaceSelector": {"matchLabels": {"team": "c"}}}),
            "a pod of another namespace (team=c)",
        ),
        (
            json!({"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.0/25"]}}),
            "somebody outside of the cluster at 203.0.113.128",
        ),
    ] {
        let of = |peer: &Value| {
            let spec = json!({"podSelector": {}, "ingress": [{"from": [peer.clone()]}]});
            [policy("shop", &spec)]
        };
        let (before, after) = (of(&narrow), of(&wide));
        let (before, after) = (Policies::new(&before), Policies::new(&after));
        let port = Port::tcp(80);
        let (yes, no) = (after.admitted(&to, port), before.admitted(&to, port));
        let found = beyond(&yes, &no, &around);
        let words: Vec<String> = found.callers.iter().map(ToString::to_string).collect();
        assert_eq!(words, [expected]);
    }
}
