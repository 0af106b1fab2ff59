//! Whole meshes translated and compared: each folder of `tests/stories` is one, with its story.
//!
//! `UPDATE_STORIES=1 cargo test --test conversion` writes `result.yaml` and `report.txt` beside each
//! mesh; read the difference before committing it.

mod mutations;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use kubectl_ambient::inventory::{Input, InventoryBuilder};
use kubectl_ambient::kinds::Name;
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::semantics::compare::How;
use kubectl_ambient::translate::{Options, Phase, Translation, translate, written};

/// A mesh with a story.
struct Story {
    name: String,
    folder: PathBuf,
    mesh: Mesh,
    namespaces: BTreeSet<Name>,
}

/// All stories, by name.
fn stories() -> Vec<Story> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stories");
    let mut folders: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the stories are there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    folders.sort();
    folders.into_iter().map(story).collect()
}

fn story(folder: PathBuf) -> Story {
    let text = std::fs::read_to_string(folder.join("mesh.yaml")).expect("every story has a mesh");
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    builder.file("mesh.yaml", text);
    let inventory = builder.finish();
    let name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    assert!(
        inventory.unread.is_empty(),
        "{name}: {:?}",
        inventory.unread
    );
    let mesh = Mesh::new(inventory);
    let namespaces = mesh
        .namespaces()
        .filter(|namespace| namespace.labels.is_some())
        .map(|namespace| namespace.name.clone())
        .collect();
    Story {
        name,
        folder,
        mesh,
        namespaces,
    }
}

/// What is said of a translation, one line each.
fn report(translation: &Translation) -> String {
    let mut text = String::new();
    for treatment in &translation.treatments {
        let becomes: Vec<String> = treatment.becomes.iter().map(ToString::to_string).collect();
        let becomes = if becomes.is_empty() {
            String::new()
        } else {
            format!(" -> {}", becomes.join(", "))
        };
        let fidelity = treatment.fidelity().name();
        let _ = writeln!(text, "{fidelity} {}{becomes}", treatment.object);
        for remark in &treatment.remarks {
            let _ = writeln!(
                text,
                "  {} {:?} {}: {}",
                remark.topic, remark.weight, remark.field, remark.says
            );
            if let Some(remedy) = &remark.remedy {
                let _ = writeln!(text, "    fix: {remedy}");
            }
        }
    }
    for change in &translation.changes {
        let what = match change.edit.after() {
            Some(_) => "writes",
            None => "removes",
        };
        let _ = writeln!(
            text,
            "{} {what} {}",
            change.phase.name(),
            change.edit.object()
        );
    }
    let proofs = &translation.proofs;
    let ways = proofs.routes.iter().map(|proof| &proof.comparison.how);
    let ways = ways.chain(proofs.calls.iter().map(|proof| &proof.comparison.how));
    let sampled = ways.filter(|how| **how != How::Complete).count();
    let _ = writeln!(
        text,
        "{} request classes compared: {} differ, {sampled} comparisons sampled",
        proofs.classes(),
        proofs.differing()
    );
    for proof in &proofs.routes {
        for difference in &proof.comparison.differences {
            let _ = writeln!(
                text,
                "  {} from {}: {difference}",
                proof.service, proof.client
            );
        }
    }
    for proof in &proofs.calls {
        for difference in &proof.comparison.differences {
            let _ = writeln!(text, "  {}: {difference}", proof.workload);
        }
    }
    text
}

#[test]
fn stories_end_as_they_are_written_down() {
    let mut wrong = Vec::new();
    for story in stories() {
        let translation = translate(&story.mesh, &story.namespaces, &Options::default());
        let result = written::stream(translation.by_the_end_of(Phase::Retire));
        for (file, found) in [
            ("result.yaml", result),
            ("report.txt", report(&translation)),
        ] {
            let path = story.folder.join(file);
            let known = std::fs::read_to_string(&path).unwrap_or_default();
            if known == found {
                continue;
            }
            if std::env::var_os("UPDATE_STORIES").is_some() {
                std::fs::write(&path, found).expect("the stories can be written");
            } else {
                wrong.push(format!("{}: {file} is now\n{found}", story.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_was_translated_stays_as_it_is() {
    for story in stories() {
        let once = translate(&story.mesh, &story.namespaces, &Options::default());
        let mut builder = InventoryBuilder::new(Input::Manifests, "default");
        builder.file("mesh.yaml", mutations::after(&story.mesh, &once));
        let mesh = Mesh::new(builder.finish());
        let again = translate(&mesh, &story.namespaces, &Options::default());
        let changed: Vec<String> = again
            .changes
            .iter()
            .map(|change| format!("{} {}", change.phase.name(), change.edit.object()))
            .collect();
        assert_eq!(changed, Vec::<String>::new(), "{}", story.name);
        assert!(!again.refuses() || once.refuses(), "{}", report(&again));
        assert!(
            again.proofs.differing() <= once.proofs.differing(),
            "{}",
            report(&again)
        );
    }
}
