//! What becomes of the VirtualServices that route requests to the Services of some namespaces.

mod undecided;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::case::{Case, deciders, remarks, wants_routes};
use super::emit::name_of_route;
use super::obstacle::{Findings, Gravity, Note, Obstacle};
use super::retire::Retirement;
use super::streams::{Stream, Streams};
use super::valid;
use super::world::{DOMAIN, World, full_name, is_request_route};
use crate::kinds::complete::{HttpRouteSpec, VirtualService};
use crate::kinds::{Kind, Name, ObjectRef, Resource};
use crate::mesh::services::Service;
use crate::semantics::routing::{Defaults, Routes};
use crate::translate::change::new_object;
use crate::translate::options::RouteForm;
use crate::translate::versions::Candidates;
use crate::translate::waypoints::Bound;
use crate::translate::{Draft, Ground, Manifest, Phase, Topic, Weight};

/// What becomes of VirtualServices.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    notes: Vec<Note>,
    looked: BTreeSet<ObjectRef>,
    /// New routes, with the VirtualServices that they take the place of.
    made: Vec<(Manifest, ObjectRef)>,
    retirement: Retirement,
    /// The subsets that new routes lead to.
    pub(crate) used: BTreeSet<(ObjectRef, String)>,
}

/// What was decided about a Service and the VirtualService that routes its requests.
struct Decision<'a> {
    service: &'a Service,
    source: ObjectRef,
    specs: Vec<HttpRouteSpec>,
    streams: Vec<Stream>,
    findings: Findings,
    used: BTreeSet<(ObjectRef, String)>,
    /// VirtualServices of the same host that are not in force.
    shadowed: Vec<ObjectRef>,
}

impl Decision<'_> {
    /// Whether routes take the place of the VirtualService.
    fn is_drawn(&self) -> bool {
        !self.specs.is_empty() || !self.streams.is_empty()
    }
}

impl Plan {
    /// Decides about the Services of the namespaces that are translated.
    pub(crate) fn of(ground: &Ground<'_>, candidates: &Candidates) -> Self {
        let mut world = World::of(ground.mesh);
        world.add_versions(candidates);
        let routes = Routes::new(
            world.virtual_services.values(),
            &world.http_routes,
            &world,
            DOMAIN,
            Defaults::default(),
        );
        let mut planner = Planner {
            ground,
            world: &world,
            routes: &routes,
            candidates,
            plan: Self::default(),
            wrong: BTreeMap::new(),
        };
        planner.run();
        planner.plan
    }

    /// Notes what becomes of the VirtualServices.
    pub(super) fn write(&self, draft: &mut Draft) {
        for object in &self.looked {
            draft.look(object);
        }
        for note in &self.notes {
            draft.remark(&note.object, note.remark.clone());
        }
        for (manifest, source) in &self.made {
            draft.becomes(source, manifest.object());
            draft.create(Phase::Routes, manifest.clone(), &[source]);
        }
        self.retirement.write(draft);
    }
}

struct Planner<'a> {
    ground: &'a Ground<'a>,
    world: &'a World,
    routes: &'a Routes<'a>,
    candidates: &'a Candidates,
    plan: Plan,
    /// What is wrong with VirtualServices, each looked at once.
    wrong: BTreeMap<ObjectRef, Vec<Obstacle>>,
}

impl<'a> Planner<'a> {
    fn run(&mut self) {
        let ground = self.ground;
        let world = self.world;
        for object in world.virtual_services.keys().chain(world.unreadable.keys()) {
            if ground.translates(&object.namespace) {
                self.plan.looked.insert(object.clone());
                let wrong = self.wrong_with(object).to_vec();
                self.say(wrong.iter().map(|o| (o.clone(), Weight::Refused)));
            }
        }
        let mut decisions: Vec<Decision<'a>> = Vec::new();
        for namespace in ground.namespaces {
            for service in ground.mesh.services_in(namespace) {
                decisions.extend(self.service(service));
            }
        }
        self.settle(decisions);
        self.hosts_elsewhere();
        self.plan
            .retirement
            .settle(ground, world, &mut self.plan.notes);
    }

    fn say(&mut self, obstacles: impl Iterator<Item = (Obstacle, Weight)>) {
        for (obstacle, weight) in obstacles {
            self.note(Note {
                object: obstacle.object.clone(),
                remark: obstacle.remark(weight),
            });
        }
    }

    fn note(&mut self, note: Note) {
        self.plan.notes.push(note);
    }

    fn wrong_with(&mut self, object: &ObjectRef) -> &[Obstacle] {
        let world = self.world;
        self.wrong.entry(object.clone()).or_insert_with(|| {
            if let Some(error) = world.unreadable.get(object) {
                return vec![valid::unreadable(object, error)];
            }
            let read = world.virtual_services.get(object);
            read.map(|read| valid::faults(world, object, read))
                .unwrap_or_default()
        })
    }

    /// Decides about a Service; nothing where no VirtualService of the mesh names it.
    fn service(&mut self, service: &'a Service) -> Vec<Decision<'a>> {
        let ground = self.ground;
        let mesh = ground.mesh;
        let all: Vec<ObjectRef> = mesh.mesh_routes(service).map(|r| r.reference()).collect();
        if all.is_empty() {
            return Vec::new();
        }
        self.other_clients(service, &all);
        let Some(bound) = ground.waypoints.serving(&service.object) else {
            self.without_waypoint(service, &all);
            return Vec::new();
        };
        if mesh.spec(service).is_headless() {
            let says = format!(
                "{} is headless: its clients call pods, and a waypoint does not route that",
                service.object.short()
            );
            self.refuse(
                &all,
                service,
                Topic::VirtualService,
                &says,
                "put a Service with an address in front of the same pods, and route that one",
            );
            return Vec::new();
        }
        let mut attached = mesh.attached_routes(service).filter(is_request_route);
        if let Some(route) = attached.next() {
            drop(attached);
            self.beside_route(service, bound, &all, &route);
            return Vec::new();
        }
        drop(attached);
        self.case(service, bound, &all)
    }

    fn case(
        &mut self,
        service: &'a Service,
        bound: &'a Bound,
        all: &[ObjectRef],
    ) -> Vec<Decision<'a>> {
        let ground = self.ground;
        let mut case = Case {
            ground,
            world: self.world,
            routes: self.routes,
            candidates: self.candidates,
            service,
            bound,
            beside: Vec::new(),
        };
        let host = full_name(&service.object);
        let deciding = deciders(&case);
        let (exact, wild): (Vec<&ObjectRef>, Vec<&ObjectRef>) = all.iter().partition(|object| {
            let read = self.world.virtual_services.get(*object);
            read.is_some_and(|read| names(read, &host))
        });
        case.beside = wild
            .into_iter()
            .filter(|object| !deciding.contains_key(*object))
            .filter_map(|object| self.world.virtual_services.get(object))
            .collect();
        let seen = |object: &ObjectRef| {
            let read = self.world.virtual_services.get(object);
            let namespaces = [&service.object.namespace, &bound.waypoint.namespace];
            read.is_some_and(|read| namespaces.iter().any(|name| is_seen(read, name)))
        };
        let others = exact
            .into_iter()
            .filter(|object| !deciding.contains_key(*object) && seen(object));
        let (for_some, shadowed): (Vec<&ObjectRef>, Vec<&ObjectRef>) = others.partition(|object| {
            let read = self.world.virtual_services.get(*object);
            read.and_then(undecided::asks_who_calls).is_some()
        });
        for object in for_some {
            self.of_certain_callers(object);
        }
        if deciding.is_empty() {
            for object in &shadowed {
                self.of_no_port(object, service);
            }
        }
        let mut sources: BTreeSet<&ObjectRef> = deciding.keys().collect();
        let streaming = shadowed
            .iter()
            .copied()
            .filter(|object| self.has_streams(object));
        let oldest = streaming.min_by_key(|object| self.age(object));
        if !deciding.keys().any(|object| self.has_streams(object)) {
            sources.extend(oldest);
        }
        let mut decisions = Vec::new();
        for source in &sources {
            let others = shadowed.iter().filter(|object| !sources.contains(*object));
            let others = others.map(|object| (*object).clone()).collect();
            decisions.push(self.decide(&case, source, others, sources.len()));
        }
        decisions
    }

    fn has_streams(&self, object: &ObjectRef) -> bool {
        let read = self.world.virtual_services.get(object);
        read.is_some_and(|read| !(read.spec.tcp.is_empty() && read.spec.tls.is_empty()))
    }

    /// The order of VirtualServices of one host (`configCompareByCreationTime`).
    fn age(&self, object: &ObjectRef) -> (Option<Name>, Name, Name) {
        let read = self.world.virtual_services.get(object);
        let created = read.and_then(|read| read.metadata.creation_timestamp.clone());
        (created, object.name.clone(), object.namespace.clone())
    }

    fn decide(
        &mut self,
        case: &Case<'a>,
        source: &ObjectRef,
        shadowed: Vec<ObjectRef>,
        deciders: usize,
    ) -> Decision<'a> {
        let service = case.service;
        let mut decision = Decision {
            service,
            source: source.clone(),
            specs: Vec::new(),
            streams: Vec::new(),
            findings: Findings::default(),
            used: BTreeSet::new(),
            shadowed,
        };
        let spot = valid::spot(source);
        for wrong in self.wrong_with(source) {
            decision.findings.meet(wrong.clone());
        }
        let read = self.world.virtual_services.get(source);
        let host = full_name(&service.object);
        if read.is_some_and(|read| !names(read, &host)) {
            let obstacle = spot.then("hosts").obstacle(
                Gravity::NoForm,
                Topic::HostIsNoService,
                "an HTTPRoute belongs to a Service, and a wildcard is none",
            );
            decision
                .findings
                .meet(obstacle.remedy("name the Services that are meant"));
        }
        if deciders > 1 {
            decision.findings.meet(spot.then("hosts").obstacle(
                Gravity::NoForm,
                Topic::SeveralForHost,
                format!(
                    "several VirtualServices route ports of {}",
                    service.object.short()
                ),
            ));
        }
        let unknown_age = |object: &ObjectRef| {
            let read = self.world.virtual_services.get(object);
            read.is_some_and(|read| read.metadata.creation_timestamp.is_none())
        };
        if !decision.shadowed.is_empty()
            && (unknown_age(source) || decision.shadowed.iter().any(unknown_age))
        {
            let others: Vec<String> = decision.shadowed.iter().map(ToString::to_string).collect();
            let says = format!(
                "{} routes {} too; sidecars take the older one, and the input does not tell which that is",
                others.join(", "),
                service.object.short()
            );
            let obstacle =
                spot.then("hosts")
                    .obstacle(Gravity::Nowhere, Topic::SeveralForHost, says);
            decision.findings.meet(
                obstacle.remedy("make one VirtualService of them, or translate from the cluster"),
            );
        }
        let settled = decision
            .findings
            .obstacles
            .iter()
            .any(|o| o.gravity > Gravity::NoForm);
        if !settled {
            self.draw(case, &mut decision);
        }
        if case.stands_in_the_way(&decision.findings).is_some() {
            decision.specs.clear();
            decision.streams.clear();
        }
        decision
    }

    /// Draws the routes of a decision. Where all is to stay, only what a waypoint does not do counts.
    fn draw(&self, case: &Case<'a>, decision: &mut Decision<'a>) {
        let drawn = case.draw(&decision.source);
        let mut findings = drawn.findings;
        let used = RefCell::new(drawn.used);
        decision.specs = drawn.specs;
        if let Some(read) = self.world.virtual_services.get(&decision.source) {
            let streams = Streams {
                ground: self.ground,
                world: self.world,
                candidates: self.candidates,
                service: decision.service,
                used: &used,
            };
            let (streams, more) = streams.draw(&decision.source, read);
            decision.streams = streams;
            findings.add(more);
        }
        decision.used = used.into_inner();
        if !wants_routes(self.ground.options.routes) {
            findings.obstacles.retain(|o| o.gravity > Gravity::NoForm);
            findings.notes.clear();
            decision.specs.clear();
            decision.streams.clear();
        }
        decision.findings.add(findings);
    }

    /// Carries decisions out. One VirtualService with gateways cannot lose a part of its hosts.
    fn settle(&mut self, mut decisions: Vec<Decision<'a>>) {
        let mut replaced: BTreeMap<ObjectRef, BTreeSet<String>> = BTreeMap::new();
        for decision in decisions.iter().filter(|d| d.is_drawn()) {
            let hosts = replaced.entry(decision.source.clone()).or_default();
            hosts.insert(full_name(&decision.service.object));
        }
        for decision in &mut decisions {
            let Some(read) = self.world.virtual_services.get(&decision.source) else {
                continue;
            };
            let at_gateways = read.spec.gateways.iter().any(|name| name != "mesh");
            let gone = replaced.get(&decision.source);
            let whole = gone.is_some_and(|gone| all_hosts(read).iter().all(|h| gone.contains(h)));
            if at_gateways && !whole && decision.is_drawn() {
                decision.specs.clear();
                decision.streams.clear();
                let spot = valid::spot(&decision.source).then("hosts");
                let obstacle = spot.obstacle(
                    Gravity::NoForm,
                    Topic::HostsPart,
                    "it serves gateways too, and not all of its hosts get routes of their own",
                );
                decision
                    .findings
                    .meet(obstacle.remedy("give gateways a VirtualService of their own"));
            }
        }
        for decision in decisions {
            self.carry_out(decision);
        }
    }

    fn carry_out(&mut self, decision: Decision<'a>) {
        let keep_asked = self.ground.options.routes == RouteForm::Keep;
        let host = full_name(&decision.service.object);
        // Of several whose age is not known none is taken for the older one.
        let mut met = decision.findings.obstacles.iter();
        if !met.any(|o| (o.gravity, o.topic) == (Gravity::Nowhere, Topic::SeveralForHost)) {
            for other in &decision.shadowed {
                self.shadowed(other, &decision.source, decision.service);
            }
        }
        if decision.is_drawn() {
            for note in &decision.findings.notes {
                self.note(note.clone());
            }
            for note in remarks(&decision.findings, |_| Weight::Lossy) {
                self.note(note);
            }
            self.make(&decision);
            self.plan.used.extend(decision.used);
            self.plan.retirement.replaced(&decision.source, host);
            return;
        }
        let findings = &decision.findings;
        let worst = findings.obstacles.iter().map(|o| o.gravity).max();
        let refused = worst > Some(Gravity::NoForm)
            || (self.ground.options.routes == RouteForm::HttpRoute
                && !findings.obstacles.is_empty());
        if refused {
            for note in remarks(findings, |_| Weight::Refused) {
                self.note(note);
            }
            return;
        }
        let Some(bound) = self.ground.waypoints.serving(&decision.service.object) else {
            return;
        };
        let case = Case {
            ground: self.ground,
            world: self.world,
            routes: self.routes,
            candidates: self.candidates,
            service: decision.service,
            bound,
            beside: Vec::new(),
        };
        let without: Vec<&ObjectRef> = decision.shadowed.iter().collect();
        let kept = case.keeps(&decision.source, &without);
        let weight = if kept.is_ok() {
            Weight::Kept
        } else {
            Weight::Refused
        };
        for note in remarks(findings, |_| weight) {
            self.note(note);
        }
        let spot = valid::spot(&decision.source).then("hosts");
        match kept {
            Ok(()) if findings.obstacles.is_empty() => {
                let says = if keep_asked {
                    format!(
                        "stays for {}, as asked for: its waypoint applies it",
                        decision.service.object.short()
                    )
                } else {
                    format!(
                        "has nothing for {} that a route could say",
                        decision.service.object.short()
                    )
                };
                self.note(spot.note(Topic::VirtualService, Weight::Kept, says));
            }
            Ok(()) => {}
            Err(why) => {
                let topic = if why.starts_with("the waypoint of") {
                    Topic::CallersRules
                } else {
                    Topic::VirtualService
                };
                self.note(spot.note(topic, Weight::Refused, why));
            }
        }
    }

    /// Makes the routes of a decision.
    fn make(&mut self, decision: &Decision<'_>) {
        let service = &decision.service.object;
        let source = &decision.source;
        let read = self.world.virtual_services.get(source);
        let alone = read.is_some_and(|read| read.spec.hosts.len() == 1);
        let base = if alone && *source.namespace == *service.namespace {
            source.name.to_string()
        } else if source.name == service.name {
            service.name.to_string()
        } else {
            format!("{}-{}", source.name, service.name)
        };
        let requests = decision.specs.iter().map(|spec| Stream {
            kind: Kind::HTTPRoute,
            version: "v1",
            spec: serde_json::to_value(spec).unwrap_or_default(),
        });
        for route in requests.chain(decision.streams.iter().cloned()) {
            let home = &service.namespace;
            let objects = &self.ground.mesh.inventory().objects;
            let made = &self.plan.made;
            let taken = |name: &Name| {
                let object = ObjectRef::new(route.kind, home, name);
                objects.origin(&object).is_some()
                    || made.iter().any(|(known, _)| *known.object() == object)
            };
            let name = name_of_route(&base, taken);
            let manifest = new_object(route.kind, home, &name, Some(source), &[], route.spec);
            let version = format!("{}/{}", route.kind.group(), route.version);
            let manifest = manifest.patched(&json!({"apiVersion": version}));
            self.plan.made.push((manifest, source.clone()));
        }
    }
}

/// Whether a namespace sees a VirtualService.
fn is_seen(read: &VirtualService, namespace: &str) -> bool {
    let exports = &read.spec.export_to;
    exports.is_empty()
        || exports.iter().any(|to| match to.as_str() {
            "*" => true,
            "." => *read.metadata.namespace == *namespace,
            named => named == namespace,
        })
}

/// The hosts of a VirtualService, in full.
fn all_hosts(read: &VirtualService) -> Vec<String> {
    let home = &read.metadata.namespace;
    read.spec
        .hosts
        .iter()
        .map(|host| in_full(host, home))
        .collect()
}

/// A host in full, in lower case: only a name without a dot is completed.
pub(super) fn in_full(host: &str, namespace: &str) -> String {
    if host.is_empty() || host == "*" || host.contains('.') {
        return host.to_ascii_lowercase();
    }
    format!("{host}.{namespace}.svc.{DOMAIN}").to_ascii_lowercase()
}

/// Whether a VirtualService names a host, and not by a wildcard.
fn names(read: &VirtualService, host: &str) -> bool {
    all_hosts(read).iter().any(|own| own == host)
}
