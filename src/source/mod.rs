//! Where the inputs come from: files, folders and standard input.
//!
//! Only bytes are fetched here; what they mean is `inventory`'s work.

pub mod manifests;
