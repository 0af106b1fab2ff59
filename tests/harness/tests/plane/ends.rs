//! A start that is interrupted leaves no process behind, whichever stage it is at; files that a
//! killed launcher had to leave are removed by the next start.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::{Error, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::alone;
use crate::left::{self, Watched};

/// How a launcher is ended.
#[derive(Debug, Clone, Copy)]
enum Way {
    Killed,
    Terminated,
    InputClosed,
}

/// Starts a launcher and returns when it has told that the stage is done.
fn launcher_at(stage: &str, state: &Path) -> Result<Child> {
    let mut child = Command::new(harness::Options::default().launcher())
        .args(["up", "--state"])
        .arg(state)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Error::new(format!("the launcher: {error}")))?;
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while told.read_line(&mut seen).unwrap() > 0 {
        let last = seen.lines().last().unwrap_or_default();
        if last.contains(&format!(" s  {stage} ")) {
            // Its further messages are read by nobody, and do not hold it up.
            std::thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
            return Ok(child);
        }
    }
    Err(Error::new(format!(
        "the launcher ended before {stage} was done:\n{seen}"
    )))
}

fn end(mut child: Child, way: Way) {
    let signal = |signal| {
        let pid = Pid::from_child(&child);
        kill_process(pid, signal).unwrap();
    };
    match way {
        Way::Killed => signal(Signal::KILL),
        Way::Terminated => signal(Signal::TERM),
        Way::InputClosed => drop(child.stdin.take()),
    }
    let status = child.wait().unwrap();
    assert!(
        !status.success(),
        "{way:?}: an interrupted start is no success"
    );
}

#[test]
fn an_interrupted_start_leaves_nothing_running() -> Result {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let mut killed: Option<PathBuf> = None;
    for (count, (stage, way)) in [
        ("etcd", Way::Killed),
        ("kube-apiserver", Way::Terminated),
        ("nodes", Way::Killed),
        ("definitions", Way::InputClosed),
    ]
    .into_iter()
    .enumerate()
    {
        let state = folder.path().join(count.to_string());
        let child = launcher_at(stage, &state)?;
        if let Some(before) = killed.take() {
            left::no_files(&before)?;
        }
        let watched = Watched::at(&state);
        end(child, way);
        let ended = watched.has_ended();
        ended.map_err(|error| error.with(format!("{way:?} at {stage}")))?;
        match way {
            Way::Killed => killed = Some(state),
            Way::Terminated | Way::InputClosed => left::no_files(&state)?,
        }
    }
    Ok(())
}

/// Starts a control plane as far as its first stage, which removes what dead ones left.
pub(crate) fn sweep() -> Result {
    let folder = tempfile::tempdir().unwrap();
    let child = launcher_at("etcd", &folder.path().join("state"))?;
    end(child, Way::InputClosed);
    Ok(())
}
