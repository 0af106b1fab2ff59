//! The hand-over of a workload under ALLOW and DENY policies with HTTP attributes, caller by caller.

use super::*;
use crate::mesh::workloads::DataPlane::{self, Ambient, Sidecar};
use crate::semantics::compare::How;

/// The policies of the workload before anything.
const BEFORE: &str = "
    ALLOW shop/p {selector: {matchLabels: {app: a}}, rules: [{from: [{source: {namespaces: [web]}}], to: [{operation: {methods: [GET], ports: ['8080']}}]}]}
    DENY shop/d {selector: {matchLabels: {app: a}}, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}";

/// While both modes exist: copies for the waypoint, the waypoint admitted, the old ones narrowed to
/// pods with a sidecar, ambient pods guarded.
const WHILE: &str = "
    ALLOW shop/p {selector: {matchLabels: {app: a, tls: istio}}, rules: [{from: [{source: {namespaces: [web]}}], to: [{operation: {methods: [GET], ports: ['8080']}}]}]}
    DENY shop/d {selector: {matchLabels: {app: a, tls: istio}}, rules: [{to: [{operation: {paths: ['/admin*']}}]}]}
    ALLOW shop/p-wp {targetRefs: [{kind: Service, name: a}], rules: [{from: [{source: {namespaces: [web]}}], to: [{operation: {methods: [GET], ports: ['80']}}]}]}
    DENY shop/d-wp {targetRefs: [{kind: Service, name: a}], rules: [{to: [{operation: {paths: ['/admin*']}}]}]}
    ALLOW shop/p-from-waypoint {selector: {matchLabels: {app: a}}, rules: [{from: [{source: {serviceAccounts: [waypoint]}}]}]}
    DENY shop/p-guard {selector: {matchLabels: {app: a, inject: 'false'}}, rules: [{from: [{source: {notServiceAccounts: [shop/waypoint]}}]}]}";

struct Stage {
    world: World,
    sidecar: Labels,
    ambient: Labels,
}

impl Stage {
    fn of(lines: &str) -> Self {
        Self {
            world: World::of(lines),
            sidecar: labels(&[("app", "a"), ("tls", "istio")]),
            ambient: labels(&[("app", "a"), ("inject", "false")]),
        }
    }

    fn callee<'m>(&'m self, policies: &'m Policies<'m>, mode: DataPlane) -> Callee<'m> {
        let labels = match mode {
            Sidecar => &self.sidecar,
            Ambient | DataPlane::None => &self.ambient,
        };
        Callee {
            pod: Pod {
                namespace: "shop",
                labels,
            },
            mode,
            takes_hbone: true,
            policies,
        }
    }
}

/// How many kinds of calls differ from before, of which so many are let through that were not.
fn differs(stage: &Stage, pod: DataPlane, callers: DataPlane, bound: bool) -> (usize, usize) {
    let start = Stage::of(BEFORE);
    let policies = start.world.policies();
    let before = Situation::of(start.callee(&policies, Sidecar), callers, None);
    let policies = stage.world.policies();
    let through = Through {
        namespace: "shop",
        name: "waypoint",
        identity: identity(WAYPOINT),
        target: Some(Target {
            kind: crate::kinds::Kind::Service,
            namespace: "shop",
            name: "a",
        }),
        policies: &policies,
    };
    let callee = stage.callee(&policies, pod);
    let after = Situation::of(callee, callers, Some(&through).filter(|_| bound));
    let scope = Scope {
        not_by: &[identity(WAYPOINT)],
        ..ANYONE
    };
    let found = compare(&before, &after, scope, Bounds::default());
    assert_eq!(found.how, How::Complete);
    assert!(found.undecided.is_empty());
    let opened = found.differences.iter().filter(|d| d.opens());
    (found.differing, opened.count())
}

#[test]
fn nothing_opens_and_only_callers_past_the_waypoint_are_refused() {
    let stage = Stage::of(WHILE);
    // Once the policies are in place, before anything is bound.
    assert_eq!(differs(&stage, Sidecar, Sidecar, false), (0, 0));
    // Bound: ambient callers are judged at the waypoint, the others at the pod.
    assert_eq!(differs(&stage, Sidecar, Ambient, true), (0, 0));
    assert_eq!(differs(&stage, Sidecar, Sidecar, true), (0, 0));
    // Ambient pods: exact through the waypoint, closed past it.
    assert_eq!(differs(&stage, Ambient, Ambient, true), (0, 0));
    assert_eq!(differs(&stage, Ambient, Sidecar, true), (1, 0));
    assert_eq!(differs(&stage, Ambient, Ambient, false), (1, 0));
}

#[test]
fn steps_left_out_are_found() {
    let without = |name: &str| {
        let lines: Vec<&str> = WHILE.lines().filter(|line| !line.contains(name)).collect();
        Stage::of(&lines.join("\n"))
    };
    // Without the waypoint admitted nothing comes through it.
    let stage = without("shop/p-from-waypoint ");
    assert_eq!(differs(&stage, Sidecar, Ambient, true), (1, 0));
    // Without its copy the DENY is not enforced on what the ALLOW admits.
    let stage = without("shop/d-wp ");
    assert_eq!(differs(&stage, Ambient, Ambient, true), (1, 1));
    // Without the guard ambient pods still admit nobody but the waypoint: ALLOW alone is closed.
    let stage = without("shop/p-guard ");
    assert_eq!(differs(&stage, Ambient, Sidecar, true), (1, 0));
}
