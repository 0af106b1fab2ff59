//! Random objects, written as YAML and as JSON, are found again whole and in place.

use std::fmt::Write as _;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::{locate, split};
use crate::kinds::{FieldPath, Segment};
use crate::soak::cases;

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,3}",
        "[a-z./-]{0,6}",
        Just("on".to_owned()),
        "\\PC{0,4}"
    ]
}

fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 :#-]{0,12}",
        "\\PC{0,10}",
        "[ -~\n]{0,20}",
        Just("yes".to_owned()),
        Just("0644".to_owned()),
        Just("---\n...\n".to_owned()),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // A whole number is written without a fraction, as Go does.
        (-999..999_i32).prop_map(|n| Value::from(f64::from(n) + 0.25)),
        string().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(key(), inner, 0..4)
                .prop_map(|map| Value::from(map.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn object() -> impl Strategy<Value = Value> {
    (btree_map(key(), value(), 0..4), "[A-Z][a-z]{1,5}").prop_map(|(mut fields, kind)| {
        fields.insert("apiVersion".to_owned(), json!("v1"));
        fields.insert("kind".to_owned(), json!(kind + "x"));
        fields.into_iter().collect::<Map<_, _>>().into()
    })
}

/// Writes YAML and notes where each field stands.
#[derive(Default)]
struct Yaml {
    text: String,
    places: Vec<(Vec<Segment>, usize)>,
}

impl Yaml {
    fn block(&mut self, value: &Value, indent: usize, path: &mut Vec<Segment>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (position, (key, value)) in map.iter().enumerate() {
                    if position > 0 {
                        self.text += &" ".repeat(indent);
                    }
                    path.push(Segment::from(key.as_str()));
                    self.places.push((path.clone(), self.text.len()));
                    // JSON strings are YAML.
                    write!(self.text, "{}:", json!(key)).unwrap();
                    self.nested(value, indent + 2, path);
                    path.pop();
                }
            }
            Value::Array(list) if !list.is_empty() => {
                for (position, value) in list.iter().enumerate() {
                    if position > 0 {
                        self.text += &" ".repeat(indent);
                    }
                    self.text += "- ";
                    path.push(Segment::from(position));
                    self.places.push((path.clone(), self.text.len()));
                    self.block(value, indent + 2, path);
                    path.pop();
                }
            }
            Value::String(text) if literal(text) => {
                self.text += "|-\n";
                for line in text.split('\n') {
                    writeln!(self.text, "{}{line}", " ".repeat(indent)).unwrap();
                }
            }
            other => writeln!(self.text, "{other}").unwrap(),
        }
    }

    fn nested(&mut self, value: &Value, indent: usize, path: &mut Vec<Segment>) {
        let block = match value {
            Value::Object(map) => !map.is_empty(),
            Value::Array(list) => !list.is_empty(),
            _ => false,
        };
        if block {
            self.text.push('\n');
            self.text += &" ".repeat(indent);
        } else {
            self.text.push(' ');
        }
        self.block(value, indent, path);
    }
}

/// Whether a block of text holds a string without further signs.
fn literal(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with([' ', '\n'])
        && !text.ends_with('\n')
        && text.chars().all(|c| c == '\n' || (' '..='~').contains(&c))
}

fn place(text: &str, offset: usize) -> (usize, usize) {
    let line_start = text[..offset].rfind('\n').map_or(0, |end| end + 1);
    (
        text[..offset].matches('\n').count() + 1,
        text[line_start..offset].chars().count() + 1,
    )
}

fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

/// Every pointer of a pretty-printed JSON value with the offset of its key or item.
fn json_places(value: &Value) -> Yaml {
    fn write(out: &mut Yaml, value: &Value, path: &mut Vec<Segment>) {
        match value {
            Value::Object(map) => {
                out.text += "{";
                for (position, (key, value)) in map.iter().enumerate() {
                    out.text += if position > 0 { ",\n " } else { "" };
                    path.push(Segment::from(key.as_str()));
                    out.places.push((path.clone(), out.text.len()));
                    write!(out.text, "{} :\t", json!(key)).unwrap();
                    write(out, value, path);
                    path.pop();
                }
                out.text += "}";
            }
            Value::Array(list) => {
                out.text += "[ ";
                for (position, value) in list.iter().enumerate() {
                    out.text += if position > 0 { " , " } else { "" };
                    path.push(Segment::from(position));
                    out.places.push((path.clone(), out.text.len()));
                    write(out, value, path);
                    path.pop();
                }
                out.text += "]";
            }
            other => out.text += &other.to_string(),
        }
    }
    let mut out = Yaml::default();
    write(&mut out, value, &mut Vec::new());
    out
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn documents_are_split_as_they_were_joined(objects in vec(object(), 0..4), crlf: bool) {
        let mut text = String::new();
        for object in &objects {
            let mut yaml = Yaml::default();
            yaml.block(object, 0, &mut Vec::new());
            write!(text, "---\n{}", yaml.text).unwrap();
        }
        if crlf {
            text = text.replace('\n', "\r\n");
        }
        let found = split(&text);
        prop_assert_eq!(&found.problems, &[]);
        let read: Vec<Value> = found.objects.iter().map(|object| parsed(&object.json)).collect();
        prop_assert_eq!(read, objects);
    }

    #[test]
    fn items_of_lists_are_split_as_they_were_joined(objects in vec(object(), 0..4)) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let mut yaml = Yaml::default();
        yaml.block(&list, 0, &mut Vec::new());
        let kind_last = yaml.text.replacen("\"kind\":", "kind:", 1);
        for text in [&yaml.text, &kind_last, &list.to_string()] {
            let found = split(text);
            prop_assert_eq!(&found.problems, &[]);
            let read: Vec<Value> = found.objects.iter().map(|object| parsed(&object.json)).collect();
            prop_assert_eq!(&read, &objects, "{}", text);
        }
    }

    #[test]
    fn fields_are_found_where_they_were_written(object in object(), item: bool, crlf: bool) {
        let mut yaml = Yaml::default();
        let (mut path, start) = if item {
            yaml.text += "kind: List\nitems:\n- {apiVersion: v1, kind: First}\n- ";
            (Vec::new(), 2)
        } else {
            yaml.text += "a: 1\n---\n";
            (Vec::new(), 0)
        };
        yaml.block(&object, start, &mut path);
        for written in [yaml, json_places(&object)] {
            let Yaml { mut text, mut places } = written;
            if crlf && !text.starts_with('{') {
                for (_, offset) in &mut places {
                    *offset += text[..*offset].matches('\n').count();
                }
                text = text.replace('\n', "\r\n");
            }
            let found = split(&text);
            let range = found.objects.last().unwrap().range.clone();
            for (path, offset) in places {
                let path = FieldPath::new(path);
                prop_assert_eq!(locate(&text, range.clone(), &path), place(&text, offset), "{} in\n{}", path, text);
                // A field that is not there is looked for beside it.
                let absent = path.then("no such key").then(3);
                prop_assert_eq!(locate(&text, range.clone(), &absent), place(&text, offset));
            }
        }
    }

    #[test]
    fn no_text_is_too_strange(text in "([a-c:{}\\[\\]&*|>?,#%!\"' \t\r\n-]|---|\\.\\.\\.|kind: |items:|apiVersion: v1\n|<<: ){0,40}") {
        for object in split(&text).objects {
            prop_assert!(serde_json::from_str::<Value>(&object.json).is_ok());
            prop_assert!(text.get(object.range.clone()).is_some());
            locate(&text, object.range, &FieldPath::label("a"));
        }
    }
}
