//! Verdicts, before and after: calls to sidecars by the policies as they were, calls to ambient pods
//! by those of the result, read back from its text.

use std::collections::{BTreeMap, BTreeSet};

use super::CallProof;
use crate::inventory::{Input, Inventory, InventoryBuilder, Listed};
use crate::kinds::authorization::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};
use crate::kinds::path::field;
use crate::kinds::{Kind, Labels, Name, ObjectRef, Resource};
use crate::mesh::injection::INJECT_LABEL;
use crate::mesh::services::Service;
use crate::mesh::workloads::DataPlane;
use crate::semantics::identity::Identity;
use crate::semantics::verdict::{
    Bounds, Callee, Cause, Comparison, Difference, Judge, Pod, Point, Policies, Port, Protocol,
    Scope, Settings, Situation, Target, Through, Verdict, compare,
};
use crate::translate::policies::ports::targets;
use crate::translate::policies::scene::{Member, Scene};
use crate::translate::{Ground, Phase, Remark, Topic, Translation, Weight, written};

/// How a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    /// Through the waypoint, or, where there is none, from ztunnel to ztunnel.
    Service,
    /// From a sidecar, past the waypoint.
    Past,
}

pub(super) fn prove(ground: &Ground<'_>, translation: &mut Translation) -> Vec<CallProof> {
    let settings = Settings::of(&ground.mesh.installation().config);
    let scene = Scene::new(ground, &settings);
    if scene.members.is_empty() {
        return Vec::new();
    }
    let result = Result::of(translation);
    let (authorization, tokens, peers) = (
        result.list::<AuthorizationPolicy>(ground),
        result.list::<RequestAuthentication>(ground),
        result.list::<PeerAuthentication>(ground),
    );
    let after = Policies::new(&settings, authorization, tokens, peers);
    let prover = Prover {
        waypoints: waypoints(&scene),
        scene: &scene,
        after: &after,
    };
    let mut proofs = Vec::new();
    let mut faults = Faults::default();
    for member in &scene.members {
        prover.member(member, &mut proofs, &mut faults);
    }
    faults.tell(translation);
    proofs
}

/// The policies of the result, read back.
struct Result {
    written: Inventory,
    touched: BTreeSet<ObjectRef>,
}

impl Result {
    fn of(translation: &Translation) -> Self {
        const POLICIES: [Kind; 3] = [
            Kind::AuthorizationPolicy,
            Kind::RequestAuthentication,
            Kind::PeerAuthentication,
        ];
        let there = translation.by_the_end_of(Phase::Retire).into_iter();
        let policies = there.filter(|manifest| POLICIES.contains(&manifest.object().kind));
        let mut builder = InventoryBuilder::new(Input::Manifests, "default");
        builder.file("result.yaml", written::stream(policies));
        let touched = translation
            .changes
            .iter()
            .map(|change| change.edit.object().clone());
        Self {
            written: builder.finish(),
            touched: touched.collect(),
        }
    }

    /// The objects of a kind: those that were written, and those that nothing was done to.
    fn list<'r, T: Listed>(&'r self, ground: &'r Ground<'_>) -> Vec<&'r T> {
        let written = T::list(&self.written.objects)
            .iter()
            .map(|object| &object.value);
        let known = ground.mesh.all::<T>().iter().map(|object| &object.value);
        let untouched = known.filter(|object| !self.touched.contains(&object.reference()));
        written.chain(untouched).collect()
    }
}

/// The identities of the waypoints: nobody else has them.
fn waypoints(scene: &Scene<'_>) -> Vec<Identity> {
    let of_mesh = scene
        .ground
        .mesh
        .waypoints()
        .iter()
        .map(|waypoint| &waypoint.object);
    let all: BTreeSet<&ObjectRef> = of_mesh.chain(scene.ground.waypoints.made()).collect();
    all.into_iter()
        .map(|waypoint| scene.identity(waypoint))
        .collect()
}

struct Prover<'p, 'g> {
    scene: &'p Scene<'g>,
    after: &'p Policies<'p>,
    waypoints: Vec<Identity>,
}

impl Prover<'_, '_> {
    /// Compares calls to a workload, by each Service in front of it and past all of them.
    fn member(&self, member: &Member<'_>, proofs: &mut Vec<CallProof>, faults: &mut Faults) {
        let labels = labels_after(member);
        let (from, to) = (
            member.pod(),
            Pod {
                labels: &labels,
                ..member.pod()
            },
        );
        let before = Situation::of(
            callee(from, DataPlane::Sidecar, &self.scene.policies),
            DataPlane::Sidecar,
            None,
        );
        let mode = if member.deferred {
            DataPlane::Sidecar
        } else {
            DataPlane::Ambient
        };
        let there = callee(to, mode, self.after);
        let past = Situation::of(there, DataPlane::Sidecar, None);
        if self.concerns(&before).is_empty() && self.concerns(&past).is_empty() {
            return;
        }
        let workload = &member.workload.object;
        let mesh = self.scene.ground.mesh;
        let mut all_ports = BTreeSet::new();
        for service in mesh.services_of(member.workload) {
            let ports = ports_of(self.scene, service, member);
            let front = member
                .behind
                .iter()
                .find(|front| front.service.object == service.object);
            let versions = self.scene.ground.versions.of_service(&service.object);
            let called: Vec<&ObjectRef> = match front {
                Some(_) => std::iter::once(&service.object).chain(versions).collect(),
                None => vec![&service.object],
            };
            for called in called {
                let through = front.map(|front| self.through(front.waypoint, called));
                let after = Situation::of(there, DataPlane::Ambient, through.as_ref());
                let found = self.compared(&before, &after, &ports);
                let concerns = self.both(&before, &after);
                faults.note(Arrival::Service, &concerns, &found);
                proofs.push(CallProof {
                    workload: workload.clone(),
                    service: Some(called.clone()),
                    concerns,
                    comparison: found,
                });
            }
            all_ports.extend(ports.iter().map(|port| Port {
                service: None,
                ..*port
            }));
        }
        let declared: BTreeSet<u16> = all_ports.iter().map(|port| port.pod).collect();
        let mut others = before.named_ports();
        others.extend(past.named_ports());
        others.insert(
            (1..)
                .find(|port| !others.contains(port) && !declared.contains(port))
                .unwrap_or(1),
        );
        let others = others.into_iter().filter(|port| !declared.contains(port));
        all_ports.extend(others.map(Port::undeclared));
        let ports: Vec<Port> = all_ports.into_iter().collect();
        // Who is refused here is told of by the guard; nobody may be let through.
        let found = opened(self.compared(&before, &past, &ports));
        let concerns = self.both(&before, &past);
        faults.note(Arrival::Past, &concerns, &found);
        proofs.push(CallProof {
            workload: workload.clone(),
            service: None,
            concerns,
            comparison: found,
        });
    }

    fn through<'w>(&'w self, waypoint: &'w ObjectRef, service: &'w ObjectRef) -> Through<'w> {
        Through {
            namespace: &waypoint.namespace,
            name: &waypoint.name,
            identity: self.scene.identity(waypoint),
            target: Some(Target {
                kind: Kind::Service,
                namespace: &service.namespace,
                name: &service.name,
            }),
            policies: self.after,
        }
    }

    fn compared(
        &self,
        before: &Situation<'_>,
        after: &Situation<'_>,
        ports: &[Port],
    ) -> Comparison {
        let scope = Scope {
            ports,
            not_by: &self.waypoints,
        };
        compare(before, after, scope, Bounds::default())
    }

    /// The policies that judge in a situation.
    fn concerns(&self, situation: &Situation<'_>) -> BTreeSet<ObjectRef> {
        let mut all = BTreeSet::new();
        for hop in situation.meshed.iter().chain(&situation.plain) {
            let point = &hop.point;
            all.extend(
                hop.policies
                    .authorization_at(point)
                    .iter()
                    .map(|p| p.reference()),
            );
            all.extend(hop.policies.tokens_at(point).iter().map(|p| p.reference()));
            if let Point::Sidecar(pod) | Point::Ztunnel(pod) = point {
                all.extend(
                    hop.policies
                        .peer_authentications(pod)
                        .map(Resource::reference),
                );
            }
        }
        all
    }

    fn both(&self, before: &Situation<'_>, after: &Situation<'_>) -> Vec<ObjectRef> {
        let mut all = self.concerns(before);
        all.extend(self.concerns(after));
        all.into_iter().collect()
    }
}

fn callee<'m>(pod: Pod<'m>, mode: DataPlane, policies: &'m Policies<'m>) -> Callee<'m> {
    Callee {
        pod,
        mode,
        takes_hbone: true,
        policies,
    }
}

/// The labels of a workload's pods in the end.
fn labels_after(member: &Member<'_>) -> Labels {
    if member.deferred {
        return member.labels.clone();
    }
    let mut pairs = member.workload.labels.pairs().to_vec();
    pairs.push((Name::from(INJECT_LABEL), Name::from("false")));
    Labels::from_pairs(pairs)
}

/// The ports of a Service, as far as they lead to a workload.
fn ports_of(scene: &Scene<'_>, service: &Service, member: &Member<'_>) -> Vec<Port> {
    let mut ports = Vec::new();
    for port in &scene.ground.mesh.spec(service).ports {
        // A port by a name that nobody declares is taken to be the Service's own.
        let pods = targets(port, [member.workload]).unwrap_or_else(|| BTreeSet::from([port.port]));
        ports.extend(pods.into_iter().map(|pod| Port {
            service: Some(port.port),
            pod,
            protocol: Protocol::declared(port.port, &port.name, &port.app_protocol),
        }));
    }
    ports.sort();
    ports.dedup();
    ports
}

/// A comparison with those differences alone that let something through.
fn opened(mut found: Comparison) -> Comparison {
    found.differences.retain(Difference::opens);
    found.undecided.retain(Difference::opens);
    found.differing = found.differences.len();
    found
}

/// What the comparisons found fault with, by policy.
#[derive(Default)]
struct Faults {
    opened: BTreeMap<(ObjectRef, Arrival), Fault>,
    refused: BTreeMap<(ObjectRef, Arrival), Fault>,
}

struct Fault {
    count: usize,
    topic: Topic,
    says: String,
}

impl Faults {
    fn note(&mut self, arrival: Arrival, concerns: &[ObjectRef], found: &Comparison) {
        for difference in found.differences.iter().chain(&found.undecided) {
            let opens = difference.opens();
            let (list, verdict) = if opens {
                (&mut self.opened, &difference.before)
            } else {
                (&mut self.refused, &difference.after)
            };
            let topic = topic_of(verdict);
            for policy in blamed(difference, concerns, opens) {
                let fault = list.entry((policy, arrival)).or_insert_with(|| Fault {
                    count: 0,
                    topic,
                    says: difference.to_string(),
                });
                fault.count += 1;
            }
        }
    }

    /// Adds to the treatments what nothing that is said there covers.
    fn tell(self, translation: &mut Translation) {
        let mut positions = BTreeMap::new();
        let mut sources: BTreeMap<ObjectRef, Vec<usize>> = BTreeMap::new();
        for (position, treatment) in translation.treatments.iter().enumerate() {
            positions.insert(treatment.object.clone(), position);
            for made in &treatment.becomes {
                sources.entry(made.clone()).or_default().push(position);
            }
        }
        let opened = self
            .opened
            .into_iter()
            .map(|fault| (Weight::Refused, fault));
        let refused = self.refused.into_iter().map(|fault| (Weight::Lossy, fault));
        for (weight, ((policy, arrival), fault)) in opened.chain(refused) {
            let own = positions.get(&policy).copied().into_iter();
            let made_of = sources.get(&policy).into_iter().flatten().copied();
            let objects: BTreeSet<usize> = own.chain(made_of).collect();
            for position in objects {
                let treatment = &mut translation.treatments[position];
                if covers(&treatment.remarks, weight, arrival) {
                    continue;
                }
                let what = match weight {
                    Weight::Refused => "would be let through",
                    _ => "would be treated otherwise",
                };
                let more = match fault.count {
                    1 => String::new(),
                    count => format!(" (and {} more)", count - 1),
                };
                let says = format!(
                    "the comparison finds calls that {what}: {}{more}",
                    fault.says
                );
                let remark = Remark::new(fault.topic, weight, field!["spec"], says);
                treatment.remarks.push(remark);
            }
        }
    }
}

/// Whether what is said of a policy already tells of a difference.
fn covers(remarks: &[Remark], weight: Weight, arrival: Arrival) -> bool {
    remarks.iter().any(|remark| match (weight, remark.weight) {
        (_, Weight::Refused) => true,
        (Weight::Refused, Weight::Lossy) => {
            arrival == Arrival::Past && remark.topic == Topic::Guard
        }
        (Weight::Refused, _) => false,
        (_, Weight::Lossy) => true,
        (_, Weight::Stated) => matches!(remark.topic, Topic::Guard | Topic::PlainText),
        (_, Weight::Form | Weight::Kept) => false,
    })
}

/// The policies on whose account a call is let through, or refused.
fn blamed(difference: &Difference, concerns: &[ObjectRef], opens: bool) -> Vec<ObjectRef> {
    let verdict = if opens {
        &difference.before
    } else {
        &difference.after
    };
    let named = match verdict {
        Verdict::Denied(reason) => match &reason.cause {
            Cause::Rule(rule) | Cause::NoProvider(rule) => Some(rule.policy.clone()),
            Cause::PlainText(policy) => policy.clone(),
            _ => None,
        },
        _ => None,
    };
    match named {
        Some(policy) => vec![policy],
        None => concerns.to_vec(),
    }
}

/// What a difference is about.
fn topic_of(verdict: &Verdict) -> Topic {
    match verdict {
        Verdict::Denied(reason) => match (&reason.cause, reason.judge) {
            (Cause::Rule(_), Judge::Ztunnel) => Topic::Guard,
            (Cause::Rule(_), _) => Topic::DenyWithL7,
            (Cause::NoneAdmits | Cause::NotHttp, _) => Topic::AllowWithL7,
            (Cause::PlainText(_), _) => Topic::PlainText,
            (Cause::TrustDomain, _) => Topic::TrustDomain,
            (Cause::Token, _) => Topic::Tokens,
            (Cause::NoProvider(_), _) => Topic::CustomOrAudit,
        },
        Verdict::Asks(..) => Topic::CustomOrAudit,
        Verdict::Allowed(_) | Verdict::Undecided(_) => Topic::AllowWithL7,
    }
}
