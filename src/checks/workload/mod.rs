//! Namespaces, workloads and waypoints.

use super::registry::checks;

checks! {}
