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

    /// Runs it once, in a process of our own that is small: a new process is counted with the memory
    /// of the one that started it.
    pub(crate) fn run(&self, kubeconfig: &Path) -> io::Result<Sample> {
        let output = Command::new(std::env::current_exe()?)
            .arg("sample")
            .arg(&self.program)
            .args(&self.arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!(
                "{}: {}",
                self.name, output.status
            )));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.split_whitespace().map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(micros)), Some(Ok(peak_kib))) => Ok(Sample {
                took: Duration::from_micros(micros),
                peak_kib,
            }),
            _ => Err(io::Error::other(format!(
                "{}: no sample in {text}",
                self.name
            ))),
        }
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

/// Runs a command and prints its time in microseconds and its largest resident set in KiB.
///
/// # Errors
/// When it cannot be run or does not end as a reader does: a finding is an exit code too.
pub(crate) fn sample(mut words: impl Iterator<Item = String>) -> io::Result<()> {
    let program = words.next().unwrap_or_default();
    let start = Instant::now();
    let mut child = Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let ended = child.wait4()?;
    let took = start.elapsed();
    if !matches!(ended.status.code(), Some(0 | 1 | 79)) {
        return Err(io::Error::other(ended.status.to_string()));
    }
    println!("{} {}", took.as_micros(), ended.rusage.maxrss / 1024);
    Ok(())
}
