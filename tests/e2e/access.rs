//! What it says when rights are missing: which, what was not judged, and never *ready*.

use harness::{ControlPlane, Identity, Permission, Result};
use serde_json::Value;

use crate::wealist::{self, essence};

/// All that `check -n default` reads, one group at a time.
const READS: [(&str, &[&str]); 11] = [
    (
        "",
        &["namespaces", "nodes", "pods", "services", "configmaps"],
    ),
    (
        "apps",
        &["deployments", "statefulsets", "daemonsets", "replicasets"],
    ),
    ("batch", &["jobs", "cronjobs"]),
    ("policy", &["poddisruptionbudgets"]),
    ("networking.k8s.io", &["networkpolicies"]),
    (
        "admissionregistration.k8s.io",
        &["mutatingwebhookconfigurations"],
    ),
    ("apiextensions.k8s.io", &["customresourcedefinitions"]),
    ("networking.istio.io", &["*"]),
    ("security.istio.io", &["*"]),
    ("gateway.networking.k8s.io", &["*"]),
    ("extensions.istio.io", &["*"]),
];

/// Telemetry stands in a group of its own.
const TELEMETRY: (&str, &[&str]) = ("telemetry.istio.io", &["*"]);

fn reads() -> Vec<Permission> {
    let groups = READS.iter().chain([&TELEMETRY]);
    groups
        .map(|(group, resources)| Permission::everywhere(&["get", "list"], group, resources))
        .collect()
}

#[test]
fn who_may_read_is_told_what_the_administrator_is() -> Result {
    let plane = wealist::shared()?;
    let home = plane.namespace("reader", &[])?;
    let reader = plane.identity(&home, &reads())?;
    let admin = plane.ambient(["check", "-n", "default", "-o", "json"])?;
    let admin = essence(&admin.run()?.exited(0)?.json()?);
    let report = check(plane, &reader)?;
    assert_eq!(report, (Some(0), admin));
    Ok(())
}

#[test]
fn each_right_that_is_withdrawn_is_named_and_nothing_is_ready() -> Result {
    let plane = wealist::shared()?;
    let home = plane.namespace("reader", &[])?;
    let reader = plane.identity(&home, &reads())?;
    let all = reads();
    for (index, (group, resources)) in READS.iter().chain([&TELEMETRY]).enumerate() {
        let mut left = all.clone();
        left.remove(index);
        reader.permit(&left)?;
        let (code, report) = check(plane, &reader)?;
        let verdict = &report["namespaces"][0]["verdict"];
        assert_eq!(code, Some(8), "without {group}: {report}");
        assert_eq!(verdict, "undecided", "without {group}");
        let said = report["notRun"].to_string() + &report["unread"].to_string();
        assert!(
            resources.contains(&"*") || resources.iter().any(|one| said.contains(one)),
            "without {group}: {said}"
        );
    }
    Ok(())
}

#[test]
fn who_may_read_nothing_is_told_so() -> Result {
    let plane = wealist::shared()?;
    let home = plane.namespace("stranger", &[])?;
    let stranger = plane.identity(&home, &[])?;
    let done = plane
        .ambient(["check", "-n", "default"])?
        .kubeconfig(stranger.kubeconfig())
        .run()?
        .exited(4)?;
    assert!(done.stderr.contains("no right to list"), "{done}");
    assert_eq!(done.stdout, "");
    Ok(())
}

/// The exit code and the essence of the report that somebody is given.
fn check(plane: &ControlPlane, who: &Identity) -> Result<(Option<i32>, Value)> {
    let check = plane.ambient(["check", "-n", "default", "-o", "json"])?;
    let done = check.kubeconfig(who.kubeconfig()).run()?;
    let report = done.json()?;
    Ok((done.code(), essence(&report)))
}
