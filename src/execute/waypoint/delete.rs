//! Removes waypoints: unbinds who is bound to them, if that is asked for, then deletes.

use serde_json::Value;

use super::super::api::Api;
use super::super::applied::delete_object;
use super::super::labels::{LabelChange, set_labels};
use super::super::rights::{access, review};
use super::survey::{Depth, labels, look};
use crate::client::{Access, Client, Deletion, WriteOptions};
use crate::error::Error;
use crate::exit::Exit;
use crate::kinds::{Kind, Name, ObjectRef};
use crate::waypoint::manifest::MANAGED_BY;
use crate::waypoint::standing::{BINDABLE, Standing, User, standings};

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// An object no longer names a waypoint.
    Unbound(ObjectRef),
    /// An object is deleted.
    Deleted(ObjectRef),
    /// An object was gone already.
    Absent(ObjectRef),
}

/// Removes a waypoint. Each thing that is done is told to `done` at once, so that what stands before
/// a failure is known.
///
/// # Errors
/// When somebody is bound to it (and `unbind` is not asked for, or they came meanwhile), or something
/// cannot be written.
pub async fn remove(
    client: &Client,
    standing: &Standing,
    unbind: bool,
    done: &mut (dyn FnMut(Removal) + Send),
) -> Result<(), Error> {
    let mut kinds = vec![Kind::Gateway, Kind::ConfigMap];
    kinds.extend(BINDABLE);
    let api = Api::discover(client, &kinds).await?;
    let options = WriteOptions::default();
    let waypoint = &standing.waypoint.object;
    review(client, &rights(&api, standing, unbind)).await?;
    if unbind {
        for user in &standing.users {
            if release(client, &api, waypoint, user, options).await? != LabelChange::Absent {
                done(Removal::Unbound(user.object.clone()));
            }
        }
    }
    still_unused(client, waypoint).await?;
    let Some(target) = api.target(waypoint) else {
        return Ok(());
    };
    done(
        match delete_object(client, &target, &standing.uid, options).await? {
            Deletion::Deleted => Removal::Deleted(waypoint.clone()),
            Deletion::Absent => Removal::Absent(waypoint.clone()),
        },
    );
    if let Some(name) = &standing.options {
        let map = ObjectRef::new(
            Kind::ConfigMap,
            &waypoint.namespace,
            &Name::from(name.as_str()),
        );
        if delete_options(client, &api, &map, options).await? {
            done(Removal::Deleted(map));
        }
    }
    Ok(())
}

/// The rights for all that will be written.
fn rights(api: &Api, standing: &Standing, unbind: bool) -> Vec<Access> {
    let users = standing.users.iter().filter(|_| unbind);
    let patched = users.filter_map(|user| api.target(&user.object));
    let gateway = api.target(&standing.waypoint.object);
    let mut wanted: Vec<Access> = gateway
        .iter()
        .map(|target| access("delete", target))
        .collect();
    let ours = format!("{}-options", standing.waypoint.object.name);
    if standing.options.as_ref() == Some(&ours) {
        let map = ObjectRef::new(
            Kind::ConfigMap,
            &standing.waypoint.object.namespace,
            &Name::from(ours.as_str()),
        );
        wanted.extend(api.target(&map).map(|target| access("delete", &target)));
    }
    for target in patched {
        // Asked for the kind: a single review for a thousand pods.
        let patch = Access {
            name: None,
            ..access("patch", &target)
        };
        if !wanted.contains(&patch) {
            wanted.push(patch);
        }
    }
    wanted
}

/// Takes the label off an object that names the waypoint.
async fn release(
    client: &Client,
    api: &Api,
    waypoint: &ObjectRef,
    user: &User,
    options: WriteOptions,
) -> Result<LabelChange, Error> {
    let Some(target) = api.target(&user.object) else {
        return Ok(LabelChange::Absent);
    };
    let (name, home) = user.role.labels();
    let off = [(name, None), (home, None)];
    let may = |metadata: &Value| {
        if labels(metadata).has(name, &waypoint.name) {
            return Ok(());
        }
        Err(Error::new(
            Exit::Stale,
            format!("{} names another waypoint by now", user.object),
        )
        .hint("run the command again"))
    };
    set_labels(client, &target, &off, options, &may).await
}

/// Whether nobody was bound while the others were being released.
async fn still_unused(client: &Client, waypoint: &ObjectRef) -> Result<(), Error> {
    let looked = look(client, Some(&waypoint.namespace), Depth::Users).await?;
    let standings = standings(&looked.survey);
    let standing = standings
        .iter()
        .find(|standing| standing.waypoint.object == *waypoint);
    match standing.and_then(|standing| standing.users.first()) {
        None => Ok(()),
        Some(user) => Err(Error::new(
            Exit::Stale,
            format!(
                "cannot delete {waypoint}: {} is bound to it by now",
                user.object
            ),
        )
        .hint("run the command again")),
    }
}

/// Deletes the ConfigMap of a waypoint's parameters if this program made it.
async fn delete_options(
    client: &Client,
    api: &Api,
    map: &ObjectRef,
    options: WriteOptions,
) -> Result<bool, Error> {
    let Some(target) = api.target(map) else {
        return Ok(false);
    };
    let Some(found) = client.read_object(&target).await? else {
        return Ok(false);
    };
    if !labels(&found["metadata"]).has(MANAGED_BY.0, MANAGED_BY.1) {
        return Ok(false);
    }
    let uid = found["metadata"]["uid"].as_str().unwrap_or_default();
    let deleted = delete_object(client, &target, uid, options).await?;
    Ok(deleted == Deletion::Deleted)
}
