//! Hosts: which VirtualServices are in force, for whom, and what goes of them.

use serde_json::{Value, json};

use super::{Topic, accepting, options, remarks, routes, to, translated};
use crate::kinds::Kind;
use crate::translate::options::{Options, RouteForm};
use crate::translate::{Edit, Phase, Translation};

/// A VirtualService, the older the greater its age.
fn object(age: u32, place: &str, spec: Value) -> Value {
    let (namespace, name) = place.split_once('/').unwrap();
    let mut object = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": name, "namespace": namespace,
                     "creationTimestamp": format!("2026-01-{:02}T00:00:00Z", 30 - age)},
    });
    object["spec"] = spec;
    object
}

fn all(objects: &[Value], options: &Options) -> Translation {
    let texts: Vec<String> = objects.iter().map(ToString::to_string).collect();
    translated(&texts.join("\n---\n"), options)
}

fn of(translation: &Translation, name: &str) -> Vec<String> {
    remarks(translation, Kind::VirtualService, name)
}

/// What is done to VirtualServices: `phase name` and what it has then; `-` when it is gone.
fn changes(translation: &Translation) -> Vec<String> {
    let changes = translation.changes.iter();
    let own = changes.filter(|change| change.edit.object().kind == Kind::VirtualService);
    own.map(|change| {
        let what = match &change.edit {
            Edit::Update { patch, .. } => patch["spec"].to_string(),
            Edit::Remove(_) => "-".to_owned(),
            Edit::Create(_) => "+".to_owned(),
        };
        format!(
            "{} {} {what}",
            change.phase.name(),
            change.edit.object().name
        )
    })
    .collect()
}

fn plain(host: &str, name: &str) -> Value {
    json!({"hosts": [host], "http": [{"route": to(name)}]})
}

#[test]
fn each_host_gets_a_route() {
    let spec =
        json!({"hosts": ["web", "other.shop.svc.cluster.local"], "http": [{"route": to("web")}]});
    let translation = all(&[object(1, "shop/a", spec)], &options());
    let names: Vec<&str> = translation
        .of_phase(Phase::Routes)
        .iter()
        .map(|manifest| manifest.json()["metadata"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a-other", "a-web"]);
    assert_eq!(changes(&translation), ["retire a -"]);
    // Both ports have the same rules, and share a route.
    let parents = routes(&translation)[0]["parentRefs"]
        .as_array()
        .unwrap()
        .len();
    assert_eq!(parents, 2);
}

#[test]
fn a_host_that_stays_keeps_its_virtual_service() {
    let spec = json!({"hosts": ["web", "shop.example.com"], "http": [{"route": to("other")}]});
    let translation = all(&[object(1, "shop/a", spec)], &options());
    assert_eq!(
        of(&translation, "a"),
        ["AMB454 Form spec.hosts", "AMB451 Lossy spec.hosts[1]"]
    );
    assert_eq!(
        changes(&translation),
        [r#"retire a {"hosts":["shop.example.com"]}"#]
    );
    assert_eq!(routes(&translation).len(), 1);
}

#[test]
fn gateways_keep_their_part() {
    let with = |hosts: Value| json!({"hosts": hosts, "gateways": ["mesh", "front"], "http": [{"route": to("other")}]});
    let translation = all(&[object(1, "shop/a", with(json!(["web"])))], &options());
    assert_eq!(
        changes(&translation),
        [r#"retire a {"gateways":["front"]}"#]
    );
    assert_eq!(of(&translation, "a"), ["AMB401 Form spec.gateways"]);
    let translation = all(
        &[object(
            1,
            "shop/a",
            with(json!(["web", "shop.example.com"])),
        )],
        &options(),
    );
    assert!(changes(&translation).is_empty() && routes(&translation).is_empty());
    assert!(of(&translation, "a").contains(&"AMB454 Kept spec.hosts".to_owned()));
    // A match that counts at the gateway alone is none of the mesh.
    let spec = json!({"hosts": ["web"], "gateways": ["mesh", "front"], "http": [
        {"match": [{"gateways": ["front"]}], "route": to("other")}, {"route": to("web")}]});
    let translation = all(&[object(1, "shop/a", spec)], &options());
    assert_eq!(
        routes(&translation)[0]["rules"].as_array().unwrap().len(),
        1
    );
    let elsewhere =
        json!({"hosts": ["web"], "gateways": ["front"], "http": [{"route": to("web")}]});
    let translation = all(&[object(1, "shop/a", elsewhere)], &options());
    assert!(of(&translation, "a").is_empty() && changes(&translation).is_empty());
}

#[test]
fn the_older_of_two_is_in_force() {
    let both = [
        object(2, "shop/a", plain("web", "other")),
        object(1, "shop/b", plain("web", "web")),
    ];
    let translation = all(&both, &options());
    assert_eq!(
        routes(&translation)[0]["rules"][0]["backendRefs"][0]["name"],
        "other"
    );
    assert_eq!(changes(&translation), ["prepare b -", "retire a -"]);
    assert_eq!(of(&translation, "b"), ["AMB414 Form spec.hosts"]);
    // Without ages nobody knows.
    let mut unknown = both;
    for object in &mut unknown {
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("creationTimestamp");
    }
    let translation = all(&unknown, &options());
    assert_eq!(of(&translation, "a"), ["AMB414 Refused spec.hosts"]);
}

#[test]
fn a_wildcard_stays() {
    let wild = object(1, "shop/wild", plain("*.shop.svc.cluster.local", "other"));
    let translation = all(std::slice::from_ref(&wild), &options());
    assert_eq!(of(&translation, "wild"), ["AMB451 Kept spec.hosts"]);
    // At sidecars a name goes before a wildcard; a waypoint appends the wildcard's rules.
    let some = json!({"hosts": ["web"], "http": [{"match": [{"uri": {"exact": "/a"}}], "route": to("web")}]});
    let translation = all(&[wild.clone(), object(2, "shop/a", some)], &options());
    assert!(
        of(&translation, "a").contains(&"AMB414 Refused spec.http".to_owned()),
        "{:?}",
        of(&translation, "a")
    );
    let translation = all(
        &[wild, object(2, "shop/a", plain("web", "other"))],
        &options(),
    );
    assert_eq!(routes(&translation).len(), 1);
}

#[test]
fn who_sees_it() {
    let hidden = json!({"hosts": ["web"], "exportTo": ["."], "http": [{"route": to("other")}]});
    let translation = all(&[object(1, "shop/a", hidden)], &options());
    assert_eq!(of(&translation, "a"), ["AMB415 Lossy spec.exportTo"]);
    assert_eq!(routes(&translation).len(), 1);
    // What says nothing new differs for nobody.
    let hidden = json!({"hosts": ["web"], "exportTo": ["."], "http": [{"route": to("web")}]});
    let translation = all(&[object(1, "shop/a", hidden)], &options());
    assert!(of(&translation, "a").is_empty());
    // Rules of callers.
    let theirs = object(
        1,
        "far/theirs",
        plain("web.shop.svc.cluster.local", "other.shop.svc.cluster.local"),
    );
    let hidden = |mut object: Value| {
        object["spec"]["exportTo"] = json!(["."]);
        object
    };
    let own = object(2, "shop/a", plain("web", "web"));
    let translation = all(&[own, hidden(theirs)], &options());
    assert_eq!(of(&translation, "theirs"), ["AMB415 Lossy spec.hosts"]);
    let ours = object(1, "shop/a", plain("away.far.svc.cluster.local", "web"));
    let translation = all(&[ours], &options());
    assert_eq!(of(&translation, "a"), ["AMB415 Lossy spec.hosts[0]"]);
    assert!(changes(&translation).is_empty());
}

#[test]
fn delegates_are_inlined() {
    let root = object(
        1,
        "shop/root",
        json!({"hosts": ["web"], "http": [
            {"match": [{"uri": {"prefix": "/a"}}], "delegate": {"name": "part", "namespace": "far"}},
            {"route": to("web")},
        ]}),
    );
    let part = |spec: Value| object(1, "far/part", spec);
    let good =
        part(json!({"http": [{"match": [{"uri": {"exact": "/a/b"}}], "route": to("away")}]}));
    let translation = all(&[root.clone(), good], &options());
    let rules = &routes(&translation)[0]["rules"];
    assert_eq!(
        rules[0]["backendRefs"][0],
        json!({"name": "away", "namespace": "far", "port": 8000})
    );
    assert_eq!(rules[0]["matches"][0]["path"]["value"], "/a/b");
    // The delegate is of a namespace that is not translated.
    assert_eq!(changes(&translation), ["retire root -"]);
    let nested = part(json!({"http": [{"delegate": {"name": "part", "namespace": "far"}}]}));
    let hidden = part(json!({"exportTo": ["."], "http": [{"route": to("away")}]}));
    for (objects, expected) in [
        (vec![root.clone()], "AMB452 Refused spec.http[0].delegate"),
        (
            vec![root.clone(), hidden],
            "AMB452 Refused spec.http[0].delegate",
        ),
    ] {
        assert_eq!(of(&all(&objects, &options()), "root"), [expected]);
    }
    let translation = all(&[root, nested], &options());
    assert_eq!(
        of(&translation, "part"),
        ["AMB452 Refused spec.http[0].delegate"]
    );
    assert!(routes(&translation).is_empty());
}

#[test]
fn what_cannot_be_read_is_refused_and_the_rest_converts() {
    let good = object(1, "shop/good", plain("other", "web"));
    for (spec, expected) in [
        (
            json!({"hosts": ["web"], "http": [{"route": to("web"), "newField": 1}]}),
            "AMB750 Refused spec.http[0].newField",
        ),
        (
            json!({"hosts": ["web"], "http": [{"match": [{"uri": {"regex": "/a("}}], "route": to("web")}]}),
            "AMB750 Refused spec.http[0].match[0].uri.regex",
        ),
        (
            json!({"hosts": ["web"], "http": [{"timeout": "soon", "route": to("web")}]}),
            "AMB750 Refused spec.http[0].timeout",
        ),
        (json!({"hosts": ["web"]}), "AMB750 Refused spec"),
    ] {
        let translation = all(
            &[good.clone(), object(1, "shop/bad", spec.clone())],
            &options(),
        );
        assert_eq!(of(&translation, "bad"), [expected], "{spec}");
        assert_eq!(routes(&translation).len(), 1, "{spec}");
    }
}

#[test]
fn services_that_no_waypoint_serves() {
    let service = |name: &str, spec: Value, labels: Value| {
        json!({"apiVersion": "v1", "kind": "Service",
               "metadata": {"name": name, "namespace": "shop", "labels": labels}, "spec": spec})
    };
    let ports = json!([{"name": "http", "port": 80}]);
    for special in [
        service(
            "odd",
            json!({"ports": ports, "clusterIP": "None", "selector": {"app": "odd"}}),
            json!({}),
        ),
        service(
            "odd",
            json!({"type": "ExternalName", "externalName": "a.example", "ports": ports}),
            json!({}),
        ),
        service(
            "odd",
            json!({"ports": ports, "selector": {"app": "odd"}}),
            json!({"istio.io/use-waypoint": "none"}),
        ),
    ] {
        let translation = all(
            &[special.clone(), object(1, "shop/a", plain("odd", "web"))],
            &options(),
        );
        assert!(
            of(&translation, "a").contains(&"AMB401 Refused spec.hosts".to_owned()),
            "{special}: {:?}",
            of(&translation, "a")
        );
    }
}

#[test]
fn beside_a_route() {
    let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80}],
                 "rules": [{"matches": [{"path": {"value": "/a"}}], "backendRefs": [{"name": "other", "port": 80}]}]}});
    let translation = all(
        &[route, object(1, "shop/a", plain("web", "web"))],
        &options(),
    );
    assert_eq!(of(&translation, "a"), ["AMB402 Refused spec.hosts"]);
}

#[test]
fn beside_a_route_that_says_the_same() {
    let route = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"name": "web", "namespace": "shop", "creationTimestamp": "2099-01-01T00:00:00Z"},
        "spec": {"parentRefs": [{"group": "", "kind": "Service", "name": "web", "port": 80}],
                 "rules": [{"backendRefs": [{"name": "web", "port": 80}]}]}});
    let to_web = json!([{"destination": {"host": "web", "port": {"number": 80}}}]);
    for (rule, expected) in [
        (json!({"route": to_web}), "AMB402 Kept spec.hosts"),
        // Sidecars of other namespaces follow the older of the two, the VirtualService.
        (
            json!({"route": to_web, "timeout": "2s"}),
            "AMB402 Refused spec.hosts",
        ),
    ] {
        let spec = json!({"hosts": ["web"], "http": [rule]});
        let translation = all(&[route.clone(), object(1, "shop/a", spec)], &options());
        assert!(
            of(&translation, "a").contains(&expected.to_owned()),
            "{:?}",
            of(&translation, "a")
        );
    }
}

#[test]
fn nothing_is_made_where_all_is_to_stay() {
    let keep = Options {
        routes: RouteForm::Keep,
        ..options()
    };
    let route = json!([{"destination": {"host": "web", "subset": "v1"}}]);
    let spec = json!({"hosts": ["web"], "http": [{"route": route}]});
    let translation = all(&[object(1, "shop/a", spec)], &keep);
    assert_eq!(of(&translation, "a"), ["AMB401 Kept spec.hosts"]);
    let made = translation.of_phase(Phase::Prepare);
    assert!(made.iter().all(|m| m.object().kind != Kind::Service));
    let who = json!({"hosts": ["web"], "http": [{"match": [{"sourceLabels": {"a": "b"}}], "route": to("other")}]});
    let translation = all(
        &[object(1, "shop/a", who)],
        &accepting(&[Topic::CallerMatch]),
    );
    assert_eq!(
        of(&translation, "a"),
        ["AMB408 Lossy spec.http[0].match[0].sourceLabels"]
    );
}

#[test]
fn a_delegate_that_a_gateway_needs_stays() {
    let root = |name: &str, more: Value| {
        let mut spec = json!({"hosts": ["web"], "http": [{"delegate": {"name": "part"}}]});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        object(1, &format!("shop/{name}"), spec)
    };
    let part = object(1, "shop/part", json!({"http": [{"route": to("other")}]}));
    let mesh = root("mesh", json!({}));
    let translation = all(&[mesh.clone(), part.clone()], &options());
    assert_eq!(changes(&translation), ["retire mesh -", "retire part -"]);
    let front = root(
        "front",
        json!({"gateways": ["front"], "hosts": ["a.example"]}),
    );
    let translation = all(&[mesh, part, front], &options());
    assert_eq!(changes(&translation), ["retire mesh -"]);
}

#[test]
fn a_service_entry_may_have_a_waypoint() {
    let entry = |labels: Value| {
        json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": {"name": "ext", "namespace": "shop", "labels": labels},
        "spec": {"hosts": ["b.example.com"], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]}})
    };
    for (labels, expected) in [
        (
            json!({"istio.io/use-waypoint": "waypoint"}),
            "AMB451 Kept spec.hosts[0]",
        ),
        (json!({}), "AMB451 Lossy spec.hosts[0]"),
    ] {
        let route = object(1, "shop/a", plain("b.example.com", "web"));
        let translation = all(&[entry(labels), route], &options());
        assert_eq!(of(&translation, "a"), [expected]);
    }
}
