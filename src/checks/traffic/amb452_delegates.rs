//! AMB452: delegates that are not there, or that are none (`pilot/pkg/model/virtualservice.go`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Delegates);

static META: Meta = Meta {
    id: Id("AMB452"),
    slug: "delegates",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb452_delegates.md"),
};
