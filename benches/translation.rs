//! Measures what `convert` does between reading and writing: 1,000 VirtualServices of 10 rules and 1,000
//! policies, translated and compared, on one core.
//!
//! `cargo bench --bench translation` prints a table; nothing passes or fails by a time. The rules are
//! those that meshes have: string prefixes, exact paths, a regular expression, a header, a method, a
//! rewrite, a subset, weights, and a catch-all behind them; half of the policies read HTTP.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kubectl_ambient::inventory::{Input, Inventory, InventoryBuilder};
use kubectl_ambient::kinds::{Kind, Name};
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::translate::{Options, WRITES, outline, translate};
use serde_json::{Value, json};

/// VirtualServices, and as many Services, Deployments and policies.
const OBJECTS: usize = 1_000;
/// Services in a namespace.
const IN_NAMESPACE: usize = 50;
/// Runs of which the fastest counts.
const RUNS: usize = 5;

fn main() {
    let objects: Vec<(Kind, String)> = (0..OBJECTS).flat_map(objects).collect();
    let namespaces: BTreeSet<Name> = (0..OBJECTS).map(|n| Name::from(home(n))).collect();
    let best = (0..RUNS)
        .map(|_| measure(&objects, &namespaces))
        .min_by_key(|measured| measured.in_all);
    if let Some(best) = best {
        println!(
            "| facts | translation | proof | translated and proven | classes | differ | refused |"
        );
        println!("|---|---|---|---|---|---|---|");
        println!(
            "| {:.1?} | {:.2?} | {:.2?} | {:.2?} | {} | {} | {} |",
            best.facts,
            best.translation,
            best.in_all.saturating_sub(best.translation),
            best.in_all,
            best.classes,
            best.differing,
            best.refused
        );
    }
}

struct Measured {
    facts: Duration,
    translation: Duration,
    /// What `convert` does: a translation, and its proof.
    in_all: Duration,
    classes: usize,
    differing: usize,
    refused: usize,
}

fn measure(objects: &[(Kind, String)], namespaces: &BTreeSet<Name>) -> Measured {
    let inventory = inventory(objects);
    let options = Options::default();
    let mut clock = Instant::now();
    let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed();
    let mesh = Mesh::new(inventory);
    let facts = lap();
    drop(outline(&mesh, namespaces, &options));
    let translation = lap();
    let result = translate(&mesh, namespaces, &options);
    let in_all = lap();
    assert!(result.changes.len() > OBJECTS, "{}", result.changes.len());
    Measured {
        facts,
        translation,
        in_all,
        classes: result.proofs.classes(),
        differing: result.proofs.differing(),
        refused: result
            .treatments
            .iter()
            .filter(|t| t.fidelity().name() == "refused")
            .count(),
    }
}

fn inventory(objects: &[(Kind, String)]) -> Inventory {
    let mut builder = InventoryBuilder::new(Input::Cluster, "").keeping(WRITES);
    for (kind, json) in objects {
        builder.live(*kind, json);
    }
    let inventory = builder.finish();
    assert_eq!(inventory.unread, []);
    inventory
}

fn home(n: usize) -> String {
    format!("team-{}", n / IN_NAMESPACE)
}

fn objects(n: usize) -> Vec<(Kind, String)> {
    let (home, name) = (home(n), format!("app-{n}"));
    let labels = json!({"app": name});
    let mut found = Vec::new();
    let mut add = |kind: Kind, json: Value| found.push((kind, json.to_string()));
    if n.is_multiple_of(IN_NAMESPACE) {
        let labels = json!({"istio-injection": "enabled"});
        add(
            Kind::Namespace,
            json!({"metadata": {"name": home, "labels": labels}}),
        );
    }
    let meta = json!({"name": name, "namespace": home});
    add(
        Kind::Deployment,
        json!({
            "metadata": meta,
            "spec": {"template": {"metadata": {"labels": labels}, "spec": {"serviceAccountName": name}}},
        }),
    );
    add(
        Kind::Service,
        json!({
            "metadata": meta,
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        }),
    );
    add(
        Kind::DestinationRule,
        json!({
            "metadata": meta,
            "spec": {"host": name, "subsets": [{"name": "v2", "labels": {"version": "v2"}}]},
        }),
    );
    add(
        Kind::VirtualService,
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
            "metadata": meta, "spec": {"hosts": [name], "http": rules(&name, n)},
        }),
    );
    add(Kind::AuthorizationPolicy, policy(&home, &name, n));
    found
}

fn rules(name: &str, n: usize) -> Value {
    // A policy that reads paths cannot follow a rewrite of requests that headers tell apart.
    let old = if n % 4 == 1 || n % 4 == 2 {
        json!({"headers": {"request": {"set": {"x-old": "1"}}}})
    } else {
        json!({"rewrite": {"uri": "/new"}})
    };
    let with = |mut rule: Value, more: &Value| {
        rule["headers"] = more["headers"].clone();
        rule["rewrite"] = more["rewrite"].clone();
        rule
    };
    let to = json!([{"destination": {"host": name}}]);
    let next = json!([{"destination": {"host": name, "subset": "v2"}}]);
    json!([
        {"match": [{"uri": {"exact": format!("/health/{n}")}}], "route": to},
        {"match": [{"headers": {"x-tester": {"exact": "true"}}}], "route": next},
        {"match": [{"uri": {"prefix": "/api/v"}}], "route": next, "timeout": "5s"},
        {"match": [{"uri": {"prefix": "/static/"}, "method": {"exact": "GET"}}], "route": to},
        {"match": [{"uri": {"regex": "/users/[0-9]+/orders"}}], "route": next},
        with(json!({"match": [{"uri": {"exact": "/old"}}], "route": to}), &old),
        {"match": [{"uri": {"exact": "/gone"}}], "redirect": {"uri": "/moved"}},
        {"match": [{"queryParams": {"beta": {"exact": "1"}}}], "route": next},
        {"match": [{"uri": {"prefix": "/cart"}}], "route": [
            {"destination": {"host": name}, "weight": 90},
            {"destination": {"host": name, "subset": "v2"}, "weight": 10},
        ]},
        {"route": to, "timeout": "10s"},
    ])
}

/// By turns: identities, methods and paths, a denial by path, a denial by identity.
fn policy(home: &str, name: &str, n: usize) -> Value {
    let caller = format!("cluster.local/ns/{home}/sa/app-{}", n ^ 1);
    let (action, rules) = match n % 4 {
        0 => (
            "ALLOW",
            json!([{"from": [{"source": {"principals": [caller]}}]}]),
        ),
        1 => (
            "ALLOW",
            json!([
                {"from": [{"source": {"principals": [caller]}}],
                 "to": [{"operation": {"methods": ["GET", "POST"], "paths": ["/api/*"]}}]},
                {"to": [{"operation": {"paths": ["/health*"]}}]},
            ]),
        ),
        2 => (
            "DENY",
            json!([{"to": [{"operation": {"paths": ["/admin*"]}}]}]),
        ),
        _ => (
            "DENY",
            json!([{"from": [{"source": {"namespaces": ["untrusted"]}}]}]),
        ),
    };
    json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": name, "namespace": home},
        "spec": {"selector": {"matchLabels": {"app": name}}, "action": action, "rules": rules},
    })
}
