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

#[test]
fn a_marker_ends_a_document_wherever_it_stands() {
    // Indented, `---` is a part of the block; at the start of a line it never is.
    check(
        "apiVersion: v1\nkind: A\ndata: |\n  one\n  ---\n  two\n---\napiVersion: v1\nkind: B\n",
        &[
            r#"1:1 v1/A {"apiVersion":"v1","kind":"A","data":"one\n---\ntwo\n"}"#,
            &b("8:1"),
        ],
    );
    check(
        "apiVersion: v1\nkind: A\ndata: |\n  one\n---\napiVersion: v1\nkind: B\n",
        &[
            r#"1:1 v1/A {"apiVersion":"v1","kind":"A","data":"one\n"}"#,
            &b("6:1"),
        ],
    );
}

#[test]
fn items_of_lists_are_objects_with_places_of_their_own() {
    for (text, expected) in [
        // As people write it.
        (
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: A\n- # two\n  apiVersion: v1\n  kind: B\n",
            vec![a("4:3"), b("7:3")],
        ),
        // As kubectl writes it: the kind comes last.
        (
            "apiVersion: v1\nitems:\n  - apiVersion: v1\n    kind: A\n  -   apiVersion: v1\n      kind: B\nkind: List\nmetadata: {}\n",
            vec![a("3:5"), b("5:7")],
        ),
        (
            "items:\n- apiVersion: v1\n  kind: A\n- {apiVersion: v1, kind: B}\n\"kind\": List\n",
            vec![a("2:3"), b("4:3")],
        ),
        (
            "{kind: List, items: [{apiVersion: v1, kind: A}, {apiVersion: v1, kind: B}]}",
            vec![a("1:22"), b("1:49")],
        ),
        (
            "{\"kind\": \"List\", \"items\": [\n  {\"apiVersion\":\"v1\",\"kind\":\"A\"},\n  {\"apiVersion\":\"v1\",\"kind\":\"B\"}]}",
            vec![a("2:3"), b("3:3")],
        ),
        // As a server answers: the items do not say what they are.
        (
            "{\"kind\":\"AList\",\"apiVersion\":\"v1\",\"items\":[{},{\"apiVersion\":\"v1\",\"kind\":\"B\"}]}",
            vec![a("1:44"), b("1:47")],
        ),
        (
            "apiVersion: v1\nitems:\n- {}\nkind: AList\n",
            vec![a("3:3")],
        ),
        (
            "items:\n- {}\nkind: AList\napiVersion: v1\n",
            vec![a("2:3")],
        ),
        // Lists in lists.
        (
            "kind: List\nitems:\n- kind: List\n  apiVersion: v1\n  items:\n  - apiVersion: v1\n    kind: A\n- apiVersion: v1\n  kind: B\n",
            vec![a("3:3"), b("8:3")],
        ),
        (
            "{\"kind\":\"List\",\"items\":[{\"kind\":\"List\",\"items\":[{\"apiVersion\":\"v1\",\"kind\":\"A\"}]}]}",
            vec![a("1:49")],
        ),
        // Lists of nothing.
        ("kind: List\napiVersion: v1\nitems: []\n", vec![]),
        ("kind: List\napiVersion: v1\nitems:\n", vec![]),
        (
            "{\"kind\":\"List\",\"apiVersion\":\"v1\",\"items\":null}",
            vec![],
        ),
    ] {
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        check(text, &expected);
    }
    // Not every field `items` is that of a list.
    check(
        "apiVersion: v1\nkind: A\nitems: [1]\n",
        &[r#"1:1 v1/A {"apiVersion":"v1","kind":"A","items":[1]}"#],
    );
    check(
        r#"{"apiVersion":"v1","kind":"A","items":{"a":1}}"#,
        &[r#"1:1 v1/A {"apiVersion":"v1","kind":"A","items":{"a":1}}"#],
    );
}

#[test]
fn anchors_and_merges_are_written_out() {
    check(
        "apiVersion: v1\nkind: A\none: &x [1, {a: b}]\ntwo: *x\nthree: &y k\n",
        &[
            r#"1:1 v1/A {"apiVersion":"v1","kind":"A","one":[1,{"a":"b"}],"two":[1,{"a":"b"}],"three":"k"}"#,
        ],
    );
    // A field of its own counts more than a merged one, wherever it stands; of two merged ones the
    // first counts.
    check(
        "apiVersion: v1\nkind: A\none: &x {a: 1, b: 1}\ntwo: &y {b: 2, c: 2}\nthree:\n  a: 3\n  <<: [*x, *y]\n  d: 3\nfour: {<<: *x, \"<<\": 4}\n",
        &[
            r#"1:1 v1/A {"apiVersion":"v1","kind":"A","one":{"a":1,"b":1},"two":{"b":2,"c":2},"three":{"a":3,"d":3,"b":1,"c":2},"four":{"<<":4,"a":1,"b":1}}"#,
        ],
    );
    // Also where the head of an object comes from.
    check(
        "kind: List\nitems:\n- &a\n  apiVersion: v1\n  kind: A\n- <<: *a\n  kind: B\n",
        &[
            "4:3 v1/A {\"apiVersion\":\"v1\",\"kind\":\"A\"}",
            "6:3 v1/B {\"kind\":\"B\",\"apiVersion\":\"v1\"}",
        ],
    );
    check(
        "<<: &a {apiVersion: v1}\nkind: A\n",
        &[r#"1:1 v1/A {"kind":"A","apiVersion":"v1"}"#],
    );
}

#[test]
fn scalars_become_what_kubectl_makes_of_them() {
    for (yaml, json) in [
        ("yes", "true"),
        ("\"yes\"", "\"yes\""),
        ("!!str yes", "\"yes\""),
        ("!!bool \"yes\"", "true"),
        ("!secret 1", "\"1\""),
        ("0644", "420"),
        ("1e3", "1000"),
        ("08", "8"),
        ("-0.0", "0"),
        ("1.25", "1.25"),
        (".inf", "\".inf\""),
        ("2026-11-22T10:00:00Z", "\"2026-11-22T10:00:00Z\""),
        ("", "null"),
        ("{on: 1, 1.50: 2, 0x10: 3}", r#"{"true":1,"1.5":2,"16":3}"#),
        (
            r#""\"\\\n\r\t\u0001\u001f é""#,
            r#""\"\\\n\r\t\u0001\u001f é""#,
        ),
    ] {
        check(
            &format!("apiVersion: v1\nkind: A\nx: {yaml}\n"),
            &[&format!(
                r#"1:1 v1/A {{"apiVersion":"v1","kind":"A","x":{json}}}"#
            )],
        );
    }
}

mod broken;
mod places;
mod properties;
