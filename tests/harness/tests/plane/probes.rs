//! What a whole control plane does, each as a question that a lesser one fails.

use std::time::Duration;

use harness::{Condition, ControlPlane, Error, Namespace, Result, condition, ready_column};
use serde_json::Value;

/// Long enough for what works, short enough for what does not.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) type Probe = fn(&ControlPlane) -> Result;

/// All of them by name.
pub(crate) const PROBES: [(&str, Probe); 7] = [
    ("injects native sidecars", injects_native_sidecars),
    ("injects classic sidecars", injects_classic_sidecars),
    ("programs waypoints", programs_waypoints),
    ("writes conditions of policies", writes_conditions),
    ("marks ambient pods", marks_ambient_pods),
    ("refuses broken objects", refuses_broken_objects),
    ("finds plugins", finds_plugins),
];

/// A Deployment `cart` with one pod whose template has these annotations.
fn cart(annotations: &str) -> String {
    format!(
        "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: cart}}
spec:
  selector: {{matchLabels: {{app: cart}}}}
  template:
    metadata: {{labels: {{app: cart}}, annotations: {{{annotations}}}}}
    spec: {{containers: [{{name: cart, image: example.com/cart:1}}]}}
"
    )
}

/// The one pod of `cart` when all of its containers are ready, however many those are.
fn running_cart(namespace: &Namespace, annotations: &str) -> Result<Value> {
    namespace.apply(&cart(annotations))?;
    let running = Condition::over("to be one and ready", |pods| match pods {
        [pod] if pod["status"]["phase"] == "Running" => {
            let column = ready_column(pod);
            let (ready, all) = column.split_once('/').unwrap_or_default();
            if ready == all { Ok(()) } else { Err(column) }
        }
        pods => Err(format!("{} pods", pods.len())),
    });
    let pods = namespace.wait_all("Pod", "app=cart", &running)?;
    Ok(pods[0].clone())
}

fn injects_native_sidecars(plane: &ControlPlane) -> Result {
    let shop = plane.namespace("native", &[("istio-injection", "enabled")])?;
    let pod = running_cart(&shop, "")?;
    expect("READY", ready_column(&pod).as_str(), "2/2")?;
    let sidecar = pod
        .pointer("/spec/initContainers")
        .and_then(Value::as_array);
    let sidecar = sidecar
        .into_iter()
        .flatten()
        .any(|container| container["name"] == "istio-proxy");
    expect("a native sidecar", sidecar, true)
}

fn injects_classic_sidecars(plane: &ControlPlane) -> Result {
    let shop = plane.namespace("classic", &[("istio-injection", "enabled")])?;
    let pod = running_cart(&shop, "sidecar.istio.io/nativeSidecar: 'false'")?;
    expect("READY", ready_column(&pod).as_str(), "2/2")?;
    let containers = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    expect("containers", containers, 2)
}

fn programs_waypoints(plane: &ControlPlane) -> Result {
    let shop = plane.namespace("waypoint", &[("istio.io/dataplane-mode", "ambient")])?;
    waypoint(plane, &shop)
}

/// A waypoint, applied as people do, and Programmed.
fn waypoint(plane: &ControlPlane, namespace: &Namespace) -> Result {
    let apply = [
        "waypoint",
        "apply",
        "--enroll-namespace",
        "--overwrite",
        "-n",
        namespace.name(),
    ];
    plane.istioctl(apply).run()?.exited(0)?;
    let gateway = "Gateway.gateway.networking.k8s.io";
    let cluster = namespace.cluster();
    let programmed = condition("Programmed", "True");
    cluster.wait_within(PATIENCE, gateway, namespace.name(), "waypoint", &programmed)?;
    Ok(())
}

fn writes_conditions(plane: &ControlPlane) -> Result {
    let shop = plane.namespace("policy", &[("istio.io/dataplane-mode", "ambient")])?;
    // Its waypoint need not run for it to be accepted.
    shop.apply(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, labels: {istio.io/waypoint-for: service}}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}]
  rules: [{to: [{operation: {methods: [GET]}}]}]
",
    )?;
    let accepted = condition("WaypointAccepted", "True");
    let kind = "AuthorizationPolicy";
    let cluster = shop.cluster();
    cluster.wait_within(PATIENCE, kind, shop.name(), "readers", &accepted)?;
    Ok(())
}

fn marks_ambient_pods(plane: &ControlPlane) -> Result {
    let shop = plane.namespace("ambient", &[("istio.io/dataplane-mode", "ambient")])?;
    let pod = running_cart(&shop, "")?;
    expect("READY", ready_column(&pod).as_str(), "1/1")?;
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let marked = Condition::of("to be marked as redirected", |pod| {
        match &pod["metadata"]["annotations"]["ambient.istio.io/redirection"] {
            Value::String(mark) if mark == "enabled" => Ok(()),
            other => Err(format!("the annotation is {other}")),
        }
    });
    let cluster = shop.cluster();
    cluster.wait_within(PATIENCE, "Pod", shop.name(), name, &marked)?;
    Ok(())
}

fn refuses_broken_objects(plane: &ControlPlane) -> Result {
    let shop = plane.namespace("broken", &[])?;
    let applied = shop.apply(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: broken}
spec:
  hosts: [cart]
  http: [{route: [{destination: {host: cart}, weight: -1}]}]
",
    );
    match applied {
        Err(error) if error.to_string().contains("weight -1 < 0") => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(Error::new("a VirtualService with a weight of -1 was taken")),
    }
}

fn finds_plugins(plane: &ControlPlane) -> Result {
    let done = plane
        .kubectl(["ambient", "check", "-n", "shop"])
        .run()?
        .exited(3)?;
    expect(
        "output",
        done.stdout.as_str(),
        "called with check -n shop\n",
    )
}

fn expect<T: PartialEq + std::fmt::Debug + Copy>(what: &str, is: T, expected: T) -> Result {
    if is == expected {
        return Ok(());
    }
    Err(Error::new(format!("{what}: {is:?}, expected {expected:?}")))
}
