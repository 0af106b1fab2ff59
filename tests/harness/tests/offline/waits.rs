//! Waiting and recording, through watches that end, break and expire.

use std::time::Duration;

use harness::fault::{At, Fault, FaultProxy, When};
use harness::{Cluster, Condition, Event, History, Recorder, Result, exists, gone, pods_ready};
use serde_json::{Value, json};

use crate::fake_api::FakeApi;

fn proxied() -> Result<(FakeApi, FaultProxy, Cluster)> {
    let api = FakeApi::start();
    let proxy = FaultProxy::start(&api.kubeconfig())?;
    let cluster = Cluster::of(proxy.kubeconfig())?;
    Ok((api, proxy, cluster))
}

fn data(n: u32) -> Value {
    json!({"metadata": {"uid": "u"}, "data": {"n": n}})
}

fn at(n: u32) -> Condition {
    Condition::of(format!("to be at {n}"), move |map| {
        if map["data"]["n"] == n {
            Ok(())
        } else {
            Err(format!("at {}", map["data"]["n"]))
        }
    })
}

#[test]
fn waiting_ends_when_it_is_so() -> Result {
    let (api, proxy, cluster) = proxied()?;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| cluster.wait("ConfigMap", "shop", "a", &at(2)));
        proxy.wait_for(&When::watch("configmaps"), 1)?;
        for n in 1..=2 {
            api.put("configmaps", "shop", "a", data(n));
        }
        assert_eq!(waiting.join().unwrap()?["data"]["n"], 2);
        cluster.wait("ConfigMap", "shop", "a", &exists())?;
        let waiting = scope.spawn(|| cluster.wait("ConfigMap", "shop", "a", &gone()));
        proxy.wait_for(&When::watch("configmaps"), 2)?;
        api.remove("configmaps", "shop", "a");
        assert_eq!(waiting.join().unwrap()?, Value::Null);
        Ok(())
    })
}

#[test]
fn waiting_survives_what_happens_to_watches() -> Result {
    for fault in [
        Fault::end_watch(0),
        Fault::fail_watch(0, 410),
        Fault::status(410),
        Fault::status(503),
        Fault::cut(At::Request),
        Fault::cut(At::Head),
        Fault::cut(At::BodyAfter(20)),
    ] {
        let (api, proxy, cluster) = proxied()?;
        let told = format!("{fault}");
        let rule = proxy.rule(When::watch("configmaps").to(2), fault);
        api.put("configmaps", "shop", "a", data(1));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| cluster.wait("ConfigMap", "shop", "a", &at(2)));
            // A break within the body needs a body.
            api.put("configmaps", "shop", "a", data(0));
            rule.wait(1)?;
            api.put("configmaps", "shop", "a", data(2));
            let found = waiting.join().unwrap();
            found.map_err(|error| error.with(&told).with(proxy.log()))
        })?;
    }
    Ok(())
}

#[test]
fn waiting_in_vain_tells_what_was_seen() -> Result {
    let (api, _proxy, cluster) = proxied()?;
    let moment = Duration::from_millis(200);
    let wait =
        |condition: &Condition| cluster.wait_within(moment, "ConfigMap", "shop", "a", condition);
    let error = wait(&at(2)).unwrap_err().to_string();
    assert!(
        error.starts_with(
            "waited 0.2 s for ConfigMap shop/a to be at 2: it does not exist\nlast seen: nothing"
        ),
        "{error}"
    );
    assert!(
        error.contains("at tests/harness/tests/offline/waits.rs:"),
        "{error}"
    );
    api.put("configmaps", "shop", "a", data(1));
    let error = wait(&at(2)).unwrap_err().to_string();
    assert!(error.contains("to be at 2: at 1\nlast seen: {"), "{error}");
    Ok(())
}

#[test]
fn pods_are_waited_for_together() -> Result {
    let (api, _proxy, cluster) = proxied()?;
    let pod = |ready: bool| {
        json!({
            "spec": {
                "containers": [{"name": "app"}],
                "initContainers": [
                    {"name": "setup"}, {"name": "istio-proxy", "restartPolicy": "Always"},
                ],
            },
            "status": {
                "phase": "Running",
                "containerStatuses": [{"name": "app", "ready": ready}],
                "initContainerStatuses": [
                    {"name": "setup", "ready": true}, {"name": "istio-proxy", "ready": true},
                ],
            },
        })
    };
    api.put("pods", "shop", "one", pod(true));
    api.put("pods", "shop", "two", pod(false));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| cluster.wait_all("Pod", "shop", "", &pods_ready(2, "2/2")));
        api.put("pods", "shop", "two", pod(true));
        assert_eq!(waiting.join().unwrap()?.len(), 2);
        let verdict = pods_ready(1, "2/2").decide(&[pod(false)]).unwrap_err();
        assert_eq!(verdict, "1 pods: (no name) 1/2 Running");
        Ok(())
    })
}

fn told(history: &History) -> Vec<(Event, u64)> {
    let moments = history.moments().iter();
    moments
        .map(|moment| (moment.event, moment.version))
        .collect()
}

#[test]
fn a_recording_has_every_change_in_order() -> Result {
    let (api, proxy, cluster) = proxied()?;
    api.put("configmaps", "shop", "a", data(1));
    // The watches end again and again, in all ways that lose nothing.
    proxy.rule(When::watch("configmaps").nth(1), Fault::end_watch(1));
    proxy.rule(
        When::watch("configmaps").nth(2),
        Fault::cut(At::BodyAfter(30)),
    );
    proxy.rule(When::watch("configmaps").nth(3), Fault::status(503));
    let recorder = Recorder::of(&cluster, &["ConfigMap", "Pod"], &["shop"])?;
    api.put("configmaps", "shop", "a", data(2));
    api.put("pods", "shop", "p", json!({}));
    api.put("configmaps", "shop", "b", data(3));
    api.put("configmaps", "elsewhere", "c", data(3));
    api.remove("configmaps", "shop", "a");
    let history = recorder.history()?;
    assert_eq!(
        told(&history),
        [
            (Event::Present, 1),
            (Event::Changed, 2),
            (Event::Created, 3),
            (Event::Created, 4),
            (Event::Deleted, 6),
        ],
        "{}",
        history.told()
    );
    assert_eq!(told(&history.of("ConfigMap", "b")), [(Event::Created, 4)]);
    assert_eq!(
        told(&history.of_kind("Pod").changes()),
        [(Event::Created, 3)]
    );
    assert_eq!(history.states().count(), 5);
    history.always("some map", |state| {
        state.of_kind("ConfigMap").next().is_some()
    })?;
    let error = history
        .always("a is there", |state| state.get("ConfigMap", "a").is_some())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("not always a is there: not after Deleted ConfigMap shop/a (version 6)"),
        "{error}"
    );
    Ok(())
}

#[test]
fn open_watches_are_ended_when_the_test_says_so() -> Result {
    let (api, proxy, cluster) = proxied()?;
    let recorder = Recorder::of(&cluster, &["ConfigMap", "Pod"], &["shop"])?;
    let (maps, pods) = (When::watch("configmaps"), When::watch("pods"));
    for ended in 1..=3 {
        proxy.wait_for_watches(&maps, 1)?;
        assert_eq!(proxy.end_watches(&maps), 1);
        proxy.wait_for(&maps, ended + 1)?;
        api.put("configmaps", "shop", "a", data(1));
    }
    let log = proxy.log();
    assert_eq!(log.matching(&pods).len(), 1, "the others go on\n{log}");
    assert_eq!(recorder.history()?.of_kind("ConfigMap").moments().len(), 3);
    Ok(())
}

#[test]
fn lost_history_is_an_error() -> Result {
    let (api, proxy, cluster) = proxied()?;
    api.put("configmaps", "shop", "a", data(1));
    let rule = proxy.rule(
        When::watch("configmaps").to(1),
        Fault::status(503).delayed(Duration::from_millis(200)),
    );
    let recorder = Recorder::of(&cluster, &["ConfigMap"], &["shop"])?;
    rule.wait(1)?;
    api.put("configmaps", "shop", "a", data(2));
    api.put("configmaps", "shop", "a", data(3));
    api.compact();
    let error = recorder.history().unwrap_err().to_string();
    assert!(
        error.contains("the recording of ConfigMap in shop: what followed version 1 is lost"),
        "{error}"
    );
    Ok(())
}
