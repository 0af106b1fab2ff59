//! AMB411: destinations that are no Service, or that have no such port: requests to them fail
//! (`pilot/pkg/networking/core/route/route.go`, `GetDestinationCluster`).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Destinations);

static META: Meta = Meta {
    id: Id("AMB411"),
    slug: "destination-missing",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb411_destination_missing.md"),
};
