//! A list's objects, whole, as they come.

use serde::Deserialize;
use serde_json::Value;

use crate::client::PageSink;

/// The objects of a list.
#[derive(Debug, Default)]
pub(super) struct Items(pub(super) Vec<Value>);

#[derive(Deserialize)]
struct List {
    /// Of nothing, a list of metadata has none.
    items: Option<Vec<Value>>,
}

impl PageSink for Items {
    fn page(&mut self, body: &[u8]) -> Result<usize, String> {
        let list: List = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let items = list.items.unwrap_or_default();
        let count = items.len();
        self.0.extend(items);
        Ok(count)
    }

    fn restart(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_of_nothing_is_an_empty_list() {
        let mut items = Items::default();
        for (body, count) in [
            (r#"{"kind":"PartialObjectMetadataList","items":null}"#, 0),
            (r#"{"items":[{"metadata":{"name":"a"}}]}"#, 1),
            ("{}", 0),
        ] {
            assert_eq!(items.page(body.as_bytes()), Ok(count), "{body}");
        }
        assert_eq!(items.0.len(), 1);
    }
}
