//! Verdicts: whether a call to a workload is let through, at the sidecar, at ztunnel, at a waypoint,
//! and by which rule.
//!
//! A [`Situation`] says through which points a call comes and which policies each of them has
//! received; [`judge`] follows one call. Rules are first written as istiod writes them for the point
//! (`envoy`, `ztunnel`), then asked. Whatever a call does not say, or this program does not know, is
//! an open question: the verdict is undecided only where the answer matters.
//!
//! [`compare`] takes two situations and finds the calls that come to something else in the other.
//!
//! Routes are not here: a call is judged as it arrives, and who changes it on the way says so by
//! judging what comes out.

mod call;
mod cells;
mod compare;
mod envoy;
mod formula;
mod network;
mod peer;
mod policies;
mod program;
mod question;
mod reach;
mod token;
#[expect(
    clippy::module_inception,
    reason = "a verdict is what the module is about"
)]
mod verdict;
mod way;
mod ztunnel;

pub use call::{Call, Payload, Port, Protocol, Request, Token};
pub use compare::{Bounds, Comparison, Difference, Scope, compare};
pub use policies::{Pod, Point, Policies, Settings, Target};
pub use reach::{Callee, Through};
pub use verdict::{Cause, Judge, Reason, RuleName, Verdict};
pub use way::{Bench, Carrier, Hop, Situation, judge};

#[cfg(test)]
pub(crate) mod tests;
