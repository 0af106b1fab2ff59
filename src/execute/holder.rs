//! Who runs: what the others read when they find a namespace locked.

use std::fmt;

/// A person on a machine, as a Lease names its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(String);

impl Holder {
    /// This process: `jane@laptop 4711`.
    pub fn this_process() -> Self {
        let user = ["USER", "LOGNAME", "USERNAME"]
            .into_iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|name| !name.is_empty())
            .unwrap_or_else(|| "someone".to_owned());
        let host = gethostname::gethostname();
        let host = host.to_string_lossy();
        // A machine's full name says more than people need to find one another.
        let host = host.split('.').next().unwrap_or_default();
        Self(format!("{user}@{host} {}", std::process::id()))
    }
}

impl From<&str> for Holder {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
