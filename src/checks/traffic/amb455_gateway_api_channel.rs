//! AMB455: fields that the installed Gateway API does not have. A server drops such fields without an error.

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::translate::{self, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::Channel);

static META: Meta = Meta {
    id: Id("AMB455"),
    slug: "gateway-api-channel",
    area: Area::Traffic,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb455_gateway_api_channel.md"),
};
