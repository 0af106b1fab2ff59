//! Writes: one object each, under our name, sent again only when they were surely not carried out.
//!
//! Preconditions stand in what is sent: `metadata.resourceVersion` and `metadata.uid` in a patch or a
//! replacement, [`Preconditions`] for a deletion. A write whose answer is lost ends as
//! [`ClientError::Unknown`]; its caller reads the object and decides.

use serde::Serialize;
use serde_json::Value;

use super::Client;
use super::error::{ClientError, Verb};
use super::request::{JSON, Read, Wire, accept};
use super::target::{Target, with_query};

/// The name under which fields are owned.
const FIELD_MANAGER: &str = "kubectl-ambient";

/// How a write is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// The server judges the write and answers as if it were done, but does not do it.
    pub dry_run: bool,
    /// Server-side apply takes over fields that others own.
    pub force: bool,
}

/// What must be true of an object for it to be deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preconditions {
    /// It is this very object, not another of the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Nobody has changed it since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
}

/// What a deletion found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// The object is deleted, or is as soon as its finalizers let it.
    Deleted,
    /// There is no such object.
    Absent,
}

/// A write, before it is worded as a request.
struct Write<'a> {
    verb: Verb,
    method: &'static str,
    target: &'a Target,
    content_type: &'static str,
    options: WriteOptions,
}

impl Client {
    /// Reads one object whole; nothing if there is no such object, namespace or kind.
    pub async fn read_object(&self, target: &Target) -> Result<Option<Value>, ClientError> {
        let read = Read {
            what: target.what(),
            target: target.path(),
            accept: accept::OBJECT,
            post: None,
        };
        match self.read_json(&read).await {
            Ok(object) => Ok(Some(object)),
            Err(ClientError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the fields of an object what they are in `object`, and the object if it is not there
    /// (server-side apply). What others own is a [`ClientError::Conflict`] unless forced.
    ///
    /// Sending the same again after [`ClientError::Unknown`] does no harm.
    pub async fn apply(
        &self,
        target: &Target,
        object: &Value,
        options: WriteOptions,
    ) -> Result<Value, ClientError> {
        let write = Write {
            verb: Verb::Apply,
            method: "PATCH",
            target,
            // JSON is YAML.
            content_type: "application/apply-patch+yaml",
            options,
        };
        self.send_object(&write, object).await
    }

    /// Changes fields of an object by a JSON merge patch (RFC 7386). With the object's
    /// `metadata.resourceVersion` in the patch, someone else's change since is a
    /// [`ClientError::Changed`].
    pub async fn merge_patch(
        &self,
        target: &Target,
        patch: &Value,
        options: WriteOptions,
    ) -> Result<Value, ClientError> {
        let write = Write {
            verb: Verb::Change,
            method: "PATCH",
            target,
            content_type: "application/merge-patch+json",
            options,
        };
        self.send_object(&write, patch).await
    }

    /// Makes an object. One of that name is a [`ClientError::Exists`].
    pub async fn create(
        &self,
        target: &Target,
        object: &Value,
        options: WriteOptions,
    ) -> Result<Value, ClientError> {
        let write = Write {
            verb: Verb::Create,
            method: "POST",
            target,
            content_type: JSON,
            options,
        };
        self.send_object(&write, object).await
    }

    /// Puts an object in the place of the one there. With `metadata.resourceVersion` in it, someone
    /// else's change since is a [`ClientError::Changed`].
    pub async fn replace(
        &self,
        target: &Target,
        object: &Value,
        options: WriteOptions,
    ) -> Result<Value, ClientError> {
        let write = Write {
            verb: Verb::Change,
            method: "PUT",
            target,
            content_type: JSON,
            options,
        };
        self.send_object(&write, object).await
    }

    /// Deletes an object, and in the background what it owns.
    pub async fn delete(
        &self,
        target: &Target,
        preconditions: &Preconditions,
        options: WriteOptions,
    ) -> Result<Deletion, ClientError> {
        let write = Write {
            verb: Verb::Delete,
            method: "DELETE",
            target,
            content_type: JSON,
            options,
        };
        let body = DeleteOptions {
            api_version: "v1",
            kind: "DeleteOptions",
            propagation_policy: "Background",
            dry_run: if options.dry_run { &["All"] } else { &[] },
            preconditions,
        };
        match self.send(&write, &body).await {
            Ok(_) => Ok(Deletion::Deleted),
            Err(ClientError::NotFound { .. }) => Ok(Deletion::Absent),
            Err(error) => Err(error),
        }
    }

    async fn send_object(&self, write: &Write<'_>, body: &Value) -> Result<Value, ClientError> {
        let answer = self.send(write, body).await?;
        serde_json::from_slice(&answer).map_err(|error| ClientError::Malformed {
            what: write.target.what(),
            why: error.to_string(),
        })
    }

    async fn send(&self, write: &Write<'_>, body: &impl Serialize) -> Result<Vec<u8>, ClientError> {
        let what = write.target.what();
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Malformed {
            what: what.clone(),
            why: error.to_string(),
        })?;
        let wire = Wire {
            verb: write.verb,
            what: &what,
            method: write.method,
            target: &write.address(),
            accept: accept::OBJECT,
            body: Some((write.content_type, &body)),
        };
        let _permit = self.permit().await;
        self.repeated(&wire).await
    }
}

impl Write<'_> {
    /// Path and query. A deletion says in its body what the others say in the query.
    fn address(&self) -> String {
        let path = match self.verb {
            Verb::Create => self.target.collection().path(),
            _ => self.target.path(),
        };
        if self.verb == Verb::Delete {
            return path;
        }
        let force = self.verb == Verb::Apply && self.options.force;
        with_query(
            path,
            &[
                ("fieldManager", Some(FIELD_MANAGER)),
                ("fieldValidation", Some("Strict")),
                ("force", force.then_some("true")),
                ("dryRun", self.options.dry_run.then_some("All")),
            ],
        )
    }
}

/// `metav1.DeleteOptions`, the parts that are sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeleteOptions<'a> {
    api_version: &'static str,
    kind: &'static str,
    propagation_policy: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    dry_run: &'a [&'static str],
    preconditions: &'a Preconditions,
}
