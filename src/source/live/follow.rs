//! What the lists lead to: whole pods where metadata is not enough, and owners that no list held.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures_util::future::try_join_all;

use super::Reader;
use super::ground::Ground;
use super::lists::Query;
use crate::error::Error;
use crate::inventory::{Inventory, InventoryBuilder, Objects, Subject, Unread};
use crate::kinds::pod::Pod;
use crate::kinds::{Kind, KindSet, Labels, Name, ObjectRef, Resource};
use crate::mesh::workloads::GATEWAY_NAME_LABEL;
use crate::waypoint::manifest;

/// The label by which Istio's charts name gateways, and istiod.
const ISTIO_LABEL: &str = "istio";

/// The ConfigMap of the CNI plugin, and the label of its DaemonSet.
const CNI_CONFIG: &str = "istio-cni-config";
const CNI: (&str, &str) = ("k8s-app", "istio-cni-node");

/// How many names of a waypoint are tried, at most.
const NAMES: usize = 9;

/// The kinds of which single objects are asked for, whole.
pub(super) const FOLLOWED: KindSet = KindSet::of(&[
    Kind::Pod,
    Kind::ConfigMap,
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::ReplicaSet,
    Kind::Job,
]);

/// Names by kind and namespace.
type Wanted = BTreeMap<(Kind, Name), BTreeSet<Name>>;

impl Reader<'_> {
    /// Reads what the lists lead to.
    pub(super) async fn follow(
        &self,
        ground: &Ground,
        builder: &mut InventoryBuilder,
    ) -> Result<(), Error> {
        let gateways = gateway_labels(builder.collected());
        let lists = gateways.into_iter().map(|labels| {
            let query = Query::of(Kind::Pod).labelled(labels).whole();
            async move { self.everywhere(&query, ground.homes()).await }
        });
        for mut part in try_join_all(lists).await? {
            // That pods cannot be listed is said once.
            let said = |gap: &Unread| {
                builder
                    .gaps()
                    .iter()
                    .any(|known| known.subject == gap.subject)
            };
            part.unread.retain(|gap| !said(gap));
            builder.absorb(part);
        }
        self.fetch_all(cni_config(builder.collected()), builder)
            .await?;
        self.beside_waypoints(ground, builder).await?;
        self.fetch_all(self.missing_owners(ground, builder), builder)
            .await?;
        self.fetch_all(self.pods_to_read_whole(ground, builder), builder)
            .await
    }

    async fn fetch_all(&self, wanted: Wanted, builder: &mut InventoryBuilder) -> Result<(), Error> {
        debug_assert!(wanted.keys().all(|(kind, _)| FOLLOWED.contains(*kind)));
        let fetched = wanted
            .iter()
            .map(|((kind, namespace), names)| self.fetch(*kind, namespace, names));
        for mut part in try_join_all(fetched).await? {
            only_own_masters(&mut part);
            builder.absorb(part);
        }
        Ok(())
    }

    /// For whoever makes waypoints: the ConfigMaps that stand where their parameters would. Names are
    /// tried as they are given, up to one that is free. Where all namespaces are in question none is moved.
    async fn beside_waypoints(
        &self,
        ground: &Ground,
        builder: &mut InventoryBuilder,
    ) -> Result<(), Error> {
        if !self.whole.contains(Kind::ConfigMap) {
            return Ok(());
        }
        let mut taken = ground.named().clone();
        for name in manifest::names().take(NAMES) {
            let name = Name::from(manifest::options_name(&name).as_str());
            let wanted = taken.iter().map(|home| {
                let names = BTreeSet::from([name.clone()]);
                ((Kind::ConfigMap, home.clone()), names)
            });
            self.fetch_all(wanted.collect(), builder).await?;
            let maps = &builder.collected().config_maps;
            taken.retain(|home| {
                let mut maps = maps.iter().map(|map| &map.metadata);
                maps.any(|map| map.namespace == *home && map.name == name)
            });
        }
        Ok(())
    }

    /// Owners of pods that no list held: ReplicaSets of no Deployment and, of namespaces that are not
    /// looked into otherwise, what makes gateways, and callers that policies may name by their service
    /// accounts: those stand in templates, not in the metadata of pods.
    fn missing_owners(&self, ground: &Ground, builder: &InventoryBuilder) -> Wanted {
        let owners = Owners::of(builder);
        let named = NamedAccounts::of(ground, builder.collected());
        let mut wanted = Wanted::new();
        for pod in &builder.collected().pods {
            let namespace = &pod.metadata.namespace;
            let Owner::Missing { kind, name, base } = owners.of_pod(pod) else {
                continue;
            };
            let (kind, name) = match (kind, base) {
                (Kind::ReplicaSet, _) if ground.holds(namespace) => (kind, name),
                _ if ground.holds(namespace) => continue,
                _ if pod.detail.is_none() && !named.may_be_in(namespace) => continue,
                (_, Some(base)) => (Kind::Deployment, base),
                _ => (kind, name),
            };
            if self.versions.contains_key(&kind) && !owners.unreadable(kind, namespace) {
                wanted
                    .entry((kind, namespace.clone()))
                    .or_default()
                    .insert(name);
            }
        }
        wanted
    }

    /// Pods of which the metadata does not tell enough: those without a controller whose template
    /// could be read, and gateways that only their annotation shows.
    fn pods_to_read_whole(&self, ground: &Ground, builder: &InventoryBuilder) -> Wanted {
        let owners = Owners::of(builder);
        let mut wanted = Wanted::new();
        for pod in &builder.collected().pods {
            let meta = &pod.metadata;
            if !ground.holds(&meta.namespace) {
                continue;
            }
            let needs = match owners.of_pod(pod) {
                Owner::None => true,
                Owner::Known => is_gateway(pod),
                Owner::Missing { kind, .. } => {
                    self.versions.contains_key(&kind) && !owners.unreadable(kind, &meta.namespace)
                }
            };
            if needs {
                wanted
                    .entry((Kind::Pod, meta.namespace.clone()))
                    .or_default()
                    .insert(meta.name.clone());
            }
        }
        // Some were read whole as gateways already.
        for pod in &builder.collected().pods {
            let meta = &pod.metadata;
            if pod.detail.is_some()
                && let Some(names) = wanted.get_mut(&(Kind::Pod, meta.namespace.clone()))
            {
                names.remove(&meta.name);
            }
        }
        wanted.retain(|_, names| !names.is_empty());
        wanted
    }
}

/// Whose service accounts the policies of the namespaces in question name.
#[derive(Default)]
struct NamedAccounts {
    values: BTreeSet<String>,
    any: bool,
}

impl NamedAccounts {
    const FIELDS: [&str; 4] = [
        "principals",
        "notPrincipals",
        "serviceAccounts",
        "notServiceAccounts",
    ];

    fn of(ground: &Ground, objects: &Objects) -> Self {
        let mut named = Self::default();
        let policies = objects.authorization_policies.iter();
        let here = policies.filter(|policy| ground.holds(&policy.metadata.namespace));
        let sources = here
            .flat_map(|policy| &policy.spec.rules)
            .flat_map(|rule| &rule.from)
            .map(|from| &from.source.0);
        for source in sources {
            let values = Self::FIELDS.iter().filter_map(|field| source.get(*field));
            for value in values.flatten() {
                named.any |= value.contains('*');
                named.values.insert(value.clone());
            }
        }
        named
    }

    /// `cluster.local/ns/web/sa/front` and `web/front` are accounts of `web`.
    fn may_be_in(&self, namespace: &str) -> bool {
        let (long, short) = (format!("/ns/{namespace}/"), format!("{namespace}/"));
        let mut values = self.values.iter();
        self.any || values.any(|value| value.contains(&long) || value.starts_with(&short))
    }
}

/// Label selectors of gateways' pods. Istio's own charts and the Gateway API are covered by two, and
/// what else an Istio Gateway selects by one each.
fn gateway_labels(objects: &Objects) -> BTreeSet<String> {
    let named = |labels: &Labels| {
        labels.get(ISTIO_LABEL).is_some() || labels.get(GATEWAY_NAME_LABEL).is_some()
    };
    objects
        .istio_gateways
        .iter()
        .map(|gateway| &gateway.spec.selector)
        .filter(|selector| !selector.is_empty() && !named(selector))
        .map(|selector| {
            let pairs: Vec<String> = selector
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            pairs.join(",")
        })
        .chain([
            GATEWAY_NAME_LABEL.to_owned(),
            format!("{ISTIO_LABEL},{ISTIO_LABEL}!=pilot"),
        ])
        .collect()
}

fn is_gateway(pod: &Pod) -> bool {
    pod.metadata
        .annotations
        .get("inject.istio.io/templates")
        .is_some_and(|templates| templates.split(',').any(|name| name.trim() == "gateway"))
}

/// The CNI plugin's configuration, in whichever namespace the plugin is.
fn cni_config(objects: &Objects) -> Wanted {
    let (key, value) = CNI;
    objects
        .daemon_sets
        .iter()
        .filter(|set| {
            set.metadata.labels.has(key, value) || set.spec.template.metadata.labels.has(key, value)
        })
        .map(|set| {
            let place = (Kind::ConfigMap, set.metadata.namespace.clone());
            (place, BTreeSet::from([Name::from(CNI_CONFIG)]))
        })
        .collect()
}

/// ReplicaSets that another controller made are not workloads of their own.
fn only_own_masters(part: &mut Inventory) {
    part.objects
        .replica_sets
        .retain(|set| set.metadata.owner.is_none());
}

/// What makes a pod.
enum Owner {
    /// Nothing that we know.
    None,
    /// Something that was read.
    Known,
    /// Something that was not read: its kind and name and, if a ReplicaSet's name shows it, the
    /// Deployment's.
    Missing {
        kind: Kind,
        name: Name,
        base: Option<Name>,
    },
}

struct Owners<'b> {
    known: HashSet<ObjectRef>,
    builder: &'b InventoryBuilder,
}

impl<'b> Owners<'b> {
    fn of(builder: &'b InventoryBuilder) -> Self {
        let objects = builder.collected();
        let mut known = HashSet::new();
        macro_rules! learn {
            ($($field:ident),+) => {
                $(known.extend(objects.$field.iter().map(|object| object.reference()));)+
            };
        }
        learn!(
            deployments,
            stateful_sets,
            daemon_sets,
            replica_sets,
            rollouts,
            jobs
        );
        Self { known, builder }
    }

    fn of_pod(&self, pod: &Pod) -> Owner {
        let namespace = &pod.metadata.namespace;
        let Some(owner) = &pod.metadata.owner else {
            return Owner::None;
        };
        let kind = match owner.kind.as_ref() {
            "ReplicaSet" => Kind::ReplicaSet,
            "StatefulSet" => Kind::StatefulSet,
            "DaemonSet" => Kind::DaemonSet,
            "Job" => Kind::Job,
            _ => return Owner::None,
        };
        let knows = |kind, name: &Name| self.known.contains(&ObjectRef::new(kind, namespace, name));
        let base = (kind == Kind::ReplicaSet)
            .then(|| base(&pod.metadata.labels, &owner.name))
            .flatten();
        let known = knows(kind, &owner.name)
            || base
                .as_ref()
                .is_some_and(|base| knows(Kind::Rollout, base) || knows(Kind::Deployment, base));
        if known {
            return Owner::Known;
        }
        Owner::Missing {
            kind,
            name: owner.name.clone(),
            base,
        }
    }

    /// Whether objects of a kind, or of the kind above it, could not be read in a namespace: then
    /// that one is missing says nothing.
    fn unreadable(&self, kind: Kind, namespace: &Name) -> bool {
        self.builder.gaps().iter().any(|gap| match &gap.subject {
            Subject::List {
                kind: unread,
                namespace: place,
            } => {
                let concerns = *unread == kind
                    || (kind == Kind::ReplicaSet
                        && matches!(unread, Kind::Deployment | Kind::Rollout));
                concerns && place.as_ref().is_none_or(|place| place == namespace)
            }
            Subject::Object(_) | Subject::File(_) => false,
        })
    }
}

/// The name of the Deployment or Rollout behind a ReplicaSet, which ends in the template's hash.
fn base(labels: &Labels, replica_set: &str) -> Option<Name> {
    let hash = labels
        .get("pod-template-hash")
        .or_else(|| labels.get("rollouts-pod-template-hash"))?;
    let base = replica_set.strip_suffix(hash)?.strip_suffix('-')?;
    Some(Name::from(base))
}
