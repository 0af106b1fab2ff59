//! AMB750: objects with fields that Istio does not have, or that its own validation refuses
//! (`pkg/config/validation`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Invalid);

static META: Meta = Meta {
    id: Id("AMB750"),
    slug: "invalid-object",
    area: Area::Rollout,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb750_invalid_object.md"),
};
