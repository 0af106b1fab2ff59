//! AMB454: a VirtualService for the mesh and for gateways, of which only some hosts could have HTTPRoutes.

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::HostsPart);

static META: Meta = Meta {
    id: Id("AMB454"),
    slug: "hosts-part",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb454_hosts_part.md"),
};
