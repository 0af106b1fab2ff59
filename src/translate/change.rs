//! What changes: objects as they are written, before and after, and when.

use serde_json::{Map, Value};

use crate::kinds::{Kind, Name, ObjectRef};

/// What may be applied together. Between two phases something has to be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// The waypoint and everything that will be enforced there; nothing is in force yet.
    Prepare,
    /// Services are bound to the waypoint, the namespace is labelled ambient.
    Enrol,
    /// Workloads lose their sidecars.
    Switch,
    /// Routes of the Gateway API take over.
    Routes,
    /// What only sidecars needed goes.
    Retire,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Phase; 5] = [
        Self::Prepare,
        Self::Enrol,
        Self::Switch,
        Self::Routes,
        Self::Retire,
    ];

    /// As written in options and folders.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Enrol => "enrol",
            Self::Switch => "switch",
            Self::Routes => "routes",
            Self::Retire => "retire",
        }
    }

    /// What must hold before the next phase begins.
    pub const fn gate(self) -> &'static str {
        match self {
            Self::Prepare => {
                "every waypoint is Programmed with an address and all its replicas ready, and no \
                 sidecar is left that does not accept HBONE"
            }
            Self::Enrol => {
                "every bound Service says WaypointBound, and every policy for a waypoint \
                 WaypointAccepted"
            }
            Self::Switch => {
                "every pod is rolled out without a sidecar and captured \
                 (ambient.istio.io/redirection=enabled)"
            }
            Self::Routes => "every route is Accepted, with ResolvedRefs and ResolvedWaypoints",
            Self::Retire => "nothing: this is the last phase",
        }
    }
}

/// An object as it is written: without status and what a server keeps in its metadata.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    object: ObjectRef,
    json: Value,
}

impl Manifest {
    /// An object as a server or a file has it, without what only a server writes. In the lists of a
    /// server objects do not say of which kind they are.
    pub fn of(object: ObjectRef, mut json: Value) -> Self {
        if let Some(fields) = json.as_object_mut() {
            fields.remove("status");
            if !fields.contains_key("kind") {
                fields.insert("kind".to_owned(), object.kind.written().into());
            }
            if !fields.contains_key("apiVersion") {
                fields.insert("apiVersion".to_owned(), api_version(object.kind).into());
            }
            if let Some(meta) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
                for kept_by_server in [
                    "uid",
                    "resourceVersion",
                    "generation",
                    "creationTimestamp",
                    "managedFields",
                    "selfLink",
                ] {
                    meta.remove(kept_by_server);
                }
                without_last_applied(meta);
            }
        }
        Self { object, json }
    }

    /// Which object.
    pub fn object(&self) -> &ObjectRef {
        &self.object
    }

    /// What is written.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// With a change, as a JSON merge patch (RFC 7386).
    #[must_use]
    pub fn patched(&self, patch: &Value) -> Self {
        let mut json = self.json.clone();
        merge(&mut json, patch);
        Self {
            object: self.object.clone(),
            json,
        }
    }
}

fn without_last_applied(meta: &mut Map<String, Value>) {
    const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) else {
        return;
    };
    if annotations.remove(LAST_APPLIED).is_some() && annotations.is_empty() {
        meta.remove("annotations");
    }
}

/// A JSON merge patch, applied (RFC 7386).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(fields) = target {
        for (key, change) in patch {
            if change.is_null() {
                fields.remove(key);
            } else {
                merge(fields.entry(key.as_str()).or_insert(Value::Null), change);
            }
        }
    }
}

/// What is done to an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// It is new.
    Create(Manifest),
    /// It is changed.
    Update {
        /// As it was.
        before: Manifest,
        /// As it is then.
        after: Manifest,
        /// The change, as a JSON merge patch.
        patch: Value,
    },
    /// It goes.
    Remove(Manifest),
}

impl Edit {
    /// The object.
    pub fn object(&self) -> &ObjectRef {
        match self {
            Self::Create(manifest) | Self::Remove(manifest) => manifest.object(),
            Self::Update { after, .. } => after.object(),
        }
    }

    /// The object as it is then; nothing when it is gone.
    pub fn after(&self) -> Option<&Manifest> {
        match self {
            Self::Create(manifest) => Some(manifest),
            Self::Update { after, .. } => Some(after),
            Self::Remove(_) => None,
        }
    }
}

/// Something that changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// When.
    pub phase: Phase,
    /// What is done.
    pub edit: Edit,
    /// The objects on whose account, sorted.
    pub because: Vec<ObjectRef>,
}

/// The place of a kind in the order of applying: what others refer to comes first.
pub(super) fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Namespace => 0,
        // A waypoint's parameters must be there before its Gateway.
        Kind::ConfigMap => 1,
        Kind::Gateway | Kind::IstioGateway => 2,
        Kind::Service | Kind::ServiceEntry => 3,
        Kind::DestinationRule => 4,
        Kind::RequestAuthentication => 5,
        Kind::PeerAuthentication => 6,
        Kind::AuthorizationPolicy => 7,
        Kind::WasmPlugin | Kind::TrafficExtension | Kind::Telemetry => 8,
        Kind::HTTPRoute | Kind::GRPCRoute | Kind::TCPRoute | Kind::TLSRoute => 9,
        Kind::VirtualService => 10,
        _ => 11,
    }
}

/// Where a manifest comes from, and who made it.
pub const SOURCE: &str = "kubectl-ambient/source";

/// A new object: `apiVersion` is the preferred version of its kind, and the annotation
/// [`SOURCE`] names what it was made from.
pub fn new_object(
    kind: Kind,
    namespace: &Name,
    name: &str,
    source: Option<&ObjectRef>,
    labels: &[(&str, &str)],
    spec: Value,
) -> Manifest {
    let object = ObjectRef::new(kind, namespace, &Name::from(name));
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), name.into());
    metadata.insert("namespace".to_owned(), namespace.as_ref().into());
    if !labels.is_empty() {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).into()));
        metadata.insert("labels".to_owned(), Value::Object(labels.collect()));
    }
    if let Some(source) = source {
        let mut annotations = Map::new();
        annotations.insert(SOURCE.to_owned(), written(source).into());
        metadata.insert("annotations".to_owned(), Value::Object(annotations));
    }
    let mut json = Map::new();
    json.insert("apiVersion".to_owned(), api_version(kind).into());
    json.insert("kind".to_owned(), kind.written().into());
    json.insert("metadata".to_owned(), Value::Object(metadata));
    json.insert("spec".to_owned(), spec);
    Manifest {
        object,
        json: Value::Object(json),
    }
}

/// The preferred version of a kind, as manifests have it.
fn api_version(kind: Kind) -> String {
    let version = kind.versions().first().copied().unwrap_or("v1");
    match kind.group() {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    }
}

/// An object in an annotation: `VirtualService/shop/reviews`.
fn written(object: &ObjectRef) -> String {
    format!("{}/{}/{}", object.kind, object.namespace, object.name)
}
