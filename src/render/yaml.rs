//! YAML of the same document.

use serde::Serialize;

use super::text::visible;

pub(super) fn render(document: &impl Serialize) -> String {
    serde_saphyr::to_string(document).unwrap_or_default()
}

/// A stream of documents as a terminal may have it: one with a text that it would obey is written as JSON, which
/// is YAML too and has escapes for all of that.
pub(super) fn shown(text: String) -> String {
    if visible(&text, true) == text {
        return text;
    }
    let documents = text.trim_end().split("\n---\n").map(|document| {
        let value: Result<serde_json::Value, _> = serde_saphyr::from_str(document);
        match value {
            Ok(value) if visible(document, true) != document => super::json::render(&value),
            _ => format!("{document}\n"),
        }
    });
    documents.collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_terminal_would_obey_becomes_json() {
        let plain = "a: b\n---\nc: d\n";
        assert_eq!(shown(plain.to_owned()), plain);
        assert_eq!(
            shown("a: b\n---\nc: d\u{202e}\n".to_owned()),
            "a: b\n---\n{\n  \"c\": \"d\\u202e\"\n}\n"
        );
    }
}
