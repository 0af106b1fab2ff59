//! The ports by which anybody at all may come to a workload's pods.
//!
//! Whom a NetworkPolicy admits is a matter of addresses, which a comparison of calls does not know. So
//! only ports are told apart: to those that no rule admits, nobody comes.

use crate::kinds::network_policy::{Direction, NetworkPolicy, PolicyPort, PolicyRule};
use crate::kinds::{IntOrString, ObjectRef, Resource};
use crate::mesh::workloads::Workload;

use super::admission::{admits_hbone, takes_part};

/// What NetworkPolicies leave open of a workload's pods.
#[derive(Debug)]
pub(crate) struct Entrance<'a> {
    workload: &'a Workload,
    /// The policies that isolate the pods.
    policies: Vec<&'a NetworkPolicy>,
}

impl<'a> Entrance<'a> {
    /// The entrance by the policies of the workload's namespace.
    pub(crate) fn of(workload: &'a Workload, policies: &[&'a NetworkPolicy]) -> Self {
        let isolates = |policy: &&NetworkPolicy| {
            takes_part(workload)
                && policy.spec.isolates(Direction::Ingress)
                && policy.spec.pod_selector.matches(&workload.labels)
        };
        Self {
            workload,
            policies: policies.iter().copied().filter(isolates).collect(),
        }
    }

    /// The policies that make it narrow.
    pub(crate) fn policies(&self) -> Vec<ObjectRef> {
        self.policies
            .iter()
            .map(|policy| policy.reference())
            .collect()
    }

    /// Whether somebody may come to a port as it is, outside of the tunnel. A port by a name that no
    /// container declares may be any.
    pub(crate) fn admits(&self, port: u16) -> bool {
        self.any(|rule| {
            let mut ports = rule.ports.iter();
            rule.ports.is_empty()
                || ports.any(|one| one.admits_tcp(port.into()) || self.may_name(one, port))
        })
    }

    /// Whether somebody may come through the tunnel: to every port.
    pub(crate) fn admits_tunnel(&self) -> bool {
        self.any(admits_hbone)
    }

    fn any(&self, admits: impl Fn(&PolicyRule) -> bool) -> bool {
        let mut rules = self.policies.iter().flat_map(|policy| &policy.spec.ingress);
        self.policies.is_empty() || rules.any(admits)
    }

    fn may_name(&self, admitted: &PolicyPort, port: u16) -> bool {
        let Some(IntOrString::String(name)) = &admitted.port else {
            return false;
        };
        let declared = self.workload.containers.iter().flat_map(|one| &one.ports);
        let mut numbers = declared
            .filter(|declared| declared.name == *name)
            .map(|declared| declared.container_port)
            .peekable();
        admitted.is_tcp() && (numbers.peek().is_none() || numbers.any(|number| number == port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Input, InventoryBuilder};
    use crate::mesh::Mesh;

    #[test]
    fn it_is_what_any_rule_of_any_policy_admits() {
        let numbers =
            "[{ports: [{port: 8080}, {port: 9000, endPort: 9002}, {port: 53, protocol: UDP}]}]";
        for (ingress, admitted, refused, tunnel) in [
            ("[]", &[][..], &[1, 8080][..], false),
            (numbers, &[8080, 9001], &[1, 53, 8999, 9003], false),
            ("[{ports: [{port: http}]}]", &[8080], &[1, 9001], false),
            ("[{ports: [{port: unknown}]}]", &[1, 8080], &[], false),
            (
                "[{ports: [{port: 8080}, {port: 15008}]}]",
                &[8080],
                &[1],
                true,
            ),
            ("[{from: [{podSelector: {}}]}]", &[1, 8080], &[], true),
        ] {
            let mut builder = InventoryBuilder::new(Input::Manifests, "default");
            let text = format!(
                "
apiVersion: apps/v1
kind: Deployment
metadata: {{name: pay, namespace: shop}}
spec:
  template:
    metadata: {{labels: {{app: pay}}}}
    spec: {{containers: [{{name: pay, ports: [{{name: http, containerPort: 8080}}]}}]}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: pay, namespace: shop}}
spec: {{podSelector: {{matchLabels: {{app: pay}}}}, ingress: {ingress}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: other, namespace: shop}}
spec: {{podSelector: {{matchLabels: {{app: other}}}}, ingress: [{{}}]}}
"
            );
            builder.file("shop.yaml", text);
            let mesh = Mesh::new(builder.finish());
            let policies = mesh.all::<NetworkPolicy>();
            let policies: Vec<&NetworkPolicy> = policies.iter().map(|one| &one.value).collect();
            let entrance = Entrance::of(mesh.workloads().first().unwrap(), &policies);
            for (ports, expected) in [(admitted, true), (refused, false)] {
                for port in ports {
                    assert_eq!(entrance.admits(*port), expected, "{ingress}: {port}");
                }
            }
            assert_eq!(entrance.admits_tunnel(), tunnel, "{ingress}");
        }
    }
}
