//! AMB412: what replaces paths and hosts: text in a VirtualService, path elements in an HTTPRoute
//! (`pilot/pkg/networking/core/route/route.go`, `TranslateRoute`;
//! `pilot/pkg/config/kube/gateway/conversion.go`, `createRewriteFilter`, `createRedirectFilter`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Rewrites);

static META: Meta = Meta {
    id: Id("AMB412"),
    slug: "rewrites",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb412_rewrites.md"),
};
