//! What goes of VirtualServices whose hosts are routed otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::obstacle::Note;
use super::plan::in_full;
use super::valid;
use super::world::World;
use crate::kinds::complete::VirtualService;
use crate::kinds::{Kind, Name, ObjectRef};
use crate::translate::{Draft, Ground, Phase, Topic, Weight};

/// The hosts that VirtualServices lose, in full.
#[derive(Debug, Default)]
pub(super) struct Retirement {
    /// To routes that take their place.
    replaced: BTreeMap<ObjectRef, BTreeSet<String>>,
    /// To other VirtualServices, which were in force all along.
    shadowed: BTreeMap<ObjectRef, BTreeSet<String>>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    phase: Phase,
    object: ObjectRef,
    /// What is changed; it goes when there is nothing.
    patch: Option<serde_json::Value>,
}

impl Retirement {
    /// A route takes the place of a VirtualService for a host.
    pub(super) fn replaced(&mut self, object: &ObjectRef, host: String) {
        self.replaced
            .entry(object.clone())
            .or_default()
            .insert(host);
    }

    /// A VirtualService is not in force for a host.
    pub(super) fn shadowed(&mut self, object: &ObjectRef, host: String) {
        self.shadowed
            .entry(object.clone())
            .or_default()
            .insert(host);
    }

    /// Decides what becomes of the VirtualServices.
    pub(super) fn settle(&mut self, ground: &Ground<'_>, world: &World, notes: &mut Vec<Note>) {
        let mut gone: BTreeSet<ObjectRef> = BTreeSet::new();
        let touched: BTreeSet<ObjectRef> = self
            .replaced
            .keys()
            .chain(self.shadowed.keys())
            .cloned()
            .collect();
        for object in &touched {
            let Some(read) = world.virtual_services.get(object) else {
                continue;
            };
            if !ground.translates(&object.namespace) {
                let says = "its owner removes it once no sidecar calls the Service any more";
                let spot = valid::spot(object).then("hosts");
                notes.push(spot.note(Topic::CallersRules, Weight::Stated, says));
                continue;
            }
            let mut left = read.spec.hosts.clone();
            for (phase, lost) in [
                (Phase::Prepare, self.shadowed.get(object)),
                (Phase::Retire, self.replaced.get(object)),
            ] {
                let Some(lost) = lost else { continue };
                let before = left.len();
                let all = left.clone();
                left.retain(|host| !lost.contains(&in_full(host, &object.namespace)));
                if left.len() == before {
                    continue;
                }
                let (step, note) = without(object, read, phase, &all, &left);
                if step.patch.is_none() && step.object == *object {
                    gone.insert(object.clone());
                }
                self.steps.push(step);
                notes.extend(note);
            }
        }
        self.delegates(ground, world, &gone);
    }

    /// Delegates of which no root is left.
    fn delegates(&mut self, ground: &Ground<'_>, world: &World, gone: &BTreeSet<ObjectRef>) {
        let mut alive: BTreeSet<ObjectRef> = BTreeSet::new();
        let mut orphaned: BTreeSet<ObjectRef> = BTreeSet::new();
        let of_mesh = world
            .virtual_services
            .iter()
            .map(|(object, read)| (Some(object), read));
        let at_gateways = world.at_gateways.iter().map(|read| (None, read));
        for (object, read) in of_mesh.chain(at_gateways) {
            for delegate in read
                .spec
                .http
                .iter()
                .filter_map(|route| route.delegate.as_ref())
            {
                let home = match delegate.namespace.as_str() {
                    "" => read.metadata.namespace.clone(),
                    home => Name::from(home),
                };
                let name = Name::from(delegate.name.as_str());
                let target = ObjectRef::new(Kind::VirtualService, &home, &name);
                if object.is_some_and(|object| gone.contains(object)) {
                    orphaned.insert(target);
                } else {
                    alive.insert(target);
                }
            }
        }
        for object in orphaned.difference(&alive) {
            let read = world.virtual_services.get(object);
            if ground.translates(&object.namespace)
                && read.is_some_and(|read| read.spec.hosts.is_empty())
            {
                self.steps.push(Step {
                    phase: Phase::Retire,
                    object: object.clone(),
                    patch: None,
                });
            }
        }
    }

    pub(super) fn write(&self, draft: &mut Draft) {
        for step in &self.steps {
            match &step.patch {
                Some(patch) => draft.patch(step.phase, &step.object, patch.clone(), &[]),
                None => draft.remove(step.phase, &step.object, &[]),
            }
        }
    }
}

/// A VirtualService without some hosts: it goes when none is left and no gateway needs it.
fn without(
    object: &ObjectRef,
    read: &VirtualService,
    phase: Phase,
    before: &[String],
    left: &[String],
) -> (Step, Option<Note>) {
    let others: Vec<&String> = read
        .spec
        .gateways
        .iter()
        .filter(|name| *name != "mesh")
        .collect();
    let spot = valid::spot(object);
    let step = |patch: Option<serde_json::Value>| Step {
        phase,
        object: object.clone(),
        patch,
    };
    if left.is_empty() {
        if others.is_empty() {
            return (step(None), None);
        }
        let note = spot.then("gateways").note(
            Topic::VirtualService,
            Weight::Form,
            "stays for its gateways, and no longer for the mesh",
        );
        return (
            step(Some(json!({"spec": {"gateways": others}}))),
            Some(note),
        );
    }
    if !others.is_empty() {
        // Gateways need all hosts: nothing can be taken out for the mesh alone.
        let note = spot.then("hosts").note(
            Topic::HostsPart,
            Weight::Refused,
            "it serves gateways too, so that no host can be taken out for the mesh alone",
        );
        return (step(Some(json!({}))), Some(note));
    }
    let lost: Vec<&str> = before
        .iter()
        .filter(|host| !left.contains(host))
        .map(String::as_str)
        .collect();
    let note = spot.then("hosts").note(
        Topic::HostsPart,
        Weight::Form,
        format!("stays for its other hosts, without {}", lost.join(", ")),
    );
    (step(Some(json!({"spec": {"hosts": left}}))), Some(note))
}
