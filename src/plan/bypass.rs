//! Callers that go past a waypoint while they have sidecars: their requests are not judged by it.
//!
//! A sidecar sends to pods, never to a waypoint (`pilot/pkg/networking/core`). Who calls is known only from what
//! policies and routes name; everybody else whom no rule excludes is counted.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::build::{Ground, switch_name};
use super::order::Order;
use super::step::{Step, StepId};
use super::write::{Planned, Write};
use crate::kinds::authorization::{Action, AuthorizationPolicy, Rule};
use crate::kinds::{ObjectRef, Resource};
use crate::mesh::injection::NamespaceInjection;
use crate::mesh::waypoints::INGRESS_USE_WAYPOINT;
use crate::mesh::workloads::{Role, Workload};
use crate::semantics::authorization::is_dry_run;
use crate::semantics::identity::{Identity, matches_caller, names_callers};
use crate::waypoint::{self, Feature, NamespaceNeed};

/// A workload whose requests a waypoint has to judge, and who goes past it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bypass {
    /// The workload that is called.
    pub called: ObjectRef,
    /// The step from which on its own pods judge no requests.
    pub from: StepId,
    /// What judges requests to it.
    pub rules: Vec<ObjectRef>,
    /// Callers that policies or routes name, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<Bypasser>,
    /// Others that have sidecars, where a rule admits anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub possible: Option<Possible>,
}

/// A caller that is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bypasser {
    /// Who: a workload, a principal, gateways.
    pub who: String,
    /// What names it.
    pub because: String,
    /// The step from which on it comes through the waypoint; nothing when this move does not bring it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<StepId>,
}

/// Callers that nothing names and nothing excludes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Possible {
    /// Workloads of the namespace that have sidecars at that time.
    pub workloads: usize,
    /// Other namespaces in which sidecars are injected.
    pub namespaces: usize,
}

/// Who goes past a waypoint in a plan, by the workload that is called.
pub(super) fn bypasses(ground: &Ground<'_>, order: &Order, steps: &[Step]) -> Vec<Bypass> {
    let workloads = ground.mesh.workloads_in(ground.namespace).iter();
    let need = waypoint::assess(ground.mesh, ground.namespace);
    let of = |called: &Workload| Called::of(ground, (order, steps), &need, called)?.bypass();
    workloads.filter_map(of).collect()
}

/// A workload that is switched, and whose requests are judged.
struct Called<'a> {
    ground: &'a Ground<'a>,
    steps: &'a [Step],
    workload: &'a Workload,
    wave: usize,
    order: &'a Order,
    rules: BTreeSet<ObjectRef>,
    allows: Vec<&'a AuthorizationPolicy>,
}

impl<'a> Called<'a> {
    fn of(
        ground: &'a Ground<'a>,
        (order, steps): (&'a Order, &'a [Step]),
        need: &NamespaceNeed,
        workload: &'a Workload,
    ) -> Option<Self> {
        let wave = wave_of(order, &workload.object)?;
        let rules = judging(ground, need, workload);
        if rules.is_empty() {
            return None;
        }
        let selects = |policy: &&AuthorizationPolicy| {
            let mut wanted = policy
                .spec
                .selector
                .iter()
                .flat_map(|s| s.match_labels.iter());
            policy.spec.action == Action::Allow
                && !is_dry_run(&policy.metadata)
                && wanted.all(|(key, value)| workload.labels.has(key, value))
        };
        let policies = ground.mesh.within::<AuthorizationPolicy>(ground.namespace);
        Some(Self {
            ground,
            steps,
            workload,
            wave,
            order,
            rules,
            allows: policies
                .iter()
                .map(|policy| &**policy)
                .filter(selects)
                .collect(),
        })
    }

    fn bypass(&self) -> Option<Bypass> {
        let mut callers = BTreeSet::new();
        let mut others = 0;
        for caller in self.staying() {
            match self.names(caller) {
                Some(because) => {
                    callers.insert(Bypasser {
                        who: caller.object.short(),
                        because,
                        until: wave_of(self.order, &caller.object).map(|_| self.switch(caller)),
                    });
                }
                None if self.admits_anybody() => others += 1,
                None => {}
            }
        }
        self.elsewhere(&mut callers);
        self.gateways(&mut callers);
        let possible = Possible {
            workloads: others,
            namespaces: self.injecting(),
        };
        let possible = (self.admits_anybody()
            && possible
                != Possible {
                    workloads: 0,
                    namespaces: 0,
                })
        .then_some(possible);
        (!callers.is_empty() || possible.is_some()).then(|| Bypass {
            called: self.workload.object.clone(),
            from: self.switch(self.workload),
            rules: self.rules.iter().cloned().collect(),
            callers: callers.into_iter().collect(),
            possible,
        })
    }

    /// The step in which a workload loses its sidecars.
    fn switch(&self, workload: &Workload) -> StepId {
        StepId::Switch(switch_name(self.ground.mesh, &workload.object))
    }

    /// The workloads of the namespace that still have sidecars when this one has none.
    fn staying(&self) -> impl Iterator<Item = &Workload> {
        let all = self.ground.mesh.workloads_in(self.ground.namespace).iter();
        all.filter(|caller| {
            let moved = wave_of(self.order, &caller.object);
            let later = moved.is_none_or(|wave| wave >= self.wave);
            caller.has_sidecar()
                && caller.role == Role::Application
                && caller.object != self.workload.object
                && later
        })
    }

    /// The policy that names a caller.
    fn names(&self, caller: &Workload) -> Option<String> {
        let identity = Identity {
            trust_domain: self.ground.mesh.trust_domain().to_owned(),
            namespace: caller.object.namespace.clone(),
            service_account: caller.service_account.clone(),
        };
        let named = |rule: &Rule| {
            names_callers(rule) && matches_caller(rule, self.ground.namespace, &identity)
        };
        let mut allows = self.allows.iter();
        let policy = allows.find(|policy| policy.spec.rules.iter().any(named))?;
        Some(policy.reference().short())
    }

    /// Whether someone is admitted whom nothing names.
    fn admits_anybody(&self) -> bool {
        let mut rules = self.allows.iter().flat_map(|policy| &policy.spec.rules);
        self.allows.is_empty() || rules.any(|rule| !names_callers(rule))
    }

    /// Identities of other namespaces that rules name.
    fn elsewhere(&self, callers: &mut BTreeSet<Bypasser>) {
        let home = self.ground.namespace;
        let own = |value: &str| {
            value == &**home
                || value.starts_with(&format!("{home}/"))
                || value.contains(&format!("/ns/{home}/"))
        };
        for policy in &self.allows {
            let sources = policy.spec.rules.iter().flat_map(|rule| &rule.from);
            for (field, values) in sources.flat_map(|from| &from.source.0) {
                let positive = matches!(
                    field.as_str(),
                    "principals" | "serviceAccounts" | "namespaces"
                );
                for value in values.iter().filter(|value| positive && !own(value)) {
                    callers.insert(Bypasser {
                        who: format!("{field} {value}"),
                        because: policy.reference().short(),
                        until: None,
                    });
                }
            }
        }
    }

    /// Gateways whose routes lead to it, unless they are told to use the waypoint.
    fn gateways(&self, callers: &mut BTreeSet<Bypasser>) {
        let mesh = self.ground.mesh;
        for service in mesh.services_of(self.workload) {
            if uses_waypoint(self.steps, &service.object) {
                continue;
            }
            for route in mesh.gateway_routes(service) {
                callers.insert(Bypasser {
                    who: "gateways".to_owned(),
                    because: route.reference().short(),
                    until: None,
                });
            }
        }
    }

    /// How many other namespaces have sidecars injected.
    fn injecting(&self) -> usize {
        let all = self.ground.mesh.namespaces();
        let injecting = all.filter(|one| {
            one.name != *self.ground.namespace
                && matches!(one.injection, NamespaceInjection::Revision(_))
        });
        injecting.count()
    }
}

/// When a workload loses its sidecars; nothing when it keeps them.
fn wave_of(order: &Order, workload: &ObjectRef) -> Option<usize> {
    order.waves.iter().position(|wave| wave.contains(workload))
}

/// What judges requests to a workload.
fn judging(ground: &Ground<'_>, need: &NamespaceNeed, workload: &Workload) -> BTreeSet<ObjectRef> {
    let in_front: BTreeSet<&ObjectRef> = ground
        .mesh
        .services_of(workload)
        .map(|service| &service.object)
        .collect();
    let services = need.services.iter();
    services
        .filter(|one| in_front.contains(&one.service))
        .flat_map(|one| &one.evidence)
        .filter(|one| matches!(one.feature, Feature::Authorization | Feature::Jwt))
        .map(|one| one.object.clone())
        .collect()
}

/// Whether a plan tells gateways to use the waypoint of a Service.
fn uses_waypoint(steps: &[Step], service: &ObjectRef) -> bool {
    let mut writes = steps.iter().flat_map(Step::writes);
    writes.any(|planned| match planned {
        Planned::Write(Write::Change { object, fields }) if object == service => {
            fields.iter().any(|field| {
                field
                    .path
                    .last()
                    .is_some_and(|key| key == INGRESS_USE_WAYPOINT)
                    && field.after.as_ref().is_some_and(|value| value == "true")
            })
        }
        _ => false,
    })
}
