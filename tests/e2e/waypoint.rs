//! Waypoints made, shown and removed, and each trap on the way.

use harness::fault::{At, Fault, When};
use harness::{Condition, ControlPlane, Done, Namespace, Permission, Result, gone, pods_ready};
use serde_json::{Value, json};

use crate::wealist;

const GATEWAYS: &str = "gateways.gateway.networking.k8s.io";

/// A Service with a pod, and one with two.
const SHOP: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay}
spec:
  replicas: 1
  selector: {matchLabels: {app: pay}}
  template:
    metadata: {labels: {app: pay}}
    spec: {containers: [{name: pay, image: pay}]}
---
apiVersion: v1
kind: Service
metadata: {name: pay}
spec: {selector: {app: pay}, ports: [{name: http, port: 80}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: pay}
spec:
  targetRefs: [{group: '', kind: Service, name: pay}]
  rules: [{to: [{operation: {methods: [GET]}}]}]
";

/// A namespace with the shop in it, in ambient mode.
fn shop(plane: &ControlPlane) -> Result<Namespace> {
    let shop = plane.namespace("waypoints", &[("istio.io/dataplane-mode", "ambient")])?;
    shop.apply(SHOP)?;
    shop.wait_all("Pod", "app=pay", &pods_ready(1, "1/1"))?;
    Ok(shop)
}

/// Runs `waypoint` in a namespace.
fn waypoint(plane: &ControlPlane, shop: &Namespace, words: &[&str]) -> Result<Done> {
    let words = ["waypoint"].iter().chain(words);
    let words: Vec<&str> = words.copied().chain(["-n", shop.name()]).collect();
    plane.ambient(words)?.run()
}

/// What became of each object.
fn changes(done: &Done) -> Result<Vec<String>> {
    let document = done.json()?;
    let changes = document["changes"].as_array().into_iter().flatten();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(changes
        .map(|change| {
            let kind = word(&change["kind"]);
            format!(
                "{kind}/{} {}",
                word(&change["name"]),
                word(&change["change"])
            )
        })
        .collect())
}

/// The label that binds the namespace.
fn bound(shop: &Namespace) -> Result<Option<String>> {
    let namespace = shop.cluster().get("Namespace", "", shop.name())?;
    let label = namespace.unwrap_or_default()["metadata"]["labels"]["istio.io/use-waypoint"].take();
    Ok(label.as_str().map(str::to_owned))
}

#[test]
fn a_waypoint_is_made_bound_shown_and_removed() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    let name = shop.name();
    let recorder = plane.record(&["Namespace", GATEWAYS, "Deployment"], &[name])?;
    let apply = ["apply", "--enroll-namespace", "--yes", "-o", "json"];
    let done = waypoint(plane, &shop, &apply)?.exited(0)?;
    assert_eq!(
        changes(&done)?,
        [
            "Gateway/waypoint created",
            &format!("Namespace/{name} bound")
        ]
    );
    assert_eq!(done.json()?["ready"], true);
    recorder
        .history()?
        .always("no label before the waypoint is ready", |state| {
            let bound = state.get("Namespace", name).is_some_and(|namespace| {
                namespace["metadata"]["labels"]["istio.io/use-waypoint"] == "waypoint"
            });
            let address = |gateway: &Value| gateway["status"]["addresses"][0].is_object();
            let ready = |deployment: &Value| deployment["status"]["readyReplicas"] == 1;
            !bound
                || (state.get("Gateway", "waypoint").is_some_and(address)
                    && state.get("Deployment", "waypoint").is_some_and(ready))
        })?;

    // A second time there is nothing to do.
    let done = waypoint(plane, &shop, &apply)?.exited(0)?;
    assert_eq!(
        changes(&done)?,
        [
            "Gateway/waypoint unchanged",
            &format!("Namespace/{name} unchanged")
        ]
    );

    let status = waypoint(plane, &shop, &["status", "-o", "json"])?.exited(0)?;
    let status = status.json()?["waypoints"][0].clone();
    assert_eq!(status["replicas"], json!({"ready": 1, "wanted": 1}));
    assert_eq!(
        status["bound"],
        json!([{"kind": "Namespace", "name": name, "label": "istio.io/use-waypoint"}])
    );
    assert_eq!(status["enforced"][0]["name"], "pay", "{status}");
    assert_eq!(status["enforced"][0]["target"]["kind"], "Service");

    // istioctl says `none` here.
    let list = waypoint(plane, &shop, &["list"])?.exited(0)?;
    assert_eq!(
        list.stdout,
        "NAME       REVISION   TRAFFIC   PROGRAMMED   READY\n\
         waypoint   default    service   True         yes\n"
    );

    let refused = waypoint(plane, &shop, &["delete", "waypoint", "--yes"])?.exited(1)?;
    let said = format!("Namespace/{name} uses Gateway/waypoint -n {name}");
    assert!(refused.stderr.contains(&said), "{refused}");
    assert!(refused.stderr.contains("--unbind"), "{refused}");
    assert!(shop.get(GATEWAYS, "waypoint")?.is_some());

    let delete = ["delete", "--all", "--unbind", "--yes", "-o", "json"];
    let done = waypoint(plane, &shop, &delete)?.exited(0)?;
    assert_eq!(
        changes(&done)?,
        [
            &format!("Namespace/{name} unbound"),
            "Gateway/waypoint deleted"
        ]
    );
    assert!(
        done.stderr.contains("leave AuthorizationPolicy/pay"),
        "{done}"
    );
    assert_eq!(bound(&shop)?, None);
    shop.wait("Deployment", "waypoint", &gone())?;
    Ok(())
}

#[test]
fn several_replicas_behind_it_give_it_two_and_a_budget() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    shop.cluster().scale("Deployment", shop.name(), "pay", 2)?;
    shop.wait_all("Pod", "app=pay", &pods_ready(2, "1/1"))?;
    let done = waypoint(plane, &shop, &["apply", "--yes", "-o", "json"])?.exited(0)?;
    assert_eq!(
        changes(&done)?,
        [
            "ConfigMap/waypoint-options created",
            "Gateway/waypoint created"
        ]
    );
    let deployment = shop.get("Deployment", "waypoint")?.unwrap_or_default();
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(deployment["status"]["readyReplicas"], 2);
    let budget = shop
        .get("PodDisruptionBudget", "waypoint")?
        .unwrap_or_default();
    assert_eq!(budget["spec"]["minAvailable"], 1);

    // What was not asked for again stays.
    let done = waypoint(plane, &shop, &["apply", "--yes", "-o", "json"])?.exited(0)?;
    assert_eq!(
        changes(&done)?,
        [
            "ConfigMap/waypoint-options unchanged",
            "Gateway/waypoint unchanged"
        ]
    );
    let done = waypoint(plane, &shop, &["delete", "waypoint", "--yes", "-o", "json"])?.exited(0)?;
    assert_eq!(
        changes(&done)?,
        [
            "Gateway/waypoint deleted",
            "ConfigMap/waypoint-options deleted"
        ]
    );
    shop.wait("PodDisruptionBudget", "waypoint", &gone())?;
    Ok(())
}

#[test]
fn a_waypoint_that_does_not_come_up_is_not_bound() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    // Nobody takes care of this revision.
    let apply = [
        "apply",
        "-r",
        "nobody",
        "--enroll-namespace",
        "--waypoint-timeout",
        "2s",
        "--yes",
    ];
    let done = waypoint(plane, &shop, &apply)?.exited(1)?;
    assert!(done.stdout.contains("created"), "{done}");
    assert!(done.stderr.contains("is not ready after 2 s"), "{done}");
    assert!(
        done.stderr.contains("the namespace was not bound"),
        "{done}"
    );
    assert_eq!(bound(&shop)?, None);

    let status = ["status", "waypoint", "--waypoint-timeout", "1s"];
    let status = waypoint(plane, &shop, &status)?.exited(1)?;
    assert!(status.stdout.contains("not ready: "), "{status}");
    let done = waypoint(plane, &shop, &["delete", "-r", "nobody", "--yes"])?.exited(0)?;
    assert!(done.stdout.contains("deleted"), "{done}");
    let status = waypoint(plane, &shop, &["status", "waypoint"])?.exited(1)?;
    assert!(
        status.stderr.contains("there is no waypoint waypoint"),
        "{status}"
    );
    Ok(())
}

#[test]
fn a_namespace_that_is_bound_elsewhere_stays_so_unless_it_is_told() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    shop.label(
        &json!({"istio.io/use-waypoint": "shared", "istio.io/use-waypoint-namespace": "infra"}),
    )?;
    let apply = ["apply", "--enroll-namespace", "--yes"];
    let done = waypoint(plane, &shop, &apply)?.exited(1)?;
    assert!(
        done.stderr
            .contains("bound to waypoint shared of namespace infra"),
        "{done}"
    );
    assert!(shop.get(GATEWAYS, "waypoint")?.is_none());

    waypoint(plane, &shop, &[&apply[..], &["--overwrite"]].concat())?.exited(0)?;
    assert_eq!(bound(&shop)?.as_deref(), Some("waypoint"));
    let namespace = shop
        .cluster()
        .get("Namespace", "", shop.name())?
        .unwrap_or_default();
    assert!(namespace["metadata"]["labels"]["istio.io/use-waypoint-namespace"].is_null());
    Ok(())
}

#[test]
fn everything_that_names_it_is_named_before_it_goes() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    let web = plane.namespace("web", &[])?;
    waypoint(plane, &shop, &["apply", "--for", "all", "--yes"])?.exited(0)?;
    let name = shop.name();
    shop.apply(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank, labels: {istio.io/use-waypoint: waypoint}}
spec: {hosts: [bank.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}]
",
    )?;
    shop.patch(
        "Service",
        "pay",
        &json!({"metadata": {"labels": {"istio.io/use-waypoint": "waypoint"}}}),
    )?;
    let template = json!({"spec": {"template": {"metadata": {"labels": {"istio.io/use-waypoint": "waypoint"}}}}});
    shop.patch("Deployment", "pay", &template)?;
    let labelled = Condition::over("pods that name it", |pods: &[Value]| {
        let named = |pod: &&Value| pod["metadata"]["labels"]["istio.io/use-waypoint"] == "waypoint";
        let count = pods.iter().filter(named).count();
        if count == 1 && pods.len() == 1 {
            Ok(())
        } else {
            Err(format!("{count} of {}", pods.len()))
        }
    });
    shop.wait_all("Pod", "app=pay", &labelled)?;
    web.label(
        &json!({"istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": name}),
    )?;

    let done = waypoint(plane, &shop, &["delete", "waypoint", "--yes"])?.exited(1)?;
    for user in [
        "Namespace/web",
        "Service/pay",
        "ServiceEntry/bank",
        "Pod/pay-",
        "RequestAuthentication/tokens",
    ] {
        assert!(done.stderr.contains(user), "{user}: {done}");
    }
    let status = waypoint(plane, &shop, &["status"])?.exited(0)?;
    let foreign = format!("Namespace/{}: without effect", web.name());
    assert!(status.stdout.contains(&foreign), "{status}");

    let done = waypoint(plane, &shop, &["delete", "waypoint", "--unbind", "--yes"])?.exited(0)?;
    assert!(
        done.stderr.contains("new pods of ReplicaSet/pay-"),
        "{done}"
    );
    assert!(shop.get(GATEWAYS, "waypoint")?.is_none());
    let service = shop.get("Service", "pay")?.unwrap_or_default();
    assert!(service["metadata"]["labels"]["istio.io/use-waypoint"].is_null());
    Ok(())
}

#[test]
fn a_dry_run_changes_nothing() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    let proxy = plane.faults()?;
    let apply = [
        "waypoint",
        "apply",
        "--dry-run=server",
        "--replicas",
        "2",
        "--enroll-namespace",
        "-n",
        shop.name(),
        "-o",
        "json",
    ];
    let done = plane.ambient(apply)?.through(&proxy).run()?.exited(0)?;
    assert_eq!(done.json()?["dryRun"], true);
    assert_eq!(changes(&done)?.len(), 3);
    let log = proxy.log();
    assert!(log.writes().is_empty(), "{:?}", log.writes());
    let requests = log.requests().iter();
    let writes: Vec<_> = requests.filter(|request| request.is_dry_run()).collect();
    assert_eq!(writes.len(), 3);
    for write in writes {
        assert_eq!(write.field_manager(), Some("kubectl-ambient"));
    }
    assert!(shop.get(GATEWAYS, "waypoint")?.is_none());
    assert_eq!(bound(&shop)?, None);
    Ok(())
}

#[test]
fn what_others_own_is_not_taken_from_them() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    plane
        .istioctl(["waypoint", "apply", "--for", "workload", "-n", shop.name()])
        .run()?
        .exited(0)?;
    let done = waypoint(plane, &shop, &["apply", "--for", "service", "--yes"])?.exited(1)?;
    assert!(
        done.stderr.contains("istio.io/waypoint-for (istioctl)"),
        "{done}"
    );
    // What it is for already is no conflict.
    let done = waypoint(plane, &shop, &["apply", "--yes"])?.exited(0)?;
    assert!(
        done.stderr.contains("a waypoint for workload traffic"),
        "{done}"
    );
    Ok(())
}

#[test]
fn where_no_waypoint_can_be_nothing_is_tried() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    let proxy = plane.faults()?;
    proxy.rule(When::get("gatewayclasses"), Fault::status(404));
    let apply = ["waypoint", "apply", "--yes", "-n", shop.name()];
    let done = plane.ambient(apply)?.through(&proxy).run()?.exited(1)?;
    assert!(
        done.stderr
            .contains("there is no GatewayClass/istio-waypoint"),
        "{done}"
    );

    let nowhere = ["waypoint", "apply", "--yes", "-n", "no-such-namespace"];
    let done = plane.ambient(nowhere)?.run()?.exited(5)?;
    assert!(
        done.stderr
            .contains("there is no namespace no-such-namespace"),
        "{done}"
    );

    shop.apply(
        "
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
",
    )?;
    let done = waypoint(plane, &shop, &["apply", "--yes"])?.exited(1)?;
    assert!(
        done.stderr.contains("is no waypoint: its class is istio"),
        "{done}"
    );
    let writes = proxy
        .log()
        .writes()
        .iter()
        .filter(|write| !write.is_review())
        .count();
    assert_eq!(writes, 0);
    Ok(())
}

#[test]
fn missing_rights_are_named_and_nothing_is_half_done() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    let name = shop.name();
    let gateways = "gateway.networking.k8s.io";
    let reads = [
        Permission::within(name, &["get", "list", "watch"], gateways, &["*"]),
        Permission::within(name, &["get", "list", "watch"], "apps", &["*"]),
        Permission::within(
            name,
            &["get", "list"],
            "",
            &["configmaps", "services", "pods"],
        ),
        Permission::within(name, &["get", "list"], "networking.istio.io", &["*"]),
        Permission::within(name, &["get", "list"], "security.istio.io", &["*"]),
        Permission::within(name, &["get", "list"], "extensions.istio.io", &["*"]),
        Permission::within(name, &["get", "list"], "telemetry.istio.io", &["*"]),
        Permission::everywhere(&["get"], "", &["namespaces"]).named(&[name]),
    ];
    let owner = plane.identity(&shop, &reads)?;
    let apply = ["waypoint", "apply", "--yes", "-n", name];
    let run = |words: &[&str]| plane.ambient(words)?.kubeconfig(owner.kubeconfig()).run();
    let done = run(&apply)?.exited(4)?;
    assert!(
        done.stderr
            .contains("no right to create gateways.gateway.networking.k8s.io"),
        "{done}"
    );
    assert!(shop.get(GATEWAYS, "waypoint")?.is_none());

    let writes = Permission::within(
        name,
        &["patch", "create", "delete"],
        gateways,
        &["gateways"],
    );
    owner.permit(&[&reads[..], &[writes]].concat())?;
    let enroll = [&apply[..], &["--enroll-namespace"]].concat();
    let done = run(&enroll)?.exited(4)?;
    assert!(
        done.stderr.contains("no right to patch namespaces"),
        "{done}"
    );
    assert!(shop.get(GATEWAYS, "waypoint")?.is_none());
    run(&apply)?.exited(0)?;
    // Others cannot be bound to it, so their namespaces need not be looked at.
    let status = run(&["waypoint", "status", "-n", name, "-o", "json"])?.exited(8)?;
    assert!(
        status.stdout.contains("services of other namespaces"),
        "{status}"
    );
    let open = json!([{"name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": {"namespaces": {"from": "All"}}}]);
    shop.patch(GATEWAYS, "waypoint", &json!({"spec": {"listeners": open}}))?;
    let delete = ["waypoint", "delete", "waypoint", "--yes", "-n", name];
    let done = run(&delete)?.exited(4)?;
    assert!(
        done.stderr.contains("which admits other namespaces"),
        "{done}"
    );
    let same = json!([{"name": "mesh", "port": 15008, "protocol": "HBONE"}]);
    shop.patch(GATEWAYS, "waypoint", &json!({"spec": {"listeners": same}}))?;
    run(&delete)?.exited(0)?;
    Ok(())
}

#[test]
fn a_bad_line_loses_nothing() -> Result {
    let plane = wealist::shared()?;
    // A watch that ends, that expires, that cannot be begun, and that never says anything.
    for (name, fault, watch) in [
        (
            "429",
            Fault::status(429).retry_after(1),
            Fault::end_watch(0),
        ),
        (
            "503",
            Fault::status(503).retry_after(1),
            Fault::fail_watch(0, 410),
        ),
        (
            "cut before the request",
            Fault::cut(At::Request),
            Fault::expired(),
        ),
        (
            "cut before the answer",
            Fault::cut(At::Answer),
            Fault::status(500),
        ),
        ("502", Fault::status(502), Fault::stall(At::Answer)),
    ] {
        let shop = shop(plane)?;
        let proxy = plane.faults()?;
        let rules = [
            proxy.rule(When::patch("gateways").nth(1), fault.clone()),
            proxy.rule(When::patch("namespaces").nth(1), fault.clone()),
        ];
        proxy.rule(When::watch("gateways").nth(1), watch);
        let apply = [
            "waypoint",
            "apply",
            "--enroll-namespace",
            "--yes",
            "--request-timeout",
            "3s",
            "-n",
            shop.name(),
        ];
        let done = plane.ambient(apply)?.through(&proxy).run()?;
        assert_eq!(done.code(), Some(0), "{name}: {done}");
        assert_eq!(bound(&shop)?.as_deref(), Some("waypoint"), "{name}");
        assert!(rules.iter().all(|rule| rule.done() == 1), "{name}");

        let rule = proxy.rule(When::delete("gateways").nth(1), fault);
        let delete = [
            "waypoint",
            "delete",
            "waypoint",
            "--unbind",
            "--yes",
            "-n",
            shop.name(),
        ];
        let done = plane.ambient(delete)?.through(&proxy).run()?;
        assert_eq!(done.code(), Some(0), "{name}: {done}");
        assert_eq!(rule.done(), 1, "{name}");
        assert!(shop.get(GATEWAYS, "waypoint")?.is_none(), "{name}");
    }
    Ok(())
}

#[test]
fn a_waypoint_that_is_not_ready_says_so_and_is_waited_for() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    waypoint(plane, &shop, &["apply", "--yes"])?.exited(0)?;
    shop.cluster()
        .scale("Deployment", shop.name(), "waypoint", 0)?;
    let status = waypoint(plane, &shop, &["status", "--wait=false"])?.exited(1)?;
    assert!(status.stdout.contains("not ready: "), "{status}");
    let started = plane
        .ambient(["waypoint", "status", "-n", shop.name()])?
        .start()?;
    shop.cluster()
        .scale("Deployment", shop.name(), "waypoint", 1)?;
    let done = started.finish()?.exited(0)?;
    assert!(done.stdout.contains("1 of 1 ready"), "{done}");
    Ok(())
}

/// It would be taken over, and deleted with the waypoint.
#[test]
fn parameters_of_somebody_else_are_left_alone() -> Result {
    let plane = wealist::shared()?;
    let shop = shop(plane)?;
    let theirs = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "waypoint-options"},
        "data": {"theirs": "yes"},
    });
    shop.apply(&theirs.to_string())?;
    let apply = ["apply", "--replicas", "2", "--yes"];
    let done = waypoint(plane, &shop, &apply)?.exited(1)?;
    assert!(done.stderr.contains("somebody else made it"), "{done}");
    waypoint(plane, &shop, &["apply", "--yes"])?.exited(0)?;
    waypoint(plane, &shop, &["delete", "waypoint", "--yes"])?.exited(0)?;
    let left = shop.get("ConfigMap", "waypoint-options")?;
    assert_eq!(left.unwrap_or_default()["data"], json!({"theirs": "yes"}));
    Ok(())
}
