//! NetworkPolicies.

use super::declare::checks;

checks! {
    amb601_port_15008_not_admitted,
}
