//! What is judged: one call, as its caller makes it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use crate::kinds::service::Speaks;
use crate::semantics::identity::Identity;

/// A call to a workload. It says what is on the wire after Envoy's normalization of the path, which
/// is the mesh's setting (`pathNormalization`) and the same for sidecars and waypoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Who calls; `None` in plain text.
    pub identity: Option<Identity>,
    /// The caller's address, as the first proxy on the way sees it.
    pub source_ip: Option<IpAddr>,
    /// The client's address by `X-Forwarded-For`; the caller's where there is none.
    pub remote_ip: Option<IpAddr>,
    /// Where it goes.
    pub port: Port,
    /// The server name of the TLS that the caller itself speaks, not that of the mesh.
    pub server_name: Option<String>,
    /// What is sent.
    pub payload: Payload,
}

/// The port of a call, in the counting of the Service and in that of the pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The Service's; `None` when a pod is called by its own address.
    pub service: Option<u16>,
    /// The pod's.
    pub pod: u16,
    /// What the port is declared to speak.
    pub protocol: Protocol,
}

impl Port {
    /// A port of a pod that no Service declares.
    pub const fn undeclared(pod: u16) -> Self {
        Self {
            service: None,
            pod,
            protocol: Protocol::Sniffed,
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.service {
            Some(service) if service != self.pod => write!(f, "port {service} (pod {})", self.pod),
            _ => write!(f, "port {}", self.pod),
        }
    }
}

/// What a port speaks, as far as it decides which filters judge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// HTTP, HTTP/2, gRPC.
    Http,
    /// Bytes, TLS included.
    Tcp,
    /// Not declared: the proxy looks at the first bytes.
    Sniffed,
}

impl From<Speaks> for Protocol {
    fn from(speaks: Speaks) -> Self {
        match speaks {
            Speaks::Http | Speaks::Grpc => Self::Http,
            Speaks::Tcp | Speaks::Tls | Speaks::Udp => Self::Tcp,
            Speaks::Unknown => Self::Sniffed,
        }
    }
}

/// What a call carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Bytes that are not HTTP.
    Bytes,
    /// A request.
    Http(Request),
}

/// An HTTP request, as far as policies look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its authority, with the port if it has one: nobody strips it.
    pub host: String,
    /// Its path without the query.
    pub path: String,
    /// Its headers by name in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its token.
    pub token: Option<Token>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            host: "example.com".to_owned(),
            path: "/".to_owned(),
            headers: BTreeMap::new(),
            token: None,
        }
    }
}

/// A token, standing where the rules of its issuer look for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Who issued it.
    pub issuer: String,
    /// Whether it verifies by the rules for its issuer: keys, audience, time.
    pub valid: bool,
    /// Its other claims: by path, each with its values (a text is a list of one).
    pub claims: BTreeMap<Vec<String>, Vec<String>>,
}

impl fmt::Display for Call {
    /// `cluster.local/ns/shop/sa/cart calls port 8080: GET example.com/x`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.identity {
            Some(identity) => write!(f, "{identity}")?,
            None => f.write_str("a caller in plain text")?,
        }
        if let Some(ip) = self.source_ip {
            write!(f, " at {ip}")?;
        }
        write!(f, " calls {}", self.port)?;
        if let Some(name) = &self.server_name {
            write!(f, " by TLS for {name}")?;
        }
        let Payload::Http(request) = &self.payload else {
            return f.write_str(", not by HTTP");
        };
        let Request {
            method,
            host,
            path,
            headers,
            token,
        } = request;
        write!(f, ": {method} {host}{path}")?;
        for (name, value) in headers {
            write!(f, ", {name}: {value}")?;
        }
        if let Some(ip) = self.remote_ip
            && self.remote_ip != self.source_ip
        {
            write!(f, ", forwarded for {ip}")?;
        }
        match token {
            None => Ok(()),
            Some(token) if !token.valid => {
                write!(f, ", with an invalid token of {}", token.issuer)
            }
            Some(token) => {
                write!(f, ", with a token of {}", token.issuer)?;
                for (path, values) in &token.claims {
                    write!(f, ", {} {}", path.join("."), values.join(" and "))?;
                }
                Ok(())
            }
        }
    }
}
