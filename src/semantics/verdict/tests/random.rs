//! Random policies: verdicts against the literal reading, and comparisons against random calls.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::mesh::installation::Authorizer;
use crate::semantics::compare::How;
use crate::soak::cases;

const WHO: &[&str] = &[
    "-",
    "web/cart",
    "web/x",
    "ops/cart",
    "shop/cart",
    "shop/evil",
    "wea/sa",
];
const PATHS: &[&str] = &[
    "/",
    "/a",
    "/a/",
    "/ab",
    "/a/x/b",
    "/api/v1",
    "/x.js",
    "/a/b/c.js",
];
const METHODS: &[&str] = &["GET", "POST", "PUT"];
const HOSTS: &[&str] = &["a.shop", "A.SHOP", "b.shop:80", "x"];
const IPS: &[&str] = &["10.1.2.3", "10.1.9.9", "10.2.0.1", "192.0.2.1"];
const TOKENS: &[&str] = &[
    "",
    "token=i sub=u",
    "token=i sub=v groups=ops",
    "token=j sub=u groups=ops groups=dev",
    "token=k sub=u",
    "bad=i",
];

fn any_call() -> impl Strategy<Value = String> {
    let words = (
        select(WHO),
        select(METHODS),
        select(PATHS),
        select(HOSTS),
        select(IPS),
        select(TOKENS),
        select(&["", "x-env:a", "x-env:bc", "x-env:"][..]),
        select(&["", "port=80", "tcp", "tcp bytes"][..]),
    );
    words.prop_map(|(who, method, path, host, ip, token, header, port)| {
        let words = [
            who,
            method,
            path,
            &format!("host={host}"),
            &format!("ip={ip}"),
            token,
            header,
            port,
        ];
        let words = words.iter().copied().filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(" ")
    })
}

/// A field with one or two values.
fn field(
    fields: &'static [(&'static str, &'static [&'static str])],
) -> impl Strategy<Value = String> {
    select(fields).prop_flat_map(|(name, values)| {
        (
            any::<bool>(),
            proptest::collection::vec(select(values), 1..3),
        )
            .prop_map(move |(not, values)| {
                let values: Vec<String> = values.iter().map(|v| format!("'{v}'")).collect();
                let name = if not {
                    format!("not{}{}", name[..1].to_uppercase(), &name[1..])
                } else {
                    name.to_owned()
                };
                format!("{name}: [{}]", values.join(", "))
            })
    })
}

const SOURCE: &[(&str, &[&str])] = &[
    (
        "principals",
        &[
            "*",
            "cluster.local/ns/web/sa/cart",
            "cluster.local/ns/web/*",
            "*/sa/cart",
        ],
    ),
    ("namespaces", &["web", "shop", "we*", "*a", "*"]),
    ("serviceAccounts", &["cart", "web/cart", "ops/cart"]),
    (
        "trustDomains",
        &["cluster.local", "*", "other", "clu*", "*.local"],
    ),
    (
        "ipBlocks",
        &["10.1.0.0/16", "10.1.2.0/24", "10.0.0.0/8", "192.0.2.1"],
    ),
    ("remoteIpBlocks", &["10.1.0.0/16", "10.1.2.3"]),
    ("requestPrincipals", &["*", "i/u", "i/*", "*/u", "j/u"]),
];

const OPERATION: &[(&str, &[&str])] = &[
    ("ports", &["8080", "80", "9090"]),
    ("methods", &["GET", "POST", "P*", "*"]),
    ("paths", &["/a", "/a*", "*.js", "/a/{*}/b", "/a/{**}", "*"]),
    ("hosts", &["a.shop", "*.SHOP", "b*", "*"]),
];

const WHEN: &[(&str, &[&str])] = &[
    ("source.namespace", &["web", "*a"]),
    ("source.ip", &["10.1.0.0/16"]),
    ("destination.port", &["8080", "80"]),
    ("request.headers[X-Env]", &["a", "b*", "*"]),
    ("request.auth.claims[groups]", &["ops", "d*", "*"]),
];

/// Fields of one clause; of one name only the last counts.
fn clause(of: &'static [(&'static str, &'static [&'static str])]) -> impl Strategy<Value = String> {
    proptest::collection::vec(field(of), 1..4).prop_map(|fields| {
        let mut by_name = BTreeMap::new();
        for field in fields {
            let name = field.split(':').next().unwrap().to_owned();
            by_name.insert(name, field);
        }
        by_name.into_values().collect::<Vec<_>>().join(", ")
    })
}

fn rule() -> impl Strategy<Value = String> {
    let sources = proptest::collection::vec(clause(SOURCE), 0..3);
    let operations = proptest::collection::vec(clause(OPERATION), 0..3);
    let condition = (select(WHEN), any::<bool>()).prop_flat_map(|((key, values), not)| {
        proptest::collection::vec(select(values), 1..3).prop_map(move |values| {
            let name = if not { "notValues" } else { "values" };
            let values: Vec<String> = values.iter().map(|v| format!("'{v}'")).collect();
            format!("{{key: '{key}', {name}: [{}]}}", values.join(", "))
        })
    });
    let conditions = proptest::collection::vec(condition, 0..2);
    (sources, operations, conditions).prop_map(|(from, to, when)| {
        let list = |name: &str, inner: &str, clauses: &[String]| {
            let clauses: Vec<String> = clauses
                .iter()
                .map(|c| format!("{{{inner}: {{{c}}}}}"))
                .collect();
            match clauses.len() {
                0 => None,
                _ => Some(format!("{name}: [{}]", clauses.join(", "))),
            }
        };
        let when = (!when.is_empty()).then(|| format!("when: [{}]", when.join(", ")));
        let parts = [
            list("from", "source", &from),
            list("to", "operation", &to),
            when,
        ];
        format!(
            "{{{}}}",
            parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
        )
    })
}

/// Policies of namespace shop without selectors, one a line, as [`World::of`] reads them.
pub(crate) fn policies() -> impl Strategy<Value = Vec<String>> {
    let action = select(&["ALLOW", "ALLOW", "DENY", "DENY", "CUSTOM"][..]);
    let policy = (action, proptest::collection::vec(rule(), 0..3)).prop_map(|(action, rules)| {
        let rules = rules.join(", ");
        let provider = if action == "CUSTOM" {
            "provider: {name: ext}, "
        } else {
            ""
        };
        (action, format!("{{{provider}rules: [{rules}]}}"))
    });
    let tokens = prop_oneof![Just(false), Just(true)];
    (proptest::collection::vec(policy, 0..4), tokens).prop_map(|(policies, tokens)| {
        let list = policies.into_iter().enumerate();
        let mut lines: Vec<String> = list
            .map(|(position, (action, spec))| format!("{action} shop/p{position} {spec}"))
            .collect();
        if tokens {
            lines.push("RA shop/r {jwtRules: [{issuer: i}, {issuer: j}]}".to_owned());
        }
        lines
    })
}

fn world(lines: &[String]) -> World {
    let mut world = World::of(&lines.join("\n"));
    world.settings.providers = Some(BTreeMap::from([("ext".to_owned(), Authorizer::Grpc)]));
    world
}

const PORTS: &[Port] = &[
    PORT,
    Port {
        service: Some(80),
        pod: 80,
        protocol: Protocol::Http,
    },
    Port {
        service: Some(80),
        pod: 8080,
        protocol: Protocol::Tcp,
    },
];

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn verdicts_are_those_of_a_literal_reading(lines in policies(), calls in proptest::collection::vec(any_call(), 40)) {
        let world = world(&lines);
        let policies = world.policies();
        let sidecar = direct(Point::Sidecar(world.pod()), &policies);
        let ztunnel = direct(Point::Ztunnel(world.pod()), &policies);
        for text in calls {
            let call = call(&text);
            let found = word(&judge(&sidecar, &call));
            prop_assert_eq!(found, literal::at_sidecar(&world, &call), "{} at the sidecar", text);
            let found = word(&judge(&ztunnel, &call));
            prop_assert_eq!(found, literal::at_ztunnel(&world, &call), "{} at ztunnel", text);
        }
    }

    #[test]
    fn a_comparison_that_finds_nothing_is_right(
        lines in policies(), other in policies(), swap in 0..3_u8, calls in proptest::collection::vec(any_call(), 60),
    ) {
        let one = world(&lines);
        // Half of one and half of the other, so that they often agree.
        let mut mixed: Vec<String> = lines.clone();
        match swap {
            0 => mixed = other,
            1 => { mixed.reverse(); }
            _ => if let Some(line) = other.into_iter().next() { mixed.push(line.replace("p0", "q")) },
        }
        let two = world(&mixed);
        let (p, q) = (one.policies(), two.policies());
        let before = direct(Point::Sidecar(one.pod()), &p);
        for point in [Point::Sidecar(two.pod()), Point::Ztunnel(two.pod())] {
            let after = direct(point, &q);
            let found = compare(&before, &after, Scope { ports: PORTS, not_by: &[] }, Bounds::default());
            prop_assert!(found.undecided.is_empty());
            for difference in &found.differences {
                let [b, a] = [&before, &after].map(|s| judge(s, &difference.call));
                prop_assert_eq!(&b, &difference.before);
                prop_assert_eq!(&a, &difference.after);
                prop_assert!(!b.agrees(&a), "{}", difference.call);
            }
            for text in &calls {
                let call = call(text);
                if call.port.protocol == Protocol::Http && call.payload == Payload::Bytes { continue }
                let [b, a] = [&before, &after].map(|s| judge(s, &call));
                if !b.agrees(&a) {
                    prop_assert!(found.differing > 0, "{} differs: {} and {}", text, b, a);
                }
            }
            prop_assert_eq!(&found.how, &How::Complete);
        }
    }
}
