//! Where the kinds that we know are served: which of their versions, at which address.

use crate::client::{Client, ClientError, Discovery, ListRequest, Served, Target};
use crate::kinds::{Kind, Name, ObjectRef};

/// The addresses of kinds at one server.
#[derive(Debug)]
pub struct Api {
    discovery: Discovery,
}

impl Api {
    /// Asks the server about the groups of these kinds.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn discover(client: &Client, kinds: &[Kind]) -> Result<Self, ClientError> {
        let mut groups: Vec<&str> = kinds.iter().map(|kind| kind.group()).collect();
        groups.sort_unstable();
        groups.dedup();
        let discovery = client.discover(&groups).await?;
        Ok(Self { discovery })
    }

    /// The version in which a kind is read and written: the first that we know and that is served.
    pub fn version(&self, kind: Kind) -> Option<&'static str> {
        let served = |version: &&&str| {
            matches!(
                self.discovery.served(kind.group(), version, kind.plural()),
                Served::Yes(_)
            )
        };
        kind.versions().iter().find(served).copied()
    }

    /// The address of an object; nothing if its kind is not served.
    pub fn target(&self, object: &ObjectRef) -> Option<Target> {
        Some(Target {
            group: object.kind.group().to_owned(),
            version: self.version(object.kind)?.to_owned(),
            plural: object.kind.plural().to_owned(),
            namespace: namespace(&object.namespace),
            name: object.name.to_string(),
        })
    }

    /// A list of a kind, in a namespace or in all; nothing if it is not served.
    pub fn list(&self, kind: Kind, in_namespace: Option<&Name>) -> Option<ListRequest> {
        Some(ListRequest {
            group: kind.group().to_owned(),
            version: self.version(kind)?.to_owned(),
            plural: kind.plural().to_owned(),
            namespace: in_namespace.map(ToString::to_string),
            chunk_size: 500,
            ..ListRequest::default()
        })
    }
}

fn namespace(name: &Name) -> Option<String> {
    (!name.is_empty()).then(|| name.to_string())
}
