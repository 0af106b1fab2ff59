//! Moves through a bad line: what passes is got over, what stays halts the run where it can go on, and
//! nothing half-done is called done.

use std::collections::BTreeMap;
use std::time::Duration;

use harness::fault::{At, Fault, FaultProxy, Rule, When};
use harness::{ControlPlane, Done, Error, Permission, Result};
use serde_json::Value;

use crate::invariants;
use crate::journey::{self, Journey, same};

const APPLY: [&str; 4] = ["convert", "--apply", "--guard", "closed"];

const RESUME: [&str; 2] = ["convert", "--resume"];

const JOURNAL: &str = "configmaps";
const ROUTES: &str = "httproutes.gateway.networking.k8s.io";
const GATEWAYS: &str = "gateways.gateway.networking.k8s.io";
const POLICIES: &str = "authorizationpolicies.security.istio.io";
const VIRTUAL_SERVICES: &str = "virtualservices.networking.istio.io";

/// A write of each kind that a move makes, one of its journal, and a look at what it waits for.
fn there() -> [When; 8] {
    [
        When::update(JOURNAL).nth(9),
        When::patch(GATEWAYS).nth(1),
        When::patch(POLICIES).name("pay-admin").nth(1),
        When::patch("services").name("pay").nth(1),
        When::patch("deployments.apps").name("pay").nth(1),
        When::get("deployments.apps").name("pay").nth(4),
        When::patch(ROUTES).nth(1),
        When::delete(VIRTUAL_SERVICES).nth(1),
    ]
}

/// The same on the way back.
fn back() -> [When; 8] {
    [
        When::update(JOURNAL).nth(9),
        When::write_to(VIRTUAL_SERVICES).nth(1),
        When::delete(ROUTES).nth(1),
        When::patch("deployments.apps").name("pay").nth(1),
        When::get("deployments.apps").name("pay").nth(4),
        When::patch("services").name("pay").nth(1),
        When::patch(POLICIES).name("pay-admin").nth(1),
        When::delete(GATEWAYS).nth(1),
    ]
}

/// What passes when a request is sent again.
fn faults() -> [(&'static str, Fault); 8] {
    [
        ("conflict", Fault::conflict()),
        ("expired", Fault::status(410)),
        ("throttled", Fault::status(429).retry_after(1)),
        ("failing", Fault::status(500)),
        ("overloaded", Fault::status(503).retry_after(1)),
        ("cut before the request", Fault::cut(At::Request)),
        ("cut before the answer", Fault::cut(At::Answer)),
        ("silent", Fault::stall(At::Request)),
    ]
}

/// A proxy that does another of the faults to each of these.
fn bad_line(
    plane: &ControlPlane,
    requests: [When; 8],
    turn: usize,
) -> Result<(FaultProxy, Vec<(&'static str, Rule)>)> {
    let proxy = plane.faults()?;
    let mut faults = faults();
    faults.rotate_left(turn);
    let rules = requests.into_iter().zip(faults);
    let rules = rules.map(|(when, (name, fault))| (name, proxy.rule(when, fault)));
    let rules = rules.collect();
    Ok((proxy, rules))
}

/// Runs until it is done: whenever it halts it says so, and is gone on with. Nothing half-done is called done.
fn comes_through(
    journey: &Journey<'_>,
    proxy: &FaultProxy,
    first: &[&str],
    on: &[&str],
    end: &BTreeMap<String, Value>,
) -> Result<Vec<Done>> {
    let mut words = first;
    let mut runs = Vec::new();
    while runs.len() < 9 {
        // A server that says nothing is not waited for longer than told.
        let patience = ["--request-timeout", "3s"];
        let all: Vec<&str> = words.iter().copied().chain(patience).collect();
        let done = journey.when_free(|| journey.run_through(proxy, &all))?;
        let now = journey.snapshot()?;
        let is_done = done.code() == Some(0);
        match done.code() {
            Some(0) => same(end, &now, &format!("done\n{done}"))?,
            Some(7) => {
                assert!(
                    same(end, &now, "").is_err(),
                    "it halted, and all is done: {done}"
                );
                assert!(told(&done, on), "{done}");
            }
            _ => panic!("{done}"),
        }
        words = on;
        runs.push(done);
        if is_done {
            return Ok(runs);
        }
    }
    Err(Error::new(format!("it does not come through: {runs:?}")))
}

/// There and back, with each fault done to each request once in all turns: two of four are taken each time,
/// and all by `make soak`.
fn there_and_back(turns: [usize; 4]) -> Result {
    let every = std::env::var_os("KUBECTL_AMBIENT_EVERY_CUT").is_some();
    let turns = turns.into_iter().step_by(if every { 1 } else { 2 });
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    journey.run(&APPLY)?.exited(0)?;
    let end = journey.snapshot()?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "undisturbed")?;
    for turn in turns {
        let (proxy, rules) = bad_line(plane, there(), turn)?;
        let runs = comes_through(&journey, &proxy, &APPLY, &RESUME, &end)?;
        all_done(&rules, &runs);
        watches_nothing(&proxy);
        let (proxy, rules) = bad_line(plane, back(), turn)?;
        let runs = comes_through(&journey, &proxy, &["rollback"], &["rollback"], &start)?;
        all_done(&rules, &runs);
        watches_nothing(&proxy);
        journey.has_pods(2, "2/2")?;
    }
    invariants::hold(&recorder.history()?, journey.shop_needs())
}

/// What looks again and again cannot be ended by a watch that ends.
fn watches_nothing(proxy: &FaultProxy) {
    let log = proxy.log();
    assert!(log.matching(&When::watch("*")).is_empty(), "{log}");
}

fn all_done(rules: &[(&'static str, Rule)], runs: &[Done]) {
    for (at, (name, rule)) in rules.iter().enumerate() {
        assert_eq!(rule.done(), 1, "request {at}: {name}: {runs:?}");
    }
}

/// The two ways from where it halted.
fn told(done: &Done, on: &[&str]) -> bool {
    let says = done.stdout.clone() + &done.stderr;
    says.contains("rollback") && on.iter().all(|word| says.contains(word))
}

#[test]
fn a_bad_line_is_got_over() -> Result {
    there_and_back([0, 2, 4, 6])
}

#[test]
fn another_bad_line_is_got_over() -> Result {
    there_and_back([1, 3, 5, 7])
}

/// Whoever may do all this, in a namespace.
fn rights(namespace: &str) -> Vec<Permission> {
    let groups = [
        "",
        "apps",
        "networking.istio.io",
        "security.istio.io",
        "gateway.networking.k8s.io",
        "networking.k8s.io",
        "policy",
        "coordination.k8s.io",
    ];
    let all = ["get", "list", "create", "update", "patch", "delete"];
    let within = groups
        .iter()
        .map(|group| Permission::within(namespace, &all, group, &["*"]));
    [
        Permission::everywhere(&["get", "list"], "*", &["*"]),
        Permission::everywhere(&["patch"], "", &["namespaces"]).named(&[namespace]),
    ]
    .into_iter()
    .chain(within)
    .collect()
}

#[test]
fn a_right_that_is_missing_is_named_before_anything_is_written() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let home = plane.namespace("mover", &[])?;
    let mut some = rights(journey.name());
    let mover = plane.identity(&home, &some)?;
    some.retain(|right| !format!("{right:?}").contains("\"apps\""));
    mover.permit(&some)?;
    let words: Vec<&str> = APPLY.iter().copied().chain(["--yes"]).collect();
    let done = journey
        .command(&words)?
        .kubeconfig(mover.kubeconfig())
        .run()?
        .exited(4)?;
    assert!(done.stderr.contains("patch deployments.apps"), "{done}");
    assert!(done.stderr.contains("nothing was changed"), "{done}");
    journey.is_as(&start, "refused")?;

    // With all of them it goes, without being an administrator.
    mover.permit(&rights(journey.name()))?;
    journey
        .command(&words)?
        .kubeconfig(mover.kubeconfig())
        .run()?
        .exited(0)?;
    journey.has_pods(2, "1/1")?;
    journey
        .command(&["rollback", "--yes"])?
        .kubeconfig(mover.kubeconfig())
        .run()?
        .exited(0)?;
    journey.is_as(&start, "back")
}

#[test]
fn a_right_that_is_withdrawn_half_way_halts_the_run() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    let proxy = plane.faults()?;
    let rule = proxy.rule(
        When::patch("deployments.apps").name("pay"),
        Fault::forbid_against_reviews(),
    );
    let done = journey.run_through(&proxy, &APPLY)?.exited(7)?;
    assert_eq!(rule.done(), 1, "it is not tried again: {done}");
    assert!(done.stdout.contains("halted in switch/pay"), "{done}");
    assert!(done.stdout.contains("forbidden"), "{done}");
    assert!(told(&done, &RESUME), "{done}");
    // What comes after it was not begun.
    assert!(journey.namespace().get(VIRTUAL_SERVICES, "pay")?.is_some());
    journey.run(&RESUME)?.exited(0)?;
    journey.has_pods(2, "1/1")?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "back")?;
    invariants::hold(&recorder.history()?, journey.shop_needs())
}

/// Nothing is written once the Lease cannot be renewed: somebody else may have it.
#[test]
fn without_the_lock_nothing_is_written() -> Result {
    let plane = journey::plane()?;
    let journey = Journey::shop(plane)?.leased_for("2");
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    let proxy = plane.faults()?;
    proxy.rule(
        When::patch("leases.coordination.k8s.io"),
        Fault::status(500),
    );
    // Longer than the Lease lasts.
    let enrols = When::patch("namespaces").name(journey.name()).nth(1);
    proxy.rule(enrols, Fault::delay(Duration::from_secs(4)));
    let done = journey.run_through(&proxy, &APPLY)?.exited(7)?;
    assert!(done.stderr.contains("could not be renewed"), "{done}");
    assert!(told(&done, &RESUME), "{done}");
    journey.has_pods(2, "2/2")?;
    journey.run_when_free(&["rollback"])?.exited(0)?;
    journey.is_as(&start, "back")?;
    invariants::hold(&recorder.history()?, journey.shop_needs())
}
