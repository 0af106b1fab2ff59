//! AMB457: requests copied to what is not there: copies are dropped without a word
//! (`pilot/pkg/networking/core/route/route.go`, `TranslateRequestMirrorPolicy`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Mirrors);

static META: Meta = Meta {
    id: Id("AMB457"),
    slug: "mirror-missing",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb457_mirror_missing.md"),
};
