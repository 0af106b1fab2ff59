//! The error that reaches the user: what, where, why, and what to do next.
//!
//! Modules have small error enums of their own where they need them; each becomes an [`Error`]
//! once, at the edge, and owns the exit code from then on.

use std::fmt;

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
