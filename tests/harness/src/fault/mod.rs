//! A proxy in front of the API server that fails as a test tells it.
//!
//! ```ignore
//! let proxy = plane.faults()?;
//! proxy.rule(When::list("pods").continued().nth(1), Fault::expired());
//! let done = plane.ambient(["check", "-n", shop.name()])?.through(&proxy).run()?;
//! assert_eq!(proxy.log().lists_of("pods").len(), 3);
//! ```

mod answer;
mod body;
mod log;
mod proxy;
mod request;
mod review;
mod rule;
mod serve;
mod upstream;
mod wire;

pub use log::Log;
pub use proxy::{FaultProxy, Rule};
pub use request::Request;
pub use rule::{At, Fault, Moment, When};
