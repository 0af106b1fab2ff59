//! A namespace that is moved to ambient mode and back: how the command is run for it, what it is like
//! between runs, and the small shop that most of these tests move.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use harness::fault::FaultProxy;
use harness::{ControlPlane, Done, Error, Invocation, Namespace, Namespaces, Recorder, Result};
use harness::{pods_ready, ready_column};
use serde_json::{Value, json};

use crate::invariants::Needs;
use crate::wealist::{self, PODS};

/// What people write or istiod makes of it; what Kubernetes makes of it by itself (pods, ReplicaSets,
/// endpoints) follows from it.
const KINDS: [&str; 20] = [
    "ConfigMap",
    "ServiceAccount",
    "Service",
    "deployments.apps",
    "statefulsets.apps",
    "daemonsets.apps",
    "jobs.batch",
    "cronjobs.batch",
    "horizontalpodautoscalers.autoscaling",
    "poddisruptionbudgets.policy",
    "networkpolicies.networking.k8s.io",
    "gateways.gateway.networking.k8s.io",
    "httproutes.gateway.networking.k8s.io",
    "gateways.networking.istio.io",
    "virtualservices.networking.istio.io",
    "destinationrules.networking.istio.io",
    "serviceentries.networking.istio.io",
    "authorizationpolicies.security.istio.io",
    "requestauthentications.security.istio.io",
    "peerauthentications.security.istio.io",
];

/// What the invariants are judged by.
pub(crate) const RECORDED: [&str; 8] = [
    "Namespace",
    "Pod",
    "Service",
    "deployments.apps",
    "leases.coordination.k8s.io",
    "gateways.gateway.networking.k8s.io",
    "authorizationpolicies.security.istio.io",
    "virtualservices.networking.istio.io",
];

pub(crate) const LEASES: &str = "leases.coordination.k8s.io";

/// For how long the Lease lasts here unless told, in seconds: several moves at once keep two cores busy, and a
/// Lease that is renewed late rightly halts a run.
const LEASE: &str = "6";

/// A workload that calls and one that is called: its policies ask for a waypoint, a guard and the
/// waypoint's exemption, its route becomes an HTTPRoute, and its NetworkPolicy does not admit HBONE.
pub(crate) const SHOP: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: front, namespace: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: pay, namespace: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: front, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: front}}
  template:
    metadata: {labels: {app: front}}
    spec: {serviceAccountName: front, containers: [{name: front, image: front}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: pay}}
  template:
    metadata: {labels: {app: pay}}
    spec:
      serviceAccountName: pay
      containers: [{name: pay, image: pay, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: front, namespace: shop}
spec: {selector: {app: front}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {selector: {app: pay}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: pay-callers, namespace: shop}
spec:
  selector: {matchLabels: {app: pay}}
  action: ALLOW
  rules:
  - from: [{source: {principals: [cluster.local/ns/shop/sa/front]}}]
    to: [{operation: {methods: [GET]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: pay-admin, namespace: shop}
spec:
  selector: {matchLabels: {app: pay}}
  action: DENY
  rules: [{to: [{operation: {paths: ["/admin*"]}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec:
  hosts: [pay]
  http:
  - match: [{headers: {x-channel: {exact: mobile}}}]
    headers: {request: {set: {x-page: "20"}}}
    route: [{destination: {host: pay, port: {number: 80}}}]
  - route: [{destination: {host: pay, port: {number: 80}}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: pay, namespace: shop}
spec:
  podSelector: {matchLabels: {app: pay}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: front}}}]
"#;

/// What needs a waypoint in wealist.
const BEHIND: [&str; 5] = [
    "api-gateway",
    "user-service",
    "product-service",
    "order-service",
    "payment-service",
];

/// The control plane that tests share whose namespaces have sidecars. It is not the one whose mesh others
/// read: a sidecar in any namespace is a caller that goes past waypoints, and reports say so.
pub(crate) fn plane() -> Result<&'static ControlPlane> {
    static PLANE: OnceLock<Result<ControlPlane>> = OnceLock::new();
    PLANE
        .get_or_init(|| ControlPlane::start(&wealist::options()))
        .as_ref()
        .map_err(|error| Error::new(error.to_string()))
}

/// A namespace that is moved, on its control plane.
pub(crate) struct Journey<'p> {
    pub(crate) plane: &'p ControlPlane,
    set: Namespaces,
    short: String,
    lease: &'static str,
}

impl<'p> Journey<'p> {
    /// The shop, injected, with all its pods ready.
    pub(crate) fn shop(plane: &'p ControlPlane) -> Result<Self> {
        let journey = Self::of(plane, "shop", SHOP, &json!({"istio-injection": "enabled"}))?;
        journey.wait_ready(2, "2/2")?;
        Ok(journey)
    }

    /// A copy of wealist, whose namespace has these labels.
    pub(crate) fn wealist(plane: &'p ControlPlane, labels: &Value) -> Result<Self> {
        let set = plane.namespaces(&["default", "istio-ingress"])?;
        set.of("default")?.label(labels)?;
        let home = set.of("default")?.name().to_owned();
        // What a storage provisioner would make for the claim of mongodb.
        plane.cluster().apply(
            &json!({
                "apiVersion": "v1", "kind": "PersistentVolume",
                "metadata": {"name": home},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "capacity": {"storage": "20Gi"},
                    "claimRef": {"name": "data-mongodb-0", "namespace": home},
                    "hostPath": {"path": "/nowhere"},
                },
            })
            .to_string(),
        )?;
        for mut object in wealist::sources(wealist::Sidecars::Native)? {
            // The original has this one.
            let ports = object.pointer_mut("/spec/ports");
            for port in ports.and_then(Value::as_array_mut).into_iter().flatten() {
                port.as_object_mut().map(|port| port.remove("nodePort"));
            }
            if object["kind"] != "Namespace" {
                set.apply(&object.to_string())?;
            }
        }
        let journey = Self::among(plane, set, "default");
        journey.wait_ready(PODS, "2/2")?;
        Ok(journey)
    }

    /// A namespace with these labels and these manifests, which call it `short`.
    pub(crate) fn of(
        plane: &'p ControlPlane,
        short: &str,
        manifests: &str,
        labels: &Value,
    ) -> Result<Self> {
        let set = plane.namespaces(&[short])?;
        set.of(short)?.label(labels)?;
        set.apply(manifests)?;
        Ok(Self {
            plane,
            set,
            short: short.to_owned(),
            lease: LEASE,
        })
    }

    /// One of several namespaces, whose objects are there.
    pub(crate) fn among(plane: &'p ControlPlane, set: Namespaces, short: &str) -> Self {
        Self {
            plane,
            set,
            short: short.to_owned(),
            lease: LEASE,
        }
    }

    /// With a Lease that lasts so many seconds.
    #[must_use]
    pub(crate) fn leased_for(mut self, seconds: &'static str) -> Self {
        self.lease = seconds;
        self
    }

    /// The namespace.
    #[expect(clippy::unwrap_used, reason = "it was made with this name")]
    pub(crate) fn namespace(&self) -> &Namespace {
        self.set.of(&self.short).unwrap()
    }

    /// Its real name.
    pub(crate) fn name(&self) -> &str {
        self.namespace().name()
    }

    /// Waits for exactly so many pods, all ready.
    #[track_caller]
    pub(crate) fn wait_ready(&self, count: usize, ready: &str) -> Result {
        self.namespace().wait_all(
            "Pod",
            "!gateway.networking.k8s.io/gateway-name",
            &pods_ready(count, ready),
        )?;
        Ok(())
    }

    /// The command for this namespace, with the test's own times.
    pub(crate) fn command(&self, words: &[&str]) -> Result<Invocation<'p>> {
        let words: Vec<&str> = words.iter().copied().chain(["-n", self.name()]).collect();
        let command = self
            .plane
            .ambient(words)?
            .env("KUBECTL_AMBIENT_LEASE_SECONDS", self.lease)
            .env("KUBECTL_AMBIENT_SETTLING_MILLIS", "50")
            .within(Duration::from_secs(180));
        #[cfg(mutant)]
        let command = crate::mutants::of(command);
        Ok(command)
    }

    /// Runs the command, which goes ahead without asking.
    #[track_caller]
    pub(crate) fn run(&self, words: &[&str]) -> Result<Done> {
        let words: Vec<&str> = words.iter().copied().chain(["--yes"]).collect();
        self.command(&words)?.run()
    }

    /// Runs the command through a proxy.
    #[track_caller]
    pub(crate) fn run_through(&self, proxy: &FaultProxy, words: &[&str]) -> Result<Done> {
        let words: Vec<&str> = words.iter().copied().chain(["--yes"]).collect();
        self.command(&words)?.through(proxy).run()
    }

    /// Runs the command; where the Lease of one that is gone stands in its way, again when that has run out.
    #[track_caller]
    pub(crate) fn run_when_free(&self, words: &[&str]) -> Result<Done> {
        self.when_free(|| self.run(words))
    }

    /// Runs something again when the Lease of a run that is gone has run out.
    pub(crate) fn when_free(&self, run: impl Fn() -> Result<Done>) -> Result<Done> {
        let is_locked =
            |done: &Done| done.code() == Some(1) && done.stderr.contains("is locked by");
        let done = run()?;
        if !is_locked(&done) {
            return Ok(done);
        }
        // Its holder is gone, and its time is not waited for: a second of watching remains.
        let over = json!({"spec": {"leaseDurationSeconds": 1, "renewTime": "2026-01-01T00:00:00.000000Z"}});
        self.namespace().patch(LEASES, "kubectl-ambient", &over)?;
        let done = run()?;
        assert!(!is_locked(&done), "{done}");
        Ok(done)
    }

    /// Records what the invariants ask about.
    pub(crate) fn record(&self) -> Result<Recorder> {
        self.plane.record(&RECORDED, &[self.name()])
    }

    /// What wealist needs at every moment.
    pub(crate) fn wealist_needs(&self) -> Needs<'_> {
        Needs {
            namespace: self.name(),
            bound: &BEHIND,
            denied: None,
        }
    }

    /// What the shop needs at every moment.
    pub(crate) fn shop_needs(&self) -> Needs<'_> {
        Needs {
            namespace: self.name(),
            bound: &["pay"],
            denied: Some(("pay", "/admin*")),
        }
    }

    /// What is there, as people would write it: without what Kubernetes itself maintains.
    #[track_caller]
    pub(crate) fn snapshot(&self) -> Result<BTreeMap<String, Value>> {
        let mut objects = BTreeMap::new();
        let namespace = self.plane.cluster().get("Namespace", "", self.name())?;
        objects.insert(
            "Namespace".to_owned(),
            essential(namespace.unwrap_or_default()),
        );
        for kind in KINDS {
            for object in self.namespace().list(kind)? {
                if is_made_by_others(&object) {
                    continue;
                }
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                objects.insert(format!("{kind}/{name}"), essential(object));
            }
        }
        Ok(objects)
    }

    /// Fails unless the namespace is now as it was then.
    #[track_caller]
    pub(crate) fn is_as(&self, then: &BTreeMap<String, Value>, what: &str) -> Result {
        same(then, &self.snapshot()?, what)
    }

    /// Fails unless these pods, and no others beside waypoints', are there and ready so.
    #[track_caller]
    pub(crate) fn has_pods(&self, count: usize, ready: &str) -> Result {
        let pods = self.namespace().list("Pod")?;
        let pods: Vec<String> = pods
            .iter()
            .filter(|pod| {
                pod["metadata"]["labels"]["gateway.networking.k8s.io/gateway-name"].is_null()
            })
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .map(ready_column)
            .collect();
        assert_eq!(pods, vec![ready; count], "{}", self.name());
        Ok(())
    }
}

/// Fails with the first difference of two snapshots.
#[track_caller]
pub(crate) fn same(
    then: &BTreeMap<String, Value>,
    now: &BTreeMap<String, Value>,
    what: &str,
) -> Result {
    let at = |error: String| Err(Error::new(format!("{what}: {error}")));
    for (name, before) in then {
        match now.get(name) {
            None => return at(format!("{name} is gone")),
            Some(after) if after != before => {
                return at(format!("{name} is\n{after:#}\nand was\n{before:#}"));
            }
            Some(_) => {}
        }
    }
    match now.keys().find(|name| !then.contains_key(*name)) {
        Some(more) => at(format!("{more} is new: {:#}", now[more])),
        None => Ok(()),
    }
}

/// What other objects own, what every namespace has, and our journals.
fn is_made_by_others(object: &Value) -> bool {
    let meta = &object["metadata"];
    meta["ownerReferences"].is_array()
        || !meta["labels"]["kubectl-ambient/run"].is_null()
        || !meta["deletionTimestamp"].is_null()
        || [
            "kube-root-ca.crt",
            "istio-ca-root-cert",
            "istio-ca-crl",
            "default",
        ]
        .iter()
        .any(|own| meta["name"] == *own)
}

fn essential(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(meta) = object["metadata"].as_object_mut() {
        for field in [
            "resourceVersion",
            "uid",
            "generation",
            "managedFields",
            "creationTimestamp",
        ] {
            meta.remove(field);
        }
        if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("deployment.kubernetes.io/revision");
            annotations.remove("deprecated.daemonset.template.generation");
            if annotations.is_empty() {
                meta.remove("annotations");
            }
        }
    }
    // The time of a restart is another each time.
    if let Some(annotations) = object
        .pointer_mut("/spec/template/metadata/annotations")
        .and_then(Value::as_object_mut)
        && let Some(at) = annotations.get_mut("kubectl.kubernetes.io/restartedAt")
    {
        *at = json!("once");
    }
    object
}
