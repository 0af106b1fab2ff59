//! What cannot be read, and what is made of it.

use serde_json::json;

use super::cluster::{Cluster, wealist};
use super::{gaps, named, namespace, object, pod, read_of, request};
use crate::checks::{self, Scope};
use crate::client::scripted::{Exchange, Scripted};
use crate::error::Error;
use crate::exit::Exit;
use crate::inventory::Subject;
use crate::kinds::{Kind, KindSet, Name};
use crate::mesh::Mesh;
use crate::source::live::{Namespaces, read};

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_served_is_no_gap_and_a_group_that_fails_is() {
    let mut cluster = Cluster::of(wealist());
    cluster.unserved = KindSet::of(&[Kind::HTTPRoute, Kind::Rollout]);
    cluster.stale = vec!["telemetry.istio.io"];
    let (live, _) = read_of(cluster, &request(named(&["default"]))).await;
    assert_eq!(
        gaps(&live.unwrap().inventory),
        ["Telemetry: the API service behind it does not answer (stale discovery)"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_a_gap_and_the_rest_is_read() {
    // Whether reviews tell, or only the list itself.
    for reviews in [true, false] {
        let mut cluster = Cluster::of(wealist());
        cluster.reviews = reviews;
        cluster.forbids = |_, kind, namespace| {
            kind == Kind::Node || (kind == Kind::Service && namespace != Some("default"))
        };
        let (live, _) = read_of(cluster, &request(named(&["default"]))).await;
        let inventory = live.unwrap().inventory;
        let found = gaps(&inventory);
        if reviews {
            assert_eq!(
                found,
                [
                    "Node: no right to list them",
                    "Service: no right to list them in all namespaces",
                    "Service in istio-system: no right to list them",
                ]
            );
        } else {
            let words = "services is forbidden: User \"ana\" cannot list them";
            assert_eq!(found.len(), 3, "{found:#?}");
            assert_eq!(found[2], format!("Service in istio-system: {words}"));
        }
        assert_eq!(inventory.objects.count(Kind::Service), 8);
        assert_eq!(inventory.objects.count(Kind::Pod), 13);
    }
}

#[tokio::test(start_paused = true)]
async fn without_cluster_wide_rights_the_namespaces_in_question_are_read() {
    for reviews in [true, false] {
        let mut cluster = Cluster::of(wealist());
        cluster.reviews = reviews;
        cluster.forbids = |verb, kind, namespace| {
            !(namespace == Some("default") || (verb == "get" && kind == Kind::Namespace))
        };
        let mut request = request(named(&["default"]));
        request.kinds = KindSet::of(&[Kind::Namespace, Kind::Pod, Kind::VirtualService]);
        let (live, _) = read_of(cluster, &request).await;
        let inventory = live.unwrap().inventory;
        let found = gaps(&inventory);
        let subjects: Vec<&str> = found
            .iter()
            .filter_map(|gap| Some(gap.split_once(": ")?.0))
            .collect();
        assert_eq!(
            subjects,
            ["Namespace", "Pod", "Pod in istio-system", "VirtualService"]
        );
        if reviews {
            assert_eq!(found[1], "Pod: no right to list them in all namespaces");
            assert_eq!(
                found[3],
                "VirtualService: no right to list them in all namespaces; only those in default were read"
            );
        }
        assert_eq!(inventory.objects.count(Kind::VirtualService), 3);
        assert_eq!(inventory.objects.count(Kind::Pod), 12);
        assert_eq!(inventory.objects.count(Kind::Namespace), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_allowed_is_forbidden() {
    let mut cluster = Cluster::of(wealist());
    cluster.forbids = |_, _, _| true;
    let (live, _) = read_of(cluster, &request(named(&["default"]))).await;
    let error = live.unwrap_err();
    assert_eq!(error.exit, Exit::Forbidden);
    assert_eq!(
        error.message,
        "cannot read any object: no right to list any of the kinds in question"
    );
}

#[tokio::test(start_paused = true)]
async fn a_review_of_a_namespace_that_is_not_answered_refuses_nothing() {
    let mut cluster = Cluster::of(vec![namespace("shop"), pod("shop", "a", &json!({}), None)]);
    cluster.forbids = |_, _, namespace| namespace.is_none();
    let script = Scripted::answering([], move |seen| {
        if seen.target.ends_with("/selfsubjectrulesreviews") {
            return (
                403,
                json!({"kind": "Status", "code": 403, "message": "no"}).to_string(),
            );
        }
        cluster.answer(seen)
    });
    let mut request = request(named(&["shop"]));
    request.kinds = KindSet::of(&[Kind::Pod]);
    let live = read(&script.client(), &request).await.unwrap();
    assert_eq!(live.inventory.objects.pods.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_refuses_everything_it_was_not_asked_about_leaves_all_open() {
    let mut cluster = Cluster::of(wealist());
    cluster.reviews = false;
    cluster.forbids = |_, _, _| true;
    let (live, _) = read_of(cluster, &request(named(&["default"]))).await;
    let live = live.unwrap();
    assert_eq!(live.namespaces, [Name::from("default")]);
    assert!(live.inventory.unread.iter().any(|unread| matches!(
        &unread.subject, Subject::Object(object) if object.kind == Kind::Namespace
    )));
    let mesh = Mesh::new(live.inventory);
    let judgement = checks::judge(
        &mesh,
        &Scope::of(live.namespaces),
        &checks::all().collect::<Vec<_>>(),
        false,
    );
    assert_eq!(judgement.findings, []);
    assert_eq!(judgement.run, []);
    assert_eq!(judgement.verdict("default"), checks::Verdict::Undecided);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_does_not_exist_is_an_error() {
    let (live, _) = read_of(
        Cluster::of(wealist()),
        &request(named(&["default", "shpo"])),
    )
    .await;
    let error = live.unwrap_err();
    assert_eq!(error.exit, Exit::Data);
    assert_eq!(
        error.message,
        "cannot judge namespace shpo: it does not exist"
    );
    let (live, _) = read_of(
        Cluster::of(wealist()),
        &request(Namespaces::Labelled("team=none".to_owned())),
    )
    .await;
    assert_eq!(
        live.unwrap_err().message,
        "no namespace matches the label selector team=none"
    );
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_server_is_an_error() {
    let script = Scripted::new([Exchange::get("/api").refuse(401, "Unauthorized")]);
    let mut request = request(Namespaces::All);
    request.kinds = KindSet::of(&[Kind::Pod]);
    let error = read(&script.client(), &request).await.unwrap_err();
    assert_eq!(error.exit, Exit::Unreachable);
}

/// Something that answers every request in the same way.
async fn error_of(status: u16, message: &'static str, namespaces: Namespaces) -> Error {
    let script = Scripted::answering([], move |_| (status, message.to_owned()));
    let mut request = request(namespaces);
    request.kinds = KindSet::of(&[Kind::Pod]);
    read(&script.client(), &request).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn what_is_no_api_server_is_called_so_whatever_is_asked_of_it() {
    for (status, body) in [(404, "Not Found"), (302, ""), (200, "<html>"), (200, "{}")] {
        for namespaces in [Namespaces::All, named(&["shop"])] {
            let error = error_of(status, body, namespaces).await;
            assert_eq!(error.exit, Exit::Unreachable);
            assert!(error.message.contains("the API's groups"), "{error}");
            assert!(error.hints[0].contains("something other than"), "{error:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_selector_that_the_server_refuses_is_wrong_usage() {
    let script = Scripted::answering([], |seen| {
        if seen.target.starts_with("/api/v1/namespaces") {
            let refusal =
                json!({"kind": "Status", "code": 400, "message": "unable to parse: a in ("});
            return (400, refusal.to_string());
        }
        (200, json!({"items": []}).to_string())
    });
    let mut request = request(Namespaces::Labelled("a in (".to_owned()));
    request.kinds = KindSet::of(&[Kind::Pod]);
    let error = read(&script.client(), &request).await.unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    assert_eq!(
        error.message,
        "cannot use the label selector a in (: unable to parse: a in ("
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_understood_is_a_gap_and_the_rest_is_read() {
    let mut broken = object("v1", "Service", "shop", "broken");
    broken["spec"] = json!({"ports": 7});
    let mut fine = object("v1", "Service", "shop", "fine");
    fine["spec"] = json!({});
    let objects = vec![namespace("shop"), broken, fine];
    let (live, _) = read_of(Cluster::of(objects), &request(named(&["shop"]))).await;
    let inventory = live.unwrap().inventory;
    assert_eq!(inventory.objects.count(Kind::Service), 1);
    let gaps = gaps(&inventory);
    assert_eq!(gaps.len(), 1);
    assert!(
        gaps[0].starts_with("Service/broken -n shop: spec.ports: "),
        "{gaps:?}"
    );
}
