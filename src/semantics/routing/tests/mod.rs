//! Facts about tables that were seen in Istio's own configuration of Envoy.

mod meaning;
mod selection;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::kinds::Labels;
use crate::kinds::complete::{HttpRoute, VirtualService};

/// Objects of a small mesh: Services `reviews` and `other` in `shop`, port 9080.
#[derive(Default)]
struct Mesh {
    virtual_services: Vec<VirtualService>,
    http_routes: Vec<HttpRoute>,
    services: BTreeMap<String, Vec<u16>>,
    labels: Labels,
    defaults: Defaults,
}

impl Mesh {
    fn new() -> Self {
        let services = [
            ("reviews.shop.svc.cluster.local", vec![9080]),
            ("other.shop.svc.cluster.local", vec![9080, 9090]),
            ("third.web.svc.cluster.local", vec![80]),
        ];
        Self {
            services: services
                .map(|(host, ports)| (host.to_owned(), ports))
                .into(),
            ..Self::default()
        }
    }

    fn virtual_service(mut self, age: u32, place: &str, spec: &Value) -> Self {
        let object = VirtualService::from_json(&object(age, place, spec)).unwrap();
        self.virtual_services.push(object);
        self
    }

    fn http_route(mut self, age: u32, place: &str, spec: &Value) -> Self {
        let object = HttpRoute::from_json(&object(age, place, spec)).unwrap();
        self.http_routes.push(object);
        self
    }

    fn table(&self, view: &Viewpoint<'_>) -> Table {
        let routes = Routes::new(
            &self.virtual_services,
            &self.http_routes,
            &self.services,
            "cluster.local",
            self.defaults.clone(),
        );
        routes.table(view, &reviews())
    }

    fn sidecar(&self, namespace: &str) -> Table {
        self.table(&Viewpoint::Sidecar {
            namespace,
            labels: &self.labels,
        })
    }

    fn waypoint(&self, namespace: &str) -> Table {
        self.table(&Viewpoint::Waypoint { namespace })
    }
}

/// An object `namespace/name`, the older the greater its age.
fn object(age: u32, place: &str, spec: &Value) -> Value {
    let (namespace, name) = place.split_once('/').unwrap();
    json!({
        "metadata": {
            "name": name, "namespace": namespace,
            "creationTimestamp": format!("2026-01-{:02}T00:00:00Z", 30 - age),
        },
        "spec": spec,
    })
}

fn reviews() -> Host {
    Host {
        name: "reviews.shop.svc.cluster.local".to_owned(),
        namespace: "shop".to_owned(),
        port: 9080,
        grpc: false,
    }
}

fn to(host: &str) -> Value {
    json!([{"destination": {"host": host}}])
}

/// A VirtualService that answers everything with a status of its own.
fn answering(status: u32) -> Value {
    json!({"hosts": ["reviews.shop.svc.cluster.local"],
           "http": [{"directResponse": {"status": status}}]})
}

/// An HTTPRoute of `reviews` with these rules.
fn route(rules: &Value) -> Value {
    json!({
        "parentRefs": [{"group": "", "kind": "Service", "name": "reviews", "namespace": "shop"}],
        "rules": rules,
    })
}

fn redirecting(status: u32) -> Value {
    route(&json!([{"filters": [
        {"type": "RequestRedirect", "requestRedirect": {"statusCode": status}}]}]))
}

fn get(table: &Table, path: &str) -> String {
    let request = Request {
        path: Some(path.to_owned()),
        ..Request::default()
    };
    let outcome = table.route(&request, &ByName).unwrap().to_string();
    outcome.replace(".svc.cluster.local", "")
}

fn status(table: &Table) -> String {
    get(table, "/").chars().take(3).collect()
}
