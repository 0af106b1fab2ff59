//! Random VirtualServices, whose matches meet: what is made of them in exact mode never differs.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{accepting, mesh, namespaces, options, routes, virtual_service};
use crate::inventory::{Input, InventoryBuilder};
use crate::kinds::complete::{HttpRoute, VirtualService};
use crate::kinds::{Kind, Labels};
use crate::mesh::Mesh;
use crate::semantics::compare::{How, Limits, Side, compare};
use crate::semantics::routing::{ByName, Defaults, Host, Routes, Viewpoint};
use crate::soak::cases;
use crate::translate::{Options, Phase, Topic, Translation, Weight, translate};

fn path() -> impl Strategy<Value = String> {
    "/(a|b|ab)?(/(a|b)?)?".prop_map(String::from)
}

fn uri() -> impl Strategy<Value = Value> {
    prop_oneof![
        path().prop_map(|p| json!({"exact": p})),
        path().prop_map(|p| json!({"prefix": p})),
        path().prop_map(|p| json!({"prefix": p})),
        path().prop_map(|p| json!({"regex": format!("{p}(/.*)?")})),
        path().prop_map(|p| json!({"regex": format!("{p}[ab]+")})),
        "[ab]".prop_map(|p| json!({"regex": format!(".*{p}.*")})),
    ]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[ab]{1,2}".prop_map(|v| json!({"exact": v})),
        "[ab]".prop_map(|v| json!({"prefix": v})),
        "[ab]".prop_map(|v| json!({"regex": format!("{v}+b?")})),
        Just(json!({})),
    ]
}

fn one() -> impl Strategy<Value = Value> {
    let maybe = |strategy| prop::option::weighted(0.25, strategy);
    let methods = prop_oneof![
        Just(json!({"exact": "GET"})),
        Just(json!({"exact": "POST"})),
        Just(json!({"regex": "GET|PUT"})),
    ];
    (
        prop::option::weighted(0.8, uri()),
        maybe(methods.boxed()),
        maybe(text().boxed()),
        maybe(text().boxed()),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(uri, method, header, query, fold)| {
            let mut one = Map::new();
            if fold && uri.is_some() {
                one.insert("ignoreUriCase".to_owned(), json!(true));
            }
            let fields = [
                ("uri", uri),
                ("method", method),
                ("headers", header.map(|h| json!({"X-A": h}))),
                ("queryParams", query.map(|q| json!({"q": q}))),
            ];
            for (key, value) in fields {
                one.extend(value.map(|value| (key.to_owned(), value)));
            }
            Value::Object(one)
        })
}

fn rule() -> impl Strategy<Value = Value> {
    let to = |name: &str| json!([{"destination": {"host": name, "port": {"number": 80}}}]);
    let weighted = json!([
        {"destination": {"host": "other", "port": {"number": 80}}, "weight": 1},
        {"destination": {"host": "web"}, "weight": 3},
    ]);
    let plain = prop_oneof![
        3 => Just(json!({"route": to("web")})),
        3 => Just(json!({"route": to("other")})),
        1 => Just(json!({"route": weighted})),
        1 => Just(json!({"redirect": {"authority": "a.example"}})),
    ];
    let by = prop_oneof![path(), Just("/".to_owned()), Just("/b/".to_owned())];
    (
        prop::collection::vec(one(), 0..3),
        plain,
        prop::option::weighted(0.3, by),
    )
        .prop_map(|(matches, mut rule, by)| {
            if !matches.is_empty() {
                rule["match"] = json!(matches);
            }
            match by {
                Some(by) if rule.get("redirect").is_some() => rule["redirect"]["uri"] = json!(by),
                Some(by) => rule["rewrite"] = json!({"uri": by}),
                None => {}
            }
            rule
        })
}

fn rules() -> impl Strategy<Value = Value> {
    prop::collection::vec(rule(), 1..6).prop_map(|rules| json!(rules))
}

/// Whether the HTTPRoutes of a result do what a VirtualService does; nothing where there are none.
fn compared(source: &Value, translation: &Translation) -> Option<Result<How, String>> {
    let made = translation.of_phase(Phase::Routes).into_iter();
    let made: Vec<HttpRoute> = made
        .filter(|manifest| manifest.object().kind == Kind::HTTPRoute)
        .map(|manifest| HttpRoute::from_json(manifest.json()).unwrap())
        .collect();
    if made.is_empty() {
        return None;
    }
    let before = VirtualService::from_json(source).unwrap();
    let host = |name: &str| format!("{name}.shop.svc.cluster.local");
    let services =
        std::collections::BTreeMap::from([(host("web"), vec![80]), (host("other"), vec![80, 81])]);
    let routes = |before: Option<&VirtualService>, after: &[HttpRoute]| {
        let labels = Labels::default();
        let view = match before {
            Some(_) => Viewpoint::Sidecar {
                namespace: "shop",
                labels: &labels,
            },
            None => Viewpoint::Waypoint { namespace: "shop" },
        };
        let domain = "cluster.local";
        let routes = Routes::new(before, after, &services, domain, Defaults::default());
        routes.table(
            &view,
            &Host {
                name: host("web"),
                namespace: "shop".to_owned(),
                port: 80,
                grpc: false,
            },
        )
    };
    let (before, after) = (routes(Some(&before), &[]), routes(None, &made));
    let side = |table| Side {
        table,
        resolver: &ByName,
    };
    let found = compare(side(&before), side(&after), Limits::default());
    Some(match found.differences.first() {
        Some(difference) => Err(difference.to_string()),
        None => Ok(found.how),
    })
}

fn weights(translation: &Translation) -> Option<Weight> {
    let treatments = translation.treatments.iter();
    let remarks = treatments.flat_map(|treatment| &treatment.remarks);
    remarks.map(|remark| remark.weight).max()
}

/// A mesh in which a translation was carried out.
fn carried_out(source: &Value, translation: &Translation) -> Mesh {
    let gone = translation.removed_in(Phase::Retire);
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    let mut text = super::SHOP.to_owned();
    if gone.is_empty() {
        text = format!("{text}---\n{source}\n");
    }
    for manifest in translation.by_the_end_of(Phase::Retire) {
        text = format!("{text}---\n{}\n", manifest.json());
    }
    builder.file("mesh.yaml", text);
    Mesh::new(builder.finish())
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn what_is_made_in_exact_mode_does_the_same(rules in rules()) {
        let source = virtual_service(&rules);
        let translation = translate(&mesh(&source.to_string()), &namespaces(), &options());
        let weight = weights(&translation);
        prop_assert!(weight < Some(Weight::Lossy), "{:#?}", translation.treatments);
        if let Some(result) = compared(&source, &translation) {
            prop_assert_eq!(result, Ok(How::Complete), "{:#?}", routes(&translation));
        } else {
            prop_assert_eq!(weight, Some(Weight::Kept));
        }
    }

    #[test]
    fn what_differs_is_told(rules in rules()) {
        let source = virtual_service(&rules);
        let options = Options { ..accepting(&[Topic::Rewrites, Topic::Paths]) };
        let translation = translate(&mesh(&source.to_string()), &namespaces(), &options);
        if let Some(Err(difference)) = compared(&source, &translation) {
            prop_assert_eq!(weights(&translation), Some(Weight::Lossy), "{}", difference);
        }
    }

    #[test]
    fn a_second_translation_changes_nothing(rules in rules()) {
        let source = virtual_service(&rules);
        let first = translate(&mesh(&source.to_string()), &namespaces(), &options());
        let second = translate(&carried_out(&source, &first), &namespaces(), &options());
        prop_assert!(second.changes.is_empty(), "{:#?}", second.changes);
    }
}

/// How many of random VirtualServices become routes, and why others stay.
#[test]
fn most_become_routes() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    use std::collections::BTreeMap;
    let mut runner = TestRunner::deterministic();
    let mut made = 0;
    let mut why: BTreeMap<Topic, Vec<String>> = BTreeMap::new();
    for _ in 0..200 {
        let source = virtual_service(&rules().new_tree(&mut runner).unwrap().current());
        let translation = translate(&mesh(&source.to_string()), &namespaces(), &options());
        if routes(&translation).is_empty() {
            let all = translation.treatments.iter().flat_map(|t| &t.remarks);
            let kept = all.filter(|r| r.weight == Weight::Kept);
            if let Some(first) = kept.min_by_key(|remark| remark.topic) {
                why.entry(first.topic).or_default().push(first.says.clone());
            }
        } else {
            made += 1;
        }
    }
    let order = why.get(&Topic::Order).map_or(0, Vec::len);
    assert!(made >= 140 && order <= 10, "{made}: {why:#?}");
}
