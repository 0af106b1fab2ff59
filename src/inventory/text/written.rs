//! Values as JSON writes them.

/// Writes a number as Go does: a whole one without a fraction, however it was given.
pub(super) fn push_number(json: &mut String, value: f64) {
    // Up to here every whole number is exact.
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        let whole = format!("{value:.0}");
        json.push_str(if whole == "-0" { "0" } else { &whole });
    } else if let Some(number) = serde_json::Number::from_f64(value) {
        json.push_str(&number.to_string());
    }
}

/// Writes a JSON string.
pub(super) fn push_string(json: &mut String, text: &str) {
    json.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => {
                json.push_str(&text[plain..at]);
                json.push_str("\\u00");
                json.push(if byte < 16 { '0' } else { '1' });
                json.extend(char::from_digit(u32::from(byte % 16), 16));
                plain = at + 1;
                continue;
            }
            _ => continue,
        };
        json.push_str(&text[plain..at]);
        json.push_str(escape);
        plain = at + 1;
    }
    json.push_str(&text[plain..]);
    json.push('"');
}
