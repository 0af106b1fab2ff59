//! The tools beyond Rust that checks need, and whether this machine has them.

use std::process::{Command, Stdio};

/// A tool that some checks need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The policy on dependencies.
    CargoDeny,
    /// Go, as new as `tests/go.mod` asks for.
    Go,
    /// Go, and a Python that can make virtual environments (Envoy comes as a Python package).
    GoAndPython,
}

impl Tool {
    /// What of it is missing here, in words that follow a name and a colon.
    pub fn missing(self) -> Option<&'static str> {
        match self {
            Self::CargoDeny => (!answers(&["cargo", "deny", "--version"]))
                .then_some("`cargo deny` is not installed"),
            // Go reads the whole of go.mod before it answers, and refuses when it is too old.
            Self::Go => (!answers(&["go", "-C", "tests", "list", "-m"]))
                .then_some("there is no Go as new as tests/go.mod asks for"),
            Self::GoAndPython => Self::Go.missing().or_else(|| {
                (!answers(&["python3", "-c", "import venv, ensurepip"]))
                    .then_some("there is no `python3` with venv")
            }),
        }
    }
}

fn answers(probe: &[&str]) -> bool {
    Command::new(probe[0])
        .args(&probe[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}
