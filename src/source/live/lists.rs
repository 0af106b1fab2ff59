//! Lists: which are read where, and how a page becomes objects.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use futures_util::future::{try_join, try_join_all};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::ground::Ground;
use super::{Miss, Reader, unread_list};
use crate::client::{GetRequest, ListRequest, PageSink};
use crate::error::Error;
use crate::inventory::{Input, Inventory, InventoryBuilder, Subject, Unread};
use crate::kinds::{Kind, KindSet, Name, ObjectRef, Scope};

/// Pods that are over take part in nothing, and their metadata does not tell that they are.
const NOT_OVER: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// Pods with a sidecar: whether they accept HBONE or not, they go past waypoints.
const WITH_SIDECAR: &str = "security.istio.io/tlsMode=istio";

/// Services that lead into a network, and the one that stands for an istiod of another cluster.
const OF_NETWORK: &str = "topology.istio.io/network";
const ISTIOD_ELSEWHERE: &str = "metadata.name=istiod-remote";

/// Kinds of which only the objects of the namespaces in question, and Istio's, are read. All others
/// are read cluster-wide: what configures a mesh may stand in any namespace.
const LOCAL: KindSet = KindSet::of(&[
    Kind::Pod,
    Kind::Service,
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::Rollout,
    Kind::Job,
    Kind::CronJob,
    Kind::PodDisruptionBudget,
    Kind::NetworkPolicy,
    Kind::CiliumNetworkPolicy,
    Kind::CalicoNetworkPolicy,
    Kind::CalicoStoredNetworkPolicy,
]);

/// Kinds that are never listed. Of ReplicaSets there are ten to a Deployment, and of ConfigMaps only
/// Istio's own concern us: they are asked for by name.
pub(super) const BY_NAME: KindSet = KindSet::of(&[Kind::ReplicaSet, Kind::ConfigMap]);

/// More objects of one namespace than this are listed rather than asked for one by one.
const ONE_BY_ONE: usize = 50;

/// From so many objects to a namespace on, a list of each namespace costs less than pages of all.
const DENSE: usize = 50;

/// A list, wherever it is read.
#[derive(Debug, Clone)]
pub(super) struct Query {
    kind: Kind,
    labels: Option<String>,
    fields: Option<String>,
    metadata_only: bool,
}

impl Query {
    /// All objects of a kind; of pods that are not over, and of definitions, the metadata.
    pub(super) fn of(kind: Kind) -> Self {
        Self {
            kind,
            labels: None,
            fields: (kind == Kind::Pod).then(|| NOT_OVER.to_owned()),
            metadata_only: matches!(kind, Kind::Pod | Kind::CustomResourceDefinition),
        }
    }

    /// Only those with these labels.
    pub(super) fn labelled(mut self, selector: impl Into<String>) -> Self {
        self.labels = Some(selector.into());
        self
    }

    /// Only those with these fields.
    fn selected(mut self, selector: &str) -> Self {
        self.fields = Some(selector.to_owned());
        self
    }

    /// Whole objects.
    pub(super) fn whole(mut self) -> Self {
        self.metadata_only = false;
        self
    }

    /// Only those outside of these namespaces.
    fn outside(mut self, namespaces: &BTreeSet<Name>) -> Self {
        let fields = self.fields.get_or_insert_default();
        for namespace in namespaces {
            if !fields.is_empty() {
                fields.push(',');
            }
            fields.push_str("metadata.namespace!=");
            fields.push_str(namespace);
        }
        self
    }
}

/// What is asked for of namespaces that are not looked into.
fn elsewhere(kind: Kind) -> Vec<Query> {
    match kind {
        Kind::Pod => vec![Query::of(kind).labelled(WITH_SIDECAR)],
        Kind::Service => vec![
            Query::of(kind).labelled(OF_NETWORK),
            Query::of(kind).selected(ISTIOD_ELSEWHERE),
        ],
        _ => Vec::new(),
    }
}

impl Reader<'_> {
    /// Reads the lists of all kinds in question.
    pub(super) async fn lists(&self, ground: &Ground) -> Result<Vec<Inventory>, Error> {
        let kinds = self
            .versions
            .keys()
            .filter(|kind| !BY_NAME.contains(**kind));
        let mut kinds: Vec<Kind> = kinds.copied().collect();
        // The longest list first: it is the one that is waited for.
        kinds.sort_by_key(|kind| *kind != Kind::Pod);
        if !ground.is_wide() {
            return try_join_all(kinds.iter().map(|kind| self.kind(*kind, ground))).await;
        }
        kinds.retain(|kind| !matches!(kind, Kind::Pod | Kind::Namespace));
        let others = try_join_all(kinds.iter().map(|kind| self.kind(*kind, ground)));
        let (pods, mut read) = try_join(self.pods_of_all(ground), others).await?;
        read.extend(pods);
        Ok(read)
    }

    /// Reads the namespaces, and the pods of all of them.
    ///
    /// A server makes the pages of one list one after the other, on one core. Where the first page
    /// shows many pods to a namespace, and there are more pages, each namespace is listed by itself,
    /// several at once.
    async fn pods_of_all(&self, ground: &Ground) -> Result<[Inventory; 2], Error> {
        let query = Query::of(Kind::Pod);
        let at_once = async {
            if self.rights.everywhere(Kind::Pod).is_some() {
                return Ok(None);
            }
            let mut sink = Sink::new(Kind::Pod, None, self.whole).unless_dense();
            let listed = self.list_into(&query, None, &mut sink).await?;
            Ok(listed.is_ok_and(|complete| complete).then(|| sink.finish()))
        };
        let namespaces = self.kind(Kind::Namespace, ground);
        let (namespaces, pods) = try_join(namespaces, at_once).await?;
        let pods = match pods {
            Some(pods) => pods,
            None if namespaces.unread.is_empty() && !namespaces.objects.namespaces.is_empty() => {
                let names = namespaces.objects.namespaces.iter();
                let names = names.map(|namespace| namespace.metadata.name.clone());
                self.in_each(&query, &names.collect()).await?
            }
            None => self.everywhere(&query, ground.homes()).await?,
        };
        Ok([namespaces, pods])
    }

    async fn kind(&self, kind: Kind, ground: &Ground) -> Result<Inventory, Error> {
        let query = Query::of(kind);
        if ground.is_wide() || !LOCAL.contains(kind) {
            return self.everywhere(&query, ground.homes()).await;
        }
        let elsewhere = elsewhere(kind).into_iter();
        let elsewhere: Vec<Query> = elsewhere
            .map(|query| query.outside(ground.homes()))
            .collect();
        let nowhere = BTreeSet::new();
        let elsewhere = elsewhere
            .iter()
            .map(|query| self.everywhere(query, &nowhere));
        let here = self.in_each(&query, ground.homes());
        let (here, elsewhere) = try_join(here, try_join_all(elsewhere)).await?;
        Ok(join(elsewhere.into_iter().chain([here])))
    }

    /// Reads a list cluster-wide or, where that is not allowed, in each of `homes`.
    pub(super) async fn everywhere(
        &self,
        query: &Query,
        homes: &BTreeSet<Name>,
    ) -> Result<Inventory, Error> {
        let kind = query.kind;
        let reason = match self.rights.everywhere(kind) {
            Some(reason) => reason.to_owned(),
            None => match self.list(query, None).await? {
                Ok(found) => return Ok(found),
                Err(miss) if miss.forbidden && kind.scope() == Scope::Namespaced => miss.reason,
                Err(miss) => return Ok(gap(unread_list(kind, None, miss.reason))),
            },
        };
        if homes.is_empty() || kind.scope() == Scope::Cluster {
            return Ok(gap(unread_list(kind, None, reason)));
        }
        let parts = try_join_all(homes.iter().map(|home| self.within(query, home))).await?;
        let read: Vec<&str> = homes
            .iter()
            .zip(&parts)
            .filter(|(_, part)| part.is_ok())
            .map(|(home, _)| home.as_ref())
            .collect();
        let reason = match read.as_slice() {
            [] => reason,
            [one] => format!("{reason}; only those in {one} were read"),
            [some @ .., last] => {
                format!(
                    "{reason}; only those in {} and {last} were read",
                    some.join(", ")
                )
            }
        };
        let parts = parts.into_iter().filter_map(Result::ok);
        Ok(join(parts.chain([gap(unread_list(kind, None, reason))])))
    }

    /// Reads a list in each of these namespaces.
    async fn in_each(&self, query: &Query, homes: &BTreeSet<Name>) -> Result<Inventory, Error> {
        let parts = try_join_all(homes.iter().map(|home| self.within(query, home))).await?;
        let parts = homes.iter().zip(parts).map(|(home, part)| {
            part.unwrap_or_else(|reason| gap(unread_list(query.kind, Some(home), reason)))
        });
        Ok(join(parts))
    }

    /// Reads a list in one namespace, or says why that cannot be.
    async fn within(&self, query: &Query, home: &Name) -> Result<Result<Inventory, String>, Error> {
        if let Some(reason) = self.rights.within(self.client, query.kind, home).await? {
            return Ok(Err(reason));
        }
        Ok(self
            .list(query, Some(home))
            .await?
            .map_err(|miss| miss.reason))
    }

    /// Reads one list. A kind that is not served has no objects.
    pub(super) async fn list(
        &self,
        query: &Query,
        namespace: Option<&Name>,
    ) -> Result<Result<Inventory, Miss>, Error> {
        self.list_only(query, namespace, None).await
    }

    async fn list_only(
        &self,
        query: &Query,
        namespace: Option<&Name>,
        only: Option<&BTreeSet<Name>>,
    ) -> Result<Result<Inventory, Miss>, Error> {
        let mut sink = Sink::new(query.kind, only, self.whole);
        let listed = self.list_into(query, namespace, &mut sink).await?;
        Ok(listed.map(|_| sink.finish()))
    }

    /// Reads one list, and says whether to its end.
    async fn list_into(
        &self,
        query: &Query,
        namespace: Option<&Name>,
        sink: &mut Sink<'_>,
    ) -> Result<Result<bool, Miss>, Error> {
        let Some(version) = self.versions.get(&query.kind) else {
            return Ok(Ok(true));
        };
        let request = ListRequest {
            group: query.kind.group().to_owned(),
            version: version.clone(),
            plural: query.kind.plural().to_owned(),
            namespace: namespace.map(|name| name.as_ref().to_owned()),
            label_selector: query.labels.clone(),
            field_selector: query.fields.clone(),
            metadata_only: query.metadata_only,
            chunk_size: self.chunk_size,
        };
        match self.client.list(&request, sink).await {
            Ok(listed) => Ok(Ok(listed.complete)),
            Err(error) => Miss::of(error).map(Err),
        }
    }

    /// Reads objects of one namespace by name, whole. Those that are not there are left out.
    pub(super) async fn fetch(
        &self,
        kind: Kind,
        namespace: &Name,
        names: &BTreeSet<Name>,
    ) -> Result<Inventory, Error> {
        if names.len() > ONE_BY_ONE {
            let query = Query::of(kind).whole();
            let listed = self.list_only(&query, Some(namespace), Some(names)).await?;
            return Ok(
                listed.unwrap_or_else(|miss| gap(unread_list(kind, Some(namespace), miss.reason)))
            );
        }
        let gets = names.iter().map(|name| self.get(kind, namespace, name));
        Ok(join(try_join_all(gets).await?))
    }

    /// Reads one object, whole.
    pub(super) async fn get(
        &self,
        kind: Kind,
        namespace: &Name,
        name: &str,
    ) -> Result<Inventory, Error> {
        let Some(version) = self.versions.get(&kind) else {
            return Ok(Inventory::default());
        };
        let request = GetRequest {
            group: kind.group().to_owned(),
            version: version.clone(),
            plural: kind.plural().to_owned(),
            namespace: Some(namespace.as_ref().to_owned()),
            name: name.to_owned(),
            metadata_only: false,
        };
        let mut builder = InventoryBuilder::new(Input::Cluster, "").keeping(self.whole);
        let failed = match self.client.get(&request).await {
            Ok(None) => None,
            Ok(Some(json)) => match std::str::from_utf8(&json) {
                Ok(json) => {
                    builder.live(kind, json);
                    None
                }
                Err(error) => Some(error.to_string()),
            },
            Err(error) => Some(Miss::of(error)?.reason),
        };
        if let Some(reason) = failed {
            builder.unread(Unread {
                subject: Subject::Object(ObjectRef::new(kind, namespace, &Name::from(name))),
                reason,
                place: None,
            });
        }
        Ok(builder.finish())
    }
}

/// Nothing but a gap.
fn gap(unread: Unread) -> Inventory {
    let mut builder = InventoryBuilder::new(Input::Cluster, "");
    builder.unread(unread);
    builder.finish()
}

fn join(parts: impl IntoIterator<Item = Inventory>) -> Inventory {
    let mut builder = InventoryBuilder::new(Input::Cluster, "");
    for part in parts {
        builder.absorb(part);
    }
    builder.finish()
}

/// Collects one list by itself, so that a list which begins anew drops no other list's objects.
pub(super) struct Sink<'n> {
    kind: Kind,
    /// The names of those that are kept; all when absent.
    only: Option<&'n BTreeSet<Name>>,
    /// Kinds of which whole objects are kept.
    whole: KindSet,
    /// Whether the list may be left for lists of each namespace.
    may_leave: bool,
    builder: InventoryBuilder,
}

impl<'n> Sink<'n> {
    pub(super) fn new(kind: Kind, only: Option<&'n BTreeSet<Name>>, whole: KindSet) -> Self {
        Self {
            kind,
            only,
            whole,
            may_leave: false,
            builder: InventoryBuilder::new(Input::Cluster, "").keeping(whole),
        }
    }

    /// Leaves a list that has more than a page, with many objects to a namespace on its first.
    fn unless_dense(mut self) -> Self {
        self.may_leave = true;
        self
    }

    pub(super) fn finish(self) -> Inventory {
        self.builder.finish()
    }

    fn keeps(&self, item: &str) -> bool {
        self.only.is_none_or(|only| {
            serde_json::from_str::<Item<'_>>(item)
                .is_ok_and(|item| only.contains(item.metadata.name.as_ref()))
        })
    }
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    metadata: Identity<'a>,
}

#[derive(Deserialize)]
struct Identity<'a> {
    #[serde(default)]
    namespace: Cow<'a, str>,
    name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
}

impl PageSink for Sink<'_> {
    fn page(&mut self, body: &[u8]) -> Result<usize, String> {
        let page: Page<'_> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let items = page.items.unwrap_or_default();
        for item in &items {
            if self.keeps(item.get()) {
                self.builder.live(self.kind, item.get());
            }
        }
        Ok(items.len())
    }

    fn goes_on(&mut self, body: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Items<'a> {
            #[serde(borrow)]
            items: Vec<Item<'a>>,
        }
        if !std::mem::take(&mut self.may_leave) {
            return true;
        }
        // A page that cannot be understood is refused when it is taken.
        serde_json::from_slice::<Items<'_>>(body).map_or(true, |page| {
            let namespaces = page.items.iter().map(|item| &item.metadata.namespace);
            let namespaces: HashSet<_> = namespaces.collect();
            namespaces.is_empty() || page.items.len() < DENSE * namespaces.len()
        })
    }

    fn restart(&mut self) {
        self.builder = InventoryBuilder::new(Input::Cluster, "").keeping(self.whole);
    }
}
