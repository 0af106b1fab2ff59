//! Commands run against a cluster, in an environment that holds nothing of the person's who runs
//! the tests: no home folder, no configuration, no kubeconfig but the cluster's.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::fault::FaultProxy;
use crate::process::{Done, Running};

/// How long a command may take where nothing else is said.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command to be run.
#[derive(Debug)]
pub struct Invocation<'a> {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: BTreeMap<OsString, OsString>,
    stdin: Vec<u8>,
    folder: Option<PathBuf>,
    patience: Duration,
    through: Option<&'a FaultProxy>,
}

impl<'a> Invocation<'a> {
    /// A program with its arguments, and `KUBECONFIG` set to `kubeconfig`.
    pub fn new(
        program: impl Into<PathBuf>,
        kubeconfig: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Self {
        let environment = [
            (OsString::from("KUBECONFIG"), kubeconfig.into()),
            // Nothing is found by chance: what a command needs on its path, its test puts there.
            (OsString::from("PATH"), OsString::new()),
            (OsString::from("LANG"), OsString::from("C.UTF-8")),
        ];
        Self {
            program: program.into(),
            arguments: arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned())
                .collect(),
            environment: environment.into(),
            stdin: Vec::new(),
            folder: None,
            patience: PATIENCE,
            through: None,
        }
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Connects with this kubeconfig: as another identity, or to another server.
    #[must_use]
    pub fn kubeconfig(self, file: &Path) -> Self {
        self.env("KUBECONFIG", file)
    }

    /// Connects through the fault proxy, which may send signals to the command from then on.
    #[must_use]
    pub fn through(mut self, proxy: &'a FaultProxy) -> Self {
        self.through = Some(proxy);
        self.kubeconfig(proxy.kubeconfig())
    }

    /// What the command reads from its standard input; nothing by default.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.stdin = text.into();
        self
    }

    /// Runs in this folder; in the command's own empty home folder by default.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The longest that it may take; then it is killed, and running it is an error.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs it to its end, whatever its exit code.
    #[track_caller]
    pub fn run(self) -> Result<Done> {
        self.start()?.finish()
    }

    /// Starts it and lets the test go on.
    #[track_caller]
    pub fn start(self) -> Result<Running> {
        let at = std::panic::Location::caller();
        let said = self.to_string();
        self.spawn(&said)
            .map_err(|error| Error::because(format_args!("cannot run {said}"), error).at(at))
    }

    fn spawn(self, said: &str) -> std::io::Result<Running> {
        let home = tempfile::Builder::new().prefix("harness-home").tempdir()?;
        // A file cannot block a writer that the command never reads from.
        let mut stdin = tempfile::tempfile()?;
        stdin.write_all(&self.stdin)?;
        std::io::Seek::rewind(&mut stdin)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("HOME", home.path())
            .env("TMPDIR", home.path())
            .env("XDG_CONFIG_HOME", home.path().join("config"))
            .env("XDG_CACHE_HOME", home.path().join("cache"))
            .env("XDG_STATE_HOME", home.path().join("state"))
            .env("XDG_DATA_HOME", home.path().join("data"))
            .envs(&self.environment)
            .current_dir(self.folder.as_deref().unwrap_or(home.path()))
            // A Ctrl-C in the terminal of the tests is not one in the command's.
            .process_group(0)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let start = || Running::start(command, said.to_owned(), home, self.patience);
        match self.through {
            Some(proxy) => proxy.start_client(start),
            None => start(),
        }
    }
}

impl std::fmt::Display for Invocation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.program.file_name().unwrap_or_default();
        write!(f, "`{}", name.to_string_lossy())?;
        for argument in &self.arguments {
            write!(f, " {}", argument.to_string_lossy())?;
        }
        f.write_str("`")
    }
}
