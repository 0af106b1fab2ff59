//! Flags that say what a waypoint is to be.

use clap::{Args, ValueEnum};

use super::super::scope::namespace as label;
use crate::mesh::waypoints::Traffic;
use crate::waypoint::manifest::{NAME, Wanted};

/// Flags that say what a waypoint is to be.
#[derive(Debug, Args)]
pub(super) struct Shape {
    /// Name of the waypoint
    #[arg(long, value_name = "NAME", default_value = NAME, value_parser = name)]
    pub name: String,

    /// Traffic that it takes: addressed to Services, to pods, both or none; by default istiod's, service
    #[arg(long = "for", value_enum, value_name = "TRAFFIC")]
    traffic: Option<For>,

    /// Revision of the istiod that takes care of it
    #[arg(short, long, value_name = "REVISION")]
    revision: Option<String>,

    /// Replicas; with more than one, a PodDisruptionBudget keeps one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    replicas: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum For {
    Service,
    Workload,
    All,
    None,
}

impl Shape {
    pub(super) fn wanted(&self, namespace: Option<String>) -> Wanted {
        Wanted {
            name: self.name.clone(),
            namespace,
            traffic: self.traffic.map(|traffic| match traffic {
                For::Service => Traffic::Service,
                For::Workload => Traffic::Workload,
                For::All => Traffic::All,
                For::None => Traffic::None,
            }),
            revision: self
                .revision
                .clone()
                .filter(|revision| !revision.is_empty()),
            replicas: self.replicas,
        }
    }
}

/// A name that a waypoint can have: its Service is called so too. An empty one means the default, as
/// it does for istioctl.
fn name(text: &str) -> Result<String, String> {
    match text {
        "" => Ok(NAME.to_owned()),
        "none" => Err("`none` is reserved: as a label's value it means no waypoint".to_owned()),
        _ => label(text).map_err(|_| {
            "not a waypoint's name: lower-case letters, digits and hyphens between them, 63 at most"
                .to_owned()
        }),
    }
}
