//! Waypoints of a cluster: looked at, made, waited for, removed.

mod apply;
mod delete;
mod survey;
mod users;
mod wait;

pub use apply::{Made, Making, Outcome, apply, bind, prepare};
pub use delete::{Removal, remove};
pub use survey::{Depth, Gap, Looked, Missing, look};
pub use users::users;
pub use wait::{Readiness, wait_until_ready};
