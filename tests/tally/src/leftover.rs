//! Looks for processes of the test bed that outlived the tests.
//!
//! Only where the kernel shows processes as files; elsewhere nothing is found.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// A test program has ended a moment before what it started has.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(100);

/// The programs that run beyond those of `before`, when all that were about to end have.
pub fn beyond(before: &[String]) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut left = processes();
        left.retain(|process| !before.contains(process));
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        thread::sleep(PAUSE);
    }
}

/// The programs of this repository's test bed that still run, as `PROGRAM (PROCESS ID)`, sorted.
pub fn processes() -> Vec<String> {
    let Ok(bed) = fs::canonicalize("target/testbed") else {
        return Vec::new();
    };
    let mut found: Vec<String> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| program_under(&bed, &entry.path()))
        .collect();
    found.sort();
    found
}

/// The program that a process runs, if it stands under `folder`.
fn program_under(folder: &Path, process: &Path) -> Option<String> {
    let id: u32 = process.file_name()?.to_str()?.parse().ok()?;
    let program = fs::read_link(process.join("exe")).ok()?;
    let name = program.strip_prefix(folder).ok()?;
    Some(format!("{} ({id})", name.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn this_program_is_found_by_its_folder() {
        let own = std::env::current_exe().expect("a running program has a file");
        let folder = own.parent().expect("a file has a folder");
        let process = format!("/proc/{}", std::process::id());
        assert!(program_under(folder, Path::new(&process)).is_some());
        assert!(program_under(&folder.join("elsewhere"), Path::new(&process)).is_none());
    }
}
