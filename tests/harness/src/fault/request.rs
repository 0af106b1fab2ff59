//! A request as the API server understands it: verb, resource, namespace, name.

use std::time::Duration;

use http::request::Parts;
use serde_json::Value;

/// A request that passed through the proxy, and what became of it.
#[derive(Debug, Clone)]
pub struct Request {
    /// When it arrived, counted from the proxy's start.
    pub at: Duration,
    /// The verb as RBAC knows it: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`,
    /// `deletecollection`; for paths that are no resource the method in lower case.
    pub verb: String,
    /// The API group; empty for the core group and for paths that are no resource.
    pub group: String,
    /// The resource's plural, with its subresource: `deployments/scale`; empty for other paths.
    pub resource: String,
    /// The namespace, if one is named.
    pub namespace: Option<String>,
    /// The object's name, if one is named.
    pub name: Option<String>,
    /// The path without the query.
    pub path: String,
    /// The query's parameters, decoded, in their order.
    pub query: Vec<(String, String)>,
    /// The `User-Agent`.
    pub user_agent: String,
    /// The `Accept` header.
    pub accept: String,
    /// The type of what was sent.
    pub content_type: String,
    /// What was sent, if it was JSON.
    pub body: Option<Value>,
    /// The size of what was sent.
    pub sent: u64,
    /// The size of the answer's body as it was transferred, so far.
    pub received: u64,
    /// The answer's status; none if none was given.
    pub status: Option<u16>,
    /// The fault that was done to it.
    pub fault: Option<String>,
    /// Whether its answer is complete, or was broken off.
    pub finished: bool,
}

impl Request {
    pub(super) fn of(head: &Parts, body: &[u8], at: Duration) -> Self {
        let path = head.uri.path().to_owned();
        let query = pairs(head.uri.query().unwrap_or_default());
        let header = |name: http::HeaderName| {
            let value = head.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let target = Target::of(&path);
        let watched = query
            .iter()
            .any(|(name, value)| name == "watch" && matches!(value.as_str(), "true" | "1" | ""));
        let method = head.method.as_str();
        let verb = if target.resource.is_empty() {
            method.to_lowercase()
        } else {
            verb(method, target.name.is_some(), watched)
        };
        Self {
            at,
            verb,
            group: target.group,
            resource: target.resource,
            namespace: target.namespace,
            name: target.name,
            path,
            query,
            user_agent: header(http::header::USER_AGENT),
            accept: header(http::header::ACCEPT),
            content_type: header(http::header::CONTENT_TYPE),
            body: serde_json::from_slice(body).ok(),
            sent: body.len() as u64,
            received: 0,
            status: None,
            fault: None,
            finished: false,
        }
    }

    /// A parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Whether it changes nothing, because it says so.
    pub fn is_dry_run(&self) -> bool {
        self.parameter("dryRun").is_some()
            || self
                .body
                .as_ref()
                .is_some_and(|body| body["kind"] == "DeleteOptions" && body["dryRun"].is_array())
    }

    /// Who writes, as the request says it.
    pub fn field_manager(&self) -> Option<&str> {
        self.parameter("fieldManager")
    }

    /// Whether it asks for a further page of a list.
    pub fn is_continued(&self) -> bool {
        self.parameter("continue")
            .is_some_and(|token| !token.is_empty())
    }

    /// Whether it would change the cluster. Reviews and token requests do not, though they are
    /// created.
    pub fn is_write(&self) -> bool {
        let changes = matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        );
        changes && !self.is_dry_run() && !self.is_review() && !self.resource.ends_with("/token")
    }

    /// Whether it only asks who one is, or what one may do.
    pub fn is_review(&self) -> bool {
        matches!(
            self.group.as_str(),
            "authorization.k8s.io" | "authentication.k8s.io"
        ) && self.resource.ends_with("reviews")
    }
}

impl std::fmt::Display for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:>8.3} {}", self.at.as_secs_f32(), self.verb)?;
        if self.resource.is_empty() {
            write!(f, " {}", self.path)?;
        } else {
            write!(f, " {}", self.resource)?;
            if !self.group.is_empty() {
                write!(f, ".{}", self.group)?;
            }
        }
        for part in [&self.namespace, &self.name].into_iter().flatten() {
            write!(f, " {part}")?;
        }
        for (name, value) in &self.query {
            let short: String = value.chars().take(40).collect();
            write!(f, " {name}={short}")?;
        }
        match self.status {
            Some(status) => write!(f, " -> {status} {} bytes", self.received)?,
            None => f.write_str(" -> no answer")?,
        }
        if !self.finished {
            f.write_str(", not finished")?;
        }
        match &self.fault {
            Some(fault) => write!(f, " [{fault}]"),
            None => Ok(()),
        }
    }
}

fn verb(method: &str, named: bool, watched: bool) -> String {
    match (method, named) {
        ("GET" | "HEAD", _) if watched => "watch",
        ("GET" | "HEAD", true) => "get",
        ("GET" | "HEAD", false) => "list",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "delete",
        ("DELETE", false) => "deletecollection",
        _ => return method.to_lowercase(),
    }
    .to_owned()
}

/// What a path names, read as the API server reads it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Target {
    group: String,
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
}

impl Target {
    fn of(path: &str) -> Self {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let group = match parts.next() {
            Some("api") => "",
            Some("apis") => match parts.next() {
                Some(group) => group,
                None => return Self::default(),
            },
            _ => return Self::default(),
        };
        let _version = parts.next();
        let rest: Vec<&str> = parts.collect();
        let (namespace, rest) = match rest.as_slice() {
            // The namespace itself, and its own subresources.
            ["namespaces", name, "status" | "finalize"] | ["namespaces", name] => {
                (Some(*name), rest.as_slice())
            }
            ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (resource, name) = match rest {
            [] => return Self::default(),
            [resource] => ((*resource).to_owned(), None),
            [resource, name] => ((*resource).to_owned(), Some(*name)),
            [resource, name, sub, ..] => (format!("{resource}/{sub}"), Some(*name)),
        };
        Self {
            group: group.to_owned(),
            resource,
            namespace: namespace.map(str::to_owned),
            name: name.map(str::to_owned),
        }
    }
}

fn pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => {
                bytes.push(b' ');
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> (String, String, Option<String>, Option<String>) {
        let target = Target::of(path);
        (target.group, target.resource, target.namespace, target.name)
    }

    #[test]
    fn paths_are_read_as_the_api_server_reads_them() {
        let some = |text: &str| Some(text.to_owned());
        let of = |group: &str, resource: &str, namespace, name| {
            (group.to_owned(), resource.to_owned(), namespace, name)
        };
        assert_eq!(target("/api/v1/pods"), of("", "pods", None, None));
        assert_eq!(
            target("/apis/apps/v1/namespaces/shop/deployments/cart/scale"),
            of("apps", "deployments/scale", some("shop"), some("cart"))
        );
        assert_eq!(
            target("/api/v1/namespaces/shop"),
            of("", "namespaces", some("shop"), some("shop"))
        );
        assert_eq!(
            target("/api/v1/namespaces/shop/pods"),
            of("", "pods", some("shop"), None)
        );
        for path in ["/version", "/api", "/apis", "/apis/apps/v1", "/openapi/v3"] {
            assert_eq!(target(path), of("", "", None, None), "{path}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        assert_eq!(
            pairs("labelSelector=app%3Dcart&watch&x=a+b%"),
            [("labelSelector", "app=cart"), ("watch", ""), ("x", "a b%")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
