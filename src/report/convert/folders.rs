//! A conversion as folders, one a phase: what `--output-dir` writes.

use serde_json::Value;

use super::{ChangeEntry, phase_entry};
use crate::kinds::ObjectRef;
use crate::translate::{Change, Decision, Manifest, Phase, written};

/// The files of a conversion by their paths, of one phase or of all that change something.
pub fn folders(decision: &Decision<'_>, phase: Option<Phase>) -> Vec<(String, String)> {
    let mut files = Vec::new();
    let mut shown = Vec::new();
    for (position, one) in Phase::ALL.into_iter().enumerate() {
        if phase.is_some_and(|phase| phase != one) {
            continue;
        }
        let changes: Vec<&Change> = decision.made(Some(one)).collect();
        if changes.is_empty() {
            continue;
        }
        let folder = format!("{}-{}", position + 1, one.name());
        let after = changes.iter().filter_map(|change| change.edit.after());
        let after: Vec<&Manifest> = after.collect();
        for (number, manifest) in after.iter().enumerate() {
            let name = file_name(number + 1, manifest.object());
            files.push((format!("{folder}/{name}"), written::yaml(manifest)));
        }
        let gone = changes
            .iter()
            .filter(|change| change.edit.after().is_none());
        let gone: Vec<&ObjectRef> = gone.map(|change| change.edit.object()).collect();
        for (number, object) in gone.iter().enumerate() {
            let name = file_name(number + 1, object);
            files.push((format!("{folder}/remove/{name}"), identity(object)));
        }
        let entry = phase_entry(decision, one);
        let text = readme(&folder, &entry, after.is_empty(), gone.is_empty());
        files.push((format!("{folder}/README.md"), text));
        shown.push((folder, entry.wait_for));
    }
    files.push(("README.md".to_owned(), contents(&shown)));
    files
}

/// `01-service-shop-cart.yaml`: in the order in which kubectl takes the files of a folder.
fn file_name(number: usize, object: &ObjectRef) -> String {
    let kind = object.kind.written().to_ascii_lowercase();
    let namespace = match &*object.namespace {
        "" => String::new(),
        namespace => format!("{namespace}-"),
    };
    format!("{number:03}-{kind}-{namespace}{}.yaml", object.name)
}

/// As much of an object as `kubectl delete -f` needs.
fn identity(object: &ObjectRef) -> String {
    let version = object.kind.versions().first().copied().unwrap_or("v1");
    let group = match object.kind.group() {
        "" => String::new(),
        group => format!("{group}/"),
    };
    let namespace = match &*object.namespace {
        "" => String::new(),
        namespace => format!("  namespace: {namespace}\n"),
    };
    format!(
        "apiVersion: {group}{version}\nkind: {}\nmetadata:\n  name: {}\n{namespace}",
        object.kind.written(),
        object.name
    )
}

fn readme(folder: &str, entry: &super::PhaseEntry, no_files: bool, none_gone: bool) -> String {
    let mut text = format!("# {}\n\n", entry.name);
    for change in entry.changes.iter().filter(|c| c.withheld.is_none()) {
        let namespace = change.namespace.as_ref().map(|n| format!(" -n {n}"));
        let namespace = namespace.unwrap_or_default();
        text.push_str(&["- ", change.action, " ", &change.object, &namespace, "\n"].concat());
    }
    text.push_str("\n```\n");
    if !no_files {
        text.push_str(&["kubectl apply -f ", folder, "\n"].concat());
    }
    if !none_gone {
        text.push_str(&["kubectl delete -f ", folder, "/remove\n"].concat());
    }
    text.push_str("```\n");
    let emptied = entry.changes.iter().filter_map(emptied);
    let emptied: String = emptied.map(|command| command + "\n").collect();
    if !emptied.is_empty() {
        text.push_str(&[EMPTIED, "\n```\n", &emptied, "```\n"].concat());
    }
    text.push_str(&["\nThen wait: ", entry.wait_for, ".\n"].concat());
    text
}

/// What is said of fields that go.
const EMPTIED: &str = "
`kubectl apply` removes a field only where it was applied before. These remove it in any case:
";

/// The command for a change that removes fields.
fn emptied(change: &ChangeEntry) -> Option<String> {
    let patch = change.patch.as_ref().filter(|patch| removes(patch))?;
    let namespace = change.namespace.as_ref().map(|n| format!(" -n {n}"));
    // Within single quotes a shell takes all but these as they are.
    let json = patch.to_string().replace('\'', "'\\''");
    Some(format!(
        "kubectl patch {}{} --type merge -p '{json}'",
        change.resource,
        namespace.unwrap_or_default()
    ))
}

fn removes(patch: &Value) -> bool {
    match patch {
        Value::Null => true,
        Value::Object(fields) => fields.values().any(removes),
        _ => false,
    }
}

fn contents(shown: &[(String, &str)]) -> String {
    let mut text = String::from(
        "# Ambient mode, phase by phase\n\nWhat stands in one folder may be applied together. Between \
         two folders something has to be waited for.\n\n",
    );
    for (position, (folder, gate)) in shown.iter().enumerate() {
        let number = (position + 1).to_string();
        text.push_str(
            &[
                &number,
                ". [`",
                folder,
                "`](",
                folder,
                "), then wait: ",
                gate,
                "\n",
            ]
            .concat(),
        );
    }
    if shown.is_empty() {
        text.push_str("Nothing changes.\n");
    }
    text
}
