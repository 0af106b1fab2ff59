//! What can go wrong between here and the API server, typed where it happens and worded once.

use std::fmt;
use std::time::Duration;

use super::request::Wire;
use crate::error::Error;
use crate::exit::Exit;

/// What a request does to what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// Looks at it.
    Read,
    /// Makes it.
    Create,
    /// Makes it, or makes its fields what they are to be (server-side apply).
    Apply,
    /// Changes fields of it.
    Change,
    /// Removes it.
    Delete,
}

impl Verb {
    /// Whether it may change anything.
    pub fn writes(self) -> bool {
        self != Self::Read
    }

    /// The form after "was": `created`.
    fn done(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "created",
            Self::Apply => "applied",
            Self::Change => "changed",
            Self::Delete => "deleted",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Apply => "apply",
            Self::Change => "change",
            Self::Delete => "delete",
        })
    }
}

/// A field that another manager owns.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnedField {
    /// Who owns it, e.g. `kubectl-client-side-apply`.
    pub manager: String,
    /// The field as the server writes it, e.g. `.spec.replicas`.
    pub field: String,
}

/// A failure of the client layer. Its text is one sentence without a final stop; the server's own
/// sentence, where there is one, stands in it verbatim.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Flags that contradict each other.
    #[error("{message}")]
    Options {
        /// What contradicts what.
        message: String,
    },
    /// The kubeconfig is absent, unreadable, or does not hold what is asked of it.
    #[error("{message}")]
    Config {
        /// What is wrong, and in which file where that is known.
        message: String,
        /// What to type or change.
        hints: Vec<String>,
    },
    /// No credentials could be obtained: a plugin is missing or failed, a token file is unreadable.
    #[error("{message}")]
    Credentials {
        /// Which source of credentials failed, and how.
        message: String,
        /// What to type or install.
        hints: Vec<String>,
    },
    /// No connection, or it broke.
    #[error("cannot reach the API server {server}{via}: {why}")]
    Unreachable {
        /// The API server's address.
        server: String,
        /// Empty, or the proxy on the way, from a leading blank on.
        via: String,
        /// What the connection attempt said.
        why: String,
    },
    /// The server's certificate is not trusted, or there is no TLS to be had with it.
    #[error("cannot connect securely to the API server {server}: {why}")]
    Tls {
        /// The API server's address.
        server: String,
        /// What the TLS layer said.
        why: String,
    },
    /// 401: the server does not know who is asking.
    #[error("the API server {server} does not accept the credentials: {message}")]
    Unauthorized {
        /// The API server's address.
        server: String,
        /// The server's sentence.
        message: String,
        /// The context in use, for the hint.
        context: Option<String>,
    },
    /// 403: a right is missing.
    #[error("cannot {verb} {what}: {message}")]
    Forbidden {
        /// What was to be done.
        verb: Verb,
        /// What was asked for, e.g. `pods in shop`.
        what: String,
        /// The server's sentence.
        message: String,
    },
    /// 404: neither this object nor this path.
    #[error("cannot {verb} {what}: {message}")]
    NotFound {
        /// What was to be done.
        verb: Verb,
        /// What was asked for.
        what: String,
        /// The server's sentence.
        message: String,
    },
    /// 410: the server no longer holds the version asked for.
    #[error("cannot read {what}: {message}")]
    Expired {
        /// What was asked for.
        what: String,
        /// The server's sentence.
        message: String,
    },
    /// The server did not finish its answer in time.
    #[error("cannot read {what}: the API server {server} gave no complete answer within {} s", .after.as_secs_f64())]
    Timeout {
        /// What was asked for.
        what: String,
        /// The API server's address.
        server: String,
        /// The time that was allowed.
        after: Duration,
    },
    /// 429, and still after every try.
    #[error("cannot {verb} {what}: the API server is overloaded: {message}")]
    Throttled {
        /// What was to be done.
        verb: Verb,
        /// What was asked for.
        what: String,
        /// The server's sentence.
        message: String,
    },
    /// Any other answer that is not a success.
    #[error("cannot {verb} {what}: the API server answered {code}: {message}")]
    Server {
        /// What was to be done.
        verb: Verb,
        /// What was asked for.
        what: String,
        /// The status code.
        code: u16,
        /// The machine-readable reason, e.g. `ServiceUnavailable`; may be empty.
        reason: String,
        /// The server's sentence.
        message: String,
    },
    /// 409: other field managers own what was to be applied.
    #[error("cannot {verb} {what}: others own fields of it: {}", listed(.fields))]
    Conflict {
        /// What was to be done.
        verb: Verb,
        /// The object.
        what: String,
        /// Who owns what, sorted.
        fields: Vec<OwnedField>,
    },
    /// 409: the object is no longer the one that the write was meant for.
    #[error("cannot {verb} {what}: it changed meanwhile: {message}")]
    Changed {
        /// What was to be done.
        verb: Verb,
        /// The object.
        what: String,
        /// The server's sentence.
        message: String,
    },
    /// 409: there is such an object already.
    #[error("cannot {verb} {what}: there is one already")]
    Exists {
        /// What was to be done.
        verb: Verb,
        /// The object.
        what: String,
    },
    /// 400, 422, or a refusal by admission: the server does not take the object as it is.
    #[error("cannot {verb} {what}: the API server does not accept it: {message}")]
    Refused {
        /// What was to be done.
        verb: Verb,
        /// The object.
        what: String,
        /// The server's sentence, or the admission webhook's.
        message: String,
    },
    /// A write was sent and its answer is lost: the object itself says what became of it.
    #[error("it is not known whether {what} was {}: {why}", .verb.done())]
    Unknown {
        /// What was to be done.
        verb: Verb,
        /// The object.
        what: String,
        /// How the answer was lost.
        why: String,
    },
    /// A success whose body is not what the API promises.
    #[error("cannot understand the API server's answer for {what}: {why}")]
    Malformed {
        /// What was asked for.
        what: String,
        /// Where the body deviates.
        why: String,
    },
}

impl ClientError {
    /// A [`ClientError::Config`] without hints.
    pub(super) fn config(message: impl Into<String>) -> Self {
        Self::Config {
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// What becomes of a write whose answer is lost.
    pub(super) fn unknown(wire: &Wire<'_>, lost: &Self) -> Self {
        Self::Unknown {
            verb: wire.verb,
            what: wire.what.to_owned(),
            why: match lost {
                Self::Server { code, message, .. } => {
                    format!("the API server answered {code}: {message}")
                }
                Self::Timeout { server, after, .. } => format!(
                    "the API server {server} gave no complete answer within {} s",
                    after.as_secs_f64()
                ),
                other => other.to_string(),
            },
        }
    }

    /// Adds a hint where the variant holds some.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Config { hints, .. } | Self::Credentials { hints, .. } = &mut self {
            hints.push(hint.into());
        }
        self
    }

    /// What a failure means of a path that every API server has: one that does not is none.
    #[must_use]
    pub(super) fn of_what_every_server_has(self) -> Self {
        match self {
            Self::NotFound { what, message, .. } => Self::Malformed { what, why: message },
            other => other,
        }
    }

    /// The exit code that a command ends with when it can do nothing without what failed.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Options { .. } => Exit::Usage,
            Self::Forbidden { .. } => Exit::Forbidden,
            Self::Conflict { .. } | Self::Refused { .. } => Exit::Negative,
            Self::Changed { .. } | Self::Exists { .. } => Exit::Stale,
            _ => Exit::Unreachable,
        }
    }

    /// What to type or change next, each a line of its own.
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Config { hints, .. } | Self::Credentials { hints, .. } => return hints.clone(),
            Self::Options { .. } | Self::NotFound { .. } | Self::Refused { .. } => {
                return Vec::new();
            }
            Self::Unreachable { via, .. } if via.is_empty() => {
                "`kubectl config view --minify` shows the address in use; `--context` and \
                 `--server` choose another"
            }
            Self::Unreachable { .. } => {
                "`NO_PROXY` names hosts that are reached without a proxy; a `proxy-url` in the \
                 kubeconfig always applies"
            }
            Self::Tls { .. } => {
                "`--certificate-authority FILE` names the authority to trust, \
                 `--tls-server-name NAME` the name in the certificate"
            }
            Self::Unauthorized { context, .. } => return unauthorized_hints(context.as_deref()),
            Self::Forbidden { message, .. } if message.contains("system:anonymous") => {
                "no credentials were sent: `--context` or `--user` chooses others, \
                 `kubectl auth whoami` shows who is asking"
            }
            Self::Forbidden { .. } => {
                "`kubectl auth whoami` shows who is asking, `kubectl auth can-i --list` what they may do"
            }
            Self::Expired { .. } => "the cluster changed while it was read: run the command again",
            Self::Conflict { .. } => {
                "`kubectl get -o yaml --show-managed-fields` shows who set what; `--force-conflicts` \
                 takes the fields over"
            }
            Self::Changed { .. } | Self::Exists { .. } => {
                "someone else works on it: look at it, then run the command again"
            }
            Self::Unknown { .. } => "run the command again: it looks at the object first",
            Self::Timeout { .. } => "`--request-timeout 5m` allows more time, `0` any",
            Self::Throttled { .. } => "run the command again later, or with a smaller scope (`-n`)",
            // A redirection leads to a page to log in, or to another program.
            Self::Server {
                code: 300..=399, ..
            }
            | Self::Malformed { .. } => {
                "something other than a Kubernetes API server may answer at this address: \
                 `kubectl version` tells"
            }
            Self::Server { .. } => "`kubectl get --raw '/readyz?verbose'` shows the server's state",
        };
        vec![hint.to_owned()]
    }
}

/// `.spec.replicas (helm), .spec.selector (kubectl)`
fn listed(fields: &[OwnedField]) -> String {
    fields
        .iter()
        .map(|owned| format!("{} ({})", owned.field, owned.manager))
        .collect::<Vec<_>>()
        .join(", ")
}

fn unauthorized_hints(context: Option<&str>) -> Vec<String> {
    let whoami = match context {
        Some(context) => {
            format!("`kubectl auth whoami --context {context}` shows whether kubectl fares better")
        }
        None => "`kubectl auth whoami` shows whether kubectl fares better".to_owned(),
    };
    vec![
        "the credentials may have expired: log in again as you did for this cluster".to_owned(),
        whoami,
    ]
}

impl From<ClientError> for Error {
    fn from(error: ClientError) -> Self {
        Self {
            exit: error.exit(),
            message: error.to_string(),
            hints: error.hints(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_owns_its_exit_code() {
        let what = || "pods in shop".to_owned();
        let message = || "no".to_owned();
        for (error, exit) in [
            (ClientError::Options { message: message() }, Exit::Usage),
            (ClientError::config("no"), Exit::Unreachable),
            (
                ClientError::Forbidden {
                    verb: Verb::Read,
                    what: what(),
                    message: message(),
                },
                Exit::Forbidden,
            ),
            (
                ClientError::Timeout {
                    what: what(),
                    server: "https://a".to_owned(),
                    after: Duration::from_millis(1500),
                },
                Exit::Unreachable,
            ),
        ] {
            assert_eq!(Error::from(error).exit, exit);
        }
    }

    #[test]
    fn a_timeout_names_what_was_read_and_how_to_allow_more() {
        let error = Error::from(ClientError::Timeout {
            what: "pods in shop".to_owned(),
            server: "https://a".to_owned(),
            after: Duration::from_millis(1500),
        });
        assert_eq!(
            error.message,
            "cannot read pods in shop: the API server https://a gave no complete answer within 1.5 s"
        );
        assert_eq!(
            error.hints,
            ["`--request-timeout 5m` allows more time, `0` any"]
        );
    }
}
