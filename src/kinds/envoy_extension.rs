//! Resources that change the proxies themselves: EnvoyFilter, WasmPlugin, TrafficExtension, Telemetry,
//! ProxyConfig.

use serde::Deserialize;

use super::authorization::{AttachedSpec, TargetRef};
use super::lenient::null_default;
use super::service_entry::WorkloadLabels;
use super::{Kind, KindSet, Meta, Resource};

/// An EnvoyFilter.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EnvoyFilter {
    /// Name, labels, annotations.
    pub metadata: Meta,
    /// Which proxies it patches.
    #[serde(default, deserialize_with = "null_default")]
    pub spec: EnvoyFilterSpec,
}

/// Spec of an EnvoyFilter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EnvoyFilterSpec {
    /// The pods it patches; all of the namespace when absent.
    #[serde(default)]
    pub workload_selector: Option<WorkloadLabels>,
    /// What it is attached to instead of pods.
    #[serde(default, deserialize_with = "null_default")]
    pub target_refs: Vec<TargetRef>,
    /// What it patches.
    #[serde(default, deserialize_with = "null_default")]
    pub config_patches: Vec<ConfigPatch>,
}

/// One patch of an EnvoyFilter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct ConfigPatch {
    /// Which configuration of which proxies it is for.
    #[serde(rename = "match", default, deserialize_with = "null_default")]
    pub matches: PatchMatch,
}

/// Which proxies a patch is for.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct PatchMatch {
    /// `SIDECAR_INBOUND`, `SIDECAR_OUTBOUND`, `GATEWAY`, `ANY`; any when empty.
    #[serde(default, deserialize_with = "null_default")]
    pub context: String,
}

impl EnvoyFilterSpec {
    /// Whether any of its patches is for sidecars; one may be for gateways only.
    pub fn patches_sidecars(&self) -> bool {
        let patches = &self.config_patches;
        patches
            .iter()
            .any(|patch| patch.matches.context != "GATEWAY")
    }
}

macro_rules! attached {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        pub struct $name {
            /// Name, labels, annotations.
            pub metadata: Meta,
            /// Which proxies it changes.
            #[serde(default, deserialize_with = "null_default")]
            pub spec: AttachedSpec,
        }
        super::resource!($name);
    )+};
}
attached!(
    /// A WasmPlugin.
    WasmPlugin,
    /// A TrafficExtension: what is said of a WasmPlugin, and Lua (since Istio 1.30).
    TrafficExtension,
    /// A Telemetry.
    Telemetry,
    /// A ProxyConfig.
    ProxyConfig,
);
super::resource!(EnvoyFilter);

/// The kinds of what runs inside of proxies. A WasmPlugin is to istiod a TrafficExtension
/// (`pilot/pkg/config/kube/extensions`): the same is true of both.
pub const PLUGINS: KindSet = KindSet::of(&[Kind::WasmPlugin, Kind::TrafficExtension]);

/// One of [`PLUGINS`].
pub trait Plugin: Resource {
    /// Which proxies it runs in.
    fn attached(&self) -> &AttachedSpec;
}

impl Plugin for WasmPlugin {
    fn attached(&self) -> &AttachedSpec {
        &self.spec
    }
}

impl Plugin for TrafficExtension {
    fn attached(&self) -> &AttachedSpec {
        &self.spec
    }
}
