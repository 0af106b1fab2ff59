//! The document of `waypoint plan`.

use schemars::JsonSchema;
use serde::Serialize;

use super::check::{UnreadEntry, placement_name};
use super::{API_VERSION, Header};
use crate::checks::Scope;
use crate::kinds::Name;
use crate::mesh::Mesh;
use crate::waypoint::{self, Feature, NamespaceNeed, Placement};

/// What `waypoint plan` says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaypointPlanReport {
    api_version: &'static str,
    kind: &'static str,
    /// What differs from run to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Header>,
    /// The namespaces, by name.
    pub namespaces: Vec<PlanEntry>,
    /// What could not be read; a Service may need more than is shown.
    pub unread: Vec<UnreadEntry>,
}

/// What a namespace needs.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanEntry {
    /// Its name.
    pub name: Name,
    /// `none`, `namespace`, `service`, `shared`; `unknown` when none is known to be needed but not all
    /// could be read.
    pub placement: &'static str,
    /// Whether all that decides it was read.
    pub complete: bool,
    /// Which traffic the waypoint must take.
    pub traffic: &'static str,
    /// The waypoint that is shared, or the one Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What follows, in one sentence.
    pub conclusion: String,
    /// Its Services, by name.
    pub services: Vec<ServiceEntry>,
}

/// What a Service needs.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEntry {
    /// Its name.
    pub name: Name,
    /// What it uses beyond connections.
    pub features: Vec<&'static str>,
    /// Whether it needs a waypoint.
    pub needs_waypoint: bool,
    /// The waypoint that labels name today.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_to: Option<String>,
    /// Whether clients reach its pods' addresses.
    pub headless: bool,
    /// Why.
    pub evidence: Vec<EvidenceEntry>,
}

/// Why a Service is said to use a feature.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EvidenceEntry {
    /// What it uses.
    pub feature: &'static str,
    /// Whether that asks for a waypoint.
    pub needs_waypoint: bool,
    /// The object that says so.
    pub object: String,
    /// The field of it.
    pub field: String,
    /// What stands there.
    pub what: String,
    /// Where it stands, for manifests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

impl WaypointPlanReport {
    /// The document for these namespaces.
    pub fn new(mesh: &Mesh, scope: &Scope, header: Option<Header>) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "WaypointPlan",
            metadata: header,
            namespaces: scope
                .iter()
                .map(|name| plan_entry(mesh, &waypoint::assess(mesh, name)))
                .collect(),
            unread: mesh
                .inventory()
                .unread
                .iter()
                .map(UnreadEntry::from)
                .collect(),
        }
    }
}

fn plan_entry(mesh: &Mesh, need: &NamespaceNeed) -> PlanEntry {
    PlanEntry {
        name: need.namespace.clone(),
        placement: placement_name(need),
        complete: need.complete,
        traffic: need.traffic.name(),
        subject: match &need.placement {
            Placement::Service(service) => Some(service.name.to_string()),
            Placement::Shared(waypoint) => Some(waypoint.to_string()),
            Placement::None | Placement::Namespace => None,
        },
        conclusion: conclusion(need),
        services: need
            .services
            .iter()
            .map(|service| ServiceEntry {
                name: service.service.name.clone(),
                features: service.features().into_iter().map(Feature::name).collect(),
                needs_waypoint: service.needs_waypoint(),
                bound_to: service.bound_to.as_ref().map(ToString::to_string),
                headless: service.headless,
                evidence: service
                    .evidence
                    .iter()
                    .map(|evidence| EvidenceEntry {
                        feature: evidence.feature.name(),
                        needs_waypoint: evidence.feature.needs_waypoint(),
                        object: evidence.object.to_string(),
                        field: evidence.field.to_string(),
                        what: evidence.what.clone(),
                        place: mesh
                            .place(&evidence.object, &evidence.field)
                            .map(|place| place.to_string()),
                    })
                    .collect(),
            })
            .collect(),
    }
}

fn conclusion(need: &NamespaceNeed) -> String {
    let needing = need.needing().count();
    let all = need.services.len();
    match &need.placement {
        Placement::None if !need.complete => {
            "whether a waypoint is needed is not known: not all that decides it could be read"
                .to_owned()
        }
        Placement::None if all == 0 => "no waypoint: there are no Services".to_owned(),
        Placement::None => "no waypoint: ztunnel alone does what is in use".to_owned(),
        Placement::Namespace => format!(
            "one waypoint in {}, for {needing} of {all} Services",
            need.namespace
        ),
        Placement::Service(service) => {
            format!(
                "one waypoint in {}, for Service {} alone",
                need.namespace, service.name
            )
        }
        Placement::Shared(waypoint) => format!(
            "the shared waypoint {} of namespace {}, for {needing} of {all} Services",
            waypoint.name, waypoint.namespace
        ),
    }
}
