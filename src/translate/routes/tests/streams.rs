//! Routes of connections.

use serde_json::{Value, json};

use super::{of_web, options, translated};
use crate::kinds::Kind;
use crate::translate::options::{GatewayApi, Options};
use crate::translate::{Phase, Translation};

/// A Service `db` with a port for bytes and one for TLS.
fn db() -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db", "namespace": "shop"},
           "spec": {"selector": {"app": "db"}, "ports": [
               {"name": "tcp-main", "port": 5432}, {"name": "tls-main", "port": 6000}]}})
}

fn of(spec: &Value, options: &Options) -> Translation {
    let mut object = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
                            "metadata": {"name": "web", "namespace": "shop"}});
    object["spec"] = spec.clone();
    object["spec"]["hosts"] = json!(["db"]);
    translated(&format!("{}\n---\n{object}", db()), options)
}

fn made(translation: &Translation) -> Vec<(Kind, Value)> {
    let made = translation.of_phase(Phase::Routes).into_iter();
    made.map(|manifest| (manifest.object().kind, manifest.json().clone()))
        .collect()
}

fn to(name: &str, port: u16) -> Value {
    json!([{"destination": {"host": name, "port": {"number": port}}}])
}

#[test]
fn tcp_and_tls_become_routes_of_their_own() {
    let sni = "db.shop.svc.cluster.local";
    let spec = json!({
        "tcp": [{"match": [{"port": 5432}], "route": [
            {"destination": {"host": "db", "port": {"number": 5432}}, "weight": 3},
            {"destination": {"host": "other", "port": {"number": 80}}, "weight": 1}]}],
        "tls": [{"match": [{"sniHosts": [sni]}], "route": to("other", 81)}],
    });
    let translation = of(&spec, &options());
    let made = made(&translation);
    assert_eq!(made.len(), 2, "{:?}", of_web(&translation));
    let parent = |port: u16| json!([{"group": "", "kind": "Service", "name": "db", "port": port}]);
    assert_eq!(made[0].0, Kind::TCPRoute);
    assert_eq!(made[0].1["apiVersion"], "gateway.networking.k8s.io/v1");
    assert_eq!(
        made[0].1["spec"],
        json!({"parentRefs": parent(5432), "rules": [{"backendRefs": [
        {"name": "db", "port": 5432, "weight": 3}, {"name": "other", "port": 80, "weight": 1}]}]})
    );
    assert_eq!(made[1].0, Kind::TLSRoute);
    assert_eq!(
        made[1].1["spec"],
        json!({"parentRefs": parent(6000), "hostnames": [sni],
        "rules": [{"backendRefs": [{"name": "other", "port": 81}]}]})
    );
    assert_eq!(
        of_web(&translation),
        ["AMB453 Stated spec.tls[0].match[0].sniHosts"]
    );
    assert_eq!(translation.removed_in(Phase::Retire).len(), 1);
}

#[test]
fn what_routes_of_connections_cannot_say() {
    let tcp = json!({"tcp": [{"route": to("other", 80)}]});
    for (spec, api, expected) in [
        (&tcp, "1.5-standard", vec!["AMB455 Kept spec.tcp"]),
        (&tcp, "1.4-experimental", vec![]),
        (
            &json!({"tcp": [{"match": [{"sourceLabels": {"a": "b"}}], "route": to("other", 80)}]}),
            "1.6-standard",
            vec!["AMB453 Refused spec.tcp[0].match[0].sourceLabels"],
        ),
        (
            &json!({"tcp": [{"match": [{"destinationSubnets": ["10.0.0.0/8"]}], "route": to("other", 80)}]}),
            "1.6-standard",
            vec!["AMB453 Refused spec.tcp[0].match[0].destinationSubnets"],
        ),
        (
            &json!({"tls": [{"match": [{"sniHosts": ["a.example"]}], "route": to("other", 81)}]}),
            "1.6-standard",
            vec!["AMB453 Refused spec.tls[0].match[0].sniHosts"],
        ),
        (
            &json!({"tcp": [{"route": to("nothing", 80)}]}),
            "1.6-standard",
            vec!["AMB411 Refused spec.tcp[0].route[0].destination.host"],
        ),
    ] {
        let with = Options {
            gateway_api: GatewayApi::parse(api),
            ..options()
        };
        let translation = of(spec, &with);
        assert_eq!(of_web(&translation), expected, "{spec} {api}");
        let version = made(&translation)
            .first()
            .map(|(_, json)| json["apiVersion"].clone());
        if expected.is_empty() {
            assert_eq!(version, Some(json!("gateway.networking.k8s.io/v1alpha2")));
        } else {
            assert_eq!(version, None, "{spec} {api}");
        }
    }
}
