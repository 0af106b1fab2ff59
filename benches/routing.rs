//! Measures reading, tables and comparison of 1,000 VirtualServices of 10 rules, each held against
//! the HTTPRoute that says the same and against one in which two rules were swapped.
//!
//! `cargo bench --bench routing` prints a table; nothing passes or fails by a time. The rules are
//! those that meshes have: string prefixes, exact paths, a regular expression, a header, a method,
//! a rewrite, and a catch-all behind them.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kubectl_ambient::kinds::Labels;
use kubectl_ambient::kinds::complete::{HttpRoute, VirtualService};
use kubectl_ambient::semantics::compare::{How, Limits, Side, compare};
use kubectl_ambient::semantics::routing::{ByName, Defaults, Host, Routes, Viewpoint};
use serde_json::{Value, json};

/// VirtualServices, each with [`RULES`] rules.
const OBJECTS: usize = 1_000;
const RULES: usize = 10;
/// Runs of which the fastest counts.
const RUNS: usize = 5;

fn main() {
    println!("| against | read | tables | comparison | in all | classes | differ |");
    println!("|---|---|---|---|---|---|---|");
    for (name, swapped) in [("the same", false), ("two rules swapped", true)] {
        let texts: Vec<(String, String)> = (0..OBJECTS)
            .map(|n| {
                let (before, after) = pair(n, swapped);
                (before.to_string(), after.to_string())
            })
            .collect();
        let best = (0..RUNS)
            .map(|_| measure(&texts))
            .min_by_key(Measured::in_all);
        if let Some(best) = best {
            println!(
                "| {name} | {:.0?} | {:.0?} | {:.0?} | {:.0?} | {} | {} |",
                best.read,
                best.tables,
                best.comparison,
                best.in_all(),
                best.classes,
                best.differing
            );
        }
    }
}

struct Measured {
    read: Duration,
    tables: Duration,
    comparison: Duration,
    classes: usize,
    differing: usize,
}

impl Measured {
    fn in_all(&self) -> Duration {
        self.read + self.tables + self.comparison
    }
}

fn measure(texts: &[(String, String)]) -> Measured {
    let mut clock = Instant::now();
    let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed();
    let parse = |text: &str| -> Value { serde_json::from_str(text).unwrap_or_default() };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for (virtual_service, route) in texts {
        before.extend(VirtualService::from_json(&parse(virtual_service)));
        after.extend(HttpRoute::from_json(&parse(route)));
    }
    assert_eq!((before.len(), after.len()), (OBJECTS, OBJECTS));
    let read = lap();

    let services: BTreeMap<String, Vec<u16>> = (0..OBJECTS)
        .flat_map(|n| [name(n), format!("{}-v2", name(n))])
        .map(|name| (format!("{name}.shop.svc.cluster.local"), vec![80]))
        .collect();
    let defaults = Defaults::default;
    let before = Routes::new(&before, [], &services, "cluster.local", defaults());
    let after = Routes::new([], &after, &services, "cluster.local", defaults());
    let labels = Labels::default();
    let sidecar = Viewpoint::Sidecar {
        namespace: "shop",
        labels: &labels,
    };
    let waypoint = Viewpoint::Waypoint { namespace: "shop" };
    let tables: Vec<_> = (0..OBJECTS)
        .map(|n| {
            let host = Host {
                name: format!("{}.shop.svc.cluster.local", name(n)),
                namespace: "shop".to_owned(),
                port: 80,
                grpc: false,
            };
            (before.table(&sidecar, &host), after.table(&waypoint, &host))
        })
        .collect();
    let made = lap();

    let (mut classes, mut differing) = (0, 0);
    for (before, after) in &tables {
        let side = |table| Side {
            table,
            resolver: &ByName,
        };
        let found = compare(side(before), side(after), Limits::default());
        assert_eq!(found.how, How::Complete);
        classes += found.classes;
        differing += found.differing;
    }
    Measured {
        read,
        tables: made,
        comparison: lap(),
        classes,
        differing,
    }
}

fn name(n: usize) -> String {
    format!("service-{n}")
}

/// A VirtualService, and the HTTPRoute of the same rules.
fn pair(n: usize, swapped: bool) -> (Value, Value) {
    let mut rules: Vec<(Value, Value)> = (0..RULES).map(|rule| rule_of(n, rule)).collect();
    let http: Vec<Value> = rules.iter().map(|(rule, _)| rule.clone()).collect();
    if swapped {
        rules.swap(2, 7);
    }
    let metadata = json!({"name": name(n), "namespace": "shop"});
    let routes: Vec<Value> = rules.into_iter().map(|(_, rule)| rule).collect();
    (
        json!({"metadata": metadata, "spec": {"hosts": [name(n)], "http": http}}),
        json!({"metadata": metadata, "spec": {
            "parentRefs": [{"group": "", "kind": "Service", "name": name(n)}], "rules": routes}}),
    )
}

/// A rule in both forms. Expressions get shorter with each rule, so that the route keeps the order.
fn rule_of(n: usize, rule: usize) -> (Value, Value) {
    let to = format!(
        "{}{}",
        name(n),
        if rule.is_multiple_of(2) { "" } else { "-v2" }
    );
    let path = format!("/area-{n}/part-{}", rule % 7);
    let length = 200 - 10 * rule;
    let (uri, headers) = match rule {
        9 => (None, None),
        3 => (Some(json!({"regex": format!("{path}/[0-9]+(/.*)?")})), None),
        2 | 7 => (Some(json!({"prefix": path})), Some("tester")),
        _ => (Some(json!({"prefix": path})), None),
    };
    let expression = match &uri {
        Some(uri) => match (uri.get("regex"), uri.get("prefix")) {
            (Some(regex), _) => regex.as_str().unwrap_or_default().to_owned(),
            (_, prefix) => format!("{}.*", prefix.and_then(Value::as_str).unwrap_or_default()),
        },
        None => ".*".to_owned(),
    };
    // Groups around an expression change its length and nothing else.
    let around = length.saturating_sub(expression.len()) / 4;
    let expression = format!("{}{expression}{}", "(?:".repeat(around), ")".repeat(around));
    let mut one = serde_json::Map::new();
    let mut other = json!({"path": {"type": "RegularExpression", "value": expression}});
    if let Some(uri) = uri {
        one.insert("uri".to_owned(), uri);
    }
    if let Some(value) = headers {
        one.insert("headers".to_owned(), json!({"x-user": {"exact": value}}));
        other["headers"] = json!([{"name": "x-user", "value": value}]);
    }
    if rule == 4 {
        one.insert("method".to_owned(), json!({"exact": "POST"}));
        other["method"] = json!("POST");
    }
    (
        json!({"match": [one], "route": [{"destination": {"host": to}}]}),
        json!({"matches": [other], "backendRefs": [{"name": to, "port": 80}]}),
    )
}
