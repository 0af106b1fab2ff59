//! What the cluster does not show is not taken for done. For each kind of step something keeps away what
//! the step is verified by: the run halts there, nothing that comes after it is begun, and it goes back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use harness::fault::{Fault, FaultProxy, Moment, When};
use harness::{Cluster, Condition, ControlPlane, Done, Error, Recorder, Result};
use serde_json::{Value, json};

use crate::invariants;
use crate::journey::{self, Journey};
use crate::wealist;

const ROUTES: &str = "httproutes.gateway.networking.k8s.io";
const GATEWAYS: &str = "gateways.gateway.networking.k8s.io";
const POLICIES: &str = "authorizationpolicies.security.istio.io";
const VIRTUAL_SERVICES: &str = "virtualservices.networking.istio.io";

/// Long enough for what comes, short enough for what never does.
const APPLY: [&str; 8] = [
    "convert",
    "--apply",
    "--guard",
    "closed",
    "--timeout",
    "12s",
    "-o",
    "json",
];

/// A test that fails where the verification of a step is left out.
#[cfg(mutant)]
pub(crate) type Test = fn() -> Result;

/// For each kind of step, who finds out that its verification is left out.
#[cfg(mutant)]
pub(crate) const BY_STEP: [(&str, &[Test]); 9] = [
    ("hbone", &[sidecars_that_accept_no_hbone_halt_it]),
    ("waypoint", &[a_waypoint_that_is_not_ready_halts_it]),
    ("policies", &[a_policy_that_ztunnel_refuses_halts_it]),
    (
        "bind",
        &[
            a_service_that_is_not_bound_halts_it,
            a_policy_that_the_waypoint_refuses_halts_it,
        ],
    ),
    (
        "switch",
        &[
            pods_that_keep_a_sidecar_halt_it,
            pods_that_ztunnel_does_not_take_halt_it,
        ],
    ),
    ("injection", &[a_sidecar_that_comes_late_halts_it]),
    ("routes", &[a_route_that_is_not_resolved_halts_it]),
    ("verify", &[a_sidecar_that_comes_at_the_end_halts_it]),
    ("finish", &[a_sidecar_that_comes_back_keeps_its_policies]),
];

/// What somebody does to a namespace; what it was before.
pub(crate) type Deed = dyn Fn(&Cluster, &str) -> Result<Value> + Send + Sync;

/// The shop, and somebody who stands in its way.
pub(crate) struct Scene<'p> {
    pub(crate) journey: Journey<'p>,
    start: BTreeMap<String, Value>,
    recorder: Recorder,
    proxy: FaultProxy,
    deed: Arc<Mutex<Option<Result<Value>>>>,
}

impl Scene<'static> {
    pub(crate) fn new() -> Result<Self> {
        Self::on(journey::plane()?)
    }
}

impl<'p> Scene<'p> {
    pub(crate) fn on(plane: &'p ControlPlane) -> Result<Self> {
        Self::of(Journey::shop(plane)?)
    }

    pub(crate) fn of(journey: Journey<'p>) -> Result<Self> {
        Ok(Self {
            start: journey.snapshot()?,
            recorder: journey.record()?,
            proxy: journey.plane.faults()?,
            deed: Arc::default(),
            journey,
        })
    }

    /// Somebody does something at the first of these requests.
    pub(crate) fn at(&self, when: When, moment: Moment, deed: Box<Deed>) {
        self.once(when, moment, |_, _| Ok(true), deed);
    }

    /// Somebody does something as soon as an object was made: when the journal is written next.
    fn once_made(&self, kind: &'static str, name: &'static str, deed: Box<Deed>) {
        let is_there =
            move |cluster: &Cluster, home: &str| Ok(cluster.get(kind, home, name)?.is_some());
        self.once(When::update("configmaps"), Moment::Before, is_there, deed);
    }

    fn once(
        &self,
        when: When,
        moment: Moment,
        due: impl Fn(&Cluster, &str) -> Result<bool> + Send + Sync + 'static,
        deed: Box<Deed>,
    ) {
        let cluster = self.journey.plane.cluster().clone();
        let home = self.journey.name().to_owned();
        let done = Arc::clone(&self.deed);
        let once = move || {
            let Ok(mut done) = done.lock() else { return };
            if done.is_some() {
                return;
            }
            *done = match due(&cluster, &home) {
                Ok(true) => Some(deed(&cluster, &home)),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            };
        };
        self.proxy.rule(when, Fault::call(moment, once));
    }

    /// The run halts in this step, for this reason, and says how to go on and back. Gives what was before
    /// somebody stood in its way.
    #[track_caller]
    fn halts(&self, words: &[&str], step: &str, why: &str) -> Result<Value> {
        let (was, done) = self.halted(words, step, why)?;
        let next = done.json()?["next"].to_string();
        assert!(
            next.contains("--resume") && next.contains("rollback"),
            "{done}"
        );
        Ok(was)
    }

    /// It halts in this step, for this reason, there or back. Gives what was before somebody stood in its way.
    #[track_caller]
    pub(crate) fn halted(&self, words: &[&str], step: &str, why: &str) -> Result<(Value, Done)> {
        let done = self.journey.run_through(&self.proxy, words)?;
        let deed = self.deed.lock().ok().and_then(|mut deed| deed.take());
        let was = deed.unwrap_or_else(|| Err(Error::new(format!("nobody was there: {done}"))))?;
        let done = done.exited(7)?;
        let report = done.json()?;
        assert_eq!(report["outcome"], "halted", "{done}");
        assert_eq!(report["step"], step, "{done}");
        let says = report["why"].as_str().unwrap_or_default();
        assert!(says.contains(why), "{why}: {done}");
        Ok((was, done))
    }

    pub(crate) fn has(&self, kind: &str, name: &str) -> Result<bool> {
        Ok(self.journey.namespace().get(kind, name)?.is_some())
    }

    pub(crate) fn is_enrolled(&self) -> Result<bool> {
        let cluster = self.journey.plane.cluster();
        let namespace = cluster.get("Namespace", "", self.journey.name())?;
        let labels = &namespace.unwrap_or_default()["metadata"]["labels"];
        Ok(labels["istio.io/dataplane-mode"] == "ambient")
    }

    /// The pods of a workload, by name.
    pub(crate) fn pods(&self, app: &str) -> Result<Vec<String>> {
        let mut pods = self.journey.namespace().list("Pod")?;
        pods.retain(|pod| pod["metadata"]["labels"]["app"] == app);
        Ok(pods.iter().map(name).collect())
    }

    /// When nobody stands in the way any more.
    #[track_caller]
    pub(crate) fn goes_back(self) -> Result {
        self.is_back(&["rollback"])?;
        invariants::hold(&self.recorder.history()?, self.journey.shop_needs())
    }

    /// When what somebody changed is as it was; that it was changed, the server remembers.
    #[track_caller]
    fn goes_back_over_it(self) -> Result {
        self.is_back(&["rollback", "--overwrite-drift"])?;
        invariants::hold(&self.recorder.history()?, self.journey.shop_needs())
    }

    #[track_caller]
    pub(crate) fn is_back(&self, words: &[&str]) -> Result {
        self.journey.run(words)?.exited(0)?;
        self.is_as_it_was()
    }

    #[track_caller]
    pub(crate) fn is_as_it_was(&self) -> Result {
        self.journey.wait_ready(2, "2/2")?;
        self.journey.is_as(&self.start, "back")
    }
}

pub(crate) fn name(object: &Value) -> String {
    let name = object["metadata"]["name"].as_str();
    name.unwrap_or_default().to_owned()
}

/// Changes an object, and waits until another says so.
fn spoils(
    (kind, name): (&'static str, &'static str),
    patch: Value,
    (seen_kind, seen_name): (&'static str, &'static str),
    seen: impl Fn() -> Condition + Send + Sync + 'static,
) -> Box<Deed> {
    Box::new(move |cluster, home| {
        let was = cluster.get(kind, home, name)?.unwrap_or_default();
        cluster.patch(kind, home, name, &patch)?;
        cluster.wait(seen_kind, home, seen_name, &seen())?;
        Ok(json!({"spec": was["spec"], "metadata": {"labels": was["metadata"]["labels"]}}))
    })
}

/// Does something to the pod of `pay` that is not one of the old ones, once it is as it should be.
pub(crate) fn to_new_pod(
    old: Vec<String>,
    ready: impl Fn(&Value) -> bool + Copy + Send + Sync + 'static,
    patch: Value,
    spoiled: impl Fn(&Value) -> bool + Copy + Send + Sync + 'static,
) -> Box<Deed> {
    Box::new(move |cluster, home| {
        let old = old.clone();
        let is_new = move |pod: &&Value| !old.contains(&name(pod)) && ready(pod);
        let find = is_new.clone();
        let there = Condition::over("to have a new one", move |pods| {
            let new = pods.iter().find(|pod| find(pod));
            new.map(|_| ())
                .ok_or_else(|| format!("{} pods", pods.len()))
        });
        let pods = cluster.wait_all("Pod", home, "app=pay", &there)?;
        let new = pods.iter().find(|pod| is_new(pod)).map(name);
        let new = new.unwrap_or_default();
        cluster.patch("Pod", home, &new, &patch)?;
        let spoiled = Condition::that("to be spoiled", spoiled);
        cluster.wait("Pod", home, &new, &spoiled)
    })
}

/// A pod of nobody, with a sidecar.
fn late() -> Box<Deed> {
    Box::new(|cluster, home| {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": "late",
                "namespace": home,
                "labels": {"app": "late", "sidecar.istio.io/inject": "true"},
            },
            "spec": {"containers": [{"name": "late", "image": "late"}]},
        });
        let pod = cluster.create(&pod)?;
        if pod["metadata"]["annotations"]["sidecar.istio.io/status"].is_null() {
            return Err(Error::new(format!("it has no sidecar: {pod:#}")));
        }
        Ok(Value::Null)
    })
}

/// Some condition of an object as it is now fulfils this.
fn says(kind: &'static str, what: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Condition {
    Condition::that(format!("to speak of {kind}"), move |object| {
        let generation = &object["metadata"]["generation"];
        let parents = object["status"]["parents"].as_array().into_iter().flatten();
        let mut all = parents
            .chain([&object["status"]])
            .flat_map(|part| part["conditions"].as_array().into_iter().flatten());
        all.any(|one| {
            let observed = &one["observedGeneration"];
            let is_current = generation.is_null()
                || observed == generation
                || observed.as_str() == Some(&generation.to_string());
            one["type"] == kind && is_current && what(one)
        })
    })
}

fn is_not_true(condition: &Value) -> bool {
    condition["status"] != "True"
}

fn accepts_hbone(pod: &Value) -> bool {
    pod["metadata"]["labels"]["networking.istio.io/tunnel"] == "http"
}

fn is_captured(pod: &Value) -> bool {
    pod["metadata"]["annotations"]["ambient.istio.io/redirection"] == "enabled"
}

#[test]
fn sidecars_that_accept_no_hbone_halt_it() -> Result {
    // They would be callers of what other tests move.
    let plane = ControlPlane::start(&wealist::options())?;
    let scene = Scene::on(&plane)?;
    // One that does not is restarted, and what comes of that does not either.
    let none = json!({"metadata": {"labels": {"networking.istio.io/tunnel": null}}});
    let old = scene.pods("pay")?;
    for pod in &old {
        scene.journey.namespace().patch("Pod", pod, &none)?;
    }
    let restart = When::patch("deployments.apps").name("pay").nth(1);
    let mute = to_new_pod(old, accepts_hbone, none, |pod| !accepts_hbone(pod));
    scene.at(restart, Moment::Applied, mute);
    scene.halts(&APPLY, "hbone", "has no sidecar that accepts HBONE")?;
    assert!(!scene.has(GATEWAYS, "waypoint")?);
    scene.goes_back()
}

#[test]
fn a_waypoint_that_is_not_ready_halts_it() -> Result {
    let scene = Scene::new()?;
    // There is room for no more pods.
    let full = Box::new(|cluster: &Cluster, home: &str| {
        cluster.create(&json!({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "full", "namespace": home},
            "spec": {"hard": {"pods": "2"}},
        }))
    });
    scene.at(When::patch(GATEWAYS).nth(1), Moment::Before, full);
    scene.halts(&APPLY, "waypoint", "waypoint")?;
    assert!(!scene.has(POLICIES, "pay-guard")?);
    assert!(!scene.is_enrolled()?);
    scene.journey.namespace().delete("ResourceQuota", "full")?;
    scene.goes_back()
}

#[test]
fn a_policy_that_ztunnel_refuses_halts_it() -> Result {
    let scene = Scene::new()?;
    // istiod leaves out what ztunnel cannot judge, and says so: the rule admits nobody then.
    let methods = json!({"spec": {"rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}});
    let policy = (POLICIES, "pay-from-waypoint");
    let unsupported = || says("ZtunnelAccepted", |one| one["reason"] == "UnsupportedValue");
    let spoiled = spoils(policy, methods, policy, unsupported);
    let last = When::patch(POLICIES).name("pay-guard").nth(1);
    scene.at(last, Moment::Applied, spoiled);
    let was = scene.halts(&APPLY, "policies", "ztunnel does not enforce all of it")?;
    // What sidecars enforce was not narrowed.
    let old = scene.journey.namespace().get(POLICIES, "pay-admin")?;
    let selector = &old.unwrap_or_default()["spec"]["selector"]["matchLabels"];
    assert_eq!(*selector, json!({"app": "pay"}));
    let (kind, name) = policy;
    scene.journey.namespace().patch(kind, name, &was)?;
    scene.goes_back_over_it()
}

#[test]
fn a_service_that_is_not_bound_halts_it() -> Result {
    let scene = Scene::new()?;
    let waypoint = (GATEWAYS, "waypoint");
    let workloads = json!({"metadata": {"labels": {"istio.io/waypoint-for": "workload"}}});
    let unbound = || says("istio.io/WaypointBound", is_not_true);
    let spoiled = spoils(waypoint, workloads, ("Service", "pay"), unbound);
    let binds = When::patch("services").name("pay").nth(1);
    scene.at(binds, Moment::Applied, spoiled);
    let was = scene.halts(&APPLY, "bind", "WaypointBound")?;
    assert!(!scene.is_enrolled()?);
    let (kind, name) = waypoint;
    scene.journey.namespace().patch(kind, name, &was)?;
    // Its pods are replaced by that, so it was not ready all the time: not by us.
    scene.is_back(&["rollback"])
}

#[test]
fn a_policy_that_the_waypoint_refuses_halts_it() -> Result {
    let scene = Scene::new()?;
    let policy = (POLICIES, "pay-admin-wp");
    let nobody = json!({"group": "", "kind": "Service", "name": "nobody"});
    let nobody = json!({"spec": {"targetRefs": [nobody]}});
    let refused = || says("WaypointAccepted", is_not_true);
    let binds = When::patch("services").name("pay").nth(1);
    scene.at(
        binds,
        Moment::Applied,
        spoils(policy, nobody, policy, refused),
    );
    let was = scene.halts(&APPLY, "bind", "WaypointAccepted")?;
    assert!(!scene.is_enrolled()?);
    let (kind, name) = policy;
    scene.journey.namespace().patch(kind, name, &was)?;
    scene.goes_back_over_it()
}

/// The switch of `pay` halts as this is done to its new pod: its route is not touched.
fn switch_halts(
    ready: impl Fn(&Value) -> bool + Copy + Send + Sync + 'static,
    patch: Value,
    spoiled: impl Fn(&Value) -> bool + Copy + Send + Sync + 'static,
    why: &str,
) -> Result {
    let scene = Scene::new()?;
    let deed = to_new_pod(scene.pods("pay")?, ready, patch, spoiled);
    let switch = When::patch("deployments.apps").name("pay").nth(1);
    scene.at(switch, Moment::Applied, deed);
    scene.halts(&APPLY, "switch/pay", why)?;
    assert!(scene.has(VIRTUAL_SERVICES, "pay")?);
    assert!(!scene.has(ROUTES, "pay")?);
    scene.goes_back()
}

#[test]
fn pods_that_keep_a_sidecar_halt_it() -> Result {
    let sidecar = json!({"metadata": {
        "labels": {"security.istio.io/tlsMode": "istio", "networking.istio.io/tunnel": "http"},
        "annotations": {"sidecar.istio.io/status": "{}"},
    }});
    let has = |pod: &Value| pod["metadata"]["annotations"]["sidecar.istio.io/status"] == "{}";
    switch_halts(|_| true, sidecar, has, "still has a sidecar")
}

#[test]
fn pods_that_ztunnel_does_not_take_halt_it() -> Result {
    let none = json!({"metadata": {"labels": {"istio.io/dataplane-mode": "none"}}});
    let why = "is not captured by ztunnel";
    switch_halts(is_captured, none, |pod| !is_captured(pod), why)
}

/// Whoever still has a sidecar in the namespace reads the VirtualService.
#[test]
fn a_sidecar_that_comes_late_halts_it() -> Result {
    let scene = Scene::new()?;
    // The first enrols it, the second has it inject no more.
    let second = When::patch("namespaces").name(scene.journey.name()).nth(2);
    scene.at(second, Moment::Before, late());
    scene.halts(&APPLY, "injection", "pod late")?;
    assert!(scene.has(VIRTUAL_SERVICES, "pay")?);
    assert!(!scene.has(ROUTES, "pay")?);
    scene.journey.namespace().delete("Pod", "late")?;
    scene.goes_back()
}

#[test]
fn a_route_that_is_not_resolved_halts_it() -> Result {
    let scene = Scene::new()?;
    let nobody = json!({"spec": {"rules": [{"backendRefs": [{"name": "nobody", "port": 80}]}]}});
    let route = (ROUTES, "pay");
    let unresolved = || says("ResolvedRefs", is_not_true);
    scene.once_made(ROUTES, "pay", spoils(route, nobody, route, unresolved));
    let was = scene.halts(&APPLY, "routes/pay", "ResolvedRefs")?;
    assert!(scene.has(VIRTUAL_SERVICES, "pay")?);
    let (kind, name) = route;
    scene.journey.namespace().patch(kind, name, &was)?;
    scene.goes_back_over_it()
}

#[test]
fn a_sidecar_that_comes_at_the_end_halts_it() -> Result {
    let scene = Scene::new()?;
    scene.at(
        When::delete(VIRTUAL_SERVICES).nth(1),
        Moment::Applied,
        late(),
    );
    scene.halts(&APPLY, "verify", "pod late")?;
    scene.journey.namespace().delete("Pod", "late")?;
    scene.journey.run(&["convert", "--resume"])?.exited(0)?;
    scene.goes_back()
}

/// What was looked at before the lock was held may have changed until then.
#[test]
fn a_sidecar_that_comes_back_keeps_its_policies() -> Result {
    let scene = Scene::new()?;
    scene.journey.run(&APPLY)?.exited(0)?;
    let locks = When::write_to("leases.coordination.k8s.io").nth(1);
    scene.at(locks, Moment::Before, late());
    let finish = ["convert", "--finish", "--timeout", "4s", "-o", "json"];
    scene.halts(&finish, "finish", "pod late")?;
    assert!(scene.has(POLICIES, "pay-admin")?);
    scene.journey.namespace().delete("Pod", "late")?;
    scene.journey.run(&["convert", "--resume"])?.exited(0)?;
    scene.journey.run(&["convert", "--finish"])?.exited(0)?;
    assert!(!scene.has(POLICIES, "pay-admin")?);
    scene.goes_back()
}
