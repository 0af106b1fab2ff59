//! Runs that are killed, after every single write in turn: they go on to the same end, and back to the
//! same start.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use harness::fault::{Fault, Moment, Request, When};
use harness::{ControlPlane, Error, Result, Signal, gone};
use serde_json::{Value, json};

use crate::invariants::{self, Needs};
use crate::journey::{Journey, LEASES, same};
use crate::wealist::{self, PODS};

/// What is moved.
#[derive(Clone, Copy)]
struct Ground {
    lay: for<'p> fn(&'p ControlPlane) -> Result<Journey<'p>>,
    needs: for<'j> fn(&'j Journey<'_>) -> Needs<'j>,
    pods: usize,
    /// How many namespaces are moved side by side.
    side_by_side: usize,
    /// Resources of which some are written.
    written: &'static [&'static str],
}

const SHOP: Ground = Ground {
    lay: |plane| Journey::shop(plane),
    needs: |journey| journey.shop_needs(),
    pods: 2,
    side_by_side: 6,
    // Every kind of step is among them.
    written: &[
        "networkpolicies",
        "deployments",
        "gateways",
        "authorizationpolicies",
        "services",
        "namespaces",
        "httproutes",
        "virtualservices",
        "configmaps",
        "leases",
    ],
};

const WEALIST: Ground = Ground {
    lay: |plane| {
        let journey = Journey::wealist(plane, &json!({"istio-injection": "enabled"}))?;
        Ok(journey.leased_for("8"))
    },
    needs: |journey| journey.wealist_needs(),
    pods: PODS,
    side_by_side: 6,
    written: &["deployments", "statefulsets", "gateways", "namespaces"],
};

/// Sidecars without HBONE in the other namespaces are accepted.
const APPLY: [&str; 6] = [
    "convert",
    "--apply",
    "--guard",
    "closed",
    "--accept",
    "AMB106=they are those of other tracks",
];
const FINISH: [&str; 2] = ["convert", "--finish"];
const RESUME: [&str; 2] = ["convert", "--resume"];
const ROLLBACK: [&str; 1] = ["rollback"];

type Snapshot = BTreeMap<String, Value>;

/// A write of the run, as it is found again in another: the journal's maps are called otherwise each
/// time.
#[derive(Debug, Clone)]
struct Cut {
    verb: String,
    resource: String,
    name: Option<String>,
    /// The how many-th of its like.
    nth: u64,
}

impl Cut {
    /// All writes of a run but renewals of its Lease, which come when they come.
    fn all(requests: &[&Request]) -> Vec<Self> {
        let mut cuts: Vec<Self> = Vec::new();
        for request in requests {
            let is_lease = request.resource == "leases";
            if is_lease && request.verb == "patch" {
                continue;
            }
            let is_journal = request.resource == "configmaps";
            let mut cut = Self {
                verb: request.verb.clone(),
                resource: request.resource.clone(),
                name: request.name.clone().filter(|_| !is_journal),
                nth: 1,
            };
            let like = |one: &&Self| {
                (&one.verb, &one.resource, &one.name) == (&cut.verb, &cut.resource, &cut.name)
            };
            cut.nth += u64::try_from(cuts.iter().filter(like).count()).unwrap_or(0);
            cuts.push(cut);
        }
        cuts
    }

    fn when(&self, journey: &Journey<'_>) -> When {
        let group = |plural: &str| match plural {
            "deployments" => "deployments.apps".to_owned(),
            "leases" => "leases.coordination.k8s.io".to_owned(),
            "gateways" | "httproutes" => format!("{plural}.gateway.networking.k8s.io"),
            other => other.to_owned(),
        };
        let resource = group(&self.resource);
        let when = match self.verb.as_str() {
            "create" => When::create(&resource),
            "update" => When::update(&resource),
            "delete" => When::delete(&resource),
            _ => When::patch(&resource),
        };
        let when = match self.name.as_deref() {
            // The namespace is called otherwise each time, too.
            Some(_) if self.resource == "namespaces" => when.name(journey.name()),
            Some(name) => when.name(name),
            None => when,
        };
        when.nth(self.nth)
    }
}

/// A namespace with what it is like before a move and after it.
struct Track<'p> {
    ground: Ground,
    journey: Journey<'p>,
    start: Snapshot,
    moved: Snapshot,
    finished: Snapshot,
}

impl<'p> Track<'p> {
    /// Moves a new namespace there and back, undisturbed; gives the writes of the way there.
    fn lay(ground: Ground, plane: &'p ControlPlane) -> Result<(Self, Vec<Cut>)> {
        let journey = (ground.lay)(plane)?;
        let start = journey.snapshot()?;
        let proxy = plane.faults()?;
        without_hbone(&journey)?;
        journey.run_through(&proxy, &APPLY)?.exited(0)?;
        let moved = journey.snapshot()?;
        journey.run_through(&proxy, &FINISH)?.exited(0)?;
        let log = proxy.log();
        let track = Self {
            ground,
            finished: journey.snapshot()?,
            journey,
            start,
            moved,
        };
        assert_ne!(track.start, track.moved);
        assert_ne!(track.moved, track.finished);
        track.go_back("undisturbed")?;
        Ok((track, Cut::all(&log.writes())))
    }

    fn go_back(&self, what: &str) -> Result {
        let done = self.journey.run_when_free(&ROLLBACK)?;
        // What was killed before its journal was begun left nothing.
        if done.code() == Some(1) && is_as(&self.start, &self.journey)? {
            return Ok(());
        }
        let done = done.exited(0)?;
        // Its Deployment and pods follow by themselves.
        let gateway = "gateway.networking.k8s.io/gateway-name";
        self.journey.namespace().wait_all("Pod", gateway, &gone())?;
        self.journey
            .namespace()
            .wait_all("Service", gateway, &gone())?;
        self.journey
            .is_as(&self.start, &format!("{what}: back\n{done}"))?;
        self.journey.has_pods(self.ground.pods, "2/2")
    }

    /// Begins a move that is killed at a write; gives what was killed, and what it is like when it has
    /// gone on to its end.
    fn is_killed(&self, cut: &Cut) -> Result<(&[&str], &Snapshot)> {
        without_hbone(&self.journey)?;
        // What was killed before its journal was begun left its lock, and nothing to take back.
        self.journey.namespace().delete(LEASES, "kubectl-ambient")?;
        let proxy = self.journey.plane.faults()?;
        let kill = Fault::signal(Signal::Kill, Moment::Applied);
        let rule = proxy.rule(cut.when(&self.journey), kill);
        for (words, end) in [(&APPLY[..], &self.moved), (&FINISH, &self.finished)] {
            let done = self.journey.run_through(&proxy, words)?;
            if rule.done() > 0 {
                assert_eq!(done.signal(), Some(9), "{cut:?}: {done}");
                return Ok((words, end));
            }
            done.exited(0)?;
        }
        Err(Error::new(format!("it never came to {cut:?}")))
    }

    /// Both ways from a cut.
    fn cut(&self, cut: &Cut) -> Result {
        let what = format!("{} killed at {cut:?}", self.journey.name());
        self.is_killed(cut)?;
        self.go_back(&what)?;
        let (words, end) = self.is_killed(cut)?;
        let done = self.journey.run_when_free(&RESUME)?;
        if done.code() == Some(1) {
            // Its journal was not begun, or all was done and only the lock was still to be given back.
            assert!(done.stderr.contains("no open run"), "{what}: {done}");
            self.journey.run_when_free(words)?.exited(0)?;
        } else {
            done.exited(0)?;
        }
        same(end, &self.journey.snapshot()?, &what)?;
        self.journey.has_pods(self.ground.pods, "1/1")?;
        self.go_back(&what)
    }
}

fn is_as(then: &Snapshot, journey: &Journey<'_>) -> Result<bool> {
    Ok(*then == journey.snapshot()?)
}

/// As sidecars were before they took HBONE, so that there is a workload to restart for that.
fn without_hbone(journey: &Journey<'_>) -> Result {
    for pod in journey.namespace().list("Pod")? {
        if pod["metadata"]["labels"]["app"] == "pay" {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            let patch = json!({"metadata": {"labels": {"networking.istio.io/tunnel": null}}});
            journey.namespace().patch("Pod", name, &patch)?;
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "all of them take most of an hour")]
fn is_over(cut: usize, cuts: usize) {
    println!("cut {cut} of {cuts} is over");
}

/// Tries one cut in so many.
fn cut_in(ground: Ground, every: usize) -> Result {
    // One of its own: sidecars without HBONE stand in the way of other tests.
    let plane = &ControlPlane::start(&wealist::options())?;
    let (first, cuts) = Track::lay(ground, plane)?;
    for resource in ground.written {
        let has = cuts.iter().any(|cut| cut.resource == *resource);
        assert!(has, "{resource}: {cuts:#?}");
    }
    let next = AtomicUsize::new(0);
    let failures: Mutex<Vec<Error>> = Mutex::default();
    let work = |track: &Track<'_>| -> Result {
        let recorder = track.journey.record()?;
        loop {
            let position = next.fetch_add(every, Ordering::Relaxed);
            let Some(cut) = cuts.get(position) else { break };
            track.cut(cut)?;
            is_over(position + 1, cuts.len());
        }
        invariants::hold(&recorder.history()?, (ground.needs)(&track.journey))
    };
    let failed = |error: Error| {
        failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(error);
    };
    std::thread::scope(|scope| {
        for _ in 1..ground.side_by_side {
            scope.spawn(|| {
                let done = Track::lay(ground, plane).and_then(|(track, _)| work(&track));
                done.unwrap_or_else(failed);
            });
        }
        work(&first).unwrap_or_else(failed);
    });
    let failures = failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let failures: Vec<String> = failures.iter().map(Error::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    Ok(())
}

/// One cut in five is tried each time; all of them, and those of wealist, by `make soak`.
#[test]
fn a_run_that_is_killed_after_any_write_goes_on_and_back() -> Result {
    if std::env::var_os("KUBECTL_AMBIENT_EVERY_CUT").is_none() {
        return cut_in(SHOP, 5);
    }
    cut_in(SHOP, 1)?;
    cut_in(WEALIST, 1)
}
