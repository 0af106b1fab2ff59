//! Small mistakes made on purpose in what a translation wrote, to see whether the comparison finds
//! them.

use std::collections::{BTreeMap, BTreeSet};

use kubectl_ambient::kinds::{Kind, ObjectRef};
use kubectl_ambient::mesh::Mesh;
use kubectl_ambient::translate::change::SOURCE;
use kubectl_ambient::translate::{
    Change, Edit, Manifest, Options, Phase, Translation, compared, translate, written,
};
use serde_json::{Value, json};

use super::{Story, stories};

/// The whole mesh as YAML, after a translation.
pub(super) fn after(mesh: &Mesh, translation: &Translation) -> String {
    let result = translation.by_the_end_of(Phase::Retire);
    let mut gone: BTreeSet<&ObjectRef> = result.iter().map(|manifest| manifest.object()).collect();
    for phase in Phase::ALL {
        gone.extend(translation.removed_in(phase));
    }
    let inventory = mesh.inventory();
    let mut documents: Vec<String> = Vec::new();
    for file in &inventory.files {
        let mut builder = kubectl_ambient::inventory::InventoryBuilder::new(
            kubectl_ambient::inventory::Input::Manifests,
            "default",
        );
        builder.file(&file.name, file.text.clone());
        for document in file.text.split("\n---\n") {
            let object = name_of(document);
            if object.as_ref().is_none_or(|object| !gone.contains(object)) {
                documents.push(format!("{}\n", document.trim_end()));
            }
        }
    }
    documents.push(written::stream(result));
    documents.join("---\n")
}

/// The object of a document.
fn name_of(document: &str) -> Option<ObjectRef> {
    let value: Value = serde_saphyr::from_str(document).ok()?;
    let kind = Kind::of(value["apiVersion"].as_str()?, value["kind"].as_str()?)?;
    let text = |field: &str| value["metadata"][field].as_str().unwrap_or_default();
    Some(ObjectRef::new(
        kind,
        &text("namespace").into(),
        &text("name").into(),
    ))
}

/// A mistake: its name, and the object with it; nothing when the object is forgotten.
type Mistake = (String, Option<Value>);

/// The mistakes to make in an object.
fn mistakes(kind: Kind, json: &Value) -> Vec<Mistake> {
    let mut found = Vec::new();
    match kind {
        Kind::HTTPRoute => routes(json, &mut found),
        Kind::AuthorizationPolicy => {
            found.push(("the policy is forgotten".to_owned(), None));
            lists(json, &mut found);
        }
        Kind::RequestAuthentication => {
            found.push(("the verification is forgotten".to_owned(), None));
        }
        Kind::NetworkPolicy => {
            found.push(("the policy is forgotten".to_owned(), None));
            network(json, &mut found);
        }
        // Those that stand for a subset; of the others only a label is written.
        Kind::Service if !json["metadata"]["annotations"][SOURCE].is_null() => {
            for key in keys(&json["spec"]["selector"]) {
                let pointer = format!("/spec/selector/{}", escaped(&key));
                found.push((format!("without {pointer}"), Some(without(json, &pointer))));
            }
        }
        _ => {}
    }
    found
}

fn routes(json: &Value, found: &mut Vec<Mistake>) {
    let rules = json["spec"]["rules"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for (i, rule) in rules.iter().enumerate() {
        let at = format!("/spec/rules/{i}");
        if rules.len() > 1 {
            found.push((format!("without {at}"), Some(without(json, &at))));
        }
        if i + 1 < rules.len() {
            let mut swapped = json.clone();
            if let Some(list) = swapped["spec"]["rules"].as_array_mut() {
                list.swap(i, i + 1);
            }
            found.push((format!("{at} and the next swapped"), Some(swapped)));
        }
        for field in ["timeouts", "retry"] {
            if !rule[field].is_null() {
                let at = format!("{at}/{field}");
                found.push((format!("without {at}"), Some(without(json, &at))));
            }
        }
        for (list, least) in [("filters", 0), ("backendRefs", 1), ("matches", 1)] {
            let count = rule[list].as_array().map_or(0, Vec::len);
            for j in (0..count).filter(|_| count > least) {
                let at = format!("{at}/{list}/{j}");
                found.push((format!("without {at}"), Some(without(json, &at))));
            }
        }
        for (j, backend) in rule["backendRefs"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            if let Some(weight) = backend["weight"].as_i64() {
                let mut other = json.clone();
                other["spec"]["rules"][i]["backendRefs"][j]["weight"] = json!(weight + 1);
                let alone = rule["backendRefs"]
                    .as_array()
                    .is_some_and(|all| all.len() == 1);
                if !alone {
                    found.push((
                        format!("{at}/backendRefs/{j} with another weight"),
                        Some(other),
                    ));
                }
            }
        }
        for (j, given) in rule["matches"].as_array().into_iter().flatten().enumerate() {
            matches(json, &format!("{at}/matches/{j}"), given, found);
        }
    }
}

fn matches(json: &Value, at: &str, given: &Value, found: &mut Vec<Mistake>) {
    let is_all = |path: &Value| path["type"] == "PathPrefix" && path["value"] == "/";
    if !given["method"].is_null() {
        found.push((
            format!("without {at}/method"),
            Some(without(json, &format!("{at}/method"))),
        ));
    }
    for list in ["headers", "queryParams"] {
        for k in 0..given[list].as_array().map_or(0, Vec::len) {
            let at = format!("{at}/{list}/{k}");
            found.push((format!("without {at}"), Some(without(json, &at))));
        }
    }
    let path = &given["path"];
    if path.is_null() || is_all(path) || path["value"] == ".*" {
        return;
    }
    let wider = match path["type"].as_str() {
        Some("Exact") => json!({"type": "PathPrefix", "value": path["value"]}),
        Some("RegularExpression") => {
            let value = path["value"].as_str().unwrap_or_default();
            json!({"type": "RegularExpression", "value": format!("(?:{value}|/wider)")})
        }
        _ => json!({"type": "PathPrefix", "value": "/"}),
    };
    let mut widened = json.clone();
    if let Some(target) = widened.pointer_mut(&format!("{at}/path")) {
        *target = wider;
    }
    found.push((format!("{at}/path wider"), Some(widened)));
}

/// Rules, peers and ports left out, peers that mean others, and peers that mean more.
fn network(json: &Value, found: &mut Vec<Mistake>) {
    let mut set = |at: String, value: Value| {
        let mut other = json.clone();
        if let Some(target) = other.pointer_mut(&at) {
            if *target == value {
                return;
            }
            let name = format!("{at} is {value}");
            *target = value;
            found.push((name, Some(other)));
        }
    };
    let others = json!({"matchLabels": {"app": "somebody-else"}});
    set("/spec/podSelector".to_owned(), others.clone());
    let mut left_out = Vec::new();
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        let all = json["spec"][rules].as_array();
        for (i, rule) in all.into_iter().flatten().enumerate() {
            let at = format!("/spec/{rules}/{i}");
            left_out.push(at.clone());
            for field in [peers, "ports"] {
                let count = rule[field].as_array().map_or(0, Vec::len);
                left_out.extend((count > 1).then(|| format!("{at}/{field}")));
                left_out.extend((0..count).map(|j| format!("{at}/{field}/{j}")));
            }
            for (j, peer) in rule[peers].as_array().into_iter().flatten().enumerate() {
                let at = format!("{at}/{peers}/{j}");
                for selector in ["podSelector", "namespaceSelector"] {
                    if !peer[selector].is_null() {
                        set(format!("{at}/{selector}"), json!({}));
                        set(format!("{at}/{selector}"), others.clone());
                    }
                }
                if !peer["podSelector"].is_null() && !peer["namespaceSelector"].is_null() {
                    left_out.push(format!("{at}/namespaceSelector"));
                }
                if let Some(block) = peer["ipBlock"].as_object() {
                    set(format!("{at}/ipBlock/cidr"), json!("0.0.0.0/0"));
                    let except = block.get("except").and_then(Value::as_array);
                    let count = except.map_or(0, Vec::len);
                    left_out.extend((0..count).map(|k| format!("{at}/ipBlock/except/{k}")));
                }
            }
        }
    }
    for at in left_out {
        found.push((format!("without {at}"), Some(without(json, &at))));
    }
}

/// Every member of every list below `spec.rules` is left out once.
fn lists(json: &Value, found: &mut Vec<Mistake>) {
    fn walk(root: &Value, at: &str, value: &Value, found: &mut Vec<Mistake>) {
        match value {
            Value::Array(list) => {
                for (i, item) in list.iter().enumerate() {
                    let at = format!("{at}/{i}");
                    found.push((format!("without {at}"), Some(without(root, &at))));
                    walk(root, &at, item, found);
                }
            }
            Value::Object(fields) => {
                for (key, value) in fields {
                    let at = format!("{at}/{}", escaped(key));
                    if !value.is_array() {
                        found.push((format!("without {at}"), Some(without(root, &at))));
                    }
                    walk(root, &at, value, found);
                }
            }
            _ => {}
        }
    }
    walk(json, "/spec/rules", &json["spec"]["rules"], found);
}

fn keys(value: &Value) -> Vec<String> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Without what stands at a pointer; a list that is empty then goes too.
fn without(json: &Value, pointer: &str) -> Value {
    let mut json = json.clone();
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        return json;
    };
    match json.pointer_mut(parent) {
        Some(Value::Array(list)) => {
            if let Ok(position) = last.parse::<usize>() {
                list.remove(position);
            }
            if list.is_empty() && parent != "/spec/rules" {
                return without(&json, parent);
            }
        }
        Some(Value::Object(fields)) => {
            fields.remove(&last.replace("~1", "/").replace("~0", "~"));
        }
        _ => {}
    }
    json
}

/// The result with a mistake in the last state of an object.
fn with(translation: &Translation, object: &ObjectRef, mistake: Option<&Value>) -> Translation {
    let last = translation
        .changes
        .iter()
        .rposition(|change| change.edit.object() == object);
    let mut changes: Vec<Change> = Vec::new();
    for (position, change) in translation.changes.iter().enumerate() {
        let forgotten = mistake.is_none() && change.edit.object() == object;
        if Some(position) != last {
            changes.extend((!forgotten).then(|| change.clone()));
            continue;
        }
        if let Some(json) = mistake {
            changes.push(Change {
                edit: Edit::Create(Manifest::of(object.clone(), json.clone())),
                ..change.clone()
            });
        }
    }
    Translation {
        changes,
        ..Translation::default()
    }
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many were found is part of the result"
)]
fn mistakes_in_a_result_are_found() {
    let (mut made, mut found) = (0, 0);
    let mut wrong = Vec::new();
    let options = Options::default();
    for story in stories() {
        let right = translate(&story.mesh, &story.namespaces, &options);
        let base = shown(&right);
        let mut missed = Vec::new();
        for manifest in right.by_the_end_of(Phase::Retire) {
            let object = manifest.object();
            for (name, mistake) in mistakes(object.kind, manifest.json()) {
                let result = with(&right, object, mistake.as_ref());
                let result = compared(&story.mesh, &story.namespaces, &options, result);
                made += 1;
                if shown(&result) == base {
                    missed.push(format!("{object}: {name}"));
                } else {
                    found += 1;
                }
            }
        }
        wrong.extend(unexplained(&story, &missed));
    }
    println!("{made} mistakes made, {found} found; the others change nothing, each story says why");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Mistakes that were not found, and of which the story does not say why they change nothing:
/// `mistakes.txt` has a line for each, with the reason behind ` -- `.
fn unexplained(story: &Story, missed: &[String]) -> Vec<String> {
    let path = story.folder.join("mistakes.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let known: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(" -- "))
        .collect();
    if std::env::var_os("UPDATE_STORIES").is_some() {
        let lines = missed.iter().map(|mistake| {
            let why = known.get(mistake.as_str()).copied().unwrap_or("?");
            format!("{mistake} -- {why}\n")
        });
        let text: String = lines.collect();
        if text.is_empty() {
            let _absent = std::fs::remove_file(&path);
        } else {
            std::fs::write(&path, text).expect("the stories can be written");
        }
    }
    let new = missed
        .iter()
        .filter(|mistake| known.get(mistake.as_str()).is_none_or(|why| *why == "?"));
    let old = known
        .keys()
        .filter(|known| !missed.iter().any(|mistake| mistake == *known));
    let new = new.map(|mistake| format!("{}: not found: {mistake}", story.name));
    let old = old.map(|mistake| format!("{}: found now: {mistake}", story.name));
    new.chain(old).collect()
}

/// The differences that a comparison found.
fn shown(translation: &Translation) -> Vec<String> {
    let routes = translation.proofs.routes.iter().flat_map(|proof| {
        let differences = proof.comparison.differences.iter();
        differences.map(move |d| format!("{} {} {d}", proof.service, proof.client))
    });
    let calls = translation.proofs.calls.iter().flat_map(|proof| {
        let differences = proof.comparison.differences.iter();
        differences.map(move |d| format!("{} {:?} {d}", proof.workload, proof.service))
    });
    routes.chain(calls).collect()
}
