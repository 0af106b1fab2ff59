//! What changes a cluster: the loop around a plan, and the lock that keeps two people apart.

mod api;
mod applied;
mod cluster;
mod holder;
mod items;
mod labels;
mod lease;
#[cfg(mutant)]
mod mutant;
mod newcomers;
mod rights;
mod run;
mod runs;
#[cfg(test)]
mod server;
mod session;
mod signals;
mod store;
pub mod waypoint;

pub use api::Api;
pub use applied::{Applied, apply_object, delete_object};
pub use cluster::{BOOKKEEPING, Cluster, Made, Wait, WriteError};
pub use holder::Holder;
pub use labels::{LabelChange, set_labels};
pub use lease::{Lock, LockError, LockTimes, Loss};
pub use rights::{access, review};
pub use run::{Run, RunEnd, RunError, Settings, Stop};
pub use runs::{Carried, Runs, cluster_of, open_run};
pub use session::Session;
pub use store::{Found, Shelf, Store, StoreError};
