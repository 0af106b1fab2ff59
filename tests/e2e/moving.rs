//! Namespaces that are moved and taken back, undisturbed: wealist, by either label that injects.

use harness::{Done, Result, condition};
use serde_json::{Value, json};

use crate::invariants;
use crate::journey::{self, Journey, same};
use crate::wealist::PODS;

/// Other namespaces have sidecars, which may call past a waypoint: they are refused.
const APPLY: [&str; 4] = ["convert", "--apply", "--guard", "closed"];

/// All waypoints are programmed, all policies with targets accepted there.
fn is_accepted(journey: &Journey<'_>) -> Result {
    let gateways = "gateways.gateway.networking.k8s.io";
    let waypoints = journey.namespace().list(gateways)?;
    assert!(!waypoints.is_empty());
    for waypoint in waypoints {
        let name = waypoint["metadata"]["name"].as_str().unwrap_or_default();
        journey
            .namespace()
            .wait(gateways, name, &condition("Programmed", "True"))?;
    }
    for kind in ["AuthorizationPolicy", "RequestAuthentication"] {
        for policy in journey.namespace().list(kind)? {
            let name = policy["metadata"]["name"].as_str().unwrap_or_default();
            if policy["spec"]["targetRefs"].is_array() && kind == "AuthorizationPolicy" {
                journey
                    .namespace()
                    .wait(kind, name, &condition("WaypointAccepted", "True"))?;
            }
        }
    }
    Ok(())
}

fn run_of(done: &Done) -> String {
    let run = done.stdout.lines().next().unwrap_or_default();
    let mut words = run.split_whitespace();
    words.nth(1).unwrap_or_default().to_owned()
}

/// There, back, there again, to the end, and back from there.
fn there_and_back(labels: &Value) -> Result {
    let journey = Journey::wealist(journey::plane()?, labels)?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;

    journey.run(&APPLY)?.exited(0)?;
    journey.has_pods(PODS, "1/1")?;
    is_accepted(&journey)?;
    let done = journey.snapshot()?;
    let back = journey.run(&["rollback"])?.exited(0)?;
    journey.wait_ready(PODS, "2/2")?;
    journey.is_as(&start, "back")?;

    // What was taken back is done again by taking that back.
    let again = run_of(&back);
    let again = journey.run(&["rollback", &again])?.exited(0)?;
    journey.has_pods(PODS, "1/1")?;
    is_accepted(&journey)?;
    same(&done, &journey.snapshot()?, "a rollback taken back")?;
    journey.run(&["rollback", &run_of(&again)])?.exited(0)?;
    journey.is_as(&start, "back from a rollback taken back")?;

    journey.run(&APPLY)?.exited(0)?;
    same(&done, &journey.snapshot()?, "a second time")?;
    journey.run(&["convert", "--finish"])?.exited(0)?;
    is_accepted(&journey)?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.has_pods(PODS, "2/2")?;
    journey.is_as(&start, "back from the end")?;

    invariants::hold(&recorder.history()?, journey.wealist_needs())
}

#[test]
fn wealist_goes_there_and_back() -> Result {
    there_and_back(&json!({"istio-injection": "enabled"}))
}

#[test]
fn wealist_of_a_revision_goes_there_and_back() -> Result {
    there_and_back(&json!({"istio.io/rev": "default"}))
}

/// What is moved is not moved again, and what was not moved is not taken back.
#[test]
fn there_is_nothing_to_do_twice() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let done = journey.run(&["rollback"])?.exited(1)?;
    assert!(done.stderr.contains("no journal"), "{done}");
    let done = journey.run(&["convert", "--resume"])?.exited(1)?;
    assert!(done.stderr.contains("no open run"), "{done}");
    journey.is_as(&start, "nothing was done")?;

    journey.run(&APPLY)?.exited(0)?;
    let moved = journey.snapshot()?;
    let done = journey.run(&APPLY)?.exited(0)?;
    assert!(done.stdout.contains("nothing to move"), "{done}");
    journey.is_as(&moved, "moved already")?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "back")?;
    let done = journey.run(&["rollback"])?.exited(1)?;
    assert!(
        done.stderr.contains("no move that was not rolled back"),
        "{done}"
    );
    journey.is_as(&start, "back already")
}

/// A machine that can keep no copy of a journal is told so; the cluster's journal is enough for the way back.
#[test]
fn a_state_folder_that_cannot_be_written_is_told_and_not_needed() -> Result {
    let journey = Journey::shop(journey::plane()?)?;
    let start = journey.snapshot()?;
    let run = |words: &[&str]| -> Result<Done> {
        let words: Vec<&str> = words.iter().copied().chain(["--yes"]).collect();
        // No folder can be made below a device.
        let command = journey.command(&words)?.env("XDG_STATE_HOME", "/dev/null");
        let done = command.run()?.exited(0)?;
        let why = "this machine keeps no copy of the journal: cannot write in /dev/null/";
        assert!(done.stderr.contains(why), "{done}");
        Ok(done)
    };
    run(&APPLY)?;
    journey.has_pods(2, "1/1")?;
    run(&["rollback"])?;
    journey.is_as(&start, "back")
}
