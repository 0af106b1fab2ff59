//! What a whole control plane does, and the harness with it.

use std::collections::BTreeMap;

use harness::{
    Channel, Condition, ControlPlane, Event, Permission, Result, condition, gone, pods_ready,
    rolled_out,
};
use serde_json::json;

use crate::left::{self, Watched};
use crate::probes::PROBES;
use crate::{alone, options, shared};

#[test]
fn every_probe_succeeds() -> Result {
    let plane = shared()?;
    for (name, probe) in PROBES {
        probe(plane).map_err(|error| error.with(name))?;
    }
    Ok(())
}

#[test]
fn what_the_launcher_says_is_so() -> Result {
    let plane = shared()?;
    let up = plane.up();
    let names: Vec<&str> = up.components.iter().map(|one| one.name.as_str()).collect();
    for name in [
        "etcd",
        "istio-cni-standin",
        "istiod",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kwok",
        "metrics-server",
    ] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    assert!(
        up.components
            .iter()
            .all(|one| one.log.starts_with(&up.state) && one.log.is_file())
    );
    assert!(up.kubeconfig.starts_with(&up.state) && up.kubectl.is_file() && up.istioctl.is_file());
    assert!(up.took_ms > 0 && !up.stages.is_empty());
    assert!(left::processes(&up.state).len() >= names.len());
    let nodes = plane.cluster().list("Node", None)?;
    assert_eq!(nodes.len(), 3);
    assert!(
        plane.cluster().raw("/version")?["gitVersion"]
            .as_str()
            .unwrap()
            .starts_with("v1.")
    );
    Ok(())
}

#[test]
fn workloads_are_scaled_restarted_patched_and_deleted_and_all_of_it_is_recorded() -> Result {
    let plane = shared()?;
    let shop = plane.namespace("shop", &[])?;
    let recorder = plane.record(&["Deployment", "Pod"], &[shop.name()])?;
    shop.apply(CART)?;
    shop.wait("Deployment", "cart", &rolled_out())?;
    plane
        .cluster()
        .scale("Deployment", shop.name(), "cart", 3)?;
    shop.wait_all("Pod", "app=cart", &pods_ready(3, "1/1"))?;
    plane
        .cluster()
        .restart("Deployment", shop.name(), "cart", "now")?;
    shop.wait("Deployment", "cart", &rolled_out())?;
    shop.patch(
        "Deployment",
        "cart",
        &json!({"metadata": {"labels": {"team": "a"}}}),
    )?;
    shop.delete("Deployment", "cart")?;
    shop.wait_all("Pod", "app=cart", &gone())?;

    let history = recorder.history()?;
    let deployment = history.of("Deployment", "cart");
    let events: Vec<Event> = deployment
        .moments()
        .iter()
        .map(|moment| moment.event)
        .collect();
    assert_eq!(
        (events.first(), events.last()),
        (Some(&Event::Created), Some(&Event::Deleted))
    );
    let replicas = deployment
        .moments()
        .iter()
        .map(|moment| moment.object["spec"]["replicas"].as_u64());
    let mut replicas: Vec<u64> = replicas.flatten().collect();
    replicas.dedup();
    assert_eq!(replicas, [1, 3]);
    let born = history.of_kind("Pod");
    let born = born
        .moments()
        .iter()
        .filter(|moment| moment.event == Event::Created);
    assert_eq!(born.count(), 6, "{}", history.told());
    // Of one generation: two controllers scale the old one down and the new one up, in whatever order.
    history.always("at most three pods of a template", |state| {
        let mut templates: BTreeMap<&str, usize> = BTreeMap::new();
        for pod in state.of_kind("Pod") {
            let hash = pod["metadata"]["labels"]["pod-template-hash"].as_str();
            if pod["metadata"].get("deletionTimestamp").is_none() {
                *templates.entry(hash.unwrap_or_default()).or_default() += 1;
            }
        }
        templates.values().all(|pods| *pods <= 3)
    })?;
    let versions: Vec<u64> = history
        .moments()
        .iter()
        .map(|moment| moment.version)
        .collect();
    assert!(versions.is_sorted());
    Ok(())
}

#[test]
fn an_identity_may_what_it_is_permitted_and_no_more() -> Result {
    let plane = shared()?;
    let shop = plane.namespace("viewer", &[])?;
    let viewer = plane.identity(
        &shop,
        &[
            Permission::within(shop.name(), &["get", "list"], "apps", &["deployments"]),
            Permission::everywhere(&["get"], "", &["namespaces"]).named(&[shop.name()]),
        ],
    )?;
    assert_eq!(
        viewer
            .cluster()
            .list("Deployment", Some(shop.name()))?
            .len(),
        0
    );
    assert!(
        viewer
            .cluster()
            .get("Namespace", "", shop.name())?
            .is_some()
    );
    for refused in [
        viewer.cluster().list("Deployment", None).map(drop),
        viewer.cluster().list("Pod", Some(shop.name())).map(drop),
        viewer.cluster().get("Namespace", "", "default").map(drop),
    ] {
        let error = refused.unwrap_err();
        assert_eq!(error.status(), Some(403));
        assert!(error.to_string().contains(viewer.user()), "{error}");
    }
    let list = ["get", "deployments", "-n", shop.name()];
    plane
        .kubectl(list)
        .kubeconfig(viewer.kubeconfig())
        .run()?
        .exited(0)?;
    // Others are not touched by what one loses.
    let other = plane.identity(&shop, &[Permission::everywhere(&["list"], "", &["pods"])])?;
    viewer.withdraw()?;
    other.cluster().list("Pod", None)?;
    let done = plane
        .kubectl(list)
        .kubeconfig(viewer.kubeconfig())
        .run()?
        .exited(1)?;
    assert!(done.stderr.contains("(Forbidden)"), "{done}");
    viewer.permit(&[Permission::within(shop.name(), &["list"], "", &["pods"])])?;
    assert_eq!(viewer.cluster().list("Pod", Some(shop.name()))?.len(), 0);
    Ok(())
}

#[test]
fn manifests_meet_each_other_under_other_names() -> Result {
    let plane = shared()?;
    let mesh = plane.namespaces(&["shop", "legacy"])?;
    mesh.apply(
        "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec:
  hosts: [cart.shop.svc.cluster.local]
  exportTo: [legacy]
  http: [{route: [{destination: {host: cart.legacy.svc.cluster.local}}]}]
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: a}}
",
    )?;
    let route = mesh.of("shop")?.get("VirtualService", "cart")?.unwrap();
    let legacy = mesh.of("legacy")?.name();
    assert_eq!(route["spec"]["exportTo"], json!([legacy]));
    Ok(())
}

/// Another control plane beside the shared one, of the other channel: with components that stop and
/// go on.
#[test]
fn two_at_once_and_components_that_come_and_go() -> Result {
    let _alone = alone();
    let mesh = "accessLogFile: /dev/stdout";
    let plane = ControlPlane::start(&options().channel(Channel::Experimental).mesh_config(mesh))?;
    let other = shared()?;
    assert_ne!(plane.up().state, other.up().state);
    let addresses = |plane: &ControlPlane| -> Vec<String> {
        let components = plane.up().components.iter();
        components.filter_map(|one| one.address.clone()).collect()
    };
    assert!(
        addresses(&plane)
            .iter()
            .all(|one| !addresses(other).contains(one))
    );
    assert!(plane.cluster().list("XMesh", None).is_ok());
    assert!(other.cluster().list("XMesh", None).is_err());
    let config = plane
        .cluster()
        .get("ConfigMap", "istio-system", "istio")?
        .unwrap();
    assert!(config["data"]["mesh"].as_str().unwrap().contains(mesh));

    let shop = plane.namespace("shop", &[])?;
    plane.stop("kube-scheduler")?;
    shop.apply(CART)?;
    let pending = Condition::over("to be pending", |pods| match pods {
        [pod] if pod["status"]["phase"] == "Pending" => Ok(()),
        pods => Err(format!("{} pods", pods.len())),
    });
    shop.wait_all("Pod", "app=cart", &pending)?;
    plane.start_again("kube-scheduler")?;
    shop.wait("Deployment", "cart", &rolled_out())?;
    plane.freeze("kube-controller-manager")?;
    plane.thaw("kube-controller-manager")?;
    plane.kill("kube-apiserver")?;
    assert!(plane.cluster().raw("/version").is_err());
    plane.start_again("kube-apiserver")?;
    shop.wait("Deployment", "cart", &condition("Available", "True"))?;
    assert!(
        plane
            .stop("nothing")
            .unwrap_err()
            .to_string()
            .contains("nothing")
    );
    drop(shop);

    let watched = Watched::of(plane.up());
    drop(plane);
    watched.is_gone()?;
    assert_eq!(
        other.cluster().list("Node", None)?.len(),
        3,
        "the other goes on"
    );
    Ok(())
}

const CART: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec: {containers: [{name: cart, image: example.com/cart:1}]}
";
