//! The harness against the control plane of `tests/controlplane`: what it has, what it lacks when a
//! part is left out, and what is left of it when it ends. Run by name:
//! `cargo test -p harness --test plane`, after `make controlplane`.
#![expect(
    clippy::unwrap_used,
    reason = "what the tests share may fail as they do"
)]

mod ends;
mod faults;
mod lacks;
mod left;
mod probes;
mod works;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use harness::{ControlPlane, Options, Result};

/// The one that the tests share.
fn shared() -> Result<&'static ControlPlane> {
    ControlPlane::shared(options)
}

/// Options of all control planes here: the plugin of kubectl's is a script.
fn options() -> Options {
    let plugin = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/plane/plugin.sh");
    Options::default().testing(plugin)
}

/// Held by a test that starts a control plane of its own: one at a time beside the shared one.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
