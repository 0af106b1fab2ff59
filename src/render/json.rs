//! JSON, indented, with a final newline.

use serde::Serialize;

use super::text::{put, visible};

pub(super) fn render(document: &impl Serialize) -> String {
    // Documents hold strings, numbers and lists only: there is nothing that JSON cannot say.
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    let mut out = String::with_capacity(text.len() + 1);
    for line in text.lines() {
        // JSON need not escape all that a terminal would obey, but it may.
        if visible(line, false) == line {
            out.push_str(line);
        } else {
            for c in line.chars() {
                if visible(c.encode_utf8(&mut [0; 4]), false)
                    .chars()
                    .nth(1)
                    .is_some()
                {
                    put!(out, "\\u{:04x}", u32::from(c));
                } else {
                    out.push(c);
                }
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let value = serde_json::json!({ "a": "b\u{9b}2J\u{202e}\u{1b}\nä" });
        let text = super::render(&value);
        assert_eq!(text, "{\n  \"a\": \"b\\u009b2J\\u202e\\u001b\\nä\"\n}\n");
        let back: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back, value);
    }
}
