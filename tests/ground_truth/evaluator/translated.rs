//! Translations, held against Istio's: what is emitted for a VirtualService must do at the real waypoint what
//! the program's comparison takes it to do. The comparison itself says that this is what sidecars did.

use std::collections::BTreeSet;

use kubectl_ambient::inventory::{Input, InventoryBuilder};
use kubectl_ambient::kinds::{Kind, Name, ObjectRef};
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::translate::options::GatewayApi;
use kubectl_ambient::translate::{Options, Phase, translate};
use serde_json::Value;

use super::{Count, MESHES, compare, generate};

#[path = "../../corpora/made_up.rs"]
mod made_up;
#[path = "../../corpora/manifests.rs"]
mod manifests;

/// VirtualServices whose rules overlap.
const OVERLAPPING: usize = 150;

/// What becomes of routes.
#[derive(Default)]
struct Became {
    routes: usize,
    kept: usize,
    refused: usize,
    /// Request classes in which the program itself sees a difference, where none was said to be.
    differing: usize,
}

/// The traffic objects after a translation.
fn after(objects: &[Value], became: &mut Became) -> Vec<Value> {
    let text: Vec<String> = objects.iter().map(Value::to_string).collect();
    let mut builder = InventoryBuilder::new(Input::Manifests, "shop");
    builder.file(
        "mesh",
        format!("{}---\n{}\n", crate::scene::SHOP, text.join("\n---\n")),
    );
    let mesh = Mesh::new(builder.finish());
    let namespaces: BTreeSet<Name> = mesh.namespaces().map(|n| n.name.clone()).collect();
    let options = Options {
        gateway_api: GatewayApi::parse("1.6-experimental"),
        ..Options::default()
    };
    let result = translate(&mesh, &namespaces, &options);
    for treatment in result
        .treatments
        .iter()
        .filter(|t| t.object.kind == Kind::VirtualService)
    {
        let made = treatment
            .becomes
            .iter()
            .any(|object| object.kind == Kind::HTTPRoute);
        match treatment.fidelity().name() {
            "refused" | "lossy" => became.refused += 1,
            _ if made => became.routes += 1,
            _ => became.kept += 1,
        }
    }
    if !result
        .treatments
        .iter()
        .any(|t| matches!(t.fidelity().name(), "refused" | "lossy"))
    {
        became.differing += result.proofs.differing();
    }
    let written = result.by_the_end_of(Phase::Retire);
    let mut gone: BTreeSet<&ObjectRef> = written.iter().map(|manifest| manifest.object()).collect();
    for phase in Phase::ALL {
        gone.extend(result.removed_in(phase));
    }
    let stays = |object: &&Value| {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let kind = Kind::of(
            object["apiVersion"].as_str().unwrap_or_default(),
            object["kind"].as_str().unwrap_or_default(),
        );
        kind.is_none_or(|kind| {
            !gone.contains(&ObjectRef::new(
                kind,
                &text("namespace").into(),
                &text("name").into(),
            ))
        })
    };
    let is_traffic = |object: &Value| {
        matches!(
            object["kind"].as_str(),
            Some("VirtualService" | "HTTPRoute" | "Service" | "DestinationRule")
        )
    };
    let untouched = objects.iter().filter(stays).cloned();
    let all = untouched.chain(written.iter().map(|manifest| manifest.json().clone()));
    // The shop's own Services stand in every mesh already.
    all.filter(is_traffic)
        .filter(|object| !is_of_the_shop(object))
        .collect()
}

/// Whether it is one of the Services that every mesh has.
fn is_of_the_shop(object: &Value) -> bool {
    object["kind"] == "Service"
        && object["metadata"]["namespace"] == "shop"
        && ["a", "b", "c", "d"]
            .iter()
            .any(|name| object["metadata"]["name"] == *name)
}

#[expect(
    clippy::print_stdout,
    reason = "how much was compared is part of the result"
)]
fn report(what: &str, became: &Became, count: &Count) {
    println!(
        "{what}: {} routes made, {} kept, {} refused; {} tables, {} requests: {} wrong",
        became.routes,
        became.kept,
        became.refused,
        count.tables,
        count.requests,
        count.wrong.len()
    );
    assert!(count.wrong.is_empty(), "\n{}\n", count.wrong.join("\n"));
    assert_eq!(
        became.differing, 0,
        "{what}: a difference that no remark tells of"
    );
}

/// Whether it is a VirtualService of the shop that delegates nothing: by itself it can be translated.
fn is_for_the_shop(object: &Value) -> bool {
    let rules = object["spec"]["http"].as_array();
    object["kind"] == "VirtualService"
        && object["metadata"]["namespace"] == "shop"
        && rules.is_some_and(|rules| rules.iter().all(|rule| rule["delegate"].is_null()))
}

#[test]
fn what_is_made_of_generated_virtual_services_does_at_envoy_what_the_proof_says() {
    let (mut became, mut count) = (Became::default(), Count::default());
    for (objects, pool) in generate::meshes(MESHES) {
        for object in objects.iter().filter(|object| is_for_the_shop(object)) {
            let after = after(std::slice::from_ref(object), &mut became);
            compare(&after, &pool, &mut count);
        }
    }
    report("generated", &became, &count);
}

#[test]
fn the_order_of_rules_is_kept_at_envoy() {
    let (mut became, mut count) = (Became::default(), Count::default());
    for (object, pool) in generate::overlapping(OVERLAPPING) {
        let objects = std::slice::from_ref(&object);
        let after = after(objects, &mut became);
        compare(objects, &pool, &mut count);
        compare(&after, &pool, &mut count);
    }
    report("rules that overlap", &became, &count);
    assert!(
        became.routes * 10 > OVERLAPPING * 9,
        "{} routes",
        became.routes
    );
}

#[test]
fn what_is_made_of_real_virtual_services_does_at_envoy_what_the_proof_says() {
    let Some(folder) = manifests::folder() else {
        return;
    };
    let (mut became, mut count, mut own) = (Became::default(), Count::default(), 0);
    for object in manifests::virtual_services(&folder) {
        let Some(made_up) = made_up::mesh(&object, Some(("a", "shop"))) else {
            continue;
        };
        own += usize::from(made_up.own_host);
        compare(&traffic(&made_up.objects), &[], &mut count);
        let after = after(&made_up.objects, &mut became);
        compare(&after, &[], &mut count);
    }
    report(
        &format!("public projects, {own} of them for hosts of the mesh"),
        &became,
        &count,
    );
}

/// The objects that route.
fn traffic(objects: &[Value]) -> Vec<Value> {
    let mut found = objects.to_vec();
    found.retain(|object| {
        !matches!(object["kind"].as_str(), Some("Namespace" | "Deployment"))
            && !is_of_the_shop(object)
    });
    found
}
