//! The example mesh on a real control plane: its own sources are applied, and what a cluster adds of
//! itself (pods, sidecars, addresses, an installation) the cluster adds.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use harness::{ControlPlane, Error, Options, Result, pods_ready, rolled_out};
use serde_json::{Value, json};

/// The files that hold what people write; the others hold what the cluster made of it.
const SOURCES: [&str; 5] = [
    "namespaces.yaml",
    "workloads.yaml",
    "services.yaml",
    "istio.yaml",
    "gateway.yaml",
];

/// The pods of `default`.
pub(crate) const PODS: usize = 12;

/// What a storage provisioner would make for the claim of mongodb.
const DISK: &str = "
apiVersion: v1
kind: PersistentVolume
metadata: {name: mongodb}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 20Gi}
  claimRef: {name: data-mongodb-0, namespace: default}
  hostPath: {path: /nowhere}
";

/// The folder of the example.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wealist")
}

/// Where sidecars stand in their pods.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sidecars {
    /// Among the init containers, as istiod does where Kubernetes can.
    Native,
    /// Among the containers, as it was before.
    Classic,
}

/// The options of a control plane that runs the program under test.
pub(crate) fn options() -> Options {
    Options::default().testing(env!("CARGO_BIN_EXE_kubectl-ambient"))
}

/// The mesh that all tests of this binary read, and none changes. A test whose own namespaces have
/// sidecars uses another control plane ([`crate::journey::plane`]).
pub(crate) fn shared() -> Result<&'static ControlPlane> {
    static APPLIED: OnceLock<Result<()>> = OnceLock::new();
    let plane = ControlPlane::shared(options)?;
    APPLIED
        .get_or_init(|| apply(plane, Sidecars::Native))
        .as_ref()
        .map_err(|error| Error::new(error.to_string()))?;
    Ok(plane)
}

/// Applies the mesh and waits until all of it runs.
pub(crate) fn apply(plane: &ControlPlane, sidecars: Sidecars) -> Result {
    plane.cluster().apply(DISK)?;
    for object in sources(sidecars)? {
        plane.cluster().apply(&object.to_string())?;
    }
    let cluster = plane.cluster();
    for namespace in ["default", "istio-ingress"] {
        for kind in ["Deployment", "StatefulSet"] {
            for workload in cluster.list(kind, Some(namespace))? {
                let name = workload["metadata"]["name"].as_str().unwrap_or_default();
                cluster.wait(kind, namespace, name, &rolled_out())?;
            }
        }
    }
    cluster.wait_all("Pod", "default", "", &pods_ready(PODS, "2/2"))?;
    cluster.wait_all("Pod", "istio-ingress", "", &pods_ready(1, "1/1"))?;
    Ok(())
}

/// The objects as they would be written, without what a server adds.
pub(crate) fn sources(sidecars: Sidecars) -> Result<Vec<Value>> {
    let mut objects = Vec::new();
    for file in SOURCES {
        let text = std::fs::read_to_string(folder().join(file))
            .map_err(|error| Error::new(format!("{file}: {error}")))?;
        let found: Vec<Value> = serde_saphyr::from_multiple(&text)
            .map_err(|error| Error::new(format!("{file}: {error}")))?;
        objects.extend(found.into_iter().filter(is_applied));
    }
    for object in &mut objects {
        as_written(object, sidecars);
    }
    Ok(objects)
}

/// The cluster has the other namespaces by itself, and makes by itself what another object owns: a
/// copy of that would stand beside its own until the collector of garbage sees that its owner is gone.
fn is_applied(object: &Value) -> bool {
    let cluster_has = object["kind"] == "Namespace"
        && !["default", "istio-ingress"]
            .iter()
            .any(|own| object["metadata"]["name"] == *own);
    !cluster_has && object["metadata"]["ownerReferences"].is_null()
}

fn as_written(object: &mut Value, sidecars: Sidecars) {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(meta) = object["metadata"].as_object_mut() {
        for field in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
            meta.remove(field);
        }
    }
    if object["kind"] == "Service"
        && object["spec"]["clusterIP"] != "None"
        && let Some(spec) = object["spec"].as_object_mut()
    {
        spec.remove("clusterIP");
        spec.remove("clusterIPs");
    }
    if sidecars == Sidecars::Classic && object["spec"]["template"].is_object() {
        let annotations = &mut object["spec"]["template"]["metadata"]["annotations"];
        annotations["sidecar.istio.io/nativeSidecar"] = json!("false");
    }
}

/// A document without what depends on the day, the place in a file or the context.
pub(crate) fn essence(document: &Value) -> Value {
    match document {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| {
                !matches!(
                    name.as_str(),
                    "place" | "source" | "context" | "metadata" | "otherKinds"
                )
            })
            .map(|(name, value)| (name.clone(), essence(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(essence).collect(),
        other => other.clone(),
    }
}

/// The findings of a report, but for those about the release of Istio: the example's is another.
pub(crate) fn findings(report: &Value) -> Vec<Value> {
    report["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|finding| finding["id"] != "AMB101")
        .map(essence)
        .collect()
}
