//! The lock over a server that keeps one Lease.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::client::scripted::{Exchange, Scripted, Seen};

const PATH: &str = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/kubectl-ambient";

/// A server that keeps one Lease, and forgets the answers to its first writes.
#[derive(Clone, Default)]
struct Server {
    lease: Arc<Mutex<Option<Value>>>,
    lost: Arc<Mutex<usize>>,
    /// Nothing is carried out.
    away: Arc<AtomicBool>,
}

impl Server {
    fn holding(holder: &str, renewed: Timestamp) -> Self {
        let server = Self::default();
        server.put(holder, renewed, "1");
        server
    }

    fn put(&self, holder: &str, renewed: Timestamp, version: &str) {
        *self.lease.lock().unwrap() = Some(json!({
            "metadata": { "name": NAME, "uid": "u", "resourceVersion": version },
            "spec": {
                "holderIdentity": holder, "leaseDurationSeconds": 30, "leaseTransitions": 4,
                "acquireTime": "2026-01-02T03:04:05.000000Z", "renewTime": micro_time(renewed),
            },
        }));
    }

    fn lease(&self) -> Option<Value> {
        self.lease.lock().unwrap().clone()
    }

    fn script(&self, first: impl IntoIterator<Item = Exchange>) -> Scripted {
        let server = self.clone();
        Scripted::answering(first, move |request| server.answer(request))
    }

    fn answer(&self, request: &Seen) -> (u16, String) {
        if self.away.load(Ordering::Relaxed) {
            return (502, String::new());
        }
        let mut lease = self.lease.lock().unwrap();
        let sent: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let answer = match (request.method.as_str(), lease.as_mut()) {
            ("GET", Some(lease)) => return (200, lease.to_string()),
            ("GET" | "PATCH" | "DELETE", None) => return (404, String::new()),
            ("POST", Some(_)) => {
                return (
                    409,
                    json!({ "kind": "Status", "reason": "AlreadyExists" }).to_string(),
                );
            }
            ("POST", None) => {
                let mut made = sent;
                made["metadata"]["uid"] = json!("u");
                made["metadata"]["resourceVersion"] = json!("1");
                *lease = Some(made.clone());
                made
            }
            ("PATCH", Some(lease)) => {
                let version = lease["metadata"]["resourceVersion"].clone();
                if sent["metadata"]["resourceVersion"] != version {
                    return (409, String::new());
                }
                for (name, value) in sent["spec"].as_object().unwrap() {
                    lease["spec"][name] = value.clone();
                }
                let next: u64 = version.as_str().unwrap().parse().unwrap();
                lease["metadata"]["resourceVersion"] = json!((next + 1).to_string());
                lease.clone()
            }
            (_, Some(found)) => {
                let version = &sent["preconditions"]["resourceVersion"];
                if *version != found["metadata"]["resourceVersion"] {
                    return (409, String::new());
                }
                *lease = None;
                json!({})
            }
            (method, None) => panic!("{method}"),
        };
        let mut lost = self.lost.lock().unwrap();
        if *lost > 0 {
            *lost -= 1;
            return (504, String::new());
        }
        (200, answer.to_string())
    }
}

async fn acquire(script: &Scripted) -> Result<Lock, LockError> {
    let client = Arc::new(script.client());
    Lock::acquire(
        &client,
        "shop",
        &Holder::from("jane@laptop 1"),
        LockTimes::default(),
    )
    .await
}

fn ago(seconds: i64) -> Timestamp {
    Timestamp::now() - jiff::SignedDuration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn a_free_namespace_is_locked_renewed_and_given_back() {
    let server = Server::default();
    let script = server.script([]);
    let lock = acquire(&script).await.unwrap();
    let made = server.lease().unwrap();
    assert_eq!(made["spec"]["holderIdentity"], "jane@laptop 1");
    assert_eq!(made["spec"]["leaseDurationSeconds"], 30);

    tokio::time::sleep(Duration::from_secs(95)).await;
    assert_eq!(lock.still_held(), Ok(()));
    let renewed = server.lease().unwrap();
    assert_eq!(renewed["metadata"]["resourceVersion"], "10");
    assert_eq!(renewed["spec"]["acquireTime"], made["spec"]["acquireTime"]);

    lock.release().await;
    assert_eq!(server.lease(), None);
}

#[tokio::test(start_paused = true)]
async fn a_running_lease_is_left_to_its_holder() {
    let server = Server::holding("joe@desk 7", ago(20));
    let before = server.lease();
    let error = acquire(&server.script([])).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "namespace shop is locked by joe@desk 7, since 2026-01-02 03:04:05 UTC"
    );
    assert_eq!(Error::from(error).exit, Exit::Negative);
    assert_eq!(server.lease(), before);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_lease_is_taken_over_and_counted() {
    for seconds in [40, 100_000] {
        let server = Server::holding("joe@desk 7", ago(seconds));
        let began = Instant::now();
        let lock = acquire(&server.script([])).await.unwrap();
        assert!(began.elapsed() >= Duration::from_secs(30), "{seconds}");
        let lease = server.lease().unwrap();
        assert_eq!(lease["spec"]["holderIdentity"], "jane@laptop 1");
        assert_eq!(lease["spec"]["leaseTransitions"], 5);
        lock.release().await;
        assert_eq!(server.lease(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_holder_whose_clock_is_behind_keeps_the_lock() {
    // By a few seconds, or by days; whatever keeps him from renewing before the last moment.
    for (behind, renews) in [(40, 8), (40, 29), (100_000, 8), (100_000, 29)] {
        let server = Server::holding("joe@desk 7", ago(behind));
        let script = server.script([]);
        let renewal = async {
            tokio::time::sleep(Duration::from_secs(renews)).await;
            server.put("joe@desk 7", ago(behind), "2");
        };
        let (outcome, ()) = tokio::join!(acquire(&script), renewal);
        assert!(
            matches!(outcome, Err(LockError::Held { .. })),
            "{behind} s behind, renewed after {renews} s"
        );
        let lease = server.lease().unwrap();
        assert_eq!(lease["spec"]["holderIdentity"], "joe@desk 7");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_who_lock_at_once_one_wins() {
    let server = Server::holding("joe@desk 7", Timestamp::now());
    // Joe's Lease is made between our look and our own creation.
    let script = server.script([Exchange::get(PATH).refuse(404, "not found")]);
    assert!(matches!(
        acquire(&script).await,
        Err(LockError::Held { .. })
    ));

    // Joe takes the abandoned Lease before our patch arrives.
    let server = Server::holding("ann@desk 1", ago(100_000));
    let script =
        server.script([Exchange::get(PATH).answer(200, server.lease().unwrap().to_string())]);
    server.put("joe@desk 7", Timestamp::now(), "2");
    assert!(matches!(
        acquire(&script).await,
        Err(LockError::Held { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_in_the_lease() {
    let server = Server::default();
    *server.lost.lock().unwrap() = 1;
    let lock = acquire(&server.script([])).await.unwrap();
    // The answer to a renewal is lost as well.
    *server.lost.lock().unwrap() = 1;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(lock.still_held(), Ok(()));
    lock.release().await;
    assert_eq!(server.lease(), None);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_taken_away_is_lost_and_left_alone() {
    let server = Server::default();
    let script = server.script([]);
    let lock = acquire(&script).await.unwrap();
    server.put("joe@desk 7", Timestamp::now(), "9");
    let loss = lock.when_lost().await;
    assert_eq!(
        loss.to_string(),
        "the lock of namespace shop was taken away: joe@desk 7 holds it"
    );
    assert_eq!(lock.still_held(), Err(loss));
    lock.release().await;
    assert!(server.lease().is_some());

    let server = Server::default();
    let lock = acquire(&server.script([])).await.unwrap();
    *server.lease.lock().unwrap() = None;
    let loss = lock.when_lost().await.to_string();
    assert!(loss.ends_with("it was deleted"), "{loss}");
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_cannot_be_renewed_is_lost_when_its_time_is_over() {
    let server = Server::default();
    let lock = acquire(&server.script([])).await.unwrap();
    server.away.store(true, Ordering::Relaxed);
    let began = Instant::now();
    let loss = lock.when_lost().await;
    assert!(
        loss.to_string().contains("could not be renewed in time: "),
        "{loss}"
    );
    assert!(began.elapsed() <= Duration::from_secs(40));
}

#[tokio::test(start_paused = true)]
async fn what_someone_only_edited_is_still_ours() {
    let server = Server::default();
    let lock = acquire(&server.script([])).await.unwrap();
    {
        let mut lease = server.lease.lock().unwrap();
        let lease = lease.as_mut().unwrap();
        lease["metadata"]["labels"]["team"] = json!("shop");
        lease["metadata"]["resourceVersion"] = json!("7");
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(lock.still_held(), Ok(()));
    lock.release().await;
    assert_eq!(server.lease(), None);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_not_there_cannot_be_locked() {
    let script = Scripted::new([
        Exchange::get(PATH).refuse(404, "not found"),
        Exchange::post(
            "/apis/coordination.k8s.io/v1/namespaces/shop/leases?fieldManager=kubectl-ambient&fieldValidation=Strict",
        )
        .refuse(404, "namespaces \"shop\" not found"),
    ]);
    let error = acquire(&script).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot lock namespace shop: cannot create leases/kubectl-ambient in shop: namespaces \"shop\" not found"
    );
    script.done();
}
