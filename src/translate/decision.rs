//! What may be done of a translation, given what was accepted: nothing on account of an object that
//! is refused.
//!
//! A policy that has no counterpart is enforced as long as its pods have their sidecars. So where an
//! object is refused, neither its own changes are made nor anything that takes its namespace out of
//! sidecar mode.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::change::rank;
use super::{Change, Edit, Manifest, Options, Phase, Remark, Translation, Treatment, Weight};
use crate::kinds::{Kind, Name, ObjectRef};
use crate::mesh::Mesh;

/// A translation, and what may be done of it.
pub struct Decision<'t> {
    translation: &'t Translation,
    options: &'t Options,
    mesh: &'t Mesh,
    /// Objects that are refused, or whose translation loses what nobody accepted.
    stopped: BTreeSet<&'t ObjectRef>,
    /// Namespaces that something else keeps from moving, each with the object that it is about.
    held: BTreeMap<&'t Name, &'t ObjectRef>,
    /// The objects asked about, what they become, and what those need; `None` when all are.
    asked: Option<BTreeSet<ObjectRef>>,
}

/// What becomes of an object over several phases.
#[derive(Debug, Clone, Copy)]
pub struct Net<'t> {
    /// The object.
    pub object: &'t ObjectRef,
    /// As it was; nothing when it is new.
    pub before: Option<&'t Manifest>,
    /// As it is then; nothing when it is gone.
    pub after: Option<&'t Manifest>,
    /// The first change on the way.
    pub first: &'t Change,
}

impl<'t> Decision<'t> {
    /// What may be done of a translation that was made with these options.
    pub fn new(translation: &'t Translation, options: &'t Options, mesh: &'t Mesh) -> Self {
        let stops = |treatment: &&Treatment| {
            let mut remarks = treatment.remarks.iter();
            remarks.any(|remark| stops(options, remark))
        };
        let stopped = translation.treatments.iter().filter(stops);
        Self {
            translation,
            options,
            mesh,
            stopped: stopped.map(|treatment| &treatment.object).collect(),
            held: BTreeMap::new(),
            asked: (!options.only.is_empty()).then(|| asked(translation, &options.only)),
        }
    }

    /// The same where something besides the translation keeps namespaces from moving: each with the
    /// object that it is about.
    #[must_use]
    pub fn holding(mut self, held: impl IntoIterator<Item = (&'t Name, &'t ObjectRef)>) -> Self {
        self.held.extend(held);
        self
    }

    /// Whether something of a namespace changes.
    pub fn moves(&self, namespace: &Name) -> bool {
        let mut changes = self.translation.changes.iter();
        changes.any(|change| home_of(change.edit.object()) == namespace)
    }

    /// Whether a remark stands in the way: a refusal, or a loss that was not accepted.
    pub fn stops(&self, remark: &Remark) -> bool {
        stops(self.options, remark)
    }

    /// The objects that were asked about.
    pub fn treatments(&self) -> impl Iterator<Item = &'t Treatment> + '_ {
        let all = self.translation.treatments.iter();
        all.filter(|treatment| {
            self.options.only.is_empty() || self.options.only.contains(&treatment.object)
        })
    }

    /// Whether an object is refused, or loses what nobody accepted.
    pub fn is_refused(&self, object: &ObjectRef) -> bool {
        self.stopped.contains(object)
    }

    /// Whether an object that was asked about is refused, or loses what nobody accepted, or a change on
    /// its account may not be made for another's sake.
    pub fn refuses(&self) -> bool {
        let mut treatments = self.treatments();
        treatments.any(|treatment| self.stopped.contains(&treatment.object))
            || !self.held.is_empty()
            || self.changes().any(|(_, withheld)| withheld.is_some())
    }

    /// The changes on account of what was asked about, each with the object for whose sake it may not
    /// be made.
    pub fn changes(&self) -> impl Iterator<Item = (&'t Change, Option<&'t ObjectRef>)> + '_ {
        let changes = self.translation.changes.iter();
        let changes = changes.filter(|change| self.concerns(change));
        changes.map(|change| (change, self.withheld(change)))
    }

    /// The changes that may be made, of one phase or of all.
    pub fn made(&self, phase: Option<Phase>) -> impl Iterator<Item = &'t Change> + '_ {
        let changes = self.changes();
        let made = changes.filter(|(_, withheld)| withheld.is_none());
        made.map(|(change, _)| change)
            .filter(move |change| phase.is_none_or(|phase| phase == change.phase))
    }

    /// What becomes of each object by the changes that may be made, of one phase or of all; by object.
    pub fn net(&self, phase: Option<Phase>) -> Vec<Net<'t>> {
        let mut all: BTreeMap<&ObjectRef, Net<'t>> = BTreeMap::new();
        for change in self.made(phase) {
            let object = change.edit.object();
            let before = match &change.edit {
                Edit::Create(_) => None,
                Edit::Update { before, .. } | Edit::Remove(before) => Some(before),
            };
            let net = all.entry(object).or_insert(Net {
                object,
                before,
                after: None,
                first: change,
            });
            net.after = change.edit.after();
        }
        let changed = |net: &Net<'_>| net.before != net.after;
        all.into_values().filter(changed).collect()
    }

    /// The objects that exist when all is done: what is new, what is changed, and of what was asked
    /// about what stays. Of one phase: what it creates or changes. In the order in which they may be
    /// applied.
    pub fn objects(&self, phase: Option<Phase>) -> Vec<Manifest> {
        self.objects_beside(&[], phase)
    }

    /// The same with others, which stay where they do not change.
    pub fn objects_beside(&self, others: &[Manifest], phase: Option<Phase>) -> Vec<Manifest> {
        let others = others.iter();
        let mut objects: BTreeMap<&ObjectRef, Option<Manifest>> = others
            .map(|manifest| (manifest.object(), Some(manifest.clone())))
            .collect();
        if phase.is_none() {
            for treatment in self.treatments() {
                objects.insert(&treatment.object, self.as_it_is(&treatment.object));
            }
        }
        for change in self.made(phase) {
            objects.insert(change.edit.object(), change.edit.after().cloned());
        }
        let mut objects: Vec<Manifest> = objects.into_values().flatten().collect();
        objects.sort_by_cached_key(|manifest| {
            (rank(manifest.object().kind), manifest.object().clone())
        });
        objects
    }

    fn as_it_is(&self, object: &ObjectRef) -> Option<Manifest> {
        let json = self.mesh.inventory().whole(object)?;
        Some(Manifest::of(object.clone(), json))
    }

    /// Whether a change is made on account of something that was asked about.
    fn concerns(&self, change: &Change) -> bool {
        let Some(asked) = &self.asked else {
            return true;
        };
        let is_waypoint = |object: &ObjectRef| object.kind == Kind::Gateway;
        // Whoever is bound to a waypoint is bound on its account: the others are not asked about.
        let mut because = change.because.iter().filter(|it| !is_waypoint(it));
        asked.contains(change.edit.object()) || because.any(|it| asked.contains(it))
    }

    /// The object for whose sake a change may not be made.
    fn withheld(&self, change: &Change) -> Option<&'t ObjectRef> {
        let object = change.edit.object();
        if let Some(stopped) = self.stopped.get(object) {
            return Some(stopped);
        }
        if let Some(stopped) = change.because.iter().find_map(|it| self.stopped.get(it)) {
            return Some(stopped);
        }
        if change.phase < Phase::Enrol {
            return None;
        }
        let home = home_of(object);
        let root = self.mesh.root_namespace();
        let holds = |stopped: &&&'t ObjectRef| [home, root].contains(&home_of(stopped));
        let stopped = self.stopped.iter().find(holds).copied();
        stopped.or_else(|| self.held.get(home).copied())
    }
}

/// These objects, what they become, the Services that what they become is attached to, the waypoints
/// that those are bound to, and the parameters of these.
fn asked(translation: &Translation, only: &BTreeSet<ObjectRef>) -> BTreeSet<ObjectRef> {
    let mut asked = only.clone();
    for treatment in &translation.treatments {
        if only.contains(&treatment.object) {
            asked.extend(treatment.becomes.iter().cloned());
        }
    }
    for change in &translation.changes {
        if let Edit::Create(manifest) = &change.edit
            && asked.contains(manifest.object())
        {
            asked.extend(attached_to(manifest));
        }
    }
    for change in &translation.changes {
        let object = change.edit.object();
        if object.kind == Kind::Service && asked.contains(object) {
            let because = change.because.iter();
            asked.extend(because.filter(|it| it.kind == Kind::Gateway).cloned());
        }
    }
    for change in &translation.changes {
        let object = change.edit.object();
        if object.kind == Kind::ConfigMap && change.because.iter().any(|it| asked.contains(it)) {
            asked.insert(object.clone());
        }
    }
    asked
}

/// The Services that a policy or a route is attached to.
fn attached_to(manifest: &Manifest) -> Vec<ObjectRef> {
    let spec = &manifest.json()["spec"];
    let lists = [&spec["targetRefs"], &spec["parentRefs"]];
    let references = lists.into_iter().filter_map(Value::as_array).flatten();
    references
        .filter(|reference| reference["kind"] == "Service")
        .filter_map(|reference| {
            let name = Name::from(reference["name"].as_str()?);
            let home = reference["namespace"].as_str().map(Name::from);
            let home = home.unwrap_or_else(|| manifest.object().namespace.clone());
            Some(ObjectRef::new(Kind::Service, &home, &name))
        })
        .collect()
}

/// The namespace that an object belongs to, or is.
fn home_of(object: &ObjectRef) -> &Name {
    match object.kind {
        Kind::Namespace => &object.name,
        _ => &object.namespace,
    }
}

fn stops(options: &Options, remark: &Remark) -> bool {
    match remark.weight {
        Weight::Refused => true,
        Weight::Lossy => !options.accepted.contains(&remark.topic),
        Weight::Form | Weight::Kept | Weight::Stated => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::inventory::{Input, InventoryBuilder};
    use crate::kinds::FieldPath;
    use crate::translate::Topic;
    use crate::translate::change::new_object;

    fn object(kind: Kind, namespace: &str, name: &str) -> ObjectRef {
        ObjectRef::new(kind, &Name::from(namespace), &Name::from(name))
    }

    fn mesh() -> Mesh {
        let mut builder = InventoryBuilder::new(Input::Manifests, "default");
        let kept = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                    metadata: {name: kept, namespace: shop}\n";
        builder.file("kept.yaml", kept.to_owned());
        Mesh::new(builder.finish())
    }

    fn remark(weight: Weight) -> Remark {
        Remark::new(Topic::Paths, weight, FieldPath::root(), "differs")
    }

    fn treatment(object: ObjectRef, becomes: &[&ObjectRef], weight: Option<Weight>) -> Treatment {
        Treatment {
            object,
            becomes: becomes.iter().map(|it| (*it).clone()).collect(),
            remarks: weight.map(remark).into_iter().collect(),
        }
    }

    fn create(phase: Phase, object: &ObjectRef, spec: Value, because: &[&ObjectRef]) -> Change {
        let (kind, namespace) = (object.kind, &object.namespace);
        Change {
            phase,
            edit: Edit::Create(new_object(kind, namespace, &object.name, None, &[], spec)),
            because: because.iter().map(|it| (*it).clone()).collect(),
        }
    }

    /// A policy in shop that becomes one for the waypoint, its Service, and another namespace.
    fn translation(weight: Option<Weight>) -> Translation {
        let waypoint = object(Kind::Gateway, "shop", "waypoint");
        let policy = object(Kind::AuthorizationPolicy, "shop", "cart");
        let copy = object(Kind::AuthorizationPolicy, "shop", "cart-wp");
        let targets = json!({"targetRefs": [{"kind": "Service", "group": "", "name": "cart"}]});
        let bound = |namespace: &str, name: &str| {
            let service = object(Kind::Service, namespace, name);
            create(Phase::Enrol, &service, json!({}), &[&waypoint])
        };
        Translation {
            treatments: vec![
                treatment(policy.clone(), &[&copy], weight),
                treatment(object(Kind::AuthorizationPolicy, "shop", "kept"), &[], None),
            ],
            changes: vec![
                create(Phase::Prepare, &waypoint, json!({}), &[]),
                create(Phase::Prepare, &copy, targets, &[&policy]),
                bound("shop", "cart"),
                bound("shop", "other"),
                bound("bank", "till"),
            ],
            ..Translation::default()
        }
    }

    fn made(translation: &Translation, options: &Options, phase: Option<Phase>) -> Vec<String> {
        let mesh = mesh();
        let decision = Decision::new(translation, options, &mesh);
        let made = decision.made(phase);
        made.map(|change| change.edit.object().short()).collect()
    }

    #[test]
    fn what_is_refused_keeps_its_namespace_in_sidecar_mode() {
        let options = Options::default();
        for weight in [Weight::Refused, Weight::Lossy] {
            let refused = translation(Some(weight));
            let all = made(&refused, &options, None);
            assert_eq!(all, ["Gateway/waypoint", "Service/till"]);
            assert!(Decision::new(&refused, &options, &mesh()).refuses());
        }
        for weight in [
            None,
            Some(Weight::Stated),
            Some(Weight::Form),
            Some(Weight::Kept),
        ] {
            assert_eq!(made(&translation(weight), &options, None).len(), 5);
        }
    }

    #[test]
    fn a_refusal_for_the_whole_mesh_keeps_every_namespace_in_sidecar_mode() {
        let mut refused = translation(None);
        let wide = object(Kind::AuthorizationPolicy, "istio-system", "wide");
        refused
            .treatments
            .push(treatment(wide, &[], Some(Weight::Refused)));
        let all = made(&refused, &Options::default(), None);
        assert_eq!(all, ["Gateway/waypoint", "AuthorizationPolicy/cart-wp"]);
    }

    #[test]
    fn a_loss_may_be_accepted_and_a_refusal_may_not() {
        let options = Options {
            accepted: BTreeSet::from([Topic::Paths]),
            ..Options::default()
        };
        let lossy = translation(Some(Weight::Lossy));
        assert_eq!(made(&lossy, &options, None).len(), 5);
        let refused = translation(Some(Weight::Refused));
        assert_eq!(made(&refused, &options, None).len(), 2);
    }

    #[test]
    fn one_object_comes_with_what_it_needs() {
        let translation = translation(None);
        let only = |name: &str| Options {
            only: BTreeSet::from([object(Kind::AuthorizationPolicy, "shop", name)]),
            ..Options::default()
        };
        let cart = made(&translation, &only("cart"), None);
        assert_eq!(
            cart,
            [
                "Gateway/waypoint",
                "AuthorizationPolicy/cart-wp",
                "Service/cart"
            ]
        );
        assert_eq!(made(&translation, &only("kept"), None), [""; 0]);
        assert_eq!(
            made(&translation, &only("cart"), Some(Phase::Enrol)),
            ["Service/cart"]
        );
    }

    #[test]
    fn what_is_withheld_for_another_is_refused_too() {
        let mut other = translation(None);
        let refused = object(Kind::AuthorizationPolicy, "shop", "odd");
        other
            .treatments
            .push(treatment(refused, &[], Some(Weight::Refused)));
        let only = |name: &str| Options {
            only: BTreeSet::from([object(Kind::AuthorizationPolicy, "shop", name)]),
            ..Options::default()
        };
        let refuses = |options: &Options| Decision::new(&other, options, &mesh()).refuses();
        assert!(refuses(&only("cart")), "its Service cannot be bound");
        assert!(!refuses(&only("kept")), "nothing changes on its account");
    }

    #[test]
    fn what_stays_is_there_in_the_end_and_is_no_part_of_a_phase() {
        let translation = translation(None);
        let (options, mesh) = (Options::default(), mesh());
        let decision = Decision::new(&translation, &options, &mesh);
        let names = |phase| {
            let objects = decision.objects(phase);
            let names = objects.iter().map(|manifest| manifest.object().short());
            names.collect::<Vec<String>>()
        };
        assert!(names(None).contains(&"AuthorizationPolicy/kept".to_owned()));
        let prepare = names(Some(Phase::Prepare));
        assert_eq!(prepare, ["Gateway/waypoint", "AuthorizationPolicy/cart-wp"]);
    }
}
