//! What Istio's CNI agent was told: whether it captures pods for ztunnel, and which.
//!
//! Source: `cni/pkg/plugin/plugin.go` (namespaces that are left out, before anything else),
//! `cni/pkg/util/enablement_selector.go`, and the chart's `templates/configmap-cni.yaml`.

use serde::Deserialize;

use crate::inventory::{Inventory, find};
use crate::kinds::is_true;
use crate::kinds::{Kind, LabelSelector, Labels, Name, ObjectRef};

/// The ConfigMap that the agent's environment comes from.
pub const CONFIG_MAP: &str = "istio-cni-config";
/// The key that turns ambient mode on.
pub const AMBIENT_ENABLED: &str = "AMBIENT_ENABLED";
/// The key of the selectors.
pub const SELECTORS: &str = "AMBIENT_ENABLEMENT_SELECTOR";
/// The key of namespaces that are left out, as charts have written it.
const EXCLUDED: [&str; 2] = ["EXCLUDE_NAMESPACES", "EXCLUDED_NAMESPACES"];

/// What the agent was told.
#[derive(Debug, Clone)]
pub struct CniConfig {
    /// Its ConfigMap.
    pub object: ObjectRef,
    /// Whether it captures pods for ztunnel at all.
    pub ambient: bool,
    /// Namespaces that it leaves out, with the key that says so.
    pub excluded: Option<(&'static str, Vec<String>)>,
    /// Which pods it captures.
    pub selectors: Selectors,
}

/// Which pods the agent captures.
#[derive(Debug, Clone)]
pub enum Selectors {
    /// As every release does by itself.
    Default,
    /// As the ConfigMap says: any of these.
    Given(Vec<EnablementSelector>),
    /// The ConfigMap's text could not be read.
    Unreadable,
}

/// One way for a pod to be captured: both must match.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnablementSelector {
    #[serde(default)]
    pod_selector: LabelSelector,
    #[serde(default)]
    namespace_selector: LabelSelector,
}

impl EnablementSelector {
    /// Whether a pod with these labels in a namespace with these labels is captured.
    pub fn matches(&self, pod: &Labels, namespace: &Labels) -> bool {
        self.pod_selector.matches(pod) && self.namespace_selector.matches(namespace)
    }
}

/// The configuration of an agent, from the ConfigMap in its namespace.
pub(super) fn config(inventory: &Inventory, agent: &ObjectRef) -> Option<CniConfig> {
    let map = find(&inventory.objects.config_maps, &agent.namespace, CONFIG_MAP)?;
    let excluded = EXCLUDED.into_iter().find_map(|key| {
        let names = map.data.get(key)?.split(',').map(str::trim);
        Some((key, names.map(str::to_owned).collect()))
    });
    let selectors = match map.data.get(SELECTORS) {
        None => Selectors::Default,
        Some(text) => serde_saphyr::from_str(text).map_or(Selectors::Unreadable, Selectors::Given),
    };
    Some(CniConfig {
        object: ObjectRef::new(Kind::ConfigMap, &agent.namespace, &Name::from(CONFIG_MAP)),
        ambient: map
            .data
            .get(AMBIENT_ENABLED)
            .is_some_and(|text| is_true(text)),
        excluded,
        selectors,
    })
}
