//! `completion install`: the file that kubectl asks for candidates.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::Context;
use super::ASK;
use crate::error::{Error, why};
use crate::exit::Exit;

/// Put the file that kubectl asks beside the plugin
///
/// It calls the plugin by name, so that it serves the next version as well.
#[derive(Debug, Args)]
pub(super) struct InstallArgs {
    /// Folder to put it in, which must be on the PATH; by default the plugin's own
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// The file for shells; on Windows there is a file for its command line.
const SCRIPT: &str = include_str!("../../../krew/kubectl_complete-ambient");

pub(super) fn run(args: &InstallArgs, context: &Context<'_>) -> Result<String, Error> {
    let program = file_name(context.called);
    let Some(plugin) = program.strip_prefix("kubectl-") else {
        return Err(Error::new(
            Exit::Usage,
            format!("kubectl finds no plugin in a program called {program}"),
        )
        .hint("its file must be named kubectl-NAME"));
    };
    let folder = match &args.dir {
        Some(folder) => folder.clone(),
        None => folder(context.called)?,
    };
    let (name, text) = if cfg!(windows) {
        (
            format!("kubectl_complete-{plugin}.cmd"),
            format!("@{program} {ASK} %*\r\n"),
        )
    } else {
        (format!("kubectl_complete-{plugin}"), SCRIPT.to_owned())
    };
    let path = folder.join(name);
    let failed = |error: &std::io::Error| {
        let message = format!("cannot write {}: {}", path.display(), why(error));
        Error::new(Exit::Data, message)
            .hint("`--dir DIR` names another folder, which must be on the PATH")
    };
    match std::fs::read_to_string(&path) {
        Ok(present) if !present.contains(ASK) => {
            return Err(Error::new(
                Exit::Data,
                format!("{} is there, and is not this program's", path.display()),
            )
            .hint("remove it, or name another folder with `--dir DIR`"));
        }
        _ => {}
    }
    std::fs::write(&path, text).map_err(|error| failed(&error))?;
    executable(&path).map_err(|error| failed(&error))?;
    Ok(format!("{}\n", path.display()))
}

/// The name of the program's file, without the ending of Windows.
pub(super) fn file_name(called: &OsStr) -> String {
    let name = Path::new(called).file_name().unwrap_or(called);
    let name = name.to_string_lossy();
    name.strip_suffix(".exe").unwrap_or(&name).to_owned()
}

/// The folder that the program was found in: of krew's link, not of what it leads to.
fn folder(called: &OsStr) -> Result<PathBuf, Error> {
    let path = Path::new(called);
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        return Ok(parent.to_owned());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders)
        .find(|folder| folder.join(path).is_file())
        .ok_or_else(|| {
            Error::new(
                Exit::Usage,
                format!("cannot tell where {} stands", path.display()),
            )
            .hint("`--dir DIR` names a folder that is on the PATH")
        })
}

#[cfg(unix)]
fn executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    const ALL_MAY_RUN: u32 = 0o755;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(ALL_MAY_RUN))
}

#[cfg(not(unix))]
fn executable(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_named_by_its_file() {
        for (called, expected) in [
            ("/home/ann/.krew/bin/kubectl-ambient", "kubectl-ambient"),
            ("kubectl-istio_ambient.exe", "kubectl-istio_ambient"),
        ] {
            assert_eq!(file_name(OsStr::new(called)), expected);
        }
        assert_eq!(
            folder(OsStr::new("/opt/bin/kubectl-ambient")),
            Ok(PathBuf::from("/opt/bin"))
        );
    }
}
