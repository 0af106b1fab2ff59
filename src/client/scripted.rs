//! A client over canned answers, for tests: no socket, no server, no waiting.
//!
//! A script is a set of exchanges. Each request takes the first unused exchange that expects it, so
//! that requests running side by side need no order; a request that nothing expects is answered with
//! 599 and fails [`Scripted::done`]. A script may also be a function that answers any request.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use kube::client::{Body, ConfigExt as _};
use tower::{BoxError, Layer as _, service_fn};

use super::config::{self, Settings};
use super::{Client, ConnectOptions, Environment};
use crate::event::{Event, Listener};

/// The address that scripted clients believe to talk to.
pub(crate) const SERVER: &str = "https://cluster.test:6443";

/// One request that is expected, and what comes back.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    method: &'static str,
    target: String,
    expected_headers: Vec<(&'static str, String)>,
    /// Words that the request's body must contain.
    expected_body: Vec<&'static str>,
    reply: Reply,
}

#[derive(Debug, Clone)]
enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// A success whose body begins and never ends: a watch.
    Endless(Vec<u8>),
    Hang,
    /// The connection breaks once the request is sent.
    Break,
    /// There is no connection to be had.
    Unconnected,
}

impl Exchange {
    /// Expects a GET of this path and query; answers `200 {}` unless told otherwise.
    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self::expecting("GET", target.into())
    }

    /// Expects a POST to this path.
    pub(crate) fn post(target: impl Into<String>) -> Self {
        Self::expecting("POST", target.into())
    }

    /// Expects a PATCH of this path and query.
    pub(crate) fn patch(target: impl Into<String>) -> Self {
        Self::expecting("PATCH", target.into())
    }

    /// Expects a PUT to this path and query.
    pub(crate) fn put(target: impl Into<String>) -> Self {
        Self::expecting("PUT", target.into())
    }

    /// Expects a DELETE of this path.
    pub(crate) fn delete(target: impl Into<String>) -> Self {
        Self::expecting("DELETE", target.into())
    }

    fn expecting(method: &'static str, target: String) -> Self {
        Self {
            method,
            target,
            expected_headers: Vec::new(),
            expected_body: Vec::new(),
            reply: Reply::Answer {
                status: 200,
                headers: Vec::new(),
                body: b"{}".to_vec(),
            },
        }
    }

    /// Expects the request to carry this header.
    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.expected_headers.push((name, value.into()));
        self
    }

    /// Expects the request's body to contain these words.
    pub(crate) fn with_body_containing(mut self, words: &'static str) -> Self {
        self.expected_body.push(words);
        self
    }

    /// Answers with this.
    pub(crate) fn answer(mut self, status: u16, body: impl Into<Vec<u8>>) -> Self {
        self.reply = Reply::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        };
        self
    }

    /// Answers with a `Status` whose message is this.
    pub(crate) fn refuse(self, status: u16, message: &str) -> Self {
        let body = serde_json::json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": message,
        });
        self.answer(status, body.to_string())
    }

    /// Adds a header to the answer.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        if let Reply::Answer { headers, .. } = &mut self.reply {
            headers.push((name, value.into()));
        }
        self
    }

    /// Never answers.
    pub(crate) fn hang(mut self) -> Self {
        self.reply = Reply::Hang;
        self
    }

    /// Answers with the beginning of a body, and no more.
    pub(crate) fn begin(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.reply = Reply::Endless(body.into());
        self
    }

    /// Refuses the connection: the request never leaves.
    pub(crate) fn unconnected(mut self) -> Self {
        self.reply = Reply::Unconnected;
        self
    }

    /// Breaks the connection.
    pub(crate) fn break_off(mut self) -> Self {
        self.reply = Reply::Break;
        self
    }

    fn expects(&self, request: &Seen) -> bool {
        self.method == request.method
            && self.target == request.target
            && self
                .expected_body
                .iter()
                .all(|words| request.body.contains(words))
            && self.expected_headers.iter().all(|(name, value)| {
                request
                    .headers
                    .get(*name)
                    .is_some_and(|values| values.contains(value))
            })
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    pub(crate) body: String,
}

/// Answers any request with a status and a body.
type Answering = dyn Fn(&Seen) -> (u16, String) + Send + Sync;

#[derive(Default)]
struct State {
    waiting: Vec<Exchange>,
    /// What answers a request that no exchange expects.
    answering: Option<Box<Answering>>,
    seen: Vec<Seen>,
    unexpected: Vec<String>,
}

/// A script, and what became of it.
#[derive(Clone, Default)]
pub(crate) struct Scripted {
    state: Arc<Mutex<State>>,
    events: Arc<Recorder>,
}

impl Scripted {
    /// A script of these exchanges.
    pub(crate) fn new(exchanges: impl IntoIterator<Item = Exchange>) -> Self {
        let state = State {
            waiting: exchanges.into_iter().collect(),
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            events: Arc::default(),
        }
    }

    /// The same, with a function that answers what no exchange expects.
    pub(crate) fn answering(
        exchanges: impl IntoIterator<Item = Exchange>,
        answer: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let script = Self::new(exchanges);
        script.state.lock().unwrap().answering = Some(Box::new(answer));
        script
    }

    /// A client that plays the script. Must be called within a runtime.
    pub(crate) fn client(&self) -> Client {
        self.client_with(ConnectOptions::default())
    }

    /// The same with flags; the server's address is set here.
    pub(crate) fn client_with(&self, mut options: ConnectOptions) -> Client {
        options.server.get_or_insert(SERVER.to_owned());
        let settings = config::resolve(&options, &Environment::default()).unwrap();
        self.client_of(settings, &options)
    }

    fn client_of(&self, settings: Settings, options: &ConnectOptions) -> Client {
        let state = Arc::clone(&self.state);
        let service = service_fn(move |request: Request<Body>| play(Arc::clone(&state), request));
        // The layers that a real connection has above its socket.
        let service = settings
            .config
            .extra_headers_layer()
            .unwrap()
            .layer(service);
        let service = settings.config.base_uri_layer().layer(service);
        let inner = kube::Client::new(service, "default");
        let listener: Arc<dyn Listener + Send> = Arc::<Recorder>::clone(&self.events);
        Client::with(inner, settings, options.request_timeout.limit(), listener)
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// The events so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.0.lock().unwrap().clone()
    }

    /// Panics unless every exchange took place, and nothing else.
    #[track_caller]
    pub(crate) fn done(&self) {
        let state = self.state.lock().unwrap();
        assert!(
            state.unexpected.is_empty(),
            "unexpected requests: {:#?}",
            state.unexpected
        );
        let left: Vec<_> = state
            .waiting
            .iter()
            .map(|exchange| &exchange.target)
            .collect();
        assert!(left.is_empty(), "requests that were not made: {left:#?}");
    }
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Event>>);

impl Listener for Recorder {
    fn notice(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

type ReplyBody = UnsyncBoxBody<Bytes, BoxError>;

fn whole(body: Vec<u8>) -> ReplyBody {
    Full::from(body).map_err(BoxError::from).boxed_unsync()
}

async fn play(
    state: Arc<Mutex<State>>,
    request: Request<Body>,
) -> Result<Response<ReplyBody>, BoxError> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.to_string()).or_default().push(value);
    }
    let seen = Seen {
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = {
        let mut state = state.lock().unwrap();
        let found = state
            .waiting
            .iter()
            .position(|exchange| exchange.expects(&seen));
        let reply = found.map(|at| state.waiting.remove(at).reply).or_else(|| {
            let (status, body) = state.answering.as_ref()?(&seen);
            Some(Reply::Answer {
                status,
                headers: Vec::new(),
                body: body.into_bytes(),
            })
        });
        if reply.is_none() {
            state
                .unexpected
                .push(format!("{} {}", seen.method, seen.target));
        }
        state.seen.push(seen);
        reply
    };
    match reply {
        None => Ok(Response::builder().status(599).body(whole(Vec::new()))?),
        Some(Reply::Hang) => std::future::pending().await,
        Some(Reply::Break) => Err(std::io::Error::new(
            std::io::ErrorKind::ConnectionReset,
            "connection reset by peer",
        )
        .into()),
        Some(Reply::Unconnected) => Err(std::io::Error::new(
            std::io::ErrorKind::ConnectionRefused,
            "connection refused",
        )
        .into()),
        Some(Reply::Endless(body)) => {
            // What never comes after the data keeps the body open.
            let never = std::future::pending::<Option<Result<http::HeaderMap, Infallible>>>();
            let body = Full::<Bytes>::from(body).with_trailers(never);
            Ok(Response::new(body.map_err(BoxError::from).boxed_unsync()))
        }
        Some(Reply::Answer {
            status,
            headers,
            body,
        }) => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            Ok(response.body(whole(body))?)
        }
    }
}
