//! Which PeerAuthentication makes a workload refuse plain text: the most specific one that says
//! something; of two of the same scope the older one
//! (`pilot/pkg/serviceregistry/ambient/policies.go`).

use crate::inventory::Object;
use crate::kinds::authorization::{MtlsMode, PeerAuthentication};
use crate::kinds::{Name, ObjectRef, Resource};
use crate::mesh::{Mesh, workloads::Workload};

/// What is the same for all workloads of a namespace.
#[derive(Debug)]
pub(super) struct Strictness<'a> {
    selecting: Vec<&'a Object<PeerAuthentication>>,
    inherited: Option<&'a Object<PeerAuthentication>>,
}

impl<'a> Strictness<'a> {
    /// What holds in a namespace.
    pub(super) fn of(mesh: &'a Mesh, namespace: &Name) -> Self {
        let root = mesh.root_namespace();
        let own = mesh.within::<PeerAuthentication>(namespace);
        let wide = mesh.within::<PeerAuthentication>(root);
        let selecting = by_age(own.iter().filter(|policy| has_selector(policy)));
        let inherited = [own, wide].into_iter().find_map(|policies| {
            by_age(policies.iter().filter(|policy| !has_selector(policy)))
                .first()
                .copied()
                .filter(|policy| policy.spec.mtls.mode != MtlsMode::Unset)
        });
        Self {
            selecting,
            inherited,
        }
    }

    /// The policy by which a workload takes mutual TLS only, on all ports or on some.
    pub(super) fn on(&self, workload: &Workload) -> Option<ObjectRef> {
        let own = self.selecting.iter().copied().find(|policy| {
            let wanted = policy.spec.selector.as_ref().map(|s| &s.match_labels);
            wanted.is_some_and(|wanted| crate::kinds::selector::contains(&workload.labels, wanted))
        });
        if let Some(policy) = own {
            let ports = &policy.spec.port_level_mtls;
            if ports.values().any(|port| port.mode == MtlsMode::Strict) {
                return Some(policy.reference());
            }
        }
        own.filter(|policy| policy.spec.mtls.mode != MtlsMode::Unset)
            .or(self.inherited)
            .filter(|policy| policy.spec.mtls.mode == MtlsMode::Strict)
            .map(|policy| policy.reference())
    }
}

fn has_selector(policy: &Object<PeerAuthentication>) -> bool {
    let selector = policy.spec.selector.as_ref();
    selector.is_some_and(|selector| !selector.match_labels.is_empty())
}

fn by_age<'a>(
    policies: impl Iterator<Item = &'a Object<PeerAuthentication>>,
) -> Vec<&'a Object<PeerAuthentication>> {
    let mut policies: Vec<_> = policies.collect();
    policies.sort_by(|a, b| {
        let age = |policy: &Object<PeerAuthentication>| policy.metadata.creation_timestamp.clone();
        age(a).cmp(&age(b))
    });
    policies
}
