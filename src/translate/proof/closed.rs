//! Ports that NetworkPolicies close. Nobody came to them, so nobody may: the tunnel, which the
//! policies have to admit, leads to every port.

use std::collections::HashMap;

use crate::kinds::Name;
use crate::kinds::authorization::{AuthorizationPolicy, AuthorizationSpec};
use crate::kinds::network_policy::NetworkPolicy;
use crate::kinds::{Meta, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::workloads::Workload;
use crate::semantics::verdict::{
    Bounds, Cause, Comparison, Port, Scope, Settings, Situation, Verdict, compare,
};
use crate::translate::network::entrance::Entrance;

/// The NetworkPolicies of the source and of the result, by namespace.
pub(super) struct Closings<'g> {
    before: HashMap<&'g Name, Vec<&'g NetworkPolicy>>,
    after: HashMap<&'g Name, Vec<&'g NetworkPolicy>>,
}

impl<'g> Closings<'g> {
    pub(super) fn of(mesh: &'g Mesh, result: Vec<&'g NetworkPolicy>) -> Self {
        let before = mesh.all::<NetworkPolicy>().iter();
        Self {
            before: by_namespace(before.map(|object| &object.value)),
            after: by_namespace(result),
        }
    }

    /// How a workload is reached before and after.
    pub(super) fn entrances(&self, workload: &'g Workload) -> Entrances<'g> {
        let entrance = |policies: &HashMap<&Name, Vec<&'g NetworkPolicy>>| {
            let own = policies.get(&workload.object.namespace);
            Entrance::of(workload, own.map_or(&[], Vec::as_slice))
        };
        Entrances {
            before: entrance(&self.before),
            after: entrance(&self.after),
        }
    }
}

fn by_namespace<'g>(
    policies: impl IntoIterator<Item = &'g NetworkPolicy>,
) -> HashMap<&'g Name, Vec<&'g NetworkPolicy>> {
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    for policy in policies {
        let own = all.entry(&policy.metadata.namespace).or_default();
        own.push(policy);
    }
    all
}

/// How a workload is reached.
pub(super) struct Entrances<'g> {
    before: Entrance<'g>,
    after: Entrance<'g>,
}

impl Entrances<'_> {
    /// Whether there is a port to which nobody comes.
    pub(super) fn close(&self) -> bool {
        !self.before.policies().is_empty() && !self.before.admits_tunnel()
    }

    /// Whether somebody comes to a port today.
    pub(super) fn admit(&self, port: Port) -> bool {
        self.before.admits(port.pod) || self.before.admits_tunnel()
    }

    /// The policies that close ports.
    pub(super) fn policies(&self) -> Vec<ObjectRef> {
        self.before.policies()
    }

    /// The calls that are let through to ports to which nobody came.
    pub(super) fn opened(
        &self,
        nobody: &Situation<'_>,
        after: &Situation<'_>,
        scope: Scope<'_>,
    ) -> Comparison {
        let found = compare(nobody, after, scope, Bounds::default());
        let comes = |identified: bool, port: &Port| {
            self.after.admits(port.pod) || (identified && self.after.admits_tunnel())
        };
        let mut found = found
            .kept(|found| found.opens() && comes(found.call.identity.is_some(), &found.call.port));
        // Nobody was asked before: the network keeps callers away.
        if let Some(policy) = self.policies().into_iter().next() {
            for difference in found.differences.iter_mut().chain(&mut found.undecided) {
                if let Verdict::Denied(reason) = &mut difference.before {
                    reason.cause = Cause::Network(policy.clone());
                }
            }
        }
        found
    }
}

/// A policy that admits nobody to any workload of the mesh.
pub(super) fn nobody(settings: &Settings) -> AuthorizationPolicy {
    AuthorizationPolicy {
        metadata: Meta {
            namespace: settings.root_namespace.clone(),
            ..Meta::default()
        },
        spec: AuthorizationSpec::default(),
    }
}
