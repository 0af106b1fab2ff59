//! Trees of manifests written: files in place, and folders of files.
//!
//! It stands beside what reads manifests: here is known how a file's name and its bytes became an
//! inventory's. What is written is decided elsewhere; nothing here knows of Istio.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, why};
use crate::exit::Exit;

/// The file that says which files of a folder are ours.
const MARKER: &str = ".kubectl-ambient";

/// What the marker begins with.
const MARKED: &str = "# Written by `kubectl ambient convert --output-dir`, which replaces these files when it \
                      is run again.";

/// A file that is to be changed.
#[derive(Debug, Clone, Copy)]
pub struct FileChange<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its text as it was read; `None` when it is new.
    pub before: Option<&'a str>,
    /// Its text then; `None` when it goes.
    pub after: Option<&'a str>,
}

/// Changes files in place, each in one step: whoever reads one finds the old text or the new one.
///
/// # Errors
/// When a file is not what was read, which is found out before any is changed, and when one cannot
/// be written.
pub fn change(changes: &[FileChange<'_>]) -> Result<(), Error> {
    for change in changes {
        unchanged(change)?;
    }
    for change in changes {
        let path = Path::new(change.name);
        let done = match change.after {
            Some(text) => replace(path, text),
            None => fs::remove_file(path),
        };
        done.map_err(|error| cannot_write(change.name, &why(&error)))?;
    }
    Ok(())
}

fn unchanged(change: &FileChange<'_>) -> Result<(), Error> {
    let name = change.name;
    let found = match fs::read(name) {
        Ok(bytes) => Some(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(cannot_write(name, &why(&error))),
    };
    match (found, change.before) {
        (Some(bytes), Some(text)) if bytes == text.as_bytes() => Ok(()),
        (None, None) => Ok(()),
        (Some(_), None) => Err(Error::new(
            Exit::Data,
            format!("cannot write {name}: there is such a file, and it was not read"),
        )
        .hint(format!("name it with -f {name} as well, or move it away"))),
        _ => Err(Error::new(
            Exit::Stale,
            format!("cannot write {name}: it changed since it was read"),
        )
        .hint("run the command again")),
    }
}

/// Writes a file beside its place and moves it there.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // What a link leads to is written, and the link stays.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".ambient-new");
    let beside = path.with_file_name(name);
    let mut file = match File::create_new(&beside) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // One that a run left which was killed.
            fs::remove_file(&beside)?;
            File::create_new(&beside)?
        }
        file => file?,
    };
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| match fs::metadata(&path) {
            Ok(known) => fs::set_permissions(&beside, known.permissions()),
            Err(_) => Ok(()),
        })
        .and_then(|()| fs::rename(&beside, &path));
    if written.is_err() {
        let _gone = fs::remove_file(&beside);
    }
    written
}

/// Fails when there is something of that name.
///
/// # Errors
/// When there is.
pub fn is_free(path: &Path) -> Result<(), Error> {
    if fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    let name = path.display();
    Err(Error::new(
        Exit::Usage,
        format!("cannot write {name}: it is there already"),
    )
    .hint("name a file that is not there, or remove it"))
}

/// Makes a file that only its owner may read, all of it or nothing.
///
/// # Errors
/// When there is one of that name, or it cannot be written.
pub fn create_private(path: &Path, text: &str) -> Result<(), Error> {
    let fail = |error: io::Error| cannot_write(&path.display().to_string(), &why(&error));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".ambient-new");
    let beside = path.with_file_name(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside).map_err(fail)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(fail)
        .and_then(|()| is_free(path))
        .and_then(|()| fs::rename(&beside, path).map_err(fail));
    if written.is_err() {
        let _gone = fs::remove_file(&beside);
    }
    written
}

/// Fills a folder with files, given by their paths in it. Files of an earlier run are replaced; a
/// folder that holds anything else at its root is refused.
///
/// # Errors
/// When the folder is not empty and not ours, and when a file cannot be written.
pub fn fill(folder: &Path, files: &[(String, String)]) -> Result<(), Error> {
    let name = folder.display().to_string();
    let fail = |error: io::Error| cannot_write(&name, &why(&error));
    let marker = folder.join(MARKER);
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(fail(error)),
        Ok(mut entries) => {
            if entries.next().is_some() {
                let listed = fs::read_to_string(&marker)
                    .ok()
                    .filter(|text| text.starts_with(MARKED));
                let Some(listed) = listed else {
                    return Err(Error::new(
                        Exit::Usage,
                        format!("cannot write into {name}: it is not empty, and nothing says that it was written by convert"),
                    )
                    .hint("name a folder that is empty or not there"));
                };
                clear(folder, &listed).map_err(fail)?;
            }
        }
    }
    fs::create_dir_all(folder).map_err(fail)?;
    let mut list = MARKED.to_owned();
    for (path, _) in files {
        list.push('\n');
        list.push_str(path);
    }
    list.push('\n');
    // First the list: what is written after it is known to be ours.
    replace(&marker, &list).map_err(fail)?;
    for (path, text) in files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(fail)?;
        }
        replace(&path, text)
            .map_err(|error| cannot_write(&path.display().to_string(), &why(&error)))?;
    }
    Ok(())
}

/// Removes the files of an earlier run, and the folders that are empty then.
fn clear(folder: &Path, listed: &str) -> io::Result<()> {
    let mut folders = BTreeSet::new();
    for path in listed.lines().skip(1).map(Path::new) {
        // The list is a file, which anyone may have edited.
        if !path
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            continue;
        }
        match fs::remove_file(folder.join(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let parents = path.ancestors().skip(1).map(PathBuf::from);
        folders.extend(parents.filter(|parent| !parent.as_os_str().is_empty()));
    }
    for inner in folders.iter().rev() {
        // One that holds something else stays.
        let _not_empty = fs::remove_dir(folder.join(inner));
    }
    Ok(())
}

fn cannot_write(what: &str, why: &str) -> Error {
    Error::new(Exit::Data, format!("cannot write {what}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> Vec<String> {
        let mut found: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        found.sort();
        found
    }

    #[test]
    fn nothing_is_written_when_one_file_changed_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (one, two, new) = (path("one"), path("two"), path("new"));
        fs::write(&one, "1").unwrap();
        fs::write(&two, "2").unwrap();
        let wanted = |two_was| {
            [
                FileChange {
                    name: &one,
                    before: Some("1"),
                    after: Some("1!"),
                },
                FileChange {
                    name: &two,
                    before: Some(two_was),
                    after: None,
                },
                FileChange {
                    name: &new,
                    before: None,
                    after: Some("new"),
                },
            ]
        };
        assert_eq!(change(&wanted("other")).unwrap_err().exit, Exit::Stale);
        assert_eq!(entries(folder.path()), ["one", "two"]);
        assert_eq!(fs::read_to_string(&one).unwrap(), "1");
        change(&wanted("2")).unwrap();
        assert_eq!(entries(folder.path()), ["new", "one"]);
        assert_eq!(fs::read_to_string(&one).unwrap(), "1!");
        // What is new may not be there.
        let again = FileChange {
            name: &new,
            before: None,
            after: Some("x"),
        };
        assert_eq!(change(&[again]).unwrap_err().exit, Exit::Data);
    }

    #[cfg(unix)]
    #[test]
    fn links_and_rights_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "1").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let name = link.display().to_string();
        change(&[FileChange {
            name: &name,
            before: Some("1"),
            after: Some("2"),
        }])
        .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "2");
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }

    #[test]
    fn a_folder_is_filled_again_and_others_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("out");
        let files = |names: &[&str]| -> Vec<(String, String)> {
            let all = names
                .iter()
                .map(|name| ((*name).to_owned(), (*name).to_owned()));
            all.collect()
        };
        fill(
            &folder,
            &files(&["1-prepare/a.yaml", "5-retire/remove/b.yaml"]),
        )
        .unwrap();
        assert_eq!(entries(&folder), [MARKER, "1-prepare", "5-retire"]);
        fs::write(folder.join("5-retire/mine"), "x").unwrap();
        fill(&folder, &files(&["1-prepare/c.yaml"])).unwrap();
        assert_eq!(entries(&folder), [MARKER, "1-prepare", "5-retire"]);
        assert_eq!(entries(&folder.join("1-prepare")), ["c.yaml"]);
        assert_eq!(entries(&folder.join("5-retire")), ["mine"]);
        fs::remove_file(folder.join(MARKER)).unwrap();
        let refused = fill(&folder, &files(&["x"])).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
    }

    #[test]
    fn a_list_that_was_edited_leads_nowhere_else() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("out");
        let outside = base.path().join("outside");
        fs::write(&outside, "x").unwrap();
        fill(&folder, &[]).unwrap();
        let list = format!("{MARKED}\n../outside\n{}\n", outside.display());
        fs::write(folder.join(MARKER), list).unwrap();
        fill(&folder, &[]).unwrap();
        assert!(outside.exists());
    }
}
