//! What a YAML scalar means, as kubectl reads it: YAML 1.1 as `sigs.k8s.io/yaml` has it.
//!
//! `yes`, `on` and `y` are booleans there, `0644` is octal, `1_000` is a number, and a date is a
//! string.

use granit_parser::{ScalarStyle, Tag};

/// The meaning of a scalar.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// A whole number above the range of `Int`.
    Large(u64),
    Float(f64),
    /// A string, the scalar's own text.
    Text,
}

impl Scalar {
    /// The meaning of a scalar by its text, the way it is written and its tag.
    pub(super) fn of(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Self {
        match tag {
            None if style == ScalarStyle::Plain => resolve(text),
            None => Self::Text,
            Some(tag) => match core_suffix(tag) {
                Some("bool" | "int" | "float" | "null") => resolve(text),
                _ => Self::Text,
            },
        }
    }
}

/// Whether a key is the merge key `<<`.
pub(super) fn is_merge(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> bool {
    text == "<<"
        && match tag {
            None => style == ScalarStyle::Plain,
            Some(tag) => core_suffix(tag) == Some("merge"),
        }
}

/// A mapping's key as the key of a JSON object; `None` for null.
pub(super) fn key<'k>(
    text: &'k str,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Option<std::borrow::Cow<'k, str>> {
    Some(match Scalar::of(text, style, tag) {
        Scalar::Null => return None,
        Scalar::Bool(value) => value.to_string().into(),
        Scalar::Int(value) => value.to_string().into(),
        Scalar::Large(value) => value.to_string().into(),
        Scalar::Float(value) => value.to_string().into(),
        Scalar::Text => text.into(),
    })
}

fn core_suffix(tag: &Tag) -> Option<&str> {
    (tag.handle() == "tag:yaml.org,2002:").then(|| tag.suffix())
}

fn resolve(text: &str) -> Scalar {
    let Some(first) = text.bytes().next() else {
        return Scalar::Null;
    };
    match first {
        b'0'..=b'9' | b'+' | b'-' => number(text).unwrap_or(Scalar::Text),
        b'.' => match text {
            ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" => Scalar::Float(f64::INFINITY),
            _ => decimal(text).map_or(Scalar::Text, Scalar::Float),
        },
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => word(text),
        _ => Scalar::Text,
    }
}

fn word(text: &str) -> Scalar {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Scalar::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Scalar::Bool(false)
        }
        "~" | "null" | "Null" | "NULL" => Scalar::Null,
        _ => Scalar::Text,
    }
}

fn number(text: &str) -> Option<Scalar> {
    match text {
        "+.inf" | "+.Inf" | "+.INF" => return Some(Scalar::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => return Some(Scalar::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    let plain = text.replace('_', "");
    whole(&plain).or_else(|| decimal(&plain).map(Scalar::Float))
}

/// A whole number: decimal, or with `0x`, `0o`, `0b` or a leading zero for octal.
fn whole(plain: &str) -> Option<Scalar> {
    let (sign, digits) = match plain.as_bytes().first()? {
        b'-' => ("-", &plain[1..]),
        b'+' => ("", &plain[1..]),
        _ => ("", plain),
    };
    if !digits.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // The standard library would take a second sign.
    if !digits.as_bytes().first()?.is_ascii_alphanumeric() {
        return None;
    }
    if let Ok(value) = i64::from_str_radix(&format!("{sign}{digits}"), radix) {
        return Some(Scalar::Int(value));
    }
    if sign.is_empty() && !plain.starts_with('+') {
        return u64::from_str_radix(digits, radix).ok().map(Scalar::Large);
    }
    None
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn decimal(plain: &str) -> Option<f64> {
    let looks_so = plain
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'));
    let value: f64 = looks_so.then(|| plain.parse().ok()).flatten()?;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_kubectl_takes_them_for() {
        for (text, expected) in [
            ("", Scalar::Null),
            ("~", Scalar::Null),
            ("null", Scalar::Null),
            ("nULL", Scalar::Text),
            ("true", Scalar::Bool(true)),
            ("yes", Scalar::Bool(true)),
            ("y", Scalar::Bool(true)),
            ("On", Scalar::Bool(true)),
            ("off", Scalar::Bool(false)),
            ("N", Scalar::Bool(false)),
            ("yEs", Scalar::Text),
            ("0", Scalar::Int(0)),
            ("-1", Scalar::Int(-1)),
            ("+15008", Scalar::Int(15008)),
            ("0644", Scalar::Int(420)),
            ("0o644", Scalar::Int(420)),
            ("0x1F", Scalar::Int(31)),
            ("-0b11", Scalar::Int(-3)),
            ("1_000", Scalar::Int(1000)),
            ("08", Scalar::Float(8.0)),
            ("9223372036854775807", Scalar::Int(i64::MAX)),
            ("18446744073709551615", Scalar::Large(u64::MAX)),
            (
                "18446744073709551616",
                Scalar::Float(18_446_744_073_709_551_616.0),
            ),
            ("1.5", Scalar::Float(1.5)),
            ("1.", Scalar::Float(1.0)),
            (".5", Scalar::Float(0.5)),
            ("-.5e3", Scalar::Float(-500.0)),
            ("1e3", Scalar::Float(1000.0)),
            (".inf", Scalar::Float(f64::INFINITY)),
            ("-.inf", Scalar::Float(f64::NEG_INFINITY)),
            ("1.27.1", Scalar::Text),
            ("2026-11-22", Scalar::Text),
            ("10.0.0.1", Scalar::Text),
            ("1h", Scalar::Text),
            ("-", Scalar::Text),
            ("--1", Scalar::Text),
            ("0x", Scalar::Text),
            ("0x-1", Scalar::Text),
            ("inf", Scalar::Text),
            (".", Scalar::Text),
            ("12:30:45", Scalar::Text),
            ("<<", Scalar::Text),
        ] {
            assert_eq!(resolve(text), expected, "{text:?}");
        }
        assert!(matches!(resolve(".NaN"), Scalar::Float(value) if value.is_nan()));
    }
}
