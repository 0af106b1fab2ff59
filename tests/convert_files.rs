//! `convert` writes files: a tree in place, and folders of phases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The files of a folder and of its folders, by their paths in it.
fn tree(folder: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(at).expect("a folder can be read") {
            let path = entry.expect("an entry can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = fs::read_to_string(&path).expect("a file can be read");
                let name = path.strip_prefix(folder).expect("it is in the folder");
                found.insert(name.to_owned(), text);
            }
        }
    }
    found
}

fn convert(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-ambient"))
        .arg("convert")
        .arg("-f")
        .arg(folder)
        .args(arguments)
        .output()
        .expect("the command runs")
}

fn example(into: &Path) -> BTreeMap<PathBuf, String> {
    let example = tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/wealist"));
    for (name, text) in &example {
        fs::write(into.join(name), text).expect("a file can be written");
    }
    example
}

#[test]
fn a_tree_is_edited_phase_by_phase_where_it_must_change_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("there is room");
    let before = example(folder.path());
    let mut known = before.clone();
    for phase in ["prepare", "enrol", "switch", "routes", "retire"] {
        let arguments = ["--guard", "closed", "--phase", phase, "--write", "-q"];
        let output = convert(folder.path(), &arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{phase}: {errors}");
        let after = tree(folder.path());
        assert_ne!(after, known, "{phase} changes something");
        // Nothing but manifests is touched, and nothing is left beside them.
        for name in after.keys().filter(|name| !known.contains_key(*name)) {
            assert_eq!(name, Path::new("ambient.yaml"));
        }
        known = after;
        // What was written is not written again.
        convert(folder.path(), &arguments);
        assert_eq!(tree(folder.path()), known, "{phase}");
        if phase == "switch" {
            keeps_its_lines(&before, &known);
        }
    }
}

/// Nothing went but what injects sidecars.
/// What is there when all is done, as objects.
fn printed(folder: &Path, scope: &[&str]) -> String {
    let arguments = [&["--guard", "closed", "-o", "yaml"], scope].concat();
    let output = convert(folder, &arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{errors}");
    String::from_utf8(output.stdout).expect("it is text")
}

#[test]
fn what_is_written_phase_by_phase_is_what_is_printed_at_once() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A namespace in which nothing was made from anything has no mark, and has to be named.
    for (story, scope) in [
        ("deny-paths", &[][..]),
        ("claims", &[]),
        ("authorizer", &[]),
        ("monolith", &["-n", "shop"]),
    ] {
        let folder = tempfile::tempdir().expect("there is room");
        let mesh = here.join("tests/stories").join(story).join("mesh.yaml");
        fs::copy(mesh, folder.path().join("mesh.yaml")).expect("a file can be written");
        let wanted = printed(folder.path(), scope);
        for phase in ["prepare", "enrol", "switch", "routes", "retire"] {
            let arguments = ["--guard", "closed", "--phase", phase, "--write", "-q"];
            let output = convert(folder.path(), &[&arguments, scope].concat());
            assert_eq!(output.status.code(), Some(0), "{story} {phase}");
        }
        // Nothing is left that only sidecars needed, and what is there is printed as it is.
        assert_eq!(printed(folder.path(), scope), wanted, "{story}");
    }
}

fn keeps_its_lines(before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>) {
    for (name, text) in before {
        let kept = text
            .lines()
            .filter(|line| !line.contains("istio-injection:"));
        let mut lines = after[name].lines();
        for line in kept {
            let found = lines.any(|other| other == line);
            assert!(found, "{}: {line} is still there", name.display());
        }
    }
}

#[test]
fn a_file_that_cannot_be_edited_is_left_as_it_is_with_a_patch() {
    let folder = tempfile::tempdir().expect("there is room");
    example(folder.path());
    let services = folder.path().join("services.yaml");
    let text = fs::read_to_string(&services).expect("it is there");
    let anchored = text.replacen("labels:", "labels: &labels", 1);
    fs::write(&services, &anchored).expect("it can be written");
    let arguments = ["--guard", "closed", "--phase", "enrol", "--write"];
    let output = convert(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(1));
    let screen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        screen.contains("left as it") && screen.contains("holds anchors, aliases or tags"),
        "{screen}"
    );
    assert!(
        screen.contains("+    istio.io/use-waypoint: waypoint"),
        "{screen}"
    );
    let after = fs::read_to_string(&services).expect("it is there");
    // The other objects of the file are edited all the same.
    assert_ne!(after, anchored);
    assert!(after.contains("labels: &labels"));
}

#[test]
fn folders_hold_a_phase_each_and_are_written_again() {
    let folder = tempfile::tempdir().expect("there is room");
    let manifests = folder.path().join("manifests");
    fs::create_dir(&manifests).expect("it can be made");
    example(&manifests);
    let out = folder.path().join("out");
    let out_name = out.display().to_string();
    let arguments = ["--guard", "closed", "--output-dir", &out_name];
    assert_eq!(convert(&manifests, &arguments).status.code(), Some(0));
    let first = tree(&out);
    for name in [
        "README.md",
        "1-prepare/README.md",
        "1-prepare/002-gateway-default-waypoint.yaml",
        "2-enrol/001-namespace-default.yaml",
    ] {
        assert!(
            first.contains_key(Path::new(name)),
            "{name}: {:?}",
            first.keys()
        );
    }
    assert_eq!(convert(&manifests, &arguments).status.code(), Some(0));
    assert_eq!(tree(&out), first);
    // Of one phase alone the others go.
    let prepare = [&arguments[..], &["--phase", "prepare"]].concat();
    assert_eq!(convert(&manifests, &prepare).status.code(), Some(0));
    assert!(!out.join("2-enrol").exists());
    // A folder of someone else's is refused.
    let name = manifests.display().to_string();
    let refused = convert(&manifests, &["--guard", "closed", "--output-dir", &name]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(!manifests.join("1-prepare").exists());
}
