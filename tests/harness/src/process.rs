//! A running command: its output as it comes, signals at chosen points, and how it ended.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;
use tempfile::TempDir;

use crate::error::{Error, Result};

/// A signal that a test sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGINT, as Ctrl-C sends it.
    Interrupt,
    /// SIGTERM, as a supervisor sends it.
    Terminate,
    /// SIGKILL: nothing is run any more.
    Kill,
}

impl From<Signal> for rustix::process::Signal {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Interrupt => Self::INT,
            Signal::Terminate => Self::TERM,
            Signal::Kill => Self::KILL,
        }
    }
}

/// Which of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A command that ended.
#[derive(Debug, Clone)]
pub struct Done {
    command: String,
    status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// How long it ran.
    pub took: Duration,
}

impl Done {
    /// Its exit code; none if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The number of the signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Itself, if it exited with this code; else an error with all that it said.
    #[track_caller]
    pub fn exited(self, code: i32) -> Result<Self> {
        if self.code() == Some(code) {
            return Ok(self);
        }
        let error = Error::new(format!("{self}\nexpected the exit code {code}"));
        Err(error.at(std::panic::Location::caller()))
    }

    /// Its standard output, which must be one JSON document.
    #[track_caller]
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout).map_err(|error| {
            Error::because("its standard output is not JSON", error)
                .with(self)
                .at(std::panic::Location::caller())
        })
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}: {}", self.command, self.status)?;
        writeln!(f, "stdout:\n{}", self.stdout)?;
        write!(f, "stderr:\n{}", self.stderr)
    }
}

/// A command that was started; killed when dropped before its end.
#[derive(Debug)]
pub struct Running {
    shared: Arc<Shared>,
    patience: Duration,
    // Kept as long as the command may use it.
    _home: TempDir,
}

#[derive(Debug)]
struct Shared {
    command: String,
    pid: Pid,
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Outputs that are still open.
    open: usize,
    ended: Option<(ExitStatus, Duration)>,
}

/// Sends signals to one process, and never to another one that got its id later.
#[derive(Debug, Clone)]
pub(crate) struct Target(Arc<Shared>);

impl Target {
    pub(crate) fn signal(&self, signal: Signal) {
        let state = self.0.lock();
        // Until it is reaped, which needs this lock, its id is its own.
        if state.ended.is_none() {
            let _ = kill_process(self.0.pid, signal.into());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` gives something, at most until the deadline.
    fn until<T>(&self, deadline: Instant, mut ready: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(found) = ready(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Running {
    pub(crate) fn start(
        mut command: Command,
        said: String,
        home: TempDir,
        patience: Duration,
    ) -> std::io::Result<Self> {
        let mut child = command.spawn()?;
        let shared = Arc::new(Shared {
            command: said,
            pid: Pid::from_child(&child),
            started: Instant::now(),
            state: Mutex::new(State {
                open: 2,
                ..State::default()
            }),
            changed: Condvar::new(),
        });
        if let Some(stdout) = child.stdout.take() {
            read(stdout, Output::Stdout, &shared);
        }
        if let Some(stderr) = child.stderr.take() {
            read(stderr, Output::Stderr, &shared);
        }
        reap(child, &shared);
        Ok(Self {
            shared,
            patience,
            _home: home,
        })
    }

    pub(crate) fn target(&self) -> Target {
        Target(Arc::clone(&self.shared))
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.shared.pid.as_raw_nonzero().get()
    }

    /// Sends a signal; nothing happens if it has ended.
    pub fn signal(&self, signal: Signal) {
        self.target().signal(signal);
    }

    /// What it has written so far.
    pub fn so_far(&self, output: Output) -> String {
        let state = self.shared.lock();
        text(match output {
            Output::Stdout => &state.stdout,
            Output::Stderr => &state.stderr,
        })
    }

    /// Waits until it has written a whole line of which `wanted` is true, and returns the line.
    #[track_caller]
    pub fn wait_for_line(&self, output: Output, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + self.patience;
        let found = self.shared.until(deadline, |state| {
            let written = match output {
                Output::Stdout => &state.stdout,
                Output::Stderr => &state.stderr,
            };
            let whole = written.iter().rposition(|byte| *byte == b'\n');
            let lines = text(&written[..whole.map_or(0, |end| end + 1)]);
            let line = lines.lines().find(|line| wanted(line)).map(str::to_owned);
            match line {
                Some(line) => Some(Some(line)),
                None if state.ended.is_some() && state.open == 0 => Some(None),
                None => None,
            }
        });
        found.flatten().ok_or_else(|| {
            Error::new(format!("{} did not write that line", self.shared.command))
                .with(format_args!("stdout:\n{}", self.so_far(Output::Stdout)))
                .with(format_args!("stderr:\n{}", self.so_far(Output::Stderr)))
                .at(std::panic::Location::caller())
        })
    }

    /// Waits for its end. Taking too long is an error, and ends it.
    #[track_caller]
    pub fn finish(self) -> Result<Done> {
        let deadline = self.shared.started + self.patience;
        let done = self.shared.until(deadline, |state| {
            let (status, took) = state.ended.filter(|_| state.open == 0)?;
            Some(Done {
                command: self.shared.command.clone(),
                status,
                stdout: text(&state.stdout),
                stderr: text(&state.stderr),
                took,
            })
        });
        done.ok_or_else(|| {
            self.signal(Signal::Kill);
            let after = self.patience.as_secs_f32();
            Error::new(format!(
                "{} has not ended after {after} s and was killed",
                self.shared.command
            ))
            .with(format_args!("stdout:\n{}", self.so_far(Output::Stdout)))
            .with(format_args!("stderr:\n{}", self.so_far(Output::Stderr)))
            .at(std::panic::Location::caller())
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::Kill);
    }
}

/// Collects an output, in a thread of its own.
fn read(from: impl Read + Send + 'static, output: Output, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        loop {
            let taken = match from.fill_buf() {
                Ok(bytes) if !bytes.is_empty() => {
                    let mut state = shared.lock();
                    match output {
                        Output::Stdout => state.stdout.extend_from_slice(bytes),
                        Output::Stderr => state.stderr.extend_from_slice(bytes),
                    }
                    bytes.len()
                }
                _ => break,
            };
            from.consume(taken);
            shared.changed.notify_all();
        }
        shared.lock().open -= 1;
        shared.changed.notify_all();
    });
}

/// Waits for the end, in a thread of its own; the process keeps its id until the lock is held.
fn reap(mut child: Child, shared: &Arc<Shared>) {
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while waitid(WaitId::Pid(shared.pid), options)
            .is_err_and(|error| error == rustix::io::Errno::INTR)
        {}
        let mut state = shared.lock();
        if let Ok(status) = child.wait() {
            state.ended = Some((status, shared.started.elapsed()));
        }
        drop(state);
        shared.changed.notify_all();
    });
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
