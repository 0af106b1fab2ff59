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
    fn many_lines_are_counted_right() {
        let text = "\n".repeat(1000) + "x";
        assert_eq!(Position::default().of(&text, 1000), (1001, 1));
    }
}
