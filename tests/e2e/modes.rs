//! What `status` says while a namespace passes from one mode to the other, done by hand.

use harness::{ControlPlane, Namespace, Result, condition, pods_ready, rolled_out};
use serde_json::{Value, json};

use crate::wealist;

/// Two workloads, one replica each.
const SHOP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: cart, image: cart}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay}
spec:
  selector: {matchLabels: {app: pay}}
  template:
    metadata: {labels: {app: pay}}
    spec: {containers: [{name: pay, image: pay}]}
---
apiVersion: v1
kind: Service
metadata: {name: pay}
spec: {selector: {app: pay}, ports: [{name: http, port: 80}]}
";

#[test]
fn a_namespace_is_seen_in_each_of_its_modes() -> Result {
    // Its sidecars would be callers of what the other tests look at.
    let plane = &ControlPlane::start(&wealist::options())?;
    let shop = plane.namespace("modes", &[("istio-injection", "enabled")])?;
    shop.apply(SHOP)?;
    shop.wait_all("Pod", "", &pods_ready(2, "2/2"))?;
    assert_eq!(seen(plane, &shop)?, ("sidecar".into(), json!(2), json!(0)));

    shop.label(&json!({"istio-injection": null, "istio.io/dataplane-mode": "ambient"}))?;
    let cluster = shop.cluster();
    cluster.restart("Deployment", shop.name(), "cart", "2026-01-01T00:00:00Z")?;
    shop.wait_all("Pod", "app=cart", &pods_ready(1, "1/1"))?;
    shop.wait_all("Pod", "app=cart", &captured())?;
    assert_eq!(seen(plane, &shop)?, ("mixed".into(), json!(1), json!(1)));

    cluster.restart("Deployment", shop.name(), "pay", "2026-01-01T00:00:00Z")?;
    shop.wait_all("Pod", "app=pay", &pods_ready(1, "1/1"))?;
    shop.wait_all("Pod", "app=pay", &captured())?;
    assert_eq!(seen(plane, &shop)?, ("ambient".into(), json!(0), json!(2)));
    Ok(())
}

#[test]
fn a_waypoint_is_seen_and_keeps_the_replicas_it_is_given() -> Result {
    let plane = wealist::shared()?;
    let shop = plane.namespace("bound", &[("istio.io/dataplane-mode", "ambient")])?;
    shop.apply(SHOP)?;
    shop.wait_all("Pod", "", &pods_ready(2, "1/1"))?;
    let name = shop.name();
    plane
        .istioctl(["waypoint", "apply", "-n", name, "--enroll-namespace"])
        .run()?
        .exited(0)?;
    shop.wait(
        "gateways.gateway.networking.k8s.io",
        "waypoint",
        &condition("Programmed", "True"),
    )?;
    let status = status(plane, &shop)?;
    assert_eq!(status["waypoints"], json!([format!("{name}/waypoint")]));

    // istiod applies the Deployment without a count of replicas, so that whoever sets one owns it.
    shop.cluster().scale("Deployment", name, "waypoint", 2)?;
    let waypoint = shop.wait("Deployment", "waypoint", &rolled_out())?;
    assert_eq!(waypoint["spec"]["replicas"], 2);
    let owners: Vec<&str> = waypoint["metadata"]["managedFields"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| entry.pointer("/fieldsV1/f:spec/f:replicas").is_some())
        .filter_map(|entry| entry["manager"].as_str())
        .collect();
    assert!(
        owners.iter().all(|owner| !owner.contains("istio")),
        "{owners:?}"
    );
    Ok(())
}

/// Pods whose traffic goes through ztunnel.
fn captured() -> harness::Condition {
    harness::Condition::that("captured by ztunnel", |pod: &Value| {
        pod.pointer("/metadata/annotations/ambient.istio.io~1redirection")
            == Some(&json!("enabled"))
    })
}

fn status(plane: &ControlPlane, namespace: &Namespace) -> Result<Value> {
    let status = plane.ambient(["status", "-n", namespace.name(), "-o", "json"])?;
    Ok(status.run()?.exited(0)?.json()?["namespaces"][0].clone())
}

/// The mode, and how many pods have a sidecar and how many are ambient.
fn seen(plane: &ControlPlane, namespace: &Namespace) -> Result<(String, Value, Value)> {
    let status = status(plane, namespace)?;
    let mode = status["mode"].as_str().unwrap_or_default().to_owned();
    Ok((mode, status["sidecars"].clone(), status["ambient"].clone()))
}
