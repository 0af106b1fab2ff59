//! What is shipped: an archive for each platform, with licences and a bill of materials, and krew's
//! manifest over them. The same input gives the same bytes.

pub mod archive;
pub mod dependencies;
pub mod manifest;
pub mod platform;
pub mod rules;

/// The program's name, and its file's where files have no endings.
pub const PROGRAM: &str = "kubectl-ambient";

/// Why something could not be made.
pub type Error = Box<dyn std::error::Error + Send + Sync>;
