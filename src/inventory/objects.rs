//! The objects of an inventory, one list a kind, made from the table of kinds.

use super::{Object, Origin};
use crate::kinds::path::field;
use crate::kinds::{
    DecodeError, Interner, Kind, KindSet, Meta, Name, ObjectRef, Resource, for_each_kind,
};

macro_rules! define_objects {
    ($(($variant:ident, $field:ident, $type:ty, $group:literal, $versions:expr, $plural:literal, $scope:ident, $written:literal),)+) => {
        /// Objects by kind.
        #[derive(Debug, Clone, Default)]
        #[expect(missing_docs, reason = "each list holds the kind of that name")]
        pub struct Objects {
            $(pub $field: Vec<Object<$type>>,)+
        }

        impl Objects {
            /// Decodes one object and adds it.
            pub(super) fn insert(
                &mut self,
                kind: Kind,
                json: &str,
                origin: Origin,
                whole: KindSet,
                default_namespace: &Name,
                names: &mut Interner,
            ) -> Result<(), DecodeError> {
                match kind {
                    $(Kind::$variant => {
                        push(&mut self.$field, json, origin, whole, default_namespace, names)
                    })+
                }
            }

            /// Sorts every list. An object that files give more than once, and not each time the
            /// same, is reported with all its places; the last one given counts.
            pub(super) fn settle(&mut self, again: &mut dyn FnMut(ObjectRef, &[Origin])) {
                $(settle(&mut self.$field, again);)+
            }

            /// Moves everything of `base` that is not here by name into this.
            pub fn underlay(&mut self, base: Objects) {
                $(underlay(&mut self.$field, base.$field);)+
            }

            /// Adds everything of `more` at the end.
            pub(super) fn append(&mut self, mut more: Objects) {
                $(
                    if self.$field.is_empty() {
                        self.$field = more.$field;
                    } else {
                        self.$field.append(&mut more.$field);
                    }
                )+
            }

            /// Moves the objects that are meant out of this; [`Objects::underlay`] puts them back.
            #[must_use]
            pub fn part(&mut self, meant: &dyn Fn(&ObjectRef) -> bool) -> Objects {
                Objects {
                    $($field: part(&mut self.$field, meant),)+
                }
            }

            /// Calls `visit` with the name and the metadata of every object.
            pub fn for_each_meta(&self, visit: &mut dyn FnMut(ObjectRef, &Meta)) {
                $(
                    for object in &self.$field {
                        visit(object.value.reference(), object.value.meta());
                    }
                )+
            }

            /// Where an object came from, if there is one of that name.
            pub fn origin(&self, object: &ObjectRef) -> Option<&Origin> {
                match object.kind {
                    $(Kind::$variant => {
                        find(&self.$field, &object.namespace, &object.name).map(|found| &found.origin)
                    })+
                }
            }

            /// The JSON of an object, if all of it was kept.
            pub fn whole(&self, object: &ObjectRef) -> Option<&str> {
                match object.kind {
                    $(Kind::$variant => {
                        find(&self.$field, &object.namespace, &object.name)?.whole.as_deref()
                    })+
                }
            }

            /// Calls `visit` with the namespace of the objects of every kind, once for each run of
            /// neighbours; of cluster-scoped objects it is empty.
            pub fn for_each_namespace(&self, visit: &mut dyn FnMut(&Name)) {
                $(
                    for run in self.$field.chunk_by(|a, b| {
                        a.value.meta().namespace == b.value.meta().namespace
                    }) {
                        visit(&run[0].value.meta().namespace);
                    }
                )+
            }

            /// How many objects there are of a kind.
            pub fn count(&self, kind: Kind) -> usize {
                match kind { $(Kind::$variant => self.$field.len(),)+ }
            }
        }
    };
}
for_each_kind!(define_objects);

/// A kind that has a list in [`Objects`].
pub trait Listed: Resource {
    /// Its list, sorted by namespace and name.
    fn list(objects: &Objects) -> &[Object<Self>];
}

macro_rules! define_listed {
    ($(($variant:ident, $field:ident, $type:ty, $group:literal, $versions:expr, $plural:literal, $scope:ident, $written:literal),)+) => {$(
        impl Listed for $type {
            fn list(objects: &Objects) -> &[Object<Self>] {
                &objects.$field
            }
        }
    )+};
}
for_each_kind!(define_listed);

/// The objects of one namespace out of a sorted list.
pub fn in_namespace<'a, T: Resource>(list: &'a [Object<T>], namespace: &str) -> &'a [Object<T>] {
    let start = list.partition_point(|object| object.value.meta().namespace.as_ref() < namespace);
    let end = list.partition_point(|object| object.value.meta().namespace.as_ref() <= namespace);
    &list[start..end]
}

/// The object of a name out of a sorted list.
pub fn find<'a, T: Resource>(
    list: &'a [Object<T>],
    namespace: &str,
    name: &str,
) -> Option<&'a Object<T>> {
    let wanted = (namespace, name);
    list.binary_search_by(|object| {
        let meta = object.value.meta();
        (meta.namespace.as_ref(), meta.name.as_ref()).cmp(&wanted)
    })
    .ok()
    .map(|position| &list[position])
}

fn push<T: Resource>(
    list: &mut Vec<Object<T>>,
    json: &str,
    origin: Origin,
    whole: KindSet,
    default_namespace: &Name,
    names: &mut Interner,
) -> Result<(), DecodeError> {
    let mut value = T::decode(json, names)?;
    let meta = value.meta_mut();
    for (field, text) in [("name", &meta.name), ("namespace", &meta.namespace)] {
        if !text.is_empty() && !is_name(text) {
            return Err(DecodeError {
                path: field!["metadata", field],
                message: format!("`{text}` is no name that Kubernetes takes; is this a template?"),
            });
        }
    }
    match T::KIND.scope() {
        crate::kinds::Scope::Cluster => meta.namespace = Name::from(""),
        crate::kinds::Scope::Namespaced if meta.namespace.is_empty() => {
            meta.namespace = default_namespace.clone();
        }
        crate::kinds::Scope::Namespaced => {}
    }
    if value.takes_part() {
        let kept = may_be_written(T::KIND) || whole.contains(T::KIND);
        let whole = kept.then(|| Box::from(json));
        list.push(Object {
            value,
            origin,
            whole,
        });
    }
    Ok(())
}

/// Whether a text may be the name of an object of the kinds that we read: lower-case letters, digits,
/// `-` and `.`; `*` stands for what the server adds to a `generateName`.
fn is_name(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'*'))
}

/// Kinds of which the whole object is always kept.
fn may_be_written(kind: Kind) -> bool {
    let group = kind.group();
    group.ends_with("istio.io") || group == "gateway.networking.k8s.io"
}

fn key<T: Resource>(object: &Object<T>) -> (&Name, &Name) {
    let meta = object.value.meta();
    (&meta.namespace, &meta.name)
}

fn settle<T: Resource>(list: &mut Vec<Object<T>>, again: &mut dyn FnMut(ObjectRef, &[Origin])) {
    list.sort_by(|a, b| key(a).cmp(&key(b)));
    for group in list
        .chunk_by(|a, b| key(a) == key(b))
        .filter(|group| group.len() > 1)
    {
        let same = group
            .iter()
            .all(|o| o.whole.is_some() && o.whole == group[0].whole);
        // A cluster has one object of a name, and may have been asked for it twice.
        let read_again = group.iter().all(|object| object.origin == Origin::Live);
        if !same && !read_again {
            let origins: Vec<Origin> = group.iter().map(|object| object.origin.clone()).collect();
            again(group[0].value.reference(), &origins);
        }
    }
    // Of equal neighbours the last stays.
    list.reverse();
    list.dedup_by(|a, b| key(a) == key(b));
    list.reverse();
    list.shrink_to_fit();
}

fn part<T: Resource>(
    list: &mut Vec<Object<T>>,
    meant: &dyn Fn(&ObjectRef) -> bool,
) -> Vec<Object<T>> {
    let (taken, kept) = std::mem::take(list)
        .into_iter()
        .partition(|object| meant(&object.value.reference()));
    *list = kept;
    taken
}

fn underlay<T: Resource>(list: &mut Vec<Object<T>>, base: Vec<Object<T>>) {
    let named: std::collections::BTreeSet<(Name, Name)> = list
        .iter()
        .map(|object| {
            let (namespace, name) = key(object);
            (namespace.clone(), name.clone())
        })
        .collect();
    list.extend(base.into_iter().filter(|object| {
        let (namespace, name) = key(object);
        !named.contains(&(namespace.clone(), name.clone()))
    }));
    list.sort_by(|a, b| key(a).cmp(&key(b)));
}
