//! AMB318: principals that name cluster.local in a mesh of another trust domain: sidecars rewrite them, ztunnel does not
//! (`pilot/pkg/security/trustdomain/bundle.go`; `pilot/pkg/serviceregistry/ambient/authorization.go`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::with_forms(&META, Topic::TrustDomain);

static META: Meta = Meta {
    id: Id("AMB318"),
    slug: "trust-domain",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb318_trust_domain.md"),
};
