//! What `convert` emits, given to the real API server: the schemas, their rules and istiod's webhooks judge
//! every object, each phase's creations and updates alike, in a dry run that knows every field.

use std::collections::BTreeMap;
use std::path::Path;

use harness::{ControlPlane, Error, Manifests, Result};
use serde_json::Value;

use crate::wealist;

/// All that will exist, and what each phase creates or changes.
const PHASES: [&[&str]; 6] = [
    &[],
    &["--phase", "prepare"],
    &["--phase", "enrol"],
    &["--phase", "switch"],
    &["--phase", "routes"],
    &["--phase", "retire"],
];

#[test]
fn the_server_takes_what_the_stories_become() -> Result {
    // The stories bring sidecars, which are callers of what the other tests look at.
    let plane = &ControlPlane::start(&wealist::options())?;
    let mut judged = Judged::default();
    for (name, text) in stories()? {
        let manifests = Manifests::parse(&text)?;
        let homes = homes(&manifests);
        let homes: Vec<&str> = homes.iter().map(String::as_str).collect();
        let set = plane.namespaces(&homes)?;
        // What belongs to others, such as the mesh's configuration, is told to the command alone.
        let own = manifests.in_order().filter(|object| is_of(object, &homes));
        set.apply(&stream(own))?;
        let source = stream(manifests.renamed(&set.real_names()).in_order());
        for routes in ["auto", "httproute"] {
            let from_files = ["convert", "-f", "-", "-o", "yaml", "--routes", routes];
            judged.all_phases(plane, &from_files, &source)?;
        }
        for home in &homes {
            let home = set.of(home)?.name();
            let from_cluster = ["convert", "-n", home, "-o", "yaml", "--guard", "closed"];
            judged.all_phases(plane, &from_cluster, "")?;
        }
        judged.judge(plane, &name)?;
    }
    judged.told()
}

#[test]
fn the_server_takes_what_the_example_becomes() -> Result {
    let plane = wealist::shared()?;
    let mut judged = Judged::default();
    let sources = wealist::sources(wealist::Sidecars::Native)?;
    let from_files = ["convert", "-f", "-", "-o", "yaml"];
    judged.all_phases(plane, &from_files, &stream(sources.iter()))?;
    for home in ["default", "istio-ingress"] {
        let from_cluster = ["convert", "-n", home, "-o", "yaml"];
        judged.all_phases(plane, &from_cluster, "")?;
    }
    judged.judge(plane, "wealist")?;
    judged.told()
}

/// What is emitted, until the server has judged it.
#[derive(Default)]
struct Judged {
    /// Each object once, and what emitted it first.
    emitted: BTreeMap<String, String>,
    taken: usize,
    refused: Vec<String>,
}

impl Judged {
    /// Takes what the command emits, phase by phase.
    fn all_phases(&mut self, plane: &ControlPlane, command: &[&str], source: &str) -> Result {
        for phase in PHASES {
            let emitted = plane.ambient(command.iter().chain(phase))?;
            let emitted = emitted.stdin(source).run()?;
            // 1 where something is refused: what is emitted then has to be right as well.
            if !matches!(emitted.code(), Some(0 | 1)) {
                emitted.exited(0)?;
                continue;
            }
            let by = || [command, phase].concat().join(" ");
            for object in Manifests::parse(&emitted.stdout)?.in_order() {
                let said = self.emitted.entry(object.to_string());
                said.or_insert_with(by);
            }
        }
        Ok(())
    }

    /// Gives it to the server.
    fn judge(&mut self, plane: &ControlPlane, name: &str) -> Result {
        let emitted = std::mem::take(&mut self.emitted);
        if emitted.is_empty() {
            return Ok(());
        }
        let objects: Vec<&str> = emitted.keys().map(String::as_str).collect();
        let dry = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            "--validate=strict",
            "-f",
            "-",
        ];
        let answer = plane.kubectl(dry).stdin(objects.join("\n---\n")).run()?;
        if answer.code() == Some(0) {
            self.taken += objects.len();
            return Ok(());
        }
        let errors = answer.stderr.lines().filter(|line| !line.is_empty());
        let errors = errors.filter(|line| !line.starts_with("Warning:"));
        let all = emitted.iter().map(|(object, by)| format!("{by}: {object}"));
        let lines: Vec<String> = errors.map(str::to_owned).chain(all).collect();
        self.refused
            .push(format!("{name}\n  {}", lines.join("\n  ")));
        Ok(())
    }

    fn told(self) -> Result {
        if self.refused.is_empty() && self.taken > 0 {
            return Ok(());
        }
        let Self { taken, refused, .. } = self;
        let refused = refused.join("\n");
        Err(Error::new(format!("{taken} objects were taken\n{refused}")))
    }
}

/// The stories, by name.
fn stories() -> Result<Vec<(String, String)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let unreadable = |error: std::io::Error| Error::new(format!("the stories: {error}"));
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let text = std::fs::read_to_string(entry.path().join("mesh.yaml")).map_err(unreadable)?;
        all.push((entry.file_name().to_string_lossy().into_owned(), text));
    }
    all.sort();
    Ok(all)
}

/// The namespaces that manifests bring along.
fn homes(manifests: &Manifests) -> Vec<String> {
    let namespaces = manifests.in_order().filter(|o| o["kind"] == "Namespace");
    let names = namespaces.filter_map(|object| object["metadata"]["name"].as_str());
    names.map(str::to_owned).collect()
}

/// Whether an object is one of these namespaces, or is in one.
fn is_of(object: &Value, homes: &[&str]) -> bool {
    let meta = &object["metadata"];
    let home = match object["kind"].as_str() {
        Some("Namespace") => &meta["name"],
        _ => &meta["namespace"],
    };
    home.as_str().is_some_and(|home| homes.contains(&home))
}

/// Objects as one text.
fn stream<'o>(objects: impl Iterator<Item = &'o Value>) -> String {
    let documents: Vec<String> = objects.map(Value::to_string).collect();
    documents.join("\n---\n")
}
