//! Runs the checks of this repository one after the other and counts what came of them.
//!
//! Everything they print passes through. At the end stand the failures and the skips by name, and
//! as the last line `N passed, N failed, N skipped`. A tool that is missing is a skip on a
//! developer's machine and a failure where `CI` is `true`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};

mod libtest;

use libtest::{Reader, Tally};

/// One thing to run: its name in the count, and the command line.
struct Check {
    name: &'static str,
    command: &'static [&'static str],
    kind: Kind,
}

enum Kind {
    /// Counts as one, by its exit code.
    Whole,
    /// Counts by the tests it reports.
    Tests,
    /// Counts as one if the probe answers, else the tool is missing.
    Tool { probe: &'static [&'static str] },
}

const TALLY: &str = "tests/tally/Cargo.toml";

#[rustfmt::skip]
const CHECKS: &[Check] = &[
    Check {
        name: "format",
        command: &["cargo", "fmt", "--check"],
        kind: Kind::Whole,
    },
    Check {
        name: "format of the tally",
        command: &["cargo", "fmt", "--check", "--manifest-path", TALLY],
        kind: Kind::Whole,
    },
    Check {
        name: "clippy",
        command: &["cargo", "clippy", "--locked", "--all-targets", "--", "-D", "warnings"],
        kind: Kind::Whole,
    },
    Check {
        name: "clippy of the tally",
        command: &["cargo", "clippy", "--locked", "--all-targets", "--target-dir", "target/tally",
                   "--manifest-path", TALLY, "--", "-D", "warnings"],
        kind: Kind::Whole,
    },
    Check {
        name: "licences, bans and sources",
        command: &["cargo", "deny", "--locked", "check", "--hide-inclusion-graph", "bans",
                   "licenses", "sources"],
        kind: Kind::Tool { probe: &["cargo", "deny", "--version"] },
    },
    Check {
        name: "tests of the tally",
        command: &["cargo", "test", "--locked", "--target-dir", "target/tally",
                   "--manifest-path", TALLY],
        kind: Kind::Tests,
    },
    Check {
        name: "tests",
        command: &["cargo", "test", "--locked", "--no-fail-fast"],
        kind: Kind::Tests,
    },
];

fn main() -> ExitCode {
    let in_ci = std::env::var("CI").is_ok_and(|v| v == "true");
    let mut tally = Tally::default();
    for check in CHECKS {
        say(&format!("── {}: {}", check.name, check.command.join(" ")));
        match check.kind {
            Kind::Whole => tally.whole(check.name, succeeds(check.command)),
            Kind::Tests => tests(check, &mut tally),
            Kind::Tool { probe } if answers(probe) => {
                tally.whole(check.name, succeeds(check.command));
            }
            Kind::Tool { probe } => {
                tally.missing(check.name, &probe[..probe.len() - 1].join(" "), in_ci);
            }
        }
    }
    say(&tally.report());
    if tally.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Writes a line to stdout; a reader that has gone away is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// A command as if it were typed: `cargo run` describes the package it runs in the environment,
/// and build scripts that look at these variables would build their crates anew each time.
fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name.as_ref());
        }
    }
    command
}

fn succeeds(words: &[&str]) -> bool {
    command(words).status().is_ok_and(|s| s.success())
}

fn answers(probe: &[&str]) -> bool {
    command(probe)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
}

/// Runs `cargo test`, passing its stdout through and counting along.
fn tests(check: &Check, tally: &mut Tally) {
    let child = command(check.command).stdout(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        tally.whole(check.name, false);
        return;
    };
    let mut reader = Reader::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            say(&line);
            reader.line(&line);
        }
    }
    let ok = child.wait().is_ok_and(|s| s.success());
    reader.finish(check.name, ok, tally);
}
