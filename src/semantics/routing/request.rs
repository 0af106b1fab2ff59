//! A request, with as much of it as somebody looked at.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::table::Dimension;

/// A request. What is `None` was not looked at, and has its ordinary value; headers, parameters and
/// claims that are not listed are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// The path without its query; `/` when not looked at.
    pub path: Option<String>,
    /// The method; `GET` when not looked at.
    pub method: Option<String>,
    /// The host that the client asks for.
    pub authority: Option<String>,
    /// The scheme; `http` when not looked at.
    pub scheme: Option<String>,
    /// Headers, by their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Query parameters.
    pub query: BTreeMap<String, String>,
    /// Claims of a verified token, by their paths.
    pub claims: BTreeMap<String, String>,
}

impl Request {
    /// The path, looked at or not.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or("/")
    }

    /// The method, looked at or not.
    pub fn method(&self) -> &str {
        self.method.as_deref().unwrap_or("GET")
    }

    /// The path with the query.
    pub fn target(&self) -> String {
        let mut target = self.path().to_owned();
        for (position, (name, value)) in self.query.iter().enumerate() {
            target.push(if position == 0 { '?' } else { '&' });
            target.push_str(name);
            if !value.is_empty() {
                target.push('=');
                target.push_str(value);
            }
        }
        target
    }

    /// The value of a property; `None` when the request is without it.
    pub fn value(&self, dimension: &Dimension) -> Option<Cow<'_, str>> {
        Some(match dimension {
            Dimension::Path => self.path().into(),
            Dimension::Method => self.method().into(),
            Dimension::Authority => self.authority.as_deref().unwrap_or_default().into(),
            Dimension::Scheme => self.scheme.as_deref().unwrap_or("http").into(),
            Dimension::Target => self.target().into(),
            Dimension::Header(name) => self.headers.get(name)?.into(),
            Dimension::Query(name) => self.query.get(name)?.into(),
            Dimension::Claim(name) => self.claims.get(name)?.into(),
        })
    }

    /// Gives a property a value, or takes it away.
    pub(crate) fn set(&mut self, dimension: &Dimension, value: Option<String>) {
        let (map, name) = match dimension {
            Dimension::Path | Dimension::Target => {
                self.path = value;
                return;
            }
            Dimension::Method => {
                self.method = value;
                return;
            }
            Dimension::Authority => {
                self.authority = value;
                return;
            }
            Dimension::Scheme => {
                self.scheme = value;
                return;
            }
            Dimension::Header(name) => (&mut self.headers, name),
            Dimension::Query(name) => (&mut self.query, name),
            Dimension::Claim(name) => (&mut self.claims, name),
        };
        match value {
            Some(value) => map.insert(name.clone(), value),
            None => map.remove(name),
        };
    }
}

impl fmt::Display for Request {
    /// In one line: `GET /api?user=1 (x-test: a, claim group: admin)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method(), self.target())?;
        let mut notes = Vec::new();
        if let Some(authority) = &self.authority {
            notes.push(format!("host: {authority}"));
        }
        if let Some(scheme) = &self.scheme {
            notes.push(format!("scheme: {scheme}"));
        }
        notes.extend(self.headers.iter().map(|(n, v)| format!("{n}: {v}")));
        notes.extend(self.claims.iter().map(|(n, v)| format!("claim {n}: {v}")));
        if !notes.is_empty() {
            write!(f, " ({})", notes.join(", "))?;
        }
        Ok(())
    }
}
