//! Edits of texts as people write them, and of texts as nobody does.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::soak::cases;

fn merged(mut value: Value, patch: &Value) -> Value {
    fn merge(target: &mut Value, patch: &Value) {
        let Value::Object(patch) = patch else {
            *target = patch.clone();
            return;
        };
        if !target.is_object() {
            *target = json!({});
        }
        for (key, change) in patch {
            if change.is_null() {
                target.as_object_mut().map(|fields| fields.remove(key));
            } else {
                merge(&mut target[key.as_str()], change);
            }
        }
    }
    merge(&mut value, patch);
    value
}

/// The first object of a text, changed by a merge patch.
fn changed(text: &str, patch: &Value) -> Edited {
    let split = text::split(text);
    let object = &split.objects[0];
    let before: Value = serde_json::from_str(&object.json).unwrap();
    edit(
        text,
        &[Want::Update(object.range.clone(), merged(before, patch))],
    )
}

#[track_caller]
fn becomes(text: &str, patch: &Value, expected: &str) {
    let edited = changed(text, patch);
    assert_eq!(edited.left, [], "{text}");
    assert_eq!(edited.text.as_deref(), Some(expected));
}

const SERVICE: &str = "\
# The catalogue.
apiVersion: v1
kind: Service
metadata:
  name: cart # its name
  labels:
    app: 'cart'   # quoted
spec:
  ports:
  - name: http
    port: 80
  - {name: grpc, port: 90}
";

#[test]
fn a_label_is_added_below_the_others() {
    let patch = json!({"metadata": {"labels": {"istio.io/use-waypoint": "waypoint"}}});
    let expected = SERVICE.replace(
        "# quoted\n",
        "# quoted\n    istio.io/use-waypoint: waypoint\n",
    );
    becomes(SERVICE, &patch, &expected);
}

#[test]
fn a_value_keeps_its_quotes_and_comments() {
    let patch = json!({"metadata": {"labels": {"app": "basket"}, "name": "x"}});
    let expected = SERVICE
        .replace("'cart'", "'basket'")
        .replace("name: cart", "name: x");
    becomes(SERVICE, &patch, &expected);
}

#[test]
fn what_is_new_is_written_as_what_is_there() {
    let patch = json!({"metadata": {"annotations": {"a": "yes", "b": "1"}}});
    let expected = SERVICE.replace(
        "# quoted\n",
        "# quoted\n  annotations:\n    a: \"yes\"\n    b: \"1\"\n",
    );
    becomes(SERVICE, &patch, &expected);
    let ports = json!([{"name": "http", "port": 81}, {"name": "grpc", "port": 91}, {"port": 1}]);
    let expected = SERVICE
        .replace("port: 80", "port: 81")
        .replace("90}\n", "91}\n  - port: 1\n");
    becomes(SERVICE, &json!({"spec": {"ports": ports}}), &expected);
}

#[test]
fn what_goes_takes_its_lines_with_it() {
    let expected = SERVICE.replace("  labels:\n    app: 'cart'   # quoted\n", "");
    becomes(SERVICE, &json!({"metadata": {"labels": null}}), &expected);
    let expected = SERVICE.replace("'cart'   # quoted", "'cart'");
    assert_ne!(expected, SERVICE);
    let ports = json!([{"name": "grpc", "port": 90}]);
    let expected = SERVICE.replace("  - name: http\n    port: 80\n", "");
    becomes(SERVICE, &json!({"spec": {"ports": ports}}), &expected);
    let ports = json!([{"port": 80}, {"port": 90}]);
    let expected = SERVICE
        .replace("- name: http\n    port: 80", "- port: 80")
        .replace("{name: grpc, port: 90}", "{port: 90}");
    becomes(SERVICE, &json!({"spec": {"ports": ports}}), &expected);
}

#[test]
fn brackets_stay_brackets() {
    let text =
        "kind: Namespace\napiVersion: v1\nmetadata: {name: shop, labels: {a: b}} # one line\n";
    let patch = json!({"metadata": {"labels": {"istio.io/dataplane-mode": "ambient", "a": null}}});
    let expected = text.replace("{a: b}", "{istio.io/dataplane-mode: ambient}");
    becomes(text, &patch, &expected);
    let patch = json!({"metadata": {"labels": {"c": "d"}}});
    becomes(text, &patch, &text.replace("a: b", "a: b, c: d"));
    let json = "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Namespace\",\n  \"metadata\": {\n    \"name\": \"shop\"\n  }\n}\n";
    let patch = json!({"metadata": {"labels": {"c": "d"}}});
    let expected = json.replace("\"shop\"", "\"shop\", \"labels\": {\"c\": \"d\"}");
    becomes(json, &patch, &expected);
}

#[test]
fn line_ends_stay_what_they_are() {
    let text = "kind: Namespace\r\napiVersion: v1\r\nmetadata:\r\n  name: shop\r\n";
    let patch = json!({"metadata": {"labels": {"c": "d"}}});
    let expected = text.to_owned() + "  labels:\r\n    c: d\r\n";
    becomes(text, &patch, &expected);
    let text = "kind: Namespace\napiVersion: v1\nmetadata:\n  name: shop";
    becomes(
        text,
        &patch,
        "kind: Namespace\napiVersion: v1\nmetadata:\n  name: shop\n  labels:\n    c: d",
    );
}

#[test]
fn only_the_object_in_question_is_touched() {
    let two = format!("{SERVICE}---\n{}", SERVICE.replace("cart", "shop"));
    let split = text::split(&two);
    let update = Want::Update(
        split.objects[1].range.clone(),
        merged(
            serde_json::from_str(&split.objects[1].json).expect("JSON"),
            &json!({"metadata": {"labels": null}}),
        ),
    );
    let remove = Want::Remove(split.objects[0].range.clone());
    let new = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}});
    let document = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: new\n";
    let append = Want::Append(new, document.to_owned());
    let edited = edit(&two, &[update, remove, append]);
    let second = SERVICE
        .replace("cart", "shop")
        .replace("  labels:\n    app: 'shop'   # quoted\n", "");
    assert_eq!(edited.left, []);
    assert_eq!(edited.text, Some(format!("{second}---\n{document}")));
    assert!(!edited.is_empty);
}

#[test]
fn documents_go_with_their_markers() {
    let header = "# Owned by shop.\n\n# One.\n";
    let one = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: one\n";
    let two = one.replace("one", "two");
    let three = one.replace("one", "three");
    let all = format!("{header}{one}---\n{two}---\n# Three.\n{three}");
    let without = |at: usize| {
        let split = text::split(&all);
        edit(&all, &[Want::Remove(split.objects[at].range.clone())]).text
    };
    assert_eq!(
        without(0),
        Some(format!(
            "# Owned by shop.\n\n---\n{two}---\n# Three.\n{three}"
        ))
    );
    assert_eq!(
        without(1),
        Some(format!("{header}{one}---\n# Three.\n{three}"))
    );
    assert_eq!(without(2), Some(format!("{header}{one}---\n{two}")));
    let split = text::split(one);
    let alone = edit(one, &[Want::Remove(split.objects[0].range.clone())]);
    assert!(alone.is_empty && alone.left.is_empty());
}

#[test]
fn what_is_more_than_it_seems_is_left_as_it_is() {
    let patch = json!({"metadata": {"labels": {"c": "d"}}});
    let head = "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n";
    for (text, expected) in [
        (
            format!("{head}  annotations:\n    x: '{{{{ .Values.x }}}}'\n"),
            Obstacle::Template,
        ),
        (
            format!("{head}  annotations: &a\n    x: y\n"),
            Obstacle::Anchors,
        ),
        (
            format!("{head}  annotations:\n    x: !!str 1\n"),
            Obstacle::Anchors,
        ),
        (
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n"
                .to_owned(),
            Obstacle::ListItem,
        ),
        (
            r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}]}"#
                .to_owned(),
            Obstacle::ListItem,
        ),
    ] {
        let edited = changed(&text, &patch);
        assert_eq!(edited.left, [(0, expected)], "{text}");
        assert_eq!(edited.text, None);
    }
}

#[test]
fn kustomizations_name_what_they_patch() {
    let files = [
        (
            "base/kustomization.yaml",
            "patches:\n- target: {kind: Service, name: cart}\n  patch: '[]'\n\
             - path: ./change.yaml\n- patch: |\n    kind: Namespace\n    metadata: {name: shop}\n",
        ),
        (
            "base/change.yaml",
            "kind: Deployment\nmetadata: {name: cart}\n",
        ),
    ];
    let found = patched_by_kustomize(&files);
    let found: Vec<String> = found
        .iter()
        .map(|(kind, name)| format!("{kind}/{name}"))
        .collect();
    assert_eq!(found, ["Deployment/cart", "Namespace/shop", "Service/cart"]);
}

/// A value of a manifest.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        (-5..1000_i64).prop_map(Value::from),
        "[a-z/]{1,6}".prop_map(Value::from),
        prop_oneof!["yes|no|null|~|1e3|0x1|- a|a: b|a #b|", "[ -~ä\\n]{0,12}"]
            .prop_map(|text| Value::from(text.replace("{{", "{-"))),
        Just(json!({})),
        Just(json!([])),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Value::from),
            prop::collection::btree_map("[a-d]|[a-z./-]{1,8}", inner, 1..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-d]|[a-z./-]{1,8}", value(), 2..5).prop_map(|map| {
        let fields: serde_json::Map<String, Value> = map.into_iter().collect();
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "spec": fields})
    })
}

/// How a text is written.
#[derive(Debug, Clone, Copy)]
struct Hand {
    compact: bool,
    step: usize,
    /// Every so many values one is written in brackets; 0 for none.
    brackets: usize,
    /// Every so many lines one has a comment; 0 for none.
    comments: usize,
}

fn hand() -> impl Strategy<Value = Hand> {
    (any::<bool>(), 1..4_usize, 0..5_usize, 0..4_usize).prop_map(
        |(compact, step, brackets, comments)| Hand {
            compact: compact && step > 1,
            step,
            brackets,
            comments,
        },
    )
}

/// Writes a value as a person might.
struct Scribe {
    hand: Hand,
    out: String,
    count: usize,
}

impl Scribe {
    fn line(&mut self, text: &str) {
        self.count += 1;
        self.out.push_str(text);
        if self.hand.comments > 0 && self.count.is_multiple_of(self.hand.comments) {
            self.out.push_str("  # c");
            self.out.push_str(&self.count.to_string());
        }
        self.out.push('\n');
    }

    fn leaf(&self, value: &Value) -> String {
        let form = flow::Form {
            json: false,
            compact: false,
        };
        match value {
            Value::String(text)
                if self.count.is_multiple_of(3) && !text.contains(['\n', '\r', '\'']) =>
            {
                format!("'{text}'")
            }
            value => form.flow(value),
        }
    }

    fn inline(&self, value: &Value) -> bool {
        flow::is_leaf(value)
            || (self.hand.brackets > 0 && self.count.is_multiple_of(self.hand.brackets))
    }

    fn map(&mut self, value: &Value, indent: usize, first: &str) {
        let pad = " ".repeat(indent);
        for (at, (key, value)) in value.as_object().into_iter().flatten().enumerate() {
            let pad = if at == 0 { first } else { &pad };
            let key = scalar::key(key, false);
            if self.inline(value) {
                let leaf = self.leaf(value);
                self.line(&format!("{pad}{key}: {leaf}"));
            } else {
                self.line(&format!("{pad}{key}:"));
                self.below(value, indent);
            }
        }
    }

    fn below(&mut self, value: &Value, indent: usize) {
        let deeper = indent + self.hand.step;
        if value.is_array() {
            self.list(value, if self.hand.compact { indent } else { deeper });
        } else {
            self.map(value, deeper, &" ".repeat(deeper));
        }
    }

    fn list(&mut self, value: &Value, indent: usize) {
        let pad = " ".repeat(indent);
        for item in value.as_array().into_iter().flatten() {
            if self.inline(item) || item.is_array() {
                let leaf = self.leaf(item);
                self.line(&format!("{pad}- {leaf}"));
            } else {
                self.map(item, indent + 2, &format!("{pad}- "));
            }
        }
    }
}

fn scribed(value: &Value, hand: Hand) -> String {
    let mut scribe = Scribe {
        hand,
        out: String::new(),
        count: 0,
    };
    scribe.map(value, 0, "");
    scribe.out
}

/// Whether all lines of one text are in the other, in order.
fn all_lines_in(some: &str, all: &str) -> bool {
    let mut all = all.lines();
    some.lines().all(|line| all.any(|other| other == line))
}

/// The pointers of all leaves below `spec`.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                leaves(value, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (position, item) in items.iter().enumerate() {
                leaves(item, &format!("{at}/{position}"), found);
            }
        }
        _ => found.push(at.to_owned()),
    }
}

fn edited_to(text: &str, after: &Value) -> Edited {
    let split = text::split(text);
    assert_eq!(split.problems, [], "{text}");
    let edited = edit(
        text,
        &[Want::Update(split.objects[0].range.clone(), after.clone())],
    );
    if let Some(text) = &edited.text {
        let read = text::split(text);
        let read: Value = serde_json::from_str(&read.objects[0].json).unwrap();
        assert_eq!(read, *after);
    }
    edited
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn one_leaf_changes_one_line(
        before in object(), hand in hand(), pick in any::<prop::sample::Index>(), number in 2000..3000_i64,
    ) {
        let text = scribed(&before, hand);
        let mut found = Vec::new();
        leaves(&before["spec"], "/spec", &mut found);
        prop_assume!(!found.is_empty());
        let mut after = before.clone();
        *after.pointer_mut(pick.get::<String>(&found)).expect("it is there") = number.into();
        let edited = edited_to(&text, &after);
        prop_assert_eq!(&edited.left, &[], "{}", text);
        let edited = edited.text.expect("it was changed");
        let differing = text.lines().zip(edited.lines()).filter(|(a, b)| a != b).count();
        prop_assert_eq!(text.lines().count(), edited.lines().count());
        prop_assert_eq!(differing, 1, "{}\n{}", text, edited);
    }

    #[test]
    fn a_new_field_adds_lines_and_takes_none(before in object(), hand in hand(), new in value()) {
        let text = scribed(&before, Hand { brackets: 0, ..hand });
        let mut after = before.clone();
        after["spec"]["zz-new"] = new.clone();
        after["metadata"]["labels"] = json!({"zz-new": "x"});
        let edited = edited_to(&text, &after);
        prop_assert_eq!(&edited.left, &[], "{}", text);
        let edited = edited.text.expect("it was changed");
        prop_assert!(all_lines_in(&text, &edited), "{}\n{}", text, edited);
        // What came goes again without a trace.
        prop_assert_eq!(edited_to(&edited, &before).text, Some(text));
    }

    #[test]
    fn a_field_that_goes_takes_its_lines_and_no_others(
        before in object(), hand in hand(), pick in any::<prop::sample::Index>(),
    ) {
        let text = scribed(&before, Hand { brackets: 0, ..hand });
        let mut after = before.clone();
        let fields = after["spec"].as_object_mut().expect("a mapping");
        let keys: Vec<String> = fields.keys().cloned().collect();
        fields.remove(pick.get::<String>(&keys));
        let edited = edited_to(&text, &after);
        prop_assert_eq!(&edited.left, &[], "{}", text);
        let edited = edited.text.expect("it was changed");
        prop_assert!(all_lines_in(&edited, &text), "{}\n{}", text, edited);
    }

    #[test]
    fn what_is_written_is_what_was_meant(before in object(), after in object(), hand in hand()) {
        let text = scribed(&before, hand);
        let edited = edited_to(&text, &after);
        prop_assert!(edited.text.is_some() || !edited.left.is_empty() || before == after);
    }

    #[test]
    fn no_text_makes_it_stumble(text in "\\PC{0,60}", after in object()) {
        for object in text::split(&text).objects {
            edit(&text, &[Want::Update(object.range.clone(), after.clone())]);
            edit(&text, &[Want::Remove(object.range)]);
        }
    }
}
