//! AMB751: objects that the move has to change and that the input does not hold, or that cannot be changed.

use crate::checks::{Area, Id, Meta, Severity, Translated};
use crate::kinds::{Kind, ObjectRef};
use crate::translate::{self, Remark, Topic};

/// The check.
pub static CHECK: Translated = Translated::new(&META, Topic::NotInInput).unless(told);

static META: Meta = Meta {
    id: Id("AMB751"),
    slug: "not-in-input",
    area: Area::Rollout,
    highest: Severity::Blocking,
    reads: translate::READS,
    needs: &[],
    since: "0.1.0",
    page: include_str!("amb751_not_in_input.md"),
};

/// What a namespace needs is said by `convert`, and pods that nobody makes again by AMB223.
fn told(object: &ObjectRef, _: &Remark) -> bool {
    object.kind != Kind::AuthorizationPolicy
}
