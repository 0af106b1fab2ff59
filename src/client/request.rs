//! One request: bounded in time, repeated where that may help, told to the listener.

use std::error::Error as StdError;
use std::time::Duration;

use http_body_util::BodyExt;
use kube::client::{AuthError, Body};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::Client;
use super::answer::Answer;
use super::credentials;
use super::error::{ClientError, Verb};
use super::retry::Failure;
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

impl Read {
    fn wire(&self) -> Wire<'_> {
        Wire {
            verb: Verb::Read,
            what: &self.what,
            method: if self.post.is_some() { "POST" } else { "GET" },
            target: &self.target,
            accept: self.accept,
            body: self.post.as_deref().map(|json| (JSON, json)),
        }
    }
}

/// The content type of what is posted.
pub(super) const JSON: &str = "application/json";

/// One request as it goes out, read or write.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wire<'a> {
    /// What it does, as a message says it.
    pub(super) verb: Verb,
    /// What it does that to, as a message names it.
    pub(super) what: &'a str,
    /// The HTTP method.
    pub(super) method: &'static str,
    /// Path and query.
    pub(super) target: &'a str,
    /// The `Accept` header.
    pub(super) accept: &'static str,
    /// The content type and the body.
    pub(super) body: Option<(&'static str, &'a [u8])>,
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
        self.repeated(&read.wire()).await
    }

    /// Sends a request, again where its failure allows it: for a write only when it was surely not
    /// carried out.
    pub(super) async fn repeated(&self, wire: &Wire<'_>) -> Result<Vec<u8>, ClientError> {
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(wire).await {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let Some(wait) = failure.pause(attempt) else {
                return Err(failure.error);
            };
            attempt += 1;
            self.listener.notice(Event::Retry {
                what: wire.what.to_owned(),
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

    async fn attempt(&self, wire: &Wire<'_>) -> Result<Vec<u8>, Failure> {
        let started = Instant::now();
        let outcome = self.bounded(wire, self.exchange(wire)).await;
        self.tell(wire, outcome.as_ref().ok().map(|a| a.status), started);
        let answer = outcome?;
        if (200..300).contains(&answer.status) {
            return Ok(answer.body);
        }
        Err(self.refusal(wire, &answer))
    }

    /// Tells the listener of a request that ended.
    pub(super) fn tell(&self, wire: &Wire<'_>, status: Option<u16>, started: Instant) {
        self.listener.notice(Event::Request {
            method: wire.method.to_owned(),
            url: format!("{}{}", self.server, wire.target),
            status,
            took: started.elapsed(),
        });
    }

    /// Gives an exchange no more time than a request may take.
    pub(super) async fn bounded<T>(
        &self,
        wire: &Wire<'_>,
        exchange: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(limit) = self.timeout else {
            return exchange.await;
        };
        let Ok(outcome) = tokio::time::timeout(limit, exchange).await else {
            let error = ClientError::Timeout {
                what: wire.what.to_owned(),
                server: self.server.clone(),
                after: limit,
            };
            return Err(Failure::lasting(if wire.verb.writes() {
                ClientError::unknown(wire, &error)
            } else {
                error
            }));
        };
        outcome
    }

    async fn exchange(&self, wire: &Wire<'_>) -> Result<Answer, Failure> {
        let (mut answer, body) = self.open(wire).await?;
        let body = body.collect().await;
        answer.body = body
            .map_err(|error| self.broken(wire, &error))?
            .to_bytes()
            .into();
        Ok(answer)
    }

    /// Sends a request and returns the head of its answer, whose body is still to come.
    pub(super) async fn open(&self, wire: &Wire<'_>) -> Result<(Answer, Body), Failure> {
        let request = build(wire).map_err(|error| {
            Failure::lasting(ClientError::Malformed {
                what: wire.what.to_owned(),
                why: format!("the request cannot be written: {error}"),
            })
        })?;
        let response = self
            .inner
            .send(request)
            .await
            .map_err(|error| self.broken(wire, &error))?;
        let (head, body) = response.into_parts();
        for value in head.headers.get_all(http::header::WARNING) {
            self.warn(&String::from_utf8_lossy(value.as_bytes()));
        }
        let retry_after = head
            .headers
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let answer = Answer {
            status: head.status.as_u16(),
            retry_after,
            body: Vec::new(),
        };
        Ok((answer, body))
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

    /// Says what a connection that failed means, from the causes it carries.
    pub(super) fn broken(&self, wire: &Wire<'_>, error: &kube::Error) -> Failure {
        let mut words: Vec<String> = Vec::new();
        let mut timed_out = false;
        let mut never_left = false;
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
            never_left |= io.is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionRefused);
            never_left |= current
                .downcast_ref::<hyper_util::client::legacy::Error>()
                .is_some_and(hyper_util::client::legacy::Error::is_connect);
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
        if wire.verb.writes() && !never_left {
            return Failure::lasting(ClientError::unknown(wire, &error));
        }
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

fn build(wire: &Wire<'_>) -> Result<http::Request<Body>, http::Error> {
    let request = http::Request::builder()
        .method(wire.method)
        .uri(wire.target)
        .header(http::header::ACCEPT, wire.accept);
    match wire.body {
        None => request.body(Body::empty()),
        Some((content_type, bytes)) => request
            .header(http::header::CONTENT_TYPE, content_type)
            .body(Body::from(bytes.to_vec())),
    }
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
