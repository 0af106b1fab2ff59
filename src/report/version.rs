//! The document of `version`.

use schemars::JsonSchema;
use serde::Serialize;

use super::API_VERSION;
use crate::mesh::installation::Installation;

/// What `version` says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionReport {
    api_version: &'static str,
    kind: &'static str,
    /// The version of this program.
    pub client_version: &'static str,
    /// The API server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<String>,
    /// The istiods'.
    pub control_planes: Vec<ControlPlaneEntry>,
}

/// One istiod.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ControlPlaneEntry {
    /// Its Deployment.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its revision.
    pub revision: String,
    /// Its version, where its image tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl VersionReport {
    /// The document; without a server, the client alone.
    pub fn new(
        client_version: &'static str,
        kubernetes: Option<String>,
        installation: Option<&Installation>,
    ) -> Self {
        let planes = installation
            .map(|i| i.control_planes.as_slice())
            .unwrap_or_default();
        Self {
            api_version: API_VERSION,
            kind: "Version",
            client_version,
            kubernetes,
            control_planes: planes
                .iter()
                .map(|plane| ControlPlaneEntry {
                    name: plane.object.short(),
                    namespace: plane.object.namespace.to_string(),
                    revision: plane.revision.clone(),
                    version: plane.version.map(|version| version.to_string()),
                })
                .collect(),
        }
    }
}
