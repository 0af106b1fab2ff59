//! Runs the checks of this repository one after the other and counts what came of them.
//!
//! Everything they print passes through. At the end stand the failures and the skips by name, and
//! as the last line `N passed, N failed, N skipped`. A tool that is missing is a skip on a
//! developer's machine and a failure where `CI` is `true`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::num::NonZero;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

mod leftover;
mod libtest;
mod tool;

use libtest::{Reader, Tally};
use tool::Tool;

/// One thing to run: its name in the count, the command line, and what has to be there first.
struct Check {
    name: &'static str,
    command: &'static [&'static str],
    kind: Kind,
    needs: Needs,
}

enum Kind {
    /// Counts as one, by its exit code.
    Whole,
    /// Counts by the tests it reports.
    Tests,
    /// The same; most of their time is waiting, so more of them run at once.
    WaitingTests,
}

/// What a check stands on.
#[derive(Clone, Copy)]
enum Needs {
    /// Rust, which runs this program.
    Nothing,
    Tool(Tool),
    /// Another check, by name, that must have been done and have passed.
    Done(&'static str),
}

const TALLY: &str = "tests/tally/Cargo.toml";
/// Tells the tests' own runner how many to run at once.
const THREADS: &str = "RUST_TEST_THREADS";
const TEST_BED: &str = "control plane and Envoy";

#[rustfmt::skip]
const CHECKS: &[Check] = &[
    Check {
        name: "format",
        command: &["make", "--no-print-directory", "check-format"],
        kind: Kind::Whole,
        needs: Needs::Nothing,
    },
    Check {
        name: "format of the tally",
        command: &["cargo", "fmt", "--check", "--manifest-path", TALLY],
        kind: Kind::Whole,
        needs: Needs::Nothing,
    },
    Check {
        name: "format of Go",
        command: &["make", "--no-print-directory", "check-gofmt"],
        kind: Kind::Whole,
        needs: Needs::Tool(Tool::Go),
    },
    Check {
        name: "clippy",
        command: &["cargo", "clippy", "--locked", "--workspace", "--all-targets", "--",
                   "-D", "warnings"],
        kind: Kind::Whole,
        needs: Needs::Nothing,
    },
    // `--all-targets` leaves out what is run by name only, and naming a target leaves out the rest.
    Check {
        name: "clippy of what is run by name",
        command: &["cargo", "clippy", "--locked", "--workspace", "--test", "plane", "--test",
                   "ground_truth", "--test", "e2e", "--", "-D", "warnings"],
        kind: Kind::Whole,
        needs: Needs::Nothing,
    },
    Check {
        name: "clippy of the tally",
        command: &["cargo", "clippy", "--locked", "--all-targets", "--target-dir", "target/tally",
                   "--manifest-path", TALLY, "--", "-D", "warnings"],
        kind: Kind::Whole,
        needs: Needs::Nothing,
    },
    Check {
        name: "licences, bans and sources",
        command: &["cargo", "deny", "--locked", "check", "--hide-inclusion-graph", "bans",
                   "licenses", "sources"],
        kind: Kind::Whole,
        needs: Needs::Tool(Tool::CargoDeny),
    },
    Check {
        name: "tests of the tally",
        command: &["cargo", "test", "--locked", "--target-dir", "target/tally",
                   "--manifest-path", TALLY],
        kind: Kind::Tests,
        needs: Needs::Nothing,
    },
    Check {
        name: "tests",
        command: &["cargo", "test", "--locked", "--workspace", "--no-fail-fast"],
        kind: Kind::Tests,
        needs: Needs::Nothing,
    },
    Check {
        name: TEST_BED,
        command: &["make", "--no-print-directory", "testbed"],
        kind: Kind::Whole,
        needs: Needs::Tool(Tool::GoAndPython),
    },
    Check {
        name: "tests of the control plane's parts",
        command: &["make", "--no-print-directory", "test-go"],
        kind: Kind::Whole,
        needs: Needs::Done(TEST_BED),
    },
    Check {
        name: "tests of the control plane",
        command: &["cargo", "test", "--locked", "--package", "harness", "--test", "plane"],
        kind: Kind::Tests,
        needs: Needs::Done(TEST_BED),
    },
    Check {
        name: "what Istio does",
        command: &["cargo", "test", "--locked", "--test", "ground_truth"],
        kind: Kind::Tests,
        needs: Needs::Done(TEST_BED),
    },
    Check {
        name: "end to end",
        command: &["cargo", "test", "--locked", "--test", "e2e"],
        kind: Kind::WaitingTests,
        needs: Needs::Done(TEST_BED),
    },
];

/// What came of a check, for those that stand on it.
enum Outcome {
    Passed,
    Failed,
    Missing(&'static str),
}

fn main() -> ExitCode {
    let before = leftover::processes();
    let in_ci = std::env::var("CI").is_ok_and(|v| v == "true");
    let mut tally = Tally::default();
    let mut outcomes: BTreeMap<&str, Outcome> = BTreeMap::new();
    for check in CHECKS {
        let missing = match check.needs {
            Needs::Nothing => None,
            Needs::Tool(tool) => tool.missing(),
            Needs::Done(name) => match outcomes.get(name) {
                Some(Outcome::Passed) => None,
                Some(Outcome::Missing(what)) => Some(*what),
                Some(Outcome::Failed) | None => {
                    tally.not_run(check.name, name);
                    continue;
                }
            },
        };
        let outcome = if let Some(what) = missing {
            tally.missing(check.name, what, in_ci);
            Outcome::Missing(what)
        } else {
            run(check, &mut tally)
        };
        outcomes.insert(check.name, outcome);
    }
    let left = leftover::beyond(&before);
    for process in &left {
        say(&format!("still running: {process}"));
    }
    tally.whole("no process is left behind", left.is_empty());
    say(&tally.report());
    if tally.failed() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(check: &Check, tally: &mut Tally) -> Outcome {
    say(&format!("── {}: {}", check.name, check.command.join(" ")));
    let start = Instant::now();
    let failed = tally.failed();
    match check.kind {
        Kind::Whole => tally.whole(check.name, succeeds(check.command)),
        Kind::Tests => tests(check, command(check.command), tally),
        Kind::WaitingTests => tests(check, waiting(check.command), tally),
    }
    say(&format!(
        "── {}: took {} s",
        check.name,
        start.elapsed().as_secs()
    ));
    if tally.failed() == failed {
        Outcome::Passed
    } else {
        Outcome::Failed
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

/// With three threads for each core, unless somebody says how many.
fn waiting(words: &[&str]) -> Command {
    let mut command = command(words);
    if std::env::var_os(THREADS).is_none() {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        command.env(THREADS, (3 * cores).to_string());
    }
    command
}

fn succeeds(words: &[&str]) -> bool {
    command(words).status().is_ok_and(|s| s.success())
}

/// Runs `cargo test`, passing its stdout through and counting along.
fn tests(check: &Check, mut command: Command, tally: &mut Tally) {
    let child = command.stdout(Stdio::piped()).spawn();
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
