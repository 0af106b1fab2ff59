//! The schemas of documents: that the files are those of the types, and that documents keep to them.
//!
//! `UPDATE_REFERENCE=1 cargo test --test schemas` writes them anew; read the difference before committing it.

#![expect(
    clippy::unwrap_used,
    reason = "a test; what it reads is in the repository"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use kubectl_ambient::journal::Journal;
use kubectl_ambient::kinds::gateway_api::Gateway;
use kubectl_ambient::kinds::{Kind, Name, ObjectRef};
use kubectl_ambient::report::plan::PlanEntry;
use kubectl_ambient::report::schema;
use kubectl_ambient::report::waypoint::{
    ChangeEntry, WaypointChanges, WaypointList, WaypointStatus,
};
use kubectl_ambient::report::{Header, HistoryReport, OpenRunEntry, RunEntry, RunReport};
use kubectl_ambient::waypoint::standing::{Attached, Found, Labelled, Replicas, Survey, standings};
use serde_json::{Value, json};

/// The schemas as files: what is in them, by name.
fn files() -> BTreeMap<String, String> {
    let documents = schema::schemas().into_iter();
    let mut files: BTreeMap<String, Value> = documents
        .map(|(kind, schema)| (kind.to_owned(), schema.to_value()))
        .collect();
    files.insert(
        "ambient.yaml".to_owned(),
        kubectl_ambient::cli::config_schema().to_value(),
    );
    let files = files.into_iter();
    files
        .map(|(name, schema)| {
            let text = serde_json::to_string_pretty(&schema).unwrap();
            (format!("{name}.schema.json"), text + "\n")
        })
        .collect()
}

#[test]
fn the_files_are_those_of_the_types() {
    let folder = Path::new("schemas");
    let files = files();
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        fs::create_dir_all(folder).unwrap();
        for (name, text) in &files {
            fs::write(folder.join(name), text).unwrap();
        }
    }
    let present: BTreeMap<String, String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == "json"))
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap();
            (name, text.replace("\r\n", "\n"))
        })
        .collect();
    let mut names: Vec<&String> = files.keys().chain(present.keys()).collect();
    names.sort();
    names.dedup();
    let stale: Vec<&String> = names
        .into_iter()
        .filter(|name| files.get(*name) != present.get(*name))
        .collect();
    assert!(
        stale.is_empty(),
        "stale in schemas: {stale:?}; UPDATE_REFERENCE=1 writes them, but removes none"
    );
}

/// A schema under which a property that it does not name is an error.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(fields) => {
            let is_object = fields.contains_key("properties");
            for field in fields.values_mut() {
                *field = closed(field.take());
            }
            if is_object {
                fields.insert("additionalProperties".to_owned(), Value::Bool(false));
            }
        }
        Value::Array(items) => {
            for item in items {
                *item = closed(item.take());
            }
        }
        _ => {}
    }
    schema
}

/// Fails where a document is not what the schema of its kind says.
fn holds(document: &Value) {
    let kind = document["kind"].as_str().unwrap();
    let schemas = schema::schemas();
    let schema = schemas
        .get(kind)
        .unwrap_or_else(|| panic!("no schema of {kind}"));
    let validator = jsonschema::validator_for(&closed(schema.clone().to_value())).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{kind}: {}", errors.join("\n"));
}

/// What the command prints with `-o json`; nothing where there is only an error.
fn answered(arguments: &[&str]) -> Option<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-ambient"))
        .args(arguments)
        .args(["-o", "json"])
        .env("KUBECONFIG", "tests/cmd/no-kubeconfig")
        .output()
        .unwrap();
    (!output.stdout.is_empty()).then(|| serde_json::from_slice(&output.stdout).unwrap())
}

fn printed(arguments: &[&str]) -> Value {
    answered(arguments).unwrap_or_else(|| panic!("{arguments:?} has no answer"))
}

/// Every folder and file of manifests that the repository shows something with.
fn manifests() -> Vec<PathBuf> {
    let mut all = vec![PathBuf::from("examples/wealist")];
    for folder in [
        "tests/cmd/data",
        "tests/cmd/data/formats",
        "tests/cmd/data/wrong",
        "tests/cmd/data/convert",
    ] {
        let files = fs::read_dir(folder).unwrap();
        let files = files.map(|entry| entry.unwrap().path());
        all.extend(files.filter(|path| path.extension().is_some_and(|found| found == "yaml")));
    }
    all.sort();
    all
}

#[test]
fn what_is_said_of_manifests_keeps_to_the_schemas() {
    let mut seen = 0;
    for path in manifests() {
        let path = path.to_str().unwrap();
        for command in [
            &[
                "check",
                "--ignore",
                "AMB301=known",
                "--ignore",
                "AMB223=known",
            ][..],
            &["check", "--strict", "--no-metadata"],
            &["convert"],
            &["convert", "--phase", "prepare", "--accept", "AMB403=known"],
            &["waypoint", "plan"],
            &["status"],
        ] {
            let mut arguments = command.to_vec();
            arguments.extend(["-f", path]);
            if let Some(document) = answered(&arguments) {
                holds(&document);
                seen += 1;
            }
        }
    }
    assert!(seen > 25, "{seen}");
}

#[test]
fn what_needs_no_mesh_keeps_to_the_schemas() {
    holds(&printed(&["explain", "--list"]));
    holds(&printed(&["explain", "AMB301"]));
    holds(&printed(&["version", "--client"]));
}

#[test]
fn what_is_said_of_written_files_keeps_to_the_schemas() {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir("examples/wealist").unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let copy = folder.path().to_str().unwrap();
    let document = printed(&["convert", "-f", copy, "--guard", "closed", "--write"]);
    assert!(document.get("written").is_some());
    holds(&document);
}

fn header() -> Header {
    Header {
        generated_at: "2026-11-23T10:00:00Z".to_owned(),
        client_version: "0.1.0",
        context: Some("kind".to_owned()),
    }
}

/// A run that stopped in its second step.
fn journal() -> Journal {
    let namespace = ObjectRef::new(Kind::Namespace, &"".into(), &"shop".into()).key();
    let cart = ObjectRef::new(Kind::Deployment, &"shop".into(), &"cart".into()).key();
    let label = json!({"path": ["metadata", "labels", "a"], "before": "x", "after": "y"});
    let write = json!({"verb": "change", "object": namespace, "fields": [label]});
    let restart = json!({"restart": cart});
    let place = json!({"step": 0, "stage": 0, "write": 0});
    let mut lines = vec![
        json!({"event": "intent", "place": place, "write": write}),
        json!({"event": "made", "place": place}),
        json!({"event": "passed", "step": 0, "stage": 0}),
        json!({"event": "kept", "place": place, "drift": [{"field": "metadata.labels.a", "says": "is z"}]}),
        json!({"event": "halted", "step": "switch/deployment.cart", "why": "a pod is not ready"}),
    ];
    for (number, line) in lines.iter_mut().enumerate() {
        line["n"] = json!(number);
        line["at"] = json!("2026-11-23T10:00:00Z");
    }
    let rollout = json!({"workload": cart, "pods": 2, "strategy": "RollingUpdate", "turns": 2});
    let part = |value: Value| value;
    Journal {
        header: serde_json::from_value(part(json!({
            "version": 1, "run": "20261123-100000", "purpose": "move", "namespace": "shop",
            "began": "2026-11-23T10:00:00Z", "who": "ann", "client": "0.1.0",
            "accepted": {"AMB311": "they move next week"}, "parallel": 1, "timeout": 600,
        })))
        .unwrap(),
        plan: serde_json::from_value(part(json!({
            "namespace": "shop", "direction": "forward", "manner": "namespace",
            "remainder": [cart],
            "steps": [
                {"id": "bind", "wave": 0, "stages": [{"writes": [{"write": write}]}]},
                {"id": "switch/deployment.cart", "wave": 1, "stages": [{"writes": [restart]}],
                 "rollouts": [rollout], "risks": ["connections are cut"]},
            ],
        })))
        .unwrap(),
        entries: lines
            .into_iter()
            .map(|line| serde_json::from_value(line).unwrap())
            .collect(),
    }
}

#[test]
fn what_is_said_of_runs_keeps_to_the_schemas() {
    let journal = journal();
    let program = "kubectl ambient";
    let report = RunReport::new(&journal, program, Some(header()));
    assert_eq!(report.outcome, "halted");
    holds(&serde_json::to_value(report).unwrap());
    let nothing = RunReport::nothing(&"shop".into(), "there is nothing to move", None);
    holds(&serde_json::to_value(nothing).unwrap());
    let runs = vec![
        RunEntry::new(&journal, true),
        RunEntry::unreadable(&"shop".into(), "20261123-090000", "a page is missing"),
    ];
    let history = HistoryReport::new(runs, Some(header()));
    holds(&serde_json::to_value(history).unwrap());
    // The other documents that tell of a run or a plan.
    let open = serde_json::to_value(OpenRunEntry::of(&journal).unwrap()).unwrap();
    for command in ["check", "status"] {
        let mut document = printed(&[command, "-f", "examples/wealist"]);
        document["openRuns"] = json!([open]);
        holds(&document);
    }
    let mut document = printed(&["convert", "-f", "examples/wealist"]);
    let plan = serde_json::to_value(PlanEntry::new(&journal.plan, &[])).unwrap();
    document["plans"] = json!([plan]);
    holds(&document);
}

#[test]
fn what_is_said_of_waypoints_keeps_to_the_schemas() {
    let gateway: Gateway = serde_json::from_value(json!({
        "metadata": {"name": "waypoint", "namespace": "shop"},
        "spec": {"gatewayClassName": "istio-waypoint",
                 "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}]},
    }))
    .unwrap();
    let object = |kind, name: &str| ObjectRef::new(kind, &"shop".into(), &name.into());
    let label = json!({"istio.io/use-waypoint": "waypoint"});
    let survey = Survey {
        gateways: vec![Found {
            gateway,
            uid: "1".to_owned(),
            options: None,
        }],
        deployments: BTreeMap::from([(
            (Name::from("shop"), Name::from("waypoint")),
            Replicas {
                wanted: 2,
                ready: 1,
                settled: false,
            },
        )]),
        labelled: vec![Labelled {
            object: object(Kind::Service, "cart"),
            labels: serde_json::from_value(label).unwrap(),
            owner: None,
        }],
        attached: vec![Attached {
            object: object(Kind::AuthorizationPolicy, "cart"),
            targets: vec![object(Kind::Gateway, "waypoint")],
            accepted: Some((false, "no such target".to_owned())),
        }],
        root: "istio-system".into(),
        ..Survey::default()
    };
    let standings = standings(&survey);
    assert_eq!(standings.len(), 1);
    assert!(!standings[0].users.is_empty() && !standings[0].enforced.is_empty());
    let shop = || Some(Name::from("shop"));
    let list = WaypointList::new(&standings, shop(), Vec::new(), Some(header()));
    holds(&serde_json::to_value(list).unwrap());
    let status = WaypointStatus::new(&standings, shop(), Vec::new(), None);
    holds(&serde_json::to_value(status).unwrap());
    let mut changes = WaypointChanges::new(true, Some(header()));
    changes.changes = vec![ChangeEntry::new(
        &object(Kind::Gateway, "waypoint"),
        "created",
    )];
    changes.ready = Some(true);
    holds(&serde_json::to_value(changes).unwrap());
}

/// The objects of SARIF 2.1.0 that a log of ours is made of, each with what the standard (OASIS, chapter 3) requires
/// and allows of the properties that we write. Whatever else one writes must be added here, with the chapter read.
fn sarif() -> Value {
    let text = json!({"type": "object", "required": ["text"], "additionalProperties": false,
        "properties": {"text": {"type": "string", "minLength": 1}, "markdown": {"type": "string"}}});
    let level = json!({"enum": ["none", "note", "warning", "error"]});
    let index = json!({"type": "integer", "minimum": 0});
    let count = json!({"type": "integer", "minimum": 1});
    let object = |required: Value, properties: Value| json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false});
    let list = |items: Value| json!({"type": "array", "items": items});
    let word = json!({"type": "string", "minLength": 1});
    let rule = object(
        json!(["id"]),
        json!({"id": word, "name": word, "shortDescription": text, "help": text,
            "helpUri": {"type": "string", "format": "uri"},
            "defaultConfiguration": object(json!([]), json!({"level": level})),
            "properties": object(json!(["tags"]), json!({"tags": {"type": "array", "uniqueItems": true}}))}),
    );
    let driver = object(
        json!(["name"]),
        json!({"name": word, "informationUri": {"type": "string", "format": "uri"},
            "semanticVersion": word, "rules": list(rule)}),
    );
    let notification = object(
        json!(["message"]),
        json!({"level": level, "message": text,
            "associatedRule": object(json!([]), json!({"id": word, "index": index}))}),
    );
    let invocation = object(
        json!(["executionSuccessful"]),
        json!({"executionSuccessful": {"type": "boolean"}, "toolExecutionNotifications": list(notification),
            "endTimeUtc": {"type": "string", "format": "date-time"}}),
    );
    let physical = object(
        json!(["artifactLocation"]),
        json!({"artifactLocation": object(json!(["uri"]), json!({"uri": {"type": "string", "format": "uri-reference"}})),
            "region": object(json!(["startLine"]), json!({"startLine": count, "startColumn": count}))}),
    );
    let logical = object(
        json!([]),
        json!({"name": word, "fullyQualifiedName": word, "kind": word}),
    );
    let location = object(
        json!([]),
        json!({"logicalLocations": list(logical), "physicalLocation": physical}),
    );
    let suppression = object(
        json!(["kind"]),
        json!({"kind": {"enum": ["inSource", "external"]}, "justification": word}),
    );
    let result = object(
        json!(["message", "ruleId"]),
        json!({"ruleId": word, "ruleIndex": index, "level": level, "message": text, "locations": list(location),
            "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
            "properties": {"type": "object"}, "suppressions": list(suppression)}),
    );
    let run = object(
        json!(["tool"]),
        json!({"tool": object(json!(["driver"]), json!({"driver": driver})),
            "automationDetails": object(json!([]), json!({"id": word})),
            "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
            "invocations": list(invocation), "results": list(result)}),
    );
    object(
        json!(["version", "runs"]),
        json!({"$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"}, "runs": list(run)}),
    )
}

#[test]
fn logs_for_code_scanning_are_sarif() {
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&sarif())
        .unwrap();
    for path in manifests() {
        let output = Command::new(env!("CARGO_BIN_EXE_kubectl-ambient"))
            .args(["check", "--ignore", "AMB223=known", "-o", "sarif", "-f"])
            .arg(&path)
            .output()
            .unwrap();
        if output.stdout.is_empty() {
            continue;
        }
        let log: Value = serde_json::from_slice(&output.stdout).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&log)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(
            errors.is_empty(),
            "{}: {}",
            path.display(),
            errors.join("\n")
        );
        // What the standard says in words: an index leads to the rule of that id.
        let run = &log["runs"][0];
        for result in run["results"].as_array().unwrap() {
            let at = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][at]["id"], result["ruleId"]);
        }
    }
}
