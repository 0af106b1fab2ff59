//! Where to look: the namespaces in question, and those of Istio itself.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;

use super::lists::Query;
use super::{LiveRequest, Miss, Namespaces, Reader};
use crate::client::{Client, ClientError, GetRequest, ListRequest};
use crate::error::Error;
use crate::exit::Exit;
use crate::inventory::{Input, Inventory, InventoryBuilder, Subject, Unread};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::installation::Installation;

/// Where Istio is when nothing tells.
const ISTIO_SYSTEM: &str = "istio-system";

/// From so many namespaces on, cluster-wide lists cost less than lists of each.
const TOO_MANY_TO_LIST_EACH: usize = 9;

/// The namespaces in question, as far as they can be named before anything is listed.
pub(super) struct Asked {
    /// Their names, sorted; none for all of them.
    pub(super) names: Vec<Name>,
    /// Their Namespace objects.
    pub(super) read: Inventory,
}

/// Finds out which namespaces are meant, and that they exist.
pub(super) async fn asked(client: &Client, request: &LiveRequest) -> Result<Asked, Error> {
    match &request.namespaces {
        Namespaces::All => Ok(Asked {
            names: Vec::new(),
            read: Inventory::default(),
        }),
        Namespaces::Named(names) => {
            let names: BTreeSet<&Name> = names.iter().collect();
            let builder = InventoryBuilder::new(Input::Cluster, "");
            let mut builder = builder.keeping(request.whole);
            let gets = names.iter().map(|name| namespace(client, name));
            for found in try_join_all(gets).await? {
                match found {
                    Ok(json) => builder.live(Kind::Namespace, &json),
                    Err(unread) if request.kinds.contains(Kind::Namespace) => {
                        builder.unread(unread);
                    }
                    Err(_) => {}
                }
            }
            Ok(Asked {
                names: names.into_iter().cloned().collect(),
                read: builder.finish(),
            })
        }
        Namespaces::Labelled(selector) => labelled(client, selector, request).await,
    }
}

/// A namespace's JSON; unread where the right to see it is missing. One that is not there is an
/// error: it is a slip of the keyboard, or the wrong context.
async fn namespace(client: &Client, name: &Name) -> Result<Result<String, Unread>, Error> {
    let get = GetRequest {
        version: "v1".to_owned(),
        plural: Kind::Namespace.plural().to_owned(),
        name: name.as_ref().to_owned(),
        ..GetRequest::default()
    };
    let reason = match client.get(&get).await {
        Ok(Some(json)) => match String::from_utf8(json) {
            Ok(json) => return Ok(Ok(json)),
            Err(error) => error.to_string(),
        },
        Ok(None) => {
            let message = format!("cannot judge namespace {name}: it does not exist");
            let error = Error::new(Exit::Data, message);
            return Err(error.hint(
                "`kubectl get namespaces` shows what there is; `--context` chooses another cluster",
            ));
        }
        Err(error) => Miss::of(error)?.reason,
    };
    Ok(Err(Unread {
        subject: Subject::Object(ObjectRef::new(Kind::Namespace, &Name::from(""), name)),
        reason,
        place: None,
    }))
}

async fn labelled(client: &Client, selector: &str, live: &LiveRequest) -> Result<Asked, Error> {
    let request = ListRequest {
        version: "v1".to_owned(),
        plural: Kind::Namespace.plural().to_owned(),
        label_selector: Some(selector.to_owned()),
        chunk_size: live.chunk_size,
        ..ListRequest::default()
    };
    let mut sink = super::lists::Sink::new(Kind::Namespace, None, live.whole);
    client
        .list(&request, &mut sink)
        .await
        .map_err(|error| match error {
            ClientError::Server {
                code: 400, message, ..
            } => Error::new(
                Exit::Usage,
                format!("cannot use the label selector {selector}: {message}"),
            ),
            error => error.into(),
        })?;
    let read = sink.finish();
    let names: Vec<Name> = read
        .objects
        .namespaces
        .iter()
        .map(|namespace| namespace.metadata.name.clone())
        .collect();
    if names.is_empty() {
        let message = format!("no namespace matches the label selector {selector}");
        let hint = "`kubectl get namespaces --show-labels` shows what there is";
        return Err(Error::new(Exit::Data, message).hint(hint));
    }
    Ok(Asked { names, read })
}

/// Where Istio itself is.
pub(super) struct Istio {
    /// The namespaces of its control planes, and the one of policies for the whole mesh.
    namespaces: BTreeSet<Name>,
    /// What was read to find out.
    pub(super) read: Inventory,
}

impl Reader<'_> {
    /// Finds Istio's control planes and their configuration.
    pub(super) async fn istio(&self) -> Result<Istio, Error> {
        let planes = self.control_planes().await?;
        let mut wanted: BTreeSet<(Name, String)> = BTreeSet::new();
        let mut namespaces = BTreeSet::new();
        for plane in Installation::of(&planes).control_planes {
            let namespace = plane.object.namespace;
            wanted.insert((namespace.clone(), "istio".to_owned()));
            if plane.revision != "default" {
                wanted.insert((namespace.clone(), format!("istio-{}", plane.revision)));
            }
            namespaces.insert(namespace);
        }
        if namespaces.is_empty() {
            let namespace = Name::from(ISTIO_SYSTEM);
            wanted.insert((namespace.clone(), "istio".to_owned()));
            namespaces.insert(namespace);
        }
        let mut builder = InventoryBuilder::new(Input::Cluster, "");
        builder.absorb(planes);
        let gets = wanted
            .iter()
            .map(|(namespace, name)| self.get(Kind::ConfigMap, namespace, name));
        for part in try_join_all(gets).await? {
            builder.absorb(part);
        }
        let read = builder.finish();
        namespaces.insert(Installation::of(&read).config.root_namespace);
        Ok(Istio { namespaces, read })
    }

    /// The Deployments of istiod. What cannot be read here is noted when all Deployments are read.
    async fn control_planes(&self) -> Result<Inventory, Error> {
        let query = Query::of(Kind::Deployment).labelled("app=istiod");
        if self.rights.everywhere(Kind::Deployment).is_none()
            && let Ok(found) = self.list(&query, None).await?
        {
            return Ok(found);
        }
        let usual = Name::from(ISTIO_SYSTEM);
        Ok(self.list(&query, Some(&usual)).await?.unwrap_or_default())
    }
}

/// The namespaces that are looked into.
pub(super) struct Ground {
    named: BTreeSet<Name>,
    homes: BTreeSet<Name>,
    wide: bool,
}

impl Ground {
    pub(super) fn of(request: &Namespaces, asked: &[Name], istio: &Istio) -> Self {
        let everywhere = *request == Namespaces::All;
        let homes = asked.iter().chain(&istio.namespaces).cloned().collect();
        Self {
            named: asked.iter().cloned().collect(),
            wide: everywhere || asked.len() >= TOO_MANY_TO_LIST_EACH,
            homes: if everywhere { BTreeSet::new() } else { homes },
        }
    }

    /// The namespaces in question; none when all are.
    pub(super) fn named(&self) -> &BTreeSet<Name> {
        &self.named
    }

    /// The namespaces in question and Istio's own; none when all are in question.
    pub(super) fn homes(&self) -> &BTreeSet<Name> {
        &self.homes
    }

    /// Whether everything is listed cluster-wide.
    pub(super) fn is_wide(&self) -> bool {
        self.wide
    }

    /// Whether a namespace's own objects are read.
    pub(super) fn holds(&self, namespace: &Name) -> bool {
        self.wide || self.homes.contains(namespace)
    }
}
