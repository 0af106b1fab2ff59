//! Verdicts, before and after: calls to sidecars by the policies as they were, calls to ambient pods
//! by those of the result, read back from its text.

use std::collections::BTreeSet;

use super::CallProof;
use super::{faults::Faults, rewritten};
use crate::inventory::Listed;
use crate::kinds::authorization::{
    Action, AuthorizationPolicy, PeerAuthentication, RequestAuthentication,
};
use crate::kinds::network_policy::NetworkPolicy;
use crate::kinds::{Kind, Labels, Name, ObjectRef, Resource};
use crate::mesh::Mesh;
use crate::mesh::injection::INJECT_LABEL;
use crate::mesh::services::Service;
use crate::mesh::workloads::{DataPlane, Workload};
use crate::semantics::authorization::{beyond_ztunnel, is_dry_run, needs_http};
use crate::semantics::identity::Identity;
use crate::semantics::network;
use crate::semantics::routing::Table;
use crate::semantics::verdict::{
    Bounds, Callee, Cause, Comparison, Difference, Judge, Pod, Point, Policies, Port, Scope,
    Settings, Situation, Target, Through, Verdict, compare,
};
use crate::translate::network::fronts::has_moved;
use crate::translate::policies::scene::{Member, Scene};
use crate::translate::{Ground, Phase, Translation};

/// How a call comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arrival {
    /// Through the waypoint, or, where there is none, from ztunnel to ztunnel.
    Service,
    /// From a sidecar, past the waypoint.
    Past,
}

pub(super) fn prove(
    ground: &Ground<'_>,
    written: &Mesh,
    translation: &mut Translation,
) -> Vec<CallProof> {
    let (proofs, faults) = State::END.compared(ground, written, translation);
    faults.tell(translation);
    proofs
}

/// How far a namespace has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::translate) struct State {
    /// All changes up to the end of this phase are made.
    pub(in crate::translate) phase: Phase,
    /// How the pods that are called take part in the mesh.
    pub(in crate::translate) plane: DataPlane,
}

impl State {
    /// When all is done.
    const END: State = State {
        phase: Phase::Retire,
        plane: DataPlane::Ambient,
    };

    /// Compares calls to sidecars by the policies as they were with calls in this state. `written`
    /// holds the objects that changed by then, read back.
    pub(in crate::translate) fn compared(
        self,
        ground: &Ground<'_>,
        written: &Mesh,
        translation: &Translation,
    ) -> (Vec<CallProof>, Faults) {
        let settings = Settings::of(&ground.mesh.installation().config);
        let scene = Scene::new(ground, &settings);
        let mut proofs = Vec::new();
        let mut faults = Faults::default();
        if scene.members.is_empty() {
            return (proofs, faults);
        }
        let result = Written::of(written, translation, self.phase);
        let after = Policies::new(
            &settings,
            result.list::<AuthorizationPolicy>(ground),
            result.list::<RequestAuthentication>(ground),
            result.list::<PeerAuthentication>(ground),
        );
        let prover = Prover {
            waypoints: waypoints(&scene),
            network: network::Policies::new(
                ground
                    .mesh
                    .all::<NetworkPolicy>()
                    .iter()
                    .map(|one| &one.value),
            ),
            scene: &scene,
            after: &after,
            state: self,
        };
        for member in &scene.members {
            prover.member(member, &mut proofs, &mut faults);
        }
        (proofs, faults)
    }
}

/// The policies of the result, read back.
pub(super) struct Written<'r> {
    written: &'r Mesh,
    touched: BTreeSet<&'r ObjectRef>,
}

impl<'r> Written<'r> {
    pub(super) fn of(written: &'r Mesh, translation: &'r Translation, phase: Phase) -> Self {
        let touched = translation.changes.iter();
        let touched = touched.filter(|change| change.phase <= phase);
        Self {
            written,
            touched: touched.map(|change| change.edit.object()).collect(),
        }
    }

    /// The objects of a kind: those that were written, and those that nothing was done to.
    pub(super) fn list<T: Listed>(&self, ground: &Ground<'r>) -> Vec<&'r T> {
        let written = self.written.all::<T>().iter().map(|object| &object.value);
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

/// Compares workload by workload.
pub(super) struct Prover<'p, 'g> {
    scene: &'p Scene<'g>,
    after: &'p Policies<'p>,
    /// The NetworkPolicies as they were.
    network: network::Policies<'g>,
    state: State,
    waypoints: Vec<Identity>,
}

impl Prover<'_, '_> {
    /// Compares calls to a workload, by each Service in front of it and past all of them.
    fn member(&self, member: &Member<'_>, proofs: &mut Vec<CallProof>, faults: &mut Faults) {
        let plane = if member.deferred {
            DataPlane::Sidecar
        } else {
            self.state.plane
        };
        let moved = has_moved(member.workload);
        let labels = if moved {
            member.labels.clone()
        } else {
            labels_after(member, plane)
        };
        let plane_before = if moved {
            DataPlane::Ambient
        } else {
            DataPlane::Sidecar
        };
        let from = callee(member.pod(), plane_before, &self.scene.policies);
        let before = Situation::of(from, DataPlane::Sidecar, None);
        let pod = Pod {
            labels: &labels,
            ..member.pod()
        };
        let there = callee(pod, plane, self.after);
        let past = Situation::of(there, DataPlane::Sidecar, None);
        if concerns(&before).is_empty() && concerns(&past).is_empty() {
            return;
        }
        let mut case = Case {
            prover: self,
            workload: member.workload,
            reads: self.reads(member),
            network: Self::in_the_network(member.workload),
            moved: moved.then_some(from),
            before,
            proofs,
            faults,
        };
        let mut all_ports = BTreeSet::new();
        let fronts = member.judged_for.iter();
        let bound = self.state.phase >= Phase::Enrol;
        let fronts = fronts.map(|front| (front.service, Some(front.waypoint).filter(|_| bound)));
        let past_all = member.past.iter().map(|(service, _)| (*service, None));
        for (service, waypoint) in fronts.chain(past_all) {
            let ports = ports_of(self.scene, service, member);
            case.service(there, service, waypoint, &ports);
            let alone = |port: &Port| Port {
                service: None,
                ..*port
            };
            all_ports.extend(ports.iter().map(alone));
        }
        case.past(&past, all_ports);
    }

    fn through<'w>(
        &'w self,
        waypoint: &'w ObjectRef,
        service: &'w ObjectRef,
        policies: &'w Policies<'w>,
    ) -> Through<'w> {
        Through {
            namespace: &waypoint.namespace,
            name: &waypoint.name,
            identity: self.scene.identity(waypoint),
            target: Some(Target {
                kind: Kind::Service,
                namespace: &service.namespace,
                name: &service.name,
            }),
            policies,
        }
    }

    /// The policies on whose account a call is let through, or refused.
    pub(super) fn blamed(
        &self,
        difference: &Difference,
        concerns: &[ObjectRef],
        opens: bool,
    ) -> Vec<ObjectRef> {
        let reason = match (opens, &difference.before, &difference.after) {
            (false, _, Verdict::Denied(reason)) if matches!(reason.cause, Cause::Rule(_)) => reason,
            (false, Verdict::Allowed(Some(rule)) | Verdict::Asks(_, Some(rule)), _) => {
                return vec![rule.policy.clone()];
            }
            (true, Verdict::Denied(reason), _) | (false, _, Verdict::Denied(reason)) => reason,
            _ => return concerns.to_vec(),
        };
        let of = |wanted: &dyn Fn(&ObjectRef) -> bool| -> Vec<ObjectRef> {
            concerns
                .iter()
                .filter(|object| wanted(object))
                .cloned()
                .collect()
        };
        let found = match &reason.cause {
            Cause::Rule(rule) | Cause::NoProvider(rule) => vec![rule.policy.clone()],
            Cause::PlainText(Some(policy)) => vec![policy.clone()],
            Cause::Network(policies) => policies.clone(),
            Cause::NoneAdmits => of(&|object| self.admits(object)),
            Cause::Token => of(&|object| object.kind == Kind::RequestAuthentication),
            Cause::PlainText(None) | Cause::TrustDomain | Cause::NotHttp => Vec::new(),
        };
        if found.is_empty() {
            concerns.to_vec()
        } else {
            found
        }
    }

    /// Whether somebody is refused at ztunnel without need: his request would not have to be read.
    pub(super) fn is_needless(&self, reads: bool, difference: &Difference) -> bool {
        let Verdict::Denied(reason) = &difference.after else {
            return false;
        };
        let by_rules = matches!(reason.cause, Cause::NoneAdmits | Cause::Rule(_));
        if reads || reason.judge != Judge::Ztunnel || !by_rules {
            return false;
        }
        match &difference.before {
            Verdict::Allowed(None) => true,
            Verdict::Allowed(Some(rule)) => {
                let (mesh, name) = (self.scene.ground.mesh, &rule.policy);
                let policy = mesh.named::<AuthorizationPolicy>(&name.namespace, &name.name);
                let rule = policy.and_then(|policy| policy.spec.rules.get(rule.rule));
                rule.is_some_and(|rule| beyond_ztunnel(rule, 0).is_empty())
            }
            _ => false,
        }
    }

    /// A workload's pods, as the NetworkPolicies of their namespace see them.
    fn in_the_network(workload: &Workload) -> network::Pod<'_> {
        network::Pod {
            namespace: &workload.object.namespace,
            namespace_labels: None,
            labels: &workload.labels,
            containers: &workload.containers,
        }
    }

    /// Whether something refuses callers of a member by what they send.
    fn reads(&self, member: &Member<'_>) -> bool {
        let point = Point::Sidecar(member.pod());
        let refuses = |policy: &&AuthorizationPolicy| {
            policy.spec.action != Action::Allow
                && !is_dry_run(&policy.metadata)
                && needs_http(&policy.spec)
        };
        let policies = &self.scene.policies;
        policies.authorization_at(&point).iter().any(refuses)
            || !policies.tokens_at(&point).is_empty()
    }

    /// Whether a policy of the source is one that admits.
    fn admits(&self, object: &ObjectRef) -> bool {
        let mesh = self.scene.ground.mesh;
        let policy = mesh.named::<AuthorizationPolicy>(&object.namespace, &object.name);
        object.kind == Kind::AuthorizationPolicy
            && policy.is_some_and(|policy| policy.spec.action == Action::Allow)
    }
}

/// The policies that judge in a situation.
fn concerns(situation: &Situation<'_>) -> BTreeSet<ObjectRef> {
    let mut all = BTreeSet::new();
    for hop in situation.meshed.iter().chain(&situation.plain) {
        let point = &hop.point;
        let policies = hop.policies.authorization_at(point);
        all.extend(policies.iter().map(|policy| policy.reference()));
        let policies = hop.policies.tokens_at(point);
        all.extend(policies.iter().map(|policy| policy.reference()));
        if let Point::Sidecar(pod) | Point::Ztunnel(pod) = point {
            let policies = hop.policies.peer_authentications(pod);
            all.extend(policies.map(Resource::reference));
        }
    }
    all
}

/// One workload, compared.
struct Case<'c, 'm> {
    prover: &'c Prover<'c, 'c>,
    workload: &'c Workload,
    /// Whether something refuses its callers by what they send.
    reads: bool,
    /// Its pods, as NetworkPolicies see them.
    network: network::Pod<'c>,
    /// Its pods as they are, where they are ambient already.
    moved: Option<Callee<'m>>,
    /// Calls from sidecars, before.
    before: Situation<'m>,
    proofs: &'c mut Vec<CallProof>,
    faults: &'c mut Faults,
}

impl Case<'_, '_> {
    /// Compares calls to a Service, and to those that stand for its subsets.
    fn service(
        &mut self,
        there: Callee<'_>,
        service: &Service,
        waypoint: Option<&ObjectRef>,
        ports: &[Port],
    ) {
        let prover = self.prover;
        let of = &service.object;
        let versions = prover.scene.ground.versions.of_service(of);
        let versions = versions.filter(|_| waypoint.is_some());
        let mesh = prover.scene.ground.mesh;
        let now = mesh.binding(service).effective().cloned();
        for called in std::iter::once(of).chain(versions) {
            let through = waypoint.map(|waypoint| prover.through(waypoint, called, prover.after));
            let after = Situation::of(there, DataPlane::Ambient, through.as_ref());
            // Where pods are ambient already, the waypoint of today judges today.
            let policies = &prover.scene.policies;
            let today = now
                .as_ref()
                .map(|now| prover.through(now, called, policies));
            let before = self
                .moved
                .map(|from| Situation::of(from, DataPlane::Ambient, today.as_ref()));
            let tables = match before {
                Some(_) => &[],
                None => prover.scene.ways.tables(called),
            };
            let before = before.unwrap_or_else(|| self.before.clone());
            let found = self.found(&before, &after, Arrival::Service, ports, tables);
            // Plain text goes past the waypoint: the guard tells who is refused there.
            let found = found
                .kept(|call| waypoint.is_none() || call.call.identity.is_some() || call.opens());
            self.push(Some(called), &after, found);
        }
    }

    /// Compares calls that go past waypoints.
    fn past(&mut self, past: &Situation<'_>, mut ports: BTreeSet<Port>) {
        let declared: BTreeSet<u16> = ports.iter().map(|port| port.pod).collect();
        let mut others = self.before.named_ports();
        others.extend(past.named_ports());
        // One of those that nobody speaks of.
        let other = (1..u16::MAX).find(|port| {
            let spoken_of = others.contains(port) || declared.contains(port);
            !spoken_of && self.is_called(*port)
        });
        others.extend(other);
        let others = others.into_iter().filter(|port| !declared.contains(port));
        ports.extend(others.map(Port::undeclared));
        let ports: Vec<Port> = ports.into_iter().collect();
        let before = self.before.clone();
        let found = self.found(&before, past, Arrival::Past, &ports, &[]);
        // Who is refused because his request would have to be read is told of by the guard; nobody
        // else may be, and nobody may be let through.
        let (prover, reads) = (self.prover, self.reads);
        let found = found.kept(|call| call.opens() || prover.is_needless(reads, call));
        self.push(None, past, found);
    }

    fn found(
        &mut self,
        before: &Situation<'_>,
        after: &Situation<'_>,
        arrival: Arrival,
        ports: &[Port],
        tables: &[(u16, Table)],
    ) -> Comparison {
        let not_by = &self.prover.waypoints;
        // Where nobody comes, nobody is treated otherwise; who comes then is told by the network's part.
        let ports = ports.iter().filter(|port| self.is_called(port.pod));
        let ports: Vec<Port> = ports.copied().collect();
        let scope = Scope {
            ports: &ports,
            not_by,
        };
        let found = if tables.iter().any(|(_, table)| rewritten::changes(table)) {
            rewritten::compare(before, after, scope, tables)
        } else {
            compare(before, after, scope, Bounds::default())
        };
        let concerns = self.concerns(after);
        self.faults
            .note(self.prover, (arrival, self.reads), &concerns, &found);
        found
    }

    /// Whether the network lets anybody come to a port, as it was: to itself, or by the tunnel.
    fn is_called(&self, port: u16) -> bool {
        let ports = [network::Port::tcp(port), network::Port::TUNNEL];
        let policies = &self.prover.network;
        ports
            .iter()
            .any(|port| !policies.admitted(&self.network, *port).is_nobody())
    }

    fn concerns(&self, after: &Situation<'_>) -> Vec<ObjectRef> {
        let mut all = concerns(&self.before);
        all.extend(concerns(after));
        all.into_iter().collect()
    }

    fn push(&mut self, service: Option<&ObjectRef>, after: &Situation<'_>, found: Comparison) {
        self.proofs.push(CallProof {
            workload: self.workload.object.clone(),
            service: service.cloned(),
            concerns: self.concerns(after),
            comparison: found,
        });
    }
}

pub(super) fn callee<'m>(pod: Pod<'m>, mode: DataPlane, policies: &'m Policies<'m>) -> Callee<'m> {
    Callee {
        pod,
        mode,
        takes_hbone: true,
        policies,
    }
}

/// The labels of a workload's pods.
fn labels_after(member: &Member<'_>, plane: DataPlane) -> Labels {
    if plane == DataPlane::Sidecar {
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
        let (mesh, ways) = (scene.ground.mesh, scene.ways);
        let pods = ways.ports_of(mesh, service, port, member.workload);
        ports.extend(pods.into_iter().map(|pod| Port {
            service: Some(port.port),
            pod,
            protocol: port.speaks().into(),
        }));
    }
    ports.sort();
    ports.dedup();
    ports
}
