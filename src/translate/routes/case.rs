//! One Service behind a waypoint, and the VirtualService that decides about it: whether HTTPRoutes say
//! the same.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, Actions};
use super::backend::Backends;
use super::emit::{self, Lists};
use super::matches::Setting;
use super::obstacle::{Findings, Gravity, Note, Spot};
use super::order::{self, Disorder, Piece};
use super::reach::Reaches;
use super::world::{DOMAIN, World, full_name};
use crate::kinds::complete::{HttpRoute, HttpRouteSpec, HttpRule, VirtualService};
use crate::kinds::path::field;
use crate::kinds::service::Speaks;
use crate::kinds::{Labels, ObjectRef};
use crate::mesh::services::Service;
use crate::semantics::compare::{self, Comparison, How, Limits, Side, compare};
use crate::semantics::routing::{Decider, Defaults, Host, Routes, Table, Viewpoint, Written};
use crate::translate::options::{PathForm, RouteForm};
use crate::translate::versions::Candidates;
use crate::translate::waypoints::Bound;
use crate::translate::{Ground, Topic, Weight};

/// A Service behind a waypoint, and what routes requests to it.
pub(super) struct Case<'a> {
    pub(super) ground: &'a Ground<'a>,
    pub(super) world: &'a World,
    pub(super) routes: &'a Routes<'a>,
    pub(super) candidates: &'a Candidates,
    pub(super) service: &'a Service,
    pub(super) bound: &'a Bound,
    /// VirtualServices that a waypoint goes on applying beside whatever is decided here.
    pub(super) beside: Vec<&'a VirtualService>,
}

/// Routes that say what a VirtualService says about a Service.
#[derive(Debug, Default)]
pub(super) struct Drawn {
    /// Their specs, for the ports that have the same ones.
    pub(super) specs: Vec<HttpRouteSpec>,
    pub(super) findings: Findings,
    /// The subsets that they lead to.
    pub(super) used: BTreeSet<(ObjectRef, String)>,
}

/// What a port has: rules for routes, and what was found on the way.
struct OfPort {
    port: u16,
    lists: Lists,
}

impl Case<'_> {
    /// The ports that take requests.
    pub(super) fn hosts(&self) -> Vec<Host> {
        hosts(self.ground, self.service)
    }

    /// The sidecar of a client in a namespace.
    fn table_before(&self, host: &Host) -> Table {
        let labels = Labels::default();
        let view = Viewpoint::Sidecar {
            namespace: &self.service.object.namespace,
            labels: &labels,
        };
        self.routes.table(&view, host)
    }

    fn waypoint(&self) -> Viewpoint<'_> {
        Viewpoint::Waypoint {
            namespace: &self.bound.waypoint.namespace,
        }
    }

    /// The VirtualService that decides about a port for clients of the Service's own namespace.
    pub(super) fn decider(&self, host: &Host) -> Option<Decider<'_>> {
        decider(self.routes, host, &self.service.object.namespace)
    }

    fn compare(&self, before: &Table, after: &Table) -> Comparison {
        compare_tables(self.ground, self.candidates, before, after)
    }

    /// Draws the routes for the ports of a VirtualService, and looks whether they say the same.
    pub(super) fn draw(&self, object: &ObjectRef) -> Drawn {
        let mut drawn = Drawn::default();
        let mut ports: Vec<OfPort> = Vec::new();
        let used = RefCell::new(BTreeSet::new());
        for host in self.hosts() {
            let Some(decider) = self.decider(&host).filter(|d| d.object == *object) else {
                continue;
            };
            let (lists, findings) = self.port(&host, &decider, &used);
            drawn.findings.add(findings);
            ports.extend(lists.map(|lists| OfPort {
                port: host.port,
                lists,
            }));
        }
        drawn.used = used.into_inner();
        if self.stands_in_the_way(&drawn.findings).is_some() {
            return drawn;
        }
        drawn.specs = self.specs(&ports);
        self.check(object, &mut drawn);
        drawn
    }

    /// The first obstacle that is not accepted.
    pub(super) fn stands_in_the_way<'f>(
        &self,
        findings: &'f Findings,
    ) -> Option<&'f super::obstacle::Obstacle> {
        let accepted = &self.ground.options.accepted;
        findings.obstacles.iter().find(|obstacle| {
            obstacle.gravity > Gravity::Differs || !accepted.contains(&obstacle.topic)
        })
    }

    fn port(
        &self,
        host: &Host,
        decider: &Decider<'_>,
        used: &RefCell<BTreeSet<(ObjectRef, String)>>,
    ) -> (Option<Lists>, Findings) {
        let mut findings = Findings::default();
        let options = self.ground.options;
        let labels = Labels::default();
        let view = Viewpoint::Sidecar {
            namespace: &self.service.object.namespace,
            labels: &labels,
        };
        let authorities = self.routes.authorities(&view, host);
        let setting = Setting {
            port: host.port,
            authorities: &authorities,
            paths: options.paths,
            gives_up_callers: options.accepted.contains(&Topic::CallerMatch),
        };
        let backends = Backends {
            mesh: self.ground.mesh,
            world: self.world,
            candidates: self.candidates,
            gateway_api: self.ground.gateway_api,
            home: &self.service.object.namespace,
            port: host.port,
            used,
        };
        let reader = Actions {
            backends: &backends,
            gateway_api: self.ground.gateway_api,
        };
        let mut actions: Vec<Action> = Vec::new();
        let mut pieces: Vec<Piece> = Vec::new();
        let mut names: Vec<Option<String>> = Vec::new();
        for (number, rule) in decider.rules.iter().enumerate() {
            names.push(name_of(rule, &mut findings));
            let own = pieces_of(rule, number, &setting, &reader, &mut actions, &mut findings);
            pieces.extend(own);
        }
        if self.stands_in_the_way(&findings).is_some() || pieces.is_empty() {
            return (None, findings);
        }
        let lists = match order::ordered(pieces) {
            Ok(ordered) => {
                for (rule, path) in &ordered.loose {
                    let spot = spot_of(&decider.rules[*rule]);
                    let says = format!("{path} is taken too, which the prefix {path}/ does not");
                    let obstacle = spot.obstacle(Gravity::Differs, Topic::Rewrites, says);
                    findings.meet(
                        obstacle.remedy(format!("say in a rule before what becomes of {path}")),
                    );
                }
                for piece in &ordered.pieces {
                    note_form(piece, decider, options.paths, &mut findings);
                }
                emit::rules(&ordered, &actions, &names)
            }
            Err(disorder) => {
                findings.meet(in_words(&disorder, decider));
                return (None, findings);
            }
        };
        if lists.is_none() {
            let spot = Spot {
                object: decider.object.clone(),
                field: field!["spec", "http"],
            };
            findings.meet(spot.obstacle(
                Gravity::NoForm,
                Topic::Limits,
                "there are more rules than one HTTPRoute takes, and their order would depend on which of several is older",
            ));
        }
        (lists, findings)
    }

    /// The specs of routes: ports with the same rules share them.
    fn specs(&self, ports: &[OfPort]) -> Vec<HttpRouteSpec> {
        let mut shared: Vec<(Vec<u16>, &Lists)> = Vec::new();
        for port in ports {
            match shared.iter_mut().find(|(_, lists)| **lists == port.lists) {
                Some((numbers, _)) => numbers.push(port.port),
                None => shared.push((vec![port.port], &port.lists)),
            }
        }
        let service = &self.service.object;
        let specs = shared.into_iter().flat_map(|(numbers, lists)| {
            let of = move |rules: &Vec<HttpRule>| emit::spec(service, &numbers, rules.clone());
            lists.iter().map(of)
        });
        specs.collect()
    }

    /// Reads the routes back and compares them with what sidecars do.
    fn check(&self, object: &ObjectRef, drawn: &mut Drawn) {
        let routes: Vec<HttpRoute> = drawn
            .specs
            .iter()
            .enumerate()
            .filter_map(|(number, spec)| read_back(spec, &self.service.object, number))
            .collect();
        let defaults = Defaults::default();
        let beside = self.beside.iter().copied();
        let after = Routes::new(beside, &routes, self.world, DOMAIN, defaults);
        for host in self.hosts() {
            if self.decider(&host).is_none_or(|d| d.object != *object) {
                continue;
            }
            let after = after.table(&self.waypoint(), &host);
            let found = self.compare(&self.table_before(&host), &after);
            self.judge(object, &found, &mut drawn.findings);
        }
    }

    fn judge(&self, object: &ObjectRef, found: &Comparison, findings: &mut Findings) {
        let told = findings
            .obstacles
            .iter()
            .any(|obstacle| obstacle.gravity == Gravity::Differs)
            || self.ground.options.paths == PathForm::Element;
        let spot = Spot {
            object: object.clone(),
            field: field!["spec", "http"],
        };
        if let Some(difference) = found.differences.first() {
            if told {
                return;
            }
            let (topic, what) = if self.beside.is_empty() {
                (Topic::Order, "an HTTPRoute would not do the same")
            } else {
                (
                    Topic::SeveralForHost,
                    "the waypoint would apply another VirtualService of the host besides",
                )
            };
            let gravity = if self.beside.is_empty() {
                Gravity::NoForm
            } else {
                Gravity::Nowhere
            };
            findings.meet(spot.obstacle(gravity, topic, format!("{what}: {difference}")));
        } else if let How::Sampled { why } = &found.how {
            let says = format!(
                "it cannot be shown that an HTTPRoute does the same: {}",
                why.join("; ")
            );
            findings.meet(spot.obstacle(Gravity::NoForm, Topic::OrderUndecided, says));
        }
    }

    /// Whether a waypoint does the same with the VirtualService as it is; if not, how it differs.
    pub(super) fn keeps(&self, object: &ObjectRef, without: &[&ObjectRef]) -> Result<(), String> {
        let home = &object.namespace;
        let places = [
            &self.service.object.namespace,
            &self.bound.waypoint.namespace,
        ];
        if !places.contains(&home) {
            return Err(format!(
                "the waypoint of {} takes VirtualServices of its own namespace and of the Service's only",
                self.service.object.short()
            ));
        }
        let stripped;
        let routes = if without.is_empty() {
            self.routes
        } else {
            let all = self.world.virtual_services.iter();
            let left = all.filter(|(known, _)| !without.contains(known));
            let left = left.map(|(_, read)| read);
            stripped = Routes::new(left, [], self.world, DOMAIN, Defaults::default());
            &stripped
        };
        for host in self.hosts() {
            if self.decider(&host).is_none_or(|d| d.object != *object) {
                continue;
            }
            let after = routes.table(&self.waypoint(), &host);
            let found = self.compare(&self.table_before(&host), &after);
            if let Some(difference) = found.differences.first() {
                return Err(format!(
                    "a waypoint does not do the same with it: {difference}"
                ));
            }
        }
        Ok(())
    }
}

/// The ports of a Service that take requests.
pub(super) fn hosts(ground: &Ground<'_>, service: &Service) -> Vec<Host> {
    let ports = ground.mesh.spec(service).ports.iter();
    let ports = ports.filter(|port| port.speaks().takes_requests());
    ports
        .map(|port| Host {
            name: full_name(&service.object),
            namespace: service.object.namespace.to_string(),
            port: port.port,
            grpc: port.speaks() == Speaks::Grpc,
        })
        .collect()
}

/// The VirtualService that decides about a host for clients of a namespace.
pub(super) fn decider<'r>(
    routes: &'r Routes<'_>,
    host: &Host,
    client: &str,
) -> Option<Decider<'r>> {
    let labels = Labels::default();
    let view = Viewpoint::Sidecar {
        namespace: client,
        labels: &labels,
    };
    routes.decider(&view, host)
}

/// Compares two tables by the pods that requests reach.
pub(super) fn compare_tables(
    ground: &Ground<'_>,
    candidates: &Candidates,
    before: &Table,
    after: &Table,
) -> compare::Comparison {
    let reaches = Reaches {
        mesh: ground.mesh,
        candidates,
    };
    let side = |table| Side {
        table,
        resolver: &reaches,
    };
    let limits = Limits {
        differences: 1,
        ..Limits::default()
    };
    compare(side(before), side(after), limits)
}

/// A route as its JSON is read, the names of several in their order.
fn read_back(spec: &HttpRouteSpec, service: &ObjectRef, number: usize) -> Option<HttpRoute> {
    let json = serde_json::json!({
        "metadata": {"name": format!("{number:04}"), "namespace": &*service.namespace},
        "spec": spec,
    });
    HttpRoute::from_json(&json)
        .ok()
        .filter(|read| read.unknown.is_empty())
}

fn spot_of(rule: &Written<'_>) -> Spot {
    Spot {
        object: rule.origin.object.clone(),
        field: rule.origin.field.clone(),
    }
}

/// The name of a rule, where it has one that a route can have.
fn name_of(rule: &Written<'_>, findings: &mut Findings) -> Option<String> {
    let name = &rule.route.name;
    if name.is_empty() {
        return None;
    }
    if emit::is_rule_name(name) {
        return Some(name.clone());
    }
    findings.note(spot_of(rule).then("name").note(
        Topic::NoCounterpart,
        Weight::Form,
        format!("{name:?} is no name that a rule of an HTTPRoute takes, so that it is left out"),
    ));
    None
}

/// The pieces of a rule: one for each alternative of its matches.
fn pieces_of(
    rule: &Written<'_>,
    number: usize,
    setting: &Setting<'_>,
    reader: &Actions<'_>,
    actions: &mut Vec<Action>,
    findings: &mut Findings,
) -> Vec<Piece> {
    let spot = spot_of(rule);
    let counts = |port: u32| port == 0 || port == u32::from(setting.port);
    let matches = &rule.route.matches;
    if !matches.is_empty() && !matches.iter().any(|one| counts(one.port)) {
        return Vec::new();
    }
    let action = reader.of(rule.route, rule.namespace, &spot, findings);
    let wish = action.wish.clone();
    let known = actions.iter().position(|known| known.is_same(&action));
    let action = known.unwrap_or_else(|| {
        actions.push(action);
        actions.len() - 1
    });
    let mut pieces = Vec::new();
    if matches.is_empty() {
        let path = wish.on_all(&spot, findings);
        let demands = super::form::Demands::default();
        pieces.push(Piece::new(path, demands, action, number));
    }
    for (position, one) in matches.iter().enumerate() {
        let spot = spot.then("match").then(position);
        for alternative in setting.alternatives(one, &wish, &spot, findings) {
            let (path, demands) = (alternative.path, alternative.demands);
            pieces.push(Piece::new(path, demands, action, number));
        }
    }
    pieces
}

/// Says which prefixes are written as expressions.
fn note_form(piece: &Piece, decider: &Decider<'_>, paths: PathForm, findings: &mut Findings) {
    use crate::semantics::language::Shape;
    let (Shape::Prefix(prefix), true) = (piece.pattern.shape(), piece.path.is_regex()) else {
        return;
    };
    if paths == PathForm::Exact {
        let says = format!(
            "the prefix {prefix} is written as the expression {}, because a PathPrefix compares path elements",
            piece.path.text()
        );
        let spot = spot_of(&decider.rules[piece.rule]).then("match");
        findings.note(spot.note(Topic::Paths, Weight::Form, says));
    }
}

fn in_words(disorder: &Disorder, decider: &Decider<'_>) -> super::obstacle::Obstacle {
    match disorder {
        Disorder::Turned(first, second) => {
            let (first, spot) = (
                spot_of(&decider.rules[*first]).field,
                spot_of(&decider.rules[*second]),
            );
            let says = format!(
                "an HTTPRoute sorts it before {first}, and it cannot be written otherwise because it replaces a prefix"
            );
            spot.obstacle(Gravity::NoForm, Topic::Order, says)
        }
        Disorder::TooLong(rule) => spot_of(&decider.rules[*rule]).obstacle(
            Gravity::NoForm,
            Topic::Limits,
            "its expression would have to be longer than an HTTPRoute takes, to go before others",
        ),
    }
}

/// What is said of obstacles: of those that are accepted, that requests are treated otherwise; of
/// others, that the VirtualService stays, or that it is refused.
pub(super) fn remarks(findings: &Findings, weight: impl Fn(Gravity) -> Weight) -> Vec<Note> {
    let note = |obstacle: &super::obstacle::Obstacle| {
        let mut remark = obstacle.remark(weight(obstacle.gravity));
        if obstacle.gravity == Gravity::Differs && remark.weight != Weight::Lossy {
            let accept = format!(
                "--accept {}=REASON takes the HTTPRoute all the same",
                remark.topic
            );
            remark.remedy = Some(match remark.remedy {
                Some(remedy) => format!("{remedy}; {accept}"),
                None => accept,
            });
        }
        Note {
            object: obstacle.object.clone(),
            remark,
        }
    };
    findings.obstacles.iter().map(note).collect()
}

/// The ports of services by which they are known, for what is not routed at all.
pub(super) fn wants_routes(form: RouteForm) -> bool {
    form != RouteForm::Keep
}

/// Sorted by name, what decides about the ports of a Service.
pub(super) fn deciders(case: &Case<'_>) -> BTreeMap<ObjectRef, Vec<u16>> {
    let mut found: BTreeMap<ObjectRef, Vec<u16>> = BTreeMap::new();
    for host in case.hosts() {
        if let Some(decider) = case.decider(&host) {
            found.entry(decider.object).or_default().push(host.port);
        }
    }
    found
}
