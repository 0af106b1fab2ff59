//! `kubectl-ambient`: takes namespaces from Istio's sidecar mode to ambient mode and back.
//!
//! Data flows one way, and modules depend only on those above them in this list (a test holds it):
//! `event`, `exit`, `error` → `kinds` → `inventory` → `mesh` → `semantics` → `waypoint` →
//! `translate` → `checks` → `plan` → `journal` → `report` → `render` → `client` → `source` →
//! `execute` → `ui`, `cli`. See
//! `ARCHITECTURE.md`.

pub mod checks;
pub mod cli;
pub mod client;
pub mod error;
pub mod event;
pub mod execute;
pub mod exit;
pub mod inventory;
pub mod journal;
pub mod kinds;
pub mod mesh;
pub mod plan;
pub mod render;
pub mod report;
pub mod semantics;
#[cfg(test)]
mod soak;
pub mod source;
pub mod translate;
pub mod ui;
pub mod waypoint;
