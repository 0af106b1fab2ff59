//! What was read: objects, where each came from, and what could not be read.
//!
//! Text becomes objects here (`text`); fetching the text is `source`'s work. An inventory does not
//! interpret anything, and it is the same whether it came from a cluster or from files.

mod builder;
mod objects;
pub mod text;

use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

pub use builder::{FileSummary, InventoryBuilder};
pub use objects::{Listed, Objects, find, in_namespace};

use crate::kinds::{FieldPath, Kind, KindSet, Name, ObjectRef};

/// Which of the inventory's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// Where an object came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The API server.
    Live,
    /// A part of a file.
    File {
        /// Which file.
        file: FileId,
        /// The bytes of the file that hold the object.
        range: Range<usize>,
    },
}

/// An object and where it came from.
#[derive(Debug, Clone)]
pub struct Object<T> {
    /// What was read of it.
    pub value: T,
    /// Where it came from.
    pub origin: Origin,
    /// The whole object as JSON, for kinds that we may write: fields unknown to us are kept.
    pub whole: Option<Box<str>>,
}

impl<T> std::ops::Deref for Object<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A file whose text was read.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// As the user would name it; `-` for standard input.
    pub name: String,
    /// Its text.
    pub text: String,
    lines: OnceLock<text::Lines>,
}

impl SourceFile {
    /// A file's text.
    pub fn new(name: &str, text: String) -> Self {
        Self {
            name: name.to_owned(),
            text,
            lines: OnceLock::new(),
        }
    }

    /// The place of a field of the object in `range`.
    fn place(&self, range: Range<usize>, path: &FieldPath) -> Place {
        let lines = self.lines.get_or_init(|| text::Lines::of(&self.text));
        let (line, column) = text::locate_in(&self.text, lines, range, path);
        Place::new(&self.name, line, column)
    }
}

/// A place in a file, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The file's name.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Place {
    /// A line and a column of a file.
    pub fn new(file: &str, line: usize, column: usize) -> Self {
        Self {
            file: file.to_owned(),
            line,
            column,
        }
    }
}

impl serde::Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What was to be read and was not.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// All objects of a kind, in one namespace or in all.
    List {
        /// The kind.
        kind: Kind,
        /// The namespace; `None` for all or for cluster-scoped kinds.
        namespace: Option<Name>,
    },
    /// One object.
    Object(ObjectRef),
    /// A file, or what stands at a place of it.
    File(String),
}

/// Something that could not be read. It is shown, and it makes verdicts undecided.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread {
    /// What.
    pub subject: Subject,
    /// Why, as a lower-case sentence without a stop.
    pub reason: String,
    /// Where, for files.
    pub place: Option<Place>,
}

impl Unread {
    /// What it is, in words.
    pub fn what(&self) -> String {
        match &self.subject {
            Subject::List { kind, .. } if self.place.is_some() => format!("a {kind}"),
            Subject::List {
                kind,
                namespace: None,
            } => kind.resource(),
            Subject::List {
                kind,
                namespace: Some(namespace),
            } => format!("{} in {namespace}", kind.resource()),
            Subject::Object(object) => object.to_string(),
            Subject::File(name) => name.clone(),
        }
    }

    /// Whether it is a file, or a part of one, which may hold any kind.
    pub fn is_of_a_file(&self) -> bool {
        self.place.is_some() || matches!(self.subject, Subject::File(_))
    }

    /// Whether objects of these kinds are what could not be read.
    pub fn is_of(&self, kinds: KindSet) -> bool {
        !self.is_of_a_file()
            && match &self.subject {
                Subject::List { kind, .. } => kinds.contains(*kind),
                Subject::Object(object) => kinds.contains(object.kind),
                Subject::File(_) => false,
            }
    }
}

/// Where an inventory came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Input {
    /// Files: what they do not hold may still exist.
    #[default]
    Manifests,
    /// A cluster: what it does not hold does not exist.
    Cluster,
    /// Files on top of a cluster.
    Overlay,
}

/// Everything that was read.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Where it came from.
    pub input: Input,
    /// The objects by kind, each kind sorted by namespace and name.
    pub objects: Objects,
    /// The files behind them.
    pub files: Vec<SourceFile>,
    /// What could not be read, sorted.
    pub unread: Vec<Unread>,
    /// Objects of kinds that we do not read: how many there were, by `apiVersion/kind`, sorted.
    pub ignored: Vec<(String, usize)>,
}

impl Inventory {
    /// What the cluster would hold if the files were applied to it: an object of these files takes
    /// the place of the cluster's object of the same name. What could not be read of either stays
    /// unread.
    #[must_use]
    pub fn on_top_of(mut self, cluster: Inventory) -> Self {
        self.input = Input::Overlay;
        self.objects.underlay(cluster.objects);
        self.unread.extend(cluster.unread);
        self.unread.sort();
        self.unread.dedup();
        self
    }

    /// An object with all its fields; `None` when it is not there, or was read in part only.
    pub fn whole(&self, object: &ObjectRef) -> Option<serde_json::Value> {
        if let Some(json) = self.objects.whole(object) {
            return serde_json::from_str(json).ok();
        }
        let Origin::File { file, range } = self.objects.origin(object)? else {
            return None;
        };
        let text = self.files.get(file.0 as usize)?.text.get(range.clone())?;
        let mut found = None;
        text::each(text, &mut |part| {
            if let text::Found::Object(raw) = part {
                found.get_or_insert_with(|| serde_json::from_str(&raw.json).ok());
            }
        });
        found?
    }

    /// The place of a field of an object; `None` for objects of a cluster.
    ///
    /// When the field is not in the text (a default, an absent field), the place is that of the
    /// nearest enclosing field that is.
    pub fn place(&self, origin: &Origin, path: &FieldPath) -> Option<Place> {
        let Origin::File { file, range } = origin else {
            return None;
        };
        let file = self.files.get(file.0 as usize)?;
        Some(file.place(range.clone(), path))
    }
}
