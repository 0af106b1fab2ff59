//! The unified diff of `convert -o diff`: each object's YAML before and after.

use similar::TextDiff;

use super::text::{Style, Tone, visible};
use crate::report::Conversion;

/// Lines around a change, as `diff -u` has them.
const AROUND: usize = 3;

pub(super) fn render(report: &Conversion, style: &Style) -> String {
    let mut out = String::new();
    for object in &report.differences {
        let side = |prefix: char, text: Option<&String>| match text {
            Some(_) => format!("{prefix}/{}", object.path),
            None => "/dev/null".to_owned(),
        };
        let (before, after) = (object.before.as_ref(), object.after.as_ref());
        let text = unified(
            before.map_or("", String::as_str),
            after.map_or("", String::as_str),
            &side('a', before),
            &side('b', after),
        );
        for line in text.split_inclusive('\n') {
            out.push_str(&painted(style, line));
        }
    }
    out
}

/// An object's YAML before and after as a unified diff.
pub fn object_diff(before: &str, after: &str, object: &str) -> String {
    unified(
        before,
        after,
        &format!("a/{object}"),
        &format!("b/{object}"),
    )
}

/// Two texts as a unified diff.
pub(super) fn unified(before: &str, after: &str, old: &str, new: &str) -> String {
    TextDiff::from_lines(before, after)
        .unified_diff()
        .context_radius(AROUND)
        .header(old, new)
        .to_string()
}

fn painted(style: &Style, line: &str) -> String {
    let text = line.trim_end_matches('\n');
    let shown = visible(text, false);
    let tone = match text.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] => Some(Tone::Strong),
        [b'@', b'@', ..] => Some(Tone::Faint),
        [b'+', ..] => Some(Tone::Good),
        [b'-', ..] => Some(Tone::Bad),
        _ => None,
    };
    let end = &line[text.len()..];
    match tone {
        Some(tone) => style.paint(tone, &shown) + end,
        None => shown.into_owned() + end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_names_both_sides_and_shows_what_is_around() {
        let before = "a: 1\nb: 2\nc: 3\nd: 4\ne: 5\n";
        let after = "a: 1\nb: 2\nc: 3\nd: 4\ne: 6\n";
        assert_eq!(
            unified(before, after, "a/x", "b/x"),
            "--- a/x\n+++ b/x\n@@ -2,4 +2,4 @@\n b: 2\n c: 3\n d: 4\n-e: 5\n+e: 6\n"
        );
    }
}
