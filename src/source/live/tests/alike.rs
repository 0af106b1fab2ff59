//! The product's promise: a cluster and its manifests are judged alike.

use serde_json::{Value, json};

use super::cluster::{Cluster, wealist, wealist_files};
use super::{gaps, named, namespace, object, pod, read_of, request};
use crate::checks::{self, Scope};
use crate::inventory::{Input, Inventory, InventoryBuilder};
use crate::kinds::{Kind, Name};
use crate::mesh::Mesh;
use crate::source::live::Namespaces;
use crate::translate::{self, Decision, Options};
use crate::waypoint;

/// All that is judged of an inventory.
fn judged(inventory: Inventory, namespaces: Option<&[&str]>) -> String {
    let mesh = Mesh::new(inventory);
    let scope = match namespaces {
        Some(names) => Scope::of(names.iter().map(|name| Name::from(*name))),
        None => Scope::injected(&mesh),
    };
    let all: Vec<_> = checks::all().collect();
    let judgement = checks::judge(&mesh, &scope, &all, true);
    let needs: Vec<_> = scope
        .iter()
        .map(|name| waypoint::assess(&mesh, name))
        .collect();
    let verdicts: Vec<_> = scope
        .iter()
        .map(|name| (name, judgement.verdict(name)))
        .collect();
    let workloads: Vec<_> = scope
        .iter()
        .flat_map(|name| mesh.workloads_in(name))
        .map(|w| {
            let kept = (
                &w.object,
                w.role,
                w.mode(),
                w.pod_count(),
                &w.injection,
                w.enrolled,
            );
            let pod = (
                &w.labels,
                &w.annotations,
                &w.service_account,
                w.host_network,
            );
            (kept, pod, w.has_template)
        })
        .collect();
    format!(
        "{workloads:#?}\n{:#?}\n{:#?}\n{:#?}\n{verdicts:#?}\n{needs:#?}",
        judgement.findings, judgement.not_run, judgement.run
    )
}

/// What the example mesh does not have: pods of which the metadata tells too little.
fn oddities() -> Vec<Value> {
    let mut host = pod("default", "host", &json!({}), Some(("Other", "x")));
    host["spec"]["hostNetwork"] = json!(true);
    let mut over = pod("default", "over", &json!({}), None);
    over["status"]["phase"] = json!("Succeeded");
    let mut job = object("batch/v1", "Job", "default", "nightly-1");
    job["metadata"]["ownerReferences"] =
        json!([{"kind": "CronJob", "name": "nightly", "controller": true}]);
    let hash = json!({"pod-template-hash": "77f6", "istio": "edgegateway"});
    let mut sidecar = pod(
        "legacy",
        "old-55c9-x",
        &json!({"pod-template-hash": "55c9", "security.istio.io/tlsMode": "istio"}),
        Some(("ReplicaSet", "old-55c9")),
    );
    sidecar["metadata"]["annotations"] = json!({"sidecar.istio.io/status": "{}"});
    let mut network = object("v1", "Service", "edge", "eastwest");
    network["metadata"]["labels"] = json!({"topology.istio.io/network": "one"});
    network["spec"] = json!({"selector": {"istio": "edgegateway"}});
    vec![
        sidecar,
        object("apps/v1", "Deployment", "legacy", "old"),
        network,
        pod("default", "bare", &json!({"app": "redis"}), None),
        host,
        over,
        pod(
            "default",
            "gone-0",
            &json!({}),
            Some(("StatefulSet", "gone")),
        ),
        object("apps/v1", "ReplicaSet", "default", "alone"),
        pod(
            "default",
            "alone-x",
            &json!({}),
            Some(("ReplicaSet", "alone")),
        ),
        object("batch/v1", "CronJob", "default", "nightly"),
        job,
        pod(
            "default",
            "nightly-1-x",
            &json!({}),
            Some(("Job", "nightly-1")),
        ),
        object("apps/v1", "Deployment", "edge", "edge"),
        pod(
            "edge",
            "edge-77f6-x",
            &hash,
            Some(("ReplicaSet", "edge-77f6")),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_cluster_and_its_manifests_are_judged_alike() {
    for (namespaces, judge) in [
        (named(&["default"]), Some(&["default"][..])),
        (
            named(&["default", "istio-system"]),
            Some(&["default", "istio-system"]),
        ),
        (Namespaces::All, None),
        (
            Namespaces::All,
            Some(&["default", "istio-system", "kube-system"]),
        ),
    ] {
        let mut files = InventoryBuilder::new(Input::Manifests, "default");
        for (name, text) in wealist_files() {
            files.file(&name, text);
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": oddities()});
        files.file("oddities.json", list.to_string());
        let from_files = judged(files.finish(), judge);
        let objects = [wealist(), oddities()].concat();
        let (live, _) = read_of(Cluster::of(objects), &request(namespaces.clone())).await;
        let live = live.unwrap();
        assert_eq!(gaps(&live.inventory), Vec::<String>::new());
        assert!(
            live.inventory
                .objects
                .pods
                .iter()
                .any(|pod| pod.detail.is_none())
        );
        for found in ["AMB106", "AMB109", "AMB401"] {
            assert!(
                from_files.contains(&format!("check: Id(\n            \"{found}\"")),
                "{found} finds something"
            );
        }
        let from_cluster = judged(live.inventory, judge);
        assert_eq!(from_files, from_cluster, "{namespaces:?}");
    }
}

/// What a translation writes, phase by phase.
fn translated(inventory: Inventory) -> String {
    let mesh = Mesh::new(inventory);
    let namespaces = [Name::from("default")].into();
    let options = Options {
        guard: Some(translate::options::Guard::Closed),
        ..Options::default()
    };
    let translation = translate::translate(&mesh, &namespaces, &options);
    let decision = Decision::new(&translation, &options, &mesh);
    let phases = translate::Phase::ALL.map(|phase| {
        let objects = decision.objects(Some(phase));
        translate::written::stream(&objects)
    });
    phases.join("\n# then\n")
}

#[tokio::test(start_paused = true)]
async fn a_cluster_and_its_manifests_are_translated_alike() {
    let mut files = InventoryBuilder::new(Input::Manifests, "default");
    for (name, text) in wealist_files() {
        files.file(&name, text);
    }
    let mut asked = request(named(&["default"]));
    asked.whole = translate::WRITES;
    let (live, _) = read_of(Cluster::of(wealist()), &asked).await;
    let from_files = translated(files.finish());
    for written in ["kind: Namespace", "kind: Service\n", "kind: Deployment"] {
        assert!(from_files.contains(written), "{written}:\n{from_files}");
    }
    assert_eq!(from_files, translated(live.unwrap().inventory));
}

/// A workload with a sidecar that accepts HBONE: its Deployment and its pod.
fn sidecar(namespace: &str, name: &str) -> [Value; 2] {
    let labels = json!({
        "app": name, "pod-template-hash": "55c9",
        "security.istio.io/tlsMode": "istio", "networking.istio.io/tunnel": "http",
    });
    let owner = format!("{name}-55c9");
    let mut deployment = object("apps/v1", "Deployment", namespace, name);
    deployment["spec"] = json!({
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"serviceAccountName": name}},
    });
    let mut pod = pod(
        namespace,
        &format!("{owner}-x"),
        &labels,
        Some(("ReplicaSet", &owner)),
    );
    pod["metadata"]["annotations"] = json!({"sidecar.istio.io/status": "{}"});
    pod["spec"]["serviceAccountName"] = json!(name);
    [deployment, pod]
}

#[tokio::test(start_paused = true)]
async fn callers_with_sidecars_elsewhere_are_known() {
    let mut service = object("v1", "Service", "shop", "pay");
    service["spec"] = json!({"selector": {"app": "pay"}, "ports": [{"name": "http", "port": 80}]});
    let mut injected = namespace("shop");
    injected["metadata"]["labels"] = json!({"istio-injection": "enabled"});
    let to = json!([{"operation": {"methods": ["GET"]}}]);
    for (from, expected) in [
        (
            json!(["cluster.local/ns/web/sa/front"]),
            Some("1 workload with sidecars in web"),
        ),
        (json!(["*"]), Some("2 workloads with sidecars in web")),
        (json!(["cluster.local/ns/elsewhere/sa/front"]), None),
    ] {
        let mut policy = object("security.istio.io/v1", "AuthorizationPolicy", "shop", "pay");
        policy["spec"] = json!({"rules": [{"from": [{"source": {"principals": from}}], "to": to}]});
        let objects: Vec<Value> = [injected.clone(), service.clone(), policy]
            .into_iter()
            .chain(sidecar("shop", "pay"))
            .chain(sidecar("web", "front"))
            .chain(sidecar("web", "other"))
            .collect();
        let told = |inventory: Inventory| {
            let mesh = Mesh::new(inventory);
            let namespaces = [Name::from("shop")].into();
            let translation = translate::translate(&mesh, &namespaces, &Options::default());
            format!("{:#?}", translation.treatments)
        };
        let mut files = InventoryBuilder::new(Input::Manifests, "default");
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        files.file("all.json", list.to_string());
        let from_files = told(files.finish());
        let mut asked = request(named(&["shop"]));
        asked.whole = translate::WRITES;
        let (live, _) = read_of(Cluster::of(objects), &asked).await;
        assert_eq!(told(live.unwrap().inventory), from_files);
        match expected {
            Some(words) => assert!(from_files.contains(words), "{from_files}"),
            None => assert!(!from_files.contains("sidecars in web"), "{from_files}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn files_take_the_place_of_what_the_cluster_holds() {
    let mut live = object("v1", "Service", "shop", "cart");
    live["spec"] = json!({"selector": {"app": "live"}});
    let mut kept = object("v1", "Service", "shop", "kept");
    kept["spec"] = json!({});
    let (live, _) = read_of(
        Cluster::of(vec![namespace("shop"), live, kept]),
        &request(named(&["shop"])),
    )
    .await;
    let mut files = InventoryBuilder::new(Input::Manifests, "shop");
    let cart =
        "apiVersion: v1\nkind: Service\nmetadata: {name: cart}\nspec: {selector: {app: file}}\n";
    files.file("cart.yaml", cart.to_owned());
    let both = crate::source::overlay(files.finish(), live.unwrap().inventory);
    assert_eq!(both.input, Input::Overlay);
    assert_eq!(both.objects.count(Kind::Service), 2);
    assert!(both.objects.services[0].spec.selector.has("app", "file"));
    assert_eq!(both.unread, []);
}
