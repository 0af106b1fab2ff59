//! Lists as objects, for what is small enough to be kept whole.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Client;
use super::error::ClientError;
use super::list::{ListRequest, Listed, PageSink};

/// Namespace (empty for what has none) and name.
pub type ObjectKey = (String, String);

/// The objects of a collection as they are known.
pub type Objects = BTreeMap<ObjectKey, Value>;

/// Takes a list's pages in.
struct Page<'a>(&'a mut Objects);

impl PageSink for Page<'_> {
    fn page(&mut self, body: &[u8]) -> Result<usize, String> {
        let list: List = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let items = list.items.unwrap_or_default();
        let count = items.len();
        self.0
            .extend(items.into_iter().map(|item| (key(&item), item)));
        Ok(count)
    }

    fn restart(&mut self) {
        self.0.clear();
    }
}

#[derive(Deserialize)]
struct List {
    /// The metadata of no object is `null`.
    #[serde(default)]
    items: Option<Vec<Value>>,
}

/// What an object is called.
pub(super) fn key(object: &Value) -> ObjectKey {
    let text = |name: &str| {
        let value = object["metadata"][name].as_str();
        value.unwrap_or_default().to_owned()
    };
    (text("namespace"), text("name"))
}

impl Client {
    /// Reads a list to its end and keeps its objects.
    pub async fn objects(&self, request: &ListRequest) -> Result<Objects, ClientError> {
        let mut objects = Objects::new();
        self.list_into(request, &mut objects).await?;
        Ok(objects)
    }

    pub(super) async fn list_into(
        &self,
        request: &ListRequest,
        objects: &mut Objects,
    ) -> Result<Listed, ClientError> {
        self.list(request, &mut Page(objects)).await
    }
}
