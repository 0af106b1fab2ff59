//! Which requests a fault is done to, and what is done.

use std::time::Duration;

use super::request::Request;
use crate::process::Signal;

/// Which requests: all that is said must hold.
#[derive(Debug, Clone, Default)]
pub struct When {
    verbs: Vec<&'static str>,
    writes: bool,
    /// Only resources, whichever: no other paths.
    resources: bool,
    resource: Option<String>,
    group: Option<String>,
    path: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    continued: Option<bool>,
    dry_run: Option<bool>,
    agent: Option<String>,
    from: u64,
    to: Option<u64>,
    every: u64,
}

impl When {
    /// Every request.
    pub fn any() -> Self {
        Self {
            from: 1,
            every: 1,
            ..Self::default()
        }
    }

    fn verb(verbs: &[&'static str], resource: &str) -> Self {
        let (plural, group) = match resource.split_once('.') {
            Some((plural, group)) => (plural, Some(group)),
            None => (resource, None),
        };
        Self {
            verbs: verbs.to_vec(),
            resources: true,
            resource: (plural != "*").then(|| plural.to_owned()),
            group: group.map(str::to_owned),
            ..Self::any()
        }
    }

    /// Reads of one object. A resource is its plural, with a subresource and a group where needed:
    /// `pods`, `deployments/scale`, `gateways.networking.istio.io`; `*` is any.
    pub fn get(resource: &str) -> Self {
        Self::verb(&["get"], resource)
    }

    /// Lists, page by page.
    pub fn list(resource: &str) -> Self {
        Self::verb(&["list"], resource)
    }

    /// Watches.
    pub fn watch(resource: &str) -> Self {
        Self::verb(&["watch"], resource)
    }

    /// Gets, lists and watches.
    pub fn read(resource: &str) -> Self {
        Self::verb(&["get", "list", "watch"], resource)
    }

    /// Creations.
    pub fn create(resource: &str) -> Self {
        Self::verb(&["create"], resource)
    }

    /// Replacements.
    pub fn update(resource: &str) -> Self {
        Self::verb(&["update"], resource)
    }

    /// Patches, server-side apply among them.
    pub fn patch(resource: &str) -> Self {
        Self::verb(&["patch"], resource)
    }

    /// Deletions of one object.
    pub fn delete(resource: &str) -> Self {
        Self::verb(&["delete"], resource)
    }

    /// Whatever changes the cluster: no dry runs, no reviews.
    pub fn write() -> Self {
        Self {
            writes: true,
            ..Self::any()
        }
    }

    /// Writes to one resource.
    pub fn write_to(resource: &str) -> Self {
        Self {
            writes: true,
            ..Self::verb(&[], resource)
        }
    }

    /// Paths that begin so: `/version`, `/apis`.
    pub fn path(prefix: &str) -> Self {
        Self {
            path: Some(prefix.to_owned()),
            ..Self::any()
        }
    }

    /// Only in this namespace.
    #[must_use]
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only objects of this name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Only the second page of a list and later ones.
    #[must_use]
    pub fn continued(mut self) -> Self {
        self.continued = Some(true);
        self
    }

    /// Only the first page of a list.
    #[must_use]
    pub fn first_page(mut self) -> Self {
        self.continued = Some(false);
        self
    }

    /// Only dry runs.
    #[must_use]
    pub fn dry_run(mut self) -> Self {
        self.dry_run = Some(true);
        self
    }

    /// Only clients whose `User-Agent` contains this.
    #[must_use]
    pub fn agent(mut self, part: &str) -> Self {
        self.agent = Some(part.to_owned());
        self
    }

    /// Only the n-th request that matches, counted from 1.
    #[must_use]
    pub fn nth(self, n: u64) -> Self {
        self.from(n).to(n)
    }

    /// From the n-th request that matches on.
    #[must_use]
    pub fn from(mut self, n: u64) -> Self {
        self.from = n;
        self
    }

    /// Up to the n-th request that matches.
    #[must_use]
    pub fn to(mut self, n: u64) -> Self {
        self.to = Some(n);
        self
    }

    /// Each n-th request that matches.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.every = n.max(1);
        self
    }

    /// Whether it matches, whichever occurrence it is.
    pub fn matches(&self, request: &Request) -> bool {
        let said = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        (self.verbs.is_empty() || self.verbs.contains(&request.verb.as_str()))
            && (!self.writes || request.is_write())
            && (!self.resources || !request.resource.is_empty())
            && said(&self.resource, Some(&request.resource))
            && said(&self.group, Some(&request.group))
            && said(&self.namespace, request.namespace.as_deref())
            && said(&self.name, request.name.as_deref())
            && self
                .continued
                .is_none_or(|wanted| request.is_continued() == wanted)
            && self
                .dry_run
                .is_none_or(|wanted| request.is_dry_run() == wanted)
            && self
                .path
                .as_ref()
                .is_none_or(|prefix| request.path.starts_with(prefix.as_str()))
            && self
                .agent
                .as_ref()
                .is_none_or(|part| request.user_agent.contains(part.as_str()))
    }

    /// Whether the n-th request that matches is one of those that are meant.
    pub(super) fn is_due(&self, n: u64) -> bool {
        n >= self.from
            && self.to.is_none_or(|to| n <= to)
            && (n - self.from).is_multiple_of(self.every)
    }

    /// What [`Fault::forbid`] forbids, for the answers to access reviews.
    pub(super) fn right(&self) -> Right<'_> {
        Right {
            verbs: if self.writes {
                &["create", "update", "patch", "delete", "deletecollection"]
            } else {
                &self.verbs
            },
            group: self.group.as_deref(),
            resource: self.resource.as_deref(),
            namespace: self.namespace.as_deref(),
            name: self.name.as_deref(),
        }
    }
}

/// A right, as RBAC speaks of it; what is not said is any.
#[derive(Debug, Clone, Copy)]
pub(super) struct Right<'a> {
    verbs: &'a [&'static str],
    group: Option<&'a str>,
    resource: Option<&'a str>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
}

impl Right<'_> {
    /// Whether a resource's verb falls under it, as [`When::matches`] would see the request.
    pub(super) fn covers(
        &self,
        verb: &str,
        group: &str,
        resource: &str,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> bool {
        (self.verbs.is_empty() || self.verbs.contains(&verb))
            && self.group.is_none_or(|wanted| wanted == group)
            && self.resource.is_none_or(|wanted| wanted == resource)
            && (self.namespace.is_none() || self.namespace == namespace)
            && (self.name.is_none() || self.name == name)
    }
}

/// Where in an exchange a connection is cut or stalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Before the server has seen the request.
    Request,
    /// When the server has answered (what it was to write is written), before the client has a byte.
    Answer,
    /// In the middle of the answer's head.
    Head,
    /// After the answer's head.
    Body,
    /// After so many bytes of the answer's body, as they are on the wire.
    BodyAfter(u64),
}

/// When a signal is sent, or something else is done, around a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before the server has seen the request. It is passed on afterwards, but after SIGKILL it
    /// never reaches the server.
    Before,
    /// When the server has answered, before the client has a byte.
    Applied,
    /// When the client was sent the whole answer.
    Delivered,
}

/// What is done to a request.
#[derive(Clone)]
pub struct Fault {
    pub(super) delay: Duration,
    pub(super) action: Action,
}

#[derive(Clone)]
pub(super) enum Action {
    /// Nothing but the delay.
    Pass,
    Answer(Answer),
    Expired,
    Conflict,
    Forbid {
        reviews_agree: bool,
    },
    Break {
        at: At,
        stall: bool,
    },
    EndWatch {
        after: usize,
        error: Option<u16>,
    },
    Signal(Signal, Moment),
    Call(Moment, std::sync::Arc<dyn Fn() + Send + Sync>),
}

/// An answer that the proxy gives itself.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<u64>,
    pub(super) message: Option<String>,
    /// Type and body of an answer that is no `Status`.
    pub(super) page: Option<(String, String)>,
}

impl Fault {
    fn new(action: Action) -> Self {
        Self {
            delay: Duration::ZERO,
            action,
        }
    }

    /// Answers with this status code and a `Status` body with the API server's words for it.
    pub fn status(status: u16) -> Self {
        Self::new(Action::Answer(Answer {
            status,
            retry_after: None,
            message: None,
            page: None,
        }))
    }

    /// Answers as something that is no API server, e.g. a load balancer: any type, any body.
    pub fn page(status: u16, content_type: &str, body: &str) -> Self {
        Self::new(Action::Answer(Answer {
            status,
            retry_after: None,
            message: None,
            page: Some((content_type.to_owned(), body.to_owned())),
        }))
    }

    /// Adds `Retry-After`, in seconds, to [`status`](Self::status) and [`page`](Self::page).
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        if let Action::Answer(answer) = &mut self.action {
            answer.retry_after = Some(seconds);
        }
        self
    }

    /// The `Status`'s message, in place of the API server's words.
    #[must_use]
    pub fn message(mut self, message: &str) -> Self {
        if let Action::Answer(answer) = &mut self.action {
            answer.message = Some(message.to_owned());
        }
        self
    }

    /// 410: the list's version is compacted away, as for a continue token that is too old.
    pub fn expired() -> Self {
        Self::new(Action::Expired)
    }

    /// 409: somebody else has changed the object meanwhile.
    pub fn conflict() -> Self {
        Self::new(Action::Conflict)
    }

    /// 403 with the words of RBAC's authorizer; access reviews agree with it. The rule's occurrence
    /// does not matter for those.
    pub fn forbid() -> Self {
        Self::new(Action::Forbid {
            reviews_agree: true,
        })
    }

    /// 403, though access reviews say that it is allowed: rights that were withdrawn in between.
    pub fn forbid_against_reviews() -> Self {
        Self::new(Action::Forbid {
            reviews_agree: false,
        })
    }

    /// Cuts the connection, without a word of goodbye.
    pub fn cut(at: At) -> Self {
        Self::new(Action::Break { at, stall: false })
    }

    /// Sends nothing more and keeps the connection open.
    pub fn stall(at: At) -> Self {
        Self::new(Action::Break { at, stall: true })
    }

    /// Ends a watch in good order after so many events.
    pub fn end_watch(after: usize) -> Self {
        Self::new(Action::EndWatch { after, error: None })
    }

    /// Ends a watch after so many events with an event of type `ERROR`, e.g. 410.
    pub fn fail_watch(after: usize, status: u16) -> Self {
        Self::new(Action::EndWatch {
            after,
            error: Some(status),
        })
    }

    /// Passes the request on, later.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Action::Pass).delayed(delay)
    }

    /// Does what it does, later.
    #[must_use]
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Sends a signal to the command that was started through the proxy. The request itself goes
    /// its way; an answer after SIGKILL finds nobody.
    pub fn signal(signal: Signal, moment: Moment) -> Self {
        Self::new(Action::Signal(signal, moment))
    }

    /// Does something else, e.g. changes the cluster as somebody else would; the exchange goes on
    /// when it returns.
    pub fn call(moment: Moment, action: impl Fn() + Send + Sync + 'static) -> Self {
        Self::new(Action::Call(moment, std::sync::Arc::new(action)))
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.action {
            Action::Pass => f.write_str("passed")?,
            Action::Answer(answer) => write!(f, "answered {}", answer.status)?,
            Action::Expired => f.write_str("expired")?,
            Action::Conflict => f.write_str("conflict")?,
            Action::Forbid { .. } => f.write_str("forbidden")?,
            Action::Break { at, stall: false } => write!(f, "cut at {at:?}")?,
            Action::Break { at, stall: true } => write!(f, "stalled at {at:?}")?,
            Action::EndWatch { after, error: None } => write!(f, "ended after {after} events")?,
            Action::EndWatch {
                after,
                error: Some(status),
            } => write!(f, "failed with {status} after {after} events")?,
            Action::Signal(signal, moment) => write!(f, "{signal:?} {moment:?}")?,
            Action::Call(moment, _) => write!(f, "called {moment:?}")?,
        }
        if !self.delay.is_zero() {
            write!(f, " after {} ms", self.delay.as_millis())?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}
