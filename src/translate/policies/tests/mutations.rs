//! A result that is tampered with: the comparison finds it.

use super::*;

const POLICIES: &[&str] = &[
    "a {selector: {matchLabels: {app: pay}}, rules: [{from: [{source: {principals: \
     [cluster.local/ns/shop/sa/cart]}}], to: [{operation: {methods: [GET], ports: ['8080']}}]}, \
     {from: [{source: {namespaces: [ops]}}]}]}",
    "b {selector: {matchLabels: {app: hub}}, action: DENY, rules: [{from: [{source: {notNamespaces: \
     [shop, ops]}}]}]}",
    "c {selector: {matchLabels: {app: cart}}, action: DENY, rules: [{to: [{operation: {ports: \
     ['8080'], methods: [DELETE]}}]}, {to: [{operation: {paths: ['/admin*'], notMethods: [GET]}}]}]}",
    "d {selector: {matchLabels: {app: stock}}, rules: [{when: [{key: 'request.headers[x-env]', \
     values: [test]}]}, {from: [{source: {requestPrincipals: ['*']}}], to: [{operation: {hosts: \
     [a.example]}}]}]}",
    "e {selector: {matchLabels: {app: bank}}, action: DENY, rules: [{from: [{source: \
     {notRequestPrincipals: [i/u]}}], to: [{operation: {ports: ['9090']}}]}]}",
];

/// Five workloads, each behind a Service with two ports, and policies of which none makes another
/// needless.
fn parts() -> Vec<String> {
    let mut parts = vec![
        "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
"
        .to_owned(),
    ];
    for name in ["pay", "hub", "cart", "stock", "bank"] {
        let template = format!(
            "{{metadata: {{labels: {{app: {name}}}}}, spec: {{serviceAccountName: {name}}}}}"
        );
        parts.push(object(
            "Deployment",
            "apps/v1",
            &format!("{name} {{template: {template}}}"),
        ));
        let ports =
            "{name: http, port: 80, targetPort: 8080}, {name: http-b, port: 81, targetPort: 9090}";
        parts.push(object(
            "Service",
            "v1",
            &format!("{name} {{selector: {{app: {name}}}, ports: [{ports}]}}"),
        ));
    }
    parts.push(ROUTED.replace("pay", "hub"));
    parts.extend(POLICIES.iter().map(|line| policy(line)));
    for (name, app) in [("jwt", "stock"), ("jwt-b", "bank")] {
        let line = format!(
            "{name} {{selector: {{matchLabels: {{app: {app}}}}}, jwtRules: [{{issuer: i, jwksUri: 'https://i'}}]}}"
        );
        parts.push(object(
            "RequestAuthentication",
            "security.istio.io/v1",
            &line,
        ));
    }
    parts
}

/// Whether two specs say the same in other words: what is left out is the default.
fn is_same(one: &Value, two: &Value) -> bool {
    fn plain(spec: &Value) -> Value {
        let mut spec = spec.clone();
        if spec["action"] == "ALLOW" {
            spec["action"] = Value::Null;
        }
        // In the end no pod has a sidecar.
        if let Some(labels) = spec
            .pointer_mut("/selector/matchLabels")
            .and_then(Value::as_object_mut)
        {
            labels.remove("sidecar.istio.io/inject");
        }
        for target in spec["targetRefs"].as_array_mut().into_iter().flatten() {
            if target["group"] == ""
                && let Some(fields) = target.as_object_mut()
            {
                fields.remove("group");
            }
        }
        // Keys are not read here.
        for rule in spec["jwtRules"].as_array_mut().into_iter().flatten() {
            rule["jwksUri"] = Value::Null;
        }
        spec
    }
    let mut with_nulls = (plain(one), plain(two));
    for (a, b) in [(0, 1), (1, 0)] {
        let pair = [&with_nulls.0, &with_nulls.1];
        let missing: Vec<String> = pair[a]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| value.is_null() && pair[b].get(key.as_str()).is_none())
            .map(|(key, _)| key.clone())
            .collect();
        let other = if b == 1 {
            &mut with_nulls.1
        } else {
            &mut with_nulls.0
        };
        for key in missing {
            other[key] = Value::Null;
        }
    }
    with_nulls.0 == with_nulls.1
}

/// Whether a result differs from what it was made of, or lets something through.
fn is_found(mesh: &Mesh, mutant: Translation) -> bool {
    let judged = compared(mesh, &shop(), &Options::default(), mutant);
    let mut calls = judged.proofs.calls.iter();
    calls.any(|proof| {
        !proof.comparison.differences.is_empty() || !proof.comparison.undecided.is_empty()
    })
}

/// Every way to take one field or one entry of a list out of a value.
fn without_one(value: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let mut less = fields.clone();
                less.remove(key);
                all.push(Value::Object(less));
                for inner in without_one(inner) {
                    let mut changed = fields.clone();
                    changed.insert(key.clone(), inner);
                    all.push(Value::Object(changed));
                }
            }
        }
        Value::Array(list) => {
            for (position, inner) in list.iter().enumerate() {
                let mut less = list.clone();
                less.remove(position);
                all.push(Value::Array(less));
                for inner in without_one(inner) {
                    let mut changed = list.clone();
                    changed[position] = inner;
                    all.push(Value::Array(changed));
                }
            }
        }
        _ => {}
    }
    all
}

fn policies_of(translation: &Translation) -> Vec<usize> {
    let changes = translation.changes.iter().enumerate();
    let policies = changes.filter(|(_, change)| {
        let kind = change.edit.object().kind;
        matches!(
            kind,
            Kind::AuthorizationPolicy | Kind::RequestAuthentication
        ) && matches!(change.edit, Edit::Create(_))
    });
    policies.map(|(position, _)| position).collect()
}

#[test]
fn a_policy_that_is_left_out_is_missed() {
    let parts = parts();
    let mesh = mesh(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    let sound = outline(&mesh, &shop(), &Options::default());
    let positions = policies_of(&sound);
    assert!(positions.len() >= 9, "{}", positions.len());
    for position in positions {
        let mut mutant = outline(&mesh, &shop(), &Options::default());
        let object = mutant.changes.remove(position).edit.object().clone();
        mutant
            .changes
            .retain(|change| *change.edit.object() != object);
        assert!(is_found(&mesh, mutant), "without {object}");
    }
}

#[test]
fn a_field_that_is_left_out_is_missed() {
    let parts = parts();
    let mesh = mesh(&parts.iter().map(String::as_str).collect::<Vec<_>>());
    let sound = outline(&mesh, &shop(), &Options::default());
    let (mut tried, mut found) = (0, 0);
    let mut missed = Vec::new();
    for position in policies_of(&sound) {
        let Edit::Create(manifest) = &sound.changes[position].edit else {
            continue;
        };
        for spec in without_one(&manifest.json()["spec"]) {
            if is_same(&spec, &manifest.json()["spec"]) {
                continue;
            }
            let mut mutant = outline(&mesh, &shop(), &Options::default());
            let mut json = manifest.json().clone();
            json["spec"] = spec.clone();
            let object = manifest.object().clone();
            mutant
                .changes
                .retain(|change| *change.edit.object() != object);
            mutant.changes.push(Change {
                phase: Phase::Retire,
                edit: Edit::Create(crate::translate::Manifest::of(object.clone(), json)),
                because: Vec::new(),
            });
            tried += 1;
            if is_found(&mesh, mutant) {
                found += 1;
            } else {
                missed.push(format!("{}: {spec}", object.short()));
            }
        }
    }
    let missed = missed.join("\n");
    assert!(
        tried > 100 && found == tried,
        "{found} of {tried}; missed:\n{missed}"
    );
}
