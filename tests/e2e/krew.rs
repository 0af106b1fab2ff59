//! Installed as krew installs it: an archive is unpacked, its program linked under the plugin's name,
//! and kubectl finds it, runs it and completes it.

#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::Path;

use dist::archive::{Entry, pack, unpack};
use dist::platform::PLATFORMS;
use harness::{Error, Result};
use tempfile::TempDir;

use crate::wealist;

/// krew's folders: the store with the unpacked archive, and `bin` with the link, which is on the PATH.
fn installed() -> Result<TempDir> {
    let home = tempfile::tempdir().map_err(failed)?;
    let store = home.path().join("store");
    let bin = home.path().join("bin");
    std::fs::create_dir_all(&bin).map_err(failed)?;
    let archive = archive()?;
    unpack(&archive, &store).map_err(|error| Error::new(format!("krew refuses it: {error}")))?;
    symlink(store.join("kubectl-ambient"), bin.join("kubectl-ambient")).map_err(failed)?;
    Ok(home)
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn failed(error: std::io::Error) -> Error {
    Error::new(error.to_string())
}

/// The archive that `make dist` left for this machine, or one of the program under test.
fn archive() -> Result<Vec<u8>> {
    let own = PLATFORMS.iter().find(|one| {
        one.os == std::env::consts::OS && cfg!(target_arch = "x86_64") == (one.arch == "amd64")
    });
    let left = own
        .and_then(|own| std::fs::read(Path::new("target/dist-archives").join(own.archive())).ok());
    if let Some(archive) = left {
        return Ok(archive);
    }
    let read = |path: &str| std::fs::read(path).map_err(failed);
    let entries = vec![
        Entry {
            path: "kubectl-ambient".to_owned(),
            program: true,
            content: read(env!("CARGO_BIN_EXE_kubectl-ambient"))?,
        },
        Entry {
            path: "LICENSE".to_owned(),
            program: false,
            content: read("LICENSE")?,
        },
    ];
    pack(entries, 0).map_err(|error| Error::new(error.to_string()))
}

#[test]
fn kubectl_runs_what_krew_installed() -> Result {
    let plane = wealist::shared()?;
    let home = installed()?;
    let version = plane
        .kubectl(["ambient", "version"])
        .env("PATH", home.path().join("bin"))
        .run()?
        .exited(0)?;
    assert!(
        version.stdout.contains(env!("CARGO_PKG_VERSION")),
        "{version}"
    );
    let usage = plane
        .kubectl(["ambient", "check", "--help"])
        .env("PATH", home.path().join("bin"))
        .run()?
        .exited(0)?;
    assert!(
        usage.stdout.contains("Usage: kubectl ambient check"),
        "{usage}"
    );
    Ok(())
}

#[test]
fn kubectl_completes_it_once_completion_is_installed() -> Result {
    let plane = wealist::shared()?;
    let home = installed()?;
    let bin = home.path().join("bin");
    let path = std::env::join_paths([bin.as_path(), Path::new("/bin"), Path::new("/usr/bin")])
        .map_err(|error| Error::new(error.to_string()))?;
    let run = |arguments: &[&str]| plane.kubectl(arguments).env("PATH", &path).run();
    let asked = run(&["ambient", "completion", "install"])?.exited(0)?;
    let written = bin.join("kubectl_complete-ambient");
    assert_eq!(asked.stdout.trim_end(), written.display().to_string());
    let complete = |words: &[&str]| -> Result<String> {
        let arguments: Vec<&str> = ["__complete", "ambient"]
            .iter()
            .chain(words)
            .copied()
            .collect();
        Ok(run(&arguments)?.exited(0)?.stdout)
    };
    assert!(complete(&["che"])?.starts_with("check\t"));
    // Names of the cluster, asked of it.
    let namespaces = complete(&["check", "-n", "istio-"])?;
    assert!(
        namespaces.lines().any(|line| line == "istio-system"),
        "{namespaces}"
    );
    // A second time it is replaced; what is not ours is not.
    run(&["ambient", "completion", "install"])?.exited(0)?;
    std::fs::write(&written, "#!/bin/sh\n").map_err(failed)?;
    let refused = run(&["ambient", "completion", "install"])?.exited(5)?;
    assert!(
        refused.stderr.contains("is not this program's"),
        "{refused}"
    );
    Ok(())
}
