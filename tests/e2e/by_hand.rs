//! Namespaces that somebody moved without this program, all of the way or half of it: what is there already
//! is not done again, what could not be taken back is not begun, and what is seen can be taken back.

use harness::{Condition, Result};
use serde_json::{Value, json};

use crate::invariants;
use crate::journey::{self, Journey, SHOP};

const APPLY: [&str; 4] = ["convert", "--apply", "--guard", "closed"];

/// The kinds of the shop that ask for nothing beyond ztunnel.
pub(crate) const PLAIN: [&str; 3] = ["ServiceAccount", "Deployment", "Service"];

/// The documents of the shop of these kinds.
pub(crate) fn shop_of(kinds: &[&str]) -> String {
    let documents = SHOP.split("\n---\n");
    let kept = documents.filter(|one| {
        let mut kinds = kinds.iter();
        kinds.any(|kind| one.lines().any(|line| line == format!("kind: {kind}")))
    });
    kept.collect::<Vec<_>>().join("\n---\n")
}

pub(crate) fn injected(manifests: &str) -> Result<Journey<'static>> {
    let injected = json!({"istio-injection": "enabled"});
    let journey = Journey::of(journey::plane()?, "shop", manifests, &injected)?;
    journey.wait_ready(2, "2/2")?;
    Ok(journey)
}

/// Does by hand what the documentation of Istio says, for these workloads.
pub(crate) fn move_by_hand(journey: &Journey<'_>, workloads: &[&str]) -> Result {
    let labels = json!({"istio-injection": null, "istio.io/dataplane-mode": "ambient"});
    journey.namespace().label(&labels)?;
    for workload in workloads {
        let cluster = journey.plane.cluster();
        cluster.restart(
            "Deployment",
            journey.name(),
            workload,
            "2026-01-01T00:00:00Z",
        )?;
        let captured = Condition::over("to be one that ztunnel has", |pods| match pods {
            [pod]
                if pod["metadata"]["annotations"]["ambient.istio.io/redirection"] == "enabled" =>
            {
                Ok(())
            }
            other => Err(format!("{} pods", other.len())),
        });
        let selector = format!("app={workload},security.istio.io/tlsMode!=istio");
        let namespace = journey.namespace();
        namespace.wait_all("Pod", &selector, &captured)?;
        let gone = harness::gone();
        let selector = format!("app={workload},security.istio.io/tlsMode=istio");
        namespace.wait_all("Pod", &selector, &gone)?;
    }
    Ok(())
}

fn label(journey: &Journey<'_>, key: &str) -> Result<Value> {
    let namespace = journey
        .plane
        .cluster()
        .get("Namespace", "", journey.name())?;
    Ok(namespace.unwrap_or_default()["metadata"]["labels"][key].take())
}

#[test]
fn what_is_ambient_already_is_left_as_it_is() -> Result {
    let journey = injected(&shop_of(&PLAIN))?;
    move_by_hand(&journey, &["front", "pay"])?;
    let moved = journey.snapshot()?;
    let proxy = journey.plane.faults()?;
    let done = journey.run_through(&proxy, &APPLY)?.exited(0)?;
    assert!(done.stdout.contains("nothing to move"), "{done}");
    assert!(proxy.log().writes().is_empty(), "{}", proxy.log());
    journey.is_as(&moved, "moved already")?;

    // What is seen can be taken back, without a journal.
    journey.run(&["rollback"])?.exited(0)?;
    journey.wait_ready(2, "2/2")?;
    assert_eq!(label(&journey, "istio.io/dataplane-mode")?, Value::Null);
    assert_eq!(label(&journey, "istio-injection")?, "enabled");
    Ok(())
}

#[test]
fn what_could_not_be_taken_back_is_not_begun() -> Result {
    let journey = injected(SHOP)?;
    move_by_hand(&journey, &["front"])?;
    let half = journey.snapshot()?;
    let done = journey.run(&APPLY)?.exited(1)?;
    assert!(done.stderr.contains("Deployment/pay"), "{done}");
    assert!(done.stderr.contains("istio-injection=enabled"), "{done}");
    assert!(done.stderr.contains("nothing was changed"), "{done}");
    journey.is_as(&half, "refused")?;

    // With that it goes, there and back.
    journey
        .namespace()
        .label(&json!({"istio-injection": "enabled"}))?;
    let start = journey.snapshot()?;
    let recorder = journey.record()?;
    journey.run(&APPLY)?.exited(0)?;
    journey.has_pods(2, "1/1")?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.wait_ready(2, "2/2")?;
    journey.is_as(&start, "back")?;
    invariants::hold(&recorder.history()?, journey.shop_needs())
}

#[test]
fn half_of_the_way_is_taken_back_as_it_is_seen() -> Result {
    let journey = injected(SHOP)?;
    let start = journey.snapshot()?;
    move_by_hand(&journey, &["front"])?;
    journey.run(&["rollback"])?.exited(0)?;
    journey.wait_ready(2, "2/2")?;
    let mut back = journey.snapshot()?;
    for workload in ["front", "pay"] {
        // The time of a restart is not taken back.
        let deployment = back.get_mut(&format!("deployments.apps/{workload}"));
        let template = deployment.and_then(|one| one.pointer_mut("/spec/template/metadata"));
        template
            .and_then(Value::as_object_mut)
            .map(|fields| fields.remove("annotations"));
    }
    journey::same(&start, &back, "back")
}
