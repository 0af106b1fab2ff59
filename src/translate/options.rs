//! What the user asks for.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Topic;
use crate::kinds::{Name, ObjectRef};
use crate::mesh::installation::Version;

/// What becomes of VirtualServices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RouteForm {
    /// Routes where that is provably the same, else they stay.
    #[default]
    Auto,
    /// Routes, or a refusal.
    HttpRoute,
    /// They stay.
    Keep,
}

/// What becomes of prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PathForm {
    /// They go on matching strings.
    #[default]
    Exact,
    /// They match path elements; requests that change are listed.
    Element,
}

/// What becomes of callers that do not come through a waypoint, where rules need one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Guard {
    /// They are refused.
    Closed,
    /// They are judged by their identity alone.
    Open,
}

/// A channel of the Gateway API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// What is stable.
    Standard,
    /// What is tried out, beside what is stable.
    Experimental,
}

/// An installed Gateway API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GatewayApi {
    /// Its release.
    pub version: Version,
    /// Its channel.
    pub channel: Channel,
}

impl Default for GatewayApi {
    /// What manifests are taken to be for, where nothing tells.
    fn default() -> Self {
        Self {
            version: Version::new(1, 4),
            channel: Channel::Standard,
        }
    }
}

impl GatewayApi {
    /// Reads `1.4-standard`; without a channel it is the standard one.
    pub fn parse(text: &str) -> Option<Self> {
        let (version, channel) = text.split_once('-').unwrap_or((text, "standard"));
        Some(Self {
            version: Version::parse(version)?,
            channel: match channel {
                "standard" => Channel::Standard,
                "experimental" => Channel::Experimental,
                _ => return None,
            },
        })
    }

    /// Whether something is there that became standard with a release, after having been tried out.
    pub fn has_since(self, standard: Option<Version>) -> bool {
        self.channel == Channel::Experimental
            || standard.is_some_and(|standard| self.version >= standard)
    }
}

impl fmt::Display for GatewayApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let channel = match self.channel {
            Channel::Standard => "standard",
            Channel::Experimental => "experimental",
        };
        write!(f, "{} {channel}", self.version.minor_text())
    }
}

/// What the user asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// What becomes of VirtualServices.
    pub routes: RouteForm,
    /// What becomes of prefixes.
    pub paths: PathForm,
    /// What becomes of callers past the waypoint; asked about when absent.
    pub guard: Option<Guard>,
    /// Workloads that keep their sidecars, by namespace and name.
    pub deferred: BTreeSet<(Name, Name)>,
    /// Differences that are accepted.
    pub accepted: BTreeSet<Topic>,
    /// Objects that alone are asked about; all when empty.
    pub only: BTreeSet<ObjectRef>,
    /// The release of Istio, where the input does not tell.
    pub istio: Option<Version>,
    /// The Gateway API, where the input does not tell.
    pub gateway_api: Option<GatewayApi>,
}
