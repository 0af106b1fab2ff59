//! A debug bundle of a cluster is judged as the cluster is.

use harness::Result;
use serde_json::Value;

use crate::wealist;

/// The namespaces with their counts, and what `check` finds, but for where it stands.
fn findings(report: &str) -> Value {
    let mut report: Value = serde_json::from_str(report).expect("a document");
    for finding in report["findings"].as_array_mut().expect("a list") {
        finding.as_object_mut().expect("a finding").remove("place");
    }
    serde_json::json!([report["namespaces"], report["findings"]])
}

#[test]
fn a_bundle_of_a_cluster_is_judged_as_the_cluster() -> Result {
    let plane = wealist::shared()?;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("bundle.yaml");
    let file = file.to_str().expect("a name in plain text");
    let common = ["check", "-n", "default", "--fail-on", "never", "-o", "json"];
    let live = plane
        .ambient(common.iter().copied().chain(["--debug-bundle", file]))?
        .run()?
        .exited(0)?;
    let again = plane
        .ambient(common.iter().copied().chain(["-f", file]))?
        .run()?
        .exited(0)?;
    let (live, again) = (findings(&live.stdout), findings(&again.stdout));
    assert!(!live[1].as_array().expect("a list").is_empty());
    assert_eq!(again, live);
    let text = std::fs::read_to_string(file).expect("the bundle");
    for gone in ["last-applied-configuration", "kind: Secret"] {
        assert!(!text.contains(gone), "{gone}");
    }
    Ok(())
}
