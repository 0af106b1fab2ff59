//! Where the inputs come from: a cluster, files, folders and standard input.
//!
//! Only bytes are fetched here; what they mean is `inventory`'s work.

pub mod live;
pub mod manifests;
mod overlay;
pub mod tree;

pub use overlay::overlay;
