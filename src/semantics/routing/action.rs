//! What an entry of a table does with a request, in a form in which equal actions are equal.

use std::fmt;
use std::time::Duration;

use super::effects::Effects;
use super::retry::Retry;
use super::rewrite::PathRewrite;
use crate::kinds::complete::StringMatch;

/// What is done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Where it goes, or what is answered.
    pub answer: Answer,
    /// Faults on purpose.
    pub fault: Fault,
    /// What browsers are told about other origins.
    pub cors: Option<Cors>,
}

/// Where a request goes, or what is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is sent on.
    Forward(Forward),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// The proxy answers.
    Direct {
        /// The status.
        status: u32,
        /// The body, as it is written.
        body: Option<String>,
        /// Headers of the answer.
        response: Effects,
    },
    /// Envoy would refuse the route.
    Invalid(&'static str),
}

/// Where a request is sent on to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// Destinations with their shares; none has the share 0 unless it is alone.
    pub ways: Vec<Way>,
    /// What becomes of the path.
    pub path: PathRewrite,
    /// How long the request may take.
    pub timeout: Option<Duration>,
    /// When it is tried again.
    pub retry: Option<Retry>,
    /// Where copies go.
    pub mirrors: Vec<Mirror>,
    /// The status when a destination does not exist.
    pub missing: u16,
}

/// A destination with its share.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Way {
    /// Where.
    pub destination: Destination,
    /// Its share of all.
    pub weight: u32,
    /// The host that the destination is told, where it is not the client's.
    pub host: Option<String>,
    /// Headers of the request.
    pub request: Effects,
    /// Headers of the answer.
    pub response: Effects,
}

/// Where requests are sent, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    /// The host in full; empty where a route names what cannot take requests.
    pub host: String,
    /// The subset; empty when none.
    pub subset: String,
    /// The port of the host.
    pub port: u32,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)?;
        if !self.subset.is_empty() {
            write!(f, " subset {}", self.subset)?;
        }
        Ok(())
    }
}

/// A copy of requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mirror {
    /// Where it goes.
    pub destination: Destination,
    /// How many of a million requests are copied.
    pub millionths: u32,
}

/// Where a client is sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Redirect {
    /// The scheme; that of the mesh is `http`.
    pub scheme: String,
    /// The host; the client's own when `None`.
    pub host: Option<String>,
    /// The port; `None` is that of the scheme, or the client's own where the host is.
    pub port: Option<u32>,
    /// What becomes of the path.
    pub path: PathRewrite,
    /// The status.
    pub status: u32,
    /// Headers of the answer.
    pub response: Effects,
}

/// Faults on purpose; what happens to no request is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    /// Requests that wait.
    pub delay: Option<Delay>,
    /// Requests that fail.
    pub abort: Option<(u32, Abort)>,
}

/// Requests that wait.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Delay {
    /// How many of a million.
    pub millionths: u32,
    /// How long.
    pub wait: Duration,
}

/// How a request fails; it stands beside how many of a million do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Abort {
    /// With a status.
    Http(i32),
    /// With a status of gRPC.
    Grpc(String),
}

/// What browsers are told about other origins.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cors {
    /// Origins that are allowed, sorted.
    pub origins: Vec<StringMatch>,
    /// Methods, with commas.
    pub methods: String,
    /// Headers that may be sent, with commas.
    pub headers: String,
    /// Headers that may be read, with commas.
    pub expose: String,
    /// Seconds for which the answer to a preflight is good.
    pub max_age: Option<u64>,
    /// Whether credentials may be sent.
    pub credentials: bool,
    /// Whether preflights from other origins are forwarded.
    pub forwards_others: bool,
}
