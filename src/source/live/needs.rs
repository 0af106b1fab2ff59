//! The rights with which a cluster is read.

use super::follow::FOLLOWED;
use super::lists::BY_NAME;
use crate::kinds::{Kind, KindSet};

/// The verbs with which objects of a kind are read.
pub const fn verbs(kind: Kind) -> &'static [&'static str] {
    const NAMED: KindSet = FOLLOWED.and(KindSet::of(&[Kind::Namespace]));
    match kind {
        // Of the few that concern us the names are known, so that no others are seen.
        Kind::ConfigMap => &["get"],
        kind if NAMED.contains(kind) || BY_NAME.contains(kind) => &["get", "list"],
        _ => &["list"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_by_name_is_also_got() {
        assert_eq!(verbs(Kind::ConfigMap), ["get"]);
        assert_eq!(verbs(Kind::ReplicaSet), ["get", "list"]);
        assert_eq!(verbs(Kind::Namespace), ["get", "list"]);
        assert_eq!(verbs(Kind::VirtualService), ["list"]);
    }
}
