//! AMB405: prefixes of a VirtualService compare text, those of an HTTPRoute path elements
//! (`pilot/pkg/networking/core/route/route.go`, `TranslateRouteMatch`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::with_forms(&META, Topic::Paths);

static META: Meta = Meta {
    id: Id("AMB405"),
    slug: "path-prefix",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb405_path_prefix.md"),
};
