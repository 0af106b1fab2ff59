//! What an earlier run made: set aside, so that a mesh half on its way is translated as it was before.
//!
//! A move takes several runs, and what one phase applied is in the input of the next. A new object
//! says in an annotation what it was made from. While that is still there, the new object is made
//! anew from it and compared with what is there, instead of being taken for something to translate.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::change::{SOURCE, merge};
use super::{Change, Edit, Manifest, Options, Translation, translate};
use crate::inventory::{Inventory, Origin};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::Mesh;

/// A translation, and what it was made of.
#[derive(Debug)]
pub struct Translated {
    /// The mesh without what an earlier run made.
    pub mesh: Mesh,
    /// What was translated.
    pub translation: Translation,
    /// What an earlier run made.
    pub earlier: Earlier,
}

/// What an earlier run made.
#[derive(Debug, Default)]
pub struct Earlier {
    made: BTreeMap<ObjectRef, (Origin, Value)>,
}

impl Earlier {
    /// Where an object came from, and all its fields.
    pub fn get(&self, object: &ObjectRef) -> Option<(&Origin, &Value)> {
        let (origin, json) = self.made.get(object)?;
        Some((origin, json))
    }

    /// What it made.
    pub fn manifests(&self) -> impl Iterator<Item = Manifest> {
        let made = self.made.iter();
        made.map(|(object, (_, json))| Manifest::of(object.clone(), json.clone()))
    }

    /// The objects that were made from others that are still there.
    fn of(inventory: &Inventory) -> Self {
        let mut made = BTreeMap::new();
        inventory.objects.for_each_meta(&mut |object, meta| {
            let source = meta.annotations.get(SOURCE).and_then(source);
            if source.is_some_and(|source| inventory.objects.origin(&source).is_some())
                && let Some(origin) = inventory.objects.origin(&object)
                && let Some(json) = inventory.whole(&object)
            {
                made.insert(object, (origin.clone(), json));
            }
        });
        Self { made }
    }

    /// Changes only what is not yet as it is to be.
    fn compare(&self, translation: &mut Translation) {
        let changes = std::mem::take(&mut translation.changes);
        let changes = changes
            .into_iter()
            .filter_map(|change| self.changed(change));
        translation.changes = changes.collect();
    }

    fn changed(&self, change: Change) -> Option<Change> {
        let Edit::Create(wanted) = &change.edit else {
            return Some(change);
        };
        let Some((_, json)) = self.made.get(wanted.object()) else {
            return Some(change);
        };
        let before = Manifest::of(wanted.object().clone(), json.clone());
        let patch = missing(before.json(), wanted.json())?;
        let after = before.patched(&patch);
        Some(Change {
            edit: Edit::Update {
                before,
                after,
                patch,
            },
            ..change
        })
    }
}

/// Translates, and looks at what an earlier run made as its own work.
///
/// What this translation would not make again takes part as any other object: it may be enforced.
pub fn translate_on(mesh: Mesh, namespaces: &BTreeSet<Name>, options: &Options) -> Translated {
    let mut inventory = mesh.into_inventory();
    let mut earlier = Earlier::of(&inventory);
    loop {
        let aside = inventory
            .objects
            .part(&|object| earlier.made.contains_key(object));
        let mesh = Mesh::new(inventory);
        let mut translation = translate(&mesh, namespaces, options);
        let again: BTreeSet<&ObjectRef> = translation
            .changes
            .iter()
            .filter(|change| matches!(change.edit, Edit::Create(_)))
            .map(|change| change.edit.object())
            .collect();
        let known = earlier.made.len();
        earlier.made.retain(|object, _| again.contains(object));
        if earlier.made.len() == known {
            earlier.compare(&mut translation);
            return Translated {
                mesh,
                translation,
                earlier,
            };
        }
        inventory = mesh.into_inventory();
        inventory.objects.underlay(aside);
    }
}

/// The namespaces in which an earlier run made something.
pub fn begun(mesh: &Mesh) -> BTreeSet<Name> {
    let mut begun = BTreeSet::new();
    let objects = &mesh.inventory().objects;
    objects.for_each_meta(&mut |object, meta| {
        if meta.annotations.get(SOURCE).and_then(source).is_some() {
            begun.insert(object.namespace);
        }
    });
    begun
}

/// The object that an annotation names: `VirtualService/shop/reviews`.
pub(super) fn source(written: &str) -> Option<ObjectRef> {
    let mut parts = written.splitn(3, '/');
    let kind = parts.next()?;
    let kind = Kind::ALL.iter().find(|known| known.label() == kind)?;
    let (namespace, name) = (Name::from(parts.next()?), Name::from(parts.next()?));
    Some(ObjectRef::new(*kind, &namespace, &name))
}

/// What is to be added to an object so that it says all that is wanted, as a JSON merge patch; nothing
/// when it does. What a server added to it stays.
fn missing(there: &Value, wanted: &Value) -> Option<Value> {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => {
            let mut patch = Map::new();
            for (key, value) in wanted {
                let found = there.get(key).unwrap_or(&Value::Null);
                if let Some(more) = missing(found, value) {
                    patch.insert(key.clone(), more);
                }
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        (Value::Array(there), Value::Array(wanted))
            if there.len() == wanted.len()
                && there
                    .iter()
                    .zip(wanted)
                    .all(|(a, b)| missing(a, b).is_none()) =>
        {
            None
        }
        (Value::Null, Value::Object(wanted)) if wanted.is_empty() => None,
        _ if there == wanted => None,
        // A patch in which something goes would take away what it does not find.
        _ => {
            let mut patch = Value::Null;
            merge(&mut patch, wanted);
            Some(patch)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::inventory::{Input, InventoryBuilder};

    #[test]
    fn what_a_server_adds_is_no_difference() {
        let there = json!({"spec": {"rules": [{"weight": 1, "name": "a"}], "x": 1, "uid": "1"}});
        for (wanted, expected) in [
            (json!({"spec": {"x": 1}}), None),
            (json!({"spec": {"rules": [{"name": "a"}]}}), None),
            (
                json!({"spec": {"rules": [{"name": "b"}], "x": 1}}),
                Some(json!({"spec": {"rules": [{"name": "b"}]}})),
            ),
            (json!({"spec": {"y": 2}}), Some(json!({"spec": {"y": 2}}))),
            (
                json!({"spec": {"rules": []}}),
                Some(json!({"spec": {"rules": []}})),
            ),
        ] {
            assert_eq!(missing(&there, &wanted), expected, "{wanted}");
        }
    }

    #[test]
    fn only_what_has_its_source_beside_it_is_our_own() {
        let policy = |name: &str, source: &str| {
            format!(
                "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  \
                 name: {name}\n  namespace: shop\n  annotations:\n    {SOURCE}: {source}\n"
            )
        };
        let text = [
            policy("cart", "none"),
            policy("cart-wp", "AuthorizationPolicy/shop/cart"),
            policy("gone-wp", "AuthorizationPolicy/shop/gone"),
        ];
        let mut builder = InventoryBuilder::new(Input::Manifests, "default");
        builder.file("policies.yaml", text.concat());
        let earlier = Earlier::of(&builder.finish());
        let names: Vec<String> = earlier.made.keys().map(ObjectRef::short).collect();
        assert_eq!(names, ["AuthorizationPolicy/cart-wp"]);
    }
}
