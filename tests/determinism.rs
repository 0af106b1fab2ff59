//! Equal input gives equal bytes, whatever the order in which it is read.

#![expect(
    clippy::unwrap_used,
    reason = "a test; what it reads is in the repository"
)]

use std::path::Path;

use kubectl_ambient::checks::{Check, Scope, all, judge};
use kubectl_ambient::inventory::{Input, InventoryBuilder};
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::report::CheckReport;

fn report(reversed: bool) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wealist");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        })
        .collect();
    files.sort();
    let mut texts: Vec<(String, String)> = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut documents: Vec<&str> = text.split("\n---\n").collect();
        if reversed {
            documents.reverse();
        }
        texts.push((name, documents.join("\n---\n")));
    }
    if reversed {
        texts.reverse();
    }
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    for (name, text) in texts {
        builder.file(&name, text);
    }
    let mesh = Mesh::new(builder.finish());
    let scope = Scope::injected(&mesh);
    let mut checks: Vec<&'static dyn Check> = all().collect();
    if reversed {
        checks.reverse();
    }
    let mut judgement = judge(&mesh, &scope, &checks, false);
    judgement.run.sort();
    let mut document =
        serde_json::to_value(CheckReport::new(&mesh, &scope, &judgement, None)).unwrap();
    // Where an object stands is the one thing that the order of a file decides.
    for finding in document["findings"].as_array_mut().unwrap() {
        finding.as_object_mut().unwrap().remove("place");
    }
    document.to_string()
}

#[test]
fn the_order_of_the_input_does_not_show() {
    assert_eq!(report(false), report(true));
}
