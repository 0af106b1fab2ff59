//! Folders, files and standard input, good and bad.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::read;
use crate::error::Error;
use crate::exit::Exit;
use crate::inventory::Inventory;
use crate::kinds::Kind;

/// A folder with these files; a name that ends with `/` is a folder.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// Reads paths below a folder; `stdin` is what standard input holds.
fn run(folder: &Path, paths: &[&str], recursive: bool, stdin: &str) -> Result<Inventory, Error> {
    let paths: Vec<PathBuf> = paths
        .iter()
        .map(|path| match *path {
            "-" => PathBuf::from(path),
            path => folder.join(path),
        })
        .collect();
    read(&paths, recursive, "default", stdin.as_bytes())
}

/// The error's message with the folder's name left out.
fn refused(folder: &Path, paths: &[&str], stdin: &str) -> (String, Vec<String>) {
    let error = run(folder, paths, false, stdin).unwrap_err();
    assert_eq!(error.exit, Exit::Data);
    let short = |text: &str| text.replace(&folder.display().to_string(), "DIR");
    let hints = error.hints.iter().map(|hint| short(hint)).collect();
    (short(&error.message), hints)
}

fn names(inventory: &Inventory) -> Vec<String> {
    let services = &inventory.objects.services;
    services
        .iter()
        .map(|service| format!("{}/{}", service.metadata.namespace, service.metadata.name))
        .collect()
}

fn unread(inventory: &Inventory, folder: &Path) -> Vec<String> {
    let prefix = format!("{}/", folder.display());
    inventory
        .unread
        .iter()
        .map(|unread| {
            let place = unread.place.as_ref().map(ToString::to_string);
            let text = format!("{} {}", place.unwrap_or_default(), unread.reason);
            text.trim().replace(&prefix, "")
        })
        .collect()
}

fn service(name: &str) -> String {
    format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n")
}

#[test]
fn a_folder_gives_its_own_manifests_sorted() {
    let folder = folder(&[
        ("b.yml", &service("b")),
        ("a.yaml", &service("a")),
        (
            "c.json",
            r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"c"}}"#,
        ),
        ("values.yaml", "replicas: 3\n"),
        ("empty.yaml", ""),
        ("notes.txt", "\0"),
        ("deep/d.yaml", &service("d")),
        ("deep/deeper/e.yaml", &service("e")),
        (".git/f.yaml", &service("f")),
    ]);
    let inventory = run(folder.path(), &["."], false, "").unwrap();
    assert_eq!(names(&inventory), ["default/a", "default/b", "default/c"]);
    assert_eq!(inventory.unread, []);
    assert_eq!(inventory.ignored, [("no Kubernetes object".to_owned(), 1)]);
    let files: Vec<&str> = inventory.files.iter().map(|f| f.name.as_str()).collect();
    assert!(files.is_sorted(), "{files:?}");

    let inventory = run(folder.path(), &["."], true, "").unwrap();
    let all = [
        "default/a",
        "default/b",
        "default/c",
        "default/d",
        "default/e",
    ];
    assert_eq!(names(&inventory), all);
}

#[test]
fn standard_input_and_paths_go_together_and_count_once() {
    let folder = folder(&[("a.yaml", &service("a")), ("x/b.yaml", &service("b"))]);
    let stdin = service("c") + "  namespace: shop\n";
    let paths = ["a.yaml", "-", "x", "-", "x/../a.yaml", "x/b.yaml", "x"];
    let inventory = run(folder.path(), &paths, false, &stdin).unwrap();
    assert_eq!(names(&inventory), ["default/a", "default/b", "shop/c"]);
    assert_eq!(inventory.unread, []);
    assert_eq!(inventory.files[1].name, "-");
    assert_eq!(inventory.objects.count(Kind::Service), 3);
}

#[test]
fn what_is_broken_in_a_folder_is_unread_and_the_rest_is_judged() {
    let folder = folder(&[
        ("a.yaml", &service("a")),
        ("b.yaml", "kind: [\n"),
        (
            "c.yaml",
            &(service("c") + "  labels: {on: 1}\n---\n" + &service("d")),
        ),
        ("e.yaml", "apiVersion: v1\nkind: Service\nmetadata: {}\n"),
        ("f.json", "{"),
    ]);
    fs::write(folder.path().join("g.yaml"), b"a: \xff\n").unwrap();
    fs::write(folder.path().join("h.yaml"), b"a\0").unwrap();
    fs::write(folder.path().join("i.yaml"), b"\xff\xfea\0").unwrap();
    let inventory = run(folder.path(), &["."], false, "").unwrap();
    assert_eq!(names(&inventory), ["default/a", "default/d"]);
    let expected = [
        "b.yaml:1:7 invalid YAML: `[` is not closed",
        "c.yaml:5:12 metadata.labels.true: invalid type: integer `1`, expected a string",
        "e.yaml:3:1 metadata: missing field `name`",
        "f.json:1:2 invalid JSON: it ends too early",
        "g.yaml:1:4 it is not UTF-8 text",
        "it is UTF-16 text; save it as UTF-8",
        "it is not text: it has NUL bytes",
    ];
    let mut found = unread(&inventory, &folder.path().join("."));
    found.sort();
    assert_eq!(found, expected);
}

/// `kubectl create` names them; until then they have none, and that is nothing wrong.
#[test]
fn objects_that_are_named_on_creation_are_read() {
    let job = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  generateName: load-\n";
    let folder = folder(&[(
        "a.yaml",
        &format!("{job}---\n{job}  name: null\n---\n{job}  name: 1\n"),
    )]);
    let inventory = run(folder.path(), &["a.yaml"], false, "").unwrap();
    let jobs = &inventory.objects.jobs;
    let names: Vec<&str> = jobs.iter().map(|job| &*job.metadata.name).collect();
    assert_eq!(names, ["load-*", "load-*2"]);
    assert_eq!(
        unread(&inventory, folder.path()),
        ["a.yaml:16:3 metadata.name: invalid type: integer `1`, expected a string"]
    );
}

#[test]
fn a_named_file_with_a_broken_document_is_judged_without_it() {
    let folder = folder(&[("a.yaml", &(service("a") + "---\nkind: [\n"))]);
    let inventory = run(folder.path(), &["a.yaml"], false, "").unwrap();
    assert_eq!(names(&inventory), ["default/a"]);
    assert_eq!(
        unread(&inventory, folder.path()),
        ["a.yaml:6:7 invalid YAML: `[` is not closed"]
    );
}

#[test]
fn a_named_file_that_gives_nothing_is_an_error() {
    let folder = folder(&[
        ("broken.yaml", "kind: [\n"),
        (
            "nameless.yaml",
            "apiVersion: v1\nkind: Service\nmetadata: {}\n",
        ),
        ("values.yaml", "# values\nreplicas: 3\n"),
        ("empty.yaml", "# nothing\n---\n"),
        ("template.yaml", "kind: {{ .Values.kind }}\n"),
    ]);
    fs::write(folder.path().join("binary.yaml"), b"a\0b").unwrap();
    fs::write(folder.path().join("latin1.yaml"), b"# \xe4\n").unwrap();
    for (path, message) in [
        (
            "missing.yaml",
            "cannot read DIR/missing.yaml: there is no such file or folder",
        ),
        (
            "broken.yaml",
            "cannot read DIR/broken.yaml:1:7: invalid YAML: `[` is not closed",
        ),
        (
            "nameless.yaml",
            "cannot read DIR/nameless.yaml:3:1: metadata: missing field `name`",
        ),
        (
            "binary.yaml",
            "cannot read DIR/binary.yaml: it is not text: it has NUL bytes",
        ),
        (
            "latin1.yaml",
            "cannot read DIR/latin1.yaml:1:3: it is not UTF-8 text",
        ),
        ("empty.yaml", "DIR/empty.yaml holds no Kubernetes object"),
        (
            "values.yaml",
            "DIR/values.yaml holds no Kubernetes object; what stands at DIR/values.yaml:2:1 is not \
             a Kubernetes object: it has neither `apiVersion` nor `kind`",
        ),
        (
            "template.yaml",
            "cannot read DIR/template.yaml:1:7: looks like a Helm template; render it first: \
             `helm template CHART | kubectl ambient check -f -`",
        ),
    ] {
        assert_eq!(refused(folder.path(), &[path], "").0, message);
    }
    let message = "cannot read standard input:1:7: invalid YAML: `[` is not closed";
    assert_eq!(refused(folder.path(), &["-"], "kind: [").0, message);
    let message = "standard input holds no Kubernetes object";
    assert_eq!(refused(folder.path(), &["-"], "").0, message);
}

#[test]
fn a_folder_that_gives_nothing_is_an_error() {
    let folder = folder(&[
        ("deep/a.yaml", &service("a")),
        ("none/notes.txt", ""),
        ("none/.git/a.yaml", &service("a")),
        ("other/values.yaml", "replicas: 3\n"),
    ]);
    let none = "no manifests in folder DIR/none (files ending in .yaml, .yml or .json)";
    assert_eq!(
        refused(folder.path(), &["none"], ""),
        (none.to_owned(), vec![])
    );
    let (message, hints) = refused(folder.path(), &["."], "");
    assert_eq!(
        message,
        "no manifests in folder DIR/. (files ending in .yaml, .yml or .json)"
    );
    assert_eq!(hints, ["its sub-folders hold some: add -R: -f DIR/. -R"]);
    let other = "no file in folder DIR/other holds a Kubernetes object";
    assert_eq!(refused(folder.path(), &["other"], "").0, other);
}

#[test]
fn an_address_is_not_read() {
    let paths = [PathBuf::from("https://example.com/a.yaml")];
    let error = read(&paths, false, "default", io::empty()).unwrap_err();
    let message = "cannot read https://example.com/a.yaml: addresses are not read";
    assert_eq!(error.message, message);
    let hint = "curl -sSfL https://example.com/a.yaml | kubectl ambient check -f -";
    assert_eq!(error.hints, [hint]);
}

#[test]
fn standard_input_that_fails_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("it is gone"))
        }
    }
    let error = read(&[PathBuf::from("-")], false, "default", Broken).unwrap_err();
    assert_eq!(error.message, "cannot read standard input: it is gone");
}

#[cfg(unix)]
#[test]
fn links_are_read_when_they_lead_to_files_and_never_round_in_circles() {
    use std::os::unix::fs::symlink;
    let folder = folder(&[
        ("a.yaml", &service("a")),
        ("sub/b.yaml", &service("b")),
        ("outside/c.txt", &service("c")),
    ]);
    let at = |name: &str| folder.path().join(name);
    symlink(folder.path(), at("sub/loop")).unwrap();
    symlink(at("a.yaml"), at("same.yaml")).unwrap();
    symlink(at("outside/c.txt"), at("sub/c.yaml")).unwrap();
    symlink(at("nowhere"), at("gone.yaml")).unwrap();
    let inventory = run(folder.path(), &["."], true, "").unwrap();
    assert_eq!(names(&inventory), ["default/a", "default/b", "default/c"]);
    let gone = ["there is no such file or folder"];
    assert_eq!(unread(&inventory, folder.path()), gone);
}
