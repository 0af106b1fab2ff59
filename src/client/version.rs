//! The API server's version.

use serde::Deserialize;

use super::Client;
use super::error::ClientError;
use super::request::{Read, accept};

/// What `/version` says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerVersion {
    /// The major version, e.g. `1`.
    pub major: String,
    /// The minor version, e.g. `33`; some providers append a `+`.
    pub minor: String,
    /// The whole version, e.g. `v1.33.2-eks-1a2b3c`.
    pub git_version: String,
}

impl Client {
    /// Asks the API server for its version.
    pub async fn server_version(&self) -> Result<ServerVersion, ClientError> {
        let read = Read {
            what: "the server's version".to_owned(),
            target: "/version".to_owned(),
            accept: accept::OBJECT,
            post: None,
        };
        let answer = self.read_json(&read).await;
        answer.map_err(ClientError::of_what_every_server_has)
    }
}
