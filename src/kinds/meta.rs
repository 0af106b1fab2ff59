//! Metadata that all objects have, names of objects, and the Namespace, which is nothing else.

use std::fmt;
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use super::lenient::null_default;
use super::{Kind, Scope};

/// A name, a label value: shared, never changed.
pub type Name = Arc<str>;

/// Labels or annotations, sorted by key. Cloning shares them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Name, Name)]>);

impl Labels {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .binary_search_by(|(candidate, _)| candidate.as_ref().cmp(key))
            .ok()
            .map(|position| self.0[position].1.as_ref())
    }

    /// Whether a key has exactly this value.
    pub fn has(&self, key: &str, value: &str) -> bool {
        self.get(key) == Some(value)
    }

    /// Keys and values, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_ref(), value.as_ref()))
    }

    /// The pairs, sorted by key.
    pub fn pairs(&self) -> &[(Name, Name)] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Labels of pairs in any order; of one key given twice the last counts.
    pub fn from_pairs(mut pairs: Vec<(Name, Name)>) -> Self {
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.reverse();
        pairs.dedup_by(|a, b| a.0 == b.0);
        pairs.reverse();
        Self(pairs.into())
    }
}

impl Default for Labels {
    fn default() -> Self {
        /// Shared by all that have none, which is most objects for annotations.
        static NONE: LazyLock<Arc<[(Name, Name)]>> = LazyLock::new(|| Arc::from([]));
        Self(Arc::clone(&NONE))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// The annotation in which kubectl keeps a copy of the whole object. We never read it.
pub(super) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(key) = map.next_key::<Name>()? {
                    if key.as_ref() == LAST_APPLIED {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    } else {
                        pairs.push((key, map.next_value::<Name>()?));
                    }
                }
                Ok(Labels::from_pairs(pairs))
            }
            fn visit_unit<E>(self) -> Result<Labels, E> {
                Ok(Labels::default())
            }
        }
        deserializer.deserialize_any(Pairs)
    }
}

/// The controller that owns an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Owner {
    /// Its kind, e.g. `ReplicaSet`.
    pub kind: Name,
    /// Its name.
    pub name: Name,
}

/// An entry of `metadata.managedFields`: only who wrote.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ManagedFields {
    /// The field manager.
    #[serde(default, deserialize_with = "null_default")]
    pub manager: String,
}

#[derive(Deserialize)]
struct OwnerReference {
    kind: Name,
    name: Name,
    #[serde(default)]
    controller: Option<bool>,
}

fn controller<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Owner>, D::Error> {
    let owners = Option::<Vec<OwnerReference>>::deserialize(deserializer)?.unwrap_or_default();
    Ok(owners
        .into_iter()
        .find(|owner| owner.controller == Some(true))
        .map(|owner| Owner {
            kind: owner.kind,
            name: owner.name,
        }))
}

/// What all objects have.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The object's name.
    pub name: Name,
    /// Its namespace; empty for cluster-scoped objects.
    #[serde(default, deserialize_with = "null_default")]
    pub namespace: Name,
    /// Its labels.
    #[serde(default)]
    pub labels: Labels,
    /// Its annotations, without kubectl's copy of the object.
    #[serde(default)]
    pub annotations: Labels,
    /// The controller that owns it.
    #[serde(default, rename = "ownerReferences", deserialize_with = "controller")]
    pub owner: Option<Owner>,
    /// When it was created, RFC 3339 in UTC; such times sort as text.
    #[serde(default)]
    pub creation_timestamp: Option<Name>,
    /// The generation of its spec.
    #[serde(default)]
    pub generation: Option<i64>,
    /// The version of the object that was read.
    #[serde(default)]
    pub resource_version: Option<Name>,
    /// Who wrote its fields.
    #[serde(default, deserialize_with = "null_default")]
    pub managed_fields: Vec<ManagedFields>,
}

/// The name of an object: kind, namespace, name. Ordered by namespace, then kind, then name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Empty for cluster-scoped objects.
    pub namespace: Name,
    /// Which kind.
    pub kind: Kind,
    /// Its name.
    pub name: Name,
}

impl ObjectRef {
    /// The reference to an object.
    pub fn new(kind: Kind, namespace: &Name, name: &Name) -> Self {
        let namespace = match kind.scope() {
            Scope::Cluster => Name::from(""),
            Scope::Namespaced => namespace.clone(),
        };
        Self {
            namespace,
            kind,
            name: name.clone(),
        }
    }

    /// `Kind/name`, without the namespace.
    pub fn short(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)?;
        if !self.namespace.is_empty() {
            write!(f, " -n {}", self.namespace)?;
        }
        Ok(())
    }
}

impl ObjectRef {
    /// The reference as plans and journals have it, unambiguous for any kind:
    /// `VirtualService.networking.istio.io/shop/reviews`, `Namespace/shop`.
    pub fn key(&self) -> String {
        let mut key = self.kind.written().to_owned();
        for (separator, part) in [('.', self.kind.group()), ('/', &*self.namespace)] {
            if !part.is_empty() {
                key.push(separator);
                key.push_str(part);
            }
        }
        key.push('/');
        key.push_str(&self.name);
        key
    }

    /// Reads what [`ObjectRef::key`] wrote.
    pub fn from_key(key: &str) -> Option<Self> {
        let (kind, rest) = key.split_once('/')?;
        let (written, group) = kind.split_once('.').unwrap_or((kind, ""));
        let mut kinds = Kind::ALL.iter().copied();
        let kind = kinds.find(|kind| kind.written() == written && kind.group() == group)?;
        let (namespace, name) = match kind.scope() {
            Scope::Cluster => ("", rest),
            Scope::Namespaced => rest.split_once('/')?,
        };
        let unnamed =
            name.is_empty() || (kind.scope() == Scope::Namespaced && namespace.is_empty());
        (!unnamed).then(|| Self::new(kind, &Name::from(namespace), &Name::from(name)))
    }
}

impl serde::Serialize for ObjectRef {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.key())
    }
}

impl<'de> Deserialize<'de> for ObjectRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let key = String::deserialize(deserializer)?;
        Self::from_key(&key).ok_or_else(|| {
            serde::de::Error::custom(format!(
                "`{key}` names no object of a kind that is known here"
            ))
        })
    }
}

/// A Namespace: its labels say which data plane its pods join.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Namespace {
    /// Name, labels, annotations.
    pub metadata: Meta,
}
super::resource!(Namespace);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_back_from_its_key() {
        let shop = Name::from("shop");
        for kind in Kind::ALL {
            let object = ObjectRef::new(*kind, &shop, &Name::from("a.b"));
            assert_eq!(ObjectRef::from_key(&object.key()), Some(object));
        }
        for broken in [
            "",
            "Service",
            "Service/shop",
            "Service//a",
            "Service/shop/",
            "Cake/shop/a",
        ] {
            assert_eq!(ObjectRef::from_key(broken), None, "{broken}");
        }
    }

    #[test]
    fn labels_are_sorted_and_the_copy_of_kubectl_is_dropped() {
        let labels: Labels = serde_json::from_str(&format!(
            r#"{{"b":"2","a":"1","{LAST_APPLIED}":"{{\"kind\":\"Pod\"}}"}}"#
        ))
        .unwrap();
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
        assert!(labels.has("b", "2"));
        assert_eq!(labels.get("c"), None);
    }

    #[test]
    fn only_the_controller_owns() {
        let meta: Meta = serde_json::from_str(
            r#"{"name":"x","labels":null,"ownerReferences":[
                {"kind":"Foo","name":"a"},{"kind":"ReplicaSet","name":"b","controller":true}]}"#,
        )
        .unwrap();
        assert_eq!(meta.owner.unwrap().name.as_ref(), "b");
        assert!(meta.labels.is_empty());
    }

    #[test]
    fn a_label_that_is_no_string_is_an_error_not_a_guess() {
        assert!(serde_json::from_str::<Labels>(r#"{"version":1}"#).is_err());
    }
}
