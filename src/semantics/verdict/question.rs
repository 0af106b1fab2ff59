//! The questions that rules ask about a call, each kept once.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use super::call::{Call, Payload, Request, Token};
use super::formula::{Formula, Id};
use super::network::Network;
use crate::kinds::Name;
use crate::semantics::identity::Identity;
use crate::semantics::language::{Pattern, Predicate};

/// A question with the answer yes or no.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Question {
    /// About who calls.
    Who(Who),
    /// Whether the caller's address is in a range.
    SourceIp(Network),
    /// Whether the forwarded client's address is in a range.
    RemoteIp(Network),
    /// About the token.
    Token(TokenTest),
    /// About a text that a call has or has not.
    Text(Field, Test),
    /// About something that no call says; free, and the same wherever it is asked in these words.
    Open(String),
}

/// A question about a peer's identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Who {
    /// Whether there is one.
    Known,
    /// Whether it is exactly this URI.
    Uri(String),
    /// Whether it is of this trust domain.
    TrustDomain(String),
    /// Whether it is of this namespace.
    Namespace(Name),
    /// Whether it is this service account of this namespace.
    Account(Name, Name),
    /// Whether its URI is in a language.
    Like(Pattern),
}

/// A text of a call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Field {
    Method,
    Path,
    Host,
    Header(String),
    /// A claim of the token, by path.
    Claim(Vec<String>),
    ServerName,
}

/// What is asked about a text that is there. About one that is not, the answer is no.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Test {
    Present,
    Like(Pattern),
}

/// The calls whose token is of some kinds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TokenTest {
    /// Whether the answer is yes for an invalid token.
    pub(super) invalid: bool,
    /// The answer for a valid one of these issuers.
    pub(super) issuers: BTreeMap<String, bool>,
    /// The answer for a valid one of any other issuer.
    pub(super) others: bool,
}

impl TokenTest {
    /// The answer for a token; without one it is no.
    pub(super) fn holds(&self, token: Option<&Token>) -> bool {
        match token {
            None => false,
            Some(token) if !token.valid => self.invalid,
            Some(token) => self
                .issuers
                .get(&token.issuer)
                .copied()
                .unwrap_or(self.others),
        }
    }
}

/// The URI of an identity, as certificates carry it.
pub(super) fn uri(identity: &Identity) -> String {
    format!("spiffe://{identity}")
}

/// All questions that are asked in one comparison.
#[derive(Debug, Default)]
pub(super) struct Questions {
    list: Vec<Question>,
    numbers: HashMap<Question, Id>,
    predicates: RefCell<HashMap<Pattern, Predicate>>,
}

impl Questions {
    /// The formula that asks one.
    pub(super) fn ask(&mut self, question: Question) -> Formula {
        if let Some(known) = self.numbers.get(&question) {
            return Formula::Is(*known);
        }
        let number = Id::try_from(self.list.len()).unwrap_or(Id::MAX);
        self.list.push(question.clone());
        self.numbers.insert(question, number);
        Formula::Is(number)
    }

    /// The formula that asks about a text.
    pub(super) fn text(&mut self, field: Field, test: Test) -> Formula {
        self.ask(Question::Text(field, test))
    }

    /// The formula that asks what no call says.
    pub(super) fn open(&mut self, what: impl Into<String>) -> Formula {
        self.ask(Question::Open(what.into()))
    }

    /// The numbers of all questions.
    pub(super) fn ids(&self) -> std::ops::Range<Id> {
        0..Id::try_from(self.list.len()).unwrap_or(Id::MAX)
    }

    /// A question.
    pub(super) fn get(&self, id: Id) -> &Question {
        &self.list[id as usize]
    }

    /// Whether a pattern holds a value.
    pub(super) fn contains(&self, pattern: &Pattern, value: &str) -> Option<bool> {
        let mut predicates = self.predicates.borrow_mut();
        predicates
            .entry(pattern.clone())
            .or_insert_with(|| Predicate::new(pattern.clone()))
            .contains(value)
    }

    /// The compiled form of a pattern.
    pub(super) fn predicate(&self, pattern: &Pattern) -> Predicate {
        let mut predicates = self.predicates.borrow_mut();
        predicates
            .entry(pattern.clone())
            .or_insert_with(|| Predicate::new(pattern.clone()))
            .clone()
    }

    /// The answer about who calls.
    pub(super) fn who(&self, who: &Who, identity: Option<&Identity>) -> Option<bool> {
        let Some(identity) = identity else {
            return Some(false);
        };
        Some(match who {
            Who::Known => true,
            Who::Uri(text) => *text == uri(identity),
            Who::TrustDomain(domain) => identity.trust_domain == *domain,
            Who::Namespace(namespace) => identity.namespace == *namespace,
            Who::Account(namespace, account) => {
                identity.namespace == *namespace && identity.service_account == *account
            }
            Who::Like(pattern) => return self.contains(pattern, &uri(identity)),
        })
    }

    /// The answer that a call gives; `None` when it does not say.
    pub(super) fn answer(&self, id: Id, call: &Call) -> Option<bool> {
        let request = match &call.payload {
            Payload::Http(request) => Some(request),
            Payload::Bytes => None,
        };
        match self.get(id) {
            Question::Who(who) => self.who(who, call.identity.as_ref()),
            Question::SourceIp(network) => call.source_ip.map(|ip| network.contains(ip)),
            Question::RemoteIp(network) => {
                let ip = call.remote_ip.or(call.source_ip);
                ip.map(|ip| network.contains(ip))
            }
            Question::Token(test) => Some(test.holds(request.and_then(|r| r.token.as_ref()))),
            Question::Text(field, test) => self.text_answer(field, test, call, request),
            Question::Open(_) => None,
        }
    }

    fn text_answer(
        &self,
        field: &Field,
        test: &Test,
        call: &Call,
        request: Option<&Request>,
    ) -> Option<bool> {
        let one = |value: Option<&str>| match value {
            None => Some(false),
            Some(value) => self.test(test, value),
        };
        match field {
            Field::Method => one(request.map(|r| r.method.as_str())),
            Field::Path => one(request.map(|r| r.path.as_str())),
            Field::Host => one(request.map(|r| r.host.as_str())),
            Field::Header(name) => {
                one(request.and_then(|r| r.headers.get(name).map(String::as_str)))
            }
            Field::ServerName => one(call.server_name.as_deref()),
            Field::Claim(path) => {
                let values = request
                    .and_then(|r| r.token.as_ref())
                    .and_then(|token| token.claims.get(path));
                let mut known = Some(false);
                for value in values.into_iter().flatten() {
                    match self.test(test, value) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => known = None,
                    }
                }
                known
            }
        }
    }

    /// The answer about a text that is there.
    pub(super) fn test(&self, test: &Test, value: &str) -> Option<bool> {
        match test {
            Test::Present => Some(true),
            Test::Like(pattern) => self.contains(pattern, value),
        }
    }
}
