//! The environment variables that decide how a cluster is reached, read once.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Where a pod finds the token of its service account.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// What the process's surroundings say about reaching a cluster. It is a value, so that nothing
/// below looks at the process, and tests can say what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `KUBECONFIG`: a list of files.
    pub kubeconfig: Option<OsString>,
    /// The home folder, under which `.kube/config` stands.
    pub home: Option<PathBuf>,
    /// `HTTPS_PROXY`, else `https_proxy`.
    pub https_proxy: Option<String>,
    /// `HTTP_PROXY`, else `http_proxy`; only for an API server without TLS.
    pub http_proxy: Option<String>,
    /// `NO_PROXY`, else `no_proxy`.
    pub no_proxy: Option<String>,
    /// Whether this is a pod with a service account.
    pub in_cluster: bool,
}

impl Environment {
    /// Reads the process's own.
    pub fn read() -> Self {
        Self {
            kubeconfig: std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()),
            home: dirs::home_dir(),
            https_proxy: first_of(["HTTPS_PROXY", "https_proxy"]),
            http_proxy: first_of(["HTTP_PROXY", "http_proxy"]),
            no_proxy: first_of(["NO_PROXY", "no_proxy"]),
            in_cluster: first_of(["KUBERNETES_SERVICE_HOST"]).is_some()
                && first_of(["KUBERNETES_SERVICE_PORT"]).is_some()
                && Path::new(SERVICE_ACCOUNT_TOKEN).is_file(),
        }
    }
}

/// The first of the variables that is set and not empty.
fn first_of<const N: usize>(names: [&str; N]) -> Option<String> {
    names
        .into_iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
}
