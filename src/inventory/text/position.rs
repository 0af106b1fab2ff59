//! Bytes to lines and columns.

/// Counts lines. Offsets that only grow are counted once over the whole text.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// How far lines were counted.
    counted: usize,
    /// Line ends up to there.
    line_ends: usize,
}

impl Position {
    /// Line and column in characters of a byte, both from 1.
    pub(super) fn of(&mut self, text: &str, offset: usize) -> (usize, usize) {
        let offset = boundary(text, offset);
        if offset < self.counted {
            *self = Self::default();
        }
        let bytes = text.as_bytes();
        self.line_ends += line_ends(&bytes[self.counted..offset]);
        self.counted = offset;
        let line_start = text[..offset].rfind('\n').map_or(0, |end| end + 1);
        let before = text[line_start..offset].trim_start_matches('\u{feff}');
        (self.line_ends + 1, before.chars().count() + 1)
    }
}

/// How often a [`Lines`] notes where it is, in bytes.
const STEP: usize = 1 << 16;

/// Where the lines of a text are, noted at regular steps: a place is found by counting from the step
/// before it, wherever in the text it is. Made by reading the text once.
#[derive(Debug, Clone)]
pub struct Lines(Vec<Step>);

/// What was counted before a step.
#[derive(Debug, Clone, Copy, Default)]
struct Step {
    line_ends: usize,
    /// Characters since the last line end.
    characters: usize,
}

impl Lines {
    /// The lines of a text.
    pub fn of(text: &str) -> Self {
        let mut step = Step::default();
        let mut steps = vec![step];
        for block in text.as_bytes().chunks(STEP) {
            step = step.after(block);
            steps.push(step);
        }
        Self(steps)
    }

    /// Line and column in characters of a byte of the text, both from 1.
    pub(super) fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let offset = boundary(text, offset);
        let before = offset / STEP;
        let step = self.0.get(before).copied().unwrap_or_default();
        let reached = step.after(&text.as_bytes()[before * STEP..offset]);
        // The mark at the start of a file is no character of its first line.
        let mark = reached.line_ends == 0 && offset > 0 && text.starts_with('\u{feff}');
        (
            reached.line_ends + 1,
            reached.characters + 1 - usize::from(mark),
        )
    }
}

impl Step {
    /// What is counted when these bytes follow.
    fn after(self, bytes: &[u8]) -> Self {
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            None => Self {
                characters: self.characters + characters(bytes),
                ..self
            },
            Some(end) => Self {
                line_ends: self.line_ends + line_ends(bytes),
                characters: characters(&bytes[end + 1..]),
            },
        }
    }
}

/// Characters that begin in these bytes.
fn characters(bytes: &[u8]) -> usize {
    let begins = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    bytes
        .chunks(255)
        .map(|block| {
            usize::from(
                block
                    .iter()
                    .fold(0_u8, |sum, byte| sum + u8::from(begins(byte))),
            )
        })
        .sum()
}

/// The nearest place at or before `offset` where a character starts.
pub(super) fn boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Counts in blocks small enough for a byte each, which the compiler turns into vector code.
fn line_ends(bytes: &[u8]) -> usize {
    bytes
        .chunks(255)
        .map(|block| {
            let count = block
                .iter()
                .fold(0_u8, |sum, byte| sum + u8::from(*byte == b'\n'));
            usize::from(count)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_characters_and_a_mark_at_the_start_is_none() {
        let text = "\u{feff}ä: 1\r\nüü: x\n";
        let mut position = Position::default();
        for (needle, expected) in [("ä", (1, 1)), ("1", (1, 4)), ("x", (2, 5)), ("ä", (1, 1))] {
            let offset = text.find(needle).unwrap();
            assert_eq!(position.of(text, offset), expected, "{needle}");
        }
        assert_eq!(position.of(text, 9999), (3, 1));
    }

    #[test]
    fn noted_lines_say_the_same_wherever_a_place_is() {
        let long = "ä".repeat(STEP);
        let text = format!("\u{feff}a: {long}\n{}b: {long}ü", "x\r\n".repeat(STEP));
        let lines = Lines::of(&text);
        let step = STEP / 3;
        for offset in (0..text.len())
            .step_by(step)
            .chain([text.len(), text.len() - 2, 2, 3])
        {
            let expected = Position::default().of(&text, offset);
            assert_eq!(lines.position(&text, offset), expected, "{offset}");
        }
    }

    #[test]
    fn many_lines_are_counted_right() {
        let text = "\n".repeat(1000) + "x";
        assert_eq!(Position::default().of(&text, 1000), (1001, 1));
    }
}
