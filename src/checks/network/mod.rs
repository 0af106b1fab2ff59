//! NetworkPolicies.

mod admission;

use super::registry::checks;

checks! {
    amb601_port_15008_not_admitted,
}
