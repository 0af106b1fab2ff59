//! Reads what is known of waypoints: their Gateways and pods, who is bound to them, what they enforce.

use std::collections::BTreeMap;
use std::fmt;

use futures_util::future::{join, join_all};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::api::Api;
use crate::client::{Client, ClientError, ListRequest, Objects};
use crate::kinds::authorization::{AttachedSpec, TargetRef};
use crate::kinds::gateway_api::{Condition, Gateway, GatewayClass, RouteSpec};
use crate::kinds::{Kind, Labels, Meta, Name, ObjectRef};
use crate::mesh::waypoints::{USE_WAYPOINT, USE_WAYPOINT_CANARY, WAYPOINT_CLASS};
use crate::mesh::workloads::{GATEWAY_NAME_LABEL, MANAGED_LABEL};
use crate::waypoint::standing::{
    Attached, BINDABLE, Found, Labelled, POLICIES, ROUTES, Replicas, Survey,
};

/// The namespace of istiod and of policies for the whole mesh, unless an installation differs.
const ROOT: &str = "istio-system";

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The waypoints alone.
    Waypoints,
    /// Who is bound to them, too.
    Bound,
    /// Who is bound to them and what they enforce, too.
    Users,
}

impl Depth {
    /// The kinds that are read beside the waypoints.
    fn kinds(self) -> Vec<Kind> {
        match self {
            Self::Waypoints => Vec::new(),
            Self::Bound => BINDABLE.to_vec(),
            Self::Users => [BINDABLE, POLICIES, ROUTES].concat(),
        }
    }
}

/// What could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// Which objects.
    pub gap: Gap,
    /// Why not.
    pub why: String,
}

/// Objects that could not be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gap {
    /// The Deployments of waypoints, and so their replicas.
    Deployments,
    /// Objects of a kind in other namespaces than the one in question.
    Elsewhere(Kind),
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployments => f.write_str("deployments"),
            Self::Elsewhere(kind) => write!(f, "{} of other namespaces", kind.plural()),
        }
    }
}

/// What was read.
#[derive(Debug)]
pub struct Looked {
    /// What there is.
    pub survey: Survey,
    /// Whether the server knows Gateways at all.
    pub served: bool,
    /// What could not be looked at, sorted.
    pub missing: Vec<Missing>,
}

/// Looks at the waypoints of a namespace, or of all.
///
/// Who is bound may be anywhere: that is looked for in all namespaces, and without the right to do
/// so in the one, which is then said.
///
/// # Errors
/// When the Gateways cannot be listed, or the server does not answer.
pub async fn look(
    client: &Client,
    namespace: Option<&Name>,
    depth: Depth,
) -> Result<Looked, ClientError> {
    let mut kinds = vec![
        Kind::Gateway,
        Kind::GatewayClass,
        Kind::Deployment,
        Kind::Namespace,
    ];
    kinds.extend(depth.kinds());
    let api = Api::discover(client, &kinds).await?;
    let mut looked = Looked {
        survey: Survey {
            root: Name::from(ROOT),
            ..Survey::default()
        },
        served: api.version(Kind::Gateway).is_some(),
        missing: Vec::new(),
    };
    let reader = Reader {
        client,
        api,
        namespace,
    };
    let (waypoints, users) = join(reader.waypoints(), reader.users(depth)).await;
    waypoints?.put(&mut looked)?;
    for (kind, outcome) in users {
        let part = outcome?;
        looked.missing.extend(part.missing);
        for object in part.objects.into_values() {
            take(&mut looked.survey, kind, object)?;
        }
    }
    looked.missing.sort();
    Ok(looked)
}

struct Reader<'a> {
    client: &'a Client,
    api: Api,
    namespace: Option<&'a Name>,
}

/// The objects of one list, and what of them is out of reach.
#[derive(Default)]
struct Part {
    objects: Objects,
    missing: Option<Missing>,
}

struct Waypoints {
    gateways: Objects,
    class: Option<Value>,
    deployments: Part,
}

impl Reader<'_> {
    async fn waypoints(&self) -> Result<Waypoints, ClientError> {
        let class = ObjectRef::new(
            Kind::GatewayClass,
            &Name::from(""),
            &Name::from(WAYPOINT_CLASS),
        );
        let gateways = async {
            match self.api.list(Kind::Gateway, self.namespace) {
                Some(request) => self.client.objects(&request).await,
                None => Ok(Objects::new()),
            }
        };
        let class = async {
            match self.api.target(&class) {
                Some(target) => self.client.read_object(&target).await,
                None => Ok(None),
            }
        };
        let request = self.api.list(Kind::Deployment, self.namespace);
        let deployments = async {
            let Some(request) = request else {
                return Ok(Part::default());
            };
            let request = ListRequest {
                label_selector: Some(MANAGED_LABEL.to_owned()),
                ..request
            };
            match self.client.objects(&request).await {
                Ok(objects) => Ok(Part {
                    objects,
                    missing: None,
                }),
                Err(ClientError::Forbidden { message, .. }) => Ok(Part {
                    objects: Objects::new(),
                    missing: Some(Missing {
                        gap: Gap::Deployments,
                        why: message,
                    }),
                }),
                Err(error) => Err(error),
            }
        };
        let (gateways, (class, deployments)) = join(gateways, join(class, deployments)).await;
        Ok(Waypoints {
            gateways: gateways?,
            // The class says what a waypoint is for where it does not say so itself: hardly ever.
            class: match class {
                Err(ClientError::Forbidden { .. }) => None,
                class => class?,
            },
            deployments: deployments?,
        })
    }

    async fn users(&self, depth: Depth) -> Vec<(Kind, Result<Part, ClientError>)> {
        let kinds = depth.kinds().into_iter();
        join_all(kinds.map(async |kind| (kind, self.everywhere(kind).await))).await
    }

    /// A list of all namespaces, or of ours where that is all that may be read.
    async fn everywhere(&self, kind: Kind) -> Result<Part, ClientError> {
        let Some(request) = self.api.list(kind, None) else {
            return Ok(Part::default());
        };
        let binds = BINDABLE.contains(&kind);
        let request = ListRequest {
            metadata_only: binds,
            ..request
        };
        let found = if binds && kind != Kind::Namespace {
            self.labelled(&request).await
        } else {
            self.client.objects(&request).await
        };
        let why = match (found, self.namespace) {
            (Ok(objects), _) => {
                return Ok(Part {
                    objects,
                    missing: None,
                });
            }
            (Err(ClientError::Forbidden { message, .. }), Some(_)) => message,
            (Err(error), _) => return Err(error),
        };
        let objects = self.own(kind, request).await?;
        Ok(Part {
            objects,
            missing: Some(Missing {
                gap: Gap::Elsewhere(kind),
                why,
            }),
        })
    }

    /// What carries a label that binds: no selector asks for one label or another.
    async fn labelled(&self, request: &ListRequest) -> Result<Objects, ClientError> {
        let of = |selector: String| ListRequest {
            label_selector: Some(selector),
            ..request.clone()
        };
        let primary = of(USE_WAYPOINT.to_owned());
        let canary = of(format!("{USE_WAYPOINT_CANARY},!{USE_WAYPOINT}"));
        let (primary, canary) =
            join(self.client.objects(&primary), self.client.objects(&canary)).await;
        let mut all = primary?;
        all.extend(canary?);
        Ok(all)
    }

    async fn own(&self, kind: Kind, request: ListRequest) -> Result<Objects, ClientError> {
        let Some(namespace) = self.namespace else {
            return Ok(Objects::new());
        };
        if kind != Kind::Namespace {
            let request = ListRequest {
                namespace: Some(namespace.to_string()),
                ..request
            };
            return if BINDABLE.contains(&kind) {
                self.labelled(&request).await
            } else {
                self.client.objects(&request).await
            };
        }
        let object = ObjectRef::new(kind, namespace, namespace);
        let Some(target) = self.api.target(&object) else {
            return Ok(Objects::new());
        };
        let found = self.client.read_object(&target).await?;
        let key = (String::new(), namespace.to_string());
        Ok(found
            .into_iter()
            .map(|found| (key.clone(), found))
            .collect())
    }
}

impl Waypoints {
    fn put(self, looked: &mut Looked) -> Result<(), ClientError> {
        for object in self.gateways.into_values() {
            let uid = object["metadata"]["uid"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let options = &object["spec"]["infrastructure"]["parametersRef"]["name"];
            let options = options.as_str().map(str::to_owned);
            let gateway: Gateway = typed(Kind::Gateway, object)?;
            if gateway.spec.gateway_class_name == WAYPOINT_CLASS {
                looked.survey.gateways.push(Found {
                    gateway,
                    uid,
                    options,
                });
            }
        }
        let class = self
            .class
            .map(|class| typed::<GatewayClass>(Kind::GatewayClass, class));
        looked.survey.class = class.transpose()?.map(|class| class.metadata.labels);
        looked.missing.extend(self.deployments.missing);
        looked.survey.deployments = replicas(&self.deployments.objects);
        Ok(())
    }
}

/// The pods of Gateways, by namespace and Gateway.
pub(super) fn replicas(deployments: &Objects) -> BTreeMap<(Name, Name), Replicas> {
    deployments
        .iter()
        .filter_map(|((namespace, _), deployment)| {
            let gateway = deployment["metadata"]["labels"][GATEWAY_NAME_LABEL].as_str()?;
            let key = (Name::from(namespace.as_str()), Name::from(gateway));
            Some((key, replicas_of(deployment)))
        })
        .collect()
}

fn replicas_of(deployment: &Value) -> Replicas {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let status = &deployment["status"];
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let seen =
        number(&status["observedGeneration"]) >= number(&deployment["metadata"]["generation"]);
    let updated = number(&status["updatedReplicas"]);
    Replicas {
        wanted,
        ready: number(&status["readyReplicas"]).min(updated),
        settled: seen && updated == wanted && number(&status["replicas"]) == wanted,
    }
}

/// Puts an object of one of the lists in its place.
fn take(survey: &mut Survey, kind: Kind, mut object: Value) -> Result<(), ClientError> {
    let meta: Meta = typed(kind, object["metadata"].take())?;
    let reference = ObjectRef::new(kind, &meta.namespace, &meta.name);
    if BINDABLE.contains(&kind) {
        if kind == Kind::Namespace {
            survey.namespaces.insert(meta.name, meta.labels.clone());
        }
        let binding = [USE_WAYPOINT, USE_WAYPOINT_CANARY];
        if binding.iter().any(|label| meta.labels.get(label).is_some()) {
            survey.labelled.push(Labelled {
                object: reference,
                labels: meta.labels,
                owner: meta.owner,
            });
        }
        return Ok(());
    }
    let spec = object["spec"].take();
    let targets = if ROUTES.contains(&kind) {
        let spec: RouteSpec = typed_or_default(kind, spec)?;
        parents(&spec, &reference.namespace)
    } else {
        let spec: AttachedSpec = typed_or_default(kind, spec)?;
        let targets = spec.target_ref.iter().chain(&spec.target_refs);
        targets
            .filter_map(|target| policy_target(target, &reference.namespace))
            .collect()
    };
    if !targets.is_empty() {
        survey.attached.push(Attached {
            object: reference,
            targets,
            accepted: accepted(object["status"].take()),
        });
    }
    Ok(())
}

/// What a policy is attached to: always something of its own namespace, or a class.
fn policy_target(target: &TargetRef, namespace: &Name) -> Option<ObjectRef> {
    let api_version = format!("{}/v1", target.group);
    let core = matches!(target.group.as_str(), "" | "core");
    let kind = match target.kind.as_str() {
        "Service" if core => Kind::Service,
        written => Kind::of(&api_version, written)?,
    };
    Some(ObjectRef::new(
        kind,
        namespace,
        &Name::from(target.name.as_str()),
    ))
}

/// The Gateways that a route names as parents.
fn parents(spec: &RouteSpec, namespace: &Name) -> Vec<ObjectRef> {
    let parents = spec.parent_refs.iter();
    parents
        .filter(|parent| parent.kind.as_deref().unwrap_or("Gateway") == "Gateway")
        .map(|parent| {
            let home = parent.namespace.as_deref().map(Name::from);
            let home = home.unwrap_or_else(|| namespace.clone());
            ObjectRef::new(Kind::Gateway, &home, &Name::from(parent.name.as_str()))
        })
        .collect()
}

/// What istiod says of a policy for a waypoint (`pilot/pkg/serviceregistry/ambient/policies.go`).
fn accepted(status: Value) -> Option<(bool, String)> {
    #[derive(Deserialize)]
    struct Status {
        #[serde(default)]
        conditions: Vec<Condition>,
    }
    let status: Status = serde_json::from_value(status).ok()?;
    let conditions = status.conditions.into_iter();
    conditions
        .filter(|condition| condition.kind == "WaypointAccepted")
        .map(|condition| (condition.status == "True", condition.message))
        .next()
}

fn typed<T: DeserializeOwned>(kind: Kind, object: Value) -> Result<T, ClientError> {
    serde_json::from_value(object).map_err(|error| ClientError::Malformed {
        what: kind.resource(),
        why: error.to_string(),
    })
}

fn typed_or_default<T: DeserializeOwned + Default>(
    kind: Kind,
    object: Value,
) -> Result<T, ClientError> {
    if object.is_null() {
        return Ok(T::default());
    }
    typed(kind, object)
}

/// The labels of an object's metadata.
pub(super) fn labels(metadata: &Value) -> Labels {
    serde_json::from_value(metadata["labels"].clone()).unwrap_or_default()
}
