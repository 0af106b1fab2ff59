//! The fault proxy in front of the real API server.

use harness::fault::{At, Fault, When};
use harness::{Cluster, Result};
use serde_json::json;

use crate::shared;

#[test]
fn kubectl_meets_what_the_proxy_does() -> Result {
    let plane = shared()?;
    let proxy = plane.faults()?;
    let namespaces = || {
        plane
            .kubectl(["get", "namespaces", "--chunk-size=2", "-o", "name"])
            .through(&proxy)
    };
    let all = namespaces().run()?.exited(0)?.stdout;
    let pages = proxy.log().lists_of("namespaces").len();
    assert!(pages > 1 && all.contains("namespace/istio-system\n"));
    let once = || When::list("namespaces").to(1);
    for (when, fault, words) in [
        (
            When::list("namespaces").continued(),
            Fault::expired(),
            "(Expired): The provided continue parameter is too old",
        ),
        (
            once(),
            Fault::forbid(),
            r#"cannot list resource "namespaces" in API group "" at the cluster scope"#,
        ),
        (
            once(),
            Fault::status(500),
            "(InternalError): Internal error occurred",
        ),
        (once(), Fault::cut(At::BodyAfter(10)), "unexpected EOF"),
    ] {
        proxy.clear();
        let rule = proxy.rule(when, fault.clone());
        let done = namespaces().run()?.exited(1)?;
        assert!(done.stderr.contains(words), "{fault}: {done}");
        assert_eq!(rule.done(), 1, "{fault}");
    }
    // kubectl asks again when no answer came, or one that says when.
    for fault in [Fault::cut(At::Answer), Fault::status(429).retry_after(1)] {
        proxy.clear();
        let rule = proxy.rule(once(), fault);
        let done = namespaces().run()?.exited(0)?;
        assert!(done.stdout.contains("namespace/istio-system\n"), "{done}");
        assert_eq!(rule.done(), 1);
    }
    Ok(())
}

#[test]
fn the_proxys_refusal_reads_like_the_servers_own() -> Result {
    let plane = shared()?;
    let shop = plane.namespace("refused", &[])?;
    let nobody = plane.identity(&shop, &[])?;
    for path in [
        "/api/v1/pods".to_owned(),
        "/apis/apps/v1/deployments".to_owned(),
        format!("/apis/apps/v1/namespaces/{}/deployments/cart", shop.name()),
        format!("/api/v1/namespaces/{}/pods", shop.name()),
        format!("/api/v1/namespaces/{}/pods/a/log", shop.name()),
    ] {
        let real = nobody.cluster().raw(&path).unwrap_err().to_string();
        let proxy = harness::fault::FaultProxy::start(nobody.kubeconfig())?;
        proxy.rule(When::any(), Fault::forbid());
        let ours = Cluster::of(proxy.kubeconfig())?
            .raw(&path)
            .unwrap_err()
            .to_string();
        let plain = |text: &str| text.split("\n  at ").next().unwrap_or_default().to_owned();
        assert_eq!(plain(&ours), plain(&real));
    }
    Ok(())
}

#[test]
fn access_reviews_of_the_real_server_agree() -> Result {
    let plane = shared()?;
    let shop = plane.namespace("reviews", &[])?;
    let proxy = plane.faults()?;
    let cluster = Cluster::of(proxy.kubeconfig())?;
    let rules = || {
        cluster.post(
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
            &json!({
                "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
                "spec": {"namespace": shop.name()},
            }),
        )
    };
    let may = |what: &str| {
        plane
            .kubectl(["auth", "can-i", "list", what, "-n", shop.name()])
            .through(&proxy)
            .run()
    };
    may("pods")?.exited(0)?;
    assert!(
        rules()?["status"]["resourceRules"]
            .to_string()
            .contains(r#"["*"]"#)
    );
    proxy.rule(When::list("pods"), Fault::forbid());
    may("pods")?.exited(1)?;
    may("services")?.exited(0)?;
    let left = rules()?["status"]["resourceRules"].clone();
    let lists = |resource: &str| {
        left.as_array().into_iter().flatten().any(|rule| {
            let has = |field: &str, word: &str| {
                rule[field]
                    .as_array()
                    .is_some_and(|all| all.contains(&json!(word)) || all.contains(&json!("*")))
            };
            has("verbs", "list") && has("apiGroups", "") && has("resources", resource)
        })
    };
    assert!(!lists("pods") && lists("services"), "{left}");
    Ok(())
}
