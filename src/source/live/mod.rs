//! A cluster as the input: what is asked of the API server, and what is not.
//!
//! Little is asked for. Of pods, by far the most numerous objects, only the metadata, and only where
//! a namespace is judged; the rest of the cluster is asked for what can matter to such a namespace.
//! What cannot be read is noted as unread and the rest is read all the same: only a server that
//! cannot be reached, or does not know who is asking, is an error.

mod follow;
mod ground;
mod journals;
mod lists;
mod names;
mod needs;
mod rights;
mod session;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join;

use crate::client::{Client, ClientError, Discovery, Served, Verb};
use crate::error::Error;
use crate::inventory::{Input, Inventory, InventoryBuilder, Subject, Unread};
use crate::kinds::{Kind, KindSet, Name};

pub use journals::{JOURNALS, Kept, journals};
pub use names::{Wanted, names};
pub use needs::verbs;
pub use session::{Session, Versions, read_versions, session};

use ground::Ground;
use rights::Rights;

/// The namespaces in question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespaces {
    /// These. Each must exist, as far as that can be told.
    Named(Vec<Name>),
    /// Every one.
    All,
    /// Those that a label selector matches, written as `kubectl get -l` takes it.
    Labelled(String),
}

/// What to read.
#[derive(Debug, Clone)]
pub struct LiveRequest {
    /// The namespaces in question.
    pub namespaces: Namespaces,
    /// The kinds that are looked at.
    pub kinds: KindSet,
    /// Kinds of which whole objects are kept, beside those that always are.
    pub whole: KindSet,
    /// The most objects in a page; 0 asks for whole lists.
    pub chunk_size: u32,
    /// Whether the journals of runs are asked for, too.
    pub journals: bool,
}

/// What was read.
#[derive(Debug)]
pub struct LiveRead {
    /// The objects, and what could not be read.
    pub inventory: Inventory,
    /// The namespaces in question, sorted. For all of them, where they may not be listed: those
    /// that objects were found in.
    pub namespaces: Vec<Name>,
    /// The journals of their runs; nothing where they were not asked for or may not be read.
    pub journals: Option<Vec<Kept>>,
}

/// Reads what the kinds in question hold that can matter to the namespaces in question.
///
/// Progress goes to the client's listener.
///
/// # Errors
/// When the server cannot be reached or does not accept the credentials, when a namespace that was
/// named does not exist, and when namespaces are chosen by labels and may not be listed or none has
/// them.
pub async fn read(client: &Client, request: &LiveRequest) -> Result<LiveRead, Error> {
    let groups: BTreeSet<&str> = request.kinds.iter().map(Kind::group).collect();
    let groups: Vec<&str> = groups.into_iter().collect();
    let (discovery, asked) = join(client.discover(&groups), ground::asked(client, request)).await;
    // Of two failures the first is always the same: what is no API server has no namespaces either.
    let (discovery, asked) = (discovery?, asked?);

    let mut builder = InventoryBuilder::new(Input::Cluster, "");
    let versions = versions(request.kinds, &discovery, &mut builder);
    let rights = Rights::ask(client, &versions).await?;
    let mut reader = Reader {
        client,
        whole: request.whole,
        chunk_size: request.chunk_size,
        versions,
        rights,
    };
    builder.absorb(asked.read);
    let istio = reader.istio().await?;
    let ground = Ground::of(&request.namespaces, &asked.names, &istio);
    builder.absorb(istio.read);
    reader.rights.review(client, ground.homes()).await?;
    let kinds = reader.versions.keys().copied();
    if reader.rights.are_none(kinds, ground.homes()) {
        return Err(ClientError::Forbidden {
            verb: Verb::Read,
            what: "any object".to_owned(),
            message: "no right to list any of the kinds in question".to_owned(),
        }
        .into());
    }
    for part in reader.lists(&ground).await? {
        builder.absorb(part);
    }
    reader.follow(&ground, &mut builder).await?;

    let inventory = builder.finish();
    let namespaces = match request.namespaces {
        Namespaces::All => found(&inventory),
        Namespaces::Named(_) | Namespaces::Labelled(_) => asked.names,
    };
    let journals = if request.journals {
        of_namespaces(client, request, &namespaces).await?
    } else {
        None
    };
    Ok(LiveRead {
        inventory,
        namespaces,
        journals,
    })
}

/// The journals of some namespaces; nothing where one may not be asked for them.
async fn of_namespaces(
    client: &Client,
    request: &LiveRequest,
    namespaces: &[Name],
) -> Result<Option<Vec<Kept>>, Error> {
    let each: Vec<Option<&str>> = match request.namespaces {
        Namespaces::All => vec![None],
        _ => namespaces.iter().map(|name| Some(&**name)).collect(),
    };
    let asked = each
        .into_iter()
        .map(|namespace| journals(client, namespace));
    match futures_util::future::try_join_all(asked).await {
        Ok(kept) => Ok(Some(kept.into_iter().flatten().collect())),
        Err(ClientError::Forbidden { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What is needed to ask for anything.
struct Reader<'c> {
    client: &'c Client,
    whole: KindSet,
    chunk_size: u32,
    /// The kinds in question that are served, and in which version they are asked for.
    versions: BTreeMap<Kind, String>,
    rights: Rights,
}

/// The version in which each kind is read. A kind that is not served has none and is no gap; one of
/// which the server could not say is noted as unread.
fn versions(
    kinds: KindSet,
    discovery: &Discovery,
    builder: &mut InventoryBuilder,
) -> BTreeMap<Kind, String> {
    let mut versions = BTreeMap::new();
    for kind in kinds.iter() {
        let (group, plural) = (kind.group(), kind.plural());
        let served = discovery.versions(group, plural);
        let understood = kind.versions().iter().find(|known| served.contains(known));
        // A version that we do not know yet is read by the fields that we know.
        if let Some(version) = understood.or(served.first()) {
            versions.insert(kind, (*version).to_owned());
            continue;
        }
        let unknown = kind.versions().iter().find_map(|version| {
            match discovery.served(group, version, plural) {
                Served::Unknown { reason } => Some(reason),
                Served::Yes(_) | Served::No => None,
            }
        });
        if let Some(reason) = unknown {
            builder.unread(unread_list(kind, None, reason.to_owned()));
        }
    }
    versions
}

/// Every namespace of an inventory.
fn found(inventory: &Inventory) -> Vec<Name> {
    let mut names: BTreeSet<Name> = inventory
        .objects
        .namespaces
        .iter()
        .map(|namespace| namespace.metadata.name.clone())
        .collect();
    if names.is_empty() {
        inventory.objects.for_each_namespace(&mut |name| {
            if !name.is_empty() {
                names.insert(name.clone());
            }
        });
    }
    names.into_iter().collect()
}

fn unread_list(kind: Kind, namespace: Option<&Name>, reason: String) -> Unread {
    Unread {
        subject: Subject::List {
            kind,
            namespace: namespace.cloned(),
        },
        reason,
        place: None,
    }
}

/// A request that failed while others may serve.
#[derive(Debug)]
struct Miss {
    /// Whether it was for want of a right.
    forbidden: bool,
    reason: String,
}

impl Miss {
    /// What a failure means for the rest; an error where nothing else can succeed either.
    fn of(error: ClientError) -> Result<Self, Error> {
        let forbidden = matches!(error, ClientError::Forbidden { .. });
        let reason = match error {
            ClientError::Forbidden { message, .. }
            | ClientError::NotFound { message, .. }
            | ClientError::Expired { message, .. }
            | ClientError::Throttled { message, .. } => message,
            ClientError::Server { code, message, .. } => {
                format!("the API server answered {code}: {message}")
            }
            ClientError::Timeout { after, .. } => {
                format!("no complete answer within {} s", after.as_secs_f64())
            }
            ClientError::Malformed { why, .. } => format!("the answer cannot be understood: {why}"),
            ClientError::Options { .. }
            | ClientError::Config { .. }
            | ClientError::Credentials { .. }
            | ClientError::Unreachable { .. }
            | ClientError::Tls { .. }
            | ClientError::Unauthorized { .. }
            // What becomes of writes; this one reads.
            | ClientError::Conflict { .. }
            | ClientError::Changed { .. }
            | ClientError::Exists { .. }
            | ClientError::Refused { .. }
            | ClientError::Unknown { .. } => return Err(error.into()),
        };
        Ok(Self { forbidden, reason })
    }
}
