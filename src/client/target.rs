//! Paths and queries of the Kubernetes API.

use std::fmt::Write as _;

/// A kind of object as the API's paths name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Collection<'a> {
    /// The API group; empty for the core group.
    pub(super) group: &'a str,
    /// The version, e.g. `v1`.
    pub(super) version: &'a str,
    /// The resource's plural, e.g. `pods`.
    pub(super) plural: &'a str,
    /// The namespace; none for all of them and for what has none.
    pub(super) namespace: Option<&'a str>,
}

impl Collection<'_> {
    /// The path of the whole collection.
    pub(super) fn path(&self) -> String {
        let mut path = group_version_path(self.group, self.version);
        if let Some(namespace) = self.namespace {
            path.push_str("/namespaces/");
            path.push_str(&escape(namespace));
        }
        path.push('/');
        path.push_str(&escape(self.plural));
        path
    }

    /// How messages name it: `pods in shop`, `gateways.networking.istio.io`.
    pub(super) fn describe(&self) -> String {
        let mut words = self.plural.to_owned();
        if !self.group.is_empty() {
            words.push('.');
            words.push_str(self.group);
        }
        if let Some(namespace) = self.namespace {
            words.push_str(" in ");
            words.push_str(namespace);
        }
        words
    }
}

/// One object as the API's paths name it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version, e.g. `v1`.
    pub version: String,
    /// The resource's plural, e.g. `pods`.
    pub plural: String,
    /// The namespace; none for what has none.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

impl Target {
    /// How messages name it: `services/cart in shop`.
    pub fn what(&self) -> String {
        let mut words = format!("{}/{}", self.plural, self.name);
        if let Some(namespace) = &self.namespace {
            words.push_str(" in ");
            words.push_str(namespace);
        }
        words
    }

    /// The path of the object.
    pub(super) fn path(&self) -> String {
        format!("{}/{}", self.collection().path(), escape(&self.name))
    }

    /// Where the object's kind is listed and created.
    pub(super) fn collection(&self) -> Collection<'_> {
        Collection {
            group: &self.group,
            version: &self.version,
            plural: &self.plural,
            namespace: self.namespace.as_deref(),
        }
    }
}

/// `/api/v1` for the core group, `/apis/<group>/<version>` for others.
pub(super) fn group_version_path(group: &str, version: &str) -> String {
    let (group, version) = (escape(group), escape(version));
    if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    }
}

/// Appends the pairs whose value is present as a query.
pub(super) fn with_query(mut path: String, pairs: &[(&str, Option<&str>)]) -> String {
    let mut separator = '?';
    for (name, value) in pairs {
        if let Some(value) = value {
            path.push(separator);
            path.push_str(name);
            path.push('=');
            path.push_str(&escape(value));
            separator = '&';
        }
    }
    path
}

/// Percent-encodes everything but the characters that no URL treats specially (RFC 3986, 2.3).
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            // Writing to a String does not fail.
            other => drop(write!(escaped, "%{other:02X}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_and_namespace() {
        let pods = Collection {
            group: "",
            version: "v1",
            plural: "pods",
            namespace: Some("shop"),
        };
        assert_eq!(pods.path(), "/api/v1/namespaces/shop/pods");
        assert_eq!(pods.describe(), "pods in shop");
        let gateways = Collection {
            group: "networking.istio.io",
            version: "v1",
            plural: "gateways",
            namespace: None,
        };
        assert_eq!(gateways.path(), "/apis/networking.istio.io/v1/gateways");
        assert_eq!(gateways.describe(), "gateways.networking.istio.io");
    }

    #[test]
    fn selectors_are_escaped() {
        assert_eq!(
            with_query(
                "/p".to_owned(),
                &[("limit", Some("5")), ("x", None), ("l", Some("a!=b,c/d=é"))]
            ),
            "/p?limit=5&l=a%21%3Db%2Cc%2Fd%3D%C3%A9"
        );
        assert_eq!(escape("../x?y"), "..%2Fx%3Fy");
    }
}
