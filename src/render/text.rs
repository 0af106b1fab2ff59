//! What screens are made of: colours, glyphs, wrapped lines, tables.

use std::borrow::Cow;

use anstyle::{AnsiColor, Style as Ansi};
use comfy_table::{ContentArrangement, Table, presets};

/// Appends formatted text to a string; writing to a string cannot fail.
macro_rules! put {
    ($out:expr, $($arguments:tt)*) => {{
        use std::fmt::Write as _;
        let _cannot_fail = write!($out, $($arguments)*);
    }};
}
pub(super) use put;

/// How screens look.
#[derive(Debug, Clone)]
pub struct Style {
    /// Whether colours are used. They never carry a meaning alone.
    pub color: bool,
    /// Whether glyphs are plain ASCII.
    pub ascii: bool,
    /// The width of a line, in characters.
    pub width: usize,
    /// Whether tables have a line of headers.
    pub headers: bool,
    /// What the user types to call this program, e.g. `kubectl ambient`.
    pub program: String,
}

/// The tone of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Bad,
    Caution,
    Note,
    Faint,
    Strong,
}

impl Style {
    /// A piece of text in a tone.
    pub(super) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        // Blue and orange-red differ for eyes that do not tell red from green.
        let style = match tone {
            Tone::Good => Ansi::new().fg_color(Some(AnsiColor::Cyan.into())),
            Tone::Bad => Ansi::new().fg_color(Some(AnsiColor::Red.into())).bold(),
            Tone::Caution => Ansi::new().fg_color(Some(AnsiColor::Yellow.into())),
            Tone::Note => Ansi::new().fg_color(Some(AnsiColor::Blue.into())),
            Tone::Faint => Ansi::new().dimmed(),
            Tone::Strong => Ansi::new().bold(),
        };
        format!("{style}{text}{style:#}")
    }

    /// The glyph and tone of a severity.
    pub(super) fn severity(&self, name: &str) -> String {
        let (glyph, plain, tone) = match name {
            "blocking" => ("✗", "x", Tone::Bad),
            "change" => ("~", "~", Tone::Caution),
            "warning" => ("!", "!", Tone::Caution),
            _ => ("i", "i", Tone::Note),
        };
        self.paint(tone, if self.ascii { plain } else { glyph })
    }

    /// The glyph and word of a verdict.
    pub(super) fn verdict(&self, name: &str) -> String {
        let (glyph, plain, tone) = match name {
            "ready" => ("✓", "+", Tone::Good),
            "ready with changes" => ("~", "~", Tone::Caution),
            "undecided" => ("?", "?", Tone::Caution),
            _ => ("✗", "x", Tone::Bad),
        };
        self.paint(
            tone,
            &format!("{} {name}", if self.ascii { plain } else { glyph }),
        )
    }

    /// A dash between two parts of a line.
    pub(super) fn dash(&self) -> &'static str {
        if self.ascii { "-" } else { "—" }
    }

    /// From one value to another.
    pub(super) fn arrow(&self) -> &'static str {
        if self.ascii { "->" } else { "→" }
    }

    /// A dot between parts of a heading.
    pub(super) fn dot(&self) -> &'static str {
        if self.ascii { "|" } else { "·" }
    }

    /// Text broken at spaces to the line's width, each line indented.
    pub(super) fn wrap(&self, indent: usize, text: &str) -> String {
        self.hang(&" ".repeat(indent), indent, text)
    }

    /// Text broken at spaces to the line's width; `first` stands before the first line, the others
    /// are indented.
    pub(super) fn hang(&self, first: &str, indent: usize, text: &str) -> String {
        let room = self.width.saturating_sub(indent).max(20);
        let mut out = first.to_owned();
        let mut used = 0;
        for (position, word) in text.split(' ').enumerate() {
            let length = word.chars().count();
            if position > 0 && used + 1 + length > room {
                out.push('\n');
                out.push_str(&" ".repeat(indent));
                used = 0;
            } else if position > 0 {
                out.push(' ');
                used += 1;
            }
            out.push_str(word);
            used += length;
        }
        out.push('\n');
        out
    }

    /// A table as kubectl prints them: no borders, upper-case headers, three spaces between columns.
    pub(super) fn table(&self, headers: &[&str], rows: Vec<Vec<String>>) -> String {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        if self.headers {
            table.set_header(headers.iter().copied());
        }
        table.add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 3));
        }
        let text = table.to_string();
        text.lines()
            .map(|line| line.trim_end().to_owned() + "\n")
            .collect()
    }
}

/// Text from objects as it can be shown: what a terminal would obey is written out.
///
/// Line ends are kept where `lines` says so.
pub(super) fn visible(text: &str, lines: bool) -> Cow<'_, str> {
    let obeyed = |c: char| c.is_control() && !(lines && c == '\n');
    // They turn the direction of what is written, and so hide what it says.
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(|c| obeyed(c) || turns(c)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) || turns(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// A screen on its way to a terminal: of what it would obey only the colours are left, and those only where
/// they are wanted. Screens write out what they show of objects; this is for what one may have forgotten.
pub fn guarded(text: &str, color: bool) -> Cow<'_, str> {
    if !color || visible(text, true) == text {
        return visible(text, true);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        let (before, sequence) = rest.split_at(at);
        let parameters = sequence[2..].trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
        out.push_str(&visible(before, true));
        if let Some(after) = parameters.strip_prefix('m') {
            out.push_str(&sequence[..sequence.len() - after.len()]);
            rest = after;
        } else {
            out.push_str(&visible(&sequence[..2], true));
            rest = &sequence[2..];
        }
    }
    out.push_str(&visible(rest, true));
    Cow::Owned(out)
}

/// `1 change`, `2 changes`.
pub(super) fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// How many things that could not be read a screen shows.
const SHOWN: usize = 20;

/// What could not be read, a line each, for the end of a screen.
pub(super) fn unread(style: &Style, entries: &[crate::report::UnreadEntry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", style.paint(Tone::Strong, "could not be read"));
    for entry in entries.iter().take(SHOWN) {
        let what = entry.place.as_ref().map_or_else(
            || entry.what.clone(),
            |place| {
                if place.starts_with(&entry.what) {
                    place.clone()
                } else {
                    format!("{} ({place})", entry.what)
                }
            },
        );
        out.push_str(&style.hang("  - ", 4, &format!("{what}: {}", entry.reason)));
    }
    if let Some(more) = entries.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        put!(out, "    and {more} more; -o json has all of them\n");
    }
    out
}

#[cfg(test)]
pub(super) fn plain() -> Style {
    Style {
        color: false,
        ascii: false,
        width: 100,
        headers: true,
        program: "kubectl ambient".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_spaces_and_long_words_are_left_whole() {
        let style = Style {
            width: 30,
            ..plain()
        };
        assert_eq!(
            style.hang("* ", 2, "one two three four five six seven"),
            "* one two three four five six\n  seven\n"
        );
        let long = "x".repeat(50);
        assert_eq!(style.wrap(2, &long), format!("  {long}\n"));
    }

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        for (text, expected) in [
            ("plain ä", "plain ä"),
            ("a\u{1b}[31mred", "a\\u{1b}[31mred"),
            ("a\u{9b}2J\r\n\t", "a\\u{9b}2J\\r\n\\t"),
            ("safe\u{202e}txt", "safe\\u{202e}txt"),
        ] {
            assert_eq!(visible(text, true), expected);
        }
        assert_eq!(visible("a\nb", false), "a\\nb");
    }

    #[test]
    fn of_a_screen_only_colours_reach_the_terminal() {
        for (text, expected) in [
            ("\u{1b}[1;31mred\u{1b}[0m\n", "\u{1b}[1;31mred\u{1b}[0m\n"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\u{1b}[31", "a\\u{1b}[31"),
            ("\u{1b}[mä\u{9b}31mb\u{1b}", "\u{1b}[mä\\u{9b}31mb\\u{1b}"),
        ] {
            assert_eq!(guarded(text, true), expected);
        }
        assert_eq!(guarded("\u{1b}[31mred", false), "\\u{1b}[31mred");
    }

    #[test]
    fn colours_never_carry_a_meaning_alone() {
        let style = Style {
            ascii: true,
            ..plain()
        };
        for name in ["ready", "ready with changes", "undecided", "blocked"] {
            assert!(style.verdict(name).ends_with(name));
        }
    }
}
