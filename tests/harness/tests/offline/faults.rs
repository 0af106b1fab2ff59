//! Every fault does what it says.

use std::time::{Duration, Instant};

use harness::fault::{At, Fault, FaultProxy, When};
use harness::{Cluster, Result};
use serde_json::{Value, json};

use crate::fake_api::FakeApi;
use crate::raw;

const PODS: &str = "/api/v1/namespaces/shop/pods";
/// Long for loopback; spent only where nothing is to come.
const MOMENT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);

fn proxied() -> Result<(FakeApi, FaultProxy, Cluster)> {
    let api = FakeApi::start();
    let proxy = FaultProxy::start(&api.kubeconfig())?;
    let cluster = Cluster::of(proxy.kubeconfig())?;
    Ok((api, proxy, cluster))
}

fn statuses(cluster: &Cluster, path: &str, times: usize) -> Vec<u16> {
    (0..times)
        .map(|_| match cluster.raw(path) {
            Ok(_) => 200,
            Err(error) => error.status().unwrap_or(0),
        })
        .collect()
}

fn config_map(value: u32) -> String {
    format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, namespace: shop}}, data: {{n: '{value}'}}}}"
    )
}

#[test]
fn without_rules_everything_passes() -> Result {
    let (api, proxy, cluster) = proxied()?;
    cluster.apply(&config_map(1))?;
    assert_eq!(
        api.object("configmaps", "shop", "a").unwrap()["data"]["n"],
        "1"
    );
    assert_eq!(cluster.list("ConfigMap", Some("shop"))?.len(), 1);
    assert_eq!(cluster.get("Pod", "shop", "none")?, None);
    // Packed by the server, unpacked by the client.
    assert_eq!(cluster.raw("/packed")?, json!({"packed": true}));

    let log = proxy.log();
    let [write] = log.writes()[..] else {
        panic!("{log}");
    };
    assert_eq!(
        (
            write.verb.as_str(),
            write.resource.as_str(),
            write.field_manager()
        ),
        ("patch", "configmaps", Some("harness"))
    );
    assert_eq!(
        (write.namespace.as_deref(), write.name.as_deref()),
        (Some("shop"), Some("a"))
    );
    assert_eq!(write.body.as_ref().unwrap()["data"]["n"], "1");
    assert!(write.finished && write.sent > 0 && write.received > 0 && write.status == Some(200));
    let packed = log.matching(&When::path("/packed"));
    assert_eq!(packed[0].received, 35, "as transferred, not as unpacked");
    Ok(())
}

#[test]
fn a_watch_streams() -> Result {
    let (api, proxy, cluster) = proxied()?;
    let recorder = harness::Recorder::of(&cluster, &["ConfigMap"], &["shop"])?;
    proxy.wait_for(&When::watch("configmaps"), 1)?;
    for n in 1..=3 {
        api.put("configmaps", "shop", "a", json!({"data": {"n": n}}));
    }
    cluster.wait(
        "ConfigMap",
        "shop",
        "a",
        &harness::Condition::that("at 3", |map| map["data"]["n"] == 3),
    )?;
    assert_eq!(recorder.history()?.moments().len(), 3);
    Ok(())
}

#[test]
fn a_status_with_and_without_retry_after() -> Result {
    let (_api, proxy, cluster) = proxied()?;
    proxy.rule(When::list("pods").to(1), Fault::status(503).retry_after(7));
    proxy.rule(
        When::list("pods").nth(2),
        Fault::status(429).message("slow down"),
    );
    proxy.rule(
        When::list("pods").nth(3),
        Fault::page(502, "text/html", "<html>"),
    );
    let came = raw::ask(proxy.kubeconfig(), "GET", PODS, "", LONG);
    assert!(came.text().starts_with("HTTP/1.1 503"), "{}", came.text());
    assert!(
        came.text().contains("\r\nretry-after: 7\r\n"),
        "{}",
        came.text()
    );
    assert!(
        came.text().contains(r#""retryAfterSeconds":7"#),
        "{}",
        came.text()
    );
    let error = cluster.raw(PODS).unwrap_err();
    assert!(
        error.status() == Some(429) && error.to_string().contains("slow down"),
        "{error}"
    );
    let came = raw::ask(proxy.kubeconfig(), "GET", PODS, "", LONG);
    assert!(
        came.text().contains("text/html") && came.text().ends_with("<html>"),
        "{}",
        came.text()
    );
    assert_eq!(statuses(&cluster, PODS, 1), [200]);
    Ok(())
}

#[test]
fn rules_choose_by_what_is_asked_and_by_occurrence() -> Result {
    let (api, proxy, cluster) = proxied()?;
    for name in ["a", "b", "c"] {
        api.put("pods", "shop", name, json!({}));
    }
    let fails = || Fault::status(500);
    let passes_after_failing = |rule: When, failing: &[&str], passing: &[&str]| -> Result {
        proxy.clear();
        let rule = proxy.rule(rule, fails());
        for path in passing {
            assert_eq!(statuses(&cluster, path, 1), [200], "{path}");
        }
        for path in failing {
            assert_eq!(statuses(&cluster, path, 1), [500], "{path}");
        }
        assert_eq!(rule.done(), failing.len() as u64);
        Ok(())
    };
    let pod = format!("{PODS}/a");
    let deployments = "/apis/apps/v1/deployments";
    let second = format!("{PODS}?limit=1&continue=1");
    let first = format!("{PODS}?limit=1");
    passes_after_failing(
        When::list("pods"),
        &[PODS, "/api/v1/pods"],
        &[&pod, deployments],
    )?;
    passes_after_failing(When::get("pods").name("a"), &[&pod], &[PODS])?;
    passes_after_failing(
        When::list("pods").namespace("shop"),
        &[PODS],
        &["/api/v1/pods"],
    )?;
    passes_after_failing(When::list("deployments.apps"), &[deployments], &[PODS])?;
    passes_after_failing(When::list("deployments.other"), &[], &[deployments])?;
    passes_after_failing(When::read("*"), &[PODS, &pod, deployments], &["/packed"])?;
    passes_after_failing(When::path("/packed"), &["/packed"], &[PODS])?;
    passes_after_failing(When::list("pods").continued(), &[&second], &[&first])?;
    passes_after_failing(When::list("pods").first_page(), &[&first], &[&second])?;
    passes_after_failing(When::any().agent("no such"), &[], &[PODS])?;

    for (when, expected) in [
        (When::list("pods").nth(2), [200, 500, 200, 200, 200]),
        (When::list("pods").from(4), [200, 200, 200, 500, 500]),
        (When::list("pods").to(2), [500, 500, 200, 200, 200]),
        (
            When::list("pods").from(2).every(2),
            [200, 500, 200, 500, 200],
        ),
    ] {
        proxy.clear();
        proxy.rule(when.clone(), fails());
        assert_eq!(statuses(&cluster, PODS, 5), expected, "{when:?}");
    }
    Ok(())
}

#[test]
fn a_rule_can_be_removed_and_the_first_one_due_decides() -> Result {
    let (_api, proxy, cluster) = proxied()?;
    let first = proxy.rule(When::list("pods").to(1), Fault::status(500));
    let second = proxy.rule(When::list("pods"), Fault::status(503));
    assert_eq!(statuses(&cluster, PODS, 2), [500, 503]);
    first.wait(1)?;
    second.remove();
    assert_eq!(statuses(&cluster, PODS, 1), [200]);
    assert_eq!((first.done(), second.done()), (1, 1));
    Ok(())
}

#[test]
fn a_continue_token_expires() -> Result {
    let (api, proxy, cluster) = proxied()?;
    for name in ["a", "b", "c"] {
        api.put("pods", "shop", name, json!({}));
    }
    proxy.rule(When::list("pods").continued().nth(1), Fault::expired());
    let first = cluster.raw(&format!("{PODS}?limit=2"))?;
    let second = format!(
        "{PODS}?limit=2&continue={}",
        first["metadata"]["continue"].as_str().unwrap()
    );
    let error = cluster.raw(&second).unwrap_err();
    assert_eq!(error.status(), Some(410));
    assert!(
        error.to_string().contains("continue parameter is too old"),
        "{error}"
    );
    assert_eq!(cluster.raw(&second)?["items"].as_array().unwrap().len(), 1);
    assert_eq!(proxy.log().lists_of("pods").len(), 3);
    Ok(())
}

#[test]
fn a_chosen_write_conflicts_and_dry_runs_are_none() -> Result {
    let (api, proxy, cluster) = proxied()?;
    proxy.rule(When::write().nth(2), Fault::conflict());
    let path = "/api/v1/namespaces/shop/configmaps?dryRun=All";
    cluster.post(path, &json!({"metadata": {"name": "dry"}}))?;
    cluster.apply(&config_map(1))?;
    let error = cluster.apply(&config_map(2)).unwrap_err();
    assert_eq!(error.status(), Some(409));
    assert!(
        error.to_string().contains(
            r#"apply ConfigMap shop/a: Operation cannot be fulfilled on configmaps "a": the object has been modified"#
        ),
        "{error}"
    );
    assert_eq!(
        api.object("configmaps", "shop", "a").unwrap()["data"]["n"],
        "1"
    );
    cluster.apply(&config_map(3))?;
    assert_eq!(proxy.log().matching(&When::any().dry_run()).len(), 1);
    Ok(())
}

#[test]
fn a_delay_delays() -> Result {
    let (_api, proxy, cluster) = proxied()?;
    proxy.rule(When::list("pods").nth(1), Fault::delay(MOMENT));
    proxy.rule(
        When::list("pods").nth(2),
        Fault::status(500).delayed(MOMENT),
    );
    for expected in [200, 500] {
        let started = Instant::now();
        assert_eq!(statuses(&cluster, PODS, 1), [expected]);
        assert!(started.elapsed() >= MOMENT);
    }
    Ok(())
}

#[test]
fn a_connection_is_cut_at_the_place() -> Result {
    let (api, proxy, _) = proxied()?;
    let whole = raw::ask(proxy.kubeconfig(), "GET", PODS, "", LONG);
    assert!(
        matches!(whole.end, Some(Ok(()))),
        "a whole answer ends in good order"
    );
    let head = whole.text().find("\r\n\r\n").unwrap() + 4;
    for (at, length) in [
        (At::Request, 0),
        (At::Answer, 0),
        (At::Head, 12),
        (At::Body, head),
        (At::BodyAfter(10), head + 10),
    ] {
        proxy.clear();
        proxy.rule(When::list("pods"), Fault::cut(at));
        let came = raw::ask(proxy.kubeconfig(), "GET", PODS, "", LONG);
        assert_eq!(came.bytes.len(), length, "{at:?}");
        assert!(came.is_cut(), "{at:?}: {came:?}");
    }
    // A write whose answer is lost was done; one that never arrived was not.
    for (name, at, done) in [("lost", At::Answer, true), ("never", At::Request, false)] {
        proxy.clear();
        proxy.rule(When::write(), Fault::cut(at));
        let body = json!({"metadata": {"name": name}}).to_string();
        let came = raw::ask(proxy.kubeconfig(), "POST", PODS, &body, LONG);
        assert!(came.is_cut() && came.bytes.is_empty());
        assert_eq!(api.object("pods", "shop", name).is_some(), done, "{at:?}");
    }
    Ok(())
}

#[test]
fn a_connection_stalls_at_the_place() -> Result {
    let (_api, proxy, _) = proxied()?;
    let whole = raw::ask(proxy.kubeconfig(), "GET", PODS, "", LONG);
    let head = whole.text().find("\r\n\r\n").unwrap() + 4;
    for (at, length) in [
        (At::Request, 0),
        (At::Answer, 0),
        (At::Head, 12),
        (At::Body, head),
        (At::BodyAfter(10), head + 10),
    ] {
        proxy.clear();
        proxy.rule(When::list("pods"), Fault::stall(at));
        let came = raw::ask(proxy.kubeconfig(), "GET", PODS, "", MOMENT);
        assert_eq!(came.bytes.len(), length, "{at:?}");
        assert!(came.end.is_none(), "{at:?}: {came:?}");
    }
    Ok(())
}

#[test]
fn a_watch_is_ended_or_failed() -> Result {
    let (api, proxy, _) = proxied()?;
    for name in ["a", "b", "c"] {
        api.put("pods", "shop", name, json!({}));
    }
    let path = format!("{PODS}?watch=true&resourceVersion=0");
    let events = |time| {
        let came = raw::ask(proxy.kubeconfig(), "GET", &path, "", time);
        let text = came.text();
        let types = text.split("\"type\":\"").skip(1);
        let types: Vec<String> = types
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect();
        (types, matches!(came.end, Some(Ok(()))))
    };
    let three = ["ADDED", "ADDED", "ADDED"];
    assert_eq!(
        events(MOMENT),
        (three.map(str::to_owned).into(), false),
        "still open"
    );
    for (fault, expected) in [
        (Fault::end_watch(0), &[][..]),
        (Fault::end_watch(2), &["ADDED", "ADDED"][..]),
        (Fault::fail_watch(1, 410), &["ADDED", "ERROR"][..]),
    ] {
        proxy.clear();
        proxy.rule(When::watch("pods"), fault);
        let expected: Vec<String> = expected.iter().map(|kind| (*kind).to_owned()).collect();
        assert_eq!(events(LONG), (expected, true));
    }
    Ok(())
}

#[test]
fn what_is_forbidden_is_refused_in_the_authorizers_words() -> Result {
    let (api, proxy, cluster) = proxied()?;
    let rule = proxy.rule(When::read("deployments"), Fault::forbid());
    let refused = |path: &str| cluster.raw(path).unwrap_err().to_string();
    let all = refused("/apis/apps/v1/deployments");
    assert!(
        all.contains(r#"deployments.apps is forbidden: User "admin" cannot list resource "deployments" in API group "apps" at the cluster scope (403)"#),
        "{all}"
    );
    let one = refused("/apis/apps/v1/namespaces/shop/deployments/cart");
    assert!(
        one.contains(r#"deployments.apps "cart" is forbidden: User "admin" cannot get resource "deployments" in API group "apps" in the namespace "shop" (403)"#),
        "{one}"
    );
    // Another client's own token stays its own.
    let text = std::fs::read_to_string(proxy.kubeconfig()).unwrap();
    let other = api.folder().join("other");
    std::fs::write(&other, text.replace("fault-proxy", "somebody")).unwrap();
    let refusal = Cluster::of(other)?
        .raw("/apis/apps/v1/deployments")
        .unwrap_err();
    assert!(
        refusal.to_string().contains(r#"User "somebody" cannot"#),
        "{refusal}"
    );
    rule.remove();
    assert_eq!(statuses(&cluster, "/apis/apps/v1/deployments", 1), [200]);
    Ok(())
}

fn may(cluster: &Cluster, verb: &str, group: &str, resource: &str, namespace: &str) -> bool {
    let review = cluster
        .post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            &json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": {
                    "verb": verb, "group": group, "resource": resource, "namespace": namespace,
                }},
            }),
        )
        .unwrap();
    review["status"]["allowed"] == true
}

fn rules(cluster: &Cluster, namespace: &str) -> Vec<Value> {
    let review = cluster
        .post(
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            &json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
                "spec": {"namespace": namespace},
            }),
        )
        .unwrap();
    review["status"]["resourceRules"]
        .as_array()
        .unwrap()
        .clone()
}

#[test]
fn access_reviews_agree_with_what_is_forbidden() -> Result {
    let (_api, proxy, cluster) = proxied()?;
    let all = [json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})];
    assert!(may(&cluster, "list", "", "pods", "shop"));
    proxy.rule(When::list("pods").namespace("shop"), Fault::forbid());
    assert!(!may(&cluster, "list", "", "pods", "shop"));
    for (verb, group, resource, namespace) in [
        ("get", "", "pods", "shop"),
        ("list", "", "pods", "other"),
        ("list", "", "pods", ""),
        ("list", "apps", "deployments", "shop"),
    ] {
        assert!(
            may(&cluster, verb, group, resource, namespace),
            "{verb} {resource} {namespace}"
        );
    }
    assert_eq!(rules(&cluster, "other"), all);
    let every = [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    ];
    let without: Vec<&str> = every.into_iter().filter(|verb| *verb != "list").collect();
    assert_eq!(
        rules(&cluster, "shop"),
        [
            json!({"verbs": every, "apiGroups": [""], "resources": ["configmaps", "namespaces"]}),
            json!({"verbs": without, "apiGroups": [""], "resources": ["pods"]}),
            json!({"verbs": every, "apiGroups": ["apps"], "resources": ["deployments"]}),
        ]
    );

    proxy.clear();
    proxy.rule(When::list("pods"), Fault::forbid_against_reviews());
    assert!(may(&cluster, "list", "", "pods", "shop"));
    assert_eq!(rules(&cluster, "shop"), all);
    assert_eq!(statuses(&cluster, PODS, 1), [403]);
    Ok(())
}

#[test]
fn a_server_that_is_gone_is_a_connection_that_breaks() -> Result {
    let (api, proxy, cluster) = proxied()?;
    assert_eq!(statuses(&cluster, PODS, 1), [200]);
    drop(api);
    let came = raw::ask(proxy.kubeconfig(), "GET", PODS, "", LONG);
    assert!(came.bytes.is_empty() && came.is_cut(), "{came:?}");
    let log = proxy.log();
    let last = log.requests().last().unwrap();
    assert!(
        last.status.is_none() && !last.finished && last.fault.is_some(),
        "{log}"
    );
    Ok(())
}
