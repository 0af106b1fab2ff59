//! Who may connect: by the NetworkPolicies as they were, and by those of the result, read back.
//!
//! A caller of a sidecar connects to the port that it calls. A caller of an ambient pod connects to
//! TCP 15008, of the pod or of the waypoint before it, which connects to the pod in turn; who is not in
//! the mesh calls the port itself. So each way that is there afterwards is compared with the one way of
//! before. Where the network lets more through than it did, that counts if Istio's policies of the
//! result let it through too.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::CallProof;
use super::calls::{Written, callee};
use super::connections::{Doors, Front, Subject, Way};
use crate::kinds::authorization::{AuthorizationPolicy, PeerAuthentication, RequestAuthentication};
use crate::kinds::network_policy::{Direction, NetworkPolicy};
use crate::kinds::path::field;
use crate::kinds::{Kind, Labels, Name, ObjectRef, Resource};
use crate::mesh::Mesh;
use crate::mesh::injection::INJECT_LABEL;
use crate::mesh::workloads::DataPlane;
use crate::semantics::compare::How;
use crate::semantics::identity::Identity;
use crate::semantics::network::{self, Caller, Place, Port, Protocol, Whom, beyond};
use crate::semantics::verdict::{
    self, Bounds, Call, Cause, Comparison, Difference, Judge, Payload, Pod, Policies, Reason,
    Scope, Settings, Situation, Target, Through, Verdict,
};
use crate::translate::policies::scene::identity;
use crate::translate::{Ground, Phase, Remark, Topic, Translation, Weight};

/// Compares who may connect to the workloads of the namespaces that are translated.
pub(super) fn prove(
    ground: &Ground<'_>,
    written: &Mesh,
    translation: &mut Translation,
) -> Vec<CallProof> {
    let result = Written::of(written, translation, Phase::Retire);
    let doors = Doors::of(ground, result.list::<NetworkPolicy>(ground));
    if doors.before.is_empty() && doors.after.is_empty() {
        return Vec::new();
    }
    let settings = Settings::of(&ground.mesh.installation().config);
    let nobody = nobody(&settings);
    let mut proofs = Vec::new();
    let mut faults = Vec::new();
    let prover = Prover {
        after: Policies::new(
            &settings,
            result.list::<AuthorizationPolicy>(ground),
            result.list::<RequestAuthentication>(ground),
            result.list::<PeerAuthentication>(ground),
        ),
        nobody: Policies::new(&settings, [&nobody], [], []),
        not_by: doors
            .waypoints()
            .map(|waypoint| identity(ground, &settings, waypoint))
            .collect(),
        ground,
        settings: &settings,
        doors: &doors,
    };
    for subject in doors.subjects(ground) {
        prover.subject(&subject, &mut proofs, &mut faults);
    }
    tell(translation, ground, faults);
    proofs
}

/// A policy that admits nobody to any workload of the mesh.
fn nobody(settings: &Settings) -> AuthorizationPolicy {
    AuthorizationPolicy {
        metadata: crate::kinds::Meta {
            namespace: settings.root_namespace.clone(),
            ..crate::kinds::Meta::default()
        },
        spec: crate::kinds::authorization::AuthorizationSpec::default(),
    }
}

/// A connection that is let through, or refused, otherwise than before.
struct Fault {
    opens: bool,
    /// The policies on whose account, before or after.
    policies: Vec<ObjectRef>,
    /// What is concerned besides: the Service, and the workload.
    beside: Vec<ObjectRef>,
    says: String,
}

struct Prover<'n, 'g> {
    ground: &'n Ground<'g>,
    settings: &'n Settings,
    doors: &'n Doors<'g>,
    after: Policies<'n>,
    /// Policies that admit nobody.
    nobody: Policies<'n>,
    /// The identities of waypoints: nobody else has them.
    not_by: Vec<Identity>,
}

impl Prover<'_, '_> {
    fn subject(&self, subject: &Subject<'_>, proofs: &mut Vec<CallProof>, faults: &mut Vec<Fault>) {
        if !self.doors.matter(subject) {
            return;
        }
        let mut found = unfound();
        for (port, served) in &subject.ports {
            let mut ways = vec![Way::Plain];
            if subject.is_captured && port.protocol == Protocol::Tcp {
                ways.push(Way::Tunnel);
            }
            for way in ways {
                self.way(subject, way, *port, *served, &mut found, faults);
            }
        }
        self.push(subject, None, found, proofs);
        for front in &subject.fronts {
            let mut found = unfound();
            let ports: BTreeSet<u16> = front.ports.iter().map(|port| port.pod).collect();
            for port in ports.into_iter().map(Port::tcp) {
                let way = Way::Through(front);
                self.way(subject, way, port, true, &mut found, faults);
            }
            self.push(subject, Some(front), found, proofs);
        }
    }

    /// Compares one way to one port with what was before.
    fn way(
        &self,
        subject: &Subject<'_>,
        way: Way<'_>,
        port: Port,
        served: bool,
        found: &mut Comparison,
        faults: &mut Vec<Fault>,
    ) {
        let beside = |way: Way<'_>| {
            let service = match way {
                Way::Through(front) => Some(front.service.clone()),
                Way::Plain | Way::Tunnel => None,
            };
            let workload = subject.workload.object.clone();
            service.into_iter().chain([workload]).collect()
        };
        let after = self.doors.comes(subject, way, port);
        let before = self.doors.came_at_all(subject, port);
        let more = self.beyond(&after, &before, found);
        let opened = self.opened(subject, way, port, &more);
        let opened = opened.or_else(|| {
            // Whom the network kept from all of its ports is kept from it by Istio alone.
            let whom = self.doors.came_to_any(subject);
            let newcomers = match more.as_slice() {
                [] => Vec::new(),
                _ => self.beyond(&after, &whom, found),
            };
            let caller = newcomers.into_iter().next()?;
            let says = "Istio's policies alone".to_owned();
            let then = Verdict::Undecided(BTreeSet::from([says]));
            Some(self.difference(subject, way, port, &caller, then))
        });
        if let Some(difference) = opened {
            faults.push(Fault {
                opens: true,
                policies: network_of(&difference.before),
                beside: beside(way),
                says: difference.to_string(),
            });
            found.differing += 1;
            found.differences.push(difference);
        }
        if !served {
            return;
        }
        let before = self.doors.came(subject, way, port);
        let after = self.doors.surely_comes(subject, way, port);
        let fewer = self.beyond(&before, &after, found);
        let cut = fewer.iter().find_map(|caller| {
            let policies = self.doors.refusing(subject, way, port, caller);
            // What callers' own policies elsewhere refuse is for their owners.
            let ours = policies.is_empty()
                || policies.iter().any(|one| {
                    self.ground.translates(&one.namespace)
                        || matches!(way, Way::Through(front) if front.waypoint.namespace == one.namespace)
                });
            ours.then_some((caller, policies))
        });
        if let Some((caller, policies)) = cut {
            let difference = Difference {
                call: self.call(subject, way, port, caller),
                before: Verdict::Allowed(None),
                after: refused(policies.clone()),
                supposing: supposing(caller),
            };
            faults.push(Fault {
                opens: false,
                policies,
                beside: beside(way),
                says: difference.to_string(),
            });
            found.differing += 1;
            found.differences.push(difference);
        }
    }

    fn beyond(&self, yes: &Whom<'_>, no: &Whom<'_>, noted: &mut Comparison) -> Vec<Caller> {
        let found = beyond(yes, no, &self.doors.around);
        noted.classes += found.classes;
        if !found.complete {
            let why = "NetworkPolicies tell more kinds of callers apart than were looked at";
            noted.how = How::Sampled {
                why: vec![why.to_owned()],
            };
        }
        found.callers
    }

    /// A call by one of these that Istio's policies of the result let through.
    fn opened(
        &self,
        subject: &Subject<'_>,
        way: Way<'_>,
        port: Port,
        callers: &[Caller],
    ) -> Option<Difference> {
        let first = callers.first()?;
        if port.protocol != Protocol::Tcp || !subject.is_judged {
            return Some(self.difference(subject, way, port, first, Verdict::Allowed(None)));
        }
        let labels = labels_after(subject);
        let pod = Pod {
            namespace: &subject.workload.object.namespace,
            labels: &labels,
        };
        let mode = if subject.is_captured {
            DataPlane::Ambient
        } else {
            DataPlane::Sidecar
        };
        let nobody = callee(pod, DataPlane::Sidecar, &self.nobody);
        let nobody = Situation::of(nobody, DataPlane::Sidecar, None);
        let there = callee(pod, mode, &self.after);
        let (after, ports) = match way {
            Way::Through(front) => {
                let through = self.through(front);
                let ports = front.ports.iter().filter(|one| one.pod == port.number);
                let ports: Vec<verdict::Port> = ports.copied().collect();
                let after = Situation::of(there, DataPlane::Ambient, Some(&through));
                (after, ports)
            }
            Way::Plain | Way::Tunnel => {
                let after = Situation::of(there, DataPlane::Sidecar, None);
                (after, vec![subject.spoken(port.number)])
            }
        };
        let scope = Scope {
            ports: &ports,
            not_by: &self.not_by,
        };
        let passes = verdict::compare(&nobody, &after, scope, Bounds::default());
        let passes = passes.differences.iter().chain(&passes.undecided);
        for passing in passes.filter(|one| one.opens()) {
            for caller in callers {
                let Some(call) = self.made_by(caller, &passing.call, way) else {
                    continue;
                };
                let verdict = verdict::judge(&after, &call);
                if !matches!(verdict, Verdict::Denied(_)) {
                    return Some(Difference {
                        call,
                        ..self.difference(subject, way, port, caller, verdict)
                    });
                }
            }
        }
        None
    }

    /// A caller whom the network refused.
    fn difference(
        &self,
        subject: &Subject<'_>,
        way: Way<'_>,
        port: Port,
        caller: &Caller,
        after: Verdict,
    ) -> Difference {
        Difference {
            call: self.call(subject, way, port, caller),
            before: refused(self.doors.refused(subject, port, caller)),
            after,
            supposing: supposing(caller),
        }
    }

    /// A call as one of these callers makes it.
    fn made_by(&self, caller: &Caller, call: &Call, way: Way<'_>) -> Option<Call> {
        let Some(identity) = &call.identity else {
            return matches!(way, Way::Plain).then(|| call.clone());
        };
        let namespace = match &caller.place {
            Place::Outside => return None,
            Place::In(name) => name.clone(),
            Place::Elsewhere
                if self
                    .doors
                    .around
                    .namespaces
                    .contains_key(&identity.namespace) =>
            {
                Name::from(ELSEWHERE)
            }
            Place::Elsewhere => identity.namespace.clone(),
        };
        Some(Call {
            identity: Some(Identity {
                namespace,
                ..identity.clone()
            }),
            ..call.clone()
        })
    }

    fn through<'w>(&'w self, front: &'w Front<'_>) -> Through<'w> {
        Through {
            namespace: &front.waypoint.namespace,
            name: &front.waypoint.name,
            identity: identity(self.ground, self.settings, front.waypoint),
            target: Some(Target {
                kind: Kind::Service,
                namespace: &front.service.namespace,
                name: &front.service.name,
            }),
            policies: &self.after,
        }
    }

    /// A call of which nothing is known but who makes it, and to which port.
    fn call(&self, subject: &Subject<'_>, way: Way<'_>, port: Port, caller: &Caller) -> Call {
        let of = |namespace: Name| Identity {
            trust_domain: self.settings.trust_domain.clone(),
            namespace,
            service_account: "default".into(),
        };
        let service = match way {
            Way::Through(front) => front.ports.iter().find(|one| one.pod == port.number),
            Way::Plain | Way::Tunnel => None,
        };
        Call {
            identity: match &caller.place {
                Place::In(name) => Some(of(name.clone())),
                Place::Elsewhere => Some(of(ELSEWHERE.into())),
                Place::Outside => None,
            },
            source_ip: None,
            remote_ip: None,
            port: service
                .copied()
                .unwrap_or_else(|| subject.spoken(port.number)),
            server_name: None,
            payload: Payload::Bytes,
        }
    }

    fn push(
        &self,
        subject: &Subject<'_>,
        front: Option<&Front<'_>>,
        found: Comparison,
        proofs: &mut Vec<CallProof>,
    ) {
        if found.classes == 0 {
            return;
        }
        let doors = self.doors;
        let mut concerns: BTreeSet<ObjectRef> = BTreeSet::new();
        let mut take = |policies: &network::Policies<'_>, pod: &network::Pod<'_>| {
            let isolating = policies.isolating(pod, Direction::Ingress);
            concerns.extend(isolating.iter().map(|policy| policy.reference()));
        };
        take(&doors.before, &subject.pod);
        take(&doors.after, &subject.pod);
        if let Some(front) = front {
            take(&doors.after, &doors.pods_of(front.waypoint));
        }
        let named = found.differences.iter().flat_map(|difference| {
            let both = [&difference.before, &difference.after];
            both.into_iter().flat_map(network_of)
        });
        concerns.extend(named);
        proofs.push(CallProof {
            workload: subject.workload.object.clone(),
            service: front.map(|front| front.service.clone()),
            concerns: concerns.into_iter().collect(),
            comparison: found,
        });
    }
}

/// The namespace of callers of which nobody speaks.
const ELSEWHERE: &str = "elsewhere";

/// The labels of its pods then.
fn labels_after(subject: &Subject<'_>) -> Labels {
    if !subject.is_captured {
        return subject.workload.labels.clone();
    }
    let mut pairs = subject.workload.labels.pairs().to_vec();
    pairs.push((Name::from(INJECT_LABEL), Name::from("false")));
    Labels::from_pairs(pairs)
}

fn unfound() -> Comparison {
    Comparison {
        classes: 0,
        differing: 0,
        differences: Vec::new(),
        undecided: Vec::new(),
        how: How::Complete,
    }
}

fn refused(policies: Vec<ObjectRef>) -> Verdict {
    Verdict::Denied(Reason {
        judge: Judge::Ztunnel,
        cause: Cause::Network(policies),
    })
}

fn network_of(verdict: &Verdict) -> Vec<ObjectRef> {
    match verdict {
        Verdict::Denied(Reason {
            cause: Cause::Network(policies),
            ..
        }) => policies.clone(),
        _ => Vec::new(),
    }
}

fn supposing(caller: &Caller) -> BTreeMap<String, bool> {
    BTreeMap::from([(format!("the caller is {caller}"), true)])
}

/// Adds to the treatments what nothing that is said there covers.
fn tell(translation: &mut Translation, ground: &Ground<'_>, faults: Vec<Fault>) {
    let mut sources: HashMap<&ObjectRef, Vec<&ObjectRef>> = HashMap::new();
    for treatment in &translation.treatments {
        for made in &treatment.becomes {
            sources.entry(made).or_default().push(&treatment.object);
        }
    }
    let mut told: BTreeMap<(ObjectRef, bool), (usize, String)> = BTreeMap::new();
    for fault in faults {
        let made_of = fault.policies.iter().filter_map(|one| sources.get(one));
        let made_of = made_of.flatten().copied();
        let mut concerned = made_of.chain(&fault.policies).chain(&fault.beside);
        if concerned
            .clone()
            .any(|object| covers(translation, object, fault.opens))
        {
            continue;
        }
        let Some(object) = concerned.find(|object| {
            ground.translates(&object.namespace)
                && ground.mesh.inventory().objects.origin(object).is_some()
        }) else {
            continue;
        };
        let known = told.entry((object.clone(), fault.opens));
        known.or_insert((0, fault.says)).0 += 1;
    }
    for ((object, opens), (count, says)) in told {
        let (weight, what) = if opens {
            (Weight::Refused, "would be let through")
        } else {
            (Weight::Lossy, "would be refused")
        };
        let more = match count {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let says = format!("the comparison finds calls that {what}: {says}{more}");
        let remark = Remark::new(Topic::NetworkPolicy, weight, field!["spec"], says);
        super::tell(translation, &object, remark);
    }
}

/// Whether what is said of an object tells of what the network lets through, or refuses.
fn covers(translation: &Translation, object: &ObjectRef, opens: bool) -> bool {
    let treatments = &translation.treatments;
    let found = treatments.binary_search_by(|treatment| treatment.object.cmp(object));
    let remarks = found.map_or(&[][..], |position| &treatments[position].remarks);
    remarks.iter().any(|remark| match remark.weight {
        Weight::Refused => {
            !opens || remark.topic == Topic::NetworkPolicy || object.kind == Kind::NetworkPolicy
        }
        Weight::Lossy => remark.topic == Topic::NetworkPolicy,
        _ => false,
    })
}

#[cfg(test)]
mod tests;
