//! What is asked for, and what is not.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::cluster::{Cluster, wealist};
use super::{gaps, named, namespace, object, pod, pods, read_of, request};
use crate::client::scripted::{Exchange, Scripted};
use crate::event::Event;
use crate::kinds::{Kind, Name};
use crate::mesh::Mesh;
use crate::source::live::{LiveRead, Namespaces, read};

fn lists(script: &Scripted) -> BTreeSet<String> {
    let lists = script.events().into_iter().filter_map(|event| match event {
        Event::Finished { what, .. } => Some(what),
        _ => None,
    });
    lists.collect()
}

#[tokio::test(start_paused = true)]
async fn little_is_asked_for() {
    let (live, script) = read_of(Cluster::of(wealist()), &request(named(&["default"]))).await;
    let live = live.unwrap();
    assert_eq!(live.namespaces, [Name::from("default")]);
    assert_eq!(live.inventory.objects.count(Kind::ReplicaSet), 0);
    assert_eq!(live.inventory.objects.count(Kind::ConfigMap), 2);
    let lists = lists(&script);
    for expected in [
        "pods in default",
        "pods in istio-system",
        "pods",
        "services in default",
        "deployments.apps",
        "deployments.apps in default",
        "daemonsets.apps",
        "virtualservices.networking.istio.io",
        "namespaces",
    ] {
        assert!(lists.contains(expected), "{expected}: {lists:#?}");
    }
    for never in [
        "configmaps",
        "replicasets.apps",
        "secrets",
        "pods in kube-system",
    ] {
        assert!(!lists.contains(never), "{never}");
    }
    let elsewhere = "/api/v1/pods?labelSelector=security.istio.io%2FtlsMode%3Distio\
        &fieldSelector=status.phase%21%3DSucceeded%2C\
        status.phase%21%3DFailed%2Cmetadata.namespace%21%3Ddefault%2C\
        metadata.namespace%21%3Distio-system&limit=5";
    assert!(script.seen().iter().any(|seen| seen.target == elsewhere));
    // Of other namespaces' Services only those by which networks and control planes are joined.
    let services: Vec<String> = script
        .seen()
        .into_iter()
        .map(|seen| seen.target)
        .filter(|target| target.starts_with("/api/v1/services?"))
        .collect();
    assert_eq!(services.len(), 2, "{services:#?}");
    assert!(
        services
            .iter()
            .all(|target| target.contains("Selector=topology.istio.io")
                || target.contains("Selector=metadata.name%3Distiod-remote"))
    );
    let reviews = script
        .seen()
        .iter()
        .filter(|seen| seen.method == "POST")
        .count();
    assert_eq!(reviews, 1, "who may do everything is asked once");
}

#[tokio::test(start_paused = true)]
async fn all_namespaces_are_listed_at_once() {
    let (live, script) = read_of(Cluster::of(wealist()), &request(Namespaces::All)).await;
    assert_eq!(live.unwrap().namespaces.len(), 6);
    assert!(lists(&script).contains("pods"));
    assert!(lists(&script).iter().all(|list| !list.contains(" in ")));
    // Of what is paged, no page is asked for twice.
    let targets: Vec<String> = script.seen().into_iter().map(|seen| seen.target).collect();
    let pages = targets
        .iter()
        .filter(|target| target.starts_with("/api/v1/pods?field"));
    assert_eq!(pages.count(), 3);
}

/// Namespaces `a`, `a-b` and `c` with so many pods each.
fn crowd(pods: usize) -> Vec<Value> {
    ["a", "a-b", "c"]
        .iter()
        .flat_map(|home| {
            let pods = (0..pods).map(move |i| pod(home, &format!("{home}-{i}"), &json!({}), None));
            std::iter::once(namespace(home)).chain(pods)
        })
        .collect()
}

/// All pods of a crowd, and how their lists were asked for.
async fn crowd_read(cluster: Cluster, chunk_size: u32) -> (LiveRead, Vec<String>) {
    let mut request = request(Namespaces::All);
    request.chunk_size = chunk_size;
    let (live, script) = read_of(cluster, &request).await;
    // What is read whole afterwards is no list of all pods.
    let metadata = script.seen().into_iter().filter(|seen| {
        seen.headers["accept"][0].contains("PartialObjectMetadata")
            && seen.target.contains("/pods?field")
    });
    let lists = metadata
        .map(|seen| {
            let target = seen.target;
            let (path, query) = target.split_once('?').unwrap();
            let page = if query.contains("continue") {
                "next page of "
            } else {
                ""
            };
            format!("{page}{path}")
        })
        .collect();
    (live.unwrap(), lists)
}

#[tokio::test(start_paused = true)]
async fn many_pods_of_few_namespaces_are_listed_by_namespace() {
    let (live, mut lists) = crowd_read(Cluster::of(crowd(60)), 150).await;
    lists.sort();
    assert_eq!(
        lists,
        [
            "/api/v1/namespaces/a-b/pods",
            "/api/v1/namespaces/a/pods",
            "/api/v1/namespaces/c/pods",
            "/api/v1/pods",
        ]
    );
    assert_eq!(gaps(&live.inventory), Vec::<String>::new());
    assert_eq!(live.inventory.objects.pods.len(), 180);
}

#[tokio::test(start_paused = true)]
async fn pods_that_fill_a_page_or_are_thinly_spread_are_listed_page_by_page() {
    let (live, lists) = crowd_read(Cluster::of(crowd(60)), 500).await;
    assert_eq!(lists, ["/api/v1/pods"]);
    assert_eq!(live.inventory.objects.pods.len(), 180);

    let (live, lists) = crowd_read(Cluster::of(crowd(10)), 20).await;
    assert_eq!(lists, ["/api/v1/pods", "next page of /api/v1/pods"]);
    assert_eq!(live.inventory.objects.pods.len(), 30);
}

#[tokio::test(start_paused = true)]
async fn where_namespaces_may_not_be_listed_pods_are_listed_page_by_page() {
    let mut cluster = Cluster::of(crowd(60));
    cluster.forbids = |_, kind, _| kind == Kind::Namespace;
    let (live, lists) = crowd_read(cluster, 150).await;
    let paged = lists.iter().all(|list| list.ends_with("/api/v1/pods"));
    assert!(paged, "{lists:?}");
    assert_eq!(live.inventory.objects.pods.len(), 180);
}

#[tokio::test(start_paused = true)]
async fn namespaces_are_chosen_by_labels() {
    let mut objects = wealist();
    for object in &mut objects {
        if object["kind"] == "Namespace" && object["metadata"]["name"] == "default" {
            object["metadata"]["labels"]["team"] = json!("shop");
        }
    }
    let by_label = Namespaces::Labelled("team=shop".to_owned());
    let (live, _) = read_of(Cluster::of(objects), &request(by_label)).await;
    assert_eq!(live.unwrap().namespaces, [Name::from("default")]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_begins_anew_drops_only_its_own_objects() {
    let objects = vec![
        namespace("shop"),
        namespace("istio-system"),
        pod("shop", "a", &json!({}), None),
        pod("shop", "b", &json!({}), None),
        pod("istio-system", "c", &json!({}), None),
        pod(
            "other",
            "d",
            &json!({"security.istio.io/tlsMode": "istio"}),
            None,
        ),
    ];
    let cluster = Cluster::of(objects);
    let expired = "/api/v1/namespaces/shop/pods?fieldSelector=status.phase%21%3DSucceeded%2C\
        status.phase%21%3DFailed&limit=1&continue=1";
    let script = Scripted::answering(
        [Exchange::get(expired).refuse(410, "too old")],
        move |seen| cluster.answer(seen),
    );
    let mut request = request(named(&["shop"]));
    request.chunk_size = 1;
    let live = read(&script.client(), &request).await.unwrap();
    script.done();
    assert_eq!(gaps(&live.inventory), Vec::<String>::new());
    assert_eq!(
        pods(&live.inventory),
        [
            ("istio-system", "c", true),
            ("other", "d", false),
            ("shop", "a", true),
            ("shop", "b", true),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn pods_without_a_known_owner_are_read_whole() {
    let hash = json!({"pod-template-hash": "77f6"});
    let objects = vec![
        namespace("shop"),
        object("apps/v1", "Deployment", "shop", "web"),
        object("apps/v1", "ReplicaSet", "shop", "alone"),
        object("apps/v1", "StatefulSet", "shop", "db"),
        pod(
            "shop",
            "web-77f6-x",
            &hash,
            Some(("ReplicaSet", "web-77f6")),
        ),
        pod("shop", "alone-x", &json!({}), Some(("ReplicaSet", "alone"))),
        pod("shop", "db-0", &json!({}), Some(("StatefulSet", "db"))),
        pod("shop", "bare", &json!({}), None),
        pod(
            "shop",
            "kafka-0",
            &json!({}),
            Some(("StrimziPodSet", "kafka")),
        ),
    ];
    let (live, script) = read_of(Cluster::of(objects), &request(named(&["shop"]))).await;
    let inventory = live.unwrap().inventory;
    assert_eq!(gaps(&inventory), Vec::<String>::new());
    assert_eq!(
        pods(&inventory),
        [
            ("shop", "alone-x", false),
            ("shop", "bare", true),
            ("shop", "db-0", false),
            ("shop", "kafka-0", true),
            ("shop", "web-77f6-x", false),
        ]
    );
    assert_eq!(inventory.objects.count(Kind::ReplicaSet), 1);
    let single: Vec<String> = script
        .seen()
        .into_iter()
        .map(|seen| seen.target)
        .filter(|target| target.contains("/replicasets/") || target.contains("/pods/"))
        .collect();
    assert_eq!(single.len(), 3, "{single:#?}");
}

#[tokio::test(start_paused = true)]
async fn many_bare_pods_are_listed_rather_than_asked_for() {
    let mut objects = vec![namespace("shop")];
    objects.extend((0..60).map(|n| pod("shop", &format!("bare-{n}"), &json!({}), None)));
    let (live, script) = read_of(Cluster::of(objects), &request(named(&["shop"]))).await;
    let inventory = live.unwrap().inventory;
    assert_eq!(inventory.objects.count(Kind::Pod), 60);
    assert!(
        inventory
            .objects
            .pods
            .iter()
            .all(|pod| pod.detail.is_some())
    );
    assert!(
        !script
            .seen()
            .iter()
            .any(|seen| seen.target.contains("/pods/"))
    );
}

#[tokio::test(start_paused = true)]
async fn gateways_are_read_whole_wherever_they_are() {
    let hash = |extra: &str| json!({"pod-template-hash": "77f6", extra: "edge"});
    let gateway = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway",
        "metadata": {"namespace": "shop", "name": "public"}, "spec": {"selector": {"edge": "edge"}},
    });
    let objects = vec![
        namespace("shop"),
        gateway,
        object("apps/v1", "Deployment", "edge", "public"),
        pod(
            "edge",
            "public-77f6-x",
            &hash("edge"),
            Some(("ReplicaSet", "public-77f6")),
        ),
        pod("edge", "other", &json!({}), None),
        pod(
            "mesh",
            "waypoint-x",
            &json!({"gateway.networking.k8s.io/gateway-name": "waypoint"}),
            None,
        ),
    ];
    let (live, _) = read_of(Cluster::of(objects), &request(named(&["shop"]))).await;
    let inventory = live.unwrap().inventory;
    assert_eq!(
        pods(&inventory),
        [
            ("edge", "public-77f6-x", true),
            ("mesh", "waypoint-x", true)
        ]
    );
    let mesh = Mesh::new(inventory);
    assert_eq!(
        mesh.workloads_in("edge")[0].object.to_string(),
        "Deployment/public -n edge"
    );
}

#[tokio::test(start_paused = true)]
async fn istio_is_found_where_it_is() {
    let mut istiod = object("apps/v1", "Deployment", "mesh-control", "istiod-canary");
    istiod["metadata"]["labels"] = json!({"app": "istiod", "istio.io/rev": "canary"});
    istiod["spec"]["template"] = json!({
        "spec": {"containers": [{"name": "discovery", "image": "pilot:1.27.1"}]},
    });
    let config = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "mesh-control", "name": "istio-canary"},
        "data": {"mesh": "rootNamespace: mesh-policies\ntrustDomain: example.org\n"},
    });
    let mut cni = object("apps/v1", "DaemonSet", "kube-system", "istio-cni-node");
    cni["metadata"]["labels"] = json!({"k8s-app": "istio-cni-node"});
    let cni_config = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": "kube-system", "name": "istio-cni-config"}, "data": {},
    });
    let objects = vec![namespace("shop"), istiod, config, cni, cni_config];
    let (live, script) = read_of(Cluster::of(objects), &request(named(&["shop"]))).await;
    let live = live.unwrap();
    assert_eq!(live.inventory.objects.count(Kind::ConfigMap), 2);
    let lists = lists(&script);
    assert!(lists.contains("services in mesh-policies"), "{lists:?}");
    assert!(lists.contains("services in mesh-control"));
    assert!(!lists.contains("services in istio-system"));
    let mesh = Mesh::new(live.inventory);
    assert_eq!(mesh.trust_domain(), "example.org");
}

#[tokio::test(start_paused = true)]
async fn what_stands_where_a_waypoints_parameters_would_is_read_for_whoever_makes_one() {
    let map = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": "shop", "name": name}, "data": {},
        })
    };
    let objects = || {
        let maps = [
            "waypoint-options",
            "waypoint-2-options",
            "waypoint-4-options",
        ]
        .map(map);
        [namespace("shop")].into_iter().chain(maps).collect()
    };
    let (live, _) = read_of(Cluster::of(objects()), &request(named(&["shop"]))).await;
    assert_eq!(live.unwrap().inventory.objects.count(Kind::ConfigMap), 0);
    let mut asked = request(named(&["shop"]));
    asked.whole = crate::translate::WRITES;
    let (live, _) = read_of(Cluster::of(objects()), &asked).await;
    // Up to the first name that is free.
    let inventory = live.unwrap().inventory;
    assert_eq!(inventory.objects.count(Kind::ConfigMap), 2);
    assert!(inventory.unread.is_empty(), "{:?}", inventory.unread);
    let first =
        crate::kinds::ObjectRef::new(Kind::ConfigMap, &"shop".into(), &"waypoint-options".into());
    assert!(inventory.whole(&first).is_some());
}
