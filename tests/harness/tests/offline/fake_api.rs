//! A small API server in memory: three kinds, lists in pages, watches, reviews. Enough to show that
//! the harness and its proxy do what they say, without a control plane.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Group, version, kind, plural.
const KINDS: [(&str, &str, &str, &str); 4] = [
    ("", "v1", "ConfigMap", "configmaps"),
    ("", "v1", "Namespace", "namespaces"),
    ("", "v1", "Pod", "pods"),
    ("apps", "v1", "Deployment", "deployments"),
];

/// `{"packed":true}`, as gzip packs it.
const GZIP: &[u8] = &[
    31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 171, 86, 42, 72, 76, 206, 78, 77, 81, 178, 42, 41, 42, 77,
    173, 5, 0, 137, 224, 181, 220, 15, 0, 0, 0,
];

/// A running server; it ends when dropped.
pub(crate) struct FakeApi {
    state: Arc<State>,
    folder: TempDir,
    _runtime: Runtime,
}

#[derive(Default)]
struct State {
    store: Mutex<Store>,
    changed: Notify,
}

#[derive(Default)]
struct Store {
    version: u64,
    /// By plural, namespace and name.
    objects: BTreeMap<(String, String, String), Value>,
    /// Version, plural, namespace, event.
    events: Vec<(u64, String, String, Value)>,
    /// Versions up to this one are forgotten.
    compacted: u64,
}

impl FakeApi {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))
            .unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = service_fn(|request| answer(Arc::clone(&state), request));
                    hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                        .ok();
                });
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "fake", "user": {"token": "admin"}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        });
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
        Self {
            state,
            folder,
            _runtime: runtime,
        }
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stores an object as if somebody had written it.
    pub(crate) fn put(&self, plural: &str, namespace: &str, name: &str, object: Value) {
        self.state.put(plural, namespace, name, object);
    }

    pub(crate) fn remove(&self, plural: &str, namespace: &str, name: &str) {
        self.state.remove(plural, namespace, name);
    }

    pub(crate) fn object(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let store = self.state.store();
        store.objects.get(&key(plural, namespace, name)).cloned()
    }

    /// Forgets all versions until now, as compaction does.
    pub(crate) fn compact(&self) {
        let mut store = self.state.store();
        store.compacted = store.version;
    }
}

fn key(plural: &str, namespace: &str, name: &str) -> (String, String, String) {
    (plural.to_owned(), namespace.to_owned(), name.to_owned())
}

impl State {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap()
    }

    fn put(&self, plural: &str, namespace: &str, name: &str, mut object: Value) -> Value {
        let mut store = self.store();
        store.version += 1;
        let version = store.version;
        let (group, api_version, kind, _) = *KINDS.iter().find(|kind| kind.3 == plural).unwrap();
        object["kind"] = json!(kind);
        object["apiVersion"] = json!(if group.is_empty() {
            api_version.to_owned()
        } else {
            format!("{group}/{api_version}")
        });
        object["metadata"]["name"] = json!(name);
        if plural != "namespaces" {
            object["metadata"]["namespace"] = json!(namespace);
        }
        object["metadata"]["resourceVersion"] = json!(version.to_string());
        let key = key(plural, namespace, name);
        let known = store.objects.insert(key, object.clone()).is_some();
        let kind = if known { "MODIFIED" } else { "ADDED" };
        store.tell(plural, namespace, kind, &object);
        drop(store);
        self.changed.notify_waiters();
        object
    }

    fn remove(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let mut store = self.store();
        let mut object = store.objects.remove(&key(plural, namespace, name))?;
        store.version += 1;
        object["metadata"]["resourceVersion"] = json!(store.version.to_string());
        store.tell(plural, namespace, "DELETED", &object);
        drop(store);
        self.changed.notify_waiters();
        Some(object)
    }
}

impl Store {
    fn tell(&mut self, plural: &str, namespace: &str, kind: &str, object: &Value) {
        let event = json!({"type": kind, "object": object});
        let (version, plural) = (self.version, plural.to_owned());
        self.events
            .push((version, plural, namespace.to_owned(), event));
    }
}

/// A request taken apart.
struct Asked {
    method: String,
    plural: String,
    namespace: String,
    name: String,
    query: BTreeMap<String, String>,
    body: Value,
}

async fn answer(
    state: Arc<State>,
    request: http::Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let user = head.headers.get("authorization").map_or("nobody", |value| {
        value.to_str().unwrap().trim_start_matches("Bearer ")
    });
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = head.uri.path();
    Ok(match path {
        "/api" => whole(200, &discovery("")),
        "/apis" => whole(200, &discovery("apps")),
        "/packed" => packed(),
        _ if path.ends_with("reviews") => whole(201, &review(body, user)),
        _ => {
            let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
            let from = if parts[0] == "api" { 2 } else { 3 };
            let (namespace, rest) = match &parts[from..] {
                ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
                rest => ("", rest),
            };
            let query = head.uri.query().unwrap_or_default().split('&');
            let query = query.filter_map(|pair| pair.split_once('='));
            let asked = Asked {
                method: head.method.to_string(),
                plural: rest[0].to_owned(),
                namespace: namespace.to_owned(),
                name: rest.get(1).copied().unwrap_or_default().to_owned(),
                query: query.map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
                body,
            };
            resource(state, asked)
        }
    })
}

fn resource(state: Arc<State>, asked: Asked) -> Response<Body> {
    let key = key(&asked.plural, &asked.namespace, &asked.name);
    match (asked.method.as_str(), asked.name.is_empty()) {
        ("GET", true) if asked.query.contains_key("watch") => watch(state, &asked),
        ("GET", true) => whole(200, &list(&state.store(), &asked)),
        ("GET", false) => {
            let found = state.store().objects.get(&key).cloned();
            found.map_or_else(|| missing(&asked), |object| whole(200, &object))
        }
        ("POST", _) => {
            let name = asked.body["metadata"]["name"].as_str().unwrap().to_owned();
            let object = state.put(&asked.plural, &asked.namespace, &name, asked.body);
            whole(201, &object)
        }
        ("PATCH", _) => {
            let before = state.store().objects.get(&key).cloned();
            let mut object = before.unwrap_or_else(|| json!({"metadata": {}}));
            merge(&mut object, &asked.body);
            whole(
                200,
                &state.put(&asked.plural, &asked.namespace, &asked.name, object),
            )
        }
        ("DELETE", _) => state
            .remove(&asked.plural, &asked.namespace, &asked.name)
            .map_or_else(|| missing(&asked), |object| whole(200, &object)),
        _ => whole(405, &json!({})),
    }
}

fn merge(into: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    for (name, value) in fields {
        merge(&mut into[name.as_str()], value);
    }
}

fn list(store: &Store, asked: &Asked) -> Value {
    let wanted = asked.query.get("fieldSelector");
    let wanted = wanted.and_then(|text| text.strip_prefix("metadata.name%3D"));
    let items: Vec<&Value> = store
        .objects
        .iter()
        .filter(|((plural, namespace, name), _)| {
            *plural == asked.plural
                && (asked.namespace.is_empty() || *namespace == asked.namespace)
                && wanted.is_none_or(|wanted| wanted == name)
        })
        .map(|(_, object)| object)
        .collect();
    let number = |name: &str| asked.query.get(name).and_then(|text| text.parse().ok());
    let from: usize = number("continue").unwrap_or(0);
    let limit: usize = number("limit").unwrap_or(items.len());
    let to = (from + limit).min(items.len());
    let next = if to < items.len() {
        to.to_string()
    } else {
        String::new()
    };
    json!({
        "kind": "List", "apiVersion": "v1",
        "metadata": {"resourceVersion": store.version.to_string(), "continue": next},
        "items": items[from..to],
    })
}

/// Tells every event after the version, then goes on; with `timeoutSeconds` it ends with a bookmark.
fn watch(state: Arc<State>, asked: &Asked) -> Response<Body> {
    let from: u64 = asked.query["resourceVersion"].parse().unwrap();
    let brief = asked.query.contains_key("timeoutSeconds");
    if from < state.store().compacted {
        let status = json!({"kind": "Status", "code": 410, "message": "too old resource version"});
        return whole(410, &status);
    }
    let (plural, namespace) = (asked.plural.clone(), asked.namespace.clone());
    let lines = futures_util::stream::unfold((from, false), move |(at, over)| {
        let (state, plural, namespace) = (Arc::clone(&state), plural.clone(), namespace.clone());
        async move {
            if over {
                return None;
            }
            loop {
                let changed = state.changed.notified();
                let (next, now) = {
                    let store = state.store();
                    let mut events = store.events.iter();
                    let next = events.find(|(version, of, place, _)| {
                        *version > at
                            && *of == plural
                            && (namespace.is_empty() || *place == namespace)
                    });
                    let next = next.map(|(version, _, _, event)| (*version, event.to_string()));
                    (next, store.version)
                };
                if let Some((version, event)) = next {
                    return Some((Ok(line(&event)), (version, false)));
                }
                if brief {
                    let mark = json!({"metadata": {"resourceVersion": now.to_string()}});
                    let event = json!({"type": "BOOKMARK", "object": mark});
                    return Some((Ok(line(&event.to_string())), (now, true)));
                }
                changed.await;
            }
        }
    });
    Response::new(StreamBody::new(lines).boxed_unsync())
}

fn line(event: &str) -> Frame<Bytes> {
    Frame::data(format!("{event}\n").into())
}

fn review(mut body: Value, user: &str) -> Value {
    body["status"] = match body["kind"].as_str() {
        Some("SelfSubjectAccessReview") => json!({"allowed": true, "reason": "all is allowed"}),
        Some("SelfSubjectRulesReview") => json!({
            "incomplete": false, "nonResourceRules": [],
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        }),
        _ => json!({"userInfo": {"username": user}}),
    };
    body
}

fn discovery(of: &str) -> Value {
    let resources: Vec<Value> = KINDS
        .iter()
        .filter(|(group, ..)| *group == of)
        .map(|(group, version, kind, plural)| {
            let scope = if *plural == "namespaces" {
                "Cluster"
            } else {
                "Namespaced"
            };
            json!({
                "resource": plural, "scope": scope,
                "responseKind": {"group": group, "version": version, "kind": kind},
            })
        })
        .collect();
    json!({"items": [{
        "metadata": {"name": of},
        "versions": [{"version": "v1", "resources": resources}],
    }]})
}

fn missing(asked: &Asked) -> Response<Body> {
    let message = format!("{} {:?} not found", asked.plural, asked.name);
    whole(
        404,
        &json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": message}),
    )
}

fn packed() -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from_static(GZIP)).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert("content-type", "application/json".parse().unwrap());
    headers.insert("content-encoding", "gzip".parse().unwrap());
    response
}

fn whole(status: u16, body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    let headers = response.headers_mut();
    headers.insert("content-type", "application/json".parse().unwrap());
    response
}
