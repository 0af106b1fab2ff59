//! Scalars as they are written.

use granit_parser::ScalarStyle;
use serde_json::Value;

/// Words that YAML 1.1, and so kubectl, takes for something else than text.
const WORDS: [&str; 9] = ["y", "n", "yes", "no", "true", "false", "on", "off", "null"];

/// A scalar, or an empty collection, in a style as near as may be to the one before.
pub(super) fn written(value: &Value, style: ScalarStyle, json: bool) -> String {
    match value {
        Value::String(text) if json => quoted(text),
        Value::String(text) => match style {
            ScalarStyle::SingleQuoted if !text.chars().any(is_special) => {
                format!("'{}'", text.replace('\'', "''"))
            }
            ScalarStyle::DoubleQuoted | ScalarStyle::SingleQuoted => quoted(text),
            _ if is_plain(text) => text.clone(),
            _ => quoted(text),
        },
        other => other.to_string(),
    }
}

/// A key.
pub(super) fn key(text: &str, json: bool) -> String {
    if !json && is_plain(text) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// Text in double quotes, which JSON and YAML read alike.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    for c in serde_json::Value::from(text).to_string().chars() {
        if is_special(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str("\\u");
                let digits = [12, 8, 4, 0].map(|shift| u32::from(*unit) >> shift & 15);
                out.extend(
                    digits
                        .iter()
                        .filter_map(|digit| char::from_digit(*digit, 16)),
                );
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether YAML does not take a character as it is, or a line would end with it.
fn is_special(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// Whether text is itself without quotes, in block and in flow style.
fn is_plain(text: &str) -> bool {
    let first = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'/');
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'/' | b'-');
    first && text.bytes().all(inner) && !WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}
