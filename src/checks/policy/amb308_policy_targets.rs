//! AMB308: what policies are attached to: Services that no waypoint serves, and Services in front of several workloads
//! (`pilot/pkg/model/policyattachment.go`; istio/istio#57315).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Targets);

static META: Meta = Meta {
    id: Id("AMB308"),
    slug: "policy-targets",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb308_policy_targets.md"),
};
