//! One program that is measured, and what a run of it took.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wait4::Wait4;

/// A command to be measured.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
}

/// What one run took.
pub(crate) struct Sample {
    pub(crate) took: Duration,
    /// The largest resident set, as the kernel counted it.
    pub(crate) peak_kib: u64,
}

impl Contender {
    pub(crate) fn new(name: &'static str, program: &Path, arguments: &[&str]) -> Self {
        Self {
            name,
            program: program.to_owned(),
            arguments: arguments.iter().map(|&word| word.to_owned()).collect(),
        }
    }

    fn command(&self, kubeconfig: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs it once. A finding is an exit code too: only one that could not read is an error.
    pub(crate) fn run(&self, kubeconfig: &Path) -> io::Result<Sample> {
        let start = Instant::now();
        let mut child = self.command(kubeconfig).spawn()?;
        let ended = child.wait4()?;
        let took = start.elapsed();
        if !matches!(ended.status.code(), Some(0 | 1 | 79)) {
            let error = format!("{}: {}", self.name, ended.status);
            return Err(io::Error::other(error));
        }
        Ok(Sample {
            took,
            peak_kib: ended.rusage.maxrss / 1024,
        })
    }

    /// What it tells on standard error, with more arguments.
    pub(crate) fn told(&self, kubeconfig: &Path, more: &[&str]) -> io::Result<String> {
        let output = self
            .command(kubeconfig)
            .args(more)
            .stderr(Stdio::piped())
            .output()?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}
