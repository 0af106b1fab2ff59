//! One object, as bytes.

use super::Client;
use super::error::ClientError;
use super::request::{Read, accept};
use super::target::{Collection, escape};

/// An object to get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GetRequest {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version, e.g. `v1`.
    pub version: String,
    /// The resource's plural, e.g. `pods`.
    pub plural: String,
    /// The namespace; none for what has none.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
    /// Asks for the object's metadata only (`PartialObjectMetadata`).
    pub metadata_only: bool,
}

impl GetRequest {
    /// How messages name the object: `services/cart in shop`.
    pub fn what(&self) -> String {
        let plural = format!("{}/{}", self.plural, self.name);
        Collection {
            plural: &plural,
            group: "",
            ..self.collection()
        }
        .describe()
    }

    fn collection(&self) -> Collection<'_> {
        Collection {
            group: &self.group,
            version: &self.version,
            plural: &self.plural,
            namespace: self.namespace.as_deref(),
        }
    }
}

impl Client {
    /// Gets one object's JSON, or nothing if there is no such object, namespace or kind.
    pub async fn get(&self, request: &GetRequest) -> Result<Option<Vec<u8>>, ClientError> {
        let read = Read {
            what: request.what(),
            target: format!("{}/{}", request.collection().path(), escape(&request.name)),
            accept: if request.metadata_only {
                accept::METADATA
            } else {
                accept::OBJECT
            },
            post: None,
        };
        match self.read(&read).await {
            Ok(body) => Ok(Some(body)),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
