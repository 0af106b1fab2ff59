//! Tables of texts and what is found in them.

use super::{Found, Problem, each, locate};
use crate::kinds::FieldPath;

/// What a text holds, a line each: objects with place and JSON, problems with place and message.
fn found(text: &str) -> Vec<String> {
    let line = |what: &str, found: Problem| {
        let Problem {
            line,
            column,
            message,
        } = found;
        format!("{what} {line}:{column}: {message}")
    };
    let mut lines = Vec::new();
    each(text, &mut |found| {
        lines.push(match found {
            Found::Object(object) => {
                let (l, c) = locate(text, object.range.clone(), &FieldPath::root());
                format!(
                    "{l}:{c} {}/{} {}",
                    object.api_version, object.kind, object.json
                )
            }
            Found::Problem(problem) => line("problem", problem),
            Found::Other(other) => line("other", other),
        });
    });
    lines
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(found(text), expected, "\n{text}");
}

const A: &str = r#"v1/A {"apiVersion":"v1","kind":"A"}"#;
const B: &str = r#"v1/B {"apiVersion":"v1","kind":"B"}"#;

/// `A` at a place.
fn a(place: &str) -> String {
    format!("{place} {A}")
}

fn b(place: &str) -> String {
    format!("{place} {B}")
}

#[test]
fn documents_begin_and_end_where_yaml_says() {
    for (text, expected) in [
        ("", vec![]),
        ("# nothing\n", vec![]),
        ("---\n---\n# nothing\n---\n{}\n", vec![]),
        ("apiVersion: v1\nkind: A", vec![a("1:1")]),
        (
            "apiVersion: v1\nkind: A\n---\napiVersion: v1\nkind: B\n",
            vec![a("1:1"), b("4:1")],
        ),
        (
            "apiVersion: v1\r\nkind: A\r\n---\r\napiVersion: v1\r\nkind: B\r\n",
            vec![a("1:1"), b("4:1")],
        ),
        ("\u{feff}apiVersion: v1\nkind: A\n", vec![a("1:1")]),
        ("\u{feff}---\napiVersion: v1\nkind: A\n", vec![a("2:1")]),
        ("%YAML 1.2\n---\napiVersion: v1\nkind: A\n", vec![a("3:1")]),
        (
            "# x\n%YAML 1.1\n%TAG ! tag:x,2000:\n---\napiVersion: v1\nkind: A\n...\n%YAML 1.2\n---\napiVersion: v1\nkind: B\n",
            vec![a("5:1"), b("10:1")],
        ),
        (
            "--- # first\napiVersion: v1\nkind: A\n--- # second\n\napiVersion: v1\nkind: B\n",
            vec![a("2:1"), b("6:1")],
        ),
        (
            "--- {apiVersion: v1, kind: A}\n--- {apiVersion: v1, kind: B}\n",
            vec![a("1:5"), b("2:5")],
        ),
        (
            "apiVersion: v1\nkind: A\n...\napiVersion: v1\nkind: B\n...\n",
            vec![a("1:1"), b("4:1")],
        ),
        (
            "apiVersion: v1\nkind: A\n...\n---\napiVersion: v1\nkind: B\n",
            vec![a("1:1"), b("5:1")],
        ),
        (" apiVersion: v1\n kind: A\n", vec![a("1:2")]),
        (
            "---\tapiVersion\n",
            vec!["problem 1:5: is a single value, not an object".to_owned()],
        ),
        (
            "apiVersion: v1\nkind: A\n----\n",
            vec!["problem 3:1: invalid YAML: a key is expected, and then a `:`".to_owned()],
        ),
        (
            "{\"apiVersion\":\"v1\",\"kind\":\"A\"}{\"apiVersion\":\"v1\",\"kind\":\"B\"}",
            vec![a("1:1"), b("1:31")],
        ),
        (
            "\u{feff} {\"apiVersion\":\"v1\",\"kind\":\"A\"}\n---\n{\"apiVersion\":\"v1\",\"kind\":\"B\"}\n---\napiVersion: v1\nkind: A\n",
            vec![a("1:2"), b("3:1"), a("5:1")],
        ),
        (
            "apiVersion: v1\nkind: A\n---\n{\"apiVersion\":\"v1\",\"kind\":\"B\"}\n",
            vec![a("1:1"), b("4:1")],
        ),
        (
            "{apiVersion: v1, kind: A}\n---\n{\n  # flow\n  apiVersion: v1, kind: B,\n}\n",
            vec![a("1:1"), b("3:1")],
        ),
    ] {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(text, &expected);
    }
}
