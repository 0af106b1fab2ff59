//! Workloads of every kind, moved and taken back: who is rolled out, who keeps a sidecar, who is refused.

use std::sync::{Arc, Mutex};

use harness::fault::{Fault, Moment, When};
use harness::{Condition, Result, pods_ready};
use serde_json::{Value, json};

use crate::invariants;
use crate::journey::{self, Journey, SHOP};

const APPLY: [&str; 4] = ["convert", "--apply", "--guard", "closed"];

/// What stands beside the shop.
const KINDS: &str = r#"
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store, namespace: shop}
spec:
  replicas: 2
  serviceName: store
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec: {containers: [{name: store, image: store}]}
---
apiVersion: v1
kind: Service
metadata: {name: store, namespace: shop}
spec: {clusterIP: None, selector: {app: store}, ports: [{name: tcp, port: 6379}]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: store, namespace: shop}
spec: {minAvailable: 1, selector: {matchLabels: {app: store}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: shop}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: agent, image: agent}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: idle, namespace: shop}
spec:
  replicas: 0
  selector: {matchLabels: {app: idle}}
  template:
    metadata: {labels: {app: idle}}
    spec: {containers: [{name: idle, image: idle}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec:
  schedule: "0 3 29 2 *"
  jobTemplate:
    spec:
      template:
        metadata: {labels: {app: nightly}}
        spec: {restartPolicy: Never, containers: [{name: nightly, image: nightly}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: front, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: front}
  minReplicas: 1
  maxReplicas: 3
"#;

/// What nobody replaces.
const REMAINDER: &str = r"
---
apiVersion: batch/v1
kind: Job
metadata: {name: long, namespace: shop}
spec:
  template:
    metadata:
      labels: {app: long}
      annotations: {kubectl-ambient.test/run-for: 1h}
    spec: {restartPolicy: Never, containers: [{name: long, image: long}]}
---
apiVersion: v1
kind: Pod
metadata: {name: bare, namespace: shop, labels: {app: bare}}
spec: {containers: [{name: bare, image: bare}]}
";

fn shop_with(more: &str) -> Result<Journey<'static>> {
    let plane = journey::plane()?;
    let injected = json!({"istio-injection": "enabled"});
    Journey::of(plane, "shop", &format!("{SHOP}{more}"), &injected)
}

fn says(done: &harness::Done) -> String {
    done.stdout.clone() + &done.stderr
}

/// The READY columns of a workload's pods.
fn pods(journey: &Journey<'_>, app: &str) -> Result<Vec<String>> {
    let pods = journey.namespace().list("Pod")?;
    let of_app = pods.iter().filter(|pod| {
        pod["metadata"]["labels"]["app"] == app && pod["metadata"]["deletionTimestamp"].is_null()
    });
    Ok(of_app.map(harness::ready_column).collect())
}

#[test]
fn every_kind_goes_there_and_back() -> Result {
    let journey = shop_with(KINDS)?;
    // Two of the shop, two of the store, an agent on each of three nodes.
    journey.wait_ready(7, "2/2")?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    let proxy = journey.plane.faults()?;
    // The autoscaler adds a pod before its workload is switched, and one to a workload that was.
    let cluster = journey.plane.cluster().clone();
    let home = journey.name().to_owned();
    let early = Arc::new(Mutex::new(None));
    let (seen, name) = (Arc::clone(&early), home.clone());
    let scale = move || {
        let scaled = cluster.scale("deployments.apps", &name, "pay", 2);
        let two = pods_ready(2, "2/2");
        let pods = scaled.and_then(|()| cluster.wait_all("Pod", &name, "app=pay", &two));
        if let Ok(mut seen) = seen.lock() {
            *seen = Some(pods);
        }
    };
    let enrolled = When::patch("namespaces").name(&home).nth(1);
    proxy.rule(enrolled, Fault::call(Moment::Applied, scale));
    let cluster = journey.plane.cluster().clone();
    let scale = move || drop(cluster.scale("deployments.apps", &home, "front", 2));
    let switched = When::patch("deployments.apps").name("pay").nth(1);
    proxy.rule(switched, Fault::call(Moment::Applied, scale));
    journey.run_through(&proxy, &APPLY)?.exited(0)?;
    // Pods are of the mode that their template has when they come.
    let early = early.lock().ok().and_then(|mut pods| pods.take());
    assert_eq!(early.transpose()?.map(|pods| pods.len()), Some(2));
    journey.wait_ready(9, "1/1")?;
    assert_eq!(pods(&journey, "pay")?, ["1/1"; 2]);
    assert_eq!(pods(&journey, "store")?, ["1/1"; 2]);
    assert_eq!(pods(&journey, "agent")?, ["1/1"; 3]);
    assert_eq!(pods(&journey, "front")?, ["1/1"; 2]);
    // A pod that comes later has no sidecar either.
    journey
        .plane
        .cluster()
        .scale("deployments.apps", journey.name(), "idle", 1)?;
    let one = pods_ready(1, "1/1");
    journey.namespace().wait_all("Pod", "app=idle", &one)?;
    journey.run(&["convert", "--finish"])?.exited(0)?;
    for (workload, replicas) in [("idle", 0), ("front", 1), ("pay", 1)] {
        let cluster = journey.plane.cluster();
        cluster.scale("deployments.apps", journey.name(), workload, replicas)?;
    }
    journey.run(&["rollback"])?.exited(0)?;
    journey.wait_ready(7, "2/2")?;
    journey.is_as(&start, "back")?;
    invariants::hold(&recorder.history()?, journey.shop_needs())
}

#[test]
fn what_nobody_replaces_is_the_remainder() -> Result {
    let journey = shop_with(REMAINDER)?;
    journey.wait_ready(4, "2/2")?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    let done = journey.run(&APPLY)?.exited(0)?;
    for name in ["Job/long", "Pod/bare"] {
        assert!(says(&done).contains(name), "{name}: {done}");
    }
    // They are as they were: nothing was deleted.
    for app in ["long", "bare"] {
        assert_eq!(pods(&journey, app)?, ["2/2"], "{app}");
    }
    assert_eq!(pods(&journey, "pay")?, ["1/1"]);
    // What protects them stays as long as they do.
    let done = journey.run(&["convert", "--finish"])?;
    assert_ne!(done.code(), Some(0), "{done}");
    let policies = journey.namespace().list("AuthorizationPolicy")?;
    assert!(
        policies
            .iter()
            .any(|one| one["metadata"]["name"] == "pay-admin")
    );
    journey.run(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "back")?;
    let history = recorder.history()?;
    invariants::hold(&history, journey.shop_needs())?;

    // When they have gone it can be finished.
    journey.run(&APPLY)?.exited(0)?;
    journey.namespace().delete("Pod", "bare")?;
    journey.namespace().delete("Job", "long")?;
    journey.wait_ready(2, "1/1")?;
    journey.run(&["convert", "--finish"])?.exited(0)?;
    assert!(
        journey
            .namespace()
            .get("AuthorizationPolicy", "pay-admin")?
            .is_none()
    );
    Ok(())
}

#[test]
fn what_a_restart_does_not_roll_is_refused() -> Result {
    let kinds = [
        (
            "StatefulSet",
            "store",
            json!({"type": "OnDelete", "rollingUpdate": null}),
        ),
        (
            "StatefulSet",
            "store",
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}),
        ),
        (
            "DaemonSet",
            "agent",
            json!({"type": "OnDelete", "rollingUpdate": null}),
        ),
    ];
    let journey = shop_with(KINDS)?;
    journey.wait_ready(7, "2/2")?;
    for (kind, name, strategy) in kinds {
        let patch = json!({"spec": {"updateStrategy": strategy}});
        journey.namespace().patch(kind, name, &patch)?;
        is_refused(&journey, &format!("{kind}/{name}"))?;
        let plain =
            json!({"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": null}}});
        journey.namespace().patch(kind, name, &plain)?;
    }
    Ok(())
}

#[test]
fn what_argo_cd_or_flux_owns_is_refused() -> Result {
    let journey = shop_with("")?;
    journey.wait_ready(2, "2/2")?;
    for mark in [
        json!({"labels": {"argocd.argoproj.io/instance": "shop"}}),
        json!({"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}),
    ] {
        journey
            .namespace()
            .patch("Deployment", "pay", &json!({"metadata": mark}))?;
        is_refused(&journey, "Deployment/pay")?;
        journey
            .namespace()
            .patch("Deployment", "pay", &json!({"metadata": {"labels": null}}))?;
    }
    Ok(())
}

/// It says what it is about, and nothing is changed.
#[track_caller]
fn is_refused(journey: &Journey<'_>, object: &str) -> Result {
    let before = journey.snapshot()?;
    let done = journey.run(&APPLY)?.exited(1)?;
    assert!(says(&done).contains(object), "{object}: {done}");
    assert!(done.stderr.contains("nothing was changed"), "{done}");
    journey.is_as(&before, "refused")
}

#[test]
fn a_deferred_workload_keeps_its_sidecar() -> Result {
    let journey = shop_with("")?;
    journey.wait_ready(2, "2/2")?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    let words: Vec<&str> = APPLY.iter().copied().chain(["--defer", "front"]).collect();
    let done = journey.run(&words)?.exited(0)?;
    assert!(says(&done).contains("front"), "{done}");
    assert_eq!(pods(&journey, "front")?, ["2/2"]);
    assert_eq!(pods(&journey, "pay")?, ["1/1"]);
    // The namespace goes on injecting: a new pod of the deferred one has a sidecar, too.
    let cluster = journey.plane.cluster();
    cluster.scale("deployments.apps", journey.name(), "front", 2)?;
    let two = pods_ready(2, "2/2");
    journey.namespace().wait_all("Pod", "app=front", &two)?;
    let done = journey.run(&["convert", "--finish"])?;
    assert_ne!(done.code(), Some(0), "{done}");
    cluster.scale("deployments.apps", journey.name(), "front", 1)?;
    let one = pods_ready(1, "2/2");
    journey.namespace().wait_all("Pod", "app=front", &one)?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "back")?;
    invariants::hold(&recorder.history()?, journey.shop_needs())
}

#[test]
fn it_pauses_after_a_step_and_goes_on() -> Result {
    let journey = shop_with("")?;
    journey.wait_ready(2, "2/2")?;
    let start = journey.snapshot()?;
    for (step, bound, front, pay) in [
        ("waypoint", false, "2/2", "2/2"),
        ("bind", true, "2/2", "2/2"),
        ("switch/front", true, "1/1", "2/2"),
    ] {
        let words: Vec<&str> = APPLY
            .iter()
            .copied()
            .chain(["--pause-after", step])
            .collect();
        journey.run(&words)?.exited(7)?;
        let bound_now = Condition::that("to be bound or not", move |service: &Value| {
            service["metadata"]["labels"]["istio.io/use-waypoint"].is_string() == bound
        });
        journey.namespace().wait("Service", "pay", &bound_now)?;
        assert_eq!(pods(&journey, "front")?, [front], "{step}");
        assert_eq!(pods(&journey, "pay")?, [pay], "{step}");
        // Somebody who does not know of it does not begin another.
        let done = journey.run(&APPLY)?.exited(6)?;
        assert!(done.stderr.contains("is not over"), "{done}");
        if step == "bind" {
            journey.run(&["convert", "--resume"])?.exited(0)?;
            journey.has_pods(2, "1/1")?;
        }
        journey.run(&["rollback"])?.exited(0)?;
        journey.is_as(&start, step)?;
    }
    Ok(())
}

#[test]
fn a_rollback_to_a_step_keeps_what_came_before() -> Result {
    let journey = shop_with("")?;
    journey.wait_ready(2, "2/2")?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    journey.run(&APPLY)?.exited(0)?;
    journey.run(&["rollback", "--to", "bind"])?.exited(0)?;
    journey.has_pods(2, "2/2")?;
    let service = journey.namespace().get("Service", "pay")?;
    let label = &service.unwrap_or_default()["metadata"]["labels"]["istio.io/use-waypoint"];
    assert_eq!(label, "waypoint");
    journey.run(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "all of it")?;
    invariants::hold(&recorder.history()?, journey.shop_needs())
}
