//! What the server would let us do, asked of the server itself (`authorization.k8s.io/v1`).

use serde::{Deserialize, Serialize};

use super::Client;
use super::error::ClientError;
use super::request::{Read, accept};

/// A right to ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// The verb, e.g. `list`.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The resource's plural, e.g. `pods`, with a subresource as `pods/eviction`.
    pub plural: String,
    /// The namespace; none for all of them and for what has none.
    pub namespace: Option<String>,
    /// One object's name; none for any.
    pub name: Option<String>,
}

/// The server's answer to one [`Access`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessVerdict {
    /// It would let us.
    Allowed,
    /// It would not.
    Denied {
        /// The authorizer's reason; often empty.
        reason: String,
    },
}

/// What the server lets us do in one namespace, as far as it can list it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessRules {
    rules: Vec<ResourceRule>,
    incomplete: bool,
}

impl AccessRules {
    /// Whether the rules grant this for every object of the resource. A `false` is final only if
    /// the rules are [complete](Self::is_complete).
    pub fn allow(&self, verb: &str, group: &str, plural: &str) -> bool {
        let names =
            |list: &[String], name: &str| list.iter().any(|entry| entry == "*" || entry == name);
        self.rules.iter().any(|rule| {
            rule.resource_names.is_empty()
                && names(&rule.verbs, verb)
                && names(&rule.api_groups, group)
                && rule.resources.iter().any(|entry| covers(entry, plural))
        })
    }

    /// Whether the server could list all rules; an authorizer of its own (a webhook) cannot.
    pub fn is_complete(&self) -> bool {
        !self.incomplete
    }
}

/// Whether a rule's resource covers `plural`: `*` does all, `*/scale` a subresource of any.
fn covers(entry: &str, plural: &str) -> bool {
    entry == "*"
        || entry == plural
        || entry
            .strip_prefix("*/")
            .is_some_and(|sub| plural.split_once('/').is_some_and(|(_, own)| own == sub))
}

impl Client {
    /// Asks whether the server would let us do one thing (`SelfSubjectAccessReview`).
    pub async fn can_i(&self, access: &Access) -> Result<AccessVerdict, ClientError> {
        let (resource, subresource) = match access.plural.split_once('/') {
            Some((resource, subresource)) => (resource, Some(subresource)),
            None => (access.plural.as_str(), None),
        };
        let spec = AccessReviewSpec {
            resource_attributes: ResourceAttributes {
                verb: &access.verb,
                group: &access.group,
                resource,
                subresource,
                namespace: access.namespace.as_deref(),
                name: access.name.as_deref(),
            },
        };
        let status: AccessReviewStatus = self.review("SelfSubjectAccessReview", spec).await?;
        if status.allowed {
            return Ok(AccessVerdict::Allowed);
        }
        let reason = if status.reason.is_empty() {
            status.evaluation_error
        } else {
            status.reason
        };
        Ok(AccessVerdict::Denied { reason })
    }

    /// Asks for all we may do in a namespace (`SelfSubjectRulesReview`).
    pub async fn access_rules(&self, namespace: &str) -> Result<AccessRules, ClientError> {
        let status: RulesReviewStatus = self
            .review("SelfSubjectRulesReview", RulesReviewSpec { namespace })
            .await?;
        Ok(AccessRules {
            rules: status.resource_rules,
            incomplete: status.incomplete,
        })
    }

    async fn review<S, T>(&self, kind: &'static str, spec: S) -> Result<T, ClientError>
    where
        S: Serialize,
        T: serde::de::DeserializeOwned,
    {
        let what = format!("the {kind}");
        let review = Review {
            api_version: "authorization.k8s.io/v1",
            kind,
            spec,
        };
        let post = serde_json::to_vec(&review).map_err(|error| ClientError::Malformed {
            what: what.clone(),
            why: error.to_string(),
        })?;
        let read = Read {
            what,
            target: format!(
                "/apis/authorization.k8s.io/v1/{}s",
                kind.to_ascii_lowercase()
            ),
            accept: accept::OBJECT,
            post: Some(post),
        };
        Ok(self.read_json::<Reviewed<T>>(&read).await?.status)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Review<S> {
    api_version: &'static str,
    kind: &'static str,
    spec: S,
}

#[derive(Deserialize)]
struct Reviewed<T> {
    status: T,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccessReviewSpec<'a> {
    resource_attributes: ResourceAttributes<'a>,
}

#[derive(Serialize)]
struct ResourceAttributes<'a> {
    verb: &'a str,
    group: &'a str,
    resource: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subresource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AccessReviewStatus {
    allowed: bool,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    evaluation_error: String,
}

#[derive(Serialize)]
struct RulesReviewSpec<'a> {
    namespace: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RulesReviewStatus {
    #[serde(default)]
    resource_rules: Vec<ResourceRule>,
    #[serde(default)]
    incomplete: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResourceRule {
    #[serde(default)]
    verbs: Vec<String>,
    #[serde(default)]
    api_groups: Vec<String>,
    #[serde(default)]
    resources: Vec<String>,
    #[serde(default)]
    resource_names: Vec<String>,
}
