//! What changes a cluster: the loop around a plan, and the lock that keeps two people apart.

mod api;
mod applied;
mod holder;
mod labels;
mod lease;
mod rights;
mod session;
pub mod waypoint;

pub use api::Api;
pub use applied::{Applied, apply_object, delete_object};
pub use holder::Holder;
pub use labels::{LabelChange, set_labels};
pub use lease::{Lock, LockError, LockTimes, Loss};
pub use rights::{access, review};
pub use session::Session;
