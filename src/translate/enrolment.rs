//! What enrols a namespace: its labels, and the templates of its workloads.

use super::{Draft, Ground};

pub(super) fn translate(_ground: &Ground<'_>, _draft: &mut Draft) {}
