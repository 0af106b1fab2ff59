//! What is read from a cluster is what is read from its manifests.

use std::path::PathBuf;

use harness::{ControlPlane, Error, Result};
use kubectl_ambient::kinds::Kind;
use serde_json::{Value, json};

use crate::wealist::{self, essence, findings};

#[test]
fn the_live_mesh_is_judged_as_the_example_is() -> Result {
    let plane = wealist::shared()?;
    let live = plane.ambient(["check", "-n", "default", "-o", "json"])?;
    let live = live.run()?.exited(0)?.json()?;
    let example = plane.ambient(["check", "-f", ".", "-n", "default", "-o", "json"])?;
    let example = example.folder(wealist::folder()).run()?.exited(0)?.json()?;
    // The example was written down with an older Gateway API, and findings name the installed one.
    let installed = |finding: &Value| {
        finding
            .to_string()
            .replace("API 1.2 standard", "API 1.6 standard")
    };
    let words = |document: &Value| findings(document).iter().map(installed).collect::<Vec<_>>();
    assert_eq!(words(&live), words(&example));
    assert_eq!(live["namespaces"], example["namespaces"]);
    assert_eq!(live["istioVersion"], "1.31.0");
    Ok(())
}

#[test]
fn the_live_plan_is_the_examples() -> Result {
    let plane = wealist::shared()?;
    let plan = plane.ambient(["waypoint", "plan", "-n", "default", "-o", "json"])?;
    let example = plane.ambient(["waypoint", "plan", "-f", ".", "-n", "default", "-o", "json"])?;
    assert_eq!(
        essence(&plan.run()?.exited(0)?.json()?),
        essence(&example.folder(wealist::folder()).run()?.exited(0)?.json()?),
    );
    Ok(())
}

#[test]
fn a_cluster_and_its_dump_give_the_same_documents() -> Result {
    let plane = wealist::shared()?;
    let folder = dump(plane)?;
    let file = folder.path().join("dump.json");
    for command in [
        &["check", "-n", "default"][..],
        &["check", "-n", "istio-ingress"],
        &["waypoint", "plan", "-n", "default"],
        &["convert", "-n", "default"],
        &["status", "-n", "default", "-n", "istio-ingress"],
    ] {
        let live = plane.ambient(command.iter().chain(&["-o", "json"]))?;
        let live = live.run()?;
        let file = file.to_string_lossy();
        let dumped = plane.ambient(command.iter().chain(&["-o", "json", "-f", &*file]))?;
        let dumped = dumped.run()?;
        let mut read = essence(&live.json()?);
        // How a namespace is moved is planned for a cluster only.
        read.as_object_mut()
            .map(|document| document.remove("plans"));
        assert_eq!(
            (live.code(), read),
            (dumped.code(), essence(&dumped.json()?)),
            "{command:?}"
        );
    }
    Ok(())
}

#[test]
fn pages_of_one_object_give_what_one_page_gives() -> Result {
    let plane = wealist::shared()?;
    let proxy = plane.faults()?;
    let report = |chunk: &'static str| -> Result<Value> {
        let check = plane.ambient([
            "check",
            "-n",
            "default",
            "-o",
            "json",
            "--chunk-size",
            chunk,
        ])?;
        Ok(essence(&check.through(&proxy).run()?.exited(0)?.json()?))
    };
    let whole = report("0")?;
    let before = proxy.log().lists_of("pods").len();
    assert_eq!(report("1")?, whole);
    let pods = proxy.log().lists_of("pods").len() - before;
    assert!(pods >= wealist::PODS, "{pods} pages of pods");
    Ok(())
}

#[test]
fn nothing_but_reads_and_reviews_is_sent() -> Result {
    let plane = wealist::shared()?;
    let proxy = plane.faults()?;
    for command in [
        &["check", "-A"][..],
        &["waypoint", "plan", "-A"],
        &["status"],
        &["version"],
    ] {
        plane.ambient(command)?.through(&proxy).run()?;
    }
    let log = proxy.log();
    let writes: Vec<String> = log
        .writes()
        .iter()
        .filter(|request| !request.is_review())
        .map(|request| format!("{request:?}"))
        .collect();
    assert_eq!(writes, Vec::<String>::new());
    let secrets = log.lists_of("secrets");
    assert!(secrets.is_empty(), "{secrets:?}");
    assert!(!log.requests().is_empty());
    Ok(())
}

#[test]
fn the_installation_is_seen_as_it_is() -> Result {
    let plane = wealist::shared()?;
    let version = plane.ambient(["version", "-o", "json"])?.run()?.exited(0)?;
    let version = version.json()?;
    assert_eq!(version["kubernetes"], "v1.36.3", "{version}");
    assert_eq!(
        version["controlPlanes"][0]["version"], "1.31.0",
        "{version}"
    );
    // Nothing in the way of the installation itself: no finding but those of this mesh.
    let check = plane.ambient(["check", "-n", "default", "-o", "json"])?;
    let check = check.run()?.json()?;
    assert_eq!(check["notRun"], json!([]), "{check}");
    Ok(())
}

/// All objects of all kinds that the program reads, as `kubectl get -o json` writes them.
fn dump(plane: &ControlPlane) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir().map_err(|error| Error::new(error.to_string()))?;
    let kinds: Vec<String> = served(plane)?;
    let all = plane
        .kubectl(["get", "-A", "-o", "json", &kinds.join(",")])
        .run()?
        .exited(0)?;
    let file: PathBuf = folder.path().join("dump.json");
    std::fs::write(file, all.stdout).map_err(|error| Error::new(error.to_string()))?;
    Ok(folder)
}

/// The resources of our kinds that this server has.
fn served(plane: &ControlPlane) -> Result<Vec<String>> {
    let names = plane
        .kubectl(["api-resources", "-o", "name", "--verbs", "list"])
        .run()?
        .exited(0)?;
    let known: Vec<String> = Kind::ALL
        .iter()
        .map(|kind| match kind.group() {
            "" => kind.plural().to_owned(),
            group => format!("{}.{group}", kind.plural()),
        })
        .collect();
    let served = names
        .stdout
        .lines()
        .filter(|line| known.iter().any(|k| k == line));
    Ok(served.map(str::to_owned).collect())
}
