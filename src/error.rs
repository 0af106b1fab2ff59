//! The error that reaches the user: what, where, why, and what to do next.
//!
//! Modules have small error enums of their own where they need them; each becomes an [`Error`]
//! once, at the edge, and owns the exit code from then on.

use std::fmt;
use std::io;

use crate::exit::Exit;

/// A failure of a command, worded for the person who typed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What decides the exit code.
    pub exit: Exit,
    /// One sentence without a final stop: what could not be done, to which object, and why.
    pub message: String,
    /// What to type or change next, each a line of its own.
    pub hints: Vec<String>,
}

impl Error {
    /// An error without hints.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hints: Vec::new(),
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Why the operating system refused: its words without its number.
pub fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => {
            let text = error.to_string();
            let number = text.rfind(" (os error ").unwrap_or(text.len());
            text[..number].to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_error_is_left_out() {
        const LOOP: i32 = 40;
        const NO_ENTRY: i32 = 2;
        for number in [LOOP, NO_ENTRY] {
            let words = why(&io::Error::from_raw_os_error(number));
            assert!(!words.contains("os error") && !words.is_empty(), "{words}");
        }
        assert_eq!(why(&io::Error::other("no")), "no");
    }
}
