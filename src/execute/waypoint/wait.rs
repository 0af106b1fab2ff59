//! Waits until a waypoint takes traffic without a gap.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::super::api::Api;
use super::survey::{Depth, look, replicas};
use crate::client::{Client, ClientError, ListRequest, Objects, Waited};
use crate::kinds::{Kind, ObjectRef};
use crate::mesh::workloads::GATEWAY_NAME_LABEL;
use crate::waypoint::standing::standings;

/// How a wait for a waypoint ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// It is programmed, has an address, and all its replicas are ready.
    Ready,
    /// The time is over; this is what it lacks.
    Lacking(String),
}

/// Waits until a waypoint is programmed, has an address, and all its replicas are ready: at least
/// `replicas` of them, where that is asked for.
///
/// # Errors
/// When the waypoint cannot be looked at.
pub async fn wait_until_ready(
    client: &Client,
    waypoint: &ObjectRef,
    wanted: Option<u16>,
    within: Duration,
) -> Result<Readiness, ClientError> {
    let end = Instant::now() + within;
    let api = Api::discover(client, &[Kind::Gateway, Kind::Deployment]).await?;
    let name = waypoint.name.to_string();
    let namespace = Some(&waypoint.namespace);
    let gateway = api
        .list(Kind::Gateway, namespace)
        .map(|request| ListRequest {
            field_selector: Some(format!("metadata.name={name}")),
            ..request
        });
    let deployment = api
        .list(Kind::Deployment, namespace)
        .map(|request| ListRequest {
            label_selector: Some(format!("{GATEWAY_NAME_LABEL}={name}")),
            ..request
        });
    let (Some(gateway), Some(deployment)) = (gateway, deployment) else {
        return Ok(Readiness::Lacking(
            "the cluster does not serve the Gateway API".to_owned(),
        ));
    };
    let mut programmed = |objects: &Objects| objects.values().any(is_programmed).then_some(());
    let wanted = u64::from(wanted.unwrap_or(1));
    let mut all_ready = |objects: &Objects| {
        let key = (waypoint.namespace.clone(), waypoint.name.clone());
        let replicas = replicas(objects).get(&key).copied()?;
        let ready = replicas.settled && replicas.ready == replicas.wanted;
        (ready && replicas.wanted >= wanted).then_some(())
    };
    let left = || end.saturating_duration_since(Instant::now());
    let waited = client.wait_for(&gateway, left(), &mut programmed).await?;
    if let Waited::Met(()) = waited {
        let waited = client.wait_for(&deployment, left(), &mut all_ready).await?;
        if let Waited::Met(()) = waited {
            return Ok(Readiness::Ready);
        }
    }
    let looked = look(client, namespace, Depth::Waypoints).await?;
    let standings = standings(&looked.survey);
    let mut here = standings.iter();
    Ok(
        match here.find(|standing| standing.waypoint.object == *waypoint) {
            None => Readiness::Lacking("it is gone".to_owned()),
            Some(standing) => match (standing.lacks(), standing.replicas) {
                (Some(lacking), _) => Readiness::Lacking(lacking),
                (None, Some(replicas)) if replicas.wanted < wanted => Readiness::Lacking(format!(
                    "its Deployment asks for {} of {wanted} replicas",
                    replicas.wanted
                )),
                // What it lacked came while we looked.
                (None, _) => Readiness::Ready,
            },
        },
    )
}

fn is_programmed(gateway: &Value) -> bool {
    let status = &gateway["status"];
    let conditions = status["conditions"].as_array();
    let programmed = conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == "Programmed" && condition["status"] == "True");
    let addresses = status["addresses"].as_array();
    programmed && addresses.is_some_and(|addresses| !addresses.is_empty())
}
