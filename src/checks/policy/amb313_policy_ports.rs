//! AMB313: ports in policies: those of pods at sidecars and ztunnel, those of Services at a waypoint
//! (`pilot/pkg/security/authz/model/model.go`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::PolicyPorts);

static META: Meta = Meta {
    id: Id("AMB313"),
    slug: "policy-ports",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb313_policy_ports.md"),
};
