//! Building an inventory from pages of JSON and from the text of files.

use std::collections::BTreeMap;

use super::{FileId, Input, Inventory, Origin, SourceFile, Subject, Unread, text};
use crate::kinds::{Interner, Kind, Name, ObjectRef};

/// Collects objects; [`InventoryBuilder::finish`] sorts them.
#[derive(Debug)]
pub struct InventoryBuilder {
    inventory: Inventory,
    names: Interner,
    default_namespace: Name,
    ignored: BTreeMap<String, usize>,
}

impl InventoryBuilder {
    /// An empty inventory; objects without a namespace get `default_namespace`.
    pub fn new(input: Input, default_namespace: &str) -> Self {
        Self {
            inventory: Inventory {
                input,
                ..Inventory::default()
            },
            names: Interner::default(),
            default_namespace: Name::from(default_namespace),
            ignored: BTreeMap::new(),
        }
    }

    /// Adds one object that a cluster returned. One that cannot be decoded becomes unread.
    pub fn live(&mut self, kind: Kind, json: &str) {
        let added = self.inventory.objects.insert(
            kind,
            json,
            Origin::Live,
            &self.default_namespace,
            &mut self.names,
        );
        if let Err(error) = added {
            let reason = error.to_string();
            self.unread(Unread {
                subject: named(kind, json),
                reason,
                place: None,
            });
        }
    }

    /// Adds the objects of a file. What cannot be read becomes unread, with its place.
    pub fn file(&mut self, name: &str, text: String) {
        let id = FileId(u32::try_from(self.inventory.files.len()).unwrap_or(u32::MAX));
        let split = text::split(&text);
        let mut unread: Vec<Unread> = split
            .problems
            .into_iter()
            .map(|problem| Unread {
                subject: Subject::File(name.to_owned()),
                reason: problem.message,
                place: Some(super::Place {
                    file: name.to_owned(),
                    line: problem.line,
                    column: problem.column,
                }),
            })
            .collect();
        for object in split.objects {
            let Some(kind) = Kind::of(&object.api_version, &object.kind) else {
                let written = format!("{}/{}", object.api_version, object.kind);
                *self.ignored.entry(written).or_default() += 1;
                continue;
            };
            let origin = Origin::File {
                file: id,
                range: object.range.clone(),
            };
            let added = self.inventory.objects.insert(
                kind,
                &object.json,
                origin,
                &self.default_namespace,
                &mut self.names,
            );
            if let Err(error) = added {
                let (line, column) = text::locate(&text, object.range.clone(), &error.path);
                unread.push(Unread {
                    subject: named(kind, &object.json),
                    reason: error.to_string(),
                    place: Some(super::Place {
                        file: name.to_owned(),
                        line,
                        column,
                    }),
                });
            }
        }
        self.inventory.unread.append(&mut unread);
        self.inventory.files.push(SourceFile {
            name: name.to_owned(),
            text,
        });
    }

    /// Notes what could not be read.
    pub fn unread(&mut self, unread: Unread) {
        self.inventory.unread.push(unread);
    }

    /// Drops what was collected of a kind in a namespace (a list is read again from its start).
    /// Everything, when `namespace` is `None`.
    pub fn restart(&mut self, kind: Kind, namespace: Option<&str>) {
        self.inventory.objects.remove(kind, namespace);
    }

    /// Puts files on top of a cluster: an object of this inventory takes the place of the one of
    /// the same name in `cluster`.
    #[must_use]
    pub fn on_top_of(mut self, cluster: Inventory) -> Self {
        self.inventory.input = Input::Overlay;
        self.settle();
        self.inventory.objects.underlay(cluster.objects);
        self.inventory.unread.extend(cluster.unread);
        self
    }

    fn settle(&mut self) {
        let files = &self.inventory.files;
        let mut unread = Vec::new();
        self.inventory
            .objects
            .settle(&mut |name: ObjectRef, earlier, later| {
                let place = |origin: &Origin| match origin {
                    Origin::Live => None,
                    Origin::File { file, range } => files.get(file.0 as usize).map(|file| {
                        let (line, column) = text::locate(
                            &file.text,
                            range.clone(),
                            &crate::kinds::FieldPath::root(),
                        );
                        super::Place {
                            file: file.name.clone(),
                            line,
                            column,
                        }
                    }),
                };
                let counts = place(later).map_or_else(String::new, |place| format!(" at {place}"));
                unread.push(Unread {
                    subject: Subject::Object(name),
                    reason: format!("is given more than once; only the one{counts} was judged"),
                    place: place(earlier),
                });
            });
        self.inventory.unread.append(&mut unread);
    }

    /// The finished inventory.
    pub fn finish(mut self) -> Inventory {
        self.settle();
        self.inventory.unread.sort();
        self.inventory.unread.dedup();
        self.inventory.ignored = self.ignored.into_iter().collect();
        self.inventory
    }
}

/// The name of an object that could not be decoded, as far as it can be made out.
fn named(kind: Kind, json: &str) -> Subject {
    let value: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
    let text = |field: &str| Name::from(value["metadata"][field].as_str().unwrap_or_default());
    let name = text("name");
    if name.is_empty() {
        Subject::List {
            kind,
            namespace: None,
        }
    } else {
        Subject::Object(ObjectRef::new(kind, &text("namespace"), &name))
    }
}
