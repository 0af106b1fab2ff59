//! Building an inventory from pages of JSON and from the text of files.

use std::collections::BTreeMap;
use std::ops::Range;

use super::{FileId, Input, Inventory, Objects, Origin, Place, SourceFile, Subject, Unread, text};
use crate::kinds::{DecodeError, Interner, Kind, KindSet, Name, ObjectRef};

/// What documents that are no Kubernetes objects are counted as.
const NO_OBJECT: &str = "no Kubernetes object";

/// What became of a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSummary {
    /// Objects that were read, those of kinds that we do not read among them.
    pub objects: usize,
    /// The first thing that could not be read; it is in the inventory too.
    pub unread: Option<Unread>,
    /// The first document that is no Kubernetes object, and what it is.
    pub other: Option<(Place, String)>,
}

impl FileSummary {
    fn note(&mut self, inventory: &mut Inventory, subject: Subject, reason: String, place: Place) {
        let unread = Unread {
            subject,
            reason,
            place: Some(place),
        };
        self.unread.get_or_insert_with(|| unread.clone());
        inventory.unread.push(unread);
    }
}

/// Collects objects; [`InventoryBuilder::finish`] sorts them.
#[derive(Debug)]
pub struct InventoryBuilder {
    inventory: Inventory,
    names: Interner,
    default_namespace: Name,
    whole: KindSet,
    ignored: BTreeMap<String, usize>,
    /// How many objects there were of each `generateName`.
    generated: BTreeMap<String, usize>,
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
            whole: KindSet::EMPTY,
            ignored: BTreeMap::new(),
            generated: BTreeMap::new(),
        }
    }

    /// Keeps the whole objects of these kinds too, beside those that are always kept.
    #[must_use]
    pub fn keeping(mut self, whole: KindSet) -> Self {
        self.whole = whole;
        self
    }

    /// Adds one object that a cluster returned. One that cannot be decoded becomes unread.
    pub fn live(&mut self, kind: Kind, json: &str) {
        let added = self.inventory.objects.insert(
            kind,
            json,
            Origin::Live,
            self.whole,
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
    pub fn file(&mut self, name: &str, text: String) -> FileSummary {
        let id = FileId(u32::try_from(self.inventory.files.len()).unwrap_or(u32::MAX));
        let mut summary = FileSummary::default();
        text::each(&text, &mut |found| match found {
            text::Found::Object(object) => match self.file_object(id, object) {
                Ok(()) => summary.objects += 1,
                Err((subject, range, error)) => {
                    let (line, column) = text::locate(&text, range, &error.path);
                    let place = Place::new(name, line, column);
                    summary.note(&mut self.inventory, subject, error.to_string(), place);
                }
            },
            text::Found::Problem(problem) => {
                let subject = Subject::File(name.to_owned());
                let place = Place::new(name, problem.line, problem.column);
                summary.note(&mut self.inventory, subject, problem.message, place);
            }
            text::Found::Other(other) => {
                *self.ignored.entry(NO_OBJECT.to_owned()).or_default() += 1;
                summary.other.get_or_insert_with(|| {
                    (Place::new(name, other.line, other.column), other.message)
                });
            }
        });
        self.inventory.files.push(SourceFile::new(name, text));
        summary
    }

    /// Adds one object of a file.
    fn file_object(
        &mut self,
        file: FileId,
        object: text::RawObject<'_>,
    ) -> Result<(), (Subject, Range<usize>, DecodeError)> {
        let Some(kind) = Kind::of(&object.api_version, &object.kind) else {
            let written = format!("{}/{}", object.api_version, object.kind);
            *self.ignored.entry(written).or_default() += 1;
            return Ok(());
        };
        let origin = Origin::File {
            file,
            range: object.range.clone(),
        };
        let mut insert = |json: &str| {
            let namespace = &self.default_namespace;
            let names = &mut self.names;
            let objects = &mut self.inventory.objects;
            objects.insert(kind, json, origin.clone(), KindSet::EMPTY, namespace, names)
        };
        let mut added = insert(&object.json);
        if added.is_err()
            && let Some(named) = with_generated_name(&object.json, &mut self.generated)
        {
            added = insert(&named);
        }
        added.map_err(|error| (named(kind, &object.json), object.range, error))
    }

    /// Notes what could not be read.
    pub fn unread(&mut self, unread: Unread) {
        self.inventory.unread.push(unread);
    }

    /// What was collected so far, in no order, with duplicates.
    pub fn collected(&self) -> &Objects {
        &self.inventory.objects
    }

    /// What could not be read so far, in no order.
    pub fn gaps(&self) -> &[Unread] {
        &self.inventory.unread
    }

    /// Adds what was collected elsewhere: one list of a cluster. Of a cluster's objects that are
    /// added more than once the last one counts.
    pub fn absorb(&mut self, part: Inventory) {
        self.inventory.objects.append(part.objects);
        self.inventory.unread.extend(part.unread);
    }

    fn settle(&mut self) {
        let files = &self.inventory.files;
        let mut unread = Vec::new();
        self.inventory
            .objects
            .settle(&mut |name: ObjectRef, origins| {
                let place = |origin: &Origin| match origin {
                    Origin::Live => None,
                    Origin::File { file, range } => {
                        let root = crate::kinds::FieldPath::root();
                        files
                            .get(file.0 as usize)
                            .map(|file| file.place(range.clone(), &root))
                    }
                };
                let times = match origins.len() {
                    2 => "twice".to_owned(),
                    times => format!("{times} times"),
                };
                let counts = origins.last().and_then(place);
                let which = counts.map_or_else(String::new, |place| format!(" at {place}"));
                unread.push(Unread {
                    subject: Subject::Object(name),
                    reason: format!("is given {times}; only the last one{which} was judged"),
                    place: origins.first().and_then(place),
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

/// The JSON of an object that gets its name when it is created, with a name that says so: `load-*`,
/// and `load-*2` for the next one. `None` when it has a name or nothing to make one of.
fn with_generated_name(json: &str, generated: &mut BTreeMap<String, usize>) -> Option<String> {
    let mut value: serde_json::Value = serde_json::from_str(json).ok()?;
    let metadata = value.get_mut("metadata")?.as_object_mut()?;
    if metadata.get("name").is_some_and(|name| !name.is_null()) {
        return None;
    }
    let prefix = metadata.get("generateName")?.as_str()?.to_owned();
    let count = generated.entry(prefix.clone()).or_default();
    *count += 1;
    let name = match *count {
        1 => format!("{prefix}*"),
        count => format!("{prefix}*{count}"),
    };
    metadata.insert("name".to_owned(), name.into());
    Some(value.to_string())
}
