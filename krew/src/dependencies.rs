//! What the program is made of: the crates that are linked into it for a target, with their licences,
//! and the same as a bill of materials (CycloneDX).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Error, PROGRAM};

/// A crate that is linked into the program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Crate {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its licence, as an SPDX expression.
    pub licence: String,
    /// The checksum of its package.
    pub checksum: Option<String>,
    folder: PathBuf,
}

/// The crates for a target, sorted, and the version of the program itself.
#[derive(Debug)]
pub struct Dependencies {
    /// The program's version.
    pub version: String,
    /// What is linked into it.
    pub crates: Vec<Crate>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Dependencies {
    /// Asks cargo, without the network.
    ///
    /// # Errors
    /// When cargo does not answer.
    pub fn read(root: &Path, target: &str) -> Result<Self, Error> {
        let asked = Command::new("cargo")
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(["--filter-platform", target])
            .current_dir(root)
            .output()?;
        if !asked.status.success() {
            return Err(String::from_utf8_lossy(&asked.stderr).into_owned().into());
        }
        let metadata: Metadata = serde_json::from_slice(&asked.stdout)?;
        let checksums = checksums(&std::fs::read_to_string(root.join("Cargo.lock"))?);
        let packages: BTreeMap<&str, &Package> = metadata
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package))
            .collect();
        let program = metadata
            .packages
            .iter()
            .find(|package| package.name == PROGRAM);
        let program = program.ok_or("cargo does not know the program")?;
        let linked = linked(&metadata.resolve, &program.id);
        let mut crates: Vec<Crate> = linked
            .iter()
            .filter(|id| ***id != program.id)
            .filter_map(|id| packages.get(*id))
            .map(|package| Crate {
                name: package.name.clone(),
                version: package.version.clone(),
                licence: package
                    .license
                    .clone()
                    .unwrap_or_default()
                    .replace('/', " OR "),
                checksum: checksums
                    .get(&(package.name.clone(), package.version.clone()))
                    .cloned(),
                folder: package
                    .manifest_path
                    .parent()
                    .map(Path::to_owned)
                    .unwrap_or_default(),
            })
            .collect();
        crates.sort();
        Ok(Self {
            version: program.version.clone(),
            crates,
        })
    }

    /// The licences of all of them: who they are, and every text once.
    ///
    /// # Errors
    /// When a licence's file cannot be read.
    pub fn licences(&self) -> Result<String, Error> {
        let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut out = format!("{PROGRAM} contains the following software.\n\n");
        for one in &self.crates {
            let named = format!("{} {}", one.name, one.version);
            out.push_str("  ");
            out.push_str(&named);
            out.push_str(": ");
            out.push_str(&one.licence);
            out.push('\n');
            for text in texts_of(&one.folder)? {
                texts.entry(text).or_default().insert(named.clone());
            }
        }
        let mut blocks: Vec<(Vec<String>, String)> = texts
            .into_iter()
            .map(|(text, names)| (names.into_iter().collect(), text))
            .collect();
        blocks.sort();
        for (names, text) in blocks {
            out.push_str("\n----------------------------------------------------------------\n");
            out.push_str(&names.join(", "));
            out.push_str("\n\n");
            out.push_str(text.trim_end());
            out.push('\n');
        }
        Ok(out)
    }

    /// The bill of materials, CycloneDX 1.5.
    pub fn bill(&self) -> Value {
        let components: Vec<Value> = self
            .crates
            .iter()
            .map(|one| {
                let address = format!("pkg:cargo/{}@{}", one.name, one.version);
                let mut component = json!({
                    "type": "library",
                    "bom-ref": address,
                    "purl": address,
                    "name": one.name,
                    "version": one.version,
                    "licenses": [{ "expression": one.licence }],
                });
                if let Some(checksum) = &one.checksum {
                    component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
                }
                component
            })
            .collect();
        json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "component": {
                    "type": "application",
                    "bom-ref": PROGRAM,
                    "name": PROGRAM,
                    "version": self.version,
                    "licenses": [{ "expression": "Apache-2.0" }],
                },
            },
            "components": components,
        })
    }
}

/// The packages that are reached from the program by what it links, not by what builds or tests it.
fn linked<'r>(resolve: &'r Resolve, program: &'r str) -> BTreeSet<&'r str> {
    let nodes: BTreeMap<&str, &Node> = resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node))
        .collect();
    let mut seen = BTreeSet::new();
    let mut open = vec![program];
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let edges = nodes.get(id).map_or(&[][..], |node| node.deps.as_slice());
        let links = |edge: &&Edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none());
        open.extend(edges.iter().filter(links).map(|edge| edge.pkg.as_str()));
    }
    seen
}

/// The checksums of a lock file, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let value = |block: &str, key: &str| -> Option<String> {
        let line = block.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_start_matches(" = ").trim_matches('"').to_owned())
    };
    lock.split("[[package]]")
        .filter_map(|block| {
            let key = (value(block, "name")?, value(block, "version")?);
            Some((key, value(block, "checksum")?))
        })
        .collect()
}

/// The texts of the licences in a package's folder.
fn texts_of(folder: &Path) -> Result<Vec<String>, Error> {
    const NAMES: [&str; 5] = ["license", "licence", "copying", "notice", "unlicense"];
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase();
            path.is_file() && NAMES.iter().any(|known| name.starts_with(known))
        })
        .collect();
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        texts.push(String::from_utf8_lossy(&std::fs::read(path)?).replace("\r\n", "\n"));
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
    }

    #[test]
    fn what_only_builds_or_tests_is_not_part_of_the_program() {
        let found = Dependencies::read(root(), "x86_64-unknown-linux-gnu").unwrap();
        let has = |name: &str| found.crates.iter().any(|one| one.name == name);
        assert!(has("kube") && has("clap"));
        assert!(!has("proptest") && !has("trycmd") && !has(PROGRAM));
        assert!(found.crates.iter().all(|one| !one.licence.is_empty()));
        assert!(found.crates.iter().all(|one| one.checksum.is_some()));
    }

    #[test]
    fn every_crate_is_named_with_its_licence() {
        let found = Dependencies::read(root(), "x86_64-unknown-linux-gnu").unwrap();
        let text = found.licences().unwrap();
        for one in &found.crates {
            assert!(text.contains(&format!("{} {}: {}", one.name, one.version, one.licence)));
        }
        assert!(text.contains("Permission is hereby granted"));
        let bill = found.bill();
        assert_eq!(
            bill["components"].as_array().unwrap().len(),
            found.crates.len()
        );
    }
}
