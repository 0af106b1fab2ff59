//! `--debug-bundle`: what it holds is judged as the mesh that it was made of.

#![expect(
    clippy::unwrap_used,
    reason = "a test; what it reads is in the repository"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-ambient"))
        .args(arguments)
        .output()
        .unwrap()
}

/// What is said of manifests, but for where they stand.
fn judged(arguments: &[&str]) -> Value {
    let output = run(&[arguments, &["-o", "json", "--no-metadata"]].concat());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {told}"));
    for finding in report["findings"].as_array_mut().unwrap() {
        finding.as_object_mut().unwrap().remove("place");
    }
    // Objects that are not read are not in a bundle either.
    report.as_object_mut().unwrap().remove("otherKinds");
    report
}

#[test]
fn a_bundle_is_judged_as_its_mesh() {
    let folder = tempfile::tempdir().unwrap();
    let stories = fs::read_dir("tests/stories").unwrap();
    let stories = stories.map(|entry| entry.unwrap().path().join("mesh.yaml"));
    let mut meshes: Vec<String> = stories
        .map(|path| path.to_str().unwrap().to_owned())
        .collect();
    meshes.sort();
    meshes.extend(["examples/wealist", "tests/cmd/data/formats"].map(str::to_owned));
    for (number, mesh) in meshes.iter().enumerate() {
        let file = folder.path().join(format!("{number}.yaml"));
        let file = file.to_str().unwrap();
        let whole = judged(&["check", "-f", mesh, "--debug-bundle", file]);
        assert!(!whole["findings"].as_array().unwrap().is_empty(), "{mesh}");
        assert_eq!(judged(&["check", "-f", file]), whole, "{mesh}");
        let text = fs::read_to_string(file).unwrap();
        assert!(text.starts_with("# A debug bundle"), "{text}");
        // One of a bundle is the same.
        let again = folder.path().join(format!("{number}-again.yaml"));
        let again = again.to_str().unwrap();
        judged(&["check", "-f", file, "--debug-bundle", again]);
        assert_eq!(fs::read_to_string(again).unwrap(), text);
    }
}

/// The values of all environment variables that stand in a value as they are.
fn literals(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| literals(item, found)),
        Value::Object(fields) => {
            let variables = fields.get("env").and_then(Value::as_array);
            for variable in variables.into_iter().flatten() {
                let text = variable["value"].as_str().unwrap_or("redacted");
                found.push(format!("{}={text}", variable["name"]));
            }
            fields.values().for_each(|field| literals(field, found));
        }
        _ => {}
    }
}

#[test]
fn no_variable_of_the_example_keeps_its_value() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.yaml");
    run(&[
        "status",
        "-f",
        "examples/wealist",
        "--debug-bundle",
        file.to_str().unwrap(),
    ]);
    let text = fs::read_to_string(&file).unwrap();
    let mut found = Vec::new();
    for document in text.split("\n---\n").skip(1) {
        literals(&serde_saphyr::from_str(document).unwrap(), &mut found);
    }
    assert!(found.len() > 5, "{found:?}");
    found.retain(|variable| !variable.ends_with("=redacted"));
    let switches = [
        "\"ISTIO_META_ENABLE_HBONE\"=true",
        "\"PILOT_ENABLE_AMBIENT\"=true",
        "\"CLUSTER_ID\"=Kubernetes",
    ];
    found.retain(|variable| !switches.contains(&variable.as_str()));
    assert!(found.is_empty(), "{found:?}");
    assert!(!text.contains("last-applied-configuration"));
}

#[test]
fn a_bundle_is_private_and_takes_the_place_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.yaml");
    let name = file.to_str().unwrap();
    let arguments = [
        "check",
        "-f",
        "tests/cmd/data/good.yaml",
        "--debug-bundle",
        name,
    ];
    assert!(run(&arguments).status.success());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    fs::write(&file, "mine").unwrap();
    let second = run(&arguments);
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{told}");
    assert!(
        told.contains("it is there already") && second.stdout.is_empty(),
        "{told}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    assert_eq!(files(folder.path()), ["bundle.yaml"]);
    // A folder that is not there.
    let nowhere = folder.path().join("no/bundle.yaml");
    let failed = run(&[
        "check",
        "-f",
        "tests/cmd/data/good.yaml",
        "--debug-bundle",
        nowhere.to_str().unwrap(),
    ]);
    assert_eq!(failed.status.code(), Some(5));
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}
