//! Where the manifests of public projects are, and the VirtualServices among them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use kubectl_ambient::inventory::{Input, InventoryBuilder};
use serde_json::Value;

/// The folder, if it is there.
#[expect(clippy::print_stdout, reason = "what was not looked at is said")]
pub(crate) fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("KUBECTL_AMBIENT_CORPORA").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora");
    let folder = named.unwrap_or_else(beside);
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "there is no folder of manifests at {}: nothing was looked at",
        folder.display()
    );
    None
}

/// The manifests by the folder they are in, sorted.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut found: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("it can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|e| e == "yaml" || e == "yml" || e == "json")
            {
                found.entry(folder.clone()).or_default().push(path);
            }
        }
    }
    for files in found.values_mut() {
        files.sort();
    }
    found
}

/// Every VirtualService with HTTP routes, each spec once.
pub(crate) fn virtual_services(folder: &Path) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for file in files(folder).into_values().flatten() {
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        let mut builder = InventoryBuilder::new(Input::Manifests, "shop");
        builder.file("file", text);
        let inventory = builder.finish();
        for object in &inventory.objects.virtual_services {
            let json = object.whole.as_deref().unwrap_or_default();
            let Ok(value) = serde_json::from_str::<Value>(json) else {
                continue;
            };
            let name = object.metadata.name.to_string();
            if seen.insert((name, value["spec"].to_string())) {
                found.push(value);
            }
        }
    }
    found
}
