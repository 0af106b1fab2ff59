//! The comparison of both sides: the source objects in sidecars, the result as it is written, read
//! back, at waypoints and ztunnels.

mod calls;
mod routes;

use super::{Ground, Translation};
use crate::kinds::ObjectRef;
use crate::semantics::{compare, verdict};

/// What the comparison of both sides found.
#[derive(Debug, Default)]
pub struct Proofs {
    /// Of routes, sorted by host, port and client.
    pub routes: Vec<RouteProof>,
    /// Of verdicts, sorted by workload and way.
    pub calls: Vec<CallProof>,
}

/// How requests to a port of a Service are routed, before and after.
#[derive(Debug)]
pub struct RouteProof {
    /// The Service, or the ServiceEntry.
    pub service: ObjectRef,
    /// Its port.
    pub port: u16,
    /// The namespace of the client before.
    pub client: String,
    /// The routes that take part, before and after, sorted.
    pub concerns: Vec<ObjectRef>,
    /// What was found.
    pub comparison: compare::Comparison,
}

/// How calls to a workload are judged, before and after.
#[derive(Debug)]
pub struct CallProof {
    /// The workload.
    pub workload: ObjectRef,
    /// The Service that is called, where one is.
    pub service: Option<ObjectRef>,
    /// The policies that take part, before and after, sorted.
    pub concerns: Vec<ObjectRef>,
    /// What was found.
    pub comparison: verdict::Comparison,
}

impl Proofs {
    /// Classes of requests that were compared.
    pub fn classes(&self) -> usize {
        let routes = self.routes.iter().map(|proof| proof.comparison.classes);
        let calls = self.calls.iter().map(|proof| proof.comparison.classes);
        routes.chain(calls).sum()
    }

    /// Classes that differ.
    pub fn differing(&self) -> usize {
        let routes = self.routes.iter().map(|proof| proof.comparison.differing);
        let calls = self.calls.iter().map(|proof| proof.comparison.differing);
        routes.chain(calls).sum()
    }
}

/// Compares a translation with what it was made from. A difference that no remark tells of makes its
/// objects lossy.
pub(super) fn prove(ground: &Ground<'_>, mut translation: Translation) -> Translation {
    translation.proofs.routes = routes::prove(ground, &translation);
    translation.proofs.calls = calls::prove(ground, &translation);
    translation
}
