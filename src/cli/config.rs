//! `.ambient.yaml`: what a team decided not to be told again, kept beside its manifests.
//!
//! It stands at the root of the manifests, or `--config` names it. An unknown key is an error.

use std::path::{Path, PathBuf};

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_saphyr::UserMessageFormatter;

use crate::checks::{self, Ignore};
use crate::error::{Error, why};
use crate::exit::Exit;
use crate::report::API_VERSION;
use crate::report::schema::identified;

/// The file's name at the root of a folder of manifests.
const NAME: &str = ".ambient.yaml";

/// What a team decided not to be told again by `kubectl ambient check`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = ".ambient.yaml")]
struct ConfigFile {
    /// The version of the format: `kubectl-ambient/v1alpha1`, also when it does not say.
    #[serde(default, rename = "apiVersion")]
    #[schemars(extend("const" = API_VERSION))]
    #[expect(
        dead_code,
        reason = "a file of another version is refused before this is read"
    )]
    api_version: Option<String>,
    /// The findings that are left out of the report.
    #[serde(default)]
    ignore: Option<Vec<Entry>>,
}

/// Findings that are left out of the report.
#[derive(Debug, Deserialize, JsonSchema)]
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

/// What the files say: the one that was named, or else those in the folders of manifests.
///
/// # Errors
/// When a file that was named is not there, or what one says cannot be understood.
pub(super) fn read(named: Option<&Path>, manifests: &[PathBuf]) -> Result<Vec<Ignore>, Error> {
    let files: Vec<PathBuf> = match named {
        Some(path) => vec![path.to_owned()],
        None => manifests
            .iter()
            .map(|path| path.join(NAME))
            .filter(|path| path.is_file())
            .collect(),
    };
    let mut ignores = Vec::new();
    for path in &files {
        ignores.extend(file(path)?);
    }
    Ok(ignores)
}

/// The schema of the file.
pub fn config_schema() -> Schema {
    let generator = SchemaSettings::draft2020_12().into_generator();
    identified(
        generator.into_root_schema_for::<ConfigFile>(),
        "ambient.yaml",
    )
}

fn file(path: &Path) -> Result<Vec<Ignore>, Error> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| cannot_read(&name, &why(&error)))?;
    of_this_version(&name, &text)?;
    let file: ConfigFile =
        serde_saphyr::from_str(&text).map_err(|error| not_a_config(&name, &error))?;
    file.ignore
        .unwrap_or_default()
        .into_iter()
        .map(|entry| ignore(entry).map_err(|why| cannot_read(&name, &why)))
        .collect()
}

/// What the file says of its version, whatever else stands in it.
#[derive(Default, Deserialize)]
struct Versioned {
    #[serde(default, rename = "apiVersion")]
    api_version: Option<serde_json::Value>,
}

/// Refuses a file of another version before its keys are found to be unknown.
fn of_this_version(name: &str, text: &str) -> Result<(), Error> {
    // What is no mapping at all is told of by who reads the rest.
    let said: Versioned = serde_saphyr::from_str(text).unwrap_or_default();
    match said.api_version {
        Some(version) if version != API_VERSION => {
            let version = match version {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            Err(cannot_read(
                name,
                &format!("its apiVersion is `{version}`, and this program reads `{API_VERSION}`"),
            )
            .hint("a later release of kubectl-ambient may read it"))
        }
        _ => Ok(()),
    }
}

fn cannot_read(what: &str, why: &str) -> Error {
    Error::new(Exit::Data, format!("cannot read {what}: {why}"))
}

/// What the file should say and does not, and where.
fn not_a_config(name: &str, error: &serde_saphyr::Error) -> Error {
    let text = error
        .without_snippet()
        .render_with_formatter(&UserMessageFormatter);
    // The place stands before the words, as it does for manifests.
    let words = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(words, _)| words)
        .replace("sequence start", "a list")
        .replace("mapping start", "a mapping")
        .replace("string scalar", "a text");
    let place = error.location().map_or_else(
        || name.to_owned(),
        |at| format!("{name}:{}:{}", at.line(), at.column()),
    );
    cannot_read(&place, &words).hint(
        "it holds a list `ignore`, each entry with `check` and `reason`, and `object` (Kind/name) \
         and `namespace` to narrow it",
    )
}

fn ignore(entry: Entry) -> Result<Ignore, String> {
    let id = &entry.check;
    let check = checks::by_id(id)
        .ok_or_else(|| format!("`ignore` names `{id}`, and there is no such check"))?;
    let reason =
        reason(&entry.reason).ok_or_else(|| format!("`ignore` of {id} gives no reason"))?;
    if let Some(object) = entry.object.as_ref().filter(|name| !name.contains('/')) {
        return Err(format!(
            "`ignore` of {id} names the object `{object}`, which is written Kind/name"
        ));
    }
    Ok(Ignore {
        check: check.meta().id,
        object: entry.object,
        namespace: entry.namespace,
        reason,
    })
}

/// A reason in one line; nothing when none is given.
pub(super) fn reason(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}
