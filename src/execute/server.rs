//! A server for tests that keeps objects by their path, as far as runs need one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::client::scripted::{Scripted, Seen};
use crate::kinds::{Kind, Scope};

/// What a request meets before it is carried out; an answer of its own takes its place.
type Before = dyn Fn(&Seen) -> Option<(u16, String)> + Send + Sync;

/// The server, and what it keeps.
#[derive(Clone, Default)]
pub(super) struct Server {
    objects: Arc<Mutex<BTreeMap<String, Value>>>,
    written: Arc<Mutex<Vec<String>>>,
    before: Arc<Mutex<Option<Box<Before>>>>,
}

impl Server {
    /// One that holds these objects, by path.
    pub(super) fn holding(objects: &[(&str, Value)]) -> Self {
        let server = Self::default();
        for (path, object) in objects {
            server.put(path, object.clone());
        }
        server
    }

    /// Puts an object there as somebody else would.
    pub(super) fn put(&self, path: &str, mut object: Value) {
        let mut objects = self.objects.lock().unwrap();
        let last = objects.get(path).map_or(0, version);
        object["metadata"]["name"] = path.rsplit('/').next().into();
        object["metadata"]["uid"] = format!("uid of {path}").into();
        if let Some((_, rest)) = path.split_once("/namespaces/")
            && let Some((namespace, _)) = rest.split_once('/')
        {
            object["metadata"]["namespace"] = namespace.into();
        }
        object["metadata"]["resourceVersion"] = (last + 1).to_string().into();
        objects.insert(path.to_owned(), object);
    }

    /// An object, if it is there.
    pub(super) fn get(&self, path: &str) -> Option<Value> {
        self.objects.lock().unwrap().get(path).cloned()
    }

    /// Takes an object away as somebody else would.
    pub(super) fn remove(&self, path: &str) {
        self.objects.lock().unwrap().remove(path);
    }

    /// The writes that were carried out: `PATCH /api/…`.
    pub(super) fn written(&self) -> Vec<String> {
        self.written.lock().unwrap().clone()
    }

    /// What each request meets from now on.
    pub(super) fn before(
        &self,
        meets: impl Fn(&Seen) -> Option<(u16, String)> + Send + Sync + 'static,
    ) {
        *self.before.lock().unwrap() = Some(Box::new(meets));
    }

    /// Over which clients are made.
    pub(super) fn script(&self) -> Scripted {
        let server = self.clone();
        Scripted::answering([], move |request| server.answer(request))
    }

    fn answer(&self, request: &Seen) -> (u16, String) {
        let met = self
            .before
            .lock()
            .unwrap()
            .as_ref()
            .and_then(|b| b(request));
        if let Some(met) = met {
            return met;
        }
        let path = request.target.split('?').next().unwrap_or_default();
        match path {
            "/api" => return discovery(str::is_empty),
            "/apis" => return discovery(|group| !group.is_empty()),
            _ => {}
        }
        if path.ends_with("selfsubjectaccessreviews") {
            return (201, json!({"status": {"allowed": true}}).to_string());
        }
        let below: Vec<&str> = match path.strip_prefix("/api/v1/") {
            Some(below) => below.split('/').collect(),
            None => path.split('/').skip(4).collect(),
        };
        let is_list = below.len() % 2 == 1;
        if request.method == "GET" && is_list {
            return self.list(path, below[below.len() - 1], &request.target);
        }
        let sent: Value = serde_json::from_str(&request.body).unwrap_or_default();
        let path = match sent["metadata"]["name"].as_str() {
            Some(name) if request.method == "POST" => format!("{path}/{name}"),
            _ => path.to_owned(),
        };
        self.one(&request.method, &path, sent)
    }

    fn one(&self, method: &str, path: &str, sent: Value) -> (u16, String) {
        let found = self.get(path);
        let expected = &sent["metadata"]["resourceVersion"];
        let stale = |found: &Value| {
            !expected.is_null() && *expected != found["metadata"]["resourceVersion"]
        };
        if method != "GET" {
            self.written
                .lock()
                .unwrap()
                .push(format!("{method} {path}"));
        }
        match (method, found) {
            ("GET", Some(found)) => return (200, found.to_string()),
            ("GET" | "DELETE" | "PUT", None) => return (404, String::new()),
            ("POST", Some(_)) => {
                return (
                    409,
                    json!({"kind": "Status", "reason": "AlreadyExists"}).to_string(),
                );
            }
            ("DELETE", Some(_)) => {
                self.remove(path);
                return (200, "{}".to_owned());
            }
            ("PUT" | "PATCH", Some(found)) if stale(&found) => return (409, String::new()),
            ("PATCH", found) => {
                let mut object = found.unwrap_or_else(|| json!({}));
                crate::translate::change::merge(&mut object, &sent);
                self.put(path, object);
            }
            (_, _) => self.put(path, sent),
        }
        (200, self.get(path).unwrap_or_default().to_string())
    }

    fn list(&self, path: &str, plural: &str, target: &str) -> (u16, String) {
        let objects = self.objects.lock().unwrap();
        let inside = |known: &String| {
            let own = known
                .strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('/'));
            let root = path.strip_suffix(plural).unwrap_or_default();
            let anywhere = known.starts_with(root)
                && known.rsplit('/').nth(1) == Some(plural)
                && !path.contains("/namespaces/");
            own && known[path.len() + 1..].split('/').count() == 1 || anywhere
        };
        let labelled = |object: &Value| {
            // Selectors ask whether a label is there, or not.
            let Some((_, rest)) = target.split_once("labelSelector=") else {
                return true;
            };
            let selector = rest.split('&').next().unwrap_or_default();
            let selector = selector
                .replace("%2F", "/")
                .replace("%2C", ",")
                .replace("%21", "!");
            let has = |key: &str| !object["metadata"]["labels"][key].is_null();
            selector
                .split(',')
                .all(|part| match part.strip_prefix('!') {
                    Some(absent) => !has(absent),
                    None => has(part),
                })
        };
        let items: Vec<&Value> = objects
            .iter()
            .filter(|(known, object)| inside(known) && labelled(object))
            .map(|(_, object)| object)
            .collect();
        (200, json!({"metadata": {}, "items": items}).to_string())
    }
}

fn version(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn discovery(wanted: impl Fn(&str) -> bool) -> (u16, String) {
    let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<Value>>> = BTreeMap::new();
    for kind in Kind::ALL.iter().filter(|kind| wanted(kind.group())) {
        let scope = match kind.scope() {
            Scope::Cluster => "Cluster",
            Scope::Namespaced => "Namespaced",
        };
        let versions = groups.entry(kind.group()).or_default();
        versions.entry(kind.versions()[0]).or_default().push(json!({
            "resource": kind.plural(), "responseKind": {"kind": kind.written()},
            "scope": scope, "verbs": ["get", "list"],
        }));
    }
    let of = |(group, versions): (&str, BTreeMap<&str, Vec<Value>>)| {
        let versions: Vec<Value> = versions
            .into_iter()
            .map(|(version, resources)| {
                json!({"version": version, "freshness": "Current", "resources": resources})
            })
            .collect();
        json!({"metadata": {"name": group}, "versions": versions})
    };
    let items: Vec<Value> = groups.into_iter().map(of).collect();
    (200, json!({ "items": items }).to_string())
}
