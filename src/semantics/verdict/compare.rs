//! Two situations compared: one call of every kind that any of their rules tells apart.
//!
//! A kind is found as in a decision tree: one feature of the call after the other is given a value,
//! and what is left of both sides is looked at. Values that leave the same are one; where both sides
//! are left with the same rules, or with none, there is nothing more to ask. So the work follows the
//! rules that can still decide, not the product of all values.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::rc::Rc;

use super::call::{Call, Payload, Port, Protocol, Request};
use super::cells::{self, Callers, Cells, Feature, Value};
use super::formula::Id;
use super::program::{Program, unknown};
use super::question::{Field, Questions};
use super::verdict::Verdict;
use super::way::{Situation, Way};
use crate::semantics::compare::How;
use crate::semantics::identity::Identity;

/// How far to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Kinds of calls.
    pub classes: usize,
    /// Differences that are kept of those that open something, and of the others; beyond, they are
    /// counted.
    pub differences: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            classes: 50_000,
            differences: 100,
        }
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Kinds of calls that were told apart.
    pub classes: usize,
    /// Kinds that come to something else.
    pub differing: usize,
    /// One call of each such kind, as many as the bound allows.
    pub differences: Vec<Difference>,
    /// Calls of which it is not known whether they come to the same.
    pub undecided: Vec<Difference>,
    /// Whether every kind was met.
    pub how: How,
}

impl Comparison {
    /// With some of its differences only.
    #[must_use]
    pub fn kept(mut self, keep: impl Fn(&Difference) -> bool) -> Self {
        let had = self.differences.len();
        if self.differing > had {
            let why = "more kinds of calls come to something else than were looked at one by one";
            self.sampled(why.to_owned());
        }
        self.differences.retain(&keep);
        self.undecided.retain(&keep);
        self.differing -= had - self.differences.len();
        if self.differences.is_empty() {
            self.differing = 0;
        }
        self
    }

    /// Adds what a comparison of other calls found.
    pub fn append(&mut self, other: Self) {
        self.classes += other.classes;
        self.differing += other.differing;
        self.differences.extend(other.differences);
        self.undecided.extend(other.undecided);
        if let How::Sampled { why } = other.how {
            for why in why {
                self.sampled(why);
            }
        }
    }

    fn sampled(&mut self, why: String) {
        match &mut self.how {
            How::Sampled { why: others } if others.contains(&why) => {}
            How::Sampled { why: others } => others.push(why),
            how @ How::Complete => *how = How::Sampled { why: vec![why] },
        }
    }
}

/// A call that comes to something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The call.
    pub call: Call,
    /// What comes of it before.
    pub before: Verdict,
    /// What comes of it after.
    pub after: Verdict,
    /// What was supposed about things that no call says.
    pub supposing: BTreeMap<String, bool>,
}

impl Difference {
    /// Whether something is let through, or may be, that was refused or asked about.
    pub fn opens(&self) -> bool {
        match (&self.before, &self.after) {
            (Verdict::Allowed(_), _) => false,
            (Verdict::Asks(before, _), Verdict::Asks(after, _)) => !before.is_subset(after),
            (_, after) => !matches!(after, Verdict::Denied(_)),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call,
            before,
            after,
            supposing,
        } = self;
        write!(f, "{call}: before {before}; after {after}")?;
        for (what, is) in supposing {
            let is = if *is { "yes" } else { "no" };
            write!(f, "; supposing {what}: {is}")?;
        }
        Ok(())
    }
}

/// Which calls are compared.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'c> {
    /// To these ports.
    pub ports: &'c [Port],
    /// By anyone but these: waypoints, whose service accounts nobody else has.
    pub not_by: &'c [Identity],
}

/// Compares what comes of calls.
pub fn compare(
    before: &Situation<'_>,
    after: &Situation<'_>,
    scope: Scope<'_>,
    bounds: Bounds,
) -> Comparison {
    let mut questions = Questions::default();
    let mut sampled = BTreeSet::new();
    let mut pairs = Vec::new();
    for port in scope.ports {
        for http in payloads(port.protocol) {
            for known in [true, false] {
                let way = |situation, questions: &mut Questions| {
                    let hops = Situation::hops(situation, known);
                    let way = Way {
                        hops,
                        known,
                        port: *port,
                        http: *http,
                    };
                    way.program(questions)
                };
                let mut one = way(before, &mut questions);
                let two = way(after, &mut questions);
                for (issuer, way) in two.ways {
                    one.ways.entry(issuer).or_default().extend(way);
                }
                for issuer in one.ways.iter().filter(|(_, ways)| ways.len() > 1) {
                    sampled.insert(format!(
                        "tokens of {} are verified in more than one way",
                        issuer.0
                    ));
                }
                let context = Context {
                    port: *port,
                    http: *http,
                    known,
                };
                pairs.push((context, one.program, two.program));
            }
        }
    }
    let callers = cells::Callers {
        trust_domains: trust_domains(before, after),
        without: scope.not_by.to_vec(),
    };
    let mut search = Search::new(&questions, callers, bounds, sampled);
    for (context, one, two) in &pairs {
        search.context = *context;
        search.visited.clear();
        search.whole = Some((one.clone(), two.clone()));
        search.explore(one, two);
    }
    search.result()
}

fn payloads(protocol: Protocol) -> &'static [bool] {
    match protocol {
        Protocol::Http => &[true],
        Protocol::Tcp => &[false],
        Protocol::Sniffed => &[true, false],
    }
}

/// The trust domains of which callers may be.
fn trust_domains(before: &Situation<'_>, after: &Situation<'_>) -> Vec<String> {
    let mut all = Vec::new();
    for hop in before.meshed.iter().chain(&after.meshed) {
        let settings = hop.policies.settings;
        let own = std::iter::once(&settings.trust_domain);
        let others = settings.trust_domain_aliases.iter();
        for domain in own.chain(others).chain(&settings.other_trust_domains) {
            if !all.contains(domain) {
                all.push(domain.clone());
            }
        }
    }
    all
}

#[derive(Debug, Clone, Copy)]
struct Context {
    port: Port,
    http: bool,
    known: bool,
}

struct Search<'s> {
    questions: &'s Questions,
    callers: Callers,
    bounds: Bounds,
    asked: BTreeMap<Feature, Vec<Id>>,
    cells: HashMap<Feature, Rc<Cells>>,
    visited: HashSet<(Program, Program)>,
    context: Context,
    whole: Option<(Program, Program)>,
    chosen: Vec<(Feature, Value)>,
    classes: usize,
    differing: usize,
    differences: Vec<Difference>,
    undecided: Vec<Difference>,
    sampled: BTreeSet<String>,
}

impl<'s> Search<'s> {
    fn new(
        questions: &'s Questions,
        callers: Callers,
        bounds: Bounds,
        sampled: BTreeSet<String>,
    ) -> Self {
        let mut asked: BTreeMap<Feature, Vec<Id>> = BTreeMap::new();
        for id in questions.ids() {
            let feature = cells::feature(questions, id);
            asked.entry(feature).or_default().push(id);
        }
        Self {
            questions,
            callers,
            bounds,
            asked,
            cells: HashMap::new(),
            visited: HashSet::new(),
            context: Context {
                port: Port::undeclared(0),
                http: false,
                known: false,
            },
            whole: None,
            chosen: Vec::new(),
            classes: 0,
            differing: 0,
            differences: Vec::new(),
            undecided: Vec::new(),
            sampled,
        }
    }

    fn explore(&mut self, before: &Program, after: &Program) {
        if self.classes >= self.bounds.classes {
            self.sampled.insert(format!(
                "there are more than {} kinds of calls",
                self.bounds.classes
            ));
            return;
        }
        if before.is_same(after) {
            self.classes += 1;
            return;
        }
        let mut left: BTreeMap<Feature, BTreeSet<Id>> = BTreeMap::new();
        let mut note = |id: Id| {
            let feature = cells::feature(self.questions, id);
            left.entry(feature).or_default().insert(id);
        };
        before.questions(&mut note);
        after.questions(&mut note);
        let Some((feature, ids)) = left.into_iter().next() else {
            self.leaf(before, after);
            return;
        };
        if !self.visited.insert((before.clone(), after.clone())) {
            return;
        }
        let cells = self.cells_of(&feature);
        if !cells.complete {
            self.sampled
                .insert(format!("not every {} was tried", name_of(&feature)));
        }
        let mut seen: HashSet<Vec<bool>> = HashSet::new();
        for cell in &cells.list {
            if !self.is_possible(&feature, &cell.value) {
                continue;
            }
            let answers: Vec<bool> = ids.iter().map(|id| cell.answers(*id)).collect();
            if !seen.insert(answers) {
                continue;
            }
            let answer = |id: Id| ids.contains(&id).then(|| cell.answers(id));
            let (one, two) = (before.given(&answer), after.given(&answer));
            self.chosen.push((feature.clone(), cell.value.clone()));
            self.explore(&one, &two);
            self.chosen.pop();
        }
    }

    fn cells_of(&mut self, feature: &Feature) -> Rc<Cells> {
        if let Some(known) = self.cells.get(feature) {
            return Rc::clone(known);
        }
        let ids = self.asked.get(feature).map_or(&[][..], Vec::as_slice);
        let cells = Rc::new(cells::cells(feature, ids, self.questions, &self.callers));
        self.cells.insert(feature.clone(), Rc::clone(&cells));
        cells
    }

    /// Whether a value goes with what is chosen already.
    fn is_possible(&self, feature: &Feature, value: &Value) -> bool {
        match (feature, value) {
            (_, Value::Who(identity)) => identity.is_some() == self.context.known,
            // What is read as HTTP does not come in TLS of its own.
            (Feature::Text(Field::ServerName), Value::Text(Some(_))) => !self.context.http,
            _ => true,
        }
    }

    fn leaf(&mut self, before: &Program, after: &Program) {
        self.classes += 1;
        if before.outcome().agrees(&after.outcome()) {
            return;
        }
        let Some(call) = self.call() else {
            return;
        };
        let supposing: BTreeMap<String, bool> = self
            .chosen
            .iter()
            .filter_map(|(feature, value)| match (feature, value) {
                (Feature::Open(id), Value::Open(is)) => {
                    Some((unknown(self.questions.get(*id)), *is))
                }
                _ => None,
            })
            .collect();
        let open = !supposing.is_empty();
        if !open {
            self.differing += 1;
        }
        let verdict = |program: &Program| {
            let answered = program.given(&|id| self.questions.answer(id, &call));
            answered.verdict(self.questions)
        };
        let (before, after) = match &self.whole {
            Some((one, two)) => (verdict(one), verdict(two)),
            None => (before.outcome(), after.outcome()),
        };
        let list = if open {
            &mut self.undecided
        } else {
            &mut self.differences
        };
        let difference = Difference {
            call,
            before,
            after,
            supposing,
        };
        let alike = list
            .iter()
            .filter(|known| known.opens() == difference.opens());
        if alike.count() < self.bounds.differences {
            list.push(difference);
        }
    }

    /// A call with the values that are chosen, and ordinary ones elsewhere; `None` when there is none.
    fn call(&mut self) -> Option<Call> {
        let mut request = Request::default();
        let mut call = Call {
            identity: None,
            source_ip: None,
            remote_ip: None,
            port: self.context.port,
            server_name: None,
            payload: Payload::Bytes,
        };
        if self.context.known {
            let anybody =
                self.cells_of(&Feature::Who)
                    .list
                    .iter()
                    .find_map(|cell| match &cell.value {
                        Value::Who(Some(identity)) => Some(identity.clone()),
                        _ => None,
                    });
            call.identity = anybody;
        }
        let mut claims = BTreeMap::new();
        for (feature, value) in &self.chosen {
            match (feature, value.clone()) {
                (Feature::Who, Value::Who(identity)) => call.identity = identity,
                (Feature::SourceIp, Value::Ip(ip)) => call.source_ip = Some(ip),
                (Feature::RemoteIp, Value::Ip(ip)) => call.remote_ip = Some(ip),
                (Feature::Token, Value::Token(token)) => request.token = token,
                (Feature::Text(Field::Claim(path)), Value::Claim(values)) if !values.is_empty() => {
                    claims.insert(path.clone(), values);
                }
                (Feature::Text(field), Value::Text(value)) => match field {
                    Field::Method => request.method = value?,
                    Field::Path => request.path = value?,
                    Field::Host => request.host = value?,
                    Field::Header(name) => {
                        if let Some(value) = value {
                            request.headers.insert(name.clone(), value);
                        }
                    }
                    Field::ServerName => call.server_name = value,
                    Field::Claim(_) => {}
                },
                _ => {}
            }
        }
        // A claim is a text or holds others, not both.
        let nests = claims.keys().zip(claims.keys().skip(1));
        for (one, two) in nests {
            let (one, two): (&Vec<String>, &Vec<String>) = (one, two);
            if two.starts_with(one) {
                return None;
            }
        }
        if let Some(token) = &mut request.token {
            token.claims = claims;
        }
        if self.context.http {
            call.payload = Payload::Http(request);
        }
        Some(call)
    }

    fn result(self) -> Comparison {
        Comparison {
            classes: self.classes,
            differing: self.differing,
            differences: self.differences,
            undecided: self.undecided,
            how: if self.sampled.is_empty() {
                How::Complete
            } else {
                How::Sampled {
                    why: self.sampled.into_iter().collect(),
                }
            },
        }
    }
}

/// What a feature is called.
fn name_of(feature: &Feature) -> String {
    match feature {
        Feature::Who => "identity".to_owned(),
        Feature::SourceIp | Feature::RemoteIp => "address".to_owned(),
        Feature::Token => "token".to_owned(),
        Feature::Open(_) => "possibility".to_owned(),
        Feature::Text(field) => match field {
            Field::Method => "method".to_owned(),
            Field::Path => "path".to_owned(),
            Field::Host => "host".to_owned(),
            Field::Header(name) => format!("value of the header {name}"),
            Field::Claim(path) => format!("value of the claim {}", path.join(".")),
            Field::ServerName => "server name".to_owned(),
        },
    }
}
