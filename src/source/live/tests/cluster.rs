//! An API server that serves a list of objects, as far as a reader of them can tell.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::client::scripted::Seen;
use crate::kinds::{Kind, KindSet, Scope};

/// The objects of the example mesh.
pub(super) fn wealist() -> Vec<Value> {
    static OBJECTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
        wealist_files()
            .values()
            .flat_map(|text| serde_saphyr::from_multiple::<Value>(text).unwrap())
            .collect()
    });
    OBJECTS.clone()
}

/// The files of the example mesh, by name.
pub(super) fn wealist_files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wealist");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// One that is asked: verb, kind, namespace.
pub(super) type Forbids = fn(&str, Kind, Option<&str>) -> bool;

/// A cluster.
pub(super) struct Cluster {
    pub(super) objects: Vec<Value>,
    /// Kinds that it does not know.
    pub(super) unserved: KindSet,
    /// Groups whose discovery is stale.
    pub(super) stale: Vec<&'static str>,
    /// What the user may not.
    pub(super) forbids: Forbids,
    /// Whether reviews tell; otherwise they say yes to everything.
    pub(super) reviews: bool,
}

impl Cluster {
    pub(super) fn of(objects: Vec<Value>) -> Self {
        Self {
            objects,
            unserved: KindSet::EMPTY,
            stale: Vec::new(),
            forbids: |_, _, _| false,
            reviews: true,
        }
    }

    pub(super) fn answer(&self, request: &Seen) -> (u16, String) {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        match path {
            "/api" => self.discovery(str::is_empty),
            "/apis" => self.discovery(|group| !group.is_empty()),
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews" => self.review(&request.body),
            "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews" => self.rules(&request.body),
            _ => self.resource(path, query, request),
        }
    }

    fn discovery(&self, wanted: impl Fn(&str) -> bool) -> (u16, String) {
        let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<Value>>> = BTreeMap::new();
        for kind in self.kinds().filter(|kind| wanted(kind.group())) {
            let scope = match kind.scope() {
                Scope::Cluster => "Cluster",
                Scope::Namespaced => "Namespaced",
            };
            let version = groups.entry(kind.group()).or_default();
            version.entry(kind.versions()[0]).or_default().push(json!({
                "resource": kind.plural(), "responseKind": {"kind": kind.written()},
                "scope": scope, "verbs": ["get", "list"],
            }));
        }
        let items: Vec<Value> =
            groups
                .into_iter()
                .map(|(group, versions)| {
                    let freshness = if self.stale.contains(&group) {
                        "Stale"
                    } else {
                        "Current"
                    };
                    let versions: Vec<Value> = versions
                    .into_iter()
                    .map(|(version, resources)| {
                        let resources = if freshness == "Stale" { Vec::new() } else { resources };
                        json!({"version": version, "freshness": freshness, "resources": resources})
                    })
                    .collect();
                    json!({"metadata": {"name": group}, "versions": versions})
                })
                .collect();
        (200, json!({ "items": items }).to_string())
    }

    fn kinds(&self) -> impl Iterator<Item = Kind> {
        let unserved = self.unserved;
        Kind::ALL
            .iter()
            .copied()
            .filter(move |kind| !unserved.contains(*kind))
    }

    fn review(&self, body: &str) -> (u16, String) {
        let review: Value = serde_json::from_str(body).unwrap();
        let asked = &review["spec"]["resourceAttributes"];
        let text = |field: &str| asked[field].as_str().unwrap_or_default();
        let namespace = asked["namespace"].as_str();
        let allowed = !self.reviews
            || Kind::ALL
                .iter()
                .filter(|kind| text("resource") == "*" || kind.plural() == text("resource"))
                .filter(|kind| text("group") == "*" || kind.group() == text("group"))
                .all(|kind| !(self.forbids)(text("verb"), *kind, namespace));
        (200, json!({"status": {"allowed": allowed}}).to_string())
    }

    fn rules(&self, body: &str) -> (u16, String) {
        let review: Value = serde_json::from_str(body).unwrap();
        let namespace = review["spec"]["namespace"].as_str();
        let rules: Vec<Value> = Kind::ALL
            .iter()
            .filter(|kind| !(self.forbids)("list", **kind, namespace))
            .map(|kind| {
                json!({"verbs": ["list"], "apiGroups": [kind.group()], "resources": [kind.plural()]})
            })
            .collect();
        let status = json!({"resourceRules": rules, "incomplete": false});
        (200, json!({ "status": status }).to_string())
    }

    fn resource(&self, path: &str, query: &str, request: &Seen) -> (u16, String) {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => return refusal(404, "no such path"),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let (plural, name) = match rest {
            [plural] => (*plural, None),
            [plural, name] => (*plural, Some(*name)),
            _ => return refusal(404, "no such path"),
        };
        let Some(kind) = self
            .kinds()
            .find(|kind| kind.group() == group && kind.plural() == plural)
        else {
            return refusal(404, "no such kind");
        };
        let verb = if name.is_some() { "get" } else { "list" };
        if (self.forbids)(verb, kind, namespace) {
            let words = format!("{plural} is forbidden: User \"ana\" cannot {verb} them");
            return refusal(403, &words);
        }
        let metadata_only = request.headers["accept"][0].contains("PartialObjectMetadata");
        let query = pairs(query);
        let mut found = self
            .objects
            .iter()
            .filter(|object| {
                let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
                Kind::of(text("/apiVersion").unwrap(), text("/kind").unwrap()) == Some(kind)
                    && namespace.is_none_or(|wanted| text("/metadata/namespace") == Some(wanted))
                    && name.is_none_or(|wanted| text("/metadata/name") == Some(wanted))
            })
            .filter(|object| selected(object, &query))
            .map(|object| served(object, kind, metadata_only, name.is_some()));
        if name.is_some() {
            return match found.next() {
                Some(object) => (200, object.to_string()),
                None => refusal(404, "not found"),
            };
        }
        page(&found.collect::<Vec<Value>>(), &query)
    }
}

fn refusal(code: u16, message: &str) -> (u16, String) {
    let status = json!({"kind": "Status", "code": code, "message": message});
    (code, status.to_string())
}

fn page(found: &[Value], query: &BTreeMap<String, String>) -> (u16, String) {
    let start: usize = query
        .get("continue")
        .map_or(0, |token| token.parse().unwrap());
    let limit: usize = query
        .get("limit")
        .map_or(usize::MAX, |limit| limit.parse().unwrap());
    let end = found.len().min(start.saturating_add(limit));
    let next = if end < found.len() {
        end.to_string()
    } else {
        String::new()
    };
    let list = json!({
        "metadata": {"resourceVersion": "1", "continue": next}, "items": &found[start..end],
    });
    (200, list.to_string())
}

/// An object as the server writes it: in a list without kind, unless it is a custom resource.
fn served(object: &Value, kind: Kind, metadata_only: bool, alone: bool) -> Value {
    if metadata_only {
        return json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": object["metadata"],
        });
    }
    let mut object = object.clone();
    if !alone && !kind.group().contains("istio.io") && kind.group() != "gateway.networking.k8s.io" {
        let fields = object.as_object_mut().unwrap();
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    object
}

fn selected(object: &Value, query: &BTreeMap<String, String>) -> bool {
    let terms = |name: &str| {
        let terms = query.get(name).cloned().unwrap_or_default();
        let terms: Vec<String> = terms
            .split(',')
            .filter(|term| !term.is_empty())
            .map(str::to_owned)
            .collect();
        terms
    };
    let label = |key: &str| object["metadata"]["labels"][key].as_str();
    let field = |key: &str| object.pointer(&format!("/{}", key.replace('.', "/")));
    terms("labelSelector")
        .iter()
        .all(|term| match (term.split_once("!="), term.split_once('=')) {
            (Some((key, value)), _) => label(key) != Some(value),
            (None, Some((key, value))) => label(key) == Some(value),
            (None, None) => label(term).is_some(),
        })
        && terms("fieldSelector").iter().all(|term| {
            let (key, value) = term.split_once('=').unwrap();
            match key.strip_suffix('!') {
                Some(key) => field(key).and_then(Value::as_str) != Some(value),
                None => field(key).and_then(Value::as_str) == Some(value),
            }
        })
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), unescape(value)))
        .collect()
}

fn unescape(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, plain) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).unwrap());
        bytes.extend(plain.as_bytes());
    }
    String::from_utf8(bytes).unwrap()
}
