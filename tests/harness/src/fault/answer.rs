//! Answers that the proxy gives itself, in the API server's own form and words.

use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use http_body_util::Full;
use http_body_util::combinators::BoxBody;
use serde_json::{Value, json};

use super::request::Request;
use super::rule::Answer;

/// Any body that the proxy sends.
pub(super) type Body = BoxBody<bytes::Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// A body that is known whole.
pub(super) fn whole(bytes: impl Into<bytes::Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed()
}

/// What [`Answer`] describes.
pub(super) fn given(answer: &Answer, request: &Request) -> Response<Body> {
    let mut response = if let Some((content_type, body)) = &answer.page {
        plain(answer.status, content_type, body)
    } else {
        let words = answer.message.clone();
        let (reason, standard) = standard(answer.status, request);
        let mut status = failure(answer.status, reason, &words.unwrap_or(standard));
        status["details"] = details(request);
        if let Some(seconds) = answer.retry_after {
            status["details"]["retryAfterSeconds"] = json!(seconds);
        }
        json_answer(answer.status, &status)
    };
    if let Some(seconds) = answer.retry_after {
        let value = http::HeaderValue::from(seconds);
        response
            .headers_mut()
            .insert(http::header::RETRY_AFTER, value);
    }
    response
}

/// 410 for a list whose version is gone.
pub(super) fn expired() -> Response<Body> {
    let message = "The provided continue parameter is too old to display a consistent list result. \
                   You can start a new list without the continue parameter.";
    json_answer(410, &failure(410, "Expired", message))
}

/// 409 for an object that somebody else changed.
pub(super) fn conflict(request: &Request) -> Response<Body> {
    let message = format!(
        "Operation cannot be fulfilled on {} {:?}: the object has been modified; please apply your \
         changes to the latest version and try again",
        qualified(request),
        request.name.as_deref().unwrap_or_default(),
    );
    let mut status = failure(409, "Conflict", &message);
    status["details"] = details(request);
    json_answer(409, &status)
}

/// 403 in the words of the authorizer.
pub(super) fn forbidden(request: &Request, user: &str) -> Response<Body> {
    let verb = &request.verb;
    let message = if request.resource.is_empty() {
        format!(
            "forbidden: User {user:?} cannot {verb} path {:?}",
            request.path
        )
    } else {
        let place = match &request.namespace {
            Some(namespace) => format!("in the namespace {namespace:?}"),
            None => "at the cluster scope".to_owned(),
        };
        let object = match &request.name {
            Some(name) => format!("{} {name:?}", qualified(request)),
            None => qualified(request),
        };
        format!(
            "{object} is forbidden: User {user:?} cannot {verb} resource {:?} in API group {:?} \
             {place}",
            request.resource, request.group
        )
    };
    let mut status = failure(403, "Forbidden", &message);
    status["details"] = details(request);
    json_answer(403, &status)
}

/// A watch's last event: it failed with this status.
pub(super) fn watch_error(code: u16) -> String {
    let (reason, message) = match code {
        410 => ("Expired", "too old resource version: 1 (2)"),
        _ => (
            "InternalError",
            "an error on the server has prevented the watch from going on",
        ),
    };
    let event = json!({"type": "ERROR", "object": failure(code, reason, message)});
    format!("{event}\n")
}

pub(super) fn json_answer(status: u16, body: &Value) -> Response<Body> {
    plain(status, "application/json", &body.to_string())
}

fn plain(status: u16, content_type: &str, body: &str) -> Response<Body> {
    let mut response = Response::new(whole(body.to_owned()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    if let Ok(value) = http::HeaderValue::from_str(content_type) {
        response
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, value);
    }
    response
}

fn failure(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    })
}

fn details(request: &Request) -> Value {
    let plain = request.resource.split('/').next().unwrap_or_default();
    let mut details = json!({"kind": plain});
    if !request.group.is_empty() {
        details["group"] = json!(request.group);
    }
    if let Some(name) = &request.name {
        details["name"] = json!(name);
    }
    details
}

/// `pods`, `deployments.apps`.
fn qualified(request: &Request) -> String {
    let plain = request.resource.split('/').next().unwrap_or_default();
    match request.group.as_str() {
        "" => plain.to_owned(),
        group => format!("{plain}.{group}"),
    }
}

/// The reason and the words that the API server has for a status code.
fn standard(code: u16, request: &Request) -> (&'static str, String) {
    let name = request.name.as_deref().unwrap_or_default();
    match code {
        401 => ("Unauthorized", "Unauthorized".to_owned()),
        404 => (
            "NotFound",
            format!("{} {name:?} not found", qualified(request)),
        ),
        429 => (
            "TooManyRequests",
            "Too many requests, please try again later.".to_owned(),
        ),
        500 => (
            "InternalError",
            "Internal error occurred: etcdserver: request timed out".to_owned(),
        ),
        503 => (
            "ServiceUnavailable",
            "the server is currently unable to handle the request".to_owned(),
        ),
        504 => (
            "Timeout",
            format!(
                "Timeout: request did not complete within the allotted timeout: {}",
                request.verb
            ),
        ),
        _ => (
            "Unknown",
            format!("the server answered with the status code {code}"),
        ),
    }
}
