//! Manifests from files, folders and standard input (`-f FILE|DIR|-`).
//!
//! What was named on the command line has to be readable, or the command fails. What is only met in
//! a folder is noted as unread and the rest is judged.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::error::{Error, why};
use crate::exit::Exit;
use crate::inventory::{FileSummary, Input, Inventory, InventoryBuilder, Place, Subject, Unread};

/// The name of standard input, on the command line and in places.
const STDIN: &str = "-";

/// What a file's name ends with when it is taken from a folder, as kubectl has it.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// Reads all manifests under `paths` into an inventory.
///
/// A folder gives its own files, and those of its folders when `recursive`; hidden folders are left
/// out and links to folders are not followed. Of a path given twice the second does not count.
///
/// # Errors
/// When a path cannot be read, or holds nothing that could be judged.
pub fn read(
    paths: &[PathBuf],
    recursive: bool,
    default_namespace: &str,
    stdin: impl Read,
) -> Result<Inventory, Error> {
    let mut reader = Reader {
        recursive,
        builder: InventoryBuilder::new(Input::Manifests, default_namespace),
        read: BTreeSet::new(),
    };
    let mut stdin = Some(stdin);
    for path in paths {
        if path.as_os_str() == STDIN {
            if let Some(stdin) = stdin.take() {
                reader.standard_input(stdin)?;
            }
        } else {
            reader.path(path)?;
        }
    }
    Ok(reader.builder.finish())
}

struct Reader {
    recursive: bool,
    builder: InventoryBuilder,
    /// Files that were read, by their real names.
    read: BTreeSet<PathBuf>,
}

impl Reader {
    fn standard_input(&mut self, mut stdin: impl Read) -> Result<(), Error> {
        let what = "standard input";
        let mut bytes = Vec::new();
        stdin
            .read_to_end(&mut bytes)
            .map_err(|error| cannot_read(what, &why(&error)))?;
        let text = decode(bytes).map_err(|bad| cannot_read(what, &bad.reason))?;
        let summary = self.builder.file(STDIN, text);
        judge(what, summary)
    }

    /// Reads a path that was named.
    fn path(&mut self, path: &Path) -> Result<(), Error> {
        let name = path.display().to_string();
        if name.starts_with("https://") || name.starts_with("http://") {
            return Err(cannot_read(&name, "addresses are not read")
                .hint(format!("curl -sSfL {name} | kubectl ambient check -f -")));
        }
        let found = fs::metadata(path).map_err(|error| cannot_read(&name, &why(&error)))?;
        if found.is_dir() {
            return self.folder(path, &name);
        }
        if !self.is_new(path) {
            return Ok(());
        }
        match self.file(path, &name) {
            Ok(summary) => judge(&name, summary),
            Err(bad) => Err(cannot_read(&bad.at(&name), &bad.reason)),
        }
    }

    /// Reads a folder that was named.
    fn folder(&mut self, path: &Path, name: &str) -> Result<(), Error> {
        let mut walk = Walk::default();
        walk.folder(path, self.recursive)
            .map_err(|error| cannot_read(name, &why(&error)))?;
        if walk.files.is_empty() && walk.unread.is_empty() {
            let error = Error::new(
                Exit::Data,
                format!("no manifests in folder {name} (files ending in .yaml, .yml or .json)"),
            );
            return Err(if !self.recursive && walk.deeper(path) {
                error.hint(format!("its sub-folders hold some: add -R: -f {name} -R"))
            } else {
                error
            });
        }
        let mut judged = !walk.unread.is_empty();
        for (path, error) in walk.unread {
            self.unread(&path, why(&error), None);
        }
        for path in walk.files {
            if !self.is_new(&path) {
                judged = true;
                continue;
            }
            let name = path.display().to_string();
            match self.file(&path, &name) {
                Ok(summary) => judged |= summary.objects > 0 || summary.unread.is_some(),
                Err(bad) => {
                    judged = true;
                    self.unread(&path, bad.reason.clone(), bad.place(&name));
                }
            }
        }
        if judged {
            Ok(())
        } else {
            let message = format!("no file in folder {name} holds a Kubernetes object");
            Err(Error::new(Exit::Data, message))
        }
    }

    fn file(&mut self, path: &Path, name: &str) -> Result<FileSummary, Bad> {
        let bytes = fs::read(path).map_err(|error| Bad::new(why(&error)))?;
        let text = decode(bytes)?;
        Ok(self.builder.file(name, text))
    }

    fn unread(&mut self, path: &Path, reason: String, place: Option<Place>) {
        self.builder.unread(Unread {
            subject: Subject::File(path.display().to_string()),
            reason,
            place,
        });
    }

    /// Whether a file was not read before under any name.
    fn is_new(&mut self, path: &Path) -> bool {
        // A pipe (`<(helm template …)`) has no real name; it is taken as it is called.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.read.insert(real)
    }
}

/// Refuses a named file that gave nothing.
fn judge(name: &str, summary: FileSummary) -> Result<(), Error> {
    match summary {
        FileSummary { objects: 1.., .. } => Ok(()),
        FileSummary {
            unread: Some(unread),
            ..
        } => {
            let place = unread
                .place
                .as_ref()
                .map_or_else(|| name.to_owned(), |place| at(name, place));
            Err(cannot_read(&place, &unread.reason))
        }
        FileSummary {
            other: Some((place, what)),
            ..
        } => {
            let place = at(name, &place);
            let message =
                format!("{name} holds no Kubernetes object; what stands at {place} {what}");
            Err(Error::new(Exit::Data, message))
        }
        _ => {
            let message = format!("{name} holds no Kubernetes object");
            Err(Error::new(Exit::Data, message))
        }
    }
}

fn at(name: &str, place: &Place) -> String {
    Place::new(name, place.line, place.column).to_string()
}

fn cannot_read(what: &str, why: &str) -> Error {
    Error::new(Exit::Data, format!("cannot read {what}: {why}"))
}

/// Why bytes are no text, and where.
struct Bad {
    reason: String,
    /// Line and column.
    position: Option<(usize, usize)>,
}

impl Bad {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            position: None,
        }
    }

    fn place(&self, name: &str) -> Option<Place> {
        self.position
            .map(|(line, column)| Place::new(name, line, column))
    }

    fn at(&self, name: &str) -> String {
        self.place(name)
            .map_or_else(|| name.to_owned(), |place| place.to_string())
    }
}

/// The text of a file's bytes, which are not copied.
fn decode(bytes: Vec<u8>) -> Result<String, Bad> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Bad::new("it is UTF-16 text; save it as UTF-8"));
    }
    if bytes.contains(&0) {
        return Err(Bad::new("it is not text: it has NUL bytes"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
        Bad {
            reason: "it is not UTF-8 text".to_owned(),
            position: Some((line, column)),
        }
    })
}

/// The manifests below a folder, sorted.
#[derive(Default)]
struct Walk {
    files: Vec<PathBuf>,
    unread: Vec<(PathBuf, io::Error)>,
}

impl Walk {
    fn folder(&mut self, folder: &Path, recursive: bool) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            entries.push(entry?.path());
        }
        entries.sort();
        for path in entries {
            // What a link leads to is read when it is a file. A link to a folder is not followed,
            // as kubectl does not: it may lead round in circles, or out of the tree.
            let linked = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
            match fs::metadata(&path) {
                Ok(found) if found.is_dir() && recursive && !linked && !is_hidden(&path) => {
                    self.folder(&path, true)
                        .unwrap_or_else(|error| self.unread.push((path, error)));
                }
                // Neither pipes nor devices: a folder's walk must not wait for anyone.
                Ok(found) if found.is_file() && is_manifest(&path) => self.files.push(path),
                Err(error) if is_manifest(&path) => self.unread.push((path, error)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether there are manifests further down.
    fn deeper(&mut self, folder: &Path) -> bool {
        self.folder(folder, true).is_ok() && !self.files.is_empty()
    }
}

fn is_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests;
