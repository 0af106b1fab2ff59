//! What is left of a control plane: processes, ports and files.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{Error, Result, Up};

/// Long: a launcher waits for its components, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// The processes that belong to a control plane: their environment, their arguments or an open file
/// name its folder. One that is dead and not yet reaped has none of these.
pub(crate) fn processes(state: &Path) -> Vec<String> {
    let name = state.to_str().unwrap().as_bytes();
    let names = |file: &Path| {
        let text = std::fs::read(file).unwrap_or_default();
        text.windows(name.len()).any(|part| part == name)
    };
    let own = std::process::id().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()) && *name != own)
        .filter(|pid| {
            let folder = Path::new("/proc").join(pid);
            names(&folder.join("environ"))
                || names(&folder.join("cmdline"))
                || opens(&folder.join("fd"), state)
        })
        .collect()
}

/// Whether a process has a file of the folder open, or one beside it: its lock is kept there.
fn opens(descriptors: &Path, state: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(descriptors) else {
        return false;
    };
    let place = state.parent().unwrap_or(state);
    let mut files = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    files.any(|file| file.starts_with(place))
}

/// A control plane that runs, to be looked for when it was ended.
pub(crate) struct Watched {
    state: PathBuf,
    ports: Vec<String>,
    pids: Vec<String>,
}

impl Watched {
    /// What there is of it now.
    pub(crate) fn of(up: &Up) -> Self {
        let addresses = up
            .components
            .iter()
            .filter_map(|one| one.address.as_deref());
        let ports = addresses.filter_map(|address| Some(address.split_once("://")?.1.to_owned()));
        Self {
            ports: ports.collect(),
            ..Self::at(&up.state)
        }
    }

    /// What there is in a folder.
    pub(crate) fn at(state: &Path) -> Self {
        let pids = processes(state);
        assert!(!pids.is_empty(), "nothing runs in {}", state.display());
        Self {
            state: state.to_owned(),
            ports: Vec::new(),
            pids,
        }
    }

    /// Waits until no process and no port of it is left.
    pub(crate) fn has_ended(&self) -> Result {
        until(|| {
            let mut pids: Vec<&String> = self.pids.iter().filter(|pid| lives(pid)).collect();
            let more = processes(&self.state);
            pids.extend(&more);
            let ports = self
                .ports
                .iter()
                .filter(|port| TcpStream::connect(port).is_ok());
            let ports: Vec<&String> = ports.collect();
            if pids.is_empty() && ports.is_empty() {
                Ok(())
            } else {
                Err(format!("processes {pids:?}, ports {ports:?}"))
            }
        })
    }

    /// Waits until its files are gone as well.
    pub(crate) fn is_gone(&self) -> Result {
        self.has_ended()?;
        no_files(&self.state)
    }
}

/// Whether a process has not ended yet: it has when it only waits to be reaped, and none of its
/// threads, which share its files, goes on.
fn lives(pid: &str) -> bool {
    let folder = Path::new("/proc").join(pid);
    let stat = std::fs::read_to_string(folder.join("stat")).unwrap_or_default();
    // After the name, which may hold anything, in brackets.
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest.as_bytes()[0]);
    match state {
        None => false,
        Some(b'Z' | b'X') => {
            std::fs::read_dir(folder.join("task")).is_ok_and(|threads| threads.count() > 1)
        }
        Some(_) => true,
    }
}

/// Waits until the folder is gone.
pub(crate) fn no_files(state: &Path) -> Result {
    until(|| {
        if state.exists() {
            Err(format!("{} is still there", state.display()))
        } else {
            Ok(())
        }
    })
}

fn until(mut done: impl FnMut() -> std::result::Result<(), String>) -> Result {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match done() {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() > deadline => {
                return Err(Error::new(format!(
                    "left after {} s: {why}",
                    PATIENCE.as_secs()
                )));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}
