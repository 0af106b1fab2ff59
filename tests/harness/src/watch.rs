//! A collection followed from a list on: what waiting and recording stand on.

use http::Request;
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;

use crate::cluster::{Cluster, get};
use crate::error::{Error, Result};
use crate::resources::Resource;

/// What is watched.
#[derive(Debug, Clone)]
pub(crate) struct Collection {
    pub(crate) resource: Resource,
    pub(crate) namespace: Option<String>,
    /// Parameters of the query, e.g. `labelSelector=app%3Dcart`.
    pub(crate) query: Option<String>,
}

impl Collection {
    fn path(&self, more: &[&str]) -> String {
        let mut query: Vec<&str> = self.query.as_deref().into_iter().collect();
        query.extend(more);
        let path = self.resource.path(self.namespace.as_deref(), None);
        format!("{path}?{}", query.join("&"))
    }

    pub(crate) fn describe(&self) -> String {
        match &self.namespace {
            Some(namespace) => format!("{} in {namespace}", self.resource),
            None => format!("{} in all namespaces", self.resource),
        }
    }
}

/// One change, as the server tells it.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    Added(Value),
    Modified(Value),
    Deleted(Value),
    /// Nothing changed up to this version.
    Bookmark(String),
}

/// Why a watch gave no further change.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The server or the connection ended it: it can go on from the last version.
    Resumable,
    /// The version is too old (410): what happened since is lost.
    Expired(String),
    /// Anything else.
    Failed(Error),
}

/// The objects of a collection and the version they are from.
pub(crate) async fn list(cluster: &Cluster, what: &Collection) -> Result<(Vec<Value>, String)> {
    let mut list = cluster
        .send(get(&what.path(&[])))
        .await
        .map_err(|error| Error::api(format_args!("list of {}", what.describe()), &error))?;
    let version = version_of(&list).to_owned();
    let items = match list["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    };
    // The items of a list carry no kind of their own.
    let items = items.into_iter().map(|mut item| {
        let group = &what.resource.group;
        let version = &what.resource.version;
        item["kind"] = Value::from(what.resource.kind.clone());
        item["apiVersion"] = Value::from(match group.as_str() {
            "" => version.clone(),
            group => format!("{group}/{version}"),
        });
        item
    });
    Ok((items.collect(), version))
}

/// Changes after `version`, until the server ends the watch (after `seconds`, if they are given).
pub(crate) async fn open(
    cluster: &Cluster,
    what: &Collection,
    version: &str,
    seconds: Option<u32>,
) -> std::result::Result<Changes, Ended> {
    let from = format!("resourceVersion={version}");
    let until = seconds.map(|seconds| format!("timeoutSeconds={seconds}"));
    let mut query = vec!["watch=true", "allowWatchBookmarks=true", &from];
    query.extend(until.as_deref());
    let failed = |why: &dyn std::fmt::Display| {
        Ended::Failed(Error::because(
            format_args!("watch of {}", what.describe()),
            why,
        ))
    };
    let request = Request::get(what.path(&query))
        // Newer servers compress each event on its own, which the client does not undo.
        .header("accept-encoding", "identity")
        .body(Body::empty())
        .map_err(|error| failed(&error))?;
    let Ok(response) = cluster.client.send(request).await else {
        return Err(Ended::Resumable);
    };
    let status = response.status();
    let mut body = response.into_body();
    if status.is_success() {
        return Ok(Changes {
            body,
            text: Vec::new(),
            what: what.describe(),
        });
    }
    let mut text = Vec::new();
    while let Some(Ok(frame)) = body.frame().await {
        text.extend(frame.into_data().unwrap_or_default());
    }
    Err(match status.as_u16() {
        410 => Ended::Expired(message(&text)),
        429 | 500.. => Ended::Resumable,
        code => failed(&format_args!("{} ({code})", message(&text))),
    })
}

/// The changes that a watch tells.
#[derive(Debug)]
pub(crate) struct Changes {
    body: Body,
    /// What came and is no whole line yet.
    text: Vec<u8>,
    what: String,
}

impl Changes {
    /// The next change, or why there is none. Nothing is lost when this is not awaited to its end.
    pub(crate) async fn next(&mut self) -> std::result::Result<Change, Ended> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return self.understand(&line);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.text.extend(frame.into_data().unwrap_or_default()),
                // A line that broke off is told again by the next watch.
                Some(Err(_)) | None => return Err(Ended::Resumable),
            }
        }
    }

    fn understand(&self, line: &[u8]) -> std::result::Result<Change, Ended> {
        let failed = |why: &dyn std::fmt::Display| {
            Ended::Failed(Error::because(format_args!("watch of {}", self.what), why))
        };
        let mut event: Value = serde_json::from_slice(line).map_err(|error| failed(&error))?;
        let object = event["object"].take();
        match event["type"].as_str() {
            Some("ADDED") => Ok(Change::Added(object)),
            Some("MODIFIED") => Ok(Change::Modified(object)),
            Some("DELETED") => Ok(Change::Deleted(object)),
            Some("BOOKMARK") => Ok(Change::Bookmark(version_of(&object).to_owned())),
            Some("ERROR") if object["code"] == 410 => {
                Err(Ended::Expired(message(object.to_string().as_bytes())))
            }
            _ => Err(failed(&object)),
        }
    }
}

/// The message of a `Status`.
fn message(text: &[u8]) -> String {
    let status: Value = serde_json::from_slice(text).unwrap_or_default();
    let words = status["message"].as_str().map(str::to_owned);
    words.unwrap_or_else(|| String::from_utf8_lossy(text).into_owned())
}

/// `metadata.resourceVersion` of an object or a list.
pub(crate) fn version_of(object: &Value) -> &str {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap_or_default()
}
