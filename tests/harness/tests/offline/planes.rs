//! The launcher's contract, with a launcher that is a script.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use harness::{Channel, ControlPlane, Options, Part, Result};
use serde_json::json;

use crate::fake_api::FakeApi;

/// Writes a launcher that prints a line, runs `then`, and tells what it was started with.
fn launcher(folder: &Path, line: &str, then: &str) {
    let script = format!(
        "#!/bin/sh\necho \"$@\" > {0}/arguments\necho starting >&2\n{line}\n{then}\necho ended > {0}/ended\n",
        folder.display()
    );
    let file = folder.join("controlplane");
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn up(api: &FakeApi) -> String {
    let line = json!({
        "kubeconfig": api.kubeconfig(), "server": "http://x", "state": api.folder(),
        "kubectl": "/bin/echo", "istioctl": "/bin/echo", "took_ms": 5, "stages": {},
        "components": [{"name": "etcd", "pid": 1, "log": "/dev/null"}],
    });
    format!("echo '{line}'")
}

const ANSWERS: &str = r#"while read -r line; do
  case "$line" in
    *etcd*) echo '{"error": "etcd cannot be stopped"}' ;;
    *) echo "{\"ok\": $line}" ;;
  esac
done"#;

#[test]
fn a_control_plane_comes_up_obeys_and_ends() -> Result {
    let api = FakeApi::start();
    launcher(api.folder(), &up(&api), ANSWERS);
    let options = Options::default()
        .testbed(api.folder())
        .channel(Channel::Experimental)
        .without(Part::Ambient)
        .without(Part::StandIn)
        .istiod("PILOT_X", "1")
        .mesh_config("accessLogFile: /dev/stdout");
    let plane = ControlPlane::start(&options)?;
    assert_eq!(
        std::fs::read_to_string(api.folder().join("arguments")).unwrap(),
        "up --channel experimental --without ambient --without standin --istiod-env PILOT_X=1 \
         --mesh-config accessLogFile: /dev/stdout\n"
    );
    assert_eq!(plane.up().components[0].name, "etcd");
    assert_eq!(
        plane.kill("kube-scheduler")?,
        json!({"ok": {"kill": "kube-scheduler"}})
    );
    let error = plane.stop("etcd").unwrap_err().to_string();
    assert_eq!(error, "stop etcd: \"etcd cannot be stopped\"");

    let shop = plane.namespace("shop", &[("istio-injection", "enabled")])?;
    let stored = api.object("namespaces", "", shop.name()).unwrap();
    assert_eq!(stored["metadata"]["labels"]["istio-injection"], "enabled");
    shop.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}")?;
    assert!(api.object("configmaps", shop.name(), "a").is_some());
    let name = shop.name().to_owned();
    drop(shop);
    assert!(api.object("namespaces", "", &name).is_none());

    let said = plane.kubectl(["ambient", "check"]).run()?.exited(0)?;
    assert_eq!(said.stdout, "ambient check\n");
    drop(plane);
    assert!(api.folder().join("ended").exists(), "it is waited for");
    Ok(())
}

#[test]
fn manifests_go_into_namespaces_of_other_names() -> Result {
    let api = FakeApi::start();
    launcher(api.folder(), &up(&api), ANSWERS);
    let plane = ControlPlane::start(&Options::default().testbed(api.folder()))?;
    let mesh = plane.namespaces(&["shop", "legacy"])?;
    let (shop, legacy) = (
        mesh.of("shop")?.name().to_owned(),
        mesh.of("legacy")?.name().to_owned(),
    );
    assert!(shop.starts_with("shop-") && mesh.of("other").is_err());
    mesh.apply(
        "
apiVersion: v1
kind: ConfigMap
metadata: {name: shop, namespace: shop}
data:
  app: shop
  host: cart.shop.svc.cluster.local
  principal: cluster.local/ns/legacy/sa/shop
  gateway: legacy/gateway
  path: /shop/legacy/
  exportTo: [., legacy]
  from: {namespaces: [legacy, other], notNamespaces: [shop]}
  selector:
    matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [shop]}]
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
",
    )?;
    let map = api.object("configmaps", &shop, "shop").unwrap();
    assert_eq!(
        map["data"],
        json!({
            "app": "shop",
            "host": format!("cart.{shop}.svc.cluster.local"),
            "principal": format!("cluster.local/ns/{legacy}/sa/shop"),
            "gateway": format!("{legacy}/gateway"),
            "path": "/shop/legacy/",
            "exportTo": [".", legacy],
            "from": {"namespaces": [legacy, "other"], "notNamespaces": [shop]},
            "selector": {"matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [shop]},
            ]},
        })
    );
    let namespace = api.object("namespaces", "", &shop).unwrap();
    assert_eq!(namespace["metadata"]["labels"]["team"], "shop");
    assert_eq!(
        mesh.shortened(&format!("{shop} and {legacy}")),
        "shop and legacy"
    );

    let error = mesh
        .apply("{apiVersion: v2, kind: Nothing, metadata: {name: a}}")
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the server has no Nothing of v2"),
        "{error}"
    );
    Ok(())
}

#[test]
fn a_launcher_that_fails_is_quoted() {
    let api = FakeApi::start();
    let missing = ControlPlane::start(&Options::default().testbed(api.folder())).unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("build it with `make controlplane`"),
        "{missing}"
    );

    launcher(api.folder(), "echo 'etcd: no space left' >&2", "");
    let error = ControlPlane::start(&Options::default().testbed(api.folder())).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("controlplane up: it ended before it was up\nstarting\netcd: no space left"),
        "{text}"
    );

    launcher(api.folder(), "echo '{\"kubeconfig\": 1}'", "");
    let error = ControlPlane::start(&Options::default().testbed(api.folder())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("its first line is not what was agreed"),
        "{error}"
    );
}
