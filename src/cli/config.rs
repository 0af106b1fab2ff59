//! `.ambient.yaml`: what a team decided not to be told again, kept beside its manifests.
//!
//! It stands at the root of the manifests, or `--config` names it. An unknown key is an error.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::checks::{self, Ignore};
use crate::error::Error;
use crate::exit::Exit;

/// The file's name at the root of a folder of manifests.
const NAME: &str = ".ambient.yaml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    #[serde(default)]
    ignore: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The check's id.
    check: String,
    /// `Kind/name`.
    #[serde(default)]
    object: Option<String>,
    /// The object's namespace.
    #[serde(default)]
    namespace: Option<String>,
    /// Why; it may not be empty.
    reason: String,
}

/// What the file says; nothing when there is none.
///
/// # Errors
/// When a file that was named is not there, or what it says cannot be understood.
pub(super) fn read(named: Option<&Path>, manifests: &[PathBuf]) -> Result<Vec<Ignore>, Error> {
    let found = match named {
        Some(path) => Some(path.to_owned()),
        None => manifests
            .iter()
            .map(|path| path.join(NAME))
            .find(|path| path.is_file()),
    };
    let Some(path) = found else {
        return Ok(Vec::new());
    };
    let cannot =
        |why: String| Error::new(Exit::Data, format!("cannot read {}: {why}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| cannot(error.to_string()))?;
    let file: ConfigFile =
        serde_saphyr::from_str(&text).map_err(|error| cannot(error.to_string()))?;
    file.ignore
        .into_iter()
        .map(|entry| ignore(entry).map_err(&cannot))
        .collect()
}

fn ignore(entry: Entry) -> Result<Ignore, String> {
    let check = checks::by_id(&entry.check).ok_or_else(|| {
        format!(
            "`ignore` names `{}`, and there is no such check",
            entry.check
        )
    })?;
    if entry.reason.trim().is_empty() {
        return Err(format!("`ignore` of {} gives no reason", entry.check));
    }
    Ok(Ignore {
        check: check.meta().id,
        object: entry.object,
        namespace: entry.namespace,
        reason: entry.reason.trim().to_owned(),
    })
}
