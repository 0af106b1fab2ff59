//! What was done to files, as documents have it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::kinds::FieldPath;
use crate::mesh::Mesh;
use crate::translate::edit::files::{FileEdit, FileEdits, Left};

/// What was done to files.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WrittenEntry {
    /// The files that were written or removed.
    pub files: Vec<FileEntry>,
    /// What has to be written by hand.
    pub left: Vec<LeftEntry>,
}

/// A file that was written.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FileEntry {
    /// The file.
    pub file: String,
    /// `changed`, `created` or `removed`.
    pub outcome: &'static str,
    /// The objects concerned.
    pub objects: Vec<String>,
}

/// A change of a file that was not made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LeftEntry {
    /// The object.
    pub object: String,
    /// Where it stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why the file was left as it is.
    pub reason: String,
    /// What is to be changed, as a unified diff.
    pub patch: String,
}

impl WrittenEntry {
    /// The entry for these edits; `diff` makes a unified diff of the YAML of an object.
    pub fn new(mesh: &Mesh, edits: &FileEdits, diff: impl Fn(&str, &str, &str) -> String) -> Self {
        Self {
            files: edits.files.iter().map(file).collect(),
            left: edits
                .left
                .iter()
                .map(|one| left(mesh, one, &diff))
                .collect(),
        }
    }
}

fn file(edit: &FileEdit) -> FileEntry {
    FileEntry {
        file: edit.name.clone(),
        outcome: match (&edit.before, &edit.after) {
            (None, _) => "created",
            (_, None) => "removed",
            _ => "changed",
        },
        objects: edit.objects.iter().map(ToString::to_string).collect(),
    }
}

fn left(mesh: &Mesh, left: &Left, diff: impl Fn(&str, &str, &str) -> String) -> LeftEntry {
    let place = mesh.place(&left.object, &FieldPath::root());
    let before = left.before.as_deref().unwrap_or_default();
    let after = left.after.as_deref().unwrap_or_default();
    LeftEntry {
        object: left.object.to_string(),
        place: place.map(|place| place.to_string()),
        reason: left.reason.clone(),
        patch: diff(before, after, &left.object.short()),
    }
}
