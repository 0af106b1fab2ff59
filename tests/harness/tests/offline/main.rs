//! The harness without a control plane: against an API server in memory.
#![expect(
    clippy::unwrap_used,
    reason = "what the tests share may fail as they do"
)]

mod commands;
mod fake_api;
mod faults;
mod planes;
mod raw;
mod signals;
mod waits;
