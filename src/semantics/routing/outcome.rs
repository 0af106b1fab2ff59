//! What becomes of a request, with destinations as what they reach.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::action::{Action, Answer, Cors, Destination, Fault, Mirror, Redirect};
use super::effects::Effects;
use super::request::Request;
use super::retry::Retry;
use super::rewrite::PathRewrite;
use super::table::{Origin, Table};

/// What a destination reaches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Pods: a Service, or a subset of one.
    Endpoints {
        /// Their namespace.
        namespace: String,
        /// Labels that they have.
        labels: BTreeMap<String, String>,
        /// Their port, by number or name.
        port: String,
    },
    /// What stands behind a name, where nothing more is known of it.
    Named(Destination),
    /// Nothing: the destination does not exist.
    Nothing,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoints {
                namespace,
                labels,
                port,
            } => {
                let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
                write!(f, "pods {} -n {namespace} port {port}", labels.join(","))
            }
            Self::Named(destination) => destination.fmt(f),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

/// Says what destinations reach, so that a subset equals the Service made for it.
pub trait Resolver {
    /// What a destination reaches.
    fn reach(&self, destination: &Destination) -> Reach;
}

/// Takes destinations by their names.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByName;

impl Resolver for ByName {
    fn reach(&self, destination: &Destination) -> Reach {
        if destination.host.is_empty() {
            return Reach::Nothing;
        }
        Reach::Named(destination.clone())
    }
}

/// A share of the requests, and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arrival {
    /// Where they arrive.
    pub at: Reach,
    /// The share of all, in lowest terms together with the others.
    pub weight: u32,
    /// The host they ask for there, where it is not the client's.
    pub host: Option<String>,
    /// Headers of the request.
    pub request: Effects,
    /// Headers of the answer.
    pub response: Effects,
}

/// What becomes of a request, but for its path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reply {
    /// It is sent on.
    Forwarded {
        /// Where, by shares.
        arrivals: Vec<Arrival>,
        /// How long it may take.
        timeout: Option<Duration>,
        /// When it is tried again.
        retry: Option<Retry>,
        /// Copies of it.
        mirrors: Vec<(Reach, u32)>,
        /// The status where a destination does not exist; 0 when all do.
        missing: u16,
        /// Faults on purpose.
        fault: Fault,
        /// What browsers are told about other origins.
        cors: Option<Cors>,
    },
    /// The client is sent elsewhere; the path in it is [`PathRewrite::Keep`].
    Redirected(Redirect, Fault, Option<Cors>),
    /// The proxy answers.
    Answered {
        /// The status.
        status: u32,
        /// The body.
        body: Option<String>,
        /// Headers of the answer.
        response: Effects,
        /// Faults on purpose.
        fault: Fault,
        /// What browsers are told about other origins.
        cors: Option<Cors>,
    },
    /// No entry matches: 404.
    NotFound,
    /// Envoy would refuse the route.
    Invalid(&'static str),
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What becomes of it.
    pub reply: Reply,
    /// The path with which it goes on, where it is changed; `None` also where that is undecided.
    pub path: Option<String>,
    /// What decided it.
    pub origin: Option<Origin>,
}

impl Outcome {
    /// Whether a client and the destinations see the same; what decided it may differ.
    pub fn is_same(&self, other: &Self) -> bool {
        self.reply == other.reply && self.path == other.path
    }
}

impl Action {
    /// What becomes of requests, and of their path.
    pub fn conclude(&self, resolver: &dyn Resolver) -> (Reply, PathRewrite) {
        let (fault, cors) = (self.fault.clone(), self.cors.clone());
        match &self.answer {
            Answer::Forward(forward) => {
                let mut arrivals: Vec<Arrival> = Vec::with_capacity(forward.ways.len());
                for way in &forward.ways {
                    let arrival = Arrival {
                        at: resolver.reach(&way.destination),
                        weight: way.weight,
                        host: way.host.clone(),
                        request: way.request.clone(),
                        response: way.response.clone(),
                    };
                    let same = |known: &&mut Arrival| {
                        let weight = known.weight;
                        **known
                            == Arrival {
                                weight,
                                ..arrival.clone()
                            }
                    };
                    match arrivals.iter_mut().find(same) {
                        Some(known) => known.weight = known.weight.saturating_add(way.weight),
                        None => arrivals.push(arrival),
                    }
                }
                let divisor = arrivals
                    .iter()
                    .fold(0, |a, arrival| gcd(a, arrival.weight))
                    .max(1);
                for arrival in &mut arrivals {
                    arrival.weight /= divisor;
                }
                arrivals.sort();
                let lost = arrivals.iter().any(|arrival| arrival.at == Reach::Nothing);
                let reply = Reply::Forwarded {
                    missing: if lost { forward.missing } else { 0 },
                    arrivals,
                    timeout: forward.timeout,
                    retry: forward.retry.clone(),
                    mirrors: mirrors(&forward.mirrors, resolver),
                    fault,
                    cors,
                };
                (reply, forward.path.clone())
            }
            Answer::Redirect(redirect) => {
                let path = redirect.path.clone();
                let bare = Redirect {
                    path: PathRewrite::Keep,
                    ..redirect.clone()
                };
                (Reply::Redirected(bare, fault, cors), path)
            }
            Answer::Direct {
                status,
                body,
                response,
            } => {
                let reply = Reply::Answered {
                    status: *status,
                    body: body.clone(),
                    response: response.clone(),
                    fault,
                    cors,
                };
                (reply, PathRewrite::Keep)
            }
            Answer::Invalid(why) => (Reply::Invalid(why), PathRewrite::Keep),
        }
    }
}

fn mirrors(mirrors: &[Mirror], resolver: &dyn Resolver) -> Vec<(Reach, u32)> {
    let mut copies: Vec<(Reach, u32)> = mirrors
        .iter()
        .map(|mirror| (resolver.reach(&mirror.destination), mirror.millionths))
        .filter(|(reach, _)| *reach != Reach::Nothing)
        .collect();
    copies.sort();
    copies
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

impl Table {
    /// What becomes of a request; `None` when an expression cannot be decided.
    pub fn route(&self, request: &Request, resolver: &dyn Resolver) -> Option<Outcome> {
        let Some(entry) = self.entry(request).ok()? else {
            return Some(Outcome {
                reply: Reply::NotFound,
                path: None,
                origin: None,
            });
        };
        let (reply, rewrite) = entry.action.conclude(resolver);
        let path = rewrite.apply(request.path())?;
        Some(Outcome {
            reply,
            path: (path != request.path()).then_some(path),
            origin: entry.origin.clone(),
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reply.fmt(f)?;
        match &self.path {
            Some(path) => write!(f, ", path {path}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (response, fault, cors) = match self {
            Self::NotFound => return f.write_str("404"),
            Self::Invalid(why) => return write!(f, "refused by Envoy: {why}"),
            Self::Answered {
                status,
                response,
                fault,
                cors,
                ..
            } => {
                write!(f, "{status}")?;
                (Some(response), fault, cors)
            }
            Self::Redirected(to, fault, cors) => {
                let host = to.host.as_deref().unwrap_or("the same host");
                write!(f, "{} to {}://{host}", to.status, to.scheme)?;
                if let Some(port) = to.port {
                    write!(f, ":{port}")?;
                }
                (Some(&to.response), fault, cors)
            }
            Self::Forwarded {
                arrivals,
                timeout,
                retry,
                mirrors,
                missing,
                fault,
                cors,
            } => {
                forwarded(arrivals, *missing, f)?;
                if let Some(timeout) = timeout {
                    write!(f, ", timeout {timeout:?}")?;
                }
                match retry {
                    Some(retry) if Some(retry) != Retry::of(None, None).as_ref() => {
                        write!(f, ", {retry}")?;
                    }
                    Some(_) => {}
                    None => f.write_str(", no retries")?,
                }
                for (reach, share) in mirrors {
                    write!(f, ", {}% copied to {reach}", f64::from(*share) / 10_000.0)?;
                }
                (None, fault, cors)
            }
        };
        if let Some(response) = response.filter(|response| !response.is_empty()) {
            write!(f, ", answer {response}")?;
        }
        if let Some(delay) = &fault.delay {
            let share = f64::from(delay.millionths) / 10_000.0;
            write!(f, ", {share}% wait {:?}", delay.wait)?;
        }
        if let Some((share, how)) = &fault.abort {
            write!(f, ", {}% fail with {how:?}", f64::from(*share) / 10_000.0)?;
        }
        if let Some(cors) = cors {
            write!(f, ", CORS for {} origins", cors.origins.len())?;
        }
        Ok(())
    }
}

fn forwarded(arrivals: &[Arrival], missing: u16, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let all: u64 = arrivals
        .iter()
        .map(|arrival| u64::from(arrival.weight))
        .sum();
    for (position, arrival) in arrivals.iter().enumerate() {
        if position > 0 {
            f.write_str(" + ")?;
        }
        if arrivals.len() > 1 {
            write!(f, "{}/{all} ", arrival.weight)?;
        }
        match arrival.at {
            Reach::Nothing => write!(f, "{missing}")?,
            ref at => write!(f, "{at}")?,
        }
        if let Some(host) = &arrival.host {
            write!(f, " as {host}")?;
        }
        if !arrival.request.is_empty() {
            write!(f, " request {}", arrival.request)?;
        }
        if !arrival.response.is_empty() {
            write!(f, " answer {}", arrival.response)?;
        }
    }
    Ok(())
}
