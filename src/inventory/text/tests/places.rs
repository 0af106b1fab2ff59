//! Fields and where they are found.

use super::super::{locate, split};
use crate::kinds::FieldPath;
use crate::kinds::path::field;

/// The places of fields of the last object of a text.
#[track_caller]
fn check(text: &str, expected: &[(FieldPath, (usize, usize))]) {
    let objects = split(text).objects;
    let range = objects.last().unwrap().range.clone();
    for (path, place) in expected {
        assert_eq!(
            locate(text, range.clone(), path),
            *place,
            "{path} in\n{text}"
        );
    }
}

#[test]
fn fields_of_a_document() {
    let text = "\
kind: X
apiVersion: v1
---
# about it
apiVersion: v1
kind: A   # really
metadata:
  labels:
    \"a.b/c\": x
    ? long
    : y
spec:
  rules:
  - from:
    - source: {namespaces: [\"ä\", b],
               principals: [p]}
  -
    to: []
  on: text
  block: |
    to: no
  args:
  - |-  # a | b

    first
  - >
    second
";
    check(
        text,
        &[
            (FieldPath::root(), (5, 1)),
            (field!["kind"], (6, 1)),
            (FieldPath::label("a.b/c"), (9, 5)),
            (FieldPath::label("long"), (10, 7)),
            (FieldPath::label("absent"), (8, 3)),
            (field!["spec", "rules", 0], (14, 5)),
            (
                field!["spec", "rules", 0, "from", 0, "source", "namespaces"],
                (15, 16),
            ),
            (
                field!["spec", "rules", 0, "from", 0, "source", "namespaces", 1],
                (15, 34),
            ),
            (
                field!["spec", "rules", 0, "from", 0, "source", "principals", 0],
                (16, 29),
            ),
            (field!["spec", "rules", 0, "from", 7], (14, 5)),
            (field!["spec", "rules", 1], (18, 5)),
            (field!["spec", "rules", 1, "to"], (18, 5)),
            (field!["spec", "rules", 2, "to"], (13, 3)),
            (field!["spec", "true"], (19, 3)),
            (field!["spec", "block", "to"], (20, 3)),
            (field!["spec", "args", 0], (23, 5)),
            (field!["spec", "args", 1], (26, 5)),
            (field!["spec", "to"], (12, 1)),
            (field!["status", "x", 1], (5, 1)),
        ],
    );
}

#[test]
fn fields_of_items_of_a_list() {
    let text = "\
items:
- &x
  apiVersion: v1
  kind: B
  shared: &s
    a: 1
- apiVersion: v1
  kind: A
  metadata:
    name: a
  list:
  - {k: v}
  none: *s
  <<: *x
  # a comment
kind: List
";
    check(
        text,
        &[
            (FieldPath::root(), (7, 3)),
            (field!["kind"], (8, 3)),
            (field!["metadata", "name"], (10, 5)),
            (field!["metadata", "namespace"], (9, 3)),
            (field!["list", 0], (12, 5)),
            (field!["list", 0, "k"], (12, 6)),
            (field!["none", "a"], (13, 3)),
            (field!["shared"], (7, 3)),
        ],
    );
    check(
        "kind: List\nitems: [{apiVersion: v1,\n kind: A, x:\n {z: 1}}]\n",
        &[(FieldPath::root(), (2, 9)), (field!["x", "z"], (4, 3))],
    );
}

#[test]
fn fields_in_json() {
    let text = "{\"kind\": \"List\", \"items\": [\n  {\"apiVersion\": \"v1\",\n   \"kind\": \"A\", \"ä\": {\"x\\u0079\": [1, {\"z\": 2}]}}\n]}";
    check(
        text,
        &[
            (FieldPath::root(), (2, 3)),
            (field!["kind"], (3, 4)),
            (field!["ä"], (3, 17)),
            (field!["ä", "xy"], (3, 23)),
            (field!["ä", "xy", 0], (3, 35)),
            (field!["ä", "xy", 1, "z"], (3, 39)),
            (field!["ä", "xy", 2, "z"], (3, 23)),
            (field!["ä", "xy", "z"], (3, 23)),
            (field!["status"], (2, 3)),
        ],
    );
}

#[test]
fn any_range_has_a_place() {
    let text = "ä: {ö: [";
    for start in 0..=text.len() + 1 {
        for end in 0..=text.len() + 1 {
            let (line, _) = locate(text, start..end, &field!["ä", "ö"]);
            assert_eq!(line, 1);
        }
    }
}
