//! NetworkPolicies.

use super::registry::checks;

checks! {}
