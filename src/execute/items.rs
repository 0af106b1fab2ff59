//! A list's objects, whole, as they come.

use serde::Deserialize;
use serde_json::Value;

use crate::client::PageSink;

/// The objects of a list.
#[derive(Debug, Default)]
pub(super) struct Items(pub(super) Vec<Value>);

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<Value>,
}

impl PageSink for Items {
    fn page(&mut self, body: &[u8]) -> Result<usize, String> {
        let list: List = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let count = list.items.len();
        self.0.extend(list.items);
        Ok(count)
    }

    fn restart(&mut self) {
        self.0.clear();
    }
}
