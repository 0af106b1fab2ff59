//! Sidecars as istiod really injects them, of both forms.

use harness::{ControlPlane, Result};
use serde_json::{Value, json};

use crate::wealist::{self, Sidecars, findings};

#[test]
fn native_sidecars_are_counted() -> Result {
    let plane = wealist::shared()?;
    let pods = plane.cluster().list("Pod", Some("default"))?;
    assert!(pods.iter().all(|pod| has(pod, "initContainers")));
    counted(plane)
}

#[test]
fn classic_sidecars_are_judged_alike() -> Result {
    let native = wealist::shared()?;
    let classic = ControlPlane::start(&wealist::options())?;
    wealist::apply(&classic, Sidecars::Classic)?;
    let pods = classic.cluster().list("Pod", Some("default"))?;
    assert!(pods.iter().all(|pod| has(pod, "containers")));
    counted(&classic)?;
    let check = |plane: &ControlPlane| -> Result<Vec<Value>> {
        let check = plane.ambient(["check", "-n", "default", "-o", "json"])?;
        Ok(findings(&check.run()?.exited(0)?.json()?))
    };
    assert_eq!(check(&classic)?, check(native)?);
    Ok(())
}

/// Whether istiod put its proxy among these containers of the pod.
fn has(pod: &Value, containers: &str) -> bool {
    let containers = pod["spec"][containers].as_array();
    containers
        .into_iter()
        .flatten()
        .any(|container| container["name"] == "istio-proxy")
}

fn counted(plane: &ControlPlane) -> Result {
    let status = plane.ambient(["status", "-n", "default", "-o", "json"])?;
    let status = status.run()?.exited(0)?.json()?;
    let default = &status["namespaces"][0];
    assert_eq!(default["mode"], "sidecar", "{default}");
    assert_eq!(default["pods"], json!(wealist::PODS), "{default}");
    assert_eq!(default["sidecars"], json!(wealist::PODS), "{default}");
    assert_eq!(default["ambient"], 0, "{default}");
    Ok(())
}
