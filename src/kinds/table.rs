//! The one table of kinds: group, versions we understand, plural, scope. A new kind is a line here
//! and a struct in a file of its own.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Calls a macro with every kind: variant, inventory field, struct, group, versions (preferred
/// first), plural, scope, kind as written in manifests.
macro_rules! for_each_kind {
    ($callback:ident) => {
        $callback! {
            (Namespace, namespaces, crate::kinds::meta::Namespace, "", ["v1"], "namespaces", Cluster, "Namespace"),
            (Node, nodes, crate::kinds::installation::Node, "", ["v1"], "nodes", Cluster, "Node"),
            (Pod, pods, crate::kinds::pod::Pod, "", ["v1"], "pods", Namespaced, "Pod"),
            (Service, services, crate::kinds::service::Service, "", ["v1"], "services", Namespaced, "Service"),
            (ConfigMap, config_maps, crate::kinds::installation::ConfigMap, "", ["v1"], "configmaps", Namespaced, "ConfigMap"),
            (Deployment, deployments, crate::kinds::workload::Deployment, "apps", ["v1"], "deployments", Namespaced, "Deployment"),
            (StatefulSet, stateful_sets, crate::kinds::workload::StatefulSet, "apps", ["v1"], "statefulsets", Namespaced, "StatefulSet"),
            (DaemonSet, daemon_sets, crate::kinds::workload::DaemonSet, "apps", ["v1"], "daemonsets", Namespaced, "DaemonSet"),
            (ReplicaSet, replica_sets, crate::kinds::workload::ReplicaSet, "apps", ["v1"], "replicasets", Namespaced, "ReplicaSet"),
            (Job, jobs, crate::kinds::workload::Job, "batch", ["v1"], "jobs", Namespaced, "Job"),
            (CronJob, cron_jobs, crate::kinds::workload::CronJob, "batch", ["v1"], "cronjobs", Namespaced, "CronJob"),
            (Rollout, rollouts, crate::kinds::workload::Rollout, "argoproj.io", ["v1alpha1"], "rollouts", Namespaced, "Rollout"),
            (PodDisruptionBudget, disruption_budgets, crate::kinds::disruption_budget::PodDisruptionBudget, "policy", ["v1"], "poddisruptionbudgets", Namespaced, "PodDisruptionBudget"),
            (NetworkPolicy, network_policies, crate::kinds::network_policy::NetworkPolicy, "networking.k8s.io", ["v1"], "networkpolicies", Namespaced, "NetworkPolicy"),
            (CiliumNetworkPolicy, cilium_policies, crate::kinds::plugin_policy::CiliumNetworkPolicy, "cilium.io", ["v2"], "ciliumnetworkpolicies", Namespaced, "CiliumNetworkPolicy"),
            (CiliumClusterwideNetworkPolicy, cilium_clusterwide_policies, crate::kinds::plugin_policy::CiliumClusterwideNetworkPolicy, "cilium.io", ["v2"], "ciliumclusterwidenetworkpolicies", Cluster, "CiliumClusterwideNetworkPolicy"),
            (CalicoNetworkPolicy, calico_policies, crate::kinds::plugin_policy::CalicoNetworkPolicy, "projectcalico.org", ["v3"], "networkpolicies", Namespaced, "NetworkPolicy"),
            (CalicoGlobalNetworkPolicy, calico_global_policies, crate::kinds::plugin_policy::CalicoGlobalNetworkPolicy, "projectcalico.org", ["v3"], "globalnetworkpolicies", Cluster, "GlobalNetworkPolicy"),
            (CalicoStoredNetworkPolicy, calico_stored_policies, crate::kinds::plugin_policy::CalicoStoredNetworkPolicy, "crd.projectcalico.org", ["v1"], "networkpolicies", Namespaced, "NetworkPolicy"),
            (CalicoStoredGlobalNetworkPolicy, calico_stored_global_policies, crate::kinds::plugin_policy::CalicoStoredGlobalNetworkPolicy, "crd.projectcalico.org", ["v1"], "globalnetworkpolicies", Cluster, "GlobalNetworkPolicy"),
            (AdminNetworkPolicy, admin_policies, crate::kinds::plugin_policy::AdminNetworkPolicy, "policy.networking.k8s.io", ["v1alpha1"], "adminnetworkpolicies", Cluster, "AdminNetworkPolicy"),
            (BaselineAdminNetworkPolicy, baseline_admin_policies, crate::kinds::plugin_policy::BaselineAdminNetworkPolicy, "policy.networking.k8s.io", ["v1alpha1"], "baselineadminnetworkpolicies", Cluster, "BaselineAdminNetworkPolicy"),
            (ClusterNetworkPolicy, cluster_policies, crate::kinds::plugin_policy::ClusterNetworkPolicy, "policy.networking.k8s.io", ["v1alpha2"], "clusternetworkpolicies", Cluster, "ClusterNetworkPolicy"),
            (MutatingWebhookConfiguration, webhooks, crate::kinds::installation::MutatingWebhookConfiguration, "admissionregistration.k8s.io", ["v1"], "mutatingwebhookconfigurations", Cluster, "MutatingWebhookConfiguration"),
            (CustomResourceDefinition, crds, crate::kinds::installation::CustomResourceDefinition, "apiextensions.k8s.io", ["v1"], "customresourcedefinitions", Cluster, "CustomResourceDefinition"),
            (AuthorizationPolicy, authorization_policies, crate::kinds::authorization::AuthorizationPolicy, "security.istio.io", ["v1", "v1beta1"], "authorizationpolicies", Namespaced, "AuthorizationPolicy"),
            (RequestAuthentication, request_authentications, crate::kinds::authorization::RequestAuthentication, "security.istio.io", ["v1", "v1beta1"], "requestauthentications", Namespaced, "RequestAuthentication"),
            (PeerAuthentication, peer_authentications, crate::kinds::authorization::PeerAuthentication, "security.istio.io", ["v1", "v1beta1"], "peerauthentications", Namespaced, "PeerAuthentication"),
            (VirtualService, virtual_services, crate::kinds::traffic::VirtualService, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "virtualservices", Namespaced, "VirtualService"),
            (DestinationRule, destination_rules, crate::kinds::traffic::DestinationRule, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "destinationrules", Namespaced, "DestinationRule"),
            (Sidecar, sidecars, crate::kinds::traffic::Sidecar, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "sidecars", Namespaced, "Sidecar"),
            (IstioGateway, istio_gateways, crate::kinds::istio_gateway::IstioGateway, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "gateways", Namespaced, "Gateway"),
            (ServiceEntry, service_entries, crate::kinds::service_entry::ServiceEntry, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "serviceentries", Namespaced, "ServiceEntry"),
            (WorkloadEntry, workload_entries, crate::kinds::service_entry::WorkloadEntry, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "workloadentries", Namespaced, "WorkloadEntry"),
            (WorkloadGroup, workload_groups, crate::kinds::service_entry::WorkloadGroup, "networking.istio.io", ["v1", "v1beta1", "v1alpha3"], "workloadgroups", Namespaced, "WorkloadGroup"),
            (EnvoyFilter, envoy_filters, crate::kinds::envoy_extension::EnvoyFilter, "networking.istio.io", ["v1alpha3"], "envoyfilters", Namespaced, "EnvoyFilter"),
            (ProxyConfig, proxy_configs, crate::kinds::envoy_extension::ProxyConfig, "networking.istio.io", ["v1beta1"], "proxyconfigs", Namespaced, "ProxyConfig"),
            (WasmPlugin, wasm_plugins, crate::kinds::envoy_extension::WasmPlugin, "extensions.istio.io", ["v1alpha1"], "wasmplugins", Namespaced, "WasmPlugin"),
            (TrafficExtension, traffic_extensions, crate::kinds::envoy_extension::TrafficExtension, "extensions.istio.io", ["v1alpha1"], "trafficextensions", Namespaced, "TrafficExtension"),
            (Telemetry, telemetries, crate::kinds::envoy_extension::Telemetry, "telemetry.istio.io", ["v1", "v1alpha1"], "telemetries", Namespaced, "Telemetry"),
            (Gateway, gateways, crate::kinds::gateway_api::Gateway, "gateway.networking.k8s.io", ["v1", "v1beta1", "v1alpha2"], "gateways", Namespaced, "Gateway"),
            (GatewayClass, gateway_classes, crate::kinds::gateway_api::GatewayClass, "gateway.networking.k8s.io", ["v1", "v1beta1", "v1alpha2"], "gatewayclasses", Cluster, "GatewayClass"),
            (HTTPRoute, http_routes, crate::kinds::gateway_api::HTTPRoute, "gateway.networking.k8s.io", ["v1", "v1beta1", "v1alpha2"], "httproutes", Namespaced, "HTTPRoute"),
            (GRPCRoute, grpc_routes, crate::kinds::gateway_api::GRPCRoute, "gateway.networking.k8s.io", ["v1", "v1alpha2"], "grpcroutes", Namespaced, "GRPCRoute"),
            (TCPRoute, tcp_routes, crate::kinds::gateway_api::TCPRoute, "gateway.networking.k8s.io", ["v1", "v1alpha2"], "tcproutes", Namespaced, "TCPRoute"),
            (TLSRoute, tls_routes, crate::kinds::gateway_api::TLSRoute, "gateway.networking.k8s.io", ["v1", "v1alpha3", "v1alpha2"], "tlsroutes", Namespaced, "TLSRoute"),
        }
    };
}
pub(crate) use for_each_kind;

/// Whether objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// They belong to the cluster.
    Cluster,
    /// They belong to a namespace.
    Namespaced,
}

macro_rules! define_kind {
    ($(($variant:ident, $field:ident, $type:ty, $group:literal, $versions:expr, $plural:literal, $scope:ident, $written:literal),)+) => {
        /// A kind of object that we read.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        #[expect(missing_docs, reason = "each variant is the kind of that name")]
        pub enum Kind { $($variant,)+ }

        impl Kind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)+];

            /// The API group; empty for the core group.
            pub const fn group(self) -> &'static str {
                match self { $(Kind::$variant => $group,)+ }
            }

            /// The versions that we understand, preferred first.
            pub const fn versions(self) -> &'static [&'static str] {
                match self { $(Kind::$variant => &$versions,)+ }
            }

            /// The resource name in URLs and in access reviews.
            pub const fn plural(self) -> &'static str {
                match self { $(Kind::$variant => $plural,)+ }
            }

            /// Whether its objects live in namespaces.
            pub const fn scope(self) -> Scope {
                match self { $(Kind::$variant => Scope::$scope,)+ }
            }

            /// The word after `kind:` in a manifest.
            pub const fn written(self) -> &'static str {
                match self { $(Kind::$variant => $written,)+ }
            }
        }
    };
}
for_each_kind!(define_kind);

impl Kind {
    /// The kind of an object by its `apiVersion` and `kind`; `None` for what we do not read.
    ///
    /// Any version of a known group is taken: a version that we do not know yet is read by the
    /// fields that we know.
    pub fn of(api_version: &str, written: &str) -> Option<Kind> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        Self::ALL
            .iter()
            .copied()
            .find(|kind| kind.written() == written && kind.group() == group)
    }

    /// The kind as a person reads it: kinds of one name are told apart by their group.
    pub const fn label(self) -> &'static str {
        match self {
            Kind::IstioGateway => "Gateway.networking.istio.io",
            Kind::CalicoNetworkPolicy => "NetworkPolicy.projectcalico.org",
            Kind::CalicoStoredNetworkPolicy => "NetworkPolicy.crd.projectcalico.org",
            Kind::CalicoStoredGlobalNetworkPolicy => "GlobalNetworkPolicy.crd.projectcalico.org",
            _ => self.written(),
        }
    }

    /// `virtualservices.networking.istio.io`, or the plural alone in the core group.
    pub fn resource(self) -> String {
        if self.group().is_empty() {
            self.plural().to_owned()
        } else {
            format!("{}.{}", self.plural(), self.group())
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// A set of kinds.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct KindSet(u64);

impl KindSet {
    /// No kind.
    pub const EMPTY: KindSet = KindSet(0);

    /// The set of these kinds.
    pub const fn of(kinds: &[Kind]) -> KindSet {
        let mut bits = 0;
        let mut i = 0;
        while i < kinds.len() {
            bits |= 1 << kinds[i] as u8;
            i += 1;
        }
        KindSet(bits)
    }

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: KindSet) -> KindSet {
        KindSet(self.0 | other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub const fn without(self, other: KindSet) -> KindSet {
        KindSet(self.0 & !other.0)
    }

    /// Whether a kind is in it.
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u8) != 0
    }

    /// Whether it holds no kind.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its kinds in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL
            .iter()
            .copied()
            .filter(move |kind| self.contains(*kind))
    }
}

/// A set of kinds that threads add to at once.
#[derive(Debug, Default)]
pub struct KindTally(AtomicU64);

impl KindTally {
    /// Adds kinds.
    pub fn add(&self, kinds: KindSet) {
        // Mostly they are in it, and a look disturbs no other thread.
        if self.0.load(Ordering::Relaxed) & kinds.0 != kinds.0 {
            self.0.fetch_or(kinds.0, Ordering::Relaxed);
        }
    }

    /// What was added since the last call.
    pub fn take(&self) -> KindSet {
        KindSet(self.0.swap(0, Ordering::Relaxed))
    }
}

impl fmt::Debug for KindSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_a_set_and_is_unambiguous() {
        assert!(Kind::ALL.len() <= 64);
        for kind in Kind::ALL {
            let group = kind.group();
            let version = kind.versions()[0];
            let api_version = if group.is_empty() {
                version.to_owned()
            } else {
                format!("{group}/{version}")
            };
            assert_eq!(Kind::of(&api_version, kind.written()), Some(*kind));
        }
    }

    #[test]
    fn the_two_gateways_are_told_apart_by_group() {
        assert_eq!(
            Kind::of("networking.istio.io/v1beta1", "Gateway"),
            Some(Kind::IstioGateway)
        );
        assert_eq!(
            Kind::of("gateway.networking.k8s.io/v1", "Gateway"),
            Some(Kind::Gateway)
        );
        assert_eq!(Kind::of("example.com/v1", "Gateway"), None);
    }
}
