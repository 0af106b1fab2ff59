//! What changes a cluster: the loop around a plan, and the lock that keeps two people apart.

mod holder;
mod lease;

pub use holder::Holder;
pub use lease::{Lock, LockError, LockTimes, Loss};
