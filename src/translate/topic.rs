//! What a remark is about. A topic has the id of the check that explains it.

use std::fmt;

macro_rules! topics {
    ($($(#[$doc:meta])+ $variant:ident = $id:literal,)+) => {
        /// What a remark is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Topic { $($(#[$doc])+ $variant,)+ }

        impl Topic {
            /// All topics, sorted by id.
            pub const ALL: &'static [Topic] = &[$(Topic::$variant,)+];

            /// The id of the check that explains it.
            pub const fn id(self) -> &'static str {
                match self { $(Topic::$variant => $id,)+ }
            }
        }
    };
}

topics! {
    /// A Service that needs a waypoint and cannot have one.
    Waypoint = "AMB251",
    /// ALLOW with fields that only a waypoint understands.
    AllowWithL7 = "AMB301",
    /// DENY that ztunnel would never fire.
    DenyWithL7 = "AMB302",
    /// CUSTOM or AUDIT.
    CustomOrAudit = "AMB304",
    /// The waypoint's identity has to be admitted or exempted.
    WaypointIdentity = "AMB305",
    /// A policy for a whole namespace, or for the mesh.
    WidePolicy = "AMB307",
    /// More targets than a policy takes, or targets that are not valid.
    Targets = "AMB308",
    /// Callers that do not come through the waypoint.
    Guard = "AMB311",
    /// A policy that selects pods which no Service selects.
    NoService = "AMB312",
    /// Ports of the pod, ports of the Service.
    PolicyPorts = "AMB313",
    /// Tokens are verified where the policy that asks about them is not.
    Tokens = "AMB314",
    /// `DISABLE` in a PeerAuthentication.
    PlainText = "AMB315",
    /// Trust domains in principals.
    TrustDomain = "AMB318",
    /// Policies that only report.
    DryRun = "AMB319",
    /// A policy that reads what a route writes.
    RewrittenRequests = "AMB351",
    /// Requests that come by the route of another Service.
    OtherRoutes = "AMB352",
    /// WasmPlugins and Telemetries of pods.
    ProxyExtension = "AMB353",
    /// A VirtualService is replaced or kept.
    VirtualService = "AMB401",
    /// A VirtualService and an HTTPRoute for one host.
    BesideRoute = "AMB402",
    /// The order of rules.
    Order = "AMB403",
    /// The order of rules of which it cannot be decided whether they overlap.
    OrderUndecided = "AMB404",
    /// Prefixes of strings and of path elements.
    Paths = "AMB405",
    /// Faults on purpose.
    Fault = "AMB406",
    /// Fields without any counterpart.
    NoCounterpart = "AMB407",
    /// Matches on who calls.
    CallerMatch = "AMB408",
    /// Subsets.
    Subsets = "AMB409",
    /// Retries and timeouts.
    Retries = "AMB410",
    /// Destinations: weights, ports, names.
    Destinations = "AMB411",
    /// Redirects and rewrites.
    Rewrites = "AMB412",
    /// Limits of the Gateway API's objects.
    Limits = "AMB413",
    /// Several VirtualServices for one host.
    SeveralForHost = "AMB414",
    /// Rules that live in the namespace of callers.
    CallersRules = "AMB415",
    /// What a DestinationRule says about TLS.
    DestinationTls = "AMB416",
    /// What a DestinationRule says besides.
    DestinationPolicy = "AMB417",
    /// CORS.
    Cors = "AMB450",
    /// A host that is no Service of the input.
    HostIsNoService = "AMB451",
    /// Delegates.
    Delegates = "AMB452",
    /// TCP and TLS routes.
    Streams = "AMB453",
    /// Hosts of one VirtualService that part.
    HostsPart = "AMB454",
    /// Something that the installed Gateway API does not have.
    Channel = "AMB455",
    /// Headers whose names or values an HTTPRoute does not take.
    HeaderText = "AMB456",
    /// A copy of requests.
    Mirrors = "AMB457",
    /// NetworkPolicies, and the port of tunnelled connections.
    NetworkPolicy = "AMB601",
    /// The object as it is written is not valid: an unknown field, an expression that does not
    /// compile, weights that do not add up.
    Invalid = "AMB750",
    /// A label or a template must change in an object that the input does not hold.
    NotInInput = "AMB751",
}

impl Topic {
    /// The topic of an id, in either case.
    pub fn of(id: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|topic| topic.id().eq_ignore_ascii_case(id))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_sorted_by_ids_that_are_given_once() {
        assert!(Topic::ALL.is_sorted_by(|a, b| a.id() < b.id()));
        assert_eq!(Topic::of("amb405"), Some(Topic::Paths));
    }
}
