//! What an answer other than a success means: for a read, and for a write, where it decides whether
//! anything was changed.

use std::time::Duration;

use serde::Deserialize;

use super::Client;
use super::error::{ClientError, OwnedField, Verb};
use super::request::Wire;
use super::retry::{self, Failure};

/// A complete answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The status code.
    pub(super) status: u16,
    /// The pause that the header asks for.
    pub(super) retry_after: Option<Duration>,
    /// All of the body.
    pub(super) body: Vec<u8>,
}

impl Client {
    /// Says what an answer other than a success means.
    pub(super) fn refusal(&self, wire: &Wire<'_>, answer: &Answer) -> Failure {
        let status = Status::of(answer);
        let retry_after = answer.retry_after.or(status.retry_after);
        if answer.status == 401 {
            return Failure::lasting(ClientError::Unauthorized {
                server: self.server.clone(),
                message: status.message,
                context: self.context.clone(),
            });
        }
        if wire.verb.writes() {
            return write_refusal(wire, answer.status, status, retry_after);
        }
        let verb = wire.verb;
        let what = wire.what.to_owned();
        let message = status.message;
        let error = match answer.status {
            403 => ClientError::Forbidden {
                verb,
                what,
                message,
            },
            404 => ClientError::NotFound {
                verb,
                what,
                message,
            },
            410 => ClientError::Expired { what, message },
            429 => ClientError::Throttled {
                verb,
                what,
                message,
            },
            code => ClientError::Server {
                verb,
                what,
                code,
                reason: status.reason,
                message,
            },
        };
        Failure {
            error,
            passing: retry::is_passing(answer.status),
            retry_after,
        }
    }
}

/// What became of a write that was answered with something other than a success.
///
/// Only an answer that says so means that nothing was changed: the API server gives 429, and 503 with
/// a time to come back, before it looks at a request. Other answers of the 500s may come from a proxy
/// that lost the real one, or from a server whose storage did.
fn write_refusal(
    wire: &Wire<'_>,
    code: u16,
    status: Status,
    retry_after: Option<Duration>,
) -> Failure {
    let verb = wire.verb;
    let what = wire.what.to_owned();
    let mut passing = false;
    let error = match code {
        403 if status.is_of_admission() => ClientError::Refused {
            verb,
            what,
            message: status.message,
        },
        403 => ClientError::Forbidden {
            verb,
            what,
            message: status.message,
        },
        400 | 413 | 415 | 422 => ClientError::Refused {
            verb,
            what,
            message: status.message,
        },
        404 => ClientError::NotFound {
            verb,
            what,
            message: status.message,
        },
        409 => {
            // A quota that others count on at the same time; the object itself is not there yet.
            passing = verb == Verb::Create && status.reason == "Conflict";
            conflict(verb, what, status)
        }
        429 => {
            passing = true;
            ClientError::Throttled {
                verb,
                what,
                message: status.message,
            }
        }
        _ => {
            passing = match code {
                503 => retry_after.is_some(),
                500 => status.message.contains("failed calling webhook"),
                _ => false,
            };
            let error = ClientError::Server {
                verb,
                what,
                code,
                reason: status.reason,
                message: status.message,
            };
            if !passing && (code >= 500 || code == 408) {
                ClientError::unknown(wire, &error)
            } else {
                error
            }
        }
    };
    Failure {
        error,
        passing,
        retry_after,
    }
}

/// What a 409 means.
fn conflict(verb: Verb, what: String, status: Status) -> ClientError {
    if status.reason == "AlreadyExists" {
        return ClientError::Exists { verb, what };
    }
    let mut fields: Vec<OwnedField> = status
        .causes
        .into_iter()
        .filter(|cause| cause.reason == "FieldManagerConflict")
        .map(|cause| OwnedField {
            manager: manager(&cause.message),
            field: cause.field,
        })
        .collect();
    if fields.is_empty() {
        return ClientError::Changed {
            verb,
            what,
            message: status.message,
        };
    }
    fields.sort();
    fields.dedup();
    ClientError::Conflict { verb, what, fields }
}

/// The manager's name in `conflict with "helm" using apps/v1` (structured-merge-diff's words, as
/// apiserver's `managedfields/internal/conflict.go` prints them).
fn manager(message: &str) -> String {
    message
        .split('"')
        .nth(1)
        .filter(|name| !name.is_empty())
        .unwrap_or(message)
        .to_owned()
}

/// What the body of a refusal says.
struct Status {
    message: String,
    reason: String,
    retry_after: Option<Duration>,
    causes: Vec<Cause>,
}

impl Status {
    /// Whether a 403 comes from admission, not from a missing right: the authorizer names the user.
    fn is_of_admission(&self) -> bool {
        self.message.starts_with("admission webhook ")
            || self
                .message
                .split_once(" is forbidden: ")
                .is_some_and(|(_, why)| !why.starts_with("User \""))
    }

    fn of(answer: &Answer) -> Self {
        match serde_json::from_slice::<StatusBody>(&answer.body) {
            Ok(body) if body.kind == "Status" => {
                let details = body.details.unwrap_or_default();
                Self {
                    message: if body.message.is_empty() {
                        standard_words(answer.status)
                    } else {
                        body.message
                    },
                    reason: body.reason,
                    retry_after: details.retry_after_seconds.map(Duration::from_secs),
                    causes: details.causes,
                }
            }
            _ => Self {
                message: first_line(&answer.body).unwrap_or_else(|| standard_words(answer.status)),
                reason: String::new(),
                retry_after: None,
                causes: Vec::new(),
            },
        }
    }
}

/// `metav1.Status`, the parts that are read.
#[derive(Deserialize)]
struct StatusBody {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    details: Option<StatusDetails>,
}

#[derive(Deserialize, Default)]
struct StatusDetails {
    #[serde(default, rename = "retryAfterSeconds")]
    retry_after_seconds: Option<u64>,
    #[serde(default)]
    causes: Vec<Cause>,
}

/// `metav1.StatusCause`.
#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    field: String,
}

/// What the status code is called.
fn standard_words(status: u16) -> String {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no reason given")
        .to_owned()
}

/// The first line of a body that is not a `Status`, if it reads like a sentence: a proxy's page of
/// HTML does not.
fn first_line(body: &[u8]) -> Option<String> {
    const LONGEST: usize = 200;
    let line = std::str::from_utf8(body).ok()?.lines().next()?.trim();
    let readable = !line.is_empty()
        && line.len() <= LONGEST
        && !line.starts_with(['<', '{', '['])
        && !line.contains(char::is_control);
    readable.then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_not_admission() {
        for (message, admission) in [
            (
                r#"services "cart" is forbidden: User "jane" cannot patch resource "services" in API group "" in the namespace "shop""#,
                false,
            ),
            (
                r#"admission webhook "validation.istio.io" denied the request: no"#,
                true,
            ),
            (
                r#"pods "cart" is forbidden: violates PodSecurity "restricted:latest": no"#,
                true,
            ),
            ("Forbidden", false),
        ] {
            let status = Status {
                message: message.to_owned(),
                reason: "Forbidden".to_owned(),
                retry_after: None,
                causes: Vec::new(),
            };
            assert_eq!(status.is_of_admission(), admission, "{message}");
        }
    }

    #[test]
    fn the_manager_stands_in_the_causes_words() {
        for (message, expected) in [
            (r#"conflict with "helm" using apps/v1"#, "helm"),
            (
                r#"conflict with "kubectl-edit" with subresource "scale" using apps/v1 at 2026-01-01T00:00:00Z"#,
                "kubectl-edit",
            ),
            ("someone", "someone"),
        ] {
            assert_eq!(manager(message), expected);
        }
    }
}
