//! Texts with something wrong, and the words and the place for it.

use std::fmt::Write as _;

use super::{a, b, check, found};

#[test]
fn broken_yaml_is_said_with_its_place() {
    for (text, problem) in [
        (
            "apiVersion: v1\nkind: A\n  spec: 1\n",
            "3:7: invalid YAML: a `:` is not expected here",
        ),
        (
            "apiVersion: v1\n\tkind: A\n",
            "2:1: invalid YAML: a tab is used as indentation",
        ),
        (
            "apiVersion: v1\nkind: [A\n",
            "2:7: invalid YAML: `[` is not closed",
        ),
        (
            "apiVersion: v1\nkind: {A\n",
            "2:7: invalid YAML: `{` is not closed",
        ),
        (
            "apiVersion: v1\nkind: \"A\n",
            "2:7: invalid YAML: a quote is not closed",
        ),
        (
            "apiVersion: v1\nkind A\nspec: {}\n",
            "2:1: invalid YAML: a key is expected, and then a `:`",
        ),
        (
            "kind: A\nmetadata: {}\nkind: A\n",
            "3:1: invalid YAML: the key `kind` is given twice",
        ),
        (
            "kind: A\nmetadata:\n  labels: {true: 1, yes: 2}\n",
            "3:21: invalid YAML: the key `true` is given twice",
        ),
        (
            "kind: A\nx: *unknown\n",
            "2:4: invalid YAML: an alias has no anchor before it",
        ),
        (
            "kind: A\nx: &x [*x]\n",
            "2:8: invalid YAML: an alias stands inside its own anchor",
        ),
        (
            "kind: A\nx: &x 1\n*x : 1\n",
            "3:1: invalid YAML: an alias is used as a key",
        ),
        (
            "kind: A\nx: {[a]: b}\n",
            "2:5: invalid YAML: a list is used as a key; put quotes around `[…]`",
        ),
        (
            "kind: A\nx: {? {a: c} : b}\n",
            "2:7: invalid YAML: a mapping is used as a key; put quotes around `{…}`",
        ),
        (
            "kind: A\nx: {~: b}\n",
            "2:5: invalid YAML: a key is null; put quotes around it",
        ),
        (
            "kind: A\n<<: 1\n",
            "3:1: invalid YAML: `<<` takes a mapping or a list of mappings",
        ),
    ] {
        check(text, &[&format!("problem {problem}")]);
    }
}

#[test]
fn documents_that_are_no_objects_are_told_apart() {
    for (text, problem) in [
        ("just words\n", "1:1: is a single value, not an object"),
        (
            "# nothing\n--- 17\n",
            "2:5: is a single value, not an object",
        ),
        (
            "- apiVersion: v1\n  kind: A\n",
            "1:1: is a list of objects; separate them with `---`, or make it a `kind: List`",
        ),
        (
            "[{\"apiVersion\":\"v1\",\"kind\":\"A\"}]",
            "1:1: is a list of objects; separate them with `---`, or make it a `kind: List`",
        ),
        (
            "metadata: {}\nkind: A\n",
            "2:1: has a `kind` but no `apiVersion`",
        ),
        (
            "spec: {}\napiVersion: v1\n",
            "2:1: has an `apiVersion` but no `kind`",
        ),
        (
            "apiVersion: v1\nkind: \"\"\nspec: {}\n",
            "1:1: has an `apiVersion` but no `kind`",
        ),
        (
            "apiVersion: 1\nkind: A\n",
            "1:1: `apiVersion` is not a string",
        ),
        ("apiVersion: v1\nkind: [A]\n", "2:1: `kind` is not a string"),
        (
            "{\"apiVersion\":\"v1\",\"kind\":1}",
            "1:20: `kind` is not a string",
        ),
        (
            "{\"apiVersion\":\"v1\",\n \"kind\":\"A\"\n \"spec\":{}}",
            "3:2: invalid JSON: expected `,` or `}`",
        ),
        (
            "{\"apiVersion\":\"v1\",\n \"kind\":\"A",
            "2:11: invalid JSON: it ends too early",
        ),
        (
            "kind: List\nitems:\n- metadata: {}\n",
            "3:3: an item of the list has neither `apiVersion` nor `kind`",
        ),
        (
            "kind: List\nitems:\n- 1\n",
            "3:3: an item of the list is not an object",
        ),
        (
            "{\"kind\":\"List\",\"items\":[null]}",
            "1:25: an item of the list is not an object",
        ),
    ] {
        check(text, &[&format!("problem {problem}")]);
    }
}

#[test]
fn the_rest_of_a_broken_text_is_read() {
    check(
        "apiVersion: v1\nkind: A\n---\nkind: [\n---\napiVersion: v1\nkind: B\n",
        &[
            &a("1:1"),
            "problem 4:7: invalid YAML: `[` is not closed",
            &b("6:1"),
        ],
    );
    // A quote that is not closed does not swallow the next document.
    check(
        "kind: \"A\n---\napiVersion: v1\nkind: B\n",
        &[
            "problem 1:7: invalid YAML: a quote is not closed",
            &b("3:1"),
        ],
    );
    // One JSON object a line.
    check(
        "{\"apiVersion\":\"v1\",\"kind\":\"A\"}\n{\"kind\":]}\n{\"apiVersion\":\"v1\",\"kind\":\"B\"}\n",
        &[
            &a("1:1"),
            "problem 2:9: invalid JSON: expected value",
            &b("3:1"),
        ],
    );
    check(
        "{\"apiVersion\":\"v1\",\"kind\":\"A\"} ]\n{\"apiVersion\":\"v1\",\"kind\":\"B\"}\n",
        &[
            &a("1:1"),
            "problem 1:32: invalid YAML: misplaced bracket",
            &b("2:1"),
        ],
    );
    // The items before the place where a list breaks.
    check(
        "kind: List\nitems:\n- apiVersion: v1\n  kind: A\n- kind: [\n",
        &[&a("3:3"), "problem 5:9: invalid YAML: `[` is not closed"],
    );
}

#[test]
fn templates_are_called_templates() {
    const TEMPLATE: &str = "looks like a Helm template; render it first: \
                            `helm template CHART | kubectl ambient check -f -`";
    for (text, place) in [
        (
            "{{- if .Values.on }}\napiVersion: v1\nkind: A\n{{- end }}\n",
            "1:1",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata:\n  name: {{ .Release.Name }}\n",
            "4:9",
        ),
        (
            "apiVersion: v1\nkind: A\nmetadata:\n  labels:\n    {{- include \"l\" . | nindent 4 }}\n",
            "5:5",
        ),
        ("apiVersion: v1\nkind: A\nspec:\n- {{ .Values.x }}\n", "4:3"),
        (
            "# {{ no }}\napiVersion: {{ include \"v\" . }}\nkind: A\n",
            "2:13",
        ),
    ] {
        check(text, &[&format!("problem {place}: {TEMPLATE}")]);
    }
    // Braces in quotes and in blocks are text, and what is broken beside them is broken YAML.
    check(
        "apiVersion: v1\nkind: A\nx: \"{{ $labels.pod }}\"\n",
        &[r#"1:1 v1/A {"apiVersion":"v1","kind":"A","x":"{{ $labels.pod }}"}"#],
    );
    check(
        "apiVersion: v1\nkind: A\nx: \"{{ $labels.pod }}\"\ny: [\n",
        &["problem 4:4: invalid YAML: `[` is not closed"],
    );
}

#[test]
fn files_of_other_tools_are_not_broken() {
    const NEITHER: &str = "is not a Kubernetes object: it has neither `apiVersion` nor `kind`";
    for (text, what) in [
        ("# values\nreplicas: 3\n", format!("2:1: {NEITHER}")),
        (
            "resources: [a.yaml]\nkind: null\n",
            format!("1:1: {NEITHER}"),
        ),
        ("{\"$schema\": \"x\"}", format!("1:1: {NEITHER}")),
        ("items:\n- a: 1\n", format!("1:1: {NEITHER}")),
        (
            "apiVersion: v2\nname: chart\nversion: 1.0.0\n",
            "1:1: is not a Kubernetes object: it has no `kind`".to_owned(),
        ),
        (
            "kind: pipeline\nsteps: []\n",
            "1:1: is not a Kubernetes object: it has no `apiVersion`".to_owned(),
        ),
        (
            "- op: replace\n  path: /spec\n",
            "1:1: is not a Kubernetes object: it is a list".to_owned(),
        ),
        (
            "[]",
            "1:1: is not a Kubernetes object: it is a list".to_owned(),
        ),
    ] {
        check(text, &[&format!("other {what}")]);
    }
}

/// An alias bomb: every level holds ten of the level below.
#[test]
fn alias_bombs_end_early() {
    let mut text = "apiVersion: v1\nkind: A\nl0: &l0 [lol]\n".to_owned();
    for level in 1..30 {
        let below = format!("*l{}, ", level - 1).repeat(10);
        writeln!(text, "l{level}: &l{level} [{below}]").unwrap();
    }
    let lines = found(&text);
    assert_eq!(lines.len(), 1);
    let end = "invalid YAML: its aliases multiply it beyond measure";
    assert!(lines[0].ends_with(end), "{}", lines[0]);

    let mut text = "apiVersion: v1\nkind: A\nl0: &l0 {a: {b: c}}\n".to_owned();
    for level in 1..2000 {
        writeln!(
            text,
            "l{level}: &l{level} {{<<: *l{}, k{level}: {{<<: *l{0}}}}}",
            level - 1
        )
        .unwrap();
    }
    assert!(found(&text)[0].ends_with(end));
}

#[test]
fn depth_has_an_end() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("\n- ", ""), ("\n? ", "")] {
        let text = format!(
            "kind: A\nx: {}{}\n",
            open.repeat(50_000),
            close.repeat(50_000)
        );
        assert_eq!(found(&text).len(), 1);
    }
    let text = format!("{{\"kind\":\"A\",\"x\":{}", "[".repeat(100_000));
    assert_eq!(found(&text).len(), 1);
    let list = r#"{"kind":"List","items":["#;
    check(
        &(list.repeat(20) + &"]}".repeat(20)),
        &["problem 1:193: lists are nested too deeply"],
    );
}

/// Keys are compared in less than quadratic time.
#[test]
fn a_mapping_may_be_large() {
    let mut text = "apiVersion: v1\nkind: A\ndata:\n".to_owned();
    for key in 0..50_000 {
        writeln!(text, "  k{key}: v").unwrap();
    }
    assert!(found(&text)[0].starts_with("1:1 v1/A"));
    text += "  k77: again\n";
    assert_eq!(
        found(&text),
        ["problem 50004:3: invalid YAML: the key `k77` is given twice"]
    );
}

#[test]
fn items_that_are_no_list_are_a_problem() {
    let what = "the `items` of the List are no list";
    check(
        "apiVersion: v1\nkind: List\nitems: 5\n",
        &[&format!("problem 3:1: {what}")],
    );
    check(
        r#"{"apiVersion":"v1","kind":"List","items":{"a":{}}}"#,
        &[&format!("problem 1:34: {what}")],
    );
    for none in ["items: null", "items: []", "metadata: {}"] {
        let text = format!("apiVersion: v1\nkind: List\n{none}\n");
        assert!(
            !found(&text).iter().any(|line| line.contains(what)),
            "{text}"
        );
    }
}
