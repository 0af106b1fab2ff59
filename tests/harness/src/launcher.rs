//! The launcher of the control plane: one process that stands for all of them.
//!
//! It prints one line of JSON when everything is up, takes commands as lines on its standard input,
//! and stops everything when that input ends, which it does when the test process ends, however it
//! ends.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::options::Options;

/// How long a control plane may take to come up, and a command to be answered.
const PATIENCE: Duration = Duration::from_secs(180);

/// What the launcher says when the control plane is up.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Up {
    /// The administrator's kubeconfig.
    pub kubeconfig: PathBuf,
    /// The API server's address.
    pub server: String,
    /// The folder that holds everything the control plane writes.
    pub state: PathBuf,
    /// The kubectl that belongs to it.
    pub kubectl: PathBuf,
    /// The istioctl that belongs to it.
    pub istioctl: PathBuf,
    /// Its processes.
    pub components: Vec<Component>,
    /// How long it took to come up, in milliseconds.
    #[serde(default)]
    pub took_ms: u64,
    /// How long each stage of it took, in milliseconds.
    #[serde(default)]
    pub stages: BTreeMap<String, u64>,
}

/// A process of the control plane.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub struct Component {
    /// Its name, e.g. `kube-scheduler`.
    pub name: String,
    /// Its process id.
    pub pid: i32,
    /// The file that it logs to.
    pub log: PathBuf,
    /// Where it serves, if it does: `https://127.0.0.1:20123`.
    #[serde(default)]
    pub address: Option<String>,
}

/// A running launcher; its control plane ends with it.
#[derive(Debug)]
pub(crate) struct Launcher {
    child: Mutex<Child>,
    commands: Mutex<Commands>,
}

#[derive(Debug)]
struct Commands {
    /// None when the control plane was told to end.
    stdin: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Launcher {
    /// Starts a control plane and waits until it is up.
    pub(crate) fn start(options: &Options) -> Result<(Self, Up)> {
        let program = options.launcher();
        if !program.is_file() {
            return Err(Error::new(format!(
                "there is no control plane at {}: build it with `make controlplane`",
                program.display()
            )));
        }
        let said = format!("{} {}", program.display(), options.arguments().join(" "));
        let failed = |why: &dyn std::fmt::Display| Error::because(&said, why);
        let errors = tempfile::tempfile().map_err(|error| failed(&error))?;
        let to_errors = errors.try_clone().map_err(|error| failed(&error))?;
        let mut child = Command::new(&program)
            .args(options.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(to_errors)
            .spawn()
            .map_err(|error| failed(&error))?;
        let answers = lines(child.stdout.take());
        let commands = Commands {
            stdin: child.stdin.take(),
            answers,
        };
        let line = commands.answers.recv_timeout(PATIENCE);
        let launcher = Self {
            child: Mutex::new(child),
            commands: Mutex::new(commands),
        };
        match line {
            Ok(line) => {
                let up = serde_json::from_str(&line).map_err(|error| {
                    failed(&format_args!(
                        "its first line is not what was agreed: {error}: {line}"
                    ))
                })?;
                Ok((launcher, up))
            }
            Err(why) => {
                let why = match why {
                    RecvTimeoutError::Timeout => "not up in time",
                    RecvTimeoutError::Disconnected => "it ended before it was up",
                };
                // Ended first, so that nothing more is written.
                drop(launcher);
                Err(failed(&why).with(end_of(errors)))
            }
        }
    }

    /// Has the launcher do something and waits for its answer.
    pub(crate) fn command(&self, verb: &str, component: &str) -> Result<Value> {
        let what = format!("{verb} {component}");
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(stdin) = commands.stdin.as_mut() else {
            return Err(Error::because(what, "the control plane was ended"));
        };
        let line = format!("{}\n", json!({ verb: component }));
        stdin
            .write_all(line.as_bytes())
            .and_then(|()| stdin.flush())
            .map_err(|error| Error::because(&what, error))?;
        let answer = commands
            .answers
            .recv_timeout(PATIENCE)
            .map_err(|error| Error::because(&what, error))?;
        let answer: Value = serde_json::from_str(&answer)
            .map_err(|error| Error::because(format_args!("{what}: {answer}"), error))?;
        match answer.get("error") {
            Some(why) => Err(Error::because(what, why)),
            None => Ok(answer),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .id()
    }
}

impl Drop for Launcher {
    /// Closes its input and waits until it has stopped everything.
    fn drop(&mut self) {
        let commands = self
            .commands
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        commands.stdin = None;
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(child.wait());
    }
}

/// The lines of its output, from a thread of their own, so that waiting for one can be bounded.
fn lines(stdout: Option<ChildStdout>) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(stdout) = stdout {
        std::thread::spawn(move || {
            for line in BufReader::new(stdout)
                .lines()
                .map_while(std::result::Result::ok)
            {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
    }
    receiver
}

/// The end of what it wrote, for messages.
fn end_of(mut file: std::fs::File) -> String {
    const LONGEST: usize = 4000;
    let mut text = String::new();
    let read = std::io::Seek::rewind(&mut file).and_then(|()| file.read_to_string(&mut text));
    if let Err(error) = read {
        return format!("(its messages cannot be read: {error})");
    }
    let from = text.len().saturating_sub(LONGEST);
    let from = (from..text.len()).find(|at| text.is_char_boundary(*at));
    text[from.unwrap_or(0)..].to_owned()
}

/// What a launcher said when it came up, from a file: a control plane that is reused.
pub(crate) fn read(file: &Path) -> Result<Up> {
    let text =
        std::fs::read_to_string(file).map_err(|error| Error::because(file.display(), error))?;
    let line = text.lines().next().unwrap_or_default();
    serde_json::from_str(line).map_err(|error| Error::because(file.display(), error))
}
