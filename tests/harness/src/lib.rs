//! What the tests against a real control plane and a real Envoy stand on.
//!
//! ```ignore
//! let plane = ControlPlane::shared(|| Options::default().testing(env!("CARGO_BIN_EXE_kubectl-ambient")))?;
//! let shop = plane.namespace("shop", &[("istio-injection", "enabled")])?;
//! shop.apply(CART)?;
//! shop.wait_all("Pod", "app=cart", &pods_ready(1, "2/2"))?;
//! let check = plane.ambient(["check", "-n", shop.name(), "-o", "json"])?.run()?.exited(1)?;
//! assert_eq!(check.json()?["summary"]["blocking"], 1);
//! ```
//!
//! Everything blocks and returns a [`Result`]; a test returns it too, and its failure tells what was
//! waited for, what was seen last, and the line of the test.

mod cluster;
mod command;
mod condition;
mod error;
pub mod fault;
mod history;
mod identity;
mod launcher;
mod manifest;
mod namespace;
mod options;
pub mod oracle;
mod plane;
mod process;
mod recorder;
mod resources;
mod runtime;
mod wait;
mod watch;

pub use cluster::Cluster;
pub use command::Invocation;
pub use condition::{Condition, condition, exists, gone, pods_ready, ready_column, rolled_out};
pub use error::{Error, Result};
pub use history::{Event, History, Moment, State};
pub use identity::{Identity, Permission};
pub use launcher::{Component, Up};
pub use manifest::Manifests;
pub use namespace::{Namespace, Namespaces};
pub use options::{Channel, Options, Part};
pub use plane::ControlPlane;
pub use process::{Done, Output, Running, Signal};
pub use recorder::Recorder;
pub use resources::{Resource, Resources};
pub use wait::PATIENCE;
