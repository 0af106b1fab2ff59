//! Policies: who judges what in ambient mode.

use super::{Draft, Ground};

pub(super) fn translate(_ground: &Ground<'_>, _draft: &mut Draft) {}
