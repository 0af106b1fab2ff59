//! By what means proxies speak to each other while both modes exist.

use harness::oracle::{Manifests, Oracle, Proxy, Translation};
use serde_json::{Value, json};

/// An ambient service `new` in namespace `ambient`, and a sidecar's service `old` in namespace `sidecar`.
const MESH: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: ambient, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Service
metadata: {name: new, namespace: ambient}
spec: {selector: {app: new}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: new, namespace: ambient}
spec: {template: {metadata: {labels: {app: new}}, spec: {containers: [{name: a, image: a}]}}}
---
apiVersion: v1
kind: Namespace
metadata: {name: sidecar, labels: {istio-injection: enabled}}
---
apiVersion: v1
kind: Service
metadata: {name: old, namespace: sidecar}
spec: {selector: {app: old}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: old, namespace: sidecar}
spec: {template: {metadata: {labels: {app: old}}, spec: {containers: [{name: a, image: a}]}}}
---
";

/// What istiod makes of the mesh with these manifests, for the sidecar of `old`.
#[track_caller]
fn mesh(yaml: &str, sidecar: Proxy) -> Translation {
    let manifests = Manifests::new(format!("{MESH}{yaml}"))
        .proxy(sidecar)
        .clusters();
    match Oracle::shared().translate(&manifests) {
        Ok(translation) => translation,
        Err(error) => panic!("{error}"),
    }
}

fn sidecar() -> Proxy {
    Proxy::sidecar("old", "sidecar").label("app", "old")
}

fn destination_rule(tls: &str) -> String {
    format!(
        "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: tls, namespace: istio-system}}
spec: {{host: '*.local', trafficPolicy: {{tls: {tls}}}}}
"
    )
}

/// The transport that Envoy picks for the endpoint of a cluster: the first whose labels the endpoint has.
#[track_caller]
fn picked(translation: &Translation, cluster: &str) -> Value {
    let Some(proxy) = translation.proxy("old") else {
        panic!("no proxy");
    };
    let endpoints = proxy
        .endpoints
        .iter()
        .find(|e| e["cluster_name"] == cluster);
    let labels = endpoints.and_then(|e| {
        e.pointer(
            "/endpoints/0/lb_endpoints/0/metadata/filter_metadata/envoy.transport_socket_match",
        )
    });
    let Some(labels) = labels else {
        panic!("{cluster} has no endpoint with labels: {endpoints:?}");
    };
    let sockets = proxy
        .cluster(cluster)
        .map_or(&Value::Null, |cluster| &cluster["transport_socket_matches"]);
    let fits = |socket: &&Value| {
        let wanted = socket["match"].as_object();
        wanted
            .into_iter()
            .flatten()
            .all(|(key, value)| labels[key] == *value)
    };
    let mut sockets = sockets.as_array().into_iter().flatten();
    sockets
        .find(fits)
        .map_or(Value::Null, |socket| socket["name"].clone())
}

const NEW: &str = "outbound|80||new.ambient.svc.cluster.local";
const OLD: &str = "outbound|80||old.sidecar.svc.cluster.local";

#[test]
fn sidecar_speaks_hbone_to_ambient_and_mutual_tls_to_sidecars() {
    let translation = mesh("", sidecar());
    assert_eq!(picked(&translation, NEW), "hbone");
    assert_eq!(picked(&translation, OLD), "tlsMode-istio");
}

#[test]
fn sidecar_speaks_hbone_to_ambient_whatever_a_destination_rule_says_of_tls() {
    for tls in [
        "{mode: ISTIO_MUTUAL}",
        "{mode: DISABLE}",
        "{mode: SIMPLE}",
        "{mode: MUTUAL, clientCertificate: /c, privateKey: /k}",
    ] {
        let translation = mesh(&destination_rule(tls), sidecar());
        assert_eq!(picked(&translation, NEW), "hbone", "{tls}");
    }
}

#[test]
fn sidecar_that_takes_no_hbone_speaks_it_all_the_same() {
    let translation = mesh("", sidecar().without_hbone());
    assert_eq!(picked(&translation, NEW), "hbone");
    let listeners = |translation: &Translation| {
        let chains = translation.proxy("old").map(|proxy| proxy.chains.clone());
        let has = |name: &str| chains.iter().flatten().any(|chain| chain.listener == name);
        [has("connect_terminate"), has("connect_originate")]
    };
    assert_eq!(listeners(&translation), [false, true]);
    assert_eq!(listeners(&mesh("", sidecar())), [true, true]);
}

/// The transports of the chains for the pod's port 8080 on the sidecar's inbound listener, whether there is a listener for
/// HBONE, and the tunnel ztunnel is told to use.
#[track_caller]
fn inbound(mode: &str) -> (Vec<String>, bool, String) {
    let yaml = format!(
        "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: pa, namespace: sidecar}}
spec: {{mtls: {{mode: {mode}}}}}
"
    );
    let translation = mesh(&yaml, sidecar());
    let Some(proxy) = translation.proxy("old") else {
        panic!("no proxy");
    };
    let chains = proxy.chains.iter().filter(|chain| {
        chain.listener == "virtualInbound" && chain.matches["destination_port"] == json!(8080)
    });
    let mut transports: Vec<String> = chains
        .map(|chain| {
            if chain.transport.is_empty() {
                "plain"
            } else {
                "tls"
            }
            .to_owned()
        })
        .collect();
    transports.sort();
    transports.dedup();
    let hbone = proxy
        .chains
        .iter()
        .any(|chain| chain.listener == "connect_terminate");
    let workload = translation.ztunnel.workload("sidecar", "old-0");
    let tunnel = workload.map(|workload| workload.tunnel_protocol.clone());
    (transports, hbone, tunnel.unwrap_or_default())
}

#[test]
fn peer_authentication_of_a_sidecar_is_about_its_inbound_listener_and_not_about_hbone() {
    for (mode, transports) in [
        ("STRICT", &["tls"][..]),
        ("PERMISSIVE", &["plain", "tls"]),
        ("UNSET", &["plain", "tls"]),
        ("DISABLE", &["plain"]),
    ] {
        let (found, hbone, tunnel) = inbound(mode);
        assert_eq!(found, transports, "{mode}");
        assert_eq!((hbone, tunnel.as_str()), (true, "HBONE"), "{mode}");
    }
}
