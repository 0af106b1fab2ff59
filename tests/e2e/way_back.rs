//! What the cluster does not show is not taken for done on the way back either: whatever a step back waits
//! for stays away once, and the rollback halts there with all that protects pods in place, and goes on later.

use harness::fault::{Moment, When};
use harness::{Cluster, Condition, ControlPlane, Output, Result, Signal};
use serde_json::{Value, json};

use crate::by_hand::{PLAIN, injected, move_by_hand, shop_of};
#[cfg(mutant)]
use crate::evidence::Test;
use crate::evidence::{Deed, Scene, name, to_new_pod};
use crate::wealist;

const APPLY: [&str; 4] = ["convert", "--apply", "--guard", "closed"];
const GATEWAYS: &str = "gateways.gateway.networking.k8s.io";
const POLICIES: &str = "authorizationpolicies.security.istio.io";

/// Long enough for what comes, short enough for what never does.
const BACK: [&str; 5] = ["rollback", "--timeout", "12s", "-o", "json"];

/// For each thing that is waited for on the way back, who finds out that it is not.
#[cfg(mutant)]
pub(crate) const BY_WAIT: [(&str, &[Test]); 11] = [
    ("back/finish/settled", &[what_was_finished_settles]),
    ("back/routes/settled", &[routes_settle]),
    ("back/injection/settled", &[injection_settles]),
    (
        "back/switch/replaced",
        &[pods_that_come_back_without_a_sidecar_halt_it],
    ),
    (
        "back/switch/rolledOut",
        &[pods_that_come_back_without_a_sidecar_halt_what_was_moved_by_hand],
    ),
    (
        "back/bind/noAmbient",
        &[a_pod_that_is_left_keeps_its_waypoint],
    ),
    ("back/bind/settled", &[what_is_unbound_settles]),
    ("back/policies/settled", &[policies_settle]),
    ("back/hbone/settled", &[network_policies_settle]),
    (
        "back/hbone/rolledOut",
        &[a_restart_that_does_not_come_up_halts_it],
    ),
    (
        "back/verify/noAmbient",
        &[a_pod_without_a_sidecar_at_the_end_halts_it],
    ),
];

/// Makes some runs, each of which ends or pauses as it was told.
#[track_caller]
fn after(runs: &[&[&str]]) -> Result<Scene<'static>> {
    let scene = Scene::new()?;
    for words in runs {
        let done = scene.journey.run(words)?;
        let paused = words.contains(&"--pause-after");
        done.exited(if paused { 7 } else { 0 })?;
    }
    Ok(scene)
}

/// After some runs, the first thing back is this step; it is not over as long as proxies have had no time to
/// hear of it.
#[track_caller]
fn settles(runs: &[&[&str]], step: &str) -> Result {
    let scene = after(runs)?;
    let words = ["rollback", "-o", "json", "--yes"];
    let back = scene.journey.command(&words)?;
    let back = back.env("KUBECTL_AMBIENT_SETTLING_MILLIS", "600000");
    let run = back.start()?;
    let first = run.wait_for_line(Output::Stderr, |line| line.contains("given a moment"))?;
    assert_eq!(
        first.trim(),
        format!("{step}: proxies are given a moment to hear of it")
    );
    run.signal(Signal::Interrupt);
    let done = run.finish()?.exited(130)?;
    assert_eq!(done.json()?["step"], step, "{done}");
    scene.goes_back()
}

/// The same after a move that was paused after the step.
#[track_caller]
fn settles_after(step: &str) -> Result {
    let words: Vec<&str> = APPLY.into_iter().chain(["--pause-after", step]).collect();
    settles(&[&words], step)
}

#[test]
fn what_was_finished_settles() -> Result {
    settles(&[&APPLY, &["convert", "--finish"]], "finish")
}

#[test]
fn routes_settle() -> Result {
    settles_after("routes/pay")
}

#[test]
fn injection_settles() -> Result {
    settles_after("injection")
}

#[test]
fn what_is_unbound_settles() -> Result {
    settles_after("bind")
}

#[test]
fn policies_settle() -> Result {
    settles_after("policies")
}

#[test]
fn network_policies_settle() -> Result {
    settles_after("hbone")
}

/// However little time rollouts are given.
#[test]
fn what_proxies_are_given_is_not_cut_short() -> Result {
    let words: Vec<&str> = APPLY
        .into_iter()
        .chain(["--pause-after", "hbone"])
        .collect();
    let scene = after(&[&words])?;
    let back = scene
        .journey
        .command(&["rollback", "--timeout", "1s", "--yes"])?;
    let back = back.env("KUBECTL_AMBIENT_SETTLING_MILLIS", "2000");
    let done = back.run()?.exited(0)?;
    assert!(done.stderr.contains("given a moment"), "{done}");
    scene.is_as_it_was()
}

fn has_sidecar(pod: &Value) -> bool {
    pod["metadata"]["annotations"]["sidecar.istio.io/status"].is_string()
}

/// What a pod is like that has no sidecar, in ztunnel's hands whatever its namespace says.
fn without_sidecar() -> Value {
    json!({"metadata": {
        "labels": {"istio.io/dataplane-mode": "ambient"},
        "annotations": {"sidecar.istio.io/status": null, "ambient.istio.io/redirection": "enabled"},
    }})
}

/// Takes the sidecar of the pod of `pay` away.
fn loses_its_sidecar() -> Box<Deed> {
    Box::new(|cluster: &Cluster, home: &str| {
        let one = Condition::over("to have one with a sidecar", |pods| {
            let mut pods = pods.iter();
            let ready = pods.any(has_sidecar);
            ready.then_some(()).ok_or_else(|| "none".to_owned())
        });
        let pods = cluster.wait_all("Pod", home, "app=pay", &one)?;
        let pod = pods.iter().find(|pod| has_sidecar(pod)).map(name);
        let pod = pod.unwrap_or_default();
        cluster.patch("Pod", home, &pod, &without_sidecar())?;
        let captured = Condition::that("to be ztunnel's", |pod| {
            !has_sidecar(pod)
                && pod["metadata"]["annotations"]["ambient.istio.io/redirection"] == "enabled"
        });
        cluster.wait("Pod", home, &pod, &captured)
    })
}

/// Its controller makes another.
fn is_made_again(scene: &Scene<'_>) -> Result {
    for pod in scene.pods("pay")? {
        scene.journey.namespace().delete("Pod", &pod)?;
    }
    let ready = harness::pods_ready(1, "2/2");
    let namespace = scene.journey.namespace();
    namespace.wait_all("Pod", "app=pay", &ready)?;
    Ok(())
}

#[test]
fn pods_that_come_back_without_a_sidecar_halt_it() -> Result {
    let scene = Scene::new()?;
    scene.journey.run(&APPLY)?.exited(0)?;
    let old = scene.pods("pay")?;
    let lost = to_new_pod(old, has_sidecar, without_sidecar(), |pod| !has_sidecar(pod));
    let back = When::patch("deployments.apps").name("pay").nth(1);
    scene.at(back, Moment::Applied, lost);
    scene.halted(&BACK, "switch/pay", "has no sidecar")?;
    assert!(scene.is_enrolled()? && scene.has(POLICIES, "pay-guard")?);
    is_made_again(&scene)?;
    // What somebody did to its pod is against what holds at every moment.
    scene.is_back(&["rollback"])
}

#[test]
fn a_pod_that_is_left_keeps_its_waypoint() -> Result {
    let scene = Scene::new()?;
    scene.journey.run(&APPLY)?.exited(0)?;
    // Whom others call goes back first: this comes when it is done with.
    let last = When::patch("deployments.apps").name("front").nth(1);
    scene.at(last, Moment::Applied, loses_its_sidecar());
    scene.halted(&BACK, "bind", "has no sidecar yet")?;
    assert!(scene.is_enrolled()? && scene.has(POLICIES, "pay-guard")?);
    let service = scene.journey.namespace().get("Service", "pay")?;
    let bound = &service.unwrap_or_default()["metadata"]["labels"]["istio.io/use-waypoint"];
    assert_eq!(bound, "waypoint");
    is_made_again(&scene)?;
    // What somebody did to its pod is against what holds at every moment.
    scene.is_back(&["rollback"])
}

#[test]
fn a_pod_without_a_sidecar_at_the_end_halts_it() -> Result {
    let scene = Scene::new()?;
    scene.journey.run(&APPLY)?.exited(0)?;
    let end = When::delete(GATEWAYS).nth(1);
    scene.at(end, Moment::Applied, loses_its_sidecar());
    scene.halted(&BACK, "verify", "has no sidecar yet")?;
    is_made_again(&scene)?;
    // What somebody did to its pod is against what holds at every moment.
    scene.is_back(&["rollback"])
}

#[test]
fn a_restart_that_does_not_come_up_halts_it() -> Result {
    // Sidecars that accept no HBONE would be callers of what other tests move.
    let plane = ControlPlane::start(&wealist::options())?;
    let scene = Scene::on(&plane)?;
    let mute = json!({"metadata": {"labels": {"networking.istio.io/tunnel": null}}});
    for pod in scene.pods("pay")? {
        scene.journey.namespace().patch("Pod", &pod, &mute)?;
    }
    let words: Vec<&str> = APPLY
        .into_iter()
        .chain(["--pause-after", "hbone"])
        .collect();
    scene.journey.run(&words)?.exited(7)?;
    let old = scene.pods("pay")?;
    let hold =
        |how: Value| json!({"metadata": {"annotations": {"kubectl-ambient.test/hold": how}}});
    let unready = |pod: &Value| pod["status"]["containerStatuses"][0]["ready"] == false;
    let held = to_new_pod(old.clone(), |_| true, hold(json!("unready")), unready);
    let back = When::patch("deployments.apps").name("pay").nth(1);
    scene.at(back, Moment::Applied, held);
    scene.halted(&BACK, "hbone", "Deployment/pay")?;
    for pod in scene.pods("pay")? {
        if !old.contains(&pod) {
            scene
                .journey
                .namespace()
                .patch("Pod", &pod, &hold(Value::Null))?;
        }
    }
    scene.goes_back()
}

#[test]
fn pods_that_come_back_without_a_sidecar_halt_what_was_moved_by_hand() -> Result {
    let scene = Scene::of(injected(&shop_of(&PLAIN))?)?;
    move_by_hand(&scene.journey, &["front", "pay"])?;
    let old = scene.pods("pay")?;
    let lost = to_new_pod(old, has_sidecar, without_sidecar(), |pod| !has_sidecar(pod));
    let back = When::patch("deployments.apps").name("pay").nth(1);
    scene.at(back, Moment::Applied, lost);
    scene.halted(&BACK, "switch/pay", "has no sidecar")?;
    assert!(scene.is_enrolled()?);
    is_made_again(&scene)?;
    scene.journey.run(&["rollback"])?.exited(0)?;
    scene.journey.wait_ready(2, "2/2")?;
    assert!(!scene.is_enrolled()?);
    Ok(())
}
