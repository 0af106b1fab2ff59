//! From what changes to the files that hold it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Obstacle, Want, edit, patched_by_kustomize};
use crate::inventory::{FileId, Inventory, Origin, SourceFile};
use crate::kinds::ObjectRef;
use crate::mesh::Mesh;
use crate::translate::change::merge;
use crate::translate::{Decision, Earlier, Edit, Net, Phase, written};

/// The file for new objects that belong to no object of a file.
const NEW: &str = "ambient.yaml";

/// What becomes of files.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct FileEdits {
    /// The files that change, by name.
    pub files: Vec<FileEdit>,
    /// What has to be done by hand, by object.
    pub left: Vec<Left>,
}

/// A file that changes.
#[derive(Debug, PartialEq, Eq)]
pub struct FileEdit {
    /// Its name.
    pub name: String,
    /// Its text as it was read; `None` when it is new.
    pub before: Option<String>,
    /// Its text then; `None` when no object is left in it.
    pub after: Option<String>,
    /// The objects concerned.
    pub objects: Vec<ObjectRef>,
}

/// A change that is left to a person.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// The object.
    pub object: ObjectRef,
    /// Why.
    pub reason: String,
    /// The object as YAML, before and after; nothing when it is new, or gone.
    pub before: Option<String>,
    /// After.
    pub after: Option<String>,
}

/// What becomes of the files of a mesh when the changes of one phase, or of all, are made.
pub fn edits(
    decision: &Decision<'_>,
    mesh: &Mesh,
    earlier: &Earlier,
    phase: Option<Phase>,
) -> FileEdits {
    let inventory = mesh.inventory();
    let mut plan = Plan {
        inventory,
        earlier,
        by_file: BTreeMap::new(),
        new: BTreeMap::new(),
        left: Vec::new(),
    };
    let texts: Vec<(&str, &str)> = inventory
        .files
        .iter()
        .map(|f| (&*f.name, &*f.text))
        .collect();
    let patched = patched_by_kustomize(&texts);
    for net in decision.net(phase) {
        plan.note(decision, phase, net, &patched);
    }
    plan.finish()
}

struct Plan<'m> {
    inventory: &'m Inventory,
    earlier: &'m Earlier,
    by_file: BTreeMap<u32, Vec<(Net<'m>, Want)>>,
    /// What goes into new files, by their names.
    new: BTreeMap<String, Vec<Net<'m>>>,
    left: Vec<Left>,
}

impl<'m> Plan<'m> {
    fn note(
        &mut self,
        decision: &Decision<'m>,
        phase: Option<Phase>,
        net: Net<'m>,
        patched: &BTreeSet<(String, String)>,
    ) {
        let object = net.object;
        let named = (object.kind.written().to_owned(), object.name.to_string());
        if patched.contains(&named) {
            self.leave(net, "a kustomization patches it");
            return;
        }
        if net.before.is_none() {
            self.create(net);
            return;
        }
        let made = self.earlier.get(object);
        let origin = made.map(|(origin, _)| origin);
        let origin = origin.or_else(|| self.inventory.objects.origin(object));
        let Some(Origin::File { file, range }) = origin else {
            self.leave(net, "it is not in the files");
            return;
        };
        let want = if net.after.is_none() {
            Want::Remove(range.clone())
        } else {
            let json = made.map(|(_, json)| json.clone());
            let Some(mut json) = json.or_else(|| self.inventory.whole(object)) else {
                self.leave(net, "it could not be read whole");
                return;
            };
            for change in decision.made(phase).filter(|c| c.edit.object() == object) {
                if let Edit::Update { patch, .. } = &change.edit {
                    merge(&mut json, patch);
                }
            }
            Want::Update(range.clone(), json)
        };
        self.by_file.entry(file.0).or_default().push((net, want));
    }

    fn leave(&mut self, net: Net<'_>, reason: impl Into<String>) {
        self.left.push(Left {
            object: net.object.clone(),
            reason: reason.into(),
            before: net.before.map(written::yaml),
            after: net.after.map(written::yaml),
        });
    }

    /// Puts a new object into the file of the object on whose account it is made.
    fn create(&mut self, net: Net<'m>) {
        let because = net.first.because.iter();
        let mut files = because.filter_map(|object| self.file_of(object));
        if let Some(file) = files.next() {
            self.append(file, net);
        } else {
            let name = beside(&self.neighbour(net.object));
            self.put_into(name, net);
        }
    }

    fn append(&mut self, file: FileId, net: Net<'m>) {
        let Some(manifest) = net.after else { return };
        let want = Want::Append(manifest.json().clone(), written::yaml(manifest));
        self.by_file.entry(file.0).or_default().push((net, want));
    }

    /// Puts a new object into a file of this name, which may have been read.
    fn put_into(&mut self, name: String, net: Net<'m>) {
        let known = self.inventory.files.iter().position(|f| f.name == name);
        match known.and_then(|at| u32::try_from(at).ok()) {
            Some(at) => self.append(FileId(at), net),
            None => self.new.entry(name).or_default().push(net),
        }
    }

    fn file_of(&self, object: &ObjectRef) -> Option<FileId> {
        match self.inventory.objects.origin(object)? {
            Origin::File { file, .. } => Some(*file),
            Origin::Live => None,
        }
    }

    /// The file of a Service of the same namespace, or else the first one.
    fn neighbour(&self, object: &ObjectRef) -> String {
        let services = &self.inventory.objects.services;
        let near = crate::inventory::in_namespace(services, &object.namespace);
        let origin = near.iter().find_map(|service| match &service.origin {
            Origin::File { file, .. } => self.inventory.files.get(file.0 as usize),
            Origin::Live => None,
        });
        let file = origin.or_else(|| self.inventory.files.first());
        file.map_or_else(String::new, |file| file.name.clone())
    }

    fn finish(mut self) -> FileEdits {
        let mut files = Vec::new();
        for (file, wanted) in std::mem::take(&mut self.by_file) {
            let Some(source) = self.inventory.files.get(file as usize) else {
                continue;
            };
            files.extend(self.file(source, wanted));
        }
        for (name, nets) in std::mem::take(&mut self.new) {
            let manifests = nets.iter().filter_map(|net| net.after);
            files.push(FileEdit {
                name,
                before: None,
                after: Some(written::stream(manifests)),
                objects: nets.iter().map(|net| net.object.clone()).collect(),
            });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        self.left.sort_by(|a, b| a.object.cmp(&b.object));
        FileEdits {
            files,
            left: self.left,
        }
    }

    fn file(&mut self, source: &SourceFile, wanted: Vec<(Net<'m>, Want)>) -> Option<FileEdit> {
        let (mut nets, wants): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        let edited = edit(&source.text, &wants);
        for (position, obstacle) in edited.left.iter().rev() {
            let net = nets.remove(*position);
            if *obstacle == Obstacle::Json {
                let name = beside(&source.name);
                self.put_into(name, net);
            } else {
                self.leave(net, obstacle.to_string());
            }
        }
        let text = edited.text?;
        Some(FileEdit {
            name: source.name.clone(),
            before: Some(source.text.clone()),
            after: (!edited.is_empty).then_some(text),
            objects: nets.iter().map(|net| net.object.clone()).collect(),
        })
    }
}

/// The file for new objects in the folder of a file.
fn beside(name: &str) -> String {
    let folder = name.rfind(['/', '\\']).map_or(0, |end| end + 1);
    format!("{}{NEW}", &name[..folder])
}
