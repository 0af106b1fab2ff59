//! The way of a call through the points that judge it, and what it comes down to.
//!
//! Source of the order at Envoy: `pilot/pkg/networking/core/listener_waypoint.go`
//! (`buildWaypointHTTPFilters`), `networkfilter.go`, `listener_builder.go`: CUSTOM, tokens, DENY,
//! ALLOW; AUDIT marks and decides nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::call::{Call, Payload, Port, Protocol};
use super::envoy::{self, Chain};
use super::formula::Formula;
use super::peer::{self, Takes};
use super::policies::{Point, Policies};
use super::program::{Program, Stage};
use super::question::{Question, Questions, Who};
use super::token::{Verified, Visible};
use super::verdict::{Cause, Judge, RuleName, Verdict};
use super::ztunnel::{self, Connection};
use crate::kinds::Resource;
use crate::kinds::authorization::{Action, AuthorizationPolicy};
use crate::mesh::installation::Authorizer;
use crate::semantics::authorization::is_dry_run;
use crate::semantics::identity::Identity;

/// How a call is carried to a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// As the caller sent it, without mutual TLS.
    PlainText,
    /// By the mutual TLS between sidecars. Where the callee takes plain text only, the caller's
    /// sidecar sends that.
    MutualTls,
    /// By HBONE: from ztunnel, from a waypoint, or to an ambient pod.
    Hbone,
}

/// A point on the way.
#[derive(Debug, Clone)]
pub struct Hop<'m> {
    /// Where.
    pub point: Point<'m>,
    /// The policies that it has received.
    pub policies: &'m Policies<'m>,
    /// How the call comes there.
    pub carrier: Carrier,
    /// Who seems to call, where it is not the caller: the waypoint before it.
    pub peer: Option<Identity>,
    /// The address that is called there, where it is known: a Service's, a pod's.
    pub address: Option<IpAddr>,
}

/// The ways to a workload.
#[derive(Debug, Clone)]
pub struct Situation<'m> {
    /// Of callers with an identity.
    pub meshed: Vec<Hop<'m>>,
    /// Of callers in plain text. Their carriers are plain text whatever they say.
    pub plain: Vec<Hop<'m>>,
}

/// What comes of a call.
pub fn judge(situation: &Situation<'_>, call: &Call) -> Verdict {
    Bench::of(situation).judge(call)
}

/// Who judges many calls by the same policies: each way is worked out once.
pub struct Bench<'b, 'm> {
    situation: &'b Situation<'m>,
    questions: Questions,
    ways: HashMap<(bool, Port, bool), Program>,
}

impl<'b, 'm> Bench<'b, 'm> {
    /// Of the calls of a situation.
    pub fn of(situation: &'b Situation<'m>) -> Self {
        Self {
            situation,
            questions: Questions::default(),
            ways: HashMap::new(),
        }
    }

    /// What comes of a call.
    pub fn judge(&mut self, call: &Call) -> Verdict {
        let known = call.identity.is_some();
        let http = matches!(call.payload, Payload::Http(_));
        let questions = &mut self.questions;
        let program = self
            .ways
            .entry((known, call.port, http))
            .or_insert_with(|| {
                let way = Way {
                    hops: self.situation.hops(known),
                    known,
                    port: call.port,
                    http,
                };
                way.program(questions).program
            });
        let left = program.given(&|id| self.questions.answer(id, call));
        left.verdict(&self.questions)
    }
}

impl<'m> Situation<'m> {
    pub(super) fn hops(&self, known: bool) -> &[Hop<'m>] {
        if known { &self.meshed } else { &self.plain }
    }

    /// The ports that policies on the ways name, whatever they name them for.
    pub fn named_ports(&self) -> BTreeSet<u16> {
        let mut ports = BTreeSet::new();
        let mut take = |text: &str| ports.extend(text.parse::<u16>());
        for hop in self.meshed.iter().chain(&self.plain) {
            for policy in hop.policies.authorization_at(&hop.point) {
                for rule in &policy.spec.rules {
                    for to in &rule.to {
                        for field in ["ports", "notPorts"] {
                            let values = to.operation.0.get(field);
                            values.into_iter().flatten().for_each(|text| take(text));
                        }
                    }
                    for when in rule.when.iter().filter(|w| w.key == "destination.port") {
                        when.values
                            .iter()
                            .chain(&when.not_values)
                            .for_each(|text| take(text));
                    }
                }
            }
            if let Point::Sidecar(pod) | Point::Ztunnel(pod) = &hop.point
                && let Some(own) = hop.policies.peers_of(pod).own
            {
                own.spec.port_level_mtls.keys().for_each(|text| take(text));
            }
        }
        ports
    }
}

/// One of the ways, to one port, with one kind of payload.
#[derive(Debug)]
pub(super) struct Way<'w, 'm> {
    pub(super) hops: &'w [Hop<'m>],
    pub(super) known: bool,
    pub(super) port: Port,
    pub(super) http: bool,
}

/// A way, compiled.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) program: Program,
    /// For each issuer whose tokens are verified on the way, how.
    pub(super) ways: BTreeMap<String, BTreeSet<String>>,
}

impl Way<'_, '_> {
    /// What it comes down to.
    pub(super) fn program(&self, ask: &mut Questions) -> Compiled {
        let mut stages = Vec::new();
        let mut ways: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut visible = Visible::All;
        for hop in self.hops {
            let mut compiler = Compiler {
                hop,
                known: self.known,
                port: self.port,
                payload_http: self.http,
                anonymous: false,
                ask,
                stages: Vec::new(),
            };
            compiler.anonymous = compiler.carrier() == Carrier::PlainText;
            let verified = compiler.compile(visible);
            stages.extend(compiler.substituted());
            for (issuer, way) in verified.ways() {
                ways.entry(issuer.clone()).or_default().insert(way.clone());
            }
            visible = verified.leaves();
        }
        Compiled {
            program: Program::new(stages),
            ways,
        }
    }
}

struct Compiler<'c, 'm> {
    hop: &'c Hop<'m>,
    known: bool,
    port: Port,
    payload_http: bool,
    /// Whether nobody is known at this point, whoever calls.
    anonymous: bool,
    ask: &'c mut Questions,
    stages: Vec<Stage>,
}

impl<'m> Compiler<'_, 'm> {
    /// Adds the hop's stages; gives what it makes of tokens.
    fn compile(&mut self, visible: Visible) -> Verified {
        let policies = self.hop.policies;
        let judge = match &self.hop.point {
            Point::Sidecar(_) => Judge::Sidecar,
            Point::Ztunnel(_) => Judge::Ztunnel,
            Point::Waypoint { .. } => Judge::Waypoint,
            Point::Gateway(_) => Judge::Gateway,
        };
        match &self.hop.point {
            Point::Ztunnel(pod) => {
                self.peers(judge, &peer::at_ztunnel(policies, pod, self.port.pod));
                self.at_ztunnel();
                Verified::nowhere(visible)
            }
            Point::Sidecar(pod) => {
                let takes = match self.carrier() {
                    // Always strict: `ForHBONE` in `pilot/pkg/networking/plugin/authn`.
                    Carrier::Hbone => Takes::Identity(None),
                    _ => peer::at_sidecar(policies, pod, self.port.pod),
                };
                // The caller's sidecar knows that, and sends plain text.
                self.anonymous |= takes == Takes::PlainText;
                self.peers(judge, &takes);
                self.at_envoy(judge, visible)
            }
            Point::Waypoint { .. } => {
                self.peers(judge, &Takes::Identity(None));
                self.at_envoy(judge, visible)
            }
            Point::Gateway(_) => self.at_envoy(judge, visible),
        }
    }

    fn carrier(&self) -> Carrier {
        if self.known || self.hop.peer.is_some() {
            self.hop.carrier
        } else {
            Carrier::PlainText
        }
    }

    /// Who may not even connect.
    fn peers(&mut self, judge: Judge, takes: &Takes) {
        let mut refuse = Vec::new();
        if let Takes::Identity(policy) = takes {
            let known = self.ask.ask(Question::Who(Who::Known));
            refuse.push((Formula::not(known), Cause::PlainText(policy.clone())));
        }
        if *takes != Takes::PlainText {
            let settings = self.hop.policies.settings;
            let aliases = match judge {
                Judge::Ztunnel => &[][..],
                _ => &settings.trust_domain_aliases,
            };
            let others = match judge {
                Judge::Ztunnel => &[][..],
                _ => &settings.other_trust_domains,
            };
            let own = std::iter::once(&settings.trust_domain);
            let own = own.chain(aliases).chain(others);
            let accepted: Vec<Formula> = own
                .map(|domain| {
                    self.ask
                        .ask(Question::Who(Who::TrustDomain(domain.clone())))
                })
                .collect();
            let known = self.ask.ask(Question::Who(Who::Known));
            let foreign = Formula::all([known, Formula::not(Formula::any(accepted))]);
            refuse.push((foreign, Cause::TrustDomain));
        }
        self.stages.push(Stage::Refuse(judge, refuse));
    }

    fn at_ztunnel(&mut self) {
        let connection = Connection {
            port: self.port.pod,
            address: self.hop.address,
        };
        let policies = self.hop.policies.authorization_at(&self.hop.point);
        let mut deny = Vec::new();
        let mut allow = Vec::new();
        let mut any_allow = false;
        for policy in policies
            .into_iter()
            .filter(|policy| ztunnel::is_sent(policy))
        {
            let action = policy.spec.action;
            any_allow |= action == Action::Allow;
            for (position, rule) in policy.spec.rules.iter().enumerate() {
                let namespace = &policy.metadata.namespace;
                let found = ztunnel::rule(rule, namespace, action, &connection, self.ask);
                let Some(formula) = found else { continue };
                let name = rule_name(policy, position);
                match action {
                    Action::Deny => deny.push((formula, Cause::Rule(name))),
                    _ => allow.push((formula, name)),
                }
            }
        }
        self.local(Judge::Ztunnel, deny, any_allow.then_some(allow));
    }

    fn at_envoy(&mut self, judge: Judge, visible: Visible) -> Verified {
        let tokens = self.hop.policies.tokens_at(&self.hop.point);
        let http = match self.port.protocol {
            Protocol::Http => true,
            Protocol::Tcp => false,
            Protocol::Sniffed => self.payload_http,
        };
        if http && !self.payload_http {
            self.stages
                .push(Stage::Refuse(judge, vec![(Formula::True, Cause::NotHttp)]));
        }
        let (verified, unverified) = if http {
            (Verified::by(&tokens, visible), None)
        } else {
            (Verified::nowhere(visible.clone()), Some(visible))
        };
        let settings = self.hop.policies.settings;
        let mut trust_domains = vec![settings.trust_domain.as_str()];
        trust_domains.extend(settings.trust_domain_aliases.iter().map(String::as_str));
        let port = match (&self.hop.point, self.port.service) {
            (Point::Waypoint { .. }, Some(service)) => service,
            _ => self.port.pod,
        };
        let server_name = match (judge, self.carrier()) {
            (Judge::Sidecar | Judge::Gateway, Carrier::PlainText) => None,
            (_, Carrier::MutualTls) => {
                Some("the server name that the caller's sidecar gives".to_owned())
            }
            _ => Some(format!("the server name that {judge} sees")),
        };
        let chain = Chain {
            http,
            port,
            server_name,
            address: self.hop.address,
            place: judge.to_string(),
            tokens: &verified,
            trust_domains,
        };
        let policies = self.hop.policies.authorization_at(&self.hop.point);
        self.custom(judge, &policies, &chain);
        let refused = verified.refused(self.ask);
        self.stages
            .push(Stage::Refuse(judge, vec![(refused, Cause::Token)]));
        self.rules(judge, &policies, &chain);
        match unverified {
            Some(visible) => Verified::nowhere(visible),
            None => verified,
        }
    }

    fn rules(&mut self, judge: Judge, policies: &[&'m AuthorizationPolicy], chain: &Chain<'_>) {
        let mut deny = Vec::new();
        let mut allow = Vec::new();
        let mut any_allow = false;
        for policy in policies {
            let action = policy.spec.action;
            if !matches!(action, Action::Allow | Action::Deny) || is_dry_run(&policy.metadata) {
                continue;
            }
            any_allow |= action == Action::Allow;
            for (position, rule) in policy.spec.rules.iter().enumerate() {
                let namespace = &policy.metadata.namespace;
                let Some(formula) = envoy::rule(rule, namespace, action, chain, self.ask) else {
                    continue;
                };
                let name = rule_name(policy, position);
                match action {
                    Action::Deny => deny.push((formula, Cause::Rule(name))),
                    _ => allow.push((formula, name)),
                }
            }
        }
        self.local(judge, deny, any_allow.then_some(allow));
    }

    fn local(
        &mut self,
        judge: Judge,
        deny: Vec<(Formula, Cause)>,
        allow: Option<Vec<(Formula, RuleName)>>,
    ) {
        self.stages.push(Stage::Refuse(judge, deny));
        if let Some(allow) = allow {
            self.stages.push(Stage::Require(judge, allow));
        }
    }

    /// Who is asked, by provider; a provider that is not defined refuses what would go to it.
    fn custom(&mut self, judge: Judge, policies: &[&'m AuthorizationPolicy], chain: &Chain<'_>) {
        let mut by_provider: BTreeMap<&str, Vec<(Formula, RuleName)>> = BTreeMap::new();
        for policy in policies.iter().filter(|p| p.spec.action == Action::Custom) {
            let provider = policy
                .spec
                .provider
                .as_ref()
                .map_or("", |p| p.name.as_str());
            let rules = by_provider.entry(provider).or_default();
            for (position, rule) in policy.spec.rules.iter().enumerate() {
                let namespace = &policy.metadata.namespace;
                let found = envoy::rule(rule, namespace, Action::Custom, chain, self.ask);
                let Some(mut formula) = found else { continue };
                if is_dry_run(&policy.metadata) {
                    // istiod's webhook refuses it; what got past that refuses or asks, by release.
                    let tried = self
                        .ask
                        .open("what a CUSTOM policy does that is only tried");
                    formula = Formula::all([tried, formula]);
                }
                rules.push((formula, rule_name(policy, position)));
            }
        }
        let settings = self.hop.policies.settings;
        let several = by_provider.len() > 1 && !settings.several_providers;
        for (provider, rules) in by_provider {
            let defined = match &settings.providers {
                None => None,
                Some(providers) => Some(providers.get(provider)),
            };
            if several || defined == Some(None) {
                let refuse = rules.into_iter();
                let refuse = refuse.map(|(formula, name)| (formula, Cause::NoProvider(name)));
                self.stages.push(Stage::Refuse(judge, refuse.collect()));
                continue;
            }
            let mut formula = Formula::any(rules.into_iter().map(|(formula, _)| formula));
            if !chain.http {
                formula = match defined.flatten() {
                    Some(Authorizer::Http) => Formula::False,
                    Some(Authorizer::Grpc) => formula,
                    None => {
                        let what = format!("whether {provider} is asked about bytes");
                        Formula::all([self.ask.open(what), formula])
                    }
                };
            }
            self.stages.push(Stage::Ask(provider.to_owned(), formula));
        }
    }

    /// The stages, where the peer is not the caller.
    fn substituted(self) -> Vec<Stage> {
        let Self {
            hop,
            ask,
            stages,
            anonymous,
            ..
        } = self;
        if anonymous {
            return stages
                .into_iter()
                .map(|stage| {
                    each_formula(stage, &mut |formula| {
                        formula
                            .given(&|id| matches!(ask.get(id), Question::Who(_)).then_some(false))
                    })
                })
                .collect();
        }
        let Some(peer) = &hop.peer else {
            return stages;
        };
        let whose = format!("the address of {peer}");
        stages
            .into_iter()
            .map(|stage| {
                each_formula(stage, &mut |formula| {
                    let mut asked = Vec::new();
                    formula.questions(&mut |id| asked.push(id));
                    let mut open = BTreeMap::new();
                    for id in asked {
                        if let Question::SourceIp(network) = ask.get(id) {
                            let what = format!("whether {whose} is in {network}");
                            open.insert(id, ask.open(what));
                        }
                    }
                    let formula = replaced(&formula, &open);
                    formula.given(&|id| match ask.get(id) {
                        Question::Who(who) => ask.who(who, Some(peer)),
                        _ => None,
                    })
                })
            })
            .collect()
    }
}

fn rule_name(policy: &AuthorizationPolicy, rule: usize) -> RuleName {
    RuleName {
        policy: policy.reference(),
        rule,
    }
}

fn each_formula(stage: Stage, change: &mut impl FnMut(Formula) -> Formula) -> Stage {
    match stage {
        Stage::Ask(provider, formula) => Stage::Ask(provider, change(formula)),
        Stage::Refuse(judge, rules) => {
            let rules = rules.into_iter().map(|(f, cause)| (change(f), cause));
            Stage::Refuse(judge, rules.collect())
        }
        Stage::Require(judge, rules) => {
            let rules = rules.into_iter().map(|(f, name)| (change(f), name));
            Stage::Require(judge, rules.collect())
        }
    }
}

/// A formula with other formulas in the place of some questions.
fn replaced(formula: &Formula, by: &BTreeMap<u32, Formula>) -> Formula {
    match formula {
        Formula::True => Formula::True,
        Formula::False => Formula::False,
        Formula::Is(id) => by.get(id).cloned().unwrap_or(Formula::Is(*id)),
        Formula::Not(inner) => Formula::not(replaced(inner, by)),
        Formula::All(parts) => Formula::all(parts.iter().map(|part| replaced(part, by))),
        Formula::Any(parts) => Formula::any(parts.iter().map(|part| replaced(part, by))),
    }
}
