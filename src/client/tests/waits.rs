//! Watches, and waits built on them.

use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::client::scripted::{Exchange, Scripted};
use crate::client::{ClientError, ListRequest, Objects, Waited, WatchEvent, WatchRequest};

const LIST: &str = "/api/v1/namespaces/shop/pods?labelSelector=app%3Dcart";

fn pods() -> ListRequest {
    ListRequest {
        version: "v1".to_owned(),
        plural: "pods".to_owned(),
        namespace: Some("shop".to_owned()),
        label_selector: Some("app=cart".to_owned()),
        ..ListRequest::default()
    }
}

fn pod(name: &str) -> Value {
    json!({ "metadata": { "namespace": "shop", "name": name } })
}

fn list(version: &str, names: &[&str]) -> Exchange {
    let items: Vec<Value> = names.iter().map(|name| pod(name)).collect();
    let body = json!({ "metadata": { "resourceVersion": version }, "items": items });
    Exchange::get(LIST).answer(200, body.to_string())
}

fn watch(version: &str, seconds: u64) -> Exchange {
    Exchange::get(format!(
        "{LIST}&watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={seconds}"
    ))
}

fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({ "type": kind, "object": object }))
}

/// Waits for two pods.
async fn two(script: &Scripted, seconds: u64) -> Result<Waited<usize>, ClientError> {
    let client = script.client();
    let mut judge = |objects: &Objects| (objects.len() >= 2).then_some(objects.len());
    let within = Duration::from_secs(seconds);
    client.wait_for(&pods(), within, &mut judge).await
}

#[tokio::test(start_paused = true)]
async fn a_watch_hands_out_each_change_until_enough_is_seen() {
    let bookmark = json!({ "metadata": { "resourceVersion": "9" } });
    let lines = [
        line("ADDED", &pod("a")),
        line("MODIFIED", &pod("a")),
        line("BOOKMARK", &bookmark),
        line("DELETED", &pod("a")),
        line("ADDED", &pod("never seen")),
    ];
    let script = Scripted::new([watch("7", 60).begin(lines.concat())]);
    let mut seen = Vec::new();
    let request = WatchRequest {
        list: pods(),
        resource_version: "7".to_owned(),
        within: Duration::from_secs(60),
    };
    let mut take = |event: WatchEvent| {
        let last = matches!(event, WatchEvent::Deleted(_));
        seen.push(event);
        if last {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    assert_eq!(script.client().watch(&request, &mut take).await, Ok(()));
    assert_eq!(
        seen,
        [
            WatchEvent::Added(pod("a")),
            WatchEvent::Modified(pod("a")),
            WatchEvent::Bookmark("9".to_owned()),
            WatchEvent::Deleted(pod("a")),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_watch_is_ended_and_holds_no_permit() {
    let watches = std::iter::repeat_n(watch("7", 60).begin(""), 7);
    let get = Exchange::get("/api/v1/namespaces/shop/pods/a");
    let script = Scripted::new(watches.chain([get]));
    let client = script.client();
    let request = WatchRequest {
        list: pods(),
        resource_version: "7".to_owned(),
        within: Duration::from_secs(60),
    };
    let silent = async || {
        let mut take = |_| ControlFlow::Continue(());
        client.watch(&request, &mut take).await
    };
    let target = crate::client::Target {
        version: "v1".to_owned(),
        plural: "pods".to_owned(),
        namespace: Some("shop".to_owned()),
        name: "a".to_owned(),
        ..crate::client::Target::default()
    };
    let started = Instant::now();
    let read = async {
        tokio::task::yield_now().await;
        let read = client.read_object(&target).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        read
    };
    let watches = futures_util::future::join_all((0..7).map(|_| silent()));
    let (watched, read) = tokio::join!(watches, read);
    assert!(watched.iter().all(Result::is_ok));
    assert_eq!(read, Ok(Some(json!({}))));
    assert_eq!(started.elapsed(), Duration::from_secs(65));
    script.done();
}

#[tokio::test(start_paused = true)]
async fn what_is_so_already_is_not_watched() {
    let script = Scripted::new([list("7", &["a", "b"])]);
    assert_eq!(two(&script, 60).await, Ok(Waited::Met(2)));
    script.done();
}

#[tokio::test(start_paused = true)]
async fn the_metadata_of_nothing_is_an_empty_list() {
    let nothing = r#"{"metadata":{"resourceVersion":"7"},"items":null}"#;
    let script = Scripted::new([Exchange::get(LIST).answer(200, nothing)]);
    assert_eq!(script.client().objects(&pods()).await, Ok(Objects::new()));
}

#[tokio::test(start_paused = true)]
async fn a_change_ends_the_wait_at_once() {
    let script = Scripted::new([
        list("7", &["a"]),
        watch("7", 30).begin(line("ADDED", &pod("b"))),
    ]);
    let started = Instant::now();
    assert_eq!(two(&script, 60).await, Ok(Waited::Met(2)));
    assert_eq!(started.elapsed(), Duration::ZERO);
    script.done();
}

#[tokio::test(start_paused = true)]
async fn an_expired_or_ended_watch_begins_anew_with_a_list() {
    let expired = json!({ "kind": "Status", "code": 410, "message": "too old resource version" });
    for ended in [
        watch("7", 30).answer(200, line("ERROR", &expired)),
        watch("7", 30).refuse(410, "too old resource version"),
        watch("7", 30).answer(200, ""),
        watch("7", 30).break_off(),
        watch("7", 30).refuse(429, "slow down"),
    ] {
        let script = Scripted::new([list("7", &["a"]), ended, list("9", &["a", "b"])]);
        assert_eq!(two(&script, 60).await, Ok(Waited::Met(2)));
        script.done();
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_watch_the_list_is_repeated_at_growing_pauses() {
    let lists = std::iter::repeat_n(list("7", &["a"]), 4);
    let script = Scripted::new(lists.chain([
        watch("7", 30).refuse(403, "no watching"),
        list("8", &["a", "b"]),
    ]));
    let started = Instant::now();
    assert_eq!(two(&script, 60).await, Ok(Waited::Met(2)));
    // 0.5 + 1 + 2 + 4 s.
    assert_eq!(started.elapsed(), Duration::from_millis(7500));
    script.done();
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_in_time_with_what_was_last_seen() {
    let script = Scripted::new([
        list("7", &["a"]),
        watch("7", 10).begin(""),
        list("8", &["b"]),
    ]);
    let started = Instant::now();
    let Ok(Waited::Over(objects)) = two(&script, 10).await else {
        panic!("there is one pod")
    };
    assert_eq!(started.elapsed(), Duration::from_secs(10));
    assert_eq!(objects.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_waited_for() {
    let away = std::iter::repeat_n(Exchange::get(LIST).unconnected(), 8);
    let script = Scripted::new(away.chain([list("7", &["a", "b"])]));
    assert_eq!(two(&script, 60).await, Ok(Waited::Met(2)));

    let script = Scripted::new(std::iter::repeat_n(Exchange::get(LIST).unconnected(), 40));
    let started = Instant::now();
    assert!(matches!(
        two(&script, 10).await,
        Err(ClientError::Unreachable { .. })
    ));
    assert!(started.elapsed() <= Duration::from_secs(15));

    let script = Scripted::new([Exchange::get(LIST).refuse(403, "no")]);
    assert!(matches!(
        two(&script, 10).await,
        Err(ClientError::Forbidden { .. })
    ));
}
