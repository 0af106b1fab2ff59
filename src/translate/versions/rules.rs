//! DestinationRules: what of them a waypoint does not do
//! (`pilot/pkg/networking/core/cluster_waypoint.go`, `buildWaypointInboundVIPCluster`).

use serde_json::{Map, Value};

use super::traffic_policy::without_istio_mutual;
use crate::inventory::Object;
use crate::kinds::complete;
use crate::kinds::path::field;
use crate::kinds::service_entry::ServiceEntry;
use crate::kinds::traffic::{ClientTlsMode, DestinationRule, PortPolicy, TrafficPolicy};
use crate::kinds::{FieldPath, ObjectRef, Resource};
use crate::mesh::hosts::{Host, resolve};
use crate::mesh::services::Service;
use crate::translate::fidelity::{Remark, Weight};
use crate::translate::{Draft, Ground, Phase, Topic};
use crate::waypoint::traffic_policy;

pub(super) fn translate(ground: &Ground<'_>, draft: &mut Draft) {
    for namespace in ground.namespaces {
        for rule in ground.mesh.within::<DestinationRule>(namespace) {
            Case::new(ground, rule).translate(draft);
        }
    }
}

struct Case<'g> {
    ground: &'g Ground<'g>,
    rule: &'g Object<DestinationRule>,
    object: ObjectRef,
    services: &'g [Service],
    /// Whether its host is one of a ServiceEntry whose waypoint follows it.
    outside: bool,
}

impl<'g> Case<'g> {
    fn new(ground: &'g Ground<'g>, rule: &'g Object<DestinationRule>) -> Self {
        let home = &rule.metadata.namespace;
        let services = ground.mesh.services_of_host(&rule.spec.host, home);
        Self {
            ground,
            rule,
            object: rule.reference(),
            services,
            outside: services.is_empty() && is_served_outside(ground, rule),
        }
    }

    fn translate(&self, draft: &mut Draft) {
        draft.look(&self.object);
        let whole = self.ground.mesh.inventory().whole(&self.object);
        let whole = match whole.map(|json| complete::DestinationRule::from_json(&json)) {
            Some(Ok(whole)) => whole,
            Some(Err(error)) => {
                let remark = Remark::new(
                    Topic::Invalid,
                    Weight::Refused,
                    error.path,
                    format!("cannot be read: {}", error.message),
                );
                draft.remark(&self.object, remark);
                return;
            }
            None => return,
        };
        for unknown in whole.unknown {
            let says = "is no field of a DestinationRule that is known here";
            let remark = Remark::new(Topic::Invalid, Weight::Refused, unknown, says)
                .remedy("take it out, or use a release that knows it");
            draft.remark(&self.object, remark);
        }
        if self.rule.spec.workload_selector.is_some() {
            self.lost(draft, field!["spec", "workloadSelector"], "it is for certain client pods, which a waypoint cannot tell apart: no waypoint follows it");
        } else {
            self.place(draft);
        }
        for (at, policy) in self.policies() {
            self.tls(&at, policy, draft);
            self.balancing(&at, policy, draft);
        }
        self.take_out_istio_mutual(&whole.spec, draft);
    }

    /// The rule's policies, its own and those of subsets.
    fn policies(&self) -> Vec<(FieldPath, &TrafficPolicy)> {
        let spec = &self.rule.spec;
        let mut policies = vec![(field!["spec", "trafficPolicy"], &spec.traffic_policy)];
        for (position, subset) in spec.subsets.iter().enumerate() {
            let at = field!["spec", "subsets", position, "trafficPolicy"];
            policies.push((at, &subset.traffic_policy));
        }
        policies
    }

    fn remark(&self, draft: &mut Draft, remark: Remark) {
        draft.remark(&self.object, remark);
    }

    fn lost(&self, draft: &mut Draft, field: FieldPath, says: impl Into<String>) {
        if traffic_policy(self.rule).is_some() {
            let remark = Remark::new(Topic::DestinationPolicy, Weight::Stated, field, says);
            self.remark(draft, remark);
        }
    }

    /// The Services of the host that a waypoint takes care of, for which this rule is looked up.
    fn served(&self) -> impl Iterator<Item = &Service> {
        let home = &self.rule.metadata.namespace;
        let root = self.ground.mesh.root_namespace();
        self.services.iter().filter(move |service| {
            let bound = self.ground.waypoints.serving(&service.object);
            bound.is_some_and(|bound| {
                *home == service.object.namespace
                    || *home == bound.waypoint.namespace
                    || home == root
            })
        })
    }

    /// Whether a waypoint follows the rule.
    fn is_served(&self) -> bool {
        self.outside || self.served().next().is_some()
    }

    /// Whether anybody follows the rule once its callers are ambient.
    fn place(&self, draft: &mut Draft) {
        let Some(evidence) = traffic_policy(self.rule) else {
            return;
        };
        if self.is_served() {
            return;
        }
        let home = &self.rule.metadata.namespace;
        let translated = |service: &&Service| self.ground.translates(&service.object.namespace);
        if let Some(service) = self.services.iter().find(|service| !translated(service)) {
            let object = &service.object;
            let says = format!(
                "sidecars of {home} follow it when they call {object}; a waypoint follows rules of the Service's namespace, and ztunnel none: {} is lost",
                evidence.what
            );
            let remark = Remark::new(Topic::CallersRules, Weight::Stated, evidence.field, says)
                .remedy(format!("move it to namespace {}", object.namespace));
            self.remark(draft, remark);
        } else if let (true, Host::Service { namespace, name }) = (
            self.services.is_empty(),
            resolve(&self.rule.spec.host, home),
        ) {
            let says = format!(
                "{} means Service/{name} -n {namespace}, which was not found: without a waypoint for it nobody follows the \
                 rule, and {} is lost",
                self.rule.spec.host, evidence.what
            );
            let remark = Remark::new(
                Topic::DestinationPolicy,
                Weight::Stated,
                evidence.field,
                says,
            )
            .remedy("give the Service together with it, or delete it");
            self.remark(draft, remark);
        } else if self.services.is_empty() {
            let says = format!(
                "{} is no Service here: without a waypoint for it nobody follows the rule, and {} is lost",
                self.rule.spec.host, evidence.what
            );
            let remark = Remark::new(Topic::DestinationPolicy, Weight::Stated, evidence.field, says)
                .remedy("bind the ServiceEntry of the host to a waypoint by the label istio.io/use-waypoint");
            self.remark(draft, remark);
        } else {
            let names: Vec<String> = self.services.iter().map(|s| s.object.short()).collect();
            let says = format!(
                "{} stands behind no waypoint: nobody follows the rule, and {} is lost",
                names.join(", "),
                evidence.what
            );
            let remark = Remark::new(
                Topic::DestinationPolicy,
                Weight::Stated,
                evidence.field,
                says,
            );
            self.remark(draft, remark);
        }
    }

    fn tls(&self, at: &FieldPath, policy: &TrafficPolicy, draft: &mut Draft) {
        let own = std::iter::once((at.then("tls"), policy.tls));
        let ports = policy.port_level_settings.iter().enumerate();
        let ports = ports.map(|(position, port)| {
            let at = at.then("portLevelSettings").then(position).then("tls");
            (at, port.tls)
        });
        let is_served = self.is_served();
        for (field, tls) in own.chain(ports) {
            let Some(tls) = tls else { continue };
            let in_mesh = !self.services.is_empty();
            let remark = |weight: Weight, says: String| {
                Remark::new(Topic::DestinationTls, weight, field.clone(), says)
            };
            match tls.mode {
                ClientTlsMode::IstioMutual if in_mesh => self.remark(
                    draft,
                    remark(
                        Weight::Form,
                        "is taken out: clients use HBONE with pods that take it, and Istio's mutual TLS with others, without being told".to_owned(),
                    ),
                ),
                ClientTlsMode::Disable if in_mesh => self.remark(
                    draft,
                    remark(
                        Weight::Stated,
                        "no longer holds: between ambient pods everything is encrypted, and identities are seen".to_owned(),
                    ),
                ),
                ClientTlsMode::Simple | ClientTlsMode::Mutual if !is_served => {
                    let says = format!(
                        "callers in ambient mode send no TLS to {} of their own: without a waypoint for it nobody does what {} asks for",
                        self.rule.spec.host,
                        tls.mode.written()
                    );
                    let remedy = "bind the Service or ServiceEntry to a waypoint, which sends TLS as the rule says, or let the application do it";
                    self.remark(draft, remark(Weight::Refused, says).remedy(remedy));
                }
                _ => {}
            }
        }
    }

    fn balancing(&self, at: &FieldPath, policy: &TrafficPolicy, draft: &mut Draft) {
        let zone_aware = |own: Option<crate::kinds::traffic::LoadBalancer>| {
            own.is_some_and(|balancer| balancer.zone_aware)
        };
        let port = |port: &PortPolicy| zone_aware(port.load_balancer);
        if zone_aware(policy.load_balancer) || policy.port_level_settings.iter().any(port) {
            let field = at.then("loadBalancer").then("zoneAwareLbSetting");
            let says = "waypoints do not know it: endpoints of the caller's zone are not preferred";
            let remark = Remark::new(Topic::DestinationPolicy, Weight::Stated, field, says).remedy(
                "set `trafficDistribution: PreferSameZone` on the Service, or localityLbSetting",
            );
            self.remark(draft, remark);
        }
    }

    /// Older sidecars and gateways speak Istio's own mutual TLS to ambient pods because of it.
    fn take_out_istio_mutual(&self, spec: &complete::DestinationRuleSpec, draft: &mut Draft) {
        if self.services.is_empty() {
            return;
        }
        let mut patch = Map::new();
        if let Some(change) = change_of(spec.traffic_policy.as_ref()) {
            patch.insert("trafficPolicy".to_owned(), change);
        }
        let changed = |subset: &complete::Subset| {
            let policy = subset.traffic_policy.as_ref();
            policy.is_some_and(|policy| without_istio_mutual(policy).as_ref() != Some(policy))
        };
        if spec.subsets.iter().any(changed) {
            let subsets = spec.subsets.iter().cloned().map(|mut subset| {
                subset.traffic_policy = subset
                    .traffic_policy
                    .and_then(|policy| without_istio_mutual(&policy));
                serde_json::to_value(subset).unwrap_or_default()
            });
            patch.insert("subsets".to_owned(), Value::Array(subsets.collect()));
        }
        if !patch.is_empty() {
            let patch = serde_json::json!({"spec": patch});
            draft.patch(Phase::Prepare, &self.object, patch, &[&self.object]);
        }
    }
}

/// Whether a rule's host is one of a ServiceEntry that is bound to a waypoint which takes rules of its
/// namespace.
fn is_served_outside(ground: &Ground<'_>, rule: &Object<DestinationRule>) -> bool {
    let home = &rule.metadata.namespace;
    let mut entries = ground.mesh.all::<ServiceEntry>().iter();
    entries.any(|entry| {
        let own = &entry.metadata.namespace;
        let of_host = entry.spec.hosts.contains(&rule.spec.host);
        of_host
            && ground
                .mesh
                .entry_binding(entry)
                .usable()
                .is_some_and(|waypoint| {
                    home == own
                        || *home == waypoint.namespace
                        || home == ground.mesh.root_namespace()
                })
    })
}

/// The merge patch that takes `ISTIO_MUTUAL` out of a policy; nothing where it is not in it.
fn change_of(policy: Option<&Value>) -> Option<Value> {
    let before = policy?;
    let Some(after) = without_istio_mutual(before) else {
        return Some(Value::Null);
    };
    if after == *before {
        return None;
    }
    let mut patch = Map::new();
    for (key, value) in before.as_object()? {
        match after.get(key) {
            Some(kept) if kept == value => {}
            Some(changed) => {
                patch.insert(key.clone(), changed.clone());
            }
            None => {
                patch.insert(key.clone(), Value::Null);
            }
        }
    }
    Some(Value::Object(patch))
}
