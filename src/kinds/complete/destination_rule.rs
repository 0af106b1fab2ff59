//! DestinationRule: what holds for the endpoints of a host. Policies are kept as they are written;
//! nothing here interprets them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::reader::record;

record! {
    /// Spec of a DestinationRule.
    #[derive(Default)]
    pub struct DestinationRuleSpec {
        /// The host; it may be a wildcard.
        "host" or_default host: String,
        /// The policy for all ports and subsets.
        "trafficPolicy" optional traffic_policy: Option<Value>,
        /// Named parts of the host's endpoints.
        "subsets" or_default subsets: Vec<Subset>,
        /// Namespaces whose callers see it; all when empty.
        "exportTo" or_default export_to: Vec<String>,
        /// The client pods it is for.
        "workloadSelector" optional workload_selector: Option<WorkloadSelector>,
    }
}

record! {
    /// A named part of a host's endpoints.
    pub struct Subset {
        /// Its name.
        "name" required name: String,
        /// Labels that its pods have beside those that the Service asks for.
        "labels" or_default labels: BTreeMap<String, String>,
        /// The policy for this subset.
        "trafficPolicy" optional traffic_policy: Option<Value>,
    }
}

record! {
    /// Pods by their labels.
    pub struct WorkloadSelector {
        /// Labels that a pod has.
        "matchLabels" or_default match_labels: BTreeMap<String, String>,
    }
}
