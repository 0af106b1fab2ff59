//! In which order workloads are switched: who calls before who is called.
//!
//! A caller that still has its sidecar goes past the waypoint of a workload that has none
//! (`pilot/pkg/networking/core`, sidecars send to pods), so it is moved first. Who calls is known only where a
//! policy names it.

use std::collections::BTreeSet;

use crate::kinds::authorization::{Action, AuthorizationPolicy};
use crate::kinds::{Name, ObjectRef};
use crate::mesh::Mesh;
use crate::mesh::workloads::Workload;
use crate::semantics::identity::{Identity, matches_caller, names_callers};

/// Workloads that may be switched side by side, and those that call each other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// In the order of switching.
    pub(super) waves: Vec<Vec<ObjectRef>>,
    /// Workloads that policies let call each other in a circle: whoever goes first is called past the
    /// waypoint by the others for a while.
    pub(super) circles: Vec<Vec<ObjectRef>>,
}

/// The order of some workloads of a namespace.
pub(super) fn of(mesh: &Mesh, namespace: &Name, workloads: &[&Workload]) -> Order {
    let callers: Vec<BTreeSet<usize>> = workloads
        .iter()
        .map(|called| callers(mesh, namespace, called, workloads))
        .collect();
    let components = components(&callers);
    let mut depth = vec![0_usize; components.len()];
    let of_workload = |workload: usize| {
        let found = components
            .iter()
            .position(|members| members.contains(&workload));
        found.unwrap_or_default()
    };
    // Components come callers first, so those of a component are known before it.
    for (at, members) in components.iter().enumerate() {
        let before = members
            .iter()
            .flat_map(|member| &callers[*member])
            .map(|caller| of_workload(*caller))
            .filter(|component| *component != at)
            .map(|component| depth[component] + 1);
        depth[at] = before.max().unwrap_or(0);
    }
    let mut order = Order::default();
    for (members, depth) in components.iter().zip(&depth) {
        let named: Vec<ObjectRef> = members
            .iter()
            .map(|m| workloads[*m].object.clone())
            .collect();
        if order.waves.len() <= *depth {
            order.waves.resize_with(depth + 1, Vec::new);
        }
        order.waves[*depth].extend(named.iter().cloned());
        let calls_itself = members
            .iter()
            .any(|member| callers[*member].contains(member));
        if named.len() > 1 || calls_itself {
            order.circles.push(named);
        }
    }
    for wave in &mut order.waves {
        wave.sort();
    }
    for circle in &mut order.circles {
        circle.sort();
    }
    order
}

/// The workloads that policies name as callers of one of them.
fn callers(
    mesh: &Mesh,
    namespace: &Name,
    called: &Workload,
    workloads: &[&Workload],
) -> BTreeSet<usize> {
    let selects = |policy: &&AuthorizationPolicy| {
        let selector = policy.spec.selector.as_ref();
        policy.spec.action == Action::Allow
            && selector.is_none_or(|s| {
                s.match_labels
                    .iter()
                    .all(|(key, value)| called.labels.has(key, value))
            })
    };
    let policies: Vec<&AuthorizationPolicy> = mesh
        .within::<AuthorizationPolicy>(namespace)
        .iter()
        .map(|policy| &**policy)
        .filter(selects)
        .collect();
    let calls = |caller: &Workload| {
        let identity = Identity {
            trust_domain: mesh.trust_domain().to_owned(),
            namespace: caller.object.namespace.clone(),
            service_account: caller.service_account.clone(),
        };
        let mut rules = policies.iter().flat_map(|policy| &policy.spec.rules);
        rules.any(|rule| names_callers(rule) && matches_caller(rule, namespace, &identity))
    };
    // A rule for a whole namespace names a workload among others; one for its account means it.
    let names_itself = || {
        let account = &called.service_account;
        let exact = [
            format!("{}/ns/{namespace}/sa/{account}", mesh.trust_domain()),
            format!("cluster.local/ns/{namespace}/sa/{account}"),
            format!("{namespace}/{account}"),
        ];
        let rules = policies.iter().flat_map(|policy| &policy.spec.rules);
        let mut sources = rules.flat_map(|rule| &rule.from).map(|from| &from.source);
        sources.any(|source| {
            let mut fields = source.0.iter();
            fields.any(|(field, values)| {
                matches!(field.as_str(), "principals" | "serviceAccounts")
                    && values.iter().any(|value| exact.contains(value))
            })
        })
    };
    let others = workloads.iter().enumerate();
    let others = others.filter(|(_, caller)| {
        let itself = caller.object == called.object;
        if itself {
            names_itself()
        } else {
            calls(caller)
        }
    });
    others.map(|(at, _)| at).collect()
}

/// The strongly connected components of a graph that is given by each one's predecessors, predecessors
/// first (Tarjan).
fn components(before: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    struct Search<'g> {
        before: &'g [BTreeSet<usize>],
        index: Vec<Option<usize>>,
        low: Vec<usize>,
        open: Vec<usize>,
        next: usize,
        found: Vec<Vec<usize>>,
    }
    impl Search<'_> {
        fn visit(&mut self, at: usize) {
            self.index[at] = Some(self.next);
            self.low[at] = self.next;
            self.next += 1;
            self.open.push(at);
            for one in &self.before[at] {
                match self.index[*one] {
                    None => {
                        self.visit(*one);
                        self.low[at] = self.low[at].min(self.low[*one]);
                    }
                    Some(index) if self.open.contains(one) => {
                        self.low[at] = self.low[at].min(index);
                    }
                    Some(_) => {}
                }
            }
            if Some(self.low[at]) == self.index[at] {
                let start = self
                    .open
                    .iter()
                    .position(|one| *one == at)
                    .unwrap_or_default();
                let mut members = self.open.split_off(start);
                members.sort_unstable();
                self.found.push(members);
            }
        }
    }
    let mut search = Search {
        before,
        index: vec![None; before.len()],
        low: vec![0; before.len()],
        open: Vec::new(),
        next: 0,
        found: Vec::new(),
    };
    for at in 0..before.len() {
        if search.index[at].is_none() {
            search.visit(at);
        }
    }
    search.found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_come_before_whom_they_call() {
        let before = |list: &[&[usize]]| -> Vec<BTreeSet<usize>> {
            list.iter()
                .map(|set| set.iter().copied().collect())
                .collect()
        };
        // 0 is called by 1, 1 by 2; 3 and 4 call each other, and 4 is called by 0.
        let graph = before(&[&[1], &[2], &[], &[4], &[3, 0]]);
        assert_eq!(components(&graph), [vec![2], vec![1], vec![0], vec![3, 4]]);
    }
}
