//! Small answers that are understood here: discovery, access reviews, the version.

use serde_json::{Value, json};

use crate::client::scripted::{Exchange, Scripted};
use crate::client::{Access, AccessVerdict, ClientError, Discovery, Served};

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

async fn discover(script: &Scripted, groups: &[&str]) -> Result<Discovery, ClientError> {
    let discovery = script.client().discover(groups).await;
    script.done();
    discovery
}

fn aggregated_resource(plural: &str, kind: &str, scope: &str) -> Value {
    json!({
        "resource": plural, "responseKind": { "group": "", "version": "", "kind": kind },
        "scope": scope, "singularResource": "", "verbs": ["list", "get"],
    })
}

#[tokio::test(start_paused = true)]
async fn aggregated_discovery_takes_two_requests() {
    let core = json!({ "kind": "APIGroupDiscoveryList", "items": [{
        "metadata": { "creationTimestamp": null },
        "versions": [{ "version": "v1", "freshness": "Current", "resources": [
            aggregated_resource("pods", "Pod", "Namespaced"),
            aggregated_resource("namespaces", "Namespace", "Cluster"),
        ]}],
    }]});
    let named = json!({ "kind": "APIGroupDiscoveryList", "items": [
        { "metadata": { "name": "networking.istio.io" }, "versions": [
            { "version": "v1", "freshness": "Current",
              "resources": [aggregated_resource("gateways", "Gateway", "Namespaced")] },
            { "version": "v1beta1", "freshness": "Current", "resources": [
                aggregated_resource("gateways", "Gateway", "Namespaced"),
                aggregated_resource("proxyconfigs", "ProxyConfig", "Namespaced"),
            ]},
        ]},
        { "metadata": { "name": "metrics.k8s.io" }, "versions": [
            { "version": "v1beta1", "freshness": "Stale" },
        ]},
        { "metadata": { "name": "apps" }, "versions": [{ "version": "v1", "resources": [] }] },
    ]});
    let script = Scripted::new([
        Exchange::get("/api")
            .with_header("accept", AGGREGATED)
            .answer(200, core.to_string()),
        Exchange::get("/apis")
            .with_header("accept", AGGREGATED)
            .answer(200, named.to_string()),
    ]);
    let groups = ["", "networking.istio.io", "metrics.k8s.io", "absent.io"];
    let found = discover(&script, &groups).await.unwrap();

    let Served::Yes(pods) = found.served("", "v1", "pods") else {
        panic!("pods are served")
    };
    assert_eq!((pods.kind.as_str(), pods.namespaced), ("Pod", true));
    assert!(pods.verbs.contains("list"));
    assert!(matches!(found.served("", "v1", "namespaces"), Served::Yes(kind) if !kind.namespaced));
    assert_eq!(
        found.versions("networking.istio.io", "gateways"),
        ["v1", "v1beta1"]
    );
    assert_eq!(
        found.versions("networking.istio.io", "proxyconfigs"),
        ["v1beta1"]
    );
    assert_eq!(
        found.served("networking.istio.io", "v1", "proxyconfigs"),
        Served::No
    );
    assert_eq!(found.served("absent.io", "v1", "things"), Served::No);
    assert!(matches!(
        found.served("metrics.k8s.io", "v1beta1", "pods"),
        Served::Unknown { .. }
    ));
    assert_eq!(
        found
            .failed()
            .map(|(group, version, _)| (group, version))
            .collect::<Vec<_>>(),
        [("metrics.k8s.io", "v1beta1")]
    );
    assert_eq!(
        found.versions("apps", "deployments"),
        Vec::<&str>::new(),
        "was not asked for"
    );
}

fn resource_list(plural: &str, kind: &str) -> String {
    json!({ "kind": "APIResourceList", "groupVersion": "x", "resources": [
        { "name": plural, "singularName": "", "namespaced": true, "kind": kind, "verbs": ["list"] },
        { "name": format!("{plural}/status"), "singularName": "", "namespaced": true, "kind": kind, "verbs": ["get"] },
    ]})
    .to_string()
}

#[tokio::test(start_paused = true)]
async fn an_older_server_is_asked_version_by_version() {
    let versions = |group: &str, versions: &[&str]| {
        let versions: Vec<_> = versions
            .iter()
            .map(|version| json!({ "groupVersion": "", "version": version }))
            .collect();
        json!({ "name": group, "versions": versions })
    };
    let groups = json!({ "kind": "APIGroupList", "groups": [
        versions("networking.istio.io", &["v1", "v1alpha3"]),
        versions("metrics.k8s.io", &["v1beta1"]),
        versions("apps", &["v1"]),
    ]});
    let broken =
        || Exchange::get("/apis/metrics.k8s.io/v1beta1").refuse(503, "service unavailable");
    let script = Scripted::new([
        Exchange::get("/api").answer(200, r#"{"kind":"APIVersions","versions":["v1"]}"#),
        Exchange::get("/api/v1").answer(200, resource_list("pods", "Pod")),
        Exchange::get("/apis").answer(200, groups.to_string()),
        Exchange::get("/apis/networking.istio.io/v1")
            .answer(200, resource_list("gateways", "Gateway")),
        Exchange::get("/apis/networking.istio.io/v1alpha3").refuse(404, "gone"),
        broken(),
        broken(),
        broken(),
        broken(),
    ]);
    let found = discover(&script, &["", "networking.istio.io", "metrics.k8s.io"])
        .await
        .unwrap();
    assert!(matches!(found.served("", "v1", "pods"), Served::Yes(kind) if kind.namespaced));
    assert_eq!(found.served("", "v1", "pods/status"), Served::No);
    assert_eq!(found.versions("networking.istio.io", "gateways"), ["v1"]);
    let Served::Unknown { reason } = found.served("metrics.k8s.io", "v1beta1", "pods") else {
        panic!("a group that answers errors is not absent");
    };
    assert!(reason.contains("service unavailable"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn discovery_that_is_refused_or_senseless_is_an_error() {
    let script = Scripted::new([Exchange::get("/apis").refuse(403, "no")]);
    assert!(matches!(
        discover(&script, &["apps"]).await,
        Err(ClientError::Forbidden { .. })
    ));
    for body in ["{}", "[]", "<html>", r#"{"items":[{"versions":[{}]}]}"#] {
        let script = Scripted::new([Exchange::get("/apis").answer(200, body)]);
        let outcome = discover(&script, &["apps"]).await;
        assert!(
            matches!(outcome, Err(ClientError::Malformed { .. })),
            "{body}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_right_is_asked_for_and_a_refusal_has_its_reason() {
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let access = Access {
        verb: "create".to_owned(),
        plural: "pods/eviction".to_owned(),
        namespace: Some("shop".to_owned()),
        ..Access::default()
    };
    let body = r#""resourceAttributes":{"verb":"create","group":"","resource":"pods","subresource":"eviction","namespace":"shop"}"#;
    for (status, expected) in [
        (json!({ "allowed": true }), AccessVerdict::Allowed),
        (
            json!({ "allowed": false, "reason": "no role" }),
            AccessVerdict::Denied {
                reason: "no role".to_owned(),
            },
        ),
        (
            json!({ "allowed": false, "evaluationError": "webhook is down" }),
            AccessVerdict::Denied {
                reason: "webhook is down".to_owned(),
            },
        ),
        (
            json!({ "allowed": false }),
            AccessVerdict::Denied {
                reason: String::new(),
            },
        ),
    ] {
        let answer = json!({ "kind": "SelfSubjectAccessReview", "spec": {}, "status": status });
        let script = Scripted::new([Exchange::post(path)
            .with_header("content-type", "application/json")
            .with_body_containing(body)
            .answer(201, answer.to_string())]);
        assert_eq!(script.client().can_i(&access).await, Ok(expected));
        script.done();
    }
}

#[tokio::test(start_paused = true)]
async fn a_review_is_repeated_like_a_read() {
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let script = Scripted::new([
        Exchange::post(path).refuse(503, "busy"),
        Exchange::post(path).answer(201, r#"{"status":{"allowed":true}}"#),
    ]);
    assert_eq!(
        script.client().can_i(&Access::default()).await,
        Ok(AccessVerdict::Allowed)
    );
    script.done();
}

#[tokio::test(start_paused = true)]
async fn all_rules_of_a_namespace_come_in_one_answer() {
    let answer = json!({ "status": { "incomplete": false, "nonResourceRules": [], "resourceRules": [
        { "verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"] },
        { "verbs": ["*"], "apiGroups": ["apps"], "resources": ["*"] },
        { "verbs": ["patch"], "apiGroups": ["*"], "resources": ["*/status"] },
        { "verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"] },
    ]}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
    let script = Scripted::new([Exchange::post(path)
        .with_body_containing(r#""spec":{"namespace":"shop"}"#)
        .answer(201, answer.to_string())]);
    let rules = script.client().access_rules("shop").await.unwrap();
    script.done();
    assert!(rules.is_complete());
    for (verb, group, plural, allowed) in [
        ("list", "", "pods", true),
        ("watch", "", "pods", false),
        ("list", "apps", "pods", true),
        (
            "patch",
            "gateway.networking.k8s.io",
            "gateways/status",
            true,
        ),
        ("patch", "gateway.networking.k8s.io", "gateways", false),
        ("get", "", "secrets", false),
    ] {
        assert_eq!(
            rules.allow(verb, group, plural),
            allowed,
            "{verb} {plural}.{group}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_version_is_read_and_a_page_of_a_portal_is_not_taken_for_one() {
    let script = Scripted::new([
        Exchange::get("/version").answer(
            200,
            r#"{"major":"1","minor":"33+","gitVersion":"v1.33.2-eks"}"#,
        ),
        Exchange::get("/version").answer(200, "<html>log in</html>"),
    ]);
    let client = script.client();
    let version = client.server_version().await.unwrap();
    assert_eq!(
        (version.minor.as_str(), version.git_version.as_str()),
        ("33+", "v1.33.2-eks")
    );
    let error = client.server_version().await.unwrap_err();
    assert!(matches!(error, ClientError::Malformed { .. }));
    assert!(error.hints()[0].contains("something other than a Kubernetes API server"));
}
