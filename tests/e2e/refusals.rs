//! What is not moved or taken back: a clear answer each, and nothing is changed.

use harness::{Condition, Result};
use serde_json::{Value, json};

use crate::journey::{self, Journey};

const APPLY: [&str; 5] = ["convert", "--apply", "--guard", "closed", "--yes"];

#[test]
fn namespaces_that_are_not_moved_are_named() -> Result {
    let plane = journey::plane()?;
    for (namespace, code, says) in [
        ("no-such-namespace", 5, "no-such-namespace"),
        ("kube-system", 2, "holds no applications"),
        ("istio-system", 2, "holds no applications"),
    ] {
        for words in [&APPLY[..], &["rollback", "--yes"]] {
            let words: Vec<&str> = words.iter().copied().chain(["-n", namespace]).collect();
            let done = plane.ambient(&words)?.run()?.exited(code)?;
            assert!(done.stderr.contains(says), "{done}");
            assert_eq!(done.stdout, "");
        }
    }
    let two = ["-n", "default", "-n", "istio-ingress"];
    let words: Vec<&str> = APPLY.iter().copied().chain(two).collect();
    plane.ambient(&words)?.run()?.exited(2)?;
    Ok(())
}

#[test]
fn without_a_terminal_nothing_is_done_unasked() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    for words in [&APPLY[..4], &["rollback"], &["convert", "--resume"]] {
        let done = journey.command(words)?.run()?.exited(2)?;
        assert!(done.stderr.contains("--yes"), "{done}");
    }
    journey.is_as(&start, "unasked")
}

#[test]
fn who_may_do_nothing_is_told_so() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let home = plane.namespace("stranger", &[])?;
    let stranger = plane.identity(&home, &[])?;
    for words in [
        &APPLY[..],
        &["rollback", "--yes"],
        &["convert", "--resume", "--yes"],
    ] {
        let done = journey.command(words)?.kubeconfig(stranger.kubeconfig());
        let done = done.run()?.exited(4)?;
        assert!(
            done.stderr.contains("no right") || done.stderr.contains("forbidden"),
            "{done}"
        );
    }
    journey.is_as(&start, "forbidden")
}

/// The journal's first map.
fn journal(journey: &Journey<'_>) -> Result<(String, Value)> {
    let maps = journey.namespace().list("ConfigMap")?;
    let mut maps = maps.into_iter();
    let map = maps
        .find(|map| map["metadata"]["labels"]["kubectl-ambient/run"].is_string())
        .unwrap_or_default();
    let name = map["metadata"]["name"].as_str().unwrap_or_default();
    Ok((name.to_owned(), map.clone()))
}

#[test]
fn a_journal_that_cannot_be_read_is_not_guessed() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    journey
        .run(&["convert", "--apply", "--guard", "closed"])?
        .exited(0)?;
    let (name, map) = journal(&journey)?;
    let text = map["data"]["journal"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let newer = text.replacen("\"version\":1", "\"version\":99", 1);
    assert_ne!(newer, text);
    let damaged = text.replacen("\"event\"", "\"evnt\"", 1);
    let short: String = text.lines().take(2).collect::<Vec<_>>().join("\n") + "\n";
    for (journal, says) in [
        (newer, "99"),
        (damaged, "line"),
        (short, "steps"),
        (String::new(), "empty"),
    ] {
        let patch = json!({"data": {"journal": journal}});
        journey.namespace().patch("ConfigMap", &name, &patch)?;
        let moved = journey.snapshot()?;
        for words in [
            &["rollback"][..],
            &["convert", "--resume"],
            &["convert", "--finish"],
        ] {
            let done = journey.run(words)?.exited(5)?;
            assert!(done.stderr.contains(says), "{says}: {done}");
            assert!(done.stderr.contains("cannot be read"), "{done}");
        }
        journey.is_as(&moved, says)?;
        // Who only looks is told of it.
        let status = journey.command(&["status"])?.run()?.exited(0)?;
        let open = "may not be over: its journal cannot be read";
        assert!(status.stderr.contains(open), "{status}");
    }
    // As it was, it is taken back.
    let patch = json!({"data": {"journal": text}});
    journey.namespace().patch("ConfigMap", &name, &patch)?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.has_pods(2, "2/2")
}

#[test]
fn a_journal_of_another_cluster_is_refused() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    journey
        .run(&["convert", "--apply", "--guard", "closed"])?
        .exited(0)?;
    let (name, map) = journal(&journey)?;
    let text = map["data"]["journal"].as_str().unwrap_or_default();
    let system = plane.cluster().get("Namespace", "", "kube-system")?;
    let system = system.unwrap_or_default()["metadata"]["uid"].take();
    let uid = system.as_str().unwrap_or_default();
    let other = text.replace(uid, "00000000-0000-0000-0000-000000000000");
    assert_ne!(other, text);
    let patch = json!({"data": {"journal": other}});
    journey.namespace().patch("ConfigMap", &name, &patch)?;
    let moved = journey.snapshot()?;
    let done = journey.run(&["rollback"])?.exited(6)?;
    assert!(done.stderr.contains("another cluster"), "{done}");
    journey.is_as(&moved, "another cluster")
}

#[test]
fn a_plan_of_yesterday_is_refused() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let folder = tempfile::tempdir().map_err(|error| harness::Error::new(error.to_string()))?;
    let file = folder.path().join("plan.json");
    let file = file.to_string_lossy();
    let save = ["convert", "--guard", "closed", "--save-plan", &file];
    journey.command(&save)?.run()?.exited(0)?;
    let with_plan = ["convert", "--apply", "--guard", "closed", "--plan", &file];

    // Somebody changes what the plan is about.
    let deny = json!({"spec": {"rules": [{"to": [{"operation": {"paths": ["/other*"]}}]}]}});
    let policies = "authorizationpolicies.security.istio.io";
    let was = journey
        .namespace()
        .get(policies, "pay-admin")?
        .unwrap_or_default();
    journey.namespace().patch(policies, "pay-admin", &deny)?;
    let before = journey.snapshot()?;
    let done = journey.run(&with_plan)?.exited(6)?;
    assert!(
        done.stderr.contains("AuthorizationPolicy/pay-admin"),
        "{done}"
    );
    journey.is_as(&before, "stale")?;

    // As it was, the plan is carried out.
    let back = json!({"spec": {"rules": was["spec"]["rules"]}});
    journey.namespace().patch(policies, "pay-admin", &back)?;
    let start = journey.snapshot()?;
    journey.run(&with_plan)?.exited(0)?;
    journey.has_pods(2, "1/1")?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "back")?;

    for (text, says) in [("{}", "is not a plan"), ("no plan", "is not a plan")] {
        std::fs::write(&*file, text).map_err(|error| harness::Error::new(error.to_string()))?;
        let done = journey.run(&with_plan)?.exited(5)?;
        assert!(done.stderr.contains(says), "{done}");
    }
    journey.is_as(&start, "no plan")
}

#[test]
fn a_dry_run_of_the_server_changes_nothing() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let recorder = journey.record()?;
    let start = journey.snapshot()?;
    let proxy = plane.faults()?;
    let words = [
        "convert",
        "--apply",
        "--guard",
        "closed",
        "--dry-run=server",
    ];
    let done = journey.run_through(&proxy, &words)?.exited(0)?;
    assert!(done.stdout.contains("taken (dry run)"), "{done}");
    let log = proxy.log();
    assert!(log.writes().is_empty(), "{:?}", log.writes());
    assert!(
        log.requests()
            .iter()
            .any(harness::fault::Request::is_dry_run)
    );
    journey.is_as(&start, "dry run")?;
    journey.has_pods(2, "2/2")?;
    assert!(
        recorder
            .history()?
            .changes()
            .of_kind("Lease")
            .moments()
            .is_empty()
    );
    Ok(())
}

#[test]
fn a_rollback_that_is_only_shown_changes_nothing() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    journey
        .run(&["convert", "--apply", "--guard", "closed"])?
        .exited(0)?;
    let moved = journey.snapshot()?;
    let proxy = plane.faults()?;
    journey
        .run_through(&proxy, &["rollback", "--dry-run"])?
        .exited(0)?;
    assert!(proxy.log().writes().is_empty());
    journey.is_as(&moved, "shown")?;
    let no_such = journey
        .run(&["rollback", "--to", "switch/nobody"])?
        .exited(2)?;
    assert!(
        no_such.stderr.contains("no step switch/nobody"),
        "{no_such}"
    );
    let no_such = journey.run(&["rollback", "19991231-235959"])?.exited(1)?;
    assert!(
        no_such.stderr.contains("no run 19991231-235959"),
        "{no_such}"
    );
    journey.is_as(&moved, "no such step or run")?;
    let waypoint = Condition::that("to be there", Value::is_object);
    let gateways = "gateways.gateway.networking.k8s.io";
    journey.namespace().wait(gateways, "waypoint", &waypoint)?;
    Ok(())
}
