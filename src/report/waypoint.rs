//! The documents of `waypoint generate`, `list`, `status`, `apply` and `delete`.

use schemars::JsonSchema;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::{API_VERSION, Header};
use crate::kinds::{Name, ObjectRef};
use crate::mesh::waypoints::Unbound;
use crate::waypoint::standing::{Enforced, Role, Standing, User};

/// Objects to be applied by whoever asked for them.
#[derive(Debug)]
pub struct GeneratedObjects(pub Vec<Value>);

impl Serialize for GeneratedObjects {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let [only] = &self.0[..] {
            return only.serialize(serializer);
        }
        let mut list = serializer.serialize_struct("List", 3)?;
        list.serialize_field("apiVersion", "v1")?;
        list.serialize_field("kind", "List")?;
        list.serialize_field("items", &self.0)?;
        list.end()
    }
}

/// What `waypoint list` says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaypointList {
    api_version: &'static str,
    kind: &'static str,
    /// What differs from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Header>,
    /// The namespace that was looked at; nothing for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Name>,
    /// The waypoints, by namespace and name.
    pub waypoints: Vec<WaypointEntry>,
    /// What could not be looked at.
    pub unread: Vec<MissingEntry>,
}

/// What `waypoint status` says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaypointStatus {
    api_version: &'static str,
    kind: &'static str,
    /// What differs from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Header>,
    /// The namespace that was looked at; nothing for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Name>,
    /// The waypoints, by namespace and name.
    pub waypoints: Vec<StandingEntry>,
    /// What could not be looked at.
    pub unread: Vec<MissingEntry>,
}

/// A waypoint.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaypointEntry {
    /// Its namespace.
    pub namespace: Name,
    /// Its name.
    pub name: Name,
    /// The revision that its label names; `default` without one.
    pub revision: String,
    /// Which traffic it takes, whether its label says so or not.
    pub traffic: &'static str,
    /// Whether istiod has programmed it; absent before it has looked at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub programmed: Option<bool>,
    /// What it lacks to be ready; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
}

/// How a waypoint stands.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StandingEntry {
    /// What it is.
    #[serde(flatten)]
    pub waypoint: WaypointEntry,
    /// Its pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<ReplicasEntry>,
    /// Whose labels name it, by namespace, kind and name.
    pub bound: Vec<UserEntry>,
    /// What it enforces, by namespace, kind and name.
    pub enforced: Vec<EnforcedEntry>,
}

/// The pods of a waypoint.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct ReplicasEntry {
    /// How many are ready.
    pub ready: u64,
    /// How many there are to be.
    pub wanted: u64,
}

/// An object as documents name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ObjectEntry {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace; absent where it has none.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub namespace: Name,
    /// Its name.
    pub name: Name,
}

impl From<&ObjectRef> for ObjectEntry {
    fn from(object: &ObjectRef) -> Self {
        Self {
            kind: object.kind.written(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        }
    }
}

/// An object whose label names a waypoint.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserEntry {
    /// Which.
    #[serde(flatten)]
    pub object: ObjectEntry,
    /// As people write it.
    #[serde(skip)]
    pub shown: String,
    /// Its label that names the waypoint.
    pub label: &'static str,
    /// Why the label has no effect; absent when it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unbound: Option<&'static str>,
}

/// A policy or a route that is enforced at a waypoint.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EnforcedEntry {
    /// Which.
    #[serde(flatten)]
    pub object: ObjectEntry,
    /// As people write it.
    #[serde(skip)]
    pub shown: String,
    /// What it is attached to.
    pub target: ObjectEntry,
    /// As people write it.
    #[serde(skip)]
    pub target_shown: String,
    /// Why istiod does not accept it; absent when it does, or says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What could not be looked at.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MissingEntry {
    /// What.
    pub what: String,
    /// Why not.
    pub reason: String,
}

impl WaypointList {
    /// The document.
    pub fn new(
        standings: &[Standing],
        namespace: Option<Name>,
        unread: Vec<MissingEntry>,
        header: Option<Header>,
    ) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "WaypointList",
            metadata: header,
            namespace,
            waypoints: standings.iter().map(waypoint_entry).collect(),
            unread,
        }
    }
}

impl WaypointStatus {
    /// The document.
    pub fn new(
        standings: &[Standing],
        namespace: Option<Name>,
        unread: Vec<MissingEntry>,
        header: Option<Header>,
    ) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "WaypointStatus",
            metadata: header,
            namespace,
            waypoints: standings.iter().map(standing_entry).collect(),
            unread,
        }
    }
}

fn waypoint_entry(standing: &Standing) -> WaypointEntry {
    let waypoint = &standing.waypoint;
    WaypointEntry {
        namespace: waypoint.object.namespace.clone(),
        name: waypoint.object.name.clone(),
        revision: standing
            .revision
            .clone()
            .unwrap_or_else(|| "default".to_owned()),
        traffic: waypoint.traffic.name(),
        programmed: waypoint
            .programmed
            .as_ref()
            .map(|(programmed, _)| *programmed),
        lacks: standing.lacks(),
    }
}

fn standing_entry(standing: &Standing) -> StandingEntry {
    StandingEntry {
        waypoint: waypoint_entry(standing),
        replicas: standing.replicas.map(|replicas| ReplicasEntry {
            ready: replicas.ready,
            wanted: replicas.wanted,
        }),
        bound: standing.users.iter().map(user_entry).collect(),
        enforced: standing.enforced.iter().map(enforced_entry).collect(),
    }
}

fn user_entry(user: &User) -> UserEntry {
    UserEntry {
        object: ObjectEntry::from(&user.object),
        shown: match user.role {
            Role::Primary => user.object.to_string(),
            Role::Canary => format!("{} (canary)", user.object),
        },
        label: user.role.labels().0,
        unbound: user.unbound.map(|unbound| match unbound {
            Unbound::Missing => "there is no such waypoint",
            Unbound::NotReady => "the waypoint has no address yet",
            Unbound::NotAllowed => "the waypoint's listener does not admit its namespace",
            Unbound::OtherTraffic => "the waypoint does not take traffic of this kind",
        }),
    }
}

fn enforced_entry(enforced: &Enforced) -> EnforcedEntry {
    EnforcedEntry {
        object: ObjectEntry::from(&enforced.object),
        shown: enforced.object.to_string(),
        target: ObjectEntry::from(&enforced.through),
        target_shown: enforced.through.short(),
        refused: match &enforced.accepted {
            Some((false, message)) => Some(message.clone()),
            _ => None,
        },
    }
}

/// What `waypoint apply` and `waypoint delete` did.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaypointChanges {
    api_version: &'static str,
    kind: &'static str,
    /// What differs from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Header>,
    /// Whether the server only judged it.
    pub dry_run: bool,
    /// What was done, in order.
    pub changes: Vec<ChangeEntry>,
    /// Whether the waypoint is ready; absent where nobody waited for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
}

/// One thing that was done.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangeEntry {
    /// To which object.
    #[serde(flatten)]
    pub object: ObjectEntry,
    /// As people write it.
    #[serde(skip)]
    pub shown: String,
    /// What was done: `created`, `configured`, `unchanged`, `bound`, `unbound`, `deleted`, `absent`.
    pub change: &'static str,
}

impl ChangeEntry {
    /// One thing that was done.
    pub fn new(object: &ObjectRef, change: &'static str) -> Self {
        Self {
            object: ObjectEntry::from(object),
            shown: object.to_string(),
            change,
        }
    }
}

impl WaypointChanges {
    /// The document, before anything was done.
    pub fn new(dry_run: bool, header: Option<Header>) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "WaypointChanges",
            metadata: header,
            dry_run,
            changes: Vec::new(),
            ready: None,
        }
    }
}
