//! What a mesh of sidecars is in ambient mode: the objects, and what becomes of each that was there.
//!
//! [`translate`] works in an order: which waypoints there will be and who is bound ([`waypoints`]),
//! the Services that stand for subsets ([`versions`]), policies ([`policies`]), routes
//! ([`routes`]), NetworkPolicies ([`network`]), and what enrols the namespace ([`enrolment`]). Each part looks at its objects and
//! notes in the [`Draft`] what becomes of them, why, and what changes when. Nothing is dropped: a
//! field that has no counterpart is a [`Remark`] with its path.
//!
//! What comes out is judged by `semantics` alone, from the source objects and from the result as it
//! is written, read back ([`proof`]). The proof never sees what the parts thought.

pub mod change;
pub mod decision;
mod draft;
mod earlier;
pub mod edit;
pub mod enrolment;
pub mod fidelity;
mod ground;
pub mod network;
pub mod options;
pub mod policies;
pub mod proof;
pub mod routes;
pub mod topic;
pub mod versions;
pub mod waypoints;
pub mod written;

use std::collections::BTreeSet;

pub use change::{Change, Edit, Manifest, Phase};
pub use decision::{Decision, Net};
pub use earlier::{Earlier, Translated, begun, translate_on};
pub use fidelity::{Fidelity, Remark, Treatment, Weight};
pub use options::Options;
pub use proof::Proofs;
pub use topic::Topic;

pub(crate) use draft::Draft;
pub(crate) use ground::Ground;

use crate::kinds::{Kind, KindSet, Name};
use crate::mesh::Mesh;

/// The kinds that a translation looks at.
pub const READS: KindSet = crate::waypoint::READS
    .and(crate::mesh::INSTALLATION)
    .and(KindSet::of(&[
        Kind::CustomResourceDefinition,
        Kind::NetworkPolicy,
        Kind::PeerAuthentication,
        Kind::ServiceEntry,
    ]));

/// The kinds, beside Istio's and the Gateway API's, that a translation may change: what reads a
/// cluster has to keep all their fields.
pub const WRITES: KindSet = KindSet::of(&[
    Kind::Namespace,
    Kind::Service,
    Kind::ConfigMap,
    Kind::Deployment,
    Kind::StatefulSet,
    Kind::DaemonSet,
    Kind::CronJob,
    Kind::Rollout,
    Kind::NetworkPolicy,
]);

/// What the objects of some namespaces are in ambient mode.
#[derive(Debug, Default)]
pub struct Translation {
    /// What becomes of each object that was looked at, sorted by object.
    pub treatments: Vec<Treatment>,
    /// What changes, in the order in which it may be applied: by phase, then as kinds depend on each
    /// other, then by name.
    pub changes: Vec<Change>,
    /// What the comparison of both sides found. Empty where none was asked for.
    pub proofs: Proofs,
}

impl Translation {
    /// Whether an object has no translation.
    pub fn refuses(&self) -> bool {
        let mut treatments = self.treatments.iter();
        treatments.any(|treatment| treatment.fidelity() == Fidelity::Refused)
    }
}

/// The Gateway API that the input's definitions are of; `None` when nothing tells.
pub fn installed_gateway_api(mesh: &Mesh) -> Option<options::GatewayApi> {
    routes::platform::installed(mesh)
}

/// Translates the objects of some namespaces, and compares.
pub fn translate(mesh: &Mesh, namespaces: &BTreeSet<Name>, options: &Options) -> Translation {
    let ground = Ground::new(mesh, namespaces, options);
    proof::prove(&ground, drafted(&ground))
}

/// Translates the objects of some namespaces. Nothing is compared but what a part needs for its
/// decision.
pub fn outline(mesh: &Mesh, namespaces: &BTreeSet<Name>, options: &Options) -> Translation {
    drafted(&Ground::new(mesh, namespaces, options))
}

/// Compares a result, whoever made it, with the objects of these namespaces.
pub fn compared(
    mesh: &Mesh,
    namespaces: &BTreeSet<Name>,
    options: &Options,
    result: Translation,
) -> Translation {
    proof::prove(&Ground::new(mesh, namespaces, options), result)
}

/// What becomes of the objects of some namespaces, and what is to be said of it: an outline without the
/// objects themselves, for those who only judge.
pub fn treatments(mesh: &Mesh, namespaces: &BTreeSet<Name>, options: &Options) -> Vec<Treatment> {
    let ground = Ground::new(mesh, namespaces, options);
    drawn(&ground, Draft::of_treatments()).treatments()
}

fn drafted(ground: &Ground<'_>) -> Translation {
    drawn(ground, Draft::of_changes()).finish(ground.mesh)
}

fn drawn(ground: &Ground<'_>, mut draft: Draft) -> Draft {
    waypoints::translate(ground, &mut draft);
    versions::translate(ground, &mut draft);
    policies::translate(ground, &mut draft);
    routes::translate(ground, &mut draft);
    network::translate(ground, &mut draft);
    enrolment::translate(ground, &mut draft);
    draft
}
