//! Conditions, judged from objects as a server has them.

use serde_json::json;

use super::*;
use crate::mesh::workloads::{REDIRECTION, SIDECAR_STATUS, TUNNEL_LABEL};

fn object(kind: Kind, name: &str) -> ObjectRef {
    ObjectRef::new(kind, &Name::from("shop"), &Name::from(name))
}

fn judged(condition: &Condition, objects: &[(ObjectRef, Value)], pods: Vec<Value>) -> Holds {
    condition.judge(&Evidence {
        objects: objects.iter().cloned().collect(),
        pods,
        waited: Duration::ZERO,
    })
}

fn waits(holds: &Holds, words: &str) {
    let Holds::NotYet(why) = holds else {
        panic!("{holds:?}, and not: {words}");
    };
    assert!(why.contains(words), "{why}, and not: {words}");
}

fn deployment(generation: i64, observed: i64, counts: [i64; 4]) -> Value {
    let [wanted, updated, available, all] = counts;
    json!({"metadata": {"generation": generation},
        "spec": {"replicas": wanted, "selector": {"matchLabels": {"app": "pay"}}},
        "status": {"observedGeneration": observed, "updatedReplicas": updated, "availableReplicas": available, "replicas": all}})
}

fn pod(name: &str, sidecar: bool, captured: bool) -> Value {
    let mut annotations = serde_json::Map::new();
    let mut labels = json!({"app": "pay"});
    if sidecar {
        annotations.insert(SIDECAR_STATUS.to_owned(), "{}".into());
        labels["security.istio.io/tlsMode"] = "istio".into();
        labels[TUNNEL_LABEL] = "http".into();
    }
    if captured {
        annotations.insert(REDIRECTION.to_owned(), "enabled".into());
    }
    json!({"metadata": {"name": name, "labels": labels, "annotations": annotations,
        "ownerReferences": [{"controller": true, "kind": "ReplicaSet", "name": "pay-5d4"}]}})
}

#[test]
fn a_rollout_is_over_when_its_controller_and_its_pods_say_so() {
    let workload = object(Kind::Deployment, "pay");
    let ambient = Condition::RolledOut {
        workload: workload.clone(),
        pods: Pods::Ambient,
    };
    let look =
        |found: Value, pods: Vec<Value>| judged(&ambient, &[(workload.clone(), found)], pods);
    let done = || deployment(2, 2, [2, 2, 2, 2]);
    waits(
        &look(deployment(2, 1, [2, 2, 2, 2]), vec![]),
        "not been looked at",
    );
    waits(&look(deployment(2, 2, [2, 1, 2, 3]), vec![]), "1 of 2 pods");
    waits(&look(deployment(2, 2, [2, 2, 2, 3]), vec![]), "1 old pods");
    waits(
        &look(deployment(2, 2, [2, 2, 1, 2]), vec![]),
        "1 of 2 pods of Deployment/pay are ready",
    );
    waits(
        &look(done(), vec![pod("a", false, true), pod("old", true, false)]),
        "pod old of Deployment/pay still has a sidecar",
    );
    waits(&look(done(), vec![pod("a", false, false)]), "not captured");
    assert_eq!(look(done(), vec![pod("a", false, true)]), Holds::Yes);
    let sidecars = Condition::RolledOut {
        workload: workload.clone(),
        pods: Pods::Sidecars,
    };
    let back = |pods| judged(&sidecars, &[(workload.clone(), done())], pods);
    waits(&back(vec![pod("a", false, true)]), "no sidecar");
    assert_eq!(back(vec![pod("a", true, false)]), Holds::Yes);
    let mut stuck = deployment(2, 2, [2, 1, 2, 3]);
    stuck["status"]["conditions"] = json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "it timed out"}]);
    assert!(matches!(look(stuck, vec![]), Holds::Never(_)));
    waits(&judged(&ambient, &[], vec![]), "is not there");
}

#[test]
fn a_waypoint_is_ready_when_it_is_programmed_with_an_address_and_its_pods_are_up() {
    let gateway = object(Kind::Gateway, "waypoint");
    let condition = Condition::WaypointReady {
        gateway: gateway.clone(),
    };
    let mut found = json!({"metadata": {"generation": 1}, "status": {"conditions": []}});
    let with = |found: &Value, deployment: Option<Value>| {
        let mut objects = vec![(gateway.clone(), found.clone())];
        objects.extend(deployment.map(|one| (deployment_of(&gateway), one)));
        judged(&condition, &objects, vec![])
    };
    waits(&with(&found, None), "not Programmed yet");
    found["status"]["conditions"] =
        json!([{"type": "Programmed", "status": "True", "observedGeneration": 1}]);
    waits(&with(&found, None), "no address");
    found["status"]["addresses"] = json!([{"value": "10.0.0.9"}]);
    assert_eq!(with(&found, None), Holds::Yes);
    waits(
        &with(&found, Some(deployment(1, 1, [2, 2, 1, 2]))),
        "1 of 2 pods",
    );
    assert_eq!(
        with(&found, Some(deployment(1, 1, [2, 2, 2, 2]))),
        Holds::Yes
    );
    found["metadata"]["generation"] = 2.into();
    waits(&with(&found, None), "not Programmed yet");
}

#[test]
fn a_policy_is_accepted_for_what_it_is_now_and_for_all_its_targets() {
    let policy = object(Kind::AuthorizationPolicy, "pay-wp");
    let condition = Condition::PolicyAccepted {
        policy: policy.clone(),
    };
    let with = |status: &str, reason: &str, observed: Value| {
        let found = json!({"metadata": {"generation": 3}, "status": {"conditions": [
            {"type": "WaypointAccepted", "status": status, "reason": reason, "message": "why", "observedGeneration": observed}]}});
        judged(&condition, &[(policy.clone(), found)], vec![])
    };
    // istiod writes the generation as a text.
    assert_eq!(with("True", "Accepted", "3".into()), Holds::Yes);
    waits(
        &with("True", "Accepted", "2".into()),
        "does not say WaypointAccepted yet",
    );
    waits(
        &with("True", "PartiallyInvalid", "3".into()),
        "only some targets",
    );
    waits(&with("False", "AncestorNotBound", 3.into()), "why");
}

#[test]
fn a_service_is_bound_to_the_waypoint_that_its_label_names() {
    let service = object(Kind::Service, "pay");
    let waypoint = object(Kind::Gateway, "waypoint");
    let condition = Condition::Bound {
        service: service.clone(),
        waypoint,
    };
    let with = |label: &str, message: &str| {
        let found = json!({"metadata": {"labels": {USE_WAYPOINT: label}}, "status": {"conditions": [
            {"type": "istio.io/WaypointBound", "status": "True", "message": message}]}});
        judged(&condition, &[(service.clone(), found)], vec![])
    };
    assert_eq!(
        with(
            "waypoint",
            "Successfully attached to waypoint shop/waypoint"
        ),
        Holds::Yes
    );
    waits(
        &with("waypoint", "Successfully attached to waypoint shop/other"),
        "another waypoint",
    );
    assert!(matches!(with("none", ""), Holds::Never(_)));
}

#[test]
fn a_route_is_accepted_by_all_its_parents() {
    let route = object(Kind::HTTPRoute, "pay");
    let condition = Condition::RouteAccepted {
        route: route.clone(),
    };
    let parent = |resolved: &str| {
        json!({"controllerName": "istio.io/gateway-controller", "conditions": [
        {"type": "Accepted", "status": "True", "observedGeneration": 1},
        {"type": "ResolvedRefs", "status": resolved, "message": "no backend", "observedGeneration": 1}]})
    };
    let with = |parents: Vec<Value>| {
        let found = json!({"metadata": {"generation": 1}, "spec": {"parentRefs": [{}, {}]}, "status": {"parents": parents}});
        judged(&condition, &[(route.clone(), found)], vec![])
    };
    waits(&with(vec![]), "no parent that answers");
    waits(&with(vec![parent("True")]), "1 of 2 parents");
    waits(&with(vec![parent("True"), parent("False")]), "no backend");
    assert_eq!(with(vec![parent("True"), parent("True")]), Holds::Yes);
}

#[test]
fn what_nothing_tells_of_is_waited_for_and_not_confirmed() {
    let policy = object(Kind::AuthorizationPolicy, "pay");
    let condition = Condition::Seen {
        object: policy.clone(),
    };
    let at = |waited| {
        let found = json!({"metadata": {"generation": 1}});
        let objects = std::collections::BTreeMap::from([(policy.clone(), found)]);
        condition.judge(&Evidence {
            objects,
            pods: vec![],
            waited,
        })
    };
    waits(&at(Duration::ZERO), "a moment");
    assert_eq!(at(SETTLING), Holds::Unconfirmed);
}

#[test]
fn what_ztunnel_leaves_out_of_ours_is_not_waited_for() {
    let policy = object(Kind::AuthorizationPolicy, "pay-guard");
    let condition = Condition::Seen {
        object: policy.clone(),
    };
    let at = |annotations: &[&str], reason: &str, observed: &str| {
        let annotations: serde_json::Map<String, Value> = annotations
            .iter()
            .map(|key| ((*key).to_owned(), "AuthorizationPolicy/shop/pay".into()))
            .collect();
        let found = json!({
            "metadata": {"generation": 2, "annotations": annotations},
            "status": {"conditions": [{"type": "ZtunnelAccepted", "status": "True",
                "reason": reason, "message": "paths", "observedGeneration": observed}]}});
        condition.judge(&Evidence {
            objects: BTreeMap::from([(policy.clone(), found)]),
            pods: vec![],
            waited: SETTLING,
        })
    };
    let Holds::Never(why) = at(&[SOURCE], "UnsupportedValue", "2") else {
        panic!("it is enforced in part");
    };
    assert!(why.contains("(paths)"), "{why}");
    assert_eq!(at(&[SOURCE], "Accepted", "2"), Holds::Unconfirmed);
    // Of what it was before, and of what others wrote for sidecars, nothing follows.
    assert_eq!(at(&[SOURCE], "UnsupportedValue", "1"), Holds::Unconfirmed);
    assert_eq!(at(&[], "UnsupportedValue", "2"), Holds::Unconfirmed);
}

#[test]
fn only_what_was_named_may_keep_a_sidecar() {
    let except = vec![object(Kind::Deployment, "pay")];
    let condition = |except: &[ObjectRef]| Condition::NoSidecars {
        namespace: "shop".into(),
        except: except.to_vec(),
    };
    let pods = || vec![pod("a", true, false), pod("b", true, false)];
    waits(&judged(&condition(&[]), &[], pods()), "pod a and 1 more");
    assert_eq!(judged(&condition(&except), &[], pods()), Holds::Yes);
    let others = vec![object(Kind::Deployment, "pay-5")];
    waits(&judged(&condition(&others), &[], pods()), "pod a");
}

#[test]
fn pods_without_sidecars_of_what_was_switched_are_waited_for_also_when_they_end() {
    let cart = object(Kind::Deployment, "cart");
    let report = object(Kind::CronJob, "report");
    let condition = Condition::NoAmbient {
        namespace: "shop".into(),
        of: vec![cart, report],
    };
    let pod = |name: &str, kind: &str, owner: &str, sidecar: bool| {
        let mut pod = json!({"metadata": {
            "name": name, "labels": {"app": name}, "deletionTimestamp": "now",
            "annotations": {"ambient.istio.io/redirection": "enabled"},
            "ownerReferences": [{"kind": kind, "name": owner, "controller": true}],
        }});
        if sidecar {
            pod["metadata"]["annotations"] = json!({"sidecar.istio.io/status": "{}"});
            pod["metadata"]["labels"]["security.istio.io/tlsMode"] = "istio".into();
        }
        pod
    };
    let with = |pod: Value| judged(&condition, &[], vec![pod]);
    assert_eq!(judged(&condition, &[], vec![]), Holds::Yes);
    waits(
        &with(pod("cart-1-a", "ReplicaSet", "cart-1", false)),
        "has no sidecar yet",
    );
    waits(
        &with(pod("report-2-b", "Job", "report-2", false)),
        "has no sidecar yet",
    );
    assert_eq!(
        with(pod("cart-1-a", "ReplicaSet", "cart-1", true)),
        Holds::Yes
    );
    // What never had one is nobody's return.
    assert_eq!(with(pod("db-0", "StatefulSet", "db", false)), Holds::Yes);
}
