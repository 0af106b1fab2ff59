//! The manifest for krew: it keeps krew's rules, is of this version, and its checksums are those of
//! the archives that `make dist` left.

use std::path::Path;

use dist::archive::{checksum, unpack};
use dist::platform::PLATFORMS;
use serde_json::Value;

fn manifest() -> Value {
    let text = std::fs::read_to_string("plugin.yaml").expect("the manifest is there");
    assert_eq!(dist::rules::violations(&text), Vec::<String>::new());
    serde_saphyr::from_str(&text).expect("it is YAML")
}

#[test]
fn the_manifest_is_of_this_version_and_repository() {
    let manifest = manifest();
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    assert_eq!(manifest["spec"]["version"], version);
    assert_eq!(manifest["spec"]["homepage"], env!("CARGO_PKG_REPOSITORY"));
    for platform in manifest["spec"]["platforms"].as_array().expect("a list") {
        let begin = concat!(
            env!("CARGO_PKG_REPOSITORY"),
            "/releases/download/v",
            env!("CARGO_PKG_VERSION")
        );
        let address = platform["uri"].as_str().expect("an address");
        assert!(address.starts_with(begin), "{address}");
    }
}

#[test]
fn what_make_dist_left_is_what_the_manifest_says() {
    let manifest = manifest();
    let folder = Path::new("target/dist-archives");
    for platform in PLATFORMS {
        let Ok(archive) = std::fs::read(folder.join(platform.archive())) else {
            continue;
        };
        let said = manifest["spec"]["platforms"]
            .as_array()
            .expect("a list")
            .iter()
            .find(|one| {
                let labels = &one["selector"]["matchLabels"];
                labels["os"] == platform.os && labels["arch"] == platform.arch
            })
            .expect("what was built is in the manifest");
        assert_eq!(said["sha256"], checksum(&archive), "{}", platform.archive());
        let into = tempfile::tempdir().expect("a folder");
        let files = unpack(&archive, into.path()).expect("krew takes it");
        for wanted in [
            said["bin"].as_str().expect("a path"),
            "LICENSE",
            "THIRD_PARTY",
            "man/kubectl-ambient-check.1",
            "schemas/CheckReport.schema.json",
        ] {
            assert!(files.iter().any(|file| file == wanted), "{wanted}");
        }
    }
}
