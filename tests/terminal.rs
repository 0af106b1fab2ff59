//! What a terminal would obey is never printed as it is, wherever it stands in the input and whatever the format; and
//! a narrow terminal is filled, not overrun.

#![expect(
    clippy::unwrap_used,
    reason = "a test; what it reads is in the repository"
)]

use std::fs;
use std::process::{Command, Output};

use kubectl_ambient::checks::{Check, Scope, all, judge};
use kubectl_ambient::inventory::{Input, InventoryBuilder};
use kubectl_ambient::kinds::Name;
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::render::{Format, Style, render};
use kubectl_ambient::report::CheckReport;
use serde_json::Value;

/// Clears the screen in two ways, sets the title, and turns the direction of what follows.
const HOSTILE: &str = "\u{1b}[2J\u{9b}2J\u{1b}]0;title\u{7}\u{202e}";

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kubectl-ambient"))
        .args(arguments)
        .output()
        .unwrap()
}

/// What a terminal would obey of an output; colours are allowed where they were asked for.
fn obeyed(output: &[u8], color: bool) -> Option<String> {
    let mut text = String::from_utf8_lossy(output).into_owned();
    if color {
        for (begin, _) in text.clone().rmatch_indices("\u{1b}[") {
            let rest = &text[begin + 2..];
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != ';');
            if let Some(end) = end.filter(|end| rest[*end..].starts_with('m')) {
                text.replace_range(begin..begin + 3 + end, "");
            }
        }
    }
    let hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    let at = text.find(hostile)?;
    let line = text[..at].lines().count();
    Some(format!("{:?}", text.lines().nth(line.saturating_sub(1))))
}

fn documents() -> Vec<Value> {
    let mut files: Vec<_> = fs::read_dir("examples/wealist")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == "yaml"))
        .collect();
    files.sort();
    let mut all = Vec::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for document in text.split("\n---\n") {
            let value: Value = serde_saphyr::from_str(document).unwrap();
            // Definitions are long, and nothing of them is shown.
            if value["kind"] != "CustomResourceDefinition" && value.is_object() {
                all.push(value);
            }
        }
    }
    all
}

/// Puts hostile text behind each text of the fields of these names.
fn spoil(value: &mut Value, fields: &[&str], inside: bool) {
    match value {
        Value::String(text) if inside => text.push_str(HOSTILE),
        Value::Array(items) => {
            for item in items {
                spoil(item, fields, inside);
            }
        }
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                let here = inside || fields.contains(&name.as_str());
                spoil(value, fields, here && name != "metadata");
            }
        }
        _ => {}
    }
}

const COMMANDS: [&[&str]; 14] = [
    &["check", "-o", "wide"],
    &["check", "-o", "json"],
    &["check", "-o", "yaml"],
    &["check", "-o", "markdown"],
    &["check", "-o", "sarif"],
    &["check", "-o", "junit"],
    &["check", "-o", "github"],
    &["convert", "-o", "wide", "--guard", "closed"],
    &["convert", "-o", "yaml", "--guard", "closed"],
    &["convert", "-o", "diff", "--guard", "closed"],
    &["convert", "-o", "markdown", "--guard", "closed"],
    &["convert", "-o", "name", "--guard", "closed"],
    &["waypoint", "plan"],
    &["status", "-o", "wide"],
];

#[test]
fn nothing_of_an_object_reaches_the_terminal_as_a_command() {
    let folder = tempfile::tempdir().unwrap();
    for (number, fields) in [
        &["host", "hosts", "subset"][..],
        &[
            "exact", "prefix", "regex", "paths", "methods", "uri", "value",
        ],
        &[
            "principals",
            "namespaces",
            "values",
            "key",
            "issuer",
            "jwksUri",
        ],
        &[
            "image",
            "timeout",
            "retryOn",
            "perTryTimeout",
            "istio.io/rev",
        ],
        &["annotations", "data", "selector", "status"],
    ]
    .iter()
    .enumerate()
    {
        let mut all = documents();
        for value in &mut all {
            spoil(value, fields, false);
        }
        let all: Vec<String> = all.iter().map(Value::to_string).collect();
        let file = folder.path().join(format!("{number}.json"));
        fs::write(&file, all.join("\n")).unwrap();
        for command in COMMANDS {
            let file = file.to_str().unwrap();
            let arguments = [command, &["-f", file, "--color", "always"]].concat();
            let output = run(&arguments);
            assert_ne!(output.status.code(), Some(70), "{arguments:?}");
            for stream in [&output.stdout, &output.stderr] {
                assert_eq!(obeyed(stream, true), None, "{fields:?} {arguments:?}");
            }
        }
    }
}

#[test]
fn nothing_that_is_typed_or_named_by_a_file_reaches_the_terminal_as_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = HOSTILE.replace('/', "");
    let file = folder.path().join(format!("a{hostile}.yaml"));
    fs::write(&file, "a: [\n").unwrap();
    let config = folder.path().join("config.yaml");
    fs::write(
        &config,
        serde_json::json!({ "apiVersion": HOSTILE }).to_string(),
    )
    .unwrap();
    let kind = folder.path().join("kind.json");
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": HOSTILE, "metadata": {"name": HOSTILE, "namespace": HOSTILE}
    });
    fs::write(&kind, object.to_string()).unwrap();
    let name = folder.path().join("name.json");
    let object = serde_json::json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": HOSTILE, "namespace": HOSTILE}
    });
    fs::write(&name, object.to_string()).unwrap();
    let good = "tests/cmd/data/good.yaml";
    for arguments in [
        &["check", "-f", file.to_str().unwrap()][..],
        &["check", "-f", folder.path().to_str().unwrap()],
        &["check", "-f", kind.to_str().unwrap()],
        &["check", "-f", name.to_str().unwrap()],
        &["check", "-f", good, "--config", config.to_str().unwrap()],
        &["check", "-f", good, "--checks", HOSTILE],
        &[
            "check",
            "-f",
            good,
            "--ignore",
            &format!("AMB223={HOSTILE}"),
        ],
        &["check", "-f", good, "--ignore", &format!("{HOSTILE}=why")],
        &["check", "-f", good, "-n", HOSTILE],
        &["check", "-f", good, "-o", HOSTILE],
        &["explain", HOSTILE],
        &[HOSTILE],
    ] {
        for color in ["never", "always"] {
            let output = run(&[arguments, &["--color", color]].concat());
            for stream in [&output.stdout, &output.stderr] {
                assert_eq!(obeyed(stream, color == "always"), None, "{arguments:?}");
            }
        }
    }
}

fn screen(width: usize) -> String {
    let mut builder = InventoryBuilder::new(Input::Manifests, "default");
    for file in ["workloads", "services", "istio", "installation"] {
        let text = fs::read_to_string(format!("examples/wealist/{file}.yaml")).unwrap();
        builder.file(file, text);
    }
    let mesh = Mesh::new(builder.finish());
    let scope = Scope::of([Name::from("default")]);
    let checks: Vec<&'static dyn Check> = all().collect();
    let judgement = judge(&mesh, &scope, &checks, false);
    let report = CheckReport::new(&mesh, &scope, &judgement, None);
    let style = Style {
        color: false,
        ascii: true,
        width,
        headers: true,
        program: "kubectl ambient".to_owned(),
    };
    render(&report, Format::Table, &style)
}

#[test]
fn a_narrow_terminal_loses_no_word() {
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
    let wide = screen(140);
    for width in [1, 20, 60] {
        let narrow = screen(width);
        assert_eq!(words(&narrow), words(&wide), "{width}");
    }
    // Beside the indent, and `move: ` at most, there is room for twenty characters, or for one word that is longer.
    let narrow = screen(20);
    let told = narrow
        .lines()
        .filter(|line| line.starts_with("            "));
    let long: Vec<&str> = told
        .filter(|line| line.chars().count() > 12 + 6 + 20 && line.trim().contains(' '))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}
