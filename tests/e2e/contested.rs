//! Runs that somebody or something crosses: another run, a colleague, a signal, pods that never become
//! ready.

use std::time::Duration;

use harness::fault::{At, Fault, FaultProxy, Moment, When};
use harness::{Cluster, Condition, Output, Result, Signal, exists};
use serde_json::{Value, json};

use crate::invariants;
use crate::journey::{self, Journey, LEASES, same};

const APPLY: [&str; 4] = ["convert", "--apply", "--guard", "closed"];

/// The label that enrols the namespace: half of the way.
fn enrols(journey: &Journey<'_>) -> When {
    When::patch("namespaces").name(journey.name()).nth(1)
}

#[test]
fn of_two_runs_at_once_one_goes_on() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    let proxy = plane.faults()?;
    let slow = proxy.rule(enrols(&journey), Fault::delay(Duration::from_secs(5)));
    let words: Vec<&str> = APPLY.iter().copied().chain(["--yes"]).collect();
    let first = journey.command(&words)?.through(&proxy).start()?;
    proxy.wait_for(&When::patch("services").name("pay"), 1)?;
    let lease = journey
        .namespace()
        .wait(LEASES, "kubectl-ambient", &exists())?;
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    for second in [&["rollback"][..], &["convert", "--resume"]] {
        let done = journey.run(second)?.exited(1)?;
        let says = format!("is locked by {holder}");
        assert!(done.stderr.contains(&says), "{says}: {done}");
    }
    let done = journey.run(&APPLY)?;
    assert!(matches!(done.code(), Some(1 | 6)), "{done}");
    first.finish()?.exited(0)?;
    assert_eq!(slow.done(), 1);
    journey.has_pods(2, "1/1")?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "back")?;
    invariants::hold(&recorder.history()?, journey.shop_needs())
}

#[test]
fn a_signal_stops_it_where_it_can_go_on() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    for (signal, code) in [(Signal::Interrupt, 130), (Signal::Terminate, 143)] {
        let proxy = plane.faults()?;
        let rule = proxy.rule(enrols(&journey), Fault::signal(signal, Moment::Applied));
        journey.run_through(&proxy, &APPLY)?.exited(code)?;
        assert_eq!(rule.done(), 1);
        // The lock is given back at once.
        assert_eq!(journey.namespace().get(LEASES, "kubectl-ambient")?, None);
        journey.has_pods(2, "2/2")?;
        if signal == Signal::Interrupt {
            journey.run(&["convert", "--resume"])?.exited(0)?;
            journey.has_pods(2, "1/1")?;
        }
        journey.run(&["rollback"])?.exited(0)?;
        journey.is_as(&start, "back")?;
    }
    invariants::hold(&recorder.history()?, journey.shop_needs())
}

#[test]
fn a_second_signal_ends_it_at_once() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let proxy = plane.faults()?;
    proxy.rule(enrols(&journey), Fault::stall(At::Answer));
    let words: Vec<&str> = APPLY.iter().copied().chain(["--yes"]).collect();
    let run = journey.command(&words)?.through(&proxy).start()?;
    proxy.wait_for(&enrols(&journey), 1)?;
    run.signal(Signal::Interrupt);
    run.wait_for_line(Output::Stderr, |line| line.contains("asked once more"))?;
    run.signal(Signal::Interrupt);
    let done = run.finish()?.exited(130)?;
    assert!(done.stderr.contains("its journal tells"), "{done}");
    for command in ["convert -n", "--resume", "rollback -n"] {
        assert!(done.stderr.contains(command), "{command}: {done}");
    }
    journey.run_when_free(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "back")
}

#[test]
fn a_waypoint_that_others_are_bound_to_is_kept() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    journey.run(&APPLY)?.exited(0)?;
    let bank = plane.namespace("bank", &[])?;
    let bound = json!({
        "istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": journey.name(),
    });
    bank.label(&bound)?;
    let done = journey.run(&["rollback", "--dry-run"])?.exited(0)?;
    let kept = format!("is kept: it is used by Namespace/{};", bank.name());
    assert!(done.stderr.contains(&kept), "{done}");
    let done = journey.run(&["rollback"])?.exited(0)?;
    let says = done.stdout.clone() + &done.stderr;
    assert!(
        says.contains(&format!("Namespace/{}", bank.name())),
        "{done}"
    );
    assert!(says.contains("waypoint delete waypoint"), "{done}");
    journey.has_pods(2, "2/2")?;
    let gateways = "gateways.gateway.networking.k8s.io";
    assert!(journey.namespace().get(gateways, "waypoint")?.is_some());
    // All else is back.
    let mut now = journey.snapshot()?;
    now.retain(|name, _| start.contains_key(name));
    same(&start, &now, "back, but for the waypoint")?;
    // It is taken up again, and goes when nobody is bound to it any more.
    let again = ["rollback", "--overwrite-drift"];
    let done = journey.run(&again)?.exited(0)?;
    assert!(done.stdout.contains(bank.name()), "{done}");
    bank.label(&json!({"istio.io/use-waypoint": null, "istio.io/use-waypoint-namespace": null}))?;
    journey.run(&again)?.exited(0)?;
    journey.is_as(&start, "back")
}

/// Has a colleague edit something when the namespace is enrolled.
fn colleague(
    proxy: &FaultProxy,
    journey: &Journey<'_>,
    kind: &'static str,
    name: &'static str,
    patch: Value,
) {
    let cluster: Cluster = journey.plane.cluster().clone();
    let home = journey.name().to_owned();
    let edit = move || {
        drop(cluster.patch(kind, &home, name, &patch));
    };
    proxy.rule(enrols(journey), Fault::call(Moment::Applied, edit));
}

#[test]
fn what_a_colleague_edits_in_the_middle_is_named_and_kept() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    let proxy = plane.faults()?;
    let timeout = json!({"spec": {"http": [
        {"timeout": "7s", "route": [{"destination": {"host": "pay", "port": {"number": 80}}}]},
    ]}});
    colleague(&proxy, &journey, "VirtualService", "pay", timeout);
    let done = journey.run_through(&proxy, &APPLY)?.exited(7)?;
    let says = done.stdout.clone() + &done.stderr;
    assert!(says.contains("VirtualService/pay"), "{done}");
    assert!(says.contains("spec.http"), "{done}");
    let route = journey.namespace().get("VirtualService", "pay")?;
    let route = route.unwrap_or_default();
    assert_eq!(route["spec"]["http"][0]["timeout"], "7s");
    // Going on does not make it go away.
    journey.run(&["convert", "--resume"])?.exited(7)?;
    journey.run(&["rollback"])?.exited(0)?;
    let mut expected = start;
    let kept = journey.snapshot()?;
    let key = "virtualservices.networking.istio.io/pay";
    expected.insert(key.to_owned(), kept[key].clone());
    assert_eq!(kept[key]["spec"]["http"][0]["timeout"], "7s");
    same(&expected, &kept, "back, with what the colleague wrote")?;
    invariants::hold(&recorder.history()?, journey.shop_needs())
}

#[test]
fn drift_is_kept_by_a_rollback_unless_told() -> Result {
    let plane = journey::plane()?;
    let policies = "authorizationpolicies.security.istio.io";
    for overwrite in [false, true] {
        let journey = Journey::shop(plane)?;
        let start = journey.snapshot()?;
        journey.run(&APPLY)?.exited(0)?;
        // One that the run changed, and one that it made.
        let ours =
            json!({"spec": {"selector": {"matchLabels": {"security.istio.io/tlsMode": "mine"}}}});
        journey.namespace().patch(policies, "pay-callers", &ours)?;
        let more = json!({"spec": {"rules": [{"to": [{"operation": {"paths": ["/mine"]}}]}]}});
        journey.namespace().patch(policies, "pay-admin-wp", &more)?;
        let flag = overwrite.then_some("--overwrite-drift");
        let words: Vec<&str> = ["rollback"].into_iter().chain(flag).collect();
        let done = journey.run(&words)?;
        let now = journey.snapshot()?;
        if overwrite {
            done.exited(0)?;
            same(&start, &now, "overwritten")?;
            continue;
        }
        let says = done.stdout.clone() + &done.stderr;
        let mut expected = start.clone();
        for name in ["pay-callers", "pay-admin-wp"] {
            assert!(
                says.contains(&format!("AuthorizationPolicy/{name}")),
                "{done}"
            );
            let key = format!("{policies}/{name}");
            assert!(now.contains_key(&key), "{name}: {done}");
            expected.insert(key.clone(), now[&key].clone());
        }
        assert!(says.contains("tlsMode"), "{done}");
        let callers = &now[&format!("{policies}/pay-callers")];
        let label = &callers["spec"]["selector"]["matchLabels"]["security.istio.io/tlsMode"];
        assert_eq!(label, "mine");
        same(&expected, &now, "kept")?;
        // What was left is taken up when it is to be overwritten after all.
        journey.run(&["rollback", "--overwrite-drift"])?.exited(0)?;
        journey.is_as(&start, "overwritten later")?;
    }
    Ok(())
}

/// Has somebody apply an object when the namespace is enrolled.
fn comes(proxy: &FaultProxy, journey: &Journey<'_>, object: &Value) {
    let cluster: Cluster = journey.plane.cluster().clone();
    let text = object.to_string();
    let apply = move || drop(cluster.apply(&text));
    proxy.rule(enrols(journey), Fault::call(Moment::Applied, apply));
}

/// What makes another plan when it comes in the middle.
fn late(namespace: &str) -> [Value; 4] {
    let meta = json!({"name": "late", "namespace": namespace});
    [
        json!({
            "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": meta,
            "spec": {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/late"]}}]}]},
        }),
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta,
            "spec": {"host": "pay", "trafficPolicy": {"tls": {"mode": "ISTIO_MUTUAL"}}},
        }),
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": meta,
            "spec": {
                "parentRefs": [{"group": "", "kind": "Service", "name": "pay", "port": 80}],
                "rules": [{"backendRefs": [{"name": "pay", "port": 80}]}],
            },
        }),
        json!({
            "apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": meta,
            "spec": {
                "workloadSelector": {"labels": {"app": "pay"}},
                "configPatches": [{
                    "applyTo": "HTTP_FILTER", "match": {"context": "SIDECAR_INBOUND"},
                    "patch": {"operation": "INSERT_FIRST", "value": {"name": "late"}},
                }],
            },
        }),
    ]
}

#[test]
fn what_comes_after_the_plan_stops_it_before_anything_is_switched() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    for object in late(journey.name()) {
        let proxy = plane.faults()?;
        comes(&proxy, &journey, &object);
        let done = journey.run_through(&proxy, &APPLY)?.exited(7)?;
        let kind = object["kind"].as_str().unwrap_or_default();
        assert!(done.stdout.contains("switch/"), "{kind}: {done}");
        assert!(
            done.stdout.contains(kind) && done.stdout.contains("late"),
            "{kind}: {done}"
        );
        journey.has_pods(2, "2/2")?;
        let done = journey.run(&["convert", "--resume"])?.exited(6)?;
        assert!(done.stderr.contains("late"), "{kind}: {done}");
        journey.run(&["rollback"])?.exited(0)?;
        journey.namespace().delete(kind, "late")?;
        journey.is_as(&start, "back")?;
    }
    Ok(())
}

#[test]
fn what_makes_no_other_plan_does_not_stop_it() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let proxy = plane.faults()?;
    let elsewhere = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": {"name": "late", "namespace": journey.name()},
        "spec": {"host": "bank.example.com"},
    });
    comes(&proxy, &journey, &elsewhere);
    journey.run_through(&proxy, &APPLY)?.exited(0)?;
    let rule = journey.namespace().get("DestinationRule", "late")?;
    assert!(rule.is_some());
    journey.run(&["rollback"])?.exited(0)?;
    Ok(())
}

/// A ConfigMap of somebody else stands where the waypoint's parameters would.
#[test]
fn what_stands_in_a_waypoints_place_is_left_alone() -> Result {
    let plane = journey::plane()?;
    let several = journey::SHOP.replacen("replicas: 1", "replicas: 2", 2);
    let labels = json!({"istio-injection": "enabled"});
    let journey = Journey::of(plane, "shop", &several, &labels)?;
    journey.namespace().apply(
        &json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "waypoint-options"}, "data": {"theirs": "yes"},
        })
        .to_string(),
    )?;
    journey.wait_ready(4, "2/2")?;
    let start = journey.snapshot()?;
    journey.run(&APPLY)?.exited(0)?;
    let gateways = "gateways.gateway.networking.k8s.io";
    assert!(journey.namespace().get(gateways, "waypoint-2")?.is_some());
    assert_eq!(journey.namespace().get(gateways, "waypoint")?, None);
    let theirs = journey.namespace().get("ConfigMap", "waypoint-options")?;
    assert_eq!(theirs.unwrap_or_default()["data"], json!({"theirs": "yes"}));
    journey.run(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "back")
}

#[test]
fn what_changes_until_the_lock_is_held_ends_it_before_it_begins() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let proxy = plane.faults()?;
    let cluster: Cluster = journey.plane.cluster().clone();
    let late = json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": {"name": "late", "namespace": journey.name()},
        "spec": {"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/late"]}}]}]},
    });
    let apply = move || drop(cluster.apply(&late.to_string()));
    let locked = When::create("leases").namespace(journey.name());
    proxy.rule(locked, Fault::call(Moment::Applied, apply));
    let done = journey.run_through(&proxy, &APPLY)?.exited(6)?;
    let says = format!(
        "AuthorizationPolicy/late -n {} is new; nothing was changed",
        journey.name()
    );
    assert!(done.stderr.contains(&says), "{done}");
    let gateways = "gateways.gateway.networking.k8s.io";
    assert_eq!(journey.namespace().get(gateways, "waypoint")?, None);
    Ok(())
}

/// Holds the pods that come of a workload's new template, before the run hears that it was written.
fn hold_new_pods(proxy: &FaultProxy, journey: &Journey<'_>, workload: &'static str) {
    let cluster: Cluster = journey.plane.cluster().clone();
    let home = journey.name().to_owned();
    let hold = move || {
        let selector = format!("app={workload},sidecar.istio.io/inject=false");
        let one = Condition::over("to be one", |pods| match pods {
            [_] => Ok(()),
            other => Err(format!("{} pods", other.len())),
        });
        let pods = cluster.wait_all("Pod", &home, &selector, &one);
        for pod in pods.unwrap_or_default() {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let hold =
                json!({"metadata": {"annotations": {"kubectl-ambient.test/hold": "unready"}}});
            drop(cluster.patch("Pod", &home, name, &hold));
            let unready = Condition::that("to be unready", |pod| {
                pod["status"]["containerStatuses"][0]["ready"] == false
            });
            drop(cluster.wait("Pod", &home, name, &unready));
        }
    };
    let patched = When::patch("deployments.apps").name(workload).nth(1);
    proxy.rule(patched, Fault::call(Moment::Applied, hold));
}

#[test]
fn a_rollout_that_never_becomes_ready_halts_the_run() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    let proxy = plane.faults()?;
    hold_new_pods(&proxy, &journey, "pay");
    let words: Vec<&str> = APPLY.iter().copied().chain(["--timeout", "12s"]).collect();
    let done = journey.run_through(&proxy, &words)?.exited(7)?;
    let says = done.stdout.clone() + &done.stderr;
    assert!(says.contains("switch/pay"), "{done}");
    assert!(says.contains("Deployment/pay"), "{done}");
    assert!(
        says.contains("--resume") && says.contains("rollback"),
        "{done}"
    );
    // What comes after it was not begun.
    assert!(journey.namespace().get("VirtualService", "pay")?.is_some());
    let done = journey.run(&["convert", "--resume", "--timeout", "2s"])?;
    done.exited(7)?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.wait_ready(2, "2/2")?;
    journey.is_as(&start, "back")?;
    invariants::hold(&recorder.history()?, journey.shop_needs())
}

#[test]
fn a_run_that_fails_takes_itself_back_when_told() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    let proxy = plane.faults()?;
    hold_new_pods(&proxy, &journey, "front");
    let more = ["--timeout", "12s", "--rollback-on-failure"];
    let words: Vec<&str> = APPLY.iter().copied().chain(more).collect();
    journey.run_through(&proxy, &words)?.exited(1)?;
    journey.wait_ready(2, "2/2")?;
    journey.is_as(&start, "taken back")?;
    invariants::hold(&recorder.history()?, journey.shop_needs())
}
