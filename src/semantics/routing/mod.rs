//! Where Envoy sends a request: the tables that Istio makes of VirtualServices and HTTPRoutes.
//!
//! A [`Table`] is what one proxy does with requests to one port of one host: an ordered list, of
//! which the first entry that matches acts. [`Routes`] holds the objects and makes the tables, for
//! a sidecar in some namespace or for a waypoint. HTTPRoutes become VirtualServices first, as in
//! istiod, so that both go through the same translation, with few but telling differences
//! ([`translate`]). Sources named in these files are Istio's, of the 1.31 line.
//!
//! Not modelled: `Sidecar` and `EnvoyFilter` resources, aliases (`ExternalName`), consistent hashing,
//! and the policies of DestinationRules.

mod action;
mod delegate;
mod effects;
mod gateway_api;
mod outcome;
mod request;
mod retry;
mod rewrite;
mod routes;
mod select;
mod table;
mod translate;

pub use action::{
    Abort, Action, Answer, Cors, Delay, Destination, Fault, Forward, Mirror, Redirect, Way,
};
pub use effects::{Effect, Effects};
pub use outcome::{Arrival, ByName, Outcome, Reach, Reply, Resolver};
pub use request::Request;
pub use retry::Retry;
pub use rewrite::PathRewrite;
pub use routes::{Decider, Defaults, Host, Routes, Services, Viewpoint, Written};
pub use table::{Condition, Dimension, Entry, Origin, Table};

#[cfg(test)]
mod tests;
