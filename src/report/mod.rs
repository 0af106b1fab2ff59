//! Stable documents: what programs parse and what people's screens are rendered from.
//!
//! Their content is sorted, and equal input gives equal bytes. What differs from run to run stands in
//! the header only.

mod bundle;
mod check;
mod checks;
pub mod convert;
mod history;
pub mod plan;
mod run;
pub mod schema;
mod status;
mod version;
pub mod waypoint;
mod waypoint_plan;

use schemars::JsonSchema;
use serde::Serialize;

pub use bundle::bundle;
pub use check::{
    CheckReport, FindingEntry, IgnoredEntry, NamespaceEntry, NotRunEntry, NotRunKind, RemedyEntry,
    UnreadEntry, WaypointSummary,
};
pub use checks::{CheckEntry, CheckList, CheckPage};
pub use convert::Conversion;
pub use history::{HistoryReport, OpenRunEntry, RunEntry};
pub use run::RunReport;
pub use status::{StatusEntry, StatusReport};
pub use version::{ControlPlaneEntry, VersionReport};
pub use waypoint_plan::{EvidenceEntry, PlanEntry, ServiceEntry, WaypointPlanReport};

use crate::kinds::KindSet;
use crate::mesh::Mesh;

/// The `apiVersion` of every document.
pub const API_VERSION: &str = "kubectl-ambient/v1alpha1";

/// What differs from run to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// When it was made, RFC 3339.
    pub generated_at: String,
    /// The version of this program.
    pub client_version: &'static str,
    /// The kubeconfig's context, for a live cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// Whether nothing of these kinds was out of reach; files that cannot be read are not counted.
fn all_read(mesh: &Mesh, kinds: KindSet) -> bool {
    !mesh
        .inventory()
        .unread
        .iter()
        .any(|unread| unread.is_of(kinds))
}

/// The version of Istio that a mesh runs, as far as its istiods tell.
pub fn istio_version(mesh: &Mesh) -> Option<String> {
    mesh.installation()
        .oldest_version()
        .map(|version| version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Input, InventoryBuilder, Subject, Unread};
    use crate::kinds::Kind;
    use crate::mesh::{COUNTED, WORKLOADS};

    #[test]
    fn workloads_are_counted_although_nobody_may_look_at_webhooks() {
        let with_gap = |kind| {
            let mut builder = InventoryBuilder::new(Input::Cluster, "");
            builder.unread(Unread {
                subject: Subject::List {
                    kind,
                    namespace: None,
                },
                reason: "no right to list them".to_owned(),
                place: None,
            });
            Mesh::new(builder.finish())
        };
        let webhooks = with_gap(Kind::MutatingWebhookConfiguration);
        assert!(all_read(&webhooks, COUNTED));
        assert!(!all_read(&webhooks, WORKLOADS));
        assert!(!all_read(&with_gap(Kind::Pod), COUNTED));
    }
}
