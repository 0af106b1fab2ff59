//! Why the oracle gave no answer.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::Refusal;

/// A question without an answer.
#[derive(thiserror::Error)]
pub enum Error {
    /// The program is not there.
    #[error("there is no oracle at {}: build it and Envoy with `make oracle`", .0.display())]
    NotBuilt(PathBuf),
    /// The program could not be started.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// What was started.
        program: PathBuf,
        /// Why it did not.
        source: io::Error,
    },
    /// The program ended, or cannot be written to.
    #[error("the oracle does not answer ({0}); its standard error has the cause")]
    Silent(io::Error),
    /// The answer is not in our language: program and client are of different versions.
    #[error("cannot read the oracle's answer, rebuild it with `make oracle`: {0}")]
    Unreadable(serde_json::Error),
    /// The oracle could not answer, in its own words.
    #[error("the oracle: {0}")]
    Failed(String),
    /// Objects that a cluster would not have let in.
    #[error("a cluster would refuse {}", list(.0))]
    Refused(Vec<Refusal>),
}

/// The text of a failed test is what an error displays.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn list(refused: &[Refusal]) -> String {
    let each: Vec<String> = refused
        .iter()
        .map(|Refusal { object, reason }| format!("{object}: {reason}"))
        .collect();
    each.join("; ")
}
