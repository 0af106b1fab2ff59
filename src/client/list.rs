//! Lists, page by page, as bytes.
//!
//! A page is handed to a [`PageSink`] and dropped; what is to be kept is the sink's affair. Of a
//! page only `metadata` is read here.

use futures_util::future::join;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::Client;
use super::error::ClientError;
use super::request::{Read, accept};
use super::target::{Collection, with_query};
use crate::event::Event;

/// Objects to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRequest {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version, e.g. `v1`.
    pub version: String,
    /// The resource's plural, e.g. `pods`.
    pub plural: String,
    /// The namespace; none for all of them and for what has none.
    pub namespace: Option<String>,
    /// A label selector, as `kubectl get -l` takes it.
    pub label_selector: Option<String>,
    /// A field selector, as `kubectl get --field-selector` takes it.
    pub field_selector: Option<String>,
    /// Asks for the objects' metadata only (`PartialObjectMetadataList`).
    pub metadata_only: bool,
    /// The most objects in a page; 0 asks for all at once.
    pub chunk_size: u32,
}

impl ListRequest {
    /// How messages and events name the list: `pods in shop`.
    pub fn what(&self) -> String {
        self.collection().describe()
    }

    /// The path of the collection.
    pub(super) fn path(&self) -> String {
        self.collection().path()
    }

    fn collection(&self) -> Collection<'_> {
        Collection {
            group: &self.group,
            version: &self.version,
            plural: &self.plural,
            namespace: self.namespace.as_deref(),
        }
    }

    fn read(&self, limit: u32, continue_token: Option<&str>) -> Read {
        let limit = (limit > 0).then(|| limit.to_string());
        let target = with_query(
            self.collection().path(),
            &[
                ("labelSelector", self.label_selector.as_deref()),
                ("fieldSelector", self.field_selector.as_deref()),
                ("limit", limit.as_deref()),
                ("continue", continue_token),
            ],
        );
        Read {
            what: self.what(),
            target,
            accept: if self.metadata_only {
                accept::METADATA_LIST
            } else {
                accept::OBJECT
            },
            post: None,
        }
    }
}

/// Takes the pages of one list.
pub trait PageSink {
    /// Takes one page, the JSON of a list object, and says how many objects were in it.
    ///
    /// An error says what in the page cannot be understood and where; it ends the list as
    /// [`ClientError::Malformed`].
    fn page(&mut self, body: &[u8]) -> Result<usize, String>;

    /// Whether the pages after this one are wanted. Asked before a page that is not the last is taken;
    /// a list that nobody wants to go on with ends there, without that page.
    fn goes_on(&mut self, body: &[u8]) -> bool {
        let _ = body;
        true
    }

    /// Drops all pages taken so far: the list begins anew, because the server no longer holds the
    /// version that they are from. Happens at most once a list.
    fn restart(&mut self);
}

/// A list that was read to its end, or as far as the sink wanted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The version of the collection that all pages are from, as the server wrote it.
    pub resource_version: String,
    /// How many objects the sink counted.
    pub count: usize,
    /// Whether it was read to its end.
    pub complete: bool,
}

impl Client {
    /// Reads a list to its end, all of it from one version of the collection. It ends earlier only
    /// where the sink does not want to [go on](PageSink::goes_on).
    ///
    /// If that version expires between two pages (410), the list is read again from the start,
    /// in one piece, so that it cannot expire again.
    pub async fn list(
        &self,
        request: &ListRequest,
        sink: &mut dyn PageSink,
    ) -> Result<Listed, ClientError> {
        let what = request.what();
        let mut limit = request.chunk_size;
        let mut resource_version = None;
        let mut count = 0;
        // Kept to the last page: a long list, which all the others wait for in the end, would else
        // stand in line behind them for each of its pages.
        let _permit = self.permit().await;
        let mut answer = self.read_permitted(&request.read(limit, None)).await;
        let mut continued = false;
        loop {
            let body = match answer {
                Ok(body) => body,
                Err(ClientError::Expired { .. }) if continued => {
                    sink.restart();
                    (limit, resource_version, continued, count) = (0, None, false, 0);
                    answer = self.read_permitted(&request.read(limit, None)).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let malformed = |why| ClientError::Malformed {
                what: what.clone(),
                why,
            };
            let meta = list_meta(&body).map_err(malformed)?;
            let version = resource_version.get_or_insert(meta.resource_version);
            let Some(token) = meta.continue_token.filter(|token| !token.is_empty()) else {
                count += sink.page(&body).map_err(malformed)?;
                self.listener.notice(Event::Finished { what, count });
                return Ok(Listed {
                    resource_version: std::mem::take(version),
                    count,
                    complete: true,
                });
            };
            if !sink.goes_on(&body) {
                return Ok(Listed {
                    resource_version: std::mem::take(version),
                    count,
                    complete: false,
                });
            }
            // The server prepares the next page while this one is taken apart.
            let next = request.read(limit, Some(&token));
            let taken = async {
                tokio::task::yield_now().await;
                sink.page(&body)
            };
            let (next, taken) = join(self.read_permitted(&next), taken).await;
            count += taken.map_err(malformed)?;
            self.listener.notice(Event::Listed {
                what: what.clone(),
                count,
            });
            (answer, continued) = (next, true);
        }
    }
}

/// `metav1.ListMeta`, the parts that are read.
#[derive(Debug, Deserialize)]
struct ListMeta {
    #[serde(default, rename = "continue")]
    continue_token: Option<String>,
    #[serde(default, rename = "resourceVersion")]
    resource_version: String,
}

/// Reads a list's `metadata` and, where that stands before the items, nothing after it. The API
/// server writes it first but for custom resources, and the sink parses the page anyway.
fn list_meta(body: &[u8]) -> Result<ListMeta, String> {
    let mut found = None;
    let outcome =
        MetadataOnly(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(body));
    match (found, outcome) {
        (Some(meta), _) => Ok(meta),
        (None, Err(error)) => Err(error.to_string()),
        (None, Ok(())) => Err("a list without `metadata`".to_owned()),
    }
}

struct MetadataOnly<'found>(&'found mut Option<ListMeta>);

impl<'de> DeserializeSeed<'de> for MetadataOnly<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MetadataOnly<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "metadata" {
                *self.0 = Some(map.next_value()?);
                // An error is the only way to leave a deserializer early.
                return Err(A::Error::custom("found"));
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_found_before_and_after_the_items() {
        for body in [
            r#"{"kind":"PodList","metadata":{"resourceVersion":"7","continue":"x"},"items":[{"#,
            r#"{"items":[{"metadata":{"resourceVersion":"1"}}],"metadata":{"continue":"x","resourceVersion":"7"}}"#,
        ] {
            let meta = list_meta(body.as_bytes()).unwrap();
            assert_eq!(meta.continue_token.as_deref(), Some("x"));
            assert_eq!(meta.resource_version, "7");
        }
        for body in ["{}", "[]", "", r#"{"items":["#, "<html>"] {
            assert!(list_meta(body.as_bytes()).is_err(), "{body}");
        }
    }
}
