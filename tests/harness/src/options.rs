//! Which control plane a test wants.

use std::path::{Path, PathBuf};

/// The Gateway API's release channel whose definitions are installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Channel {
    /// What most clusters have.
    #[default]
    Standard,
    /// With kinds and fields that may still change.
    Experimental,
}

/// A part that a control plane can be started without, to see what then fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Ambient mode: istiod's switch for it, ztunnel and the CNI.
    Ambient,
    /// The webhook that injects sidecars.
    Injection,
    /// The webhook that refuses broken objects.
    Validation,
    /// istiod itself.
    Istiod,
    /// metrics-server.
    Metrics,
    /// The stand-in for the CNI, which marks the pods of ambient namespaces.
    StandIn,
}

impl Part {
    fn flag(self) -> &'static str {
        match self {
            Self::Ambient => "ambient",
            Self::Injection => "injection",
            Self::Validation => "validation",
            Self::Istiod => "istiod",
            Self::Metrics => "metrics",
            Self::StandIn => "standin",
        }
    }
}

/// How a control plane is started; all of it by default.
#[derive(Debug, Clone, Default)]
pub struct Options {
    channel: Channel,
    without: Vec<Part>,
    istiod: Vec<(String, String)>,
    mesh_config: Option<String>,
    testbed: Option<PathBuf>,
    program: Option<PathBuf>,
}

impl Options {
    /// The kubectl-ambient under test: `env!("CARGO_BIN_EXE_kubectl-ambient")`.
    #[must_use]
    pub fn testing(mut self, program: impl Into<PathBuf>) -> Self {
        self.program = Some(program.into());
        self
    }

    /// The channel of the Gateway API.
    #[must_use]
    pub fn channel(mut self, channel: Channel) -> Self {
        self.channel = channel;
        self
    }

    /// Leaves a part out.
    #[must_use]
    pub fn without(mut self, part: Part) -> Self {
        self.without.push(part);
        self
    }

    /// A variable of istiod's environment.
    #[must_use]
    pub fn istiod(mut self, name: &str, value: &str) -> Self {
        self.istiod.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Mesh configuration, as YAML, on top of the profile's.
    #[must_use]
    pub fn mesh_config(mut self, yaml: &str) -> Self {
        self.mesh_config = Some(yaml.to_owned());
        self
    }

    /// The folder with the control plane's binaries, instead of the one that `make controlplane`
    /// fills.
    #[must_use]
    pub fn testbed(mut self, folder: impl Into<PathBuf>) -> Self {
        self.testbed = Some(folder.into());
        self
    }

    pub(crate) fn program(&self) -> Option<&Path> {
        self.program.as_deref()
    }

    /// The launcher: in the folder that was given, in the one that `KUBECTL_AMBIENT_TESTBED` names, or
    /// in the workspace's own.
    pub fn launcher(&self) -> PathBuf {
        let given = self.testbed.clone();
        given
            .or_else(|| std::env::var_os("KUBECTL_AMBIENT_TESTBED").map(PathBuf::from))
            .unwrap_or_else(|| {
                let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
                workspace
                    .unwrap_or(Path::new(""))
                    .join("target/testbed/bin")
            })
            .join("controlplane")
    }

    /// The launcher's arguments.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["up".to_owned()];
        let mut flag = |name: &str, value: &str| {
            arguments.push(name.to_owned());
            arguments.push(value.to_owned());
        };
        if self.channel == Channel::Experimental {
            flag("--channel", "experimental");
        }
        for part in &self.without {
            flag("--without", part.flag());
        }
        for (name, value) in &self.istiod {
            flag("--istiod-env", &format!("{name}={value}"));
        }
        if let Some(yaml) = &self.mesh_config {
            flag("--mesh-config", yaml);
        }
        arguments
    }
}
