//! A caller whom one text means and another does not.
//!
//! The search asks of a caller only what the texts still depend on: where it is, then one label after
//! the other, then addresses. Each answer is one of the values that the texts name, any other, or
//! none; so what is not found is not there, as long as the bound is not reached.
//!
//! Addresses: what stands outside of the cluster may have any. Pods have private ones (RFC 1918, 6598,
//! 4193), none of which they keep, so that a range of a single address is nobody's. The pods that are
//! called are all taken to be in the same ranges.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::policies::{NAMESPACE_NAME, Pod};
use super::whom::Whom;
use crate::kinds::network_policy::IpBlock;
use crate::kinds::selector::{Operator, Requirement};
use crate::kinds::{LabelSelector, Labels, Name};
use crate::mesh::workloads::GATEWAY_NAME_LABEL;

/// The most callers that are looked at in one place.
const MOST: usize = 20_000;

/// The namespaces that are known.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Each with its labels, the one of its name among them; none where they are not known.
    pub namespaces: BTreeMap<Name, Option<Labels>>,
}

/// Where a caller is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A pod of this namespace.
    In(Name),
    /// A pod of a namespace that nobody names.
    Elsewhere,
    /// Outside of the cluster.
    Outside,
}

/// What a caller has under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Is(String),
    /// None of those that are named.
    Other,
    Absent,
}

/// Addresses that somebody has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Addresses {
    /// Not asked yet.
    Open,
    /// This one, or another of the same ranges.
    Like(IpAddr),
    /// All that are named, or none.
    Named(bool),
}

/// A caller, as far as it was asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Where it is.
    pub place: Place,
    pub(super) namespace_labels: BTreeMap<String, Value>,
    pub(super) labels: BTreeMap<String, Value>,
    /// All its labels, of a pod that is known, and those of its namespace.
    known: Option<(Option<Labels>, Labels)>,
    pub(super) address: Addresses,
    pub(super) called: Addresses,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// One caller of each place where there is one; namespaces of which the texts say the same are one
    /// place.
    pub callers: Vec<Caller>,
    /// How many kinds of callers were looked at.
    pub classes: usize,
    /// Whether these are all kinds.
    pub complete: bool,
}

/// Callers whom one text means and another does not.
pub fn beyond(yes: &Whom<'_>, no: &Whom<'_>, around: &Surroundings) -> Found {
    let mut found = Found {
        callers: Vec::new(),
        classes: 1,
        complete: true,
    };
    if no.covers(yes) {
        return found;
    }
    let mut words = Vocabulary::default();
    words.read(yes);
    words.read(no);
    let mut search = Search {
        yes,
        no,
        around,
        words: &words,
        left: MOST,
        classes: 0,
    };
    for place in words.places(around) {
        search.left = MOST;
        found.callers.extend(search.within(Caller::at(place)));
        found.complete &= search.left > 0;
    }
    found.classes = search.classes;
    found
}

/// Whether a caller is meant; what it was not asked about is taken to be against it.
pub(super) fn holds(whom: &Whom<'_>, caller: &Caller, around: &Surroundings) -> bool {
    caller.is(whom, around) == Truth::Yes
}

/// What is known of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Truth {
    Yes,
    No,
    /// It depends on this.
    Asks(Question),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Question {
    NamespaceLabel(String),
    Label(String),
    Address,
    Called,
}

impl Truth {
    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            asks @ Self::Asks(_) => asks,
        }
    }

    fn of(is: bool) -> Self {
        if is { Self::Yes } else { Self::No }
    }

    /// Of several, all of which are to hold.
    fn all(each: impl IntoIterator<Item = Self>) -> Self {
        let mut together = Self::Yes;
        for truth in each {
            match truth {
                Self::No => return Self::No,
                asks @ Self::Asks(_) if together == Self::Yes => together = asks,
                _ => {}
            }
        }
        together
    }

    fn any(each: impl IntoIterator<Item = Self>) -> Self {
        Self::all(each.into_iter().map(Self::not)).not()
    }
}

struct Search<'s, 'p> {
    yes: &'s Whom<'p>,
    no: &'s Whom<'p>,
    around: &'s Surroundings,
    words: &'s Vocabulary<'p>,
    left: usize,
    classes: usize,
}

impl Search<'_, '_> {
    fn within(&mut self, caller: Caller) -> Option<Caller> {
        if self.left == 0 {
            return None;
        }
        let truth = match caller.is(self.yes, self.around) {
            Truth::No => Truth::No,
            Truth::Yes => caller.is(self.no, self.around).not(),
            asks @ Truth::Asks(_) => match caller.is(self.no, self.around) {
                Truth::Yes => Truth::No,
                _ => asks,
            },
        };
        let question = match truth {
            Truth::Asks(question) => question,
            decided => {
                self.left -= 1;
                self.classes += 1;
                return (decided == Truth::Yes).then_some(caller);
            }
        };
        let mut answers = self.words.answers(&question, &caller).into_iter();
        answers.find_map(|answer| self.within(answer))
    }
}

impl Caller {
    fn at(place: Place) -> Self {
        Self {
            place,
            namespace_labels: BTreeMap::new(),
            labels: BTreeMap::new(),
            known: None,
            address: Addresses::Open,
            called: Addresses::Open,
        }
    }

    /// A pod that is known.
    pub(super) fn known(pod: &Pod<'_>, by_address: bool) -> Self {
        Self {
            known: Some((pod.namespace_labels.cloned(), pod.labels.clone())),
            address: Addresses::Named(by_address),
            called: Addresses::Named(by_address),
            ..Self::at(Place::In(pod.namespace.clone()))
        }
    }

    /// Whether it is meant.
    pub fn may_be(&self, whom: &Whom<'_>, around: &Surroundings) -> bool {
        self.is(whom, around) != Truth::No
    }

    fn is(&self, whom: &Whom<'_>, around: &Surroundings) -> Truth {
        match whom {
            Whom::Always(all) => Truth::of(*all),
            Whom::All(parts) => Truth::all(parts.iter().map(|part| self.is(part, around))),
            Whom::Any(parts) => Truth::any(parts.iter().map(|part| self.is(part, around))),
            Whom::Not(part) => self.is(part, around).not(),
            Whom::Pods => Truth::of(self.place != Place::Outside),
            Whom::Of(name) => Truth::of(self.namespace() == Some(*name)),
            Whom::OfNamespaces(selector) => self.is_of(selector, around),
            Whom::With(selector) => self.has(selector),
            Whom::At(block) => self.address.are(block, Question::Address),
            Whom::CalledAt(block) => self.called.are(block, Question::Called),
            Whom::ByNamespace(each) => {
                let own = self.namespace().and_then(|name| each.get(name));
                own.map_or(Truth::Yes, |own| self.is(own, around))
            }
        }
    }

    fn namespace(&self) -> Option<&Name> {
        match &self.place {
            Place::In(name) => Some(name),
            Place::Elsewhere | Place::Outside => None,
        }
    }

    fn is_of(&self, selector: &LabelSelector, around: &Surroundings) -> Truth {
        if self.place == Place::Outside {
            return Truth::No;
        }
        let known = match &self.known {
            Some((labels, _)) => labels.as_ref(),
            None => self
                .namespace()
                .and_then(|name| around.namespaces.get(name))
                .and_then(Option::as_ref),
        };
        if let Some(labels) = known {
            return Truth::of(selector.matches(labels));
        }
        let of = |key: &str| match (&self.place, key) {
            (Place::In(name), NAMESPACE_NAME) => Ok(Value::Is(name.to_string())),
            (_, NAMESPACE_NAME) => Ok(Value::Other),
            // Nobody knows.
            _ if self.known.is_some() => Ok(Value::Other),
            _ => {
                let value = self.namespace_labels.get(key).cloned();
                value.ok_or_else(|| Question::NamespaceLabel(key.to_owned()))
            }
        };
        satisfies(selector, of)
    }

    fn has(&self, selector: &LabelSelector) -> Truth {
        if self.place == Place::Outside {
            return Truth::No;
        }
        if let Some((_, labels)) = &self.known {
            return Truth::of(selector.matches(labels));
        }
        satisfies(selector, |key| {
            let value = self.labels.get(key).cloned();
            value.ok_or_else(|| Question::Label(key.to_owned()))
        })
    }
}

fn satisfies(selector: &LabelSelector, of: impl Fn(&str) -> Result<Value, Question>) -> Truth {
    let pairs = selector.match_labels.iter().map(|(key, wanted)| {
        let compare =
            |value: Value| Truth::of(matches!(value, Value::Is(value) if value == wanted));
        of(key).map_or_else(Truth::Asks, compare)
    });
    let expressions = selector.match_expressions.iter().map(|one| {
        let compare = |value: Value| Truth::of(is_met(one, &value));
        of(&one.key).map_or_else(Truth::Asks, compare)
    });
    Truth::all(pairs.chain(expressions))
}

fn is_met(requirement: &Requirement, value: &Value) -> bool {
    let listed = matches!(value, Value::Is(value) if requirement.values.contains(value));
    match requirement.operator {
        Operator::In => listed,
        Operator::NotIn => !listed,
        Operator::Exists => *value != Value::Absent,
        Operator::DoesNotExist => *value == Value::Absent,
    }
}

impl Addresses {
    fn are(self, block: &IpBlock, question: Question) -> Truth {
        match self {
            Self::Open => Truth::Asks(question),
            Self::Named(all) => Truth::of(all),
            Self::Like(address) => Truth::of(is_within(address, block)),
        }
    }
}

fn is_within(address: IpAddr, block: &IpBlock) -> bool {
    let contains = |cidr: &String| Range::of(cidr).is_some_and(|range| range.contains(address));
    contains(&block.cidr) && !block.except.iter().any(contains)
}

/// What texts name.
#[derive(Default)]
struct Vocabulary<'p> {
    names: BTreeSet<Name>,
    of_namespaces: Vec<&'p LabelSelector>,
    namespace_labels: BTreeMap<&'p str, BTreeSet<&'p str>>,
    labels: BTreeMap<&'p str, BTreeSet<&'p str>>,
    ranges: BTreeSet<Range>,
}

impl<'p> Vocabulary<'p> {
    fn read(&mut self, whom: &Whom<'p>) {
        match whom {
            Whom::Always(_) | Whom::Pods => {}
            Whom::All(parts) | Whom::Any(parts) => parts.iter().for_each(|part| self.read(part)),
            Whom::Not(part) => self.read(part),
            Whom::Of(name) => {
                self.names.insert((*name).clone());
            }
            Whom::OfNamespaces(selector) => {
                self.of_namespaces.push(selector);
                note(selector, &mut self.namespace_labels);
            }
            Whom::With(selector) => note(selector, &mut self.labels),
            Whom::At(block) | Whom::CalledAt(block) => {
                let all = block.except.iter().chain([&block.cidr]);
                self.ranges.extend(all.filter_map(|cidr| Range::of(cidr)));
            }
            Whom::ByNamespace(each) => {
                for (name, part) in each {
                    self.names.insert((*name).clone());
                    self.read(part);
                }
            }
        }
    }

    /// The places that texts tell apart. Of namespaces that have the same labels, as far as they are
    /// asked for, one is taken.
    fn places(&self, around: &Surroundings) -> Vec<Place> {
        let by_name = self.namespace_labels.get(NAMESPACE_NAME);
        let named = by_name.into_iter().flatten().map(|name| Name::from(*name));
        let mut names: BTreeSet<Name> = self.names.iter().cloned().chain(named).collect();
        let mut kinds: BTreeSet<Vec<bool>> = BTreeSet::new();
        for (name, labels) in &around.namespaces {
            let Some(labels) = labels else { continue };
            let kind = self.of_namespaces.iter().map(|one| one.matches(labels));
            if !names.contains(name) && kinds.insert(kind.collect()) {
                names.insert(name.clone());
            }
        }
        let names = names.into_iter().map(Place::In);
        names.chain([Place::Elsewhere, Place::Outside]).collect()
    }

    /// A caller with each of the answers to a question.
    fn answers(&self, question: &Question, caller: &Caller) -> Vec<Caller> {
        let values = |named: &BTreeMap<&str, BTreeSet<&str>>, key: &str| {
            let named = named.get(key).into_iter().flatten();
            let named = named.map(|value| Value::Is((*value).to_owned()));
            named
                .chain([Value::Absent, Value::Other])
                .collect::<Vec<Value>>()
        };
        match question {
            Question::NamespaceLabel(key) => {
                let values = values(&self.namespace_labels, key).into_iter();
                let with = values.map(|value| {
                    let mut caller = caller.clone();
                    caller.namespace_labels.insert(key.clone(), value);
                    caller
                });
                with.collect()
            }
            Question::Label(key) => {
                let values = values(&self.labels, key).into_iter();
                let with = values.map(|value| {
                    let mut caller = caller.clone();
                    caller.labels.insert(key.clone(), value);
                    caller
                });
                with.collect()
            }
            Question::Address => {
                let addresses = self.addresses(caller.place != Place::Outside).into_iter();
                let with = addresses.map(|address| Caller {
                    address: Addresses::Like(address),
                    ..caller.clone()
                });
                with.collect()
            }
            Question::Called => {
                let addresses = self.addresses(true).into_iter();
                let with = addresses.map(|address| Caller {
                    called: Addresses::Like(address),
                    ..caller.clone()
                });
                with.collect()
            }
        }
    }

    /// One address of each part into which the ranges cut what somebody may have.
    fn addresses(&self, of_pods: bool) -> BTreeSet<IpAddr> {
        let private = || PRIVATE.iter().filter_map(|cidr| Range::of(cidr));
        let ranges = self.ranges.iter().copied().chain(private());
        let edges = ranges.flat_map(|range| [Some(range.first_address()), range.next_address()]);
        let whole = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let all = edges.flatten().chain(whole);
        let of_nobody = |address: IpAddr| {
            let mut single = self.ranges.iter().filter(|range| range.is_single());
            !private().any(|range| range.contains(address))
                || single.any(|range| range.contains(address))
        };
        all.filter(|address| !of_pods || !of_nobody(*address))
            .collect()
    }
}

fn note<'p>(selector: &'p LabelSelector, into: &mut BTreeMap<&'p str, BTreeSet<&'p str>>) {
    for (key, value) in selector.match_labels.iter() {
        into.entry(key).or_default().insert(value);
    }
    for one in &selector.match_expressions {
        let values = one.values.iter().map(String::as_str);
        into.entry(&one.key).or_default().extend(values);
    }
}

/// Where clusters have their pods.
const PRIVATE: [&str; 5] = [
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "fc00::/7",
];

/// A range of addresses: its first, and its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    is_v4: bool,
    first: u128,
    last: u128,
}

impl Range {
    fn of(cidr: &str) -> Option<Self> {
        let (address, given) = cidr.split_once('/')?;
        let (number, bits) = numbered(address.parse().ok()?);
        let given: u32 = given.parse().ok().filter(|given| *given <= bits)?;
        let free = bits - given;
        let size = 1_u128.checked_shl(free).map_or(u128::MAX, |size| size - 1);
        Some(Self {
            is_v4: bits == 32,
            first: number & !size,
            last: number | size,
        })
    }

    fn contains(self, address: IpAddr) -> bool {
        let (number, bits) = numbered(address);
        self.is_v4 == (bits == 32) && (self.first..=self.last).contains(&number)
    }

    fn is_single(self) -> bool {
        self.first == self.last
    }

    fn first_address(self) -> IpAddr {
        self.address(self.first)
    }

    /// The address behind the last, if there is one.
    fn next_address(self) -> Option<IpAddr> {
        let next = self.last.checked_add(1)?;
        let is_there = !self.is_v4 || next <= u128::from(u32::MAX);
        is_there.then(|| self.address(next))
    }

    fn address(self, number: u128) -> IpAddr {
        match u32::try_from(number) {
            Ok(number) if self.is_v4 => Ipv4Addr::from(number).into(),
            _ => Ipv6Addr::from(number).into(),
        }
    }
}

fn numbered(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

impl fmt::Display for Caller {
    /// `a pod of shop (app=clerk)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = words(&self.labels);
        let namespace = words(&self.namespace_labels);
        match &self.place {
            Place::Outside => f.write_str("somebody outside of the cluster")?,
            Place::In(name) => write!(f, "a pod{labels} of {name}{namespace}")?,
            Place::Elsewhere => write!(f, "a pod{labels} of another namespace{namespace}")?,
        }
        if let Addresses::Like(address) = self.address {
            write!(f, " at {address}")?;
        }
        match self.called {
            Addresses::Like(address) => write!(f, " that calls pods like {address}"),
            _ => Ok(()),
        }
    }
}

/// Labels in words. That a pod is no gateway's goes without saying.
fn words(labels: &BTreeMap<String, Value>) -> String {
    let unsaid =
        |(key, value): &(&String, &Value)| *key == GATEWAY_NAME_LABEL && **value == Value::Absent;
    let each = labels.iter().filter(|one| !unsaid(one));
    let each = each.map(|(key, value)| match value {
        Value::Is(value) => format!("{key}={value}"),
        Value::Other => format!("another {key}"),
        Value::Absent => format!("no {key}"),
    });
    let each: Vec<String> = each.collect();
    if each.is_empty() {
        return String::new();
    }
    format!(" ({})", each.join(", "))
}
