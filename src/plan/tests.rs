//! Plans of small meshes: which steps there are, in which order, and what stands in the way.

use super::*;
use crate::checks;
use crate::inventory::{Input, InventoryBuilder};
use crate::kinds::Kind;
use crate::mesh::Mesh;
use crate::translate::{self, Decision, Options, Topic, options::Guard};

/// A namespace of two Deployments with sidecars, and a Service before each.
const BASE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {replicas: 3, minReadySeconds: 10, selector: {matchLabels: {app: cart}}, template: {metadata: {labels: {app: cart}}, spec: {serviceAccountName: cart}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec: {selector: {matchLabels: {app: pay}}, template: {metadata: {labels: {app: pay}}, spec: {serviceAccountName: pay}}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.0.0.1, selector: {app: cart}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {clusterIP: 10.0.0.2, selector: {app: pay}, ports: [{name: http, port: 80}]}
---
";

/// Only cart may ask pay, and only with GET.
const GET_ONLY: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: pay, namespace: shop}
spec:
  selector: {matchLabels: {app: pay}}
  rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/cart]}}], to: [{operation: {methods: [GET]}}]}]
---
";

/// A route that an HTTPRoute can stand for.
const ROUTE: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart, namespace: shop}
spec: {hosts: [cart], http: [{match: [{uri: {exact: /a}}], route: [{destination: {host: cart}}]}, {timeout: 1s, route: [{destination: {host: cart}}]}]}
---
";

fn planned_with(text: &str, change: impl Fn(&mut Options)) -> (Plan, Vec<Obstacle>) {
    planned_and_accepted(text, change, &Accepted::new())
}

fn planned_and_accepted(
    text: &str,
    change: impl Fn(&mut Options),
    accepted: &Accepted,
) -> (Plan, Vec<Obstacle>) {
    planned_or_deleted(text, change, accepted, false)
}

fn planned_or_deleted(
    text: &str,
    change: impl Fn(&mut Options),
    accepted: &Accepted,
    delete_bare_pods: bool,
) -> (Plan, Vec<Obstacle>) {
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("shop.yaml", text.to_owned());
    let mesh = Mesh::new(builder.finish());
    let shop = Name::from("shop");
    let mut options = Options::default();
    change(&mut options);
    let namespaces = BTreeSet::from([shop.clone()]);
    let translation = translate::translate(&mesh, &namespaces, &options);
    let decision = Decision::new(&translation, &options, &mesh);
    let ground = Ground {
        mesh: &mesh,
        namespace: &shop,
        decision: &decision,
        guarded: options.guard.is_some(),
        deferred: &options.deferred,
        delete_bare_pods,
    };
    let (plan, mut past) = plan(&ground);
    let all: Vec<_> = checks::all().collect();
    let judgement = checks::judge_but(
        &mesh,
        &checks::Scope::of([shop.clone()]),
        &all,
        false,
        &options.deferred,
    );
    past.extend(obstacles(&mesh, &shop, &judgement, &decision, accepted));
    (plan, past)
}

fn planned(text: &str) -> (Plan, Vec<Obstacle>) {
    planned_with(text, |_| {})
}

fn ids(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.id.to_string()).collect()
}

fn writes(plan: &Plan, id: &str) -> Vec<String> {
    let step = plan.steps.iter().find(|step| step.id.to_string() == id);
    let writes = step.into_iter().flat_map(Step::writes);
    let words = writes.map(|planned| {
        let verb = match planned {
            Planned::Write(Write::Create { .. }) => "create",
            Planned::Write(Write::Change { .. }) => "change",
            Planned::Write(Write::Remove { .. }) => "remove",
            Planned::Restart(_) => "restart",
            Planned::Set { .. } => "set",
            Planned::Write(Write::Delete { .. }) | Planned::Delete(_) => "delete",
        };
        format!("{verb} {}", planned.object().short())
    });
    words.collect()
}

#[test]
fn without_rules_on_requests_the_namespace_is_labelled_and_restarted() {
    let (plan, obstacles) = planned(BASE);
    assert_eq!(
        ids(&plan),
        ["bind", "injection", "switch/cart", "switch/pay", "verify"]
    );
    assert_eq!(plan.manner, Manner::Namespace);
    assert_eq!(writes(&plan, "bind"), ["change Namespace/shop"]);
    assert_eq!(writes(&plan, "switch/cart"), ["restart Deployment/cart"]);
    assert_eq!(obstacles, []);
    let waves: Vec<u32> = plan.steps.iter().map(|step| step.wave).collect();
    assert_eq!(
        waves,
        [0, 1, 2, 2, 3],
        "workloads side by side, all else in turn"
    );
    let rollout = &plan.steps[2].rollouts[0];
    assert_eq!(
        (rollout.pods, rollout.turns, rollout.min_ready_seconds),
        (3, 3, 10)
    );
}

#[test]
fn with_rules_on_requests_each_workload_is_switched_by_its_template_callers_first() {
    let (plan, obstacles) = planned(&format!("{BASE}{GET_ONLY}{ROUTE}"));
    assert_eq!(
        ids(&plan),
        [
            "waypoint",
            "policies",
            "bind",
            "switch/cart",
            "switch/pay",
            "injection",
            "routes/cart",
            "verify",
            "finish"
        ]
    );
    assert_eq!(plan.manner, Manner::Templates);
    let wave = |id: &str| {
        plan.steps
            .iter()
            .find(|step| step.id.to_string() == id)
            .unwrap()
            .wave
    };
    assert!(wave("switch/cart") < wave("switch/pay"), "cart calls pay");
    assert_eq!(
        writes(&plan, "policies"),
        [
            "create AuthorizationPolicy/pay-from-waypoint",
            "create AuthorizationPolicy/pay-wp",
            "change AuthorizationPolicy/pay"
        ]
    );
    assert_eq!(
        writes(&plan, "routes/cart"),
        ["create HTTPRoute/cart", "remove VirtualService/cart"]
    );
    assert_eq!(writes(&plan, "finish"), ["remove AuthorizationPolicy/pay"]);
    assert_eq!(obstacles, []);
}

#[test]
fn what_makes_room_is_written_when_what_is_new_is_known() {
    let (plan, _) = planned(&format!("{BASE}{GET_ONLY}"));
    let policies = &plan.steps[plan.position(&StepId::Policies).unwrap()];
    let [new, changed] = policies.stages.as_slice() else {
        panic!("two stages: {:?}", policies.stages);
    };
    assert!(
        new.writes
            .iter()
            .all(|write| matches!(write, Planned::Write(Write::Create { .. })))
    );
    assert!(
        changed
            .writes
            .iter()
            .all(|write| matches!(write, Planned::Write(Write::Change { .. })))
    );
    let copy =
        crate::kinds::ObjectRef::new(Kind::AuthorizationPolicy, &"shop".into(), &"pay-wp".into());
    assert!(new.gate.contains(&Condition::Seen {
        object: copy.clone()
    }));
    let bind = &plan.steps[plan.position(&StepId::Bind).unwrap()];
    let gates: Vec<&Condition> = bind.stages.iter().flat_map(|stage| &stage.gate).collect();
    assert!(gates.contains(&&Condition::PolicyAccepted { policy: copy }));
}

#[test]
fn services_are_bound_before_the_namespace_is_enrolled() {
    let (plan, _) = planned(&format!("{BASE}{GET_ONLY}"));
    assert_eq!(
        writes(&plan, "bind"),
        ["change Service/pay", "change Namespace/shop"]
    );
}

#[test]
fn a_deferred_workload_keeps_the_namespace_injecting_and_is_named() {
    let (plan, _) = planned_with(BASE, |options| {
        options.deferred.insert(("shop".into(), "cart".into()));
    });
    assert_eq!(ids(&plan), ["bind", "switch/pay", "verify"]);
    let remainder: Vec<String> = plan.remainder.iter().map(ObjectRef::short).collect();
    assert_eq!(remainder, ["Deployment/cart"]);
}

#[test]
fn what_is_only_found_for_a_deferred_workload_does_not_stand_in_the_way() {
    let asks = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: old, namespace: shop}
spec: {selector: {matchLabels: {app: old, sidecar.istio.io/inject: 'true'}}, template: {metadata: {labels: {app: old, sidecar.istio.io/inject: 'true'}}}}
---
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: old, namespace: shop}
spec: {workloadSelector: {labels: {app: old}}, configPatches: [{applyTo: HTTP_FILTER}]}
---
";
    let text = format!("{BASE}{asks}");
    let ids = |obstacles: &[Obstacle]| {
        let ids = obstacles.iter().filter_map(|obstacle| obstacle.id.clone());
        ids.collect::<Vec<_>>()
    };
    let (_, obstacles) = planned(&text);
    assert_eq!(ids(&obstacles), ["AMB350", "AMB502"]);
    let (_, obstacles) = planned_with(&text, |options| {
        options.deferred.insert(("shop".into(), "old".into()));
    });
    assert_eq!(ids(&obstacles), Vec::<String>::new());
}

#[test]
fn workloads_that_may_call_each_other_need_a_word_about_the_meantime() {
    let both = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: all, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  rules: [{from: [{source: {principals: [cluster.local/ns/shop/sa/pay]}}], to: [{operation: {methods: [GET]}}]}]
---
";
    let text = format!("{BASE}{GET_ONLY}{both}");
    let circle = |obstacles: &[Obstacle]| {
        let past = obstacles
            .iter()
            .filter(|obstacle| obstacle.says.contains("in turn"));
        past.filter_map(|obstacle| Some(obstacle.object.as_ref()?.short()))
            .collect::<Vec<_>>()
    };
    let (plan, obstacles) = planned(&text);
    assert_eq!(circle(&obstacles), ["Deployment/cart", "Deployment/pay"]);
    assert_eq!(
        plan.steps[3].wave, plan.steps[4].wave,
        "none of them can go first"
    );
    let (_, obstacles) = planned_with(&text, |options| options.guard = Some(Guard::Closed));
    assert_eq!(circle(&obstacles), Vec::<String>::new());
}

#[test]
fn what_is_refused_stands_in_the_way() {
    let (_, obstacles) = planned(&format!(
        "{BASE}{}",
        ROUTE.replace("{uri: {exact: /a}}", "{sourceLabels: {app: pay}}")
    ));
    assert!(
        obstacles
            .iter()
            .any(|obstacle| obstacle.id.as_deref() == Some(Topic::CallerMatch.id()))
    );
}

#[test]
fn a_refusal_cannot_be_accepted_for_nothing_would_protect_what_is_refused() {
    let text = format!(
        "{BASE}{GET_ONLY}{}",
        ROUTE.replace("{uri: {exact: /a}}", "{sourceLabels: {app: pay}}")
    );
    let accepted = Accepted::from([(Topic::CallerMatch.id().to_owned(), "we know".to_owned())]);
    let (_, obstacles) = planned_and_accepted(&text, |_| {}, &accepted);
    assert!(
        obstacles.iter().any(|obstacle| obstacle.accepted.is_none()),
        "{obstacles:?}"
    );
}

#[test]
fn what_a_tool_puts_back_is_not_moved_whatever_is_accepted() {
    let text = BASE.replacen(
        "metadata: {name: cart, namespace: shop}",
        "metadata: {name: cart, namespace: shop, annotations: {argocd.argoproj.io/tracking-id: x}}",
        1,
    );
    let accepted = Accepted::from([("AMB701".to_owned(), "we know".to_owned())]);
    let (_, obstacles) = planned_and_accepted(&text, |_| {}, &accepted);
    let kept: Vec<&Obstacle> = obstacles
        .iter()
        .filter(|o| o.id.as_deref() == Some("AMB701"))
        .collect();
    assert!(
        kept.len() == 1 && kept[0].accepted.is_none(),
        "{obstacles:?}"
    );
}

#[test]
fn a_namespace_that_is_done_has_no_plan() {
    let done = BASE.replace(
        "istio-injection: enabled",
        "istio.io/dataplane-mode: ambient",
    );
    let (plan, _) = planned(&done);
    assert_eq!(ids(&plan), Vec::<String>::new());
    assert!(plan.is_empty());
}

#[test]
fn two_plans_are_told_apart_by_step_object_and_field() {
    let (one, _) = planned(&format!("{BASE}{GET_ONLY}"));
    let (two, _) = planned(&format!("{BASE}{}", GET_ONLY.replace("GET", "PUT")));
    assert_eq!(one.first_difference(&one), None);
    let difference = one.first_difference(&two).unwrap();
    assert!(
        difference.contains("policies") && difference.contains("AuthorizationPolicy/pay-wp"),
        "{difference}"
    );
    // The copy differs, and it is told of what it is one, and where.
    assert!(
        difference.ends_with(
            "(made from AuthorizationPolicy/shop/pay), field spec.rules.0.to.0.operation.methods.0"
        ),
        "{difference}"
    );
    let (three, _) = planned(BASE);
    assert!(one.first_difference(&three).is_some());
}

#[test]
fn plans_are_read_back_from_their_file() {
    let (plan, _) = planned(&format!("{BASE}{GET_ONLY}{ROUTE}"));
    let text = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
    assert!(serde_json::from_str::<Value>(&text).is_ok());
}

/// The namespace after somebody has moved it by hand, and an injector.
fn by_hand(extra: &str) -> Mesh {
    let text = BASE
        .replace("istio-injection: enabled", "istio.io/dataplane-mode: ambient")
        .replace("name: cart, namespace: shop}\nspec: {clusterIP", "name: cart, namespace: shop, labels: {istio.io/use-waypoint: waypoint}}\nspec: {clusterIP");
    let injector = "
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: istio-sidecar-injector, labels: {istio.io/rev: default}}
webhooks: [{name: namespace.sidecar-injector.istio.io, namespaceSelector: {matchExpressions: [{key: istio-injection, operator: In, values: [enabled]}]}}]
---
";
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("shop.yaml", format!("{text}{injector}{extra}"));
    Mesh::new(builder.finish())
}

#[test]
fn what_was_never_moved_gets_no_sidecars() {
    let plain = BASE.replace(", labels: {istio-injection: enabled}", "");
    for text in [BASE, &plain] {
        let mut builder = InventoryBuilder::new(Input::Manifests, "default");
        builder.file("shop.yaml", text.to_owned());
        let mesh = Mesh::new(builder.finish());
        let (plan, obstacles) = back_by_hand(&mesh, &Name::from("shop"), None, false);
        assert_eq!((ids(&plan), obstacles), (Vec::new(), Vec::new()), "{text}");
    }
}

#[test]
fn what_was_moved_by_hand_is_taken_back_as_far_as_it_is_seen() {
    let shop = Name::from("shop");
    let (plan, obstacles) = back_by_hand(&by_hand(""), &shop, None, false);
    assert_eq!(
        ids(&plan),
        ["injection", "switch/cart", "switch/pay", "bind"]
    );
    assert_eq!(
        writes(&plan, "bind"),
        ["change Service/cart", "change Namespace/shop"]
    );
    assert_eq!(obstacles, []);
    let (_, obstacles) = back_by_hand(&by_hand(""), &shop, Some("canary"), false);
    assert!(
        obstacles[0]
            .says
            .contains("no webhook injects revision canary"),
        "{obstacles:?}"
    );
}

#[test]
fn nothing_is_taken_back_to_where_nobody_would_judge() {
    let attached = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: cart-wp, namespace: shop}
spec: {targetRefs: [{kind: Service, group: '', name: cart}], rules: [{to: [{operation: {methods: [GET]}}]}]}
---
";
    let shop = Name::from("shop");
    let (_, obstacles) = back_by_hand(&by_hand(attached), &shop, None, false);
    assert!(
        obstacles[0].says.contains("enforced by the waypoint alone"),
        "{obstacles:?}"
    );
    let own = attached.replace("name: cart-wp", "name: cart").replace(
        "targetRefs: [{kind: Service, group: '', name: cart}]",
        "selector: {matchLabels: {app: cart}}",
    );
    let (_, obstacles) = back_by_hand(&by_hand(&format!("{attached}{own}")), &shop, None, false);
    assert_eq!(obstacles, []);
}

#[test]
fn a_workload_that_is_not_up_is_not_switched() {
    let status = |ready: u32| {
        BASE.replacen(
            "serviceAccountName: cart}}}",
            &format!("serviceAccountName: cart}}}}}}\nstatus: {{replicas: 3, updatedReplicas: 3, availableReplicas: {ready}}}"),
            1,
        )
    };
    let (_, obstacles) = planned(&status(2));
    assert!(
        obstacles[0]
            .says
            .contains("2 of 3 pods of Deployment/cart are ready"),
        "{obstacles:?}"
    );
    assert_eq!(planned(&status(3)).1, []);
}

#[test]
fn sidecars_that_a_rollback_could_not_give_back_are_not_taken() {
    let pod = "
apiVersion: v1
kind: Pod
metadata:
  name: pay-5d4-x
  namespace: shop
  labels: {app: pay, pod-template-hash: 5d4, security.istio.io/tlsMode: istio, networking.istio.io/tunnel: http}
  annotations: {sidecar.istio.io/status: '{}'}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: pay-5d4, uid: u, controller: true}]
---
";
    let half = BASE.replace(
        "istio-injection: enabled",
        "istio.io/dataplane-mode: ambient",
    );
    let (_, obstacles) = planned(&format!("{half}{pod}"));
    let says = obstacles.iter().map(|one| one.says.as_str());
    let says: Vec<&str> = says
        .filter(|says| says.contains("could not give them back"))
        .collect();
    assert_eq!(says.len(), 1, "{obstacles:?}");
    let (_, obstacles) = planned(&format!("{BASE}{pod}"));
    let says = obstacles.iter().map(|one| one.says.as_str());
    assert!(!says.collect::<String>().contains("give them back"));
}

#[test]
fn pods_that_nobody_makes_again_are_deleted_only_when_told() {
    let pod = "
apiVersion: v1
kind: Pod
metadata: {name: debug, namespace: shop, labels: {security.istio.io/tlsMode: istio, app: debug}, annotations: {sidecar.istio.io/status: '{}'}}
spec: {containers: [{name: debug}]}
status: {phase: Running}
---
";
    let text = format!("{BASE}{pod}");
    let (plan, _) = planned(&text);
    let left: Vec<String> = plan.remainder.iter().map(ObjectRef::short).collect();
    assert_eq!(left, ["Pod/debug"]);
    assert_eq!(plan.position(&StepId::Switch("debug".to_owned())), None);
    let (plan, _) = planned_or_deleted(&text, |_| {}, &Accepted::new(), true);
    assert_eq!(plan.remainder, []);
    assert_eq!(writes(&plan, "switch/debug"), ["delete Pod/debug"]);
    let at = |id: &str| plan.position(&id.parse().unwrap()).unwrap();
    assert!(at("switch/debug") > at("switch/pay"), "{:?}", ids(&plan));
    let step = &plan.steps[at("switch/debug")];
    assert!(step.risks[0].contains("does not bring it back"), "{step:?}");
    assert_eq!(plan.totals().destroy, 1);
    // A rollback has nothing to make it of.
    let made = |_, _, _| {
        let object = ObjectRef::new(Kind::Pod, &"shop".into(), &"debug".into());
        Some(Write::Delete { object, uid: None })
    };
    assert!(plan.reversed(made, Vec::new()).is_empty());
}

#[test]
fn who_goes_past_the_waypoint_is_listed_with_the_steps_between() {
    let words = |plan: &Plan| -> Vec<String> {
        let all = plan.bypasses.iter().flat_map(|bypass| {
            let callers = bypass.callers.iter().map(move |caller| {
                let until = caller.until.as_ref().map(ToString::to_string);
                format!(
                    "{} < {} by {} until {}",
                    bypass.called.short(),
                    caller.who,
                    caller.because,
                    until.unwrap_or_else(|| "never".to_owned())
                )
            });
            callers.collect::<Vec<_>>()
        });
        all.collect()
    };
    // cart is switched before pay, so it comes through the waypoint by then.
    let (plan, _) = planned(&format!("{BASE}{GET_ONLY}"));
    assert_eq!(words(&plan), Vec::<String>::new());
    // One that stays goes past it for good, as does who is named elsewhere.
    let elsewhere = GET_ONLY.replace(
        "[cluster.local/ns/shop/sa/cart]",
        "[cluster.local/ns/shop/sa/cart, cluster.local/ns/bank/sa/teller]",
    );
    let text = format!("{BASE}{elsewhere}");
    let (plan, _) = planned_with(&text, |options| {
        options.deferred.insert(("shop".into(), "cart".into()));
    });
    assert_eq!(
        words(&plan),
        [
            "Deployment/pay < Deployment/cart by AuthorizationPolicy/pay until never",
            "Deployment/pay < principals cluster.local/ns/bank/sa/teller by AuthorizationPolicy/pay until never",
        ]
    );
    assert_eq!(plan.bypasses[0].from.to_string(), "switch/pay");
    assert_eq!(plan.bypasses[0].possible, None);
    // A rule for anybody excludes nobody.
    let anybody = GET_ONLY.replace(
        "from: [{source: {principals: [cluster.local/ns/shop/sa/cart]}}], ",
        "",
    );
    let (plan, _) = planned(&format!("{BASE}{anybody}"));
    let possible = plan.bypasses[0].possible.unwrap();
    assert_eq!((possible.workloads, possible.namespaces), (1, 0));
    // It changes nothing that is done.
    let alone = Plan {
        bypasses: Vec::new(),
        ..plan.clone()
    };
    assert_eq!(plan.first_difference(&alone), None);
}
