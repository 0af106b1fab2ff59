//! What comments for pull requests are made of: text from objects that stays text.

use super::text::visible;

/// A fence that is longer than any in the text.
pub(super) fn fence(text: &str) -> String {
    let runs = text.split(|c| c != '`').map(str::len);
    "`".repeat(runs.max().unwrap_or_default().max(2) + 1)
}

/// Text in a cell of a table.
pub(super) fn cell(text: &str) -> String {
    escaped(text).replace('|', "\\|")
}

/// Text that Markdown would take for marks, links or HTML, as text.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text, false).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // An address of a person would be told about it.
            '@' => out.push_str("&#64;"),
            '*' | '_' | '`' | '[' | ']' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_objects_stays_text() {
        assert_eq!(cell("a|b *c* <img>"), "a\\|b \\*c\\* &lt;img&gt;");
        assert_eq!(
            escaped("[x](y) @team\u{1b}"),
            "\\[x\\](y) &#64;team\\\\u{1b}"
        );
        assert_eq!(fence("a ``` b"), "````");
        assert_eq!(fence("plain"), "```");
    }
}
