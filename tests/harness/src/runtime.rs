//! The one runtime that the harness's own tasks run on, so that tests stay plain blocking code.

use std::panic::Location;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};

/// The runtime, started at its first use and kept until the test process ends.
pub(crate) fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("harness")
                .enable_all()
                .build()
        })
        .as_ref()
        .map_err(|error| Error::because("cannot start the harness's threads", error))
}

/// Runs a future to its end; a failure names the test's line.
#[track_caller]
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let at = Location::caller();
    runtime()?.block_on(future).map_err(|error| error.at(at))
}
