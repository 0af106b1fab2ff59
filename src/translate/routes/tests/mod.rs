//! Translations of small meshes.

mod actions;
mod hosts;
mod random;
mod rows;
mod streams;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::inventory::{Input, InventoryBuilder};
use crate::kinds::{Kind, Name};
use crate::mesh::Mesh;
use crate::translate::options::{GatewayApi, Options};
use crate::translate::{Fidelity, Phase, Topic, Translation, translate};

/// A namespace with Services `web` (version Services possible) and `other`, in sidecar mode.
const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: other, namespace: shop}
spec: {selector: {app: other}, ports: [{name: http, port: 80}, {name: http-more, port: 81}]}
---
apiVersion: v1
kind: Service
metadata: {name: away, namespace: far}
spec: {selector: {app: away}, ports: [{name: http, port: 8000}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web, namespace: shop}
spec:
  host: web
  trafficPolicy: {connectionPool: {tcp: {maxConnections: 5}}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}, trafficPolicy: {outlierDetection: {interval: 1s}}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: shop}
spec: {hosts: [api.example.com], ports: [{number: 443, name: https, protocol: TLS}], resolution: DNS}
";

/// A mesh of [`SHOP`] and more documents.
fn mesh(more: &str) -> Mesh {
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("mesh.yaml", format!("{SHOP}---\n{more}"));
    Mesh::new(builder.finish())
}

fn namespaces() -> BTreeSet<Name> {
    BTreeSet::from([Name::from("shop")])
}

/// Options for the newest Gateway API, so that every field is there.
fn options() -> Options {
    Options {
        gateway_api: GatewayApi::parse("1.6-experimental"),
        ..Options::default()
    }
}

fn translated(more: &str, options: &Options) -> Translation {
    translate(&mesh(more), &namespaces(), options)
}

/// A VirtualService `web` for Service `web` with these rules.
fn virtual_service(http: &Value) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"hosts": ["web"], "http": http},
    })
}

fn to(name: &str) -> Value {
    json!([{"destination": {"host": name}}])
}

/// The specs of the HTTPRoutes that are made.
fn routes(translation: &Translation) -> Vec<&Value> {
    let made = translation.of_phase(Phase::Routes).into_iter();
    let made = made.filter(|manifest| manifest.object().kind == Kind::HTTPRoute);
    made.map(|manifest| &manifest.json()["spec"]).collect()
}

/// The remarks about an object by its name, as `topic weight field`.
fn remarks(translation: &Translation, kind: Kind, name: &str) -> Vec<String> {
    let treatments = translation.treatments.iter();
    let mut own = treatments.filter(|t| t.object.kind == kind && &*t.object.name == name);
    let remarks = own.next().map(|t| t.remarks.as_slice()).unwrap_or_default();
    remarks
        .iter()
        .map(|r| format!("{} {:?} {}", r.topic, r.weight, r.field))
        .collect()
}

fn of_web(translation: &Translation) -> Vec<String> {
    remarks(translation, Kind::VirtualService, "web")
}

/// What becomes of VirtualService `web` with one rule, which is given.
fn of_rule(rule: &Value, options: &Options) -> Translation {
    translated(&virtual_service(&json!([rule])).to_string(), options)
}

fn fidelity(translation: &Translation) -> Fidelity {
    let treatments = translation.treatments.iter();
    let mut own = treatments.filter(|t| t.object.kind == Kind::VirtualService);
    own.next()
        .map_or(Fidelity::Exact, crate::translate::Treatment::fidelity)
}

fn accepting(topics: &[Topic]) -> Options {
    Options {
        accepted: topics.iter().copied().collect(),
        ..options()
    }
}

#[test]
fn one_service_one_route() {
    let translation = translated(
        &virtual_service(&json!([
            {"name": "api", "match": [{"uri": {"prefix": "/api/"}}, {"uri": {"exact": "/api"}}],
             "route": to("other"), "timeout": "1.5s"},
            {"route": to("web")},
        ]))
        .to_string(),
        &options(),
    );
    let backend = |name: &str| json!([{"name": name, "port": 80}]);
    assert_eq!(
        routes(&translation),
        [&json!({
            "parentRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80}],
            "rules": [
                {
                    "name": "api",
                    "matches": [{"path": {"type": "PathPrefix", "value": "/api"}}],
                    "backendRefs": backend("other"),
                    "timeouts": {"request": "1s500ms"},
                },
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": backend("web"),
                },
            ],
        })]
    );
    let removed = translation.removed_in(Phase::Retire);
    assert_eq!(removed.len(), 1);
    assert_eq!(removed[0].kind, Kind::VirtualService);
    assert_eq!(fidelity(&translation), Fidelity::Exact);
}
