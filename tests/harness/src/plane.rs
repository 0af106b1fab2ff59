//! A control plane, started or reused, and what tests do with it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::command::Invocation;
use crate::error::{Error, Result};
use crate::fault::FaultProxy;
use crate::identity::{Identity, Permission};
use crate::launcher::{self, Launcher, Up};
use crate::namespace::{Namespace, Namespaces};
use crate::options::Options;
use crate::recorder::Recorder;

/// Names a file with the line that a running launcher printed; its control plane is then reused.
const REUSED: &str = "KUBECTL_AMBIENT_CONTROLPLANE";

/// A real control plane.
#[derive(Debug)]
pub struct ControlPlane {
    up: Up,
    cluster: Cluster,
    program: Option<PathBuf>,
    /// A folder with the program alone, for kubectl to find it as a plugin.
    plugins: TempDir,
    launcher: Option<Launcher>,
}

impl ControlPlane {
    /// The control plane that all tests of this test binary share, started by the first that asks.
    /// It ends with the test process.
    pub fn shared(options: impl FnOnce() -> Options) -> Result<&'static Self> {
        static SHARED: OnceLock<Result<ControlPlane>> = OnceLock::new();
        SHARED
            .get_or_init(|| match std::env::var_os(REUSED) {
                Some(file) => Self::reuse(Path::new(&file), &options()),
                None => Self::start(&options()),
            })
            .as_ref()
            .map_err(|error| Error::new(error.to_string()))
    }

    /// A control plane of one's own; ended when dropped.
    pub fn start(options: &Options) -> Result<Self> {
        let (launcher, up) = Launcher::start(options)?;
        Self::of(up, options, Some(launcher))
    }

    /// A control plane that somebody else holds up; `file` holds the line that its launcher printed.
    pub fn reuse(file: &Path, options: &Options) -> Result<Self> {
        Self::of(launcher::read(file)?, options, None)
    }

    fn of(up: Up, options: &Options, launcher: Option<Launcher>) -> Result<Self> {
        let cluster = Cluster::of(&up.kubeconfig)?;
        let program = options.program().map(Path::to_owned);
        let plugins = plugin_folder(&up.state, program.as_deref())
            .map_err(|error| Error::because("the folder of kubectl's plugins", error))?;
        Ok(Self {
            up,
            cluster,
            program,
            plugins,
            launcher,
        })
    }

    /// What the launcher said of it.
    pub fn up(&self) -> &Up {
        &self.up
    }

    /// Its objects, as the administrator.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The launcher's process id; none if the control plane is a reused one.
    pub fn launcher(&self) -> Option<u32> {
        self.launcher.as_ref().map(Launcher::pid)
    }

    /// A new namespace whose name begins with `stem`.
    #[track_caller]
    pub fn namespace(&self, stem: &str, labels: &[(&str, &str)]) -> Result<Namespace> {
        Namespace::create(&self.cluster, stem, labels)
    }

    /// New namespaces for manifests that are written for these names.
    #[track_caller]
    pub fn namespaces(&self, names: &[&str]) -> Result<Namespaces> {
        Namespaces::create(&self.cluster, names)
    }

    /// A service account in a namespace with exactly these permissions.
    #[track_caller]
    pub fn identity(&self, namespace: &Namespace, permissions: &[Permission]) -> Result<Identity> {
        Identity::create(&self.cluster, &self.up, namespace, permissions)
    }

    /// Records every change of objects of these kinds in these namespaces, from now on.
    #[track_caller]
    pub fn record(&self, kinds: &[&str], namespaces: &[&str]) -> Result<Recorder> {
        Recorder::of(&self.cluster, kinds, namespaces)
    }

    /// A proxy in front of the API server that fails as it is told.
    #[track_caller]
    pub fn faults(&self) -> Result<FaultProxy> {
        FaultProxy::start(&self.up.kubeconfig)
    }

    /// The program under test, as the administrator: `ambient(["check", "-n", "shop"])`.
    pub fn ambient(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<Invocation<'_>> {
        let program = self.program.as_deref().ok_or_else(|| {
            Error::new("which program is tested was not said: see Options::testing")
        })?;
        Ok(Invocation::new(program, &self.up.kubeconfig, arguments))
    }

    /// kubectl, which finds the program under test as its plugin and nothing else.
    pub fn kubectl(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Invocation<'_> {
        Invocation::new(&self.up.kubectl, &self.up.kubeconfig, arguments)
            .env("PATH", self.plugins.path())
    }

    /// istioctl.
    pub fn istioctl(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Invocation<'_> {
        Invocation::new(&self.up.istioctl, &self.up.kubeconfig, arguments)
    }

    /// Stops a component in good order: `kube-scheduler`.
    pub fn stop(&self, component: &str) -> Result<Value> {
        self.command("stop", component)
    }

    /// Starts a component that was stopped or killed.
    pub fn start_again(&self, component: &str) -> Result<Value> {
        self.command("start", component)
    }

    /// Kills a component.
    pub fn kill(&self, component: &str) -> Result<Value> {
        self.command("kill", component)
    }

    /// Stops a component from running without ending it: its connections stay open and answer
    /// nothing.
    pub fn freeze(&self, component: &str) -> Result<Value> {
        self.command("freeze", component)
    }

    /// Lets a frozen component go on.
    pub fn thaw(&self, component: &str) -> Result<Value> {
        self.command("thaw", component)
    }

    fn command(&self, verb: &str, component: &str) -> Result<Value> {
        let launcher = self.launcher.as_ref().ok_or_else(|| {
            Error::new(format!(
                "{verb} {component}: a reused control plane is left as it is"
            ))
        })?;
        launcher.command(verb, component)
    }
}

/// A folder in the control plane's own, which goes with it: what tests share is never dropped.
fn plugin_folder(state: &Path, program: Option<&Path>) -> std::io::Result<TempDir> {
    let folder = tempfile::Builder::new()
        .prefix("plugins")
        .tempdir_in(state)?;
    if let Some(program) = program {
        let program = std::fs::canonicalize(program)?;
        std::os::unix::fs::symlink(program, folder.path().join("kubectl-ambient"))?;
    }
    Ok(folder)
}
