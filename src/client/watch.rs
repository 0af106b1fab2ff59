//! A watch: the changes of one collection as they happen.
//!
//! An idle watch holds none of the permits that bound how much is asked at once.

use std::ops::ControlFlow;
use std::time::Duration;

use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::Client;
use super::error::{ClientError, Verb};
use super::list::ListRequest;
use super::request::{Wire, accept};
use super::target::with_query;

/// How long a silent connection is waited for beyond the time after which the server ends the watch.
const GRACE: Duration = Duration::from_secs(5);

/// A collection to watch, and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WatchRequest {
    /// What is watched, as a list of it would be asked for; the page's size is of no account.
    pub list: ListRequest,
    /// The version from which changes are wanted: a list's.
    pub resource_version: String,
    /// When the watch ends at the latest.
    pub within: Duration,
}

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchEvent {
    /// An object is new, or now matches the selectors.
    Added(Value),
    /// An object changed.
    Modified(Value),
    /// An object is gone, or no longer matches the selectors. This is how it last was.
    Deleted(Value),
    /// Nothing changed up to this version.
    Bookmark(String),
}

impl Client {
    /// Hands each change to `take` until that has seen enough, the server ends the watch, the
    /// connection breaks, or the time is over.
    ///
    /// An end is no failure: whoever wants to know more lists and watches again. That is also what
    /// [`ClientError::Expired`] asks for.
    pub async fn watch(
        &self,
        request: &WatchRequest,
        take: &mut (dyn FnMut(WatchEvent) -> ControlFlow<()> + Send),
    ) -> Result<(), ClientError> {
        let what = request.list.what();
        let target = request.address();
        let wire = Wire {
            verb: Verb::Read,
            what: &what,
            method: "GET",
            target: &target,
            accept: if request.list.metadata_only {
                accept::METADATA
            } else {
                accept::OBJECT
            },
            body: None,
        };
        let started = Instant::now();
        let end = started + request.within + GRACE;
        let opened = self.bounded(&wire, self.open(&wire)).await;
        self.tell(&wire, opened.as_ref().ok().map(|(a, _)| a.status), started);
        let (mut answer, mut body) = opened.map_err(|failure| failure.error)?;
        if !(200..300).contains(&answer.status) {
            let collected = self.bounded(&wire, async {
                let body = body.collect().await;
                body.map_err(|error| self.broken(&wire, &error))
            });
            answer.body = collected.await.map_err(|f| f.error)?.to_bytes().into();
            return Err(self.refusal(&wire, &answer).error);
        }
        let mut text = Vec::new();
        // A time that is over and a connection that broke are ends like any other.
        while let Ok(Some(Ok(frame))) = tokio::time::timeout_at(end, body.frame()).await {
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let seen = text.len();
            text.extend_from_slice(&data);
            let mut from = 0;
            while let Some(at) = text[from.max(seen)..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                let line = from..from.max(seen) + at;
                from = line.end + 1;
                if take(event(&what, &text[line])?).is_break() {
                    return Ok(());
                }
            }
            text.drain(..from);
        }
        Ok(())
    }
}

impl WatchRequest {
    fn address(&self) -> String {
        let seconds = self.within.as_secs().max(1).to_string();
        with_query(
            self.list.path(),
            &[
                ("labelSelector", self.list.label_selector.as_deref()),
                ("fieldSelector", self.list.field_selector.as_deref()),
                ("watch", Some("true")),
                ("allowWatchBookmarks", Some("true")),
                ("resourceVersion", Some(&self.resource_version)),
                ("timeoutSeconds", Some(&seconds)),
            ],
        )
    }
}

/// Reads one line of a watch.
fn event(what: &str, line: &[u8]) -> Result<WatchEvent, ClientError> {
    let malformed = |error: serde_json::Error| ClientError::Malformed {
        what: what.to_owned(),
        why: error.to_string(),
    };
    let frame: Frame<'_> = serde_json::from_slice(line).map_err(malformed)?;
    let object = || serde_json::from_str::<Value>(frame.object.get()).map_err(malformed);
    Ok(match frame.kind {
        "ADDED" => WatchEvent::Added(object()?),
        "MODIFIED" => WatchEvent::Modified(object()?),
        "DELETED" => WatchEvent::Deleted(object()?),
        "BOOKMARK" => {
            let version = object()?["metadata"]["resourceVersion"].take();
            WatchEvent::Bookmark(version.as_str().unwrap_or_default().to_owned())
        }
        _ => {
            let status: Status = serde_json::from_str(frame.object.get()).map_err(malformed)?;
            let what = what.to_owned();
            return Err(if status.code == 410 {
                ClientError::Expired {
                    what,
                    message: status.message,
                }
            } else {
                ClientError::Server {
                    verb: Verb::Read,
                    what,
                    code: status.code,
                    reason: status.reason,
                    message: status.message,
                }
            });
        }
    })
}

/// `metav1.WatchEvent`.
#[derive(Deserialize)]
struct Frame<'line> {
    #[serde(rename = "type")]
    kind: &'line str,
    #[serde(borrow)]
    object: &'line RawValue,
}

/// `metav1.Status`, the parts that are read.
#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: u16,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
}
