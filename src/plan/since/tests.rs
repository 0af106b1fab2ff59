//! What makes another plan, and what does not.

use super::*;
use crate::inventory::{Input, InventoryBuilder};
use crate::translate::options::Guard;

/// A namespace whose Service is behind a waypoint, for a policy and a route.
const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec: {selector: {matchLabels: {app: pay}}, template: {metadata: {labels: {app: pay}}, spec: {serviceAccountName: pay}}}
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {clusterIP: 10.0.0.2, selector: {app: pay}, ports: [{name: http, port: 80}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: pay, namespace: shop, generation: 1}
spec: {selector: {matchLabels: {app: pay}}, rules: [{to: [{operation: {methods: [GET]}}]}]}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop, generation: 1}
spec: {mtls: {mode: STRICT}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop, generation: 1}
spec: {hosts: [pay], http: [{timeout: 1s, route: [{destination: {host: pay}}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: known, namespace: shop, generation: 1}
spec: {host: pay, trafficPolicy: {connectionPool: {tcp: {maxConnections: 10}}}}
---
";

fn read(text: &str) -> Inventory {
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("shop.yaml", text.to_owned());
    builder.finish()
}

/// What differs when the mesh is this by now.
fn differs(now: &str) -> Vec<String> {
    let shop = Name::from("shop");
    let asked = Asked {
        guard: Some(Guard::Closed),
        ..Asked::default()
    };
    let accepted = Accepted::new();
    let (plan, open) = asked.plan(read(SHOP), &shop, &accepted);
    assert!(!plan.is_empty() && open.is_empty(), "{open:#?}");
    let since = Since {
        plan: &plan,
        around: &around(&Mesh::new(read(SHOP)), &shop),
        asked: &asked,
        accepted: &accepted,
    };
    since.differs(read(now))
}

fn with(more: &str) -> Vec<String> {
    differs(&[SHOP, more].concat())
}

#[test]
fn what_makes_no_other_plan_is_passed_over() {
    let rule = |name: &str, namespace: &str, spec: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
             metadata: {{name: {name}, namespace: {namespace}, generation: 1}}\nspec: {spec}\n"
        )
    };
    let entry = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
         metadata: {name: bank, namespace: shop}\n\
         spec: {hosts: [bank.example.com], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}\n";
    for passed in [
        String::new(),
        entry.to_owned(),
        rule("away", "shop", "{host: bank.example.com}"),
        // Nothing in it says anything of the namespace.
        rule("other", "bank", "{host: vault.bank.svc.cluster.local}"),
    ] {
        assert_eq!(with(&passed), Vec::<String>::new(), "{passed}");
    }
}

#[test]
fn what_makes_another_plan_is_named() {
    for (more, named) in [
        (
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: late, namespace: shop}\n\
             spec: {host: pay, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}\n",
            "DestinationRule/late -n shop is new",
        ),
        (
            "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: late, namespace: shop}\n\
             spec: {workloadSelector: {labels: {app: pay}}, configPatches: [{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND}, patch: {operation: ADD, value: {}}}]}\n",
            "EnvoyFilter/late -n shop is new",
        ),
        (
            "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: late, namespace: shop}\n\
             spec: {selector: {matchLabels: {app: pay}}, url: 'oci://example.com/late:1'}\n",
            "WasmPlugin/late -n shop is new",
        ),
        (
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: late, namespace: shop}\n\
             spec: {parentRefs: [{group: '', kind: Service, name: pay, port: 80}], rules: [{backendRefs: [{name: pay, port: 80}]}]}\n",
            "HTTPRoute/late -n shop is new",
        ),
        // Of the root namespace, and of one that speaks of it.
        (
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: late, namespace: istio-system}\n\
             spec: {action: DENY, rules: [{to: [{operation: {paths: ['/late']}}]}]}\n",
            "AuthorizationPolicy/late -n istio-system is new",
        ),
    ] {
        assert_eq!(with(more), [named], "{more}");
    }
}

#[test]
fn of_several_those_are_named_that_matter() {
    let rule = |name: &str, host: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: {name}, namespace: shop}}\n\
             spec: {{host: {host}, trafficPolicy: {{tls: {{mode: ISTIO_MUTUAL}}}}}}\n"
        )
    };
    let both = [rule("away", "bank.example.com"), rule("late", "pay")].concat();
    assert_eq!(with(&both), ["DestinationRule/late -n shop is new"]);
}

#[test]
fn policies_and_what_matters_are_named_when_they_are_changed_or_gone() {
    let edited = |from: &str, to: &str| differs(&SHOP.replacen(from, to, 1));
    // What the plan itself writes tells by itself whether somebody changed it.
    let own = edited(
        "{name: pay, namespace: shop, generation: 1}\nspec: {selector",
        "{name: pay, namespace: shop, generation: 2}\nspec: {selector",
    );
    assert_eq!(own, Vec::<String>::new());
    let strict = "name: strict, namespace: shop, generation: 1";
    let says = edited(strict, "name: strict, namespace: shop, generation: 2");
    assert_eq!(says, ["PeerAuthentication/strict -n shop was changed"]);
    let says = edited(strict, "name: another, namespace: shop, generation: 1");
    assert_eq!(says, ["PeerAuthentication/strict -n shop is gone"]);
    assert_eq!(
        edited(
            "name: known, namespace: shop",
            "name: known, namespace: bank"
        ),
        ["DestinationRule/known -n shop is gone"]
    );
    let rule = "name: known, namespace: shop, generation: 1}\nspec: {host: pay, trafficPolicy: {";
    let harmless =
        "name: known, namespace: shop, generation: 2}\nspec: {host: pay, trafficPolicy: {";
    assert_eq!(edited(rule, harmless), Vec::<String>::new());
    let mutual = [harmless, "tls: {mode: ISTIO_MUTUAL}, "].concat();
    assert_eq!(
        edited(rule, &mutual),
        ["DestinationRule/known -n shop was changed"]
    );
}
