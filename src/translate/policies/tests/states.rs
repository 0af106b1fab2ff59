//! What holds on the way: after every phase nobody is let through who was refused, and a run that
//! goes on where another stopped comes to the same.

use super::*;
use crate::kinds::authorization::{Action, AuthorizationPolicy};
use crate::mesh::workloads::DataPlane;
use crate::translate::Ground;
use crate::translate::proof::calls::State;
use crate::translate::written::stream;

const MESHES: &[&[&str]] = &[
    &[
        "a {selector: {matchLabels: {app: pay}}, rules: [{from: [{source: {principals: \
       [cluster.local/ns/shop/sa/cart]}}], to: [{operation: {methods: [GET], ports: ['8080']}}]}, \
       {from: [{source: {namespaces: [ops]}}]}]}",
    ],
    &[
        "b {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{to: [{operation: {ports: \
       ['8080'], methods: [POST]}}]}, {from: [{source: {notNamespaces: [shop]}}]}]}",
    ],
    &[
        "c {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{from: [{source: \
       {notPrincipals: [cluster.local/ns/shop/sa/cart]}}]}, {to: [{operation: {ports: ['9090']}}]}]}",
    ],
    // A sidecar takes *a to be every namespace, the waypoint's too.
    &[
        "i {selector: {matchLabels: {app: pay}}, action: DENY, rules: [{from: [{source: {namespaces: \
       ['*a']}}], when: [{key: source.namespace, notValues: [web]}]}]}",
    ],
    &[
        "d {}",
        "e {selector: {matchLabels: {app: cart}}, rules: [{to: [{operation: {paths: ['/a*']}}]}]}",
    ],
    &[
        "f {action: DENY, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}",
        "istio-system/g {rules: [{from: [{source: {namespaces: [shop, ops]}}]}]}",
    ],
    &[
        "h {action: DENY, rules: [{from: [{source: {notRequestPrincipals: ['*']}}], to: \
       [{operation: {hosts: [a.example]}}]}]}",
    ],
];

fn parts(policies: &[&str]) -> Vec<String> {
    let mut parts = vec![SHOP.to_owned(), ROUTED.to_owned()];
    parts.extend(policies.iter().map(|line| policy(line)));
    let line = "jwt {jwtRules: [{issuer: i, jwksUri: 'https://i'}]}";
    if policies
        .iter()
        .any(|line| line.contains("RequestPrincipals"))
    {
        parts.push(object(
            "RequestAuthentication",
            "security.istio.io/v1",
            line,
        ));
    }
    parts
}

fn whole(parts: &[String]) -> Mesh {
    mesh(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Calls that are let through in a state and were refused, as text; where sidecars are called, all
/// that come to something else.
pub(super) fn opened(
    mesh: &Mesh,
    options: &Options,
    translation: &Translation,
    state: State,
) -> Vec<String> {
    let namespaces = shop();
    let ground = Ground::new(mesh, &namespaces, options);
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("result", stream(translation.by_the_end_of(state.phase)));
    let written = Mesh::new(builder.finish());
    let (proofs, _) = state.compared(&ground, &written, translation);
    let found = proofs.iter().map(|proof| &proof.comparison);
    let all = found.flat_map(|found| found.differences.iter().chain(&found.undecided));
    // A pod with a sidecar is judged as it was, whoever calls and on whichever way; but a waypoint
    // cannot be left out of what an authorizer is asked about.
    let policies = mesh.all::<AuthorizationPolicy>().iter();
    let asks = policies
        .map(|policy| policy.spec.action)
        .any(|action| action == Action::Custom);
    let exact = state.plane == DataPlane::Sidecar && !asks;
    let wrong = all.filter(|d| d.opens() || exact);
    wrong.map(ToString::to_string).collect()
}

#[test]
fn nobody_is_let_through_on_the_way() {
    let ways = [
        (Phase::Prepare, DataPlane::Sidecar),
        (Phase::Enrol, DataPlane::Sidecar),
        (Phase::Switch, DataPlane::Sidecar),
        (Phase::Switch, DataPlane::Ambient),
        (Phase::Retire, DataPlane::Ambient),
    ];
    for policies in MESHES {
        let mesh = whole(&parts(policies));
        let options = Options::default();
        let translation = outline(&mesh, &shop(), &options);
        assert!(!translation.refuses(), "{:?}", translation.treatments);
        for (phase, plane) in ways {
            let state = State { phase, plane };
            let wrong = opened(&mesh, &options, &translation, state);
            assert_eq!(wrong, Vec::<String>::new(), "{policies:?} {state:?}");
        }
    }
}

#[test]
fn a_run_that_goes_on_comes_to_the_same() {
    for policies in MESHES {
        let mesh = whole(&parts(policies));
        let first = translate(&mesh, &shop(), &Options::default());
        for phase in [Phase::Prepare, Phase::Enrol] {
            let read = |text: String| {
                let mut builder = InventoryBuilder::new(Input::Manifests, "default");
                builder.file("shop.yaml", text);
                builder.finish()
            };
            let so_far = read(stream(first.by_the_end_of(phase)));
            let there = Mesh::new(so_far.on_top_of(read(parts(policies).join("\n---\n"))));
            let again = translate(&there, &shop(), &Options::default());
            assert_eq!(made(&again), Vec::<String>::new(), "{policies:?} {phase:?}");
            for later in [Phase::Switch, Phase::Routes, Phase::Retire] {
                let gone = |t: &Translation| -> Vec<ObjectRef> {
                    t.removed_in(later).into_iter().cloned().collect()
                };
                assert_eq!(gone(&again), gone(&first), "{policies:?} {phase:?}");
                let there = |t: &Translation| -> Vec<(ObjectRef, Value)> {
                    let policy = Kind::AuthorizationPolicy;
                    let objects = t.of_phase(later).into_iter();
                    let objects = objects.filter(|m| m.object().kind == policy);
                    objects
                        .map(|m| (m.object().clone(), m.json()["spec"].clone()))
                        .collect()
                };
                assert_eq!(there(&again), there(&first), "{policies:?} {phase:?}");
            }
        }
    }
}
