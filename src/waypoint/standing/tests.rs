//! Who is bound to a waypoint, what it enforces, and what it lacks.

use serde_json::{Value, json};

use super::*;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    let pairs = pairs.iter().map(|(k, v)| (Name::from(*k), Name::from(*v)));
    Labels::from_pairs(pairs.collect())
}

fn gateway(namespace: &str, name: &str, labels: &Value, from: &str) -> Found {
    let object = json!({
        "metadata": { "namespace": namespace, "name": name, "labels": labels },
        "spec": {
            "gatewayClassName": "istio-waypoint",
            "listeners": [{ "name": "mesh", "allowedRoutes": { "namespaces": { "from": from } } }],
        },
        "status": {
            "addresses": [{ "value": "10.0.0.1" }],
            "conditions": [{ "type": "Programmed", "status": "True", "message": "fine" }],
        },
    });
    Found {
        gateway: serde_json::from_value(object).unwrap(),
        uid: "u".to_owned(),
        options: None,
    }
}

fn labelled(kind: Kind, namespace: &str, name: &str, pairs: &[(&str, &str)]) -> Labelled {
    Labelled {
        object: ObjectRef::new(kind, &Name::from(namespace), &Name::from(name)),
        labels: labels(pairs),
        owner: None,
    }
}

fn attached(kind: Kind, namespace: &str, name: &str, target: (Kind, &str)) -> Attached {
    let namespace = Name::from(namespace);
    Attached {
        object: ObjectRef::new(kind, &namespace, &Name::from(name)),
        targets: vec![ObjectRef::new(target.0, &namespace, &Name::from(target.1))],
        accepted: None,
    }
}

/// Two replicas, all ready.
const READY: Replicas = Replicas {
    wanted: 2,
    ready: 2,
    settled: true,
};

fn survey(gateways: Vec<Found>) -> Survey {
    let deployments = gateways.iter().map(|found| {
        let meta = &found.gateway.metadata;
        ((meta.namespace.clone(), meta.name.clone()), READY)
    });
    Survey {
        deployments: deployments.collect(),
        gateways,
        root: Name::from("istio-system"),
        ..Survey::default()
    }
}

fn users(standing: &Standing) -> Vec<String> {
    let users = standing.users.iter();
    users
        .map(|user| {
            let unbound = user.unbound.map(|unbound| format!(" {unbound:?}"));
            format!("{}{}", user.object, unbound.unwrap_or_default())
        })
        .collect()
}

#[test]
fn whoever_names_it_is_bound_from_any_namespace() {
    let waypoint = gateway("shop", "waypoint", &json!({}), "Same");
    let open = gateway(
        "shop",
        "open",
        &json!({ "istio.io/waypoint-for": "all" }),
        "All",
    );
    let away = [(USE_WAYPOINT, "waypoint"), (USE_WAYPOINT_NAMESPACE, "shop")];
    let away_open = [(USE_WAYPOINT, "open"), (USE_WAYPOINT_NAMESPACE, "shop")];
    let survey = Survey {
        labelled: vec![
            labelled(Kind::Namespace, "", "shop", &[(USE_WAYPOINT, "waypoint")]),
            labelled(Kind::Service, "shop", "cart", &[(USE_WAYPOINT, "waypoint")]),
            labelled(Kind::Service, "shop", "pay", &[(USE_WAYPOINT, "none")]),
            labelled(Kind::Pod, "shop", "cart-1", &[(USE_WAYPOINT, "waypoint")]),
            labelled(Kind::Pod, "shop", "cart-2", &[(USE_WAYPOINT, "open")]),
            labelled(
                Kind::Service,
                "shop",
                "web",
                &[(USE_WAYPOINT_CANARY, "open")],
            ),
            // The same name in another namespace is another waypoint.
            labelled(Kind::Service, "web", "front", &[(USE_WAYPOINT, "waypoint")]),
            labelled(Kind::ServiceEntry, "web", "api", &away),
            labelled(Kind::Namespace, "", "web", &away_open),
        ],
        ..survey(vec![waypoint, open])
    };
    let [open, waypoint] = &standings(&survey)[..] else {
        panic!("two waypoints")
    };
    assert_eq!(
        users(waypoint),
        [
            "Namespace/shop",
            "Pod/cart-1 -n shop OtherTraffic",
            "Service/cart -n shop",
            "ServiceEntry/api -n web NotAllowed",
        ]
    );
    assert_eq!(
        users(open),
        ["Namespace/web", "Pod/cart-2 -n shop", "Service/web -n shop"]
    );
    assert_eq!(open.users[2].role, Role::Canary);
}

#[test]
fn what_is_attached_to_it_or_to_what_is_behind_it_is_enforced() {
    let policy = Kind::AuthorizationPolicy;
    let mut survey = survey(vec![gateway("shop", "waypoint", &json!({}), "Same")]);
    survey
        .namespaces
        .insert("shop".into(), labels(&[(USE_WAYPOINT, "waypoint")]));
    survey.labelled = vec![
        labelled(Kind::Namespace, "", "shop", &[(USE_WAYPOINT, "waypoint")]),
        labelled(Kind::Service, "shop", "pay", &[(USE_WAYPOINT, "none")]),
    ];
    survey.attached = vec![
        attached(policy, "shop", "all", (Kind::Gateway, "waypoint")),
        attached(policy, "shop", "other", (Kind::Gateway, "elsewhere")),
        // By the namespace's label; `pay` has opted out.
        attached(policy, "shop", "cart", (Kind::Service, "cart")),
        attached(policy, "shop", "pay", (Kind::Service, "pay")),
        attached(
            policy,
            "istio-system",
            "mesh",
            (Kind::GatewayClass, WAYPOINT_CLASS),
        ),
        // A class counts in the root namespace alone.
        attached(policy, "shop", "mesh", (Kind::GatewayClass, WAYPOINT_CLASS)),
        attached(
            Kind::HTTPRoute,
            "shop",
            "route",
            (Kind::Gateway, "waypoint"),
        ),
    ];
    let standing = &standings(&survey)[0];
    let enforced: Vec<String> = standing
        .enforced
        .iter()
        .map(|enforced| enforced.object.to_string())
        .collect();
    assert_eq!(
        enforced,
        [
            "AuthorizationPolicy/mesh -n istio-system",
            "AuthorizationPolicy/all -n shop",
            "AuthorizationPolicy/cart -n shop",
            "HTTPRoute/route -n shop",
        ]
    );
    let own: Vec<_> = standing.attached_to_it().collect();
    assert_eq!(own.len(), 2);
}

#[test]
fn it_is_ready_when_nothing_is_lacking() {
    let found = gateway("shop", "waypoint", &json!({}), "Same");
    let lacks = |found: &Found, replicas: Option<Replicas>| {
        let mut survey = survey(vec![found.clone()]);
        let key = (Name::from("shop"), Name::from("waypoint"));
        match replicas {
            Some(replicas) => drop(survey.deployments.insert(key, replicas)),
            None => drop(survey.deployments.remove(&key)),
        }
        standings(&survey)[0].lacks()
    };
    let said = |text: &str| Some(text.to_owned());
    assert_eq!(lacks(&found, Some(READY)), None);
    assert_eq!(lacks(&found, None), said("it has no Deployment"));
    let one = Replicas { ready: 1, ..READY };
    assert_eq!(
        lacks(&found, Some(one)),
        said("1 of its 2 replicas are ready")
    );
    let older = Replicas {
        settled: false,
        ..READY
    };
    assert_eq!(
        lacks(&found, Some(older)),
        said("its pods are being replaced")
    );
    let none = Replicas {
        wanted: 0,
        ready: 0,
        settled: true,
    };
    assert_eq!(lacks(&found, Some(none)), said("it is scaled to zero"));

    let mut other = found.clone();
    let status = other.gateway.status.as_mut().unwrap();
    status.addresses = 0;
    assert_eq!(lacks(&other, Some(READY)), said("it has no address"));
    let status = other.gateway.status.as_mut().unwrap();
    status.conditions[0].status = "False".to_owned();
    assert_eq!(
        lacks(&other, Some(READY)),
        said("it is not programmed: fine")
    );
    other.gateway.status = None;
    assert_eq!(
        lacks(&other, Some(READY)),
        said("istiod has not programmed it yet")
    );
}
