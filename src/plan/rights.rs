//! What a move may write, and back: the kinds, and the verbs for each.
//!
//! A plan holds nothing else, which its builders assert; the role that `rbac` prints is made of this.

use super::step::Step;
use super::write::Planned;
use crate::kinds::{Kind, KindSet};
use crate::translate;

/// The kinds of which objects are made and removed; each also by what takes a move back.
const MADE: KindSet = KindSet::of(&[
    Kind::Service,
    Kind::ConfigMap,
    Kind::PodDisruptionBudget,
    Kind::NetworkPolicy,
    Kind::AuthorizationPolicy,
    Kind::RequestAuthentication,
    Kind::VirtualService,
    Kind::DestinationRule,
    Kind::Gateway,
    Kind::HTTPRoute,
    Kind::GRPCRoute,
    Kind::TCPRoute,
    Kind::TLSRoute,
    Kind::WasmPlugin,
    Kind::TrafficExtension,
    Kind::Telemetry,
]);

/// Beside them, the kinds of which objects are only changed.
const CHANGED: KindSet = translate::WRITES
    .and(KindSet::of(&[Kind::PeerAuthentication, Kind::ServiceEntry]))
    .without(MADE);

/// The kinds of which objects are only deleted, and only when that is asked for (`--delete-bare-pods`): whoever
/// asks needs more than the role that is printed.
const DELETED: KindSet = KindSet::of(&[Kind::Pod]);

/// The kinds that a plan writes, in the order of their table.
pub fn written() -> impl Iterator<Item = Kind> {
    MADE.and(CHANGED).iter()
}

/// The verbs that a plan needs for objects of a kind.
pub const fn verbs(kind: Kind) -> &'static [&'static str] {
    if MADE.contains(kind) {
        &["get", "create", "patch", "delete"]
    } else if CHANGED.contains(kind) {
        &["get", "patch"]
    } else if DELETED.contains(kind) {
        &["get", "delete"]
    } else {
        &[]
    }
}

/// Whether the rights for all plans are enough for some steps.
pub(super) fn hold(steps: &[Step]) -> bool {
    let enough = |planned: &Planned| {
        let given = verbs(planned.object().kind);
        planned.verbs().iter().all(|verb| given.contains(verb))
    };
    steps.iter().flat_map(Step::writes).all(enough)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_only_changed_is_neither_made_nor_removed() {
        assert_eq!(verbs(Kind::Namespace), ["get", "patch"]);
        assert_eq!(verbs(Kind::Gateway), ["get", "create", "patch", "delete"]);
        assert!(verbs(Kind::Node).is_empty() && verbs(Kind::EnvoyFilter).is_empty());
        assert!(written().all(|kind| !verbs(kind).is_empty() && kind != Kind::Pod));
    }
}
