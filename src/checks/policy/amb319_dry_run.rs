//! AMB319: policies with the annotation istio.io/dry-run (`pilot/pkg/serviceregistry/ambient/authorization.go`;
//! `pilot/pkg/security/authz/builder/builder.go`, `isDryRun`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::DryRun);

static META: Meta = Meta {
    id: Id("AMB319"),
    slug: "dry-run",
    area: Area::Policy,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb319_dry_run.md"),
};
