//! Makes a waypoint: looks first, then applies, then binds the namespace, each when it is asked to.

use serde_json::{Value, json};

use super::super::api::Api;
use super::super::applied::{Applied, apply_object};
use super::super::labels::{LabelChange, set_labels};
use super::super::rights::{access, review};
use crate::client::{Access, Client, ClientError, WriteOptions};
use crate::error::Error;
use crate::exit::Exit;
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::waypoints::{
    Traffic, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE, WAYPOINT_CLASS, WAYPOINT_FOR,
};
use crate::mesh::workloads::MANAGED_LABEL;
use crate::waypoint::manifest::{MANAGED_BY, REVISION, SEVERAL, Wanted};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Making {
    /// The namespace.
    pub namespace: Name,
    /// The waypoint, as far as it was said; what was not is kept as it is.
    pub wanted: Wanted,
    /// Whether the namespace is bound to it.
    pub enroll: bool,
    /// Whether the namespace's own label may be replaced.
    pub overwrite: bool,
}

/// What will be done, known before anything is.
#[derive(Debug)]
pub struct Made {
    /// The waypoint's Gateway.
    pub gateway: ObjectRef,
    /// The waypoint in full.
    pub wanted: Wanted,
    /// Whether there is one already.
    pub there: bool,
    /// The waypoint that the namespace names now; empty for none.
    pub bound_to: String,
    /// Whether the namespace will be bound.
    pub enroll: bool,
    /// Whether the namespace's label may be replaced.
    pub overwrite: bool,
    /// What whoever asked should know.
    pub notes: Vec<String>,
    api: Api,
}

/// One object, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Which.
    pub object: ObjectRef,
    /// What became of it.
    pub applied: Applied,
}

/// Looks whether a waypoint can be made, and how. Nothing is changed.
///
/// # Errors
/// When it cannot: no such namespace, no Gateway API, a Gateway of another class in its place.
pub async fn prepare(client: &Client, making: &Making) -> Result<Made, Error> {
    let kinds = [
        Kind::Namespace,
        Kind::Gateway,
        Kind::GatewayClass,
        Kind::ConfigMap,
        Kind::Deployment,
        Kind::StatefulSet,
        Kind::Rollout,
    ];
    let api = Api::discover(client, &kinds).await?;
    let namespace = &making.namespace;
    let home = ObjectRef::new(Kind::Namespace, namespace, namespace);
    let Some(found) = read(client, &api, &home).await? else {
        let message = format!("there is no namespace {namespace}");
        return Err(Error::new(Exit::Data, message));
    };
    is_possible(client, &api).await?;
    let gateway = ObjectRef::new(
        Kind::Gateway,
        namespace,
        &Name::from(making.wanted.name.as_str()),
    );
    let there = read(client, &api, &gateway).await?;
    let mut notes = Vec::new();
    let wanted = complete(client, &api, making, there.as_ref(), &mut notes).await?;
    if wanted.replicas.is_some() && !has_free_place(client, &api, making, &wanted).await? {
        return Err(taken(making, &wanted));
    }
    let labels = &found["metadata"]["labels"];
    let bound_to = labels[USE_WAYPOINT].as_str().unwrap_or_default().to_owned();
    if making.enroll {
        may_bind(&found["metadata"], making)?;
        if labels["istio.io/dataplane-mode"] != "ambient" {
            notes.push(format!(
                "Namespace/{namespace} is not ambient: only clients that are ambient themselves will \
                 come through the waypoint"
            ));
        }
    }
    let made = Made {
        gateway,
        wanted,
        there: there.is_some(),
        bound_to,
        enroll: making.enroll,
        overwrite: making.overwrite,
        notes,
        api,
    };
    review(client, &made.rights()).await?;
    Ok(made)
}

impl Made {
    /// The rights for all that will be written.
    fn rights(&self) -> Vec<Access> {
        let namespace = &self.gateway.namespace;
        let mut wanted = vec![
            ("create", self.gateway.clone()),
            ("patch", self.gateway.clone()),
        ];
        if self.wanted.replicas.is_some() {
            let options = Name::from(self.wanted.options_name().as_str());
            let options = ObjectRef::new(Kind::ConfigMap, namespace, &options);
            wanted.extend([("create", options.clone()), ("patch", options)]);
        }
        if self.enroll {
            let home = ObjectRef::new(Kind::Namespace, namespace, namespace);
            wanted.push(("patch", home));
        }
        let target = |(verb, object): (&str, ObjectRef)| {
            self.api.target(&object).map(|target| access(verb, &target))
        };
        wanted.into_iter().filter_map(target).collect()
    }
}

async fn read(
    client: &Client,
    api: &Api,
    object: &ObjectRef,
) -> Result<Option<Value>, ClientError> {
    match api.target(object) {
        Some(target) => client.read_object(&target).await,
        None => Ok(None),
    }
}

/// Whether anybody makes waypoints of Gateways here.
async fn is_possible(client: &Client, api: &Api) -> Result<(), Error> {
    if api.version(Kind::Gateway).is_none() {
        return Err(Error::new(
            Exit::Negative,
            "the cluster does not serve the Gateway API, of which waypoints are made",
        )
        .hint("`kubectl ambient explain AMB105` says how to install it"));
    }
    let class = ObjectRef::new(
        Kind::GatewayClass,
        &Name::from(""),
        &Name::from(WAYPOINT_CLASS),
    );
    match read(client, api, &class).await {
        // A right that few have: whether the waypoint comes up will tell.
        Ok(Some(_)) | Err(ClientError::Forbidden { .. }) => Ok(()),
        Ok(None) => Err(Error::new(
            Exit::Negative,
            format!("there is no GatewayClass/{WAYPOINT_CLASS}: no istiod here makes waypoints"),
        )
        .hint("an istiod with the ambient profile makes the class; `kubectl ambient version` shows what is installed")),
        Err(error) => Err(error.into()),
    }
}

/// The waypoint in full: what was not asked for stays as it is in the one that is there.
async fn complete(
    client: &Client,
    api: &Api,
    making: &Making,
    there: Option<&Value>,
    notes: &mut Vec<String>,
) -> Result<Wanted, Error> {
    let mut wanted = making.wanted.clone();
    let Some(there) = there else {
        if wanted.replicas.is_none() && has_several(client, api, &making.namespace, notes).await? {
            wanted.replicas = Some(SEVERAL);
        }
        return Ok(wanted);
    };
    let class = there["spec"]["gatewayClassName"]
        .as_str()
        .unwrap_or_default();
    if class != WAYPOINT_CLASS {
        return Err(Error::new(
            Exit::Negative,
            format!(
                "Gateway/{} -n {} is no waypoint: its class is {class}",
                wanted.name, making.namespace
            ),
        )
        .hint("`--name` gives the waypoint another name"));
    }
    let labels = &there["metadata"]["labels"];
    if wanted.traffic.is_none() {
        wanted.traffic = labels[WAYPOINT_FOR].as_str().and_then(Traffic::named);
    }
    if wanted.revision.is_none() {
        wanted.revision = labels[REVISION].as_str().map(str::to_owned);
    }
    let options = &there["spec"]["infrastructure"]["parametersRef"]["name"];
    let named = options.as_str() == Some(&wanted.options_name());
    // Parameters of somebody else stay as they are.
    if wanted.replicas.is_none() && named && has_free_place(client, api, making, &wanted).await? {
        wanted.replicas = Some(kept_replicas(client, api, making, &wanted).await?);
    }
    Ok(wanted)
}

/// Whether nobody else has a ConfigMap where the waypoint's parameters stand.
async fn has_free_place(
    client: &Client,
    api: &Api,
    making: &Making,
    wanted: &Wanted,
) -> Result<bool, ClientError> {
    let name = Name::from(wanted.options_name().as_str());
    let map = ObjectRef::new(Kind::ConfigMap, &making.namespace, &name);
    let (label, ours) = MANAGED_BY;
    let found = read(client, api, &map).await?;
    Ok(found.is_none_or(|map| map["metadata"]["labels"][label] == ours))
}

fn taken(making: &Making, wanted: &Wanted) -> Error {
    let (map, namespace) = (wanted.options_name(), &making.namespace);
    let message = format!(
        "ConfigMap/{map} -n {namespace} stands where the waypoint's parameters would, and somebody else made it"
    );
    Error::new(Exit::Negative, message).hint("`--name` gives the waypoint another name")
}

/// The number of replicas that our ConfigMap asks for.
async fn kept_replicas(
    client: &Client,
    api: &Api,
    making: &Making,
    wanted: &Wanted,
) -> Result<u16, ClientError> {
    let name = Name::from(wanted.options_name().as_str());
    let map = ObjectRef::new(Kind::ConfigMap, &making.namespace, &name);
    let found = read(client, api, &map).await?.unwrap_or_default();
    let deployment = found["data"]["deployment"].as_str().unwrap_or_default();
    let mut lines = deployment.lines();
    let replicas =
        lines.find_map(|line| line.trim().strip_prefix("replicas:")?.trim().parse().ok());
    Ok(replicas.unwrap_or(SEVERAL))
}

/// Whether a workload of the namespace has more than one replica.
async fn has_several(
    client: &Client,
    api: &Api,
    namespace: &Name,
    notes: &mut Vec<String>,
) -> Result<bool, ClientError> {
    for kind in [Kind::Deployment, Kind::StatefulSet, Kind::Rollout] {
        let Some(request) = api.list(kind, Some(namespace)) else {
            continue;
        };
        let found = match client.objects(&request).await {
            Ok(found) => found,
            Err(ClientError::Forbidden { message, .. }) => {
                notes.push(format!(
                    "how many replicas there are behind the waypoint is not known, and it gets one: \
                     {message}"
                ));
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let several = |object: &Value| {
            object["spec"]["replicas"].as_u64() > Some(1)
                && object["metadata"]["labels"][MANAGED_LABEL].is_null()
        };
        if found.values().any(several) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the namespace's label may be ours.
fn may_bind(metadata: &Value, making: &Making) -> Result<(), Error> {
    may_replace(
        metadata,
        &making.namespace,
        &making.wanted.name,
        making.overwrite,
    )
}

fn may_replace(
    metadata: &Value,
    namespace: &str,
    name: &str,
    overwrite: bool,
) -> Result<(), Error> {
    let labels = &metadata["labels"];
    let bound = labels[USE_WAYPOINT].as_str().unwrap_or_default();
    let elsewhere = labels[USE_WAYPOINT_NAMESPACE]
        .as_str()
        .filter(|home| *home != namespace);
    if overwrite || bound.is_empty() || (bound == name && elsewhere.is_none()) {
        return Ok(());
    }
    let whose = elsewhere
        .map(|home| format!(" of namespace {home}"))
        .unwrap_or_default();
    Err(Error::new(
        Exit::Negative,
        format!("Namespace/{namespace} is bound to waypoint {bound}{whose} already"),
    )
    .hint("`--overwrite` binds it to the new one"))
}

/// Applies the waypoint's objects.
///
/// # Errors
/// When the server does not accept them, or others own what they set.
pub async fn apply(
    client: &Client,
    made: &Made,
    options: WriteOptions,
) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = Vec::new();
    for object in made.wanted.objects() {
        let kind = if object["kind"] == "ConfigMap" {
            Kind::ConfigMap
        } else {
            Kind::Gateway
        };
        let name = Name::from(object["metadata"]["name"].as_str().unwrap_or_default());
        let reference = ObjectRef::new(kind, &made.gateway.namespace, &name);
        let Some(target) = made.api.target(&reference) else {
            continue;
        };
        let mut object = object;
        object["apiVersion"] = match kind.group() {
            "" => json!(target.version),
            group => json!(format!("{group}/{}", target.version)),
        };
        let applied = apply_object(client, &target, &object, options).await?;
        outcomes.push(Outcome {
            object: reference,
            applied,
        });
    }
    Ok(outcomes)
}

/// Binds the namespace to its waypoint, which must be ready.
///
/// # Errors
/// When the namespace is bound to another by now, or may not be changed.
pub async fn bind(
    client: &Client,
    made: &Made,
    options: WriteOptions,
) -> Result<LabelChange, Error> {
    let namespace = &made.gateway.namespace;
    let home = ObjectRef::new(Kind::Namespace, namespace, namespace);
    let Some(target) = made.api.target(&home) else {
        return Ok(LabelChange::Absent);
    };
    let labels = [
        (USE_WAYPOINT, Some(made.wanted.name.as_str())),
        (USE_WAYPOINT_NAMESPACE, None),
    ];
    let may =
        |metadata: &Value| may_replace(metadata, namespace, &made.wanted.name, made.overwrite);
    set_labels(client, &target, &labels, options, &may).await
}
