//! AMB456: names and values of headers and query parameters that the Gateway API refuses (`HTTPHeaderName`,
//! `HTTPHeader` of the Gateway API).

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::HeaderText);

static META: Meta = Meta {
    id: Id("AMB456"),
    slug: "header-text",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb456_header_text.md"),
};
