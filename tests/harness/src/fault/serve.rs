//! One exchange after the other: what a rule says is done here.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::answer::{self, Body};
use super::body::{Cut, Tap};
use super::proxy::Shared;
use super::request::Request;
use super::review;
use super::rule::{Action, At, Fault, Moment, When};
use super::wire::{Control, Wire};
use crate::error::Error;
use crate::process::Signal;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Takes connections until the proxy is dropped, which ends them all.
pub(super) async fn accept(
    shared: Arc<Shared>,
    listener: TcpListener,
    acceptor: TlsAcceptor,
) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(connection(Arc::clone(&shared), stream, acceptor.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(shared: Arc<Shared>, stream: TcpStream, acceptor: TlsAcceptor) {
    drop(stream.set_nodelay(true));
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let control = Arc::new(Control::default());
    let wire = TokioIo::new(Wire::new(stream, Arc::clone(&control)));
    let service =
        service_fn(|request| exchange(Arc::clone(&shared), Arc::clone(&control), request));
    // A connection that fails is how a cut ends; the log has it.
    let served = hyper::server::conn::http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(wire, service)
        .await;
    drop(served);
}

async fn exchange(
    shared: Arc<Shared>,
    control: Arc<Control>,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, Failure> {
    control.reset();
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let seen = Request::of(&head, &body, shared.age());
    let (index, fault) = shared.arrived(seen.clone());
    let exchange = Exchange {
        shared,
        control,
        head,
        seen,
        index,
    };
    match fault {
        Some(fault) => exchange.with(fault, body).await,
        None => exchange.pass(body, None, None).await,
    }
}

/// One request, and what is needed to answer it.
struct Exchange {
    shared: Arc<Shared>,
    control: Arc<Control>,
    head: Parts,
    seen: Request,
    index: usize,
}

impl Exchange {
    /// Does what the fault says.
    async fn with(self, fault: Fault, body: Bytes) -> Result<Response<Body>, Failure> {
        tokio::time::sleep(fault.delay).await;
        match fault.action {
            Action::Pass => self.pass(body, None, None).await,
            Action::Answer(answer) => Ok(self.own(answer::given(&answer, &self.seen))),
            Action::Expired => Ok(self.own(answer::expired())),
            Action::Conflict => Ok(self.own(answer::conflict(&self.seen))),
            Action::Forbid { .. } => {
                let user = self.shared.upstream.user(&self.head).await;
                Ok(self.own(answer::forbidden(&self.seen, &user)))
            }
            Action::Break {
                at: At::Request,
                stall: true,
            } => std::future::pending().await,
            Action::Break {
                at: At::Request, ..
            } => Err("cut before the request".into()),
            Action::Break { at, stall } => {
                let response = self.send(body).await?;
                self.control.break_at(at, stall);
                self.through(response, None, None).await
            }
            Action::EndWatch { after, error } => {
                let cut = Cut {
                    events: after,
                    words: error.map(answer::watch_error),
                };
                self.pass(body, Some(cut), None).await
            }
            Action::Signal(Signal::Kill, Moment::Before) => {
                self.shared.signal(Signal::Kill);
                Err("the client was killed".into())
            }
            Action::Signal(signal, moment) => {
                let shared = Arc::clone(&self.shared);
                self.around(moment, body, move || shared.signal(signal))
                    .await
            }
            Action::Call(moment, action) => self.around(moment, body, move || action()).await,
        }
    }

    /// Does something at its moment.
    async fn around(
        self,
        moment: Moment,
        body: Bytes,
        action: impl FnOnce() + Send + Sync + 'static,
    ) -> Result<Response<Body>, Failure> {
        match moment {
            Moment::Before => {
                tokio::task::spawn_blocking(action).await?;
                self.pass(body, None, None).await
            }
            Moment::Applied => {
                let response = self.send(body).await?;
                tokio::task::spawn_blocking(action).await?;
                self.through(response, None, None).await
            }
            Moment::Delivered => {
                let control = Arc::clone(&self.control);
                let last = move || {
                    let flushed = control.when_flushed();
                    tokio::spawn(async move {
                        // Never told if the client is gone: the moment is over then as well.
                        let _ = flushed.await;
                        tokio::task::spawn_blocking(action).await
                    });
                };
                self.pass(body, None, Some(Box::new(last))).await
            }
        }
    }

    async fn pass(
        self,
        body: Bytes,
        cut: Option<Cut>,
        last: Option<Box<dyn FnOnce() + Send + Sync>>,
    ) -> Result<Response<Body>, Failure> {
        let response = self.send(body).await?;
        self.through(response, cut, last).await
    }

    /// Has the server answer. A server that does not is a connection that breaks.
    async fn send(&self, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let mut head = self.head.clone();
        if self.seen.is_review() || self.seen.verb == "watch" {
            // Their text is read on its way.
            let identity = HeaderValue::from_static("identity");
            head.headers.insert(http::header::ACCEPT_ENCODING, identity);
        }
        if self.seen.is_review() {
            // Whoever prefers protobuf takes JSON as well.
            let json = HeaderValue::from_static("application/json");
            head.headers.insert(http::header::ACCEPT, json);
        }
        let answered = self.shared.upstream.send(&head, body).await;
        answered.map_err(|error| {
            let told = error.to_string();
            self.shared
                .noted(self.index, |request| request.fault = Some(told));
            error.into()
        })
    }

    /// Hands the server's answer on.
    async fn through(
        self,
        response: Response<Incoming>,
        cut: Option<Cut>,
        last: Option<Box<dyn FnOnce() + Send + Sync>>,
    ) -> Result<Response<Body>, Failure> {
        let status = response.status().as_u16();
        self.shared
            .noted(self.index, |request| request.status = Some(status));
        let forbidden = if self.seen.is_review() && response.status().is_success() {
            self.shared.forbidden()
        } else {
            Vec::new()
        };
        let (head, body) = response.into_parts();
        if !forbidden.is_empty() {
            let bytes = body.collect().await?.to_bytes();
            let bytes = self.corrected(&head.headers, bytes, &forbidden).await?;
            let mut response = Response::from_parts(head, answer::whole(bytes));
            response.headers_mut().remove(http::header::CONTENT_LENGTH);
            return Ok(self.own(response));
        }
        let tap = Tap::new(body, self.shared, self.index, cut, last);
        Ok(Response::from_parts(head, tap.boxed()))
    }

    /// An access review's answer that agrees with the rules.
    async fn corrected(
        &self,
        headers: &HeaderMap,
        bytes: Bytes,
        forbidden: &[When],
    ) -> Result<Bytes, Failure> {
        let content_type = headers.get(http::header::CONTENT_TYPE);
        let json =
            content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        if !json {
            let what = "an access review that is not JSON cannot be made to agree with the rules";
            return Err(Error::new(what).into());
        }
        let mut review = serde_json::from_slice(&bytes)?;
        let rights: Vec<_> = forbidden.iter().map(When::right).collect();
        if self.seen.resource == "selfsubjectaccessreviews" {
            review::correct_access(&mut review, &rights);
        } else if self.seen.resource == "selfsubjectrulesreviews" {
            let served = self.shared.upstream.served().await?;
            review::correct_rules(&mut review, &rights, served);
        }
        Ok(review.to_string().into())
    }

    /// An answer of the proxy's own, noted.
    fn own(&self, response: Response<Body>) -> Response<Body> {
        let status = response.status().as_u16();
        let size = hyper::body::Body::size_hint(response.body()).lower();
        self.shared.noted(self.index, |request| {
            request.status = Some(status);
            request.received = size;
            request.finished = true;
        });
        response
    }
}
