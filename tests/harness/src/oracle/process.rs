//! The running program: a line in, a line out.

use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Error;

/// Names the folder of the built programs in place of `target/testbed/bin`.
const TESTBED: &str = "KUBECTL_AMBIENT_TESTBED";

/// A running oracle. It ends, and its Envoy with it, when its input does: with this process at the latest.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Taken when it is told to end.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    pub(super) fn start() -> Result<Self, Error> {
        let program = folder().join("oracle");
        if !program.exists() {
            return Err(Error::NotBuilt(program));
        }
        let spawned = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|source| Error::Start {
            program: program.clone(),
            source,
        })?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self {
                child,
                input: Some(input),
                output: BufReader::new(output),
            }),
            _ => Err(Error::Start {
                program,
                source: io::Error::other("it has no pipes"),
            }),
        }
    }

    /// Asks one question. The outer error means that the process is of no more use.
    pub(super) fn ask<A: DeserializeOwned>(
        mut self,
        op: &'static str,
        question: &impl Serialize,
    ) -> Result<(Self, Result<A, Error>), Error> {
        let line = self
            .exchange(&Question { op, question })
            .map_err(Error::Silent)?;
        if let Ok(Failure { error }) = serde_json::from_str(&line) {
            return Ok((self, Err(Error::Failed(error))));
        }
        let answer = serde_json::from_str(&line).map_err(Error::Unreadable);
        Ok((self, answer))
    }

    fn exchange(&mut self, question: &impl Serialize) -> io::Result<String> {
        let mut line = serde_json::to_vec(question)?;
        line.push(b'\n');
        let input = self.input.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        input.write_all(&line)?;
        input.flush()?;
        let mut answer = String::new();
        match self.output.read_line(&mut answer)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(answer),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input is its order to end; it takes Envoy with it.
        drop(self.input.take());
        drop(self.child.wait());
    }
}

#[derive(Serialize)]
struct Question<'a, Q> {
    op: &'static str,
    #[serde(flatten)]
    question: &'a Q,
}

#[derive(Deserialize)]
struct Failure {
    error: String,
}

/// The folder of the built programs.
fn folder() -> PathBuf {
    env::var_os(TESTBED).map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testbed/bin"),
        PathBuf::from,
    )
}
