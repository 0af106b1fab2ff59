//! What a call can be, as far as the questions tell it apart: for each feature of a call one value of
//! every combination of answers that some value gives.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::call::Token;
use super::formula::Id;
use super::network::Network;
use super::question::{Field, Question, Questions, Test, Who, uri};
use crate::kinds::Name;
use crate::semantics::identity::Identity;
use crate::semantics::language::{self, Bounds, Domain, Pattern, Predicate};

/// A feature of a call, in the order in which they are chosen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Feature {
    Who,
    SourceIp,
    RemoteIp,
    Token,
    Text(Field),
    Open(Id),
}

/// The feature that a question is about.
pub(super) fn feature(questions: &Questions, id: Id) -> Feature {
    match questions.get(id) {
        Question::Who(_) => Feature::Who,
        Question::SourceIp(_) => Feature::SourceIp,
        Question::RemoteIp(_) => Feature::RemoteIp,
        Question::Token(_) => Feature::Token,
        Question::Text(field, _) => Feature::Text(field.clone()),
        Question::Open(_) => Feature::Open(id),
    }
}

/// A value of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Who(Option<Identity>),
    Ip(IpAddr),
    Token(Option<Token>),
    Text(Option<String>),
    Claim(Vec<String>),
    Open(bool),
}

/// A value and the answers it gives.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) value: Value,
    yes: HashSet<Id>,
}

impl Cell {
    /// Its answer to a question about its feature.
    pub(super) fn answers(&self, id: Id) -> bool {
        self.yes.contains(&id)
    }
}

/// The cells of a feature.
#[derive(Debug)]
pub(super) struct Cells {
    pub(super) list: Vec<Cell>,
    /// Whether every combination that some value gives is there.
    pub(super) complete: bool,
}

/// Who may call.
#[derive(Debug)]
pub(super) struct Callers {
    /// Of which trust domains, the mesh's own first.
    pub(super) trust_domains: Vec<String>,
    /// But not these.
    pub(super) without: Vec<Identity>,
}

impl Callers {
    fn hold(&self, identity: &Identity) -> bool {
        self.trust_domains.contains(&identity.trust_domain) && !self.without.contains(identity)
    }
}

/// The cells of a feature by the questions that are asked about it.
pub(super) fn cells(
    feature: &Feature,
    ids: &[Id],
    questions: &Questions,
    callers: &Callers,
) -> Cells {
    match feature {
        Feature::Who => who(ids, questions, callers),
        Feature::SourceIp | Feature::RemoteIp => addresses(ids, questions),
        Feature::Token => tokens(ids, questions),
        Feature::Text(field) => texts(field, ids, questions),
        Feature::Open(_) => {
            let mut collector = Collector::default();
            collector.add(Value::Open(false), |_| false, ids);
            collector.add(Value::Open(true), |_| true, ids);
            collector.cells(true)
        }
    }
}

/// Cells, each combination of answers once.
#[derive(Default)]
struct Collector {
    list: Vec<Cell>,
    known: HashSet<BTreeSet<Id>>,
}

impl Collector {
    fn add(&mut self, value: Value, answer: impl Fn(Id) -> bool, ids: &[Id]) -> bool {
        let yes: BTreeSet<Id> = ids.iter().copied().filter(|id| answer(*id)).collect();
        let fresh = self.known.insert(yes.clone());
        if fresh {
            let yes = yes.into_iter().collect();
            self.list.push(Cell { value, yes });
        }
        fresh
    }

    fn cells(self, complete: bool) -> Cells {
        Cells {
            list: self.list,
            complete,
        }
    }
}

fn who(ids: &[Id], questions: &Questions, callers: &Callers) -> Cells {
    let asked: Vec<(Id, &Who)> = ids
        .iter()
        .filter_map(|id| match questions.get(*id) {
            Question::Who(who) => Some((*id, who)),
            _ => None,
        })
        .collect();
    let tests: HashMap<Id, &Who> = asked.iter().copied().collect();
    let mut collector = Collector::default();
    let mut add = |identity: Option<Identity>| {
        let of = identity.clone();
        let answer = |id: Id| {
            let test = tests.get(&id);
            test.and_then(|test| questions.who(test, of.as_ref()))
                .unwrap_or(false)
        };
        collector.add(Value::Who(identity.clone()), answer, ids);
    };

    // Whoever is named, somebody else of each namespace that is named, and somebody from elsewhere.
    let mut named: BTreeSet<(Name, Name)> = BTreeSet::new();
    let mut namespaces: BTreeSet<Name> = BTreeSet::new();
    for (_, who) in &asked {
        match who {
            Who::Uri(uri) => named.extend(parse(uri).map(|i| (i.namespace, i.service_account))),
            Who::Account(namespace, account) => {
                named.insert((namespace.clone(), account.clone()));
            }
            Who::Namespace(namespace) => {
                namespaces.insert(namespace.clone());
            }
            Who::Known | Who::TrustDomain(_) | Who::Like(_) => {}
        }
    }
    namespaces.extend(named.iter().map(|(namespace, _)| namespace.clone()));
    let somebody = unnamed("somebody", |name| named.iter().any(|(_, n)| n == name));
    let elsewhere = unnamed("elsewhere", |name| namespaces.contains(name));
    named.extend(namespaces.into_iter().map(|ns| (ns, somebody.clone())));
    let mut list: Vec<(Name, Name)> = named.into_iter().collect();
    list.push((elsewhere, somebody));
    for trust_domain in &callers.trust_domains {
        for (namespace, service_account) in &list {
            let identity = Identity {
                trust_domain: trust_domain.clone(),
                namespace: namespace.clone(),
                service_account: service_account.clone(),
            };
            if callers.hold(&identity) {
                add(Some(identity));
            }
        }
    }
    add(None);

    let mut complete = true;
    if asked.iter().any(|(_, who)| matches!(who, Who::Like(_))) {
        let found = identities_alike(&asked, callers);
        complete = found.complete;
        for cell in found.found {
            let identity = parse(&cell.witness).filter(|identity| callers.hold(identity));
            if identity.is_some() {
                add(identity);
            }
        }
    }
    collector.cells(complete)
}

/// One identity of each kind that patterns tell apart.
fn identities_alike(asked: &[(Id, &Who)], callers: &Callers) -> language::Cells {
    let quote = regex_syntax::escape;
    let of_domain = |domain: &str| Pattern::prefix(format!("spiffe://{domain}/"));
    let patterns = asked.iter().filter_map(|(_, who)| {
        Some(match who {
            Who::Known => return None,
            Who::Uri(uri) => Pattern::exact(uri.as_str()),
            Who::TrustDomain(domain) => of_domain(domain),
            Who::Namespace(namespace) => {
                Pattern::regex(format!("spiffe://[^/]*/ns/{}/sa/[^/]*", quote(namespace)))
            }
            Who::Account(namespace, account) => Pattern::regex(format!(
                "spiffe://[^/]*/ns/{}/sa/{}",
                quote(namespace),
                quote(account)
            )),
            Who::Like(pattern) => pattern.clone(),
        })
    });
    let own = callers.trust_domains.iter().map(|domain| of_domain(domain));
    // Kinds of their own, so that nobody else is left out with them.
    let others = callers
        .without
        .iter()
        .map(|other| Pattern::exact(uri(other)));
    let predicates = patterns.chain(own).chain(others).map(Predicate::new);
    let predicates: Vec<Predicate> = predicates.collect();
    let predicates: Vec<&Predicate> = predicates.iter().collect();
    language::cells(Domain::Identity, &predicates, Bounds::default())
}

/// The identity that a URI names.
fn parse(uri: &str) -> Option<Identity> {
    let parts: Vec<&str> = uri.strip_prefix("spiffe://")?.split('/').collect();
    let [trust_domain, "ns", namespace, "sa", account] = parts[..] else {
        return None;
    };
    Some(Identity {
        trust_domain: trust_domain.to_owned(),
        namespace: Name::from(namespace),
        service_account: Name::from(account),
    })
}

fn unnamed(base: &str, is_named: impl Fn(&Name) -> bool) -> Name {
    let mut name = Name::from(base);
    while is_named(&name) {
        name = Name::from(format!("{name}-x"));
    }
    name
}

fn addresses(ids: &[Id], questions: &Questions) -> Cells {
    let asked: Vec<(Id, Network)> = ids
        .iter()
        .filter_map(|id| match questions.get(*id) {
            Question::SourceIp(network) | Question::RemoteIp(network) => Some((*id, *network)),
            _ => None,
        })
        .collect();
    let mut collector = Collector::default();
    let mut add = |ip: IpAddr| {
        let inside: HashSet<Id> = asked
            .iter()
            .filter(|(_, network)| network.contains(ip))
            .map(|(id, _)| *id)
            .collect();
        collector.add(Value::Ip(ip), |id| inside.contains(&id), ids);
    };
    // Ranges nest or are apart: what is left of one begins where it begins or above one inside it.
    add(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
    for (_, network) in &asked {
        add(network.lowest());
        network.neighbours().for_each(&mut add);
    }
    add(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    if asked.iter().any(|(_, network)| network.lowest().is_ipv6()) {
        add(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    }
    collector.cells(true)
}

fn tokens(ids: &[Id], questions: &Questions) -> Cells {
    let mut issuers: BTreeSet<&str> = BTreeSet::new();
    for id in ids {
        if let Question::Token(test) = questions.get(*id) {
            issuers.extend(test.issuers.keys().map(String::as_str));
        }
    }
    let other = unnamed("https://issuer.example", |name| issuers.contains(&**name));
    let token = |issuer: &str, valid| Token {
        issuer: issuer.to_owned(),
        valid,
        claims: std::collections::BTreeMap::new(),
    };
    let mut all = vec![None];
    all.extend(issuers.iter().map(|issuer| Some(token(issuer, true))));
    all.push(Some(token(&other, true)));
    all.push(Some(token(
        issuers.first().copied().unwrap_or(&other),
        false,
    )));
    let mut collector = Collector::default();
    for token in all {
        let answer = |id: Id| match questions.get(id) {
            Question::Token(test) => test.holds(token.as_ref()),
            _ => false,
        };
        collector.add(Value::Token(token.clone()), answer, ids);
    }
    collector.cells(true)
}

/// How many combinations of the values of one claim are looked at.
const MOST_LISTS: usize = 128;

fn texts(field: &Field, ids: &[Id], questions: &Questions) -> Cells {
    let mut patterns: Vec<(Id, Predicate)> = Vec::new();
    let mut present: Vec<Id> = Vec::new();
    for id in ids {
        match questions.get(*id) {
            Question::Text(_, Test::Present) => present.push(*id),
            Question::Text(_, Test::Like(pattern)) => {
                patterns.push((*id, questions.predicate(pattern)));
            }
            _ => {}
        }
    }
    let domain = match field {
        Field::Method => Domain::Method,
        Field::Path => Domain::Path,
        Field::Host | Field::ServerName => Domain::Authority,
        Field::Header(_) | Field::Claim(_) => Domain::HeaderValue,
    };
    let predicates: Vec<&Predicate> = patterns.iter().map(|(_, predicate)| predicate).collect();
    let found = language::cells(domain, &predicates, Bounds::default());
    let mut collector = Collector::default();
    let is_claim = matches!(field, Field::Claim(_));
    for cell in found.found {
        let mut yes: HashSet<Id> = present.iter().copied().collect();
        for (position, (id, _)) in patterns.iter().enumerate() {
            if cell.truth.get(position) {
                yes.insert(*id);
            }
        }
        let value = if is_claim {
            Value::Claim(vec![cell.witness])
        } else {
            Value::Text(Some(cell.witness))
        };
        collector.add(value, |id| yes.contains(&id), ids);
    }
    let mut complete = found.complete;
    match field {
        Field::Method | Field::Path | Field::Host => {}
        Field::Header(_) | Field::ServerName => {
            collector.add(Value::Text(None), |_| false, ids);
        }
        Field::Claim(_) => {
            complete &= join(&mut collector, ids);
            collector.add(Value::Claim(Vec::new()), |_| false, ids);
        }
    }
    collector.cells(complete)
}

/// Adds lists of several values; says whether these are all combinations.
fn join(collector: &mut Collector, ids: &[Id]) -> bool {
    let single = collector.list.clone();
    let mut next = 0;
    while next < collector.list.len() {
        let base = collector.list[next].clone();
        for other in &single {
            let (Value::Claim(one), Value::Claim(two)) = (&base.value, &other.value) else {
                continue;
            };
            if collector.list.len() > MOST_LISTS {
                return false;
            }
            let both = Value::Claim([one.as_slice(), two].concat());
            collector.add(both, |id| base.answers(id) || other.answers(id), ids);
        }
        next += 1;
    }
    true
}
