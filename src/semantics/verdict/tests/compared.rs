//! Situations compared: which calls are found, and in what time.

use super::*;
use crate::semantics::compare::How;

fn differences(before: &Situation<'_>, after: &Situation<'_>) -> Vec<String> {
    let found = compare(before, after, ANYONE, Bounds::default());
    assert_eq!(found.how, How::Complete);
    assert_eq!(found.undecided, []);
    assert_eq!(found.differing, found.differences.len());
    let told = |d: &Difference| format!("{}: {} / {}", d.call, word(&d.before), word(&d.after));
    found.differences.iter().map(told).collect()
}

fn ztunnel_instead_of_sidecar(lines: &str) -> Vec<String> {
    let world = World::of(lines);
    let policies = world.policies();
    differences(
        &direct(Point::Sidecar(world.pod()), &policies),
        &direct(Point::Ztunnel(world.pod()), &policies),
    )
}

#[test]
fn what_ztunnel_alone_would_do() {
    assert_eq!(
        ztunnel_instead_of_sidecar(
            "ALLOW shop/a {rules: [{from: [{source: {namespaces: [web]}}]}]}
             DENY shop/d {rules: [{from: [{source: {principals: [cluster.local/ns/web/sa/evil]}}]}]}"
        ),
        Vec::<String>::new()
    );
    assert_eq!(
        ztunnel_instead_of_sidecar(
            "DENY shop/d {rules: [{to: [{operation: {methods: [DELETE]}}]}]}"
        ),
        [
            "cluster.local/ns/elsewhere/sa/somebody calls port 80 (pod 8080): DELETE example.com/: - / +",
            "a caller in plain text calls port 80 (pod 8080): DELETE example.com/: - / +",
        ]
    );
    assert_eq!(
        ztunnel_instead_of_sidecar(
            "ALLOW shop/a {rules: [{from: [{source: {namespaces: [web]}}], to: [{operation: {paths: ['/api*']}}]}]}"
        ),
        ["cluster.local/ns/web/sa/somebody calls port 80 (pod 8080): GET example.com/api: + / -"]
    );
}

/// The hand-over of a workload under an ALLOW policy with HTTP attributes: copied to the waypoint,
/// the waypoint admitted at the pod.
#[test]
fn a_hand_over_is_exact_and_a_slip_is_found() {
    let before = World::of(
        "ALLOW shop/p {rules: [{from: [{source: {principals: [cluster.local/ns/web/sa/cart]}}], to: [{operation: {methods: [GET], ports: ['8080']}}]}]}",
    );
    let policies = before.policies();
    let sidecar = direct(Point::Sidecar(before.pod()), &policies);
    let after = |copy: &str| {
        World::of(&format!(
            "ALLOW shop/p {{rules: [{{from: [{{source: {{principals: [cluster.local/ns/web/sa/cart]}}}}], to: [{{operation: {{methods: [GET], ports: ['8080']}}}}]}}]}}
             ALLOW shop/p-wp {{targetRefs: [{{kind: Service, name: a}}], rules: [{copy}]}}
             ALLOW shop/p-from-waypoint {{rules: [{{from: [{{source: {{serviceAccounts: [waypoint]}}}}]}}]}}"
        ))
    };
    let check = |copy: &str| {
        let world = after(copy);
        let policies = world.policies();
        differences(
            &sidecar,
            &behind(Point::Ztunnel(world.pod()), &policies, &policies),
        )
    };
    let who = "from: [{source: {principals: [cluster.local/ns/web/sa/cart]}}]";
    assert_eq!(
        check(&format!(
            "{{{who}, to: [{{operation: {{methods: [GET], ports: ['80']}}}}]}}"
        )),
        Vec::<String>::new()
    );
    // The pod's port instead of the Service's.
    assert_eq!(
        check(&format!(
            "{{{who}, to: [{{operation: {{methods: [GET], ports: ['8080']}}}}]}}"
        )),
        ["cluster.local/ns/web/sa/cart calls port 80 (pod 8080): GET example.com/: + / -"]
    );
    // A method too many.
    assert_eq!(
        check(&format!(
            "{{{who}, to: [{{operation: {{methods: [GET, POST]}}}}]}}"
        )),
        ["cluster.local/ns/web/sa/cart calls port 80 (pod 8080): POST example.com/: - / +"]
    );
    // Anyone of the namespace.
    assert_eq!(
        check("{from: [{source: {namespaces: [web]}}], to: [{operation: {methods: [GET]}}]}"),
        ["cluster.local/ns/web/sa/somebody calls port 80 (pod 8080): GET example.com/: - / +"]
    );
}

#[test]
fn what_no_call_says_is_supposed() {
    let one = World::of(
        "DENY shop/a {rules: [{when: [{key: 'experimental.envoy.filters.a[b]', values: [c]}], to: [{operation: {paths: [/x]}}]}]}",
    );
    let policies = one.policies();
    let sidecar = direct(Point::Sidecar(one.pod()), &policies);
    let same = compare(&sidecar, &sidecar, ANYONE, Bounds::default());
    assert_eq!((same.differing, same.undecided.len()), (0, 0));
    let none = World::of("");
    let nothing = none.policies();
    let found = compare(
        &sidecar,
        &direct(Point::Sidecar(none.pod()), &nothing),
        ANYONE,
        Bounds::default(),
    );
    assert_eq!(found.differing, 0);
    let told: Vec<String> = found
        .undecided
        .iter()
        .map(|d| format!("{} / {} / {:?}", d.before, d.after, d.supposing))
        .collect();
    let expected = "undecided: it depends on experimental.envoy.filters.a[b] (c) at the sidecar / allowed / {\"experimental.envoy.filters.a[b] (c) at the sidecar\": true}";
    assert_eq!(told, [expected, expected]);
}

#[test]
fn tokens_that_are_verified_in_two_ways_are_not_all_tried() {
    let rule = |audience: &str| {
        World::of(&format!(
            "RA shop/r {{jwtRules: [{{issuer: i, audiences: [{audience}]}}]}}"
        ))
    };
    let (one, two) = (rule("a"), rule("b"));
    let (p, q) = (one.policies(), two.policies());
    let before = direct(Point::Sidecar(one.pod()), &p);
    let after = direct(Point::Sidecar(two.pod()), &q);
    let found = compare(&before, &after, ANYONE, Bounds::default());
    let why = vec!["tokens of i are verified in more than one way".to_owned()];
    assert_eq!(found.how, How::Sampled { why });
}

/// Many rules of one workload: the work grows with the rules, not with the product of their values.
#[test]
fn many_rules_are_compared() {
    use std::fmt::Write as _;
    let mut lines = String::from("ALLOW shop/p {rules: [");
    for n in 0..200 {
        let _ = write!(
            lines,
            "{{from: [{{source: {{principals: [cluster.local/ns/n{}/sa/s{n}]}}}}], to: [{{operation: {{methods: [GET], paths: ['/v{}/r{n}*'], hosts: ['h{}.shop']}}}}], when: [{{key: 'request.headers[x-{}]', values: [a]}}]}}, ",
            n % 20,
            n % 7,
            n % 5,
            n % 3
        );
    }
    lines.push_str("]}");
    let one = World::of(&lines);
    let two = World::of(&lines.replace("/v3/r101*", "/v3/r10*"));
    let (p, q) = (one.policies(), two.policies());
    let before = direct(Point::Sidecar(one.pod()), &p);
    let after = direct(Point::Sidecar(two.pod()), &q);
    let found = compare(&before, &after, ANYONE, Bounds::default());
    assert_eq!(found.how, How::Complete);
    assert_eq!(found.differing, 1);
    assert!(found.classes < 3_000, "{}", found.classes);
    let same = compare(&before, &before, ANYONE, Bounds::default());
    assert_eq!(same.classes, 2);
}

#[test]
fn what_opens_is_kept_however_much_else_differs() {
    let before = World::of("ALLOW shop/a {rules: [{from: [{source: {namespaces: [a, b, c]}}]}]}");
    let after = World::of("ALLOW shop/a {rules: [{from: [{source: {namespaces: [x]}}]}]}");
    let (p, q) = (before.policies(), after.policies());
    let bounds = Bounds {
        differences: 1,
        ..Bounds::default()
    };
    let found = compare(
        &direct(Point::Sidecar(before.pod()), &p),
        &direct(Point::Sidecar(after.pod()), &q),
        ANYONE,
        bounds,
    );
    let opens: Vec<bool> = found.differences.iter().map(Difference::opens).collect();
    assert_eq!((found.differing, opens), (4, vec![false, true]));
}
