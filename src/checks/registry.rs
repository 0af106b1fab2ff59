//! All checks. A new check is a line in its area's list.

use super::{Check, environment, extension, network, policy, rollout, traffic, workload};

static AREAS: [&[&dyn Check]; 7] = [
    environment::CHECKS,
    workload::CHECKS,
    policy::CHECKS,
    traffic::CHECKS,
    extension::CHECKS,
    network::CHECKS,
    rollout::CHECKS,
];

/// All checks, sorted by id.
pub fn all() -> impl Iterator<Item = &'static dyn Check> {
    AREAS.iter().flat_map(|area| area.iter().copied())
}

/// The check of an id, in either case.
pub fn by_id(id: &str) -> Option<&'static dyn Check> {
    all().find(|check| check.meta().id.0.eq_ignore_ascii_case(id))
}
