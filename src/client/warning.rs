//! The texts in a `Warning` header (RFC 7234, 5.5), by which the API server speaks to the user.

/// The texts of one header value: `299 - "first", 299 - "second"` holds two.
///
/// Characters that would move a terminal's cursor are replaced by blanks. What does not follow the
/// form yields nothing.
pub(super) fn texts(header: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = header;
    while let Some(start) = rest.find('"') {
        // Between a code with its agent and a text stand exactly two words; a quoted date that
        // follows a text stands behind nothing.
        let is_text = rest[..start]
            .trim_start_matches([',', ' '])
            .split_whitespace()
            .count()
            == 2;
        let Some((text, end)) = quoted(&rest[start + 1..]) else {
            break;
        };
        if is_text && !text.is_empty() {
            texts.push(text);
        }
        rest = &rest[start + 1 + end..];
    }
    texts
}

/// Reads up to the closing quote; returns the text and where the rest begins.
fn quoted(text: &str) -> Option<(String, usize)> {
    let mut read = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        let c = match c {
            '"' => return Some((read, at + 1)),
            '\\' => chars.next()?.1,
            c => c,
        };
        read.push(if c.is_control() { ' ' } else { c });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_in_every_form_of_the_header() {
        for (header, expected) in [
            (r#"299 - "v1 is old""#, vec!["v1 is old"]),
            (
                r#"299 - "a \"quoted\" word, and a comma""#,
                vec![r#"a "quoted" word, and a comma"#],
            ),
            (r#"299 - "one", 299 - "two""#, vec!["one", "two"]),
            (
                r#"299 - "one" "Sat, 25 Aug 2012 23:34:45 GMT", 299 - "two""#,
                vec!["one", "two"],
            ),
            ("299 - \"a\x1b[2Jb\"", vec!["a [2Jb"]),
            (r#"299 - "not closed"#, vec![]),
            (r#"299 - """#, vec![]),
            ("", vec![]),
        ] {
            assert_eq!(texts(header), expected, "{header}");
        }
    }
}
