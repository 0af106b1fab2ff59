//! Values written anew: in flow style in one line, in block style on lines of their own.

use granit_parser::ScalarStyle;
use serde_json::Value;

use super::scalar;

/// How new text is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Whether the text is JSON.
    pub(super) json: bool,
    /// Whether the dashes of a list stand below their key.
    pub(super) compact: bool,
}

impl Form {
    /// A value in one line.
    pub(super) fn flow(self, value: &Value) -> String {
        match value {
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| self.flow_entry(key, value));
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| self.flow(item));
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
            scalar => self.scalar(scalar),
        }
    }

    /// `key: value`, in one line.
    pub(super) fn flow_entry(self, key: &str, value: &Value) -> String {
        format!("{}: {}", scalar::key(key, self.json), self.flow(value))
    }

    fn scalar(self, value: &Value) -> String {
        scalar::written(value, ScalarStyle::Plain, self.json)
    }

    /// The lines of a mapping or a list, the first of them indented as all are.
    pub(super) fn block(self, value: &Value, indent: usize) -> Vec<String> {
        match value {
            Value::Object(fields) => fields
                .iter()
                .flat_map(|(key, value)| self.entry(key, value, indent))
                .collect(),
            Value::Array(items) => items
                .iter()
                .flat_map(|item| self.item(item, indent))
                .collect(),
            scalar => vec![format!("{}{}", " ".repeat(indent), self.scalar(scalar))],
        }
    }

    /// The lines of `key: value`.
    pub(super) fn entry(self, key: &str, value: &Value, indent: usize) -> Vec<String> {
        let key = scalar::key(key, self.json);
        let mut lines = vec![format!("{}{key}:", " ".repeat(indent))];
        if is_leaf(value) {
            lines[0].push(' ');
            lines[0].push_str(&self.flow(value));
        } else {
            lines.extend(self.block(value, self.below(value, indent)));
        }
        lines
    }

    /// Where the value of a key is indented to.
    pub(super) fn below(self, value: &Value, indent: usize) -> usize {
        if value.is_array() && self.compact {
            indent
        } else {
            indent + 2
        }
    }

    /// The lines of `- item`.
    pub(super) fn item(self, item: &Value, indent: usize) -> Vec<String> {
        let pad = " ".repeat(indent);
        if is_leaf(item) {
            return vec![format!("{pad}- {}", self.flow(item))];
        }
        let mut lines = self.block(item, indent + 2);
        lines[0] = format!("{pad}- {}", lines[0].trim_start());
        lines
    }
}

/// Whether a value is written in one line in block style too.
pub(super) fn is_leaf(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    }
}
