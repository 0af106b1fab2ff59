//! Policies of small meshes, translated and compared.

mod beside;
mod kinds;
mod mutations;
mod random;
mod scenarios;
mod states;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::inventory::{Input, InventoryBuilder};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::Mesh;
use crate::translate::{
    Change, Edit, Fidelity, Options, Phase, Remark, Topic, Translation, Weight, compared, outline,
    translate,
};

/// Two workloads with a Service each, in a namespace with sidecars.
pub(super) const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio-injection: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: pay, namespace: shop}
spec: {template: {metadata: {labels: {app: pay}}, spec: {serviceAccountName: pay}}}
---
apiVersion: v1
kind: Service
metadata: {name: pay, namespace: shop}
spec: {selector: {app: pay}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {template: {metadata: {labels: {app: cart}}, spec: {serviceAccountName: cart}}}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http, port: 80, targetPort: 8080}]}
";

/// A VirtualService that makes a Service need a waypoint, whatever its policies are.
pub(super) const ROUTED: &str = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec: {hosts: [pay], http: [{timeout: 1s, route: [{destination: {host: pay}}]}]}
";

/// An AuthorizationPolicy of shop: `pay {selector: …, action: …}`.
pub(super) fn policy(line: &str) -> String {
    object("AuthorizationPolicy", "security.istio.io/v1", line)
}

/// An object of shop, or of another namespace: `ops/pay {…}`.
pub(super) fn object(kind: &str, version: &str, line: &str) -> String {
    let (name, spec) = line.split_once(' ').unwrap();
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    format!(
        "apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec: {spec}\n"
    )
}

pub(super) fn mesh(parts: &[&str]) -> Mesh {
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("shop.yaml", parts.join("\n---\n"));
    let inventory = builder.finish();
    assert_eq!(inventory.unread, Vec::new());
    Mesh::new(inventory)
}

pub(super) fn shop() -> BTreeSet<Name> {
    BTreeSet::from([Name::from("shop")])
}

/// Shop with these objects, translated and compared.
pub(super) fn convert(parts: &[&str]) -> Translation {
    convert_with(parts, &Options::default())
}

pub(super) fn convert_with(parts: &[&str], options: &Options) -> Translation {
    let mut all = vec![SHOP];
    all.extend(parts);
    translate(&mesh(&all), &shop(), options)
}

pub(super) fn named(kind: Kind, name: &str) -> ObjectRef {
    let (namespace, name) = name.split_once('/').unwrap_or(("shop", name));
    ObjectRef::new(kind, &Name::from(namespace), &Name::from(name))
}

/// The spec of an AuthorizationPolicy of shop by the end of a phase; null where there is none.
pub(super) fn spec(translation: &Translation, phase: Phase, name: &str) -> Value {
    spec_of(translation, phase, Kind::AuthorizationPolicy, name)
}

pub(super) fn spec_of(translation: &Translation, phase: Phase, kind: Kind, name: &str) -> Value {
    let object = named(kind, name);
    let there = translation.by_the_end_of(phase);
    let found = there.iter().find(|manifest| *manifest.object() == object);
    found.map_or(Value::Null, |manifest| manifest.json()["spec"].clone())
}

/// What is said of an AuthorizationPolicy.
pub(super) fn remarks<'t>(translation: &'t Translation, name: &str) -> &'t [Remark] {
    remarks_of(translation, Kind::AuthorizationPolicy, name)
}

pub(super) fn remarks_of<'t>(translation: &'t Translation, kind: Kind, name: &str) -> &'t [Remark] {
    let object = named(kind, name);
    let treatment = translation.treatments.iter().find(|t| t.object == object);
    treatment.map_or(&[], |treatment| &treatment.remarks)
}

pub(super) fn says(translation: &Translation, name: &str, topic: Topic, weight: Weight) -> bool {
    let mut all = remarks(translation, name).iter();
    all.any(|remark| remark.topic == topic && remark.weight == weight)
}

/// The names of the AuthorizationPolicies that are made.
pub(super) fn made(translation: &Translation) -> Vec<String> {
    let changes = translation.changes.iter();
    let made = changes.filter_map(|change| match &change.edit {
        Edit::Create(manifest) if manifest.object().kind == Kind::AuthorizationPolicy => {
            Some(manifest.object().name.to_string())
        }
        _ => None,
    });
    made.collect()
}

/// Asserts that everything is translated, and that the comparison met no call that differs.
#[track_caller]
pub(super) fn assert_proven(translation: &Translation) {
    for treatment in &translation.treatments {
        let heavy = treatment
            .remarks
            .iter()
            .filter(|remark| remark.weight >= Weight::Lossy);
        assert_eq!(
            heavy.collect::<Vec<_>>(),
            Vec::<&Remark>::new(),
            "{}",
            treatment.object
        );
    }
    for proof in &translation.proofs.calls {
        let found = &proof.comparison;
        let opens = found
            .differences
            .iter()
            .chain(&found.undecided)
            .filter(|d| d.opens());
        let opens: Vec<String> = opens.map(ToString::to_string).collect();
        assert_eq!(
            opens,
            Vec::<String>::new(),
            "{} {:?}",
            proof.workload,
            proof.service
        );
    }
    assert!(!translation.proofs.calls.is_empty());
}

/// Calls through a Service that differ, as text.
pub(super) fn differences(translation: &Translation) -> Vec<String> {
    let by_service = translation
        .proofs
        .calls
        .iter()
        .filter(|proof| proof.service.is_some());
    by_service
        .flat_map(|proof| &proof.comparison.differences)
        .map(ToString::to_string)
        .collect()
}
