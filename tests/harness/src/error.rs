//! What went wrong, told so that the line of a failed test is enough to understand it.

use std::fmt;
use std::panic::Location;

/// The result of everything that the harness does.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// A failure: what, where, why. Tests return it; its `Debug` is its text.
pub struct Error {
    message: String,
    status: Option<u16>,
    at: Option<&'static Location<'static>>,
}

impl Error {
    /// A failure with these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            status: None,
            at: None,
        }
    }

    /// What failed, and the cause in its own words.
    pub(crate) fn because(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::new(format!("{what}: {why}"))
    }

    /// What failed at the API server; the status code is kept.
    pub(crate) fn api(what: impl fmt::Display, why: &kube::Error) -> Self {
        match why {
            kube::Error::Api(status) => Self {
                status: Some(status.code),
                ..Self::because(what, format_args!("{} ({})", status.message, status.code))
            },
            other => Self::because(what, chain(other)),
        }
    }

    /// The status code of the API server's refusal, if it was one.
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Names the line of the test, unless a line is known already.
    pub(crate) fn at(mut self, at: &'static Location<'static>) -> Self {
        self.at.get_or_insert(at);
        self
    }

    /// Adds what is known besides.
    #[must_use]
    pub fn with(mut self, more: impl fmt::Display) -> Self {
        self.message = format!("{}\n{more}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match self.at {
            Some(at) => write!(f, "\n  at {at}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// An error with its causes; libraries often say only in the last one what happened.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let words = inner.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = inner.source();
    }
    text
}
