//! NetworkPolicies, and policies of network plugins.

use super::declare::checks;

checks! {
    amb601_port_15008_not_admitted,
    amb650_network_plugin_policy,
}
