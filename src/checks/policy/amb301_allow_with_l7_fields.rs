//! AMB301: an ALLOW rule with L7 fields, selected by pod labels. ztunnel drops such a rule; when none
//! is left, the policy refuses everything.

use crate::checks::policy::{Enforced, enforced_in};
use crate::checks::{Area, Check, Id, Meta, Remedy, Severity, Sink, View};
use crate::kinds::authorization::Action;
use crate::kinds::{Kind, KindSet, Resource};
use crate::mesh;
use crate::semantics::authorization::beyond_ztunnel;

/// The check.
pub static CHECK: AllowWithL7Fields = AllowWithL7Fields;

/// The check's type.
#[derive(Debug)]
pub struct AllowWithL7Fields;

static META: Meta = Meta {
    id: Id("AMB301"),
    slug: "allow-with-l7-fields",
    area: Area::Policy,
    highest: Severity::Change,
    reads: mesh::WORKLOADS
        .and(mesh::MESH_CONFIG)
        .and(KindSet::of(&[Kind::AuthorizationPolicy])),
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb301_allow_with_l7_fields.md"),
};

impl Check for AllowWithL7Fields {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn run(&self, view: &View<'_>, out: &mut Sink<'_>) {
        for Enforced {
            policy,
            namespace,
            workloads,
        } in enforced_in(view)
        {
            if policy.spec.action != Action::Allow {
                continue;
            }
            let dropped: Vec<usize> = (0..policy.spec.rules.len())
                .filter(|index| !beyond_ztunnel(&policy.spec.rules[*index], *index).is_empty())
                .collect();
            let Some(first) = dropped.first() else {
                continue;
            };
            let beyond = beyond_ztunnel(&policy.spec.rules[*first], *first);
            let all = policy.spec.rules.len();
            let effect = if dropped.len() == all {
                "the policy admits nothing".to_owned()
            } else {
                format!("{} of its {all} rules admit nothing", dropped.len())
            };
            out.find(
                namespace,
                Severity::Change,
                (policy.reference(), beyond[0].path.clone()),
                format!(
                    "ALLOW by {} needs a proxy that reads HTTP: at ztunnel {effect}, and {} would be refused what it admits today",
                    beyond[0].name,
                    workloads.describe(),
                ),
                Remedy::moved("a copy with targetRefs is enforced at the waypoint, and this policy is narrowed to pods with a sidecar"),
            );
        }
    }
}
