//! One request: bounded in time, repeated where that may help, told to the listener.

use std::error::Error as StdError;
use std::time::Duration;

use http_body_util::BodyExt;
use kube::client::{AuthError, Body};
use serde::Deserialize;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::Client;
use super::credentials;
use super::error::ClientError;
use super::retry::{self, Failure};
use super::warning;
use crate::event::Event;

/// What the server is asked to answer with.
pub(super) mod accept {
    /// Whole objects.
    pub(in super::super) const OBJECT: &str = "application/json";
    /// The metadata of one object.
    pub(in super::super) const METADATA: &str =
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
    /// The metadata of a list's objects.
    pub(in super::super) const METADATA_LIST: &str =
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    /// All groups with their resources in one answer, or the plain list from an older server.
    pub(in super::super) const DISCOVERY: &str =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
}

/// A read. Reviews are reads too, though they are sent with POST: they change nothing.
#[derive(Debug)]
pub(super) struct Read {
    /// What is read, as a message names it.
    pub(super) what: String,
    /// Path and query.
    pub(super) target: String,
    /// The `Accept` header.
    pub(super) accept: &'static str,
    /// The JSON to post; nothing for a GET.
    pub(super) post: Option<Vec<u8>>,
}

/// A complete answer.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    body: Vec<u8>,
}

impl Client {
    /// Sends a read until it succeeds, fails for good, or has been tried often enough, and returns
    /// the body.
    pub(super) async fn read(&self, read: &Read) -> Result<Vec<u8>, ClientError> {
        let _permit = self.permit().await;
        self.read_permitted(read).await
    }

    /// Leave to send one request at a time. It is kept through pauses: a server that throttles is not
    /// to be asked more. (Acquiring fails only for a closed semaphore; this one never is.)
    pub(super) async fn permit(&self) -> Option<SemaphorePermit<'_>> {
        self.permits.acquire().await.ok()
    }

    /// [`read`](Self::read) by someone who holds a permit.
    pub(super) async fn read_permitted(&self, read: &Read) -> Result<Vec<u8>, ClientError> {
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(read).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let Some(wait) = failure.pause(attempt) else {
                return Err(failure.error);
            };
            attempt += 1;
            self.listener.notice(Event::Retry {
                what: read.what.clone(),
                attempt,
                wait,
                because: failure.error.to_string(),
            });
            tokio::time::sleep(wait).await;
        }
    }

    /// Like [`read`](Self::read), for a small answer that is understood at once.
    pub(super) async fn read_json<T>(&self, read: &Read) -> Result<T, ClientError>
    where
        T: serde::de::DeserializeOwned,
    {
        let body = self.read(read).await?;
        let mut json = serde_json::Deserializer::from_slice(&body);
        serde_path_to_error::deserialize(&mut json).map_err(|error| ClientError::Malformed {
            what: read.what.clone(),
            why: error.to_string(),
        })
    }

    async fn attempt(&self, read: &Read) -> Result<Vec<u8>, Failure> {
        let started = Instant::now();
        let outcome = self.bounded(read).await;
        self.listener.notice(Event::Request {
            method: if read.post.is_some() { "POST" } else { "GET" }.to_owned(),
            url: format!("{}{}", self.server, read.target),
            status: outcome.as_ref().ok().map(|answer| answer.status),
            took: started.elapsed(),
        });
        let answer = outcome?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        Err(self.refusal(read, &answer))
    }

    async fn bounded(&self, read: &Read) -> Result<Answer, Failure> {
        let Some(limit) = self.timeout else {
            return self.exchange(read).await;
        };
        match tokio::time::timeout(limit, self.exchange(read)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::lasting(ClientError::Timeout {
                what: read.what.clone(),
                server: self.server.clone(),
                after: limit,
            })),
        }
    }

    async fn exchange(&self, read: &Read) -> Result<Answer, Failure> {
        let request = build(read).map_err(|error| {
            Failure::lasting(ClientError::Malformed {
                what: read.what.clone(),
                why: format!("the request cannot be written: {error}"),
            })
        })?;
        let response = self
            .inner
            .send(request)
            .await
            .map_err(|error| self.broken(&error))?;
        let (head, body) = response.into_parts();
        for value in head.headers.get_all(http::header::WARNING) {
            self.warn(&String::from_utf8_lossy(value.as_bytes()));
        }
        let retry_after = head
            .headers
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let body = body.collect().await.map_err(|error| self.broken(&error))?;
        Ok(Answer {
            status: head.status.as_u16(),
            retry_after,
            body: body.to_bytes().into(),
        })
    }

    /// Passes on each warning once, however often the server repeats it.
    fn warn(&self, header: &str) {
        let mut warned = self
            .warned
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for text in warning::texts(header) {
            if warned.insert(text.clone()) {
                self.listener.notice(Event::Warning(text));
            }
        }
    }

    /// Says what an answer other than a success means.
    fn refusal(&self, read: &Read, answer: &Answer) -> Failure {
        let status = Status::of(answer);
        let what = read.what.clone();
        let message = status.message;
        let error = match answer.status {
            401 => ClientError::Unauthorized {
                server: self.server.clone(),
                message,
                context: self.context.clone(),
            },
            403 => ClientError::Forbidden { what, message },
            404 => ClientError::NotFound { what, message },
            410 => ClientError::Expired { what, message },
            429 => ClientError::Throttled { what, message },
            code => ClientError::Server {
                what,
                code,
                reason: status.reason,
                message,
            },
        };
        Failure {
            error,
            passing: retry::is_passing(answer.status),
            retry_after: answer.retry_after.or(status.retry_after),
        }
    }

    /// Says what a connection that failed means, from the causes it carries.
    fn broken(&self, error: &kube::Error) -> Failure {
        let mut words: Vec<String> = Vec::new();
        let mut timed_out = false;
        let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(current) = cause {
            if let Some(tls) = current.downcast_ref::<rustls::Error>() {
                if let Some(refused) = refused_certificate(tls) {
                    return Failure::lasting(ClientError::Unauthorized {
                        server: self.server.clone(),
                        message: refused.to_owned(),
                        context: self.context.clone(),
                    });
                }
                return Failure::lasting(ClientError::Tls {
                    server: self.server.clone(),
                    why: tls_words(tls),
                });
            }
            if let Some(auth) = current.downcast_ref::<AuthError>() {
                return Failure::lasting(credentials::refused(auth, self.plugin.as_ref()));
            }
            let io = current.downcast_ref::<std::io::Error>();
            timed_out |= io.is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut);
            words.push(io.map_or_else(|| current.to_string(), crate::error::why));
            // An I/O error's `source` is its content's source and leaves the content itself out.
            cause = match io.and_then(std::io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => current.source(),
            };
        }
        let error = ClientError::Unreachable {
            server: self.server.clone(),
            via: self.via.clone(),
            why: innermost(&words),
        };
        // Who waited half a minute for a connection is not to wait for it three times more.
        if timed_out {
            Failure::lasting(error)
        } else {
            Failure::passing(error)
        }
    }
}

/// What the TLS layer means, for those who do not know its enums.
fn tls_words(error: &rustls::Error) -> String {
    use rustls::CertificateError as Certificate;
    match error {
        rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS".to_owned(),
        rustls::Error::InvalidCertificate(fault) => match fault {
            Certificate::UnknownIssuer => {
                "its certificate is from an authority that is not trusted".to_owned()
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired".to_owned()
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name".to_owned()
            }
            _ => error.to_string(),
        },
        _ => error.to_string(),
    }
}

/// What the server's alert says of our own certificate; nothing when it speaks of something else.
fn refused_certificate(error: &rustls::Error) -> Option<&'static str> {
    use rustls::AlertDescription as Alert;
    let rustls::Error::AlertReceived(alert) = error else {
        return None;
    };
    match alert {
        Alert::CertificateExpired => Some("the client certificate has expired"),
        Alert::CertificateRevoked => Some("the client certificate is revoked"),
        Alert::CertificateRequired => Some("it asks for a client certificate, and none was sent"),
        Alert::UnknownCA => Some("the client certificate is from an authority it does not trust"),
        Alert::BadCertificate | Alert::UnsupportedCertificate | Alert::CertificateUnknown => {
            Some("it cannot use the client certificate")
        }
        _ => None,
    }
}

/// The last words of a chain of causes; the outer ones repeat them behind the libraries' names.
fn innermost(words: &[String]) -> String {
    words.last().cloned().unwrap_or_default()
}

fn build(read: &Read) -> Result<http::Request<Body>, http::Error> {
    let request = http::Request::builder()
        .uri(&read.target)
        .header(http::header::ACCEPT, read.accept);
    match &read.post {
        None => request.method(http::Method::GET).body(Body::empty()),
        Some(json) => request
            .method(http::Method::POST)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Body::from(json.clone())),
    }
}

/// What the body of a refusal says.
struct Status {
    message: String,
    reason: String,
    retry_after: Option<Duration>,
}

impl Status {
    fn of(answer: &Answer) -> Self {
        match serde_json::from_slice::<StatusBody>(&answer.body) {
            Ok(body) if body.kind == "Status" => Self {
                message: if body.message.is_empty() {
                    standard_words(answer.status)
                } else {
                    body.message
                },
                reason: body.reason,
                retry_after: body
                    .details
                    .and_then(|details| details.retry_after_seconds)
                    .map(Duration::from_secs),
            },
            _ => Self {
                message: first_line(&answer.body).unwrap_or_else(|| standard_words(answer.status)),
                reason: String::new(),
                retry_after: None,
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

#[derive(Deserialize)]
struct StatusDetails {
    #[serde(default, rename = "retryAfterSeconds")]
    retry_after_seconds: Option<u64>,
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
    fn an_alert_about_our_certificate_is_about_the_credentials() {
        use rustls::AlertDescription as Alert;
        for (alert, expected) in [
            (
                Alert::CertificateExpired,
                Some("the client certificate has expired"),
            ),
            (
                Alert::CertificateRequired,
                Some("it asks for a client certificate, and none was sent"),
            ),
            (Alert::ProtocolVersion, None),
        ] {
            let error = rustls::Error::AlertReceived(alert);
            assert_eq!(refused_certificate(&error), expected);
        }
    }
}
