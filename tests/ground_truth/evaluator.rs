//! The program's own idea of routing, held against Istio's: for generated meshes, the requests that its tables tell apart are
//! sent to the real Envoy, at a client's sidecar and at the waypoint, and must become what the tables say.

mod generate;
mod judge;
mod translated;

use std::collections::BTreeMap;

use harness::oracle::{Manifests, Oracle, Proxy, Request as Asked};
use kubectl_ambient::kinds::Labels;
use kubectl_ambient::kinds::complete::{HttpRoute, VirtualService};
use kubectl_ambient::semantics::compare::{Limits, Side, witnesses};
use kubectl_ambient::semantics::language::Domain;
use kubectl_ambient::semantics::routing::{
    ByName, Defaults, Host, Request, Routes, Table, Viewpoint,
};
use serde_json::Value;

use super::scene::View;

/// Meshes that are generated.
const MESHES: usize = 300;
/// Requests for each table that it tells apart itself; as many again are generated.
const REQUESTS: usize = 40;

/// What was compared.
#[derive(Default)]
struct Count {
    meshes: usize,
    refused: usize,
    tables: usize,
    requests: usize,
    wrong: Vec<String>,
}

#[test]
#[expect(
    clippy::print_stderr,
    reason = "how much was compared is part of the result"
)]
fn tables_are_those_of_envoy() {
    let mut count = Count::default();
    for (objects, pool) in generate::meshes(MESHES) {
        compare(&objects, &pool, &mut count);
    }
    eprintln!(
        "{} meshes ({} with objects that istiod refuses), {} tables, {} requests: {} wrong",
        count.meshes,
        count.refused,
        count.tables,
        count.requests,
        count.wrong.len()
    );
    assert!(count.wrong.is_empty(), "\n{}\n", count.wrong.join("\n"));
}

/// The proxies that are asked: their names, kinds and namespaces.
const PROXIES: [(&str, View, &str); 3] = [
    ("client", View::Sidecar, "shop"),
    ("other", View::Sidecar, "web"),
    ("waypoint", View::Waypoint, "shop"),
];

fn compare(objects: &[Value], pool: &[Request], count: &mut Count) {
    let yaml: Vec<String> = objects.iter().map(Value::to_string).collect();
    let yaml = yaml.join("\n---\n");
    let mut manifests = Manifests::new(format!("{}---\n{yaml}\n", crate::scene::SHOP));
    for (name, view, namespace) in PROXIES {
        manifests = manifests.proxy(match view {
            View::Sidecar | View::Far => Proxy::sidecar(name, namespace).label("app", "client"),
            View::Waypoint => Proxy::waypoint(name, namespace),
        });
    }
    let translation = match Oracle::shared().translate_what_is_valid(&manifests) {
        Ok(translation) => translation,
        Err(error) => panic!("{error}\n{yaml}"),
    };
    count.meshes += 1;
    if !translation.refused.is_empty() {
        count.refused += 1;
        return;
    }
    for ((name, view, _), table) in PROXIES.into_iter().zip(tables(objects)) {
        let proxy = translation.proxy(name).expect("it was asked for");
        let chain = match view {
            View::Sidecar | View::Far => proxy.outbound(80),
            View::Waypoint => proxy.service("a.shop.svc.cluster.local", 80),
        };
        let mut requests = requests(&table);
        requests.extend_from_slice(pool);
        let asked: Vec<Asked> = requests.iter().map(asked).collect();
        let mut chain = chain.expect("it has routes for the host").clone();
        // Where requests go is compared, not whether it exists.
        chain.missing.clear();
        let outcomes = match Oracle::shared().route(&chain, &asked) {
            Ok(outcomes) => outcomes,
            Err(error) => panic!("{name}: {error}\n{yaml}"),
        };
        count.tables += 1;
        count.requests += requests.len();
        for (request, outcome) in requests.iter().zip(&outcomes) {
            if let Some(ours) = table.route(request, &ByName)
                && let Err(difference) = judge::judge(request, &ours, outcome)
            {
                let wrong =
                    format!("{name}: {request}: {difference}; the table says {ours}\n{yaml}");
                count.wrong.push(wrong);
            }
        }
    }
}

/// What the program makes of the objects, for each of the proxies.
fn tables(objects: &[Value]) -> [Table; 3] {
    let (mut virtual_services, mut routes) = (Vec::new(), Vec::new());
    for object in objects {
        match object["kind"].as_str() {
            Some("VirtualService") => {
                virtual_services.push(VirtualService::from_json(object).expect("it is valid"));
            }
            Some("HTTPRoute") => {
                routes.push(HttpRoute::from_json(object).expect("it is valid"));
            }
            _ => {}
        }
    }
    let mut services: BTreeMap<String, Vec<u16>> = ["a", "b", "c", "d"]
        .map(|name| (format!("{name}.shop.svc.cluster.local"), vec![80]))
        .into();
    services.extend(objects.iter().filter_map(service));
    let defaults = Defaults::default();
    let ours = Routes::new(
        &virtual_services,
        &routes,
        &services,
        "cluster.local",
        defaults,
    );
    let labels = Labels::from_pairs(vec![("app".into(), "client".into())]);
    let host = Host {
        name: "a.shop.svc.cluster.local".to_owned(),
        namespace: "shop".to_owned(),
        port: 80,
        grpc: false,
    };
    PROXIES.map(|(_, view, namespace)| {
        let labels = &labels;
        let mut table = ours.table(
            &match view {
                View::Sidecar | View::Far => Viewpoint::Sidecar { namespace, labels },
                View::Waypoint => Viewpoint::Waypoint { namespace },
            },
            &host,
        );
        // The names with which the requests are sent; without a port, for the locations of redirects.
        table.authorities = vec!["a.shop".to_owned(), "a.shop.svc.cluster.local".to_owned()];
        table
    })
}

/// A Service among the objects: its host and its ports.
fn service(object: &Value) -> Option<(String, Vec<u16>)> {
    if object["kind"] != "Service" {
        return None;
    }
    let text = |field: &str| object["metadata"][field].as_str();
    let host = format!("{}.{}.svc.cluster.local", text("name")?, text("namespace")?);
    let ports = object["spec"]["ports"].as_array()?.iter();
    let ports = ports.filter_map(|port| u16::try_from(port["port"].as_u64()?).ok());
    Some((host, ports.collect()))
}

/// The requests that a table tells apart, each of another class; some of them, if there are many.
fn requests(table: &Table) -> Vec<Request> {
    let side = Side {
        table,
        resolver: &ByName,
    };
    let all = witnesses(side, side, Limits::default());
    let step = all.len().div_ceil(REQUESTS).max(1);
    all.into_iter().step_by(step).collect()
}

fn asked(request: &Request) -> Asked {
    let authority = request.authority.as_deref().unwrap_or("a.shop");
    let mut asked = Asked::new(request.method(), &request.target()).authority(authority);
    for (name, value) in &request.headers {
        asked = asked.header(name, value);
    }
    asked
}

/// The paths that the program takes for possible are those that Envoy leaves as they are before it looks for a route.
#[test]
fn possible_paths_are_those_that_envoy_does_not_change() {
    let manifests = Manifests::new(crate::scene::SHOP)
        .proxy(Proxy::sidecar("client", "shop").label("app", "client"))
        .proxy(Proxy::waypoint("waypoint", "shop"));
    let translation = match Oracle::shared().translate(&manifests) {
        Ok(translation) => translation,
        Err(error) => panic!("{error}"),
    };
    let proxy = |name: &str| translation.proxy(name).expect("it was asked for");
    // A question mark begins the query, which is no part of the path.
    let single = (0x21..0x7f_u8).filter(|byte| *byte != b'?');
    let encoded = (0..=255_u8).map(|byte| format!("/a%{byte:02X}b"));
    let others = [
        "/",
        "//a",
        "/a/../b",
        "/a/.",
        "/.a/..b/...",
        "/a%",
        "/a%zz",
        "/a%2eb",
        "/%2e%2e/x",
    ];
    let paths: Vec<String> = single
        .map(|byte| format!("/a{}b", char::from(byte)))
        .chain(encoded)
        .chain(others.map(String::from))
        .collect();
    let asked: Vec<Asked> = paths
        .iter()
        .map(|path| Asked::get(path).authority("a.shop"))
        .collect();
    for chain in [
        proxy("client").outbound(80),
        proxy("waypoint").service("a.shop.svc.cluster.local", 80),
    ] {
        let outcomes = match Oracle::shared().route(chain.expect("it has routes"), &asked) {
            Ok(outcomes) => outcomes,
            Err(error) => panic!("{error}"),
        };
        for (path, outcome) in paths.iter().zip(outcomes) {
            let unchanged = outcome
                .arrivals
                .first()
                .is_some_and(|arrival| arrival.path == *path);
            assert_eq!(Domain::Path.contains(path), unchanged, "{path}");
        }
    }
}
