//! Rules as istiod writes them for Envoy: sidecars, waypoints and gateways.
//!
//! Source: `pilot/pkg/security/authz/model/model.go` and `generator.go`, `matcher/string.go` and
//! `header.go`, `pilot/pkg/security/trustdomain/bundle.go`. A value that cannot be said (an HTTP
//! attribute on a chain of bytes, a port that is none) drops the rule of an ALLOW policy; in other
//! policies only the value is left out, and a field that has no value left is not asked at all, so
//! that the rule matches more. A condition that istiod does not know drops the rule in any policy.

use super::formula::Formula;
use super::network::Network;
use super::question::{Field, Question, Questions, Test, Who};
use super::token::Verified;
use crate::kinds::Name;
use crate::kinds::authorization::{Action, Clause, Rule};
use crate::semantics::language::Pattern;

/// The chain of filters for which rules are written.
#[derive(Debug)]
pub(super) struct Chain<'c> {
    /// Whether it reads HTTP.
    pub(super) http: bool,
    /// The port of the connection, in the point's counting.
    pub(super) port: u16,
    /// Whether the connection's own server name is known at this point, and by which question.
    pub(super) server_name: Option<String>,
    /// The address that is called, where it is known.
    pub(super) address: Option<std::net::IpAddr>,
    /// Where it is judged, for questions that only this point can answer.
    pub(super) place: String,
    /// Tokens that are verified before rules are looked at.
    pub(super) tokens: &'c Verified,
    /// The mesh's trust domain, then its aliases.
    pub(super) trust_domains: Vec<&'c str>,
}

/// Why a value has no formula.
struct Unsayable;

type Said = Result<Formula, Unsayable>;

/// When a rule of a policy matches; `None` when istiod leaves the rule out.
pub(super) fn rule(
    rule: &Rule,
    namespace: &str,
    action: Action,
    chain: &Chain<'_>,
    ask: &mut Questions,
) -> Option<Formula> {
    let mut writer = Writer {
        namespace,
        strict: action == Action::Allow,
        chain,
        ask,
    };
    let mut wanted = Vec::new();
    for condition in &rule.when {
        if condition.values.is_empty() && condition.not_values.is_empty() {
            // istiod still looks at the key.
            key(&condition.key)?;
            continue;
        }
        let attribute = key(&condition.key)?;
        wanted.push(writer.attribute(&attribute, &condition.values, &condition.not_values)?);
    }
    let mut alternatives = |clauses: Vec<&Clause>, fields: &[(&str, &str, Attribute)]| {
        let mut parts = Vec::new();
        for clause in &clauses {
            parts.push(writer.clause(clause, fields)?);
        }
        Some(if clauses.is_empty() {
            Formula::True
        } else {
            Formula::any(parts)
        })
    };
    let from = alternatives(rule.from.iter().map(|from| &from.source).collect(), SOURCE)?;
    let to = alternatives(rule.to.iter().map(|to| &to.operation).collect(), OPERATION)?;
    wanted.extend([from, to]);
    Some(Formula::all(wanted))
}

/// What istiod can ask about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Attribute {
    SourceIp,
    RemoteIp,
    Namespace,
    TrustDomain,
    Account,
    Principal,
    RequestPrincipal,
    Port,
    Address,
    ServerName,
    Metadata(String),
    Path,
    Method,
    Host,
    Header(String),
    Claim(Vec<String>),
    /// A key that istiod knows, with something in brackets that it cannot read.
    Unreadable,
}

const SOURCE: &[(&str, &str, Attribute)] = &[
    ("principals", "notPrincipals", Attribute::Principal),
    (
        "requestPrincipals",
        "notRequestPrincipals",
        Attribute::RequestPrincipal,
    ),
    ("serviceAccounts", "notServiceAccounts", Attribute::Account),
    ("trustDomains", "notTrustDomains", Attribute::TrustDomain),
    ("namespaces", "notNamespaces", Attribute::Namespace),
    ("remoteIpBlocks", "notRemoteIpBlocks", Attribute::RemoteIp),
    ("ipBlocks", "notIpBlocks", Attribute::SourceIp),
];

const OPERATION: &[(&str, &str, Attribute)] = &[
    ("hosts", "notHosts", Attribute::Host),
    ("methods", "notMethods", Attribute::Method),
    ("paths", "notPaths", Attribute::Path),
    ("ports", "notPorts", Attribute::Port),
];

struct Writer<'w, 'c> {
    /// Of the policy.
    namespace: &'w str,
    /// Whether what cannot be said drops the rule.
    strict: bool,
    chain: &'w Chain<'c>,
    ask: &'w mut Questions,
}

impl Writer<'_, '_> {
    fn clause(&mut self, clause: &Clause, fields: &[(&str, &str, Attribute)]) -> Option<Formula> {
        let values = |field: &str| clause.0.get(field).map_or(&[][..], Vec::as_slice);
        let mut parts = Vec::new();
        for (field, not_field, attribute) in fields {
            parts.push(self.attribute(attribute, values(field), values(not_field))?);
        }
        let known = |name: &str| fields.iter().any(|(a, b, _)| *a == name || *b == name);
        for (name, values) in &clause.0 {
            if !values.is_empty() && !known(name) {
                let what = format!("the field {name}, which this program does not know");
                parts.push(self.ask.open(what));
            }
        }
        Some(Formula::all(parts))
    }

    /// One of the values and none of the others; `None` drops the rule.
    fn attribute(
        &mut self,
        attribute: &Attribute,
        values: &[String],
        not_values: &[String],
    ) -> Option<Formula> {
        let wanted = self.one_of(attribute, values)?;
        let unwanted = self.one_of(attribute, not_values)?.map(Formula::not);
        Some(Formula::all([wanted, unwanted].into_iter().flatten()))
    }

    /// Whether one of the values matches; `Some(None)` when nothing is asked.
    #[expect(
        clippy::option_option,
        reason = "dropping the rule and asking nothing differ"
    )]
    fn one_of(&mut self, attribute: &Attribute, values: &[String]) -> Option<Option<Formula>> {
        let mut parts = Vec::new();
        for value in self.aliases(attribute, values) {
            match self.value(attribute, &value) {
                Ok(formula) => parts.push(formula),
                Err(Unsayable) if self.strict => return None,
                Err(Unsayable) => {}
            }
        }
        Some((!parts.is_empty()).then(|| Formula::any(parts)))
    }

    /// The values with the trust domains that mean the same.
    fn aliases(&self, attribute: &Attribute, values: &[String]) -> Vec<String> {
        match attribute {
            Attribute::Principal => values
                .iter()
                .flat_map(|value| principals(value, &self.chain.trust_domains))
                .collect(),
            Attribute::TrustDomain => values
                .iter()
                .flat_map(|value| {
                    if self.chain.trust_domains.contains(&value.as_str()) {
                        self.chain
                            .trust_domains
                            .iter()
                            .map(ToString::to_string)
                            .collect()
                    } else {
                        vec![value.clone()]
                    }
                })
                .collect(),
            _ => values.to_vec(),
        }
    }

    fn value(&mut self, attribute: &Attribute, value: &str) -> Said {
        let who = |ask: &mut Questions, who| Ok(ask.ask(Question::Who(who)));
        match attribute {
            Attribute::SourceIp => {
                let network = Network::parse(value).ok_or(Unsayable)?;
                Ok(self.ask.ask(Question::SourceIp(network)))
            }
            Attribute::RemoteIp => {
                let network = Network::parse(value).ok_or(Unsayable)?;
                Ok(self.ask.ask(Question::RemoteIp(network)))
            }
            Attribute::Address => {
                let network = Network::parse(value).ok_or(Unsayable)?;
                if let Some(address) = self.chain.address {
                    return Ok(Formula::constant(network.contains(address)));
                }
                let place = &self.chain.place;
                let what = format!("whether the address called at {place} is in {network}");
                Ok(self.ask.open(what))
            }
            Attribute::Port => {
                let port: u16 = value.parse().map_err(|_| Unsayable)?;
                Ok(Formula::constant(port == self.chain.port))
            }
            Attribute::Namespace => who(self.ask, namespace(value)),
            Attribute::TrustDomain => who(self.ask, trust_domain(value)),
            Attribute::Account => who(self.ask, account(value, self.namespace)),
            Attribute::Principal => Ok(principal(value, self.ask)),
            Attribute::ServerName => Ok(match &self.chain.server_name {
                None => self.ask.text(Field::ServerName, string(value)),
                Some(whose) => self.ask.open(format!("{whose} ({value})")),
            }),
            Attribute::Metadata(key) => {
                let what = format!("{key} ({value}) at {}", self.chain.place);
                Ok(self.ask.open(what))
            }
            _ if !self.chain.http => Err(Unsayable),
            Attribute::Path => Ok(self.ask.text(Field::Path, path(value))),
            Attribute::Method => Ok(self.ask.text(Field::Method, header(value, false))),
            Attribute::Host => Ok(self.ask.text(Field::Host, header(value, true))),
            Attribute::Header(name) => Ok(self.header(name, value)),
            // The issuer is what the token's rules were found by.
            Attribute::Claim(path) if *path == ["iss"] => {
                Ok(self.chain.tokens.issued_by(&string(value), self.ask))
            }
            Attribute::Claim(path) => {
                let verified = self.chain.tokens.any(self.ask);
                let field = Field::Claim(path.clone());
                let asked = self.ask.text(field, string(value));
                Ok(Formula::all([verified, asked]))
            }
            Attribute::RequestPrincipal => {
                let (issuer, subject) = request_principal(value);
                let issuer = self.chain.tokens.issued_by(&issuer, self.ask);
                let field = Field::Claim(vec!["sub".to_owned()]);
                let subject = self.ask.text(field, subject);
                Ok(Formula::all([issuer, subject]))
            }
            Attribute::Unreadable => Err(Unsayable),
        }
    }

    fn header(&mut self, name: &str, value: &str) -> Formula {
        let test = header(value, false);
        match name {
            ":method" => self.ask.text(Field::Method, test),
            ":authority" => self.ask.text(Field::Host, test),
            ":path" | ":scheme" | "host" => {
                let what = format!("the header {name} ({value})");
                self.ask.open(what)
            }
            _ => self.ask.text(Field::Header(name.to_owned()), test),
        }
    }
}

/// The attribute of a key of `when`; `None` when istiod does not know it.
fn key(key: &str) -> Option<Attribute> {
    Some(match key {
        "destination.ip" => Attribute::Address,
        "destination.port" => Attribute::Port,
        "connection.sni" => Attribute::ServerName,
        "source.ip" => Attribute::SourceIp,
        "remote.ip" => Attribute::RemoteIp,
        "source.namespace" => Attribute::Namespace,
        "source.trustDomain" => Attribute::TrustDomain,
        "source.serviceAccount" => Attribute::Account,
        "source.principal" => Attribute::Principal,
        "request.auth.principal" => Attribute::RequestPrincipal,
        "request.auth.audiences" => Attribute::Claim(vec!["aud".to_owned()]),
        "request.auth.presenter" => Attribute::Claim(vec!["azp".to_owned()]),
        _ if key.starts_with("experimental.envoy.filters.") => Attribute::Metadata(key.to_owned()),
        _ => {
            if let Some(rest) = key.strip_prefix("request.headers") {
                brackets(rest).map_or(Attribute::Unreadable, |name| {
                    Attribute::Header(name.to_ascii_lowercase())
                })
            } else {
                let rest = key.strip_prefix("request.auth.claims")?;
                nested(rest).map_or(Attribute::Unreadable, Attribute::Claim)
            }
        }
    })
}

/// `[name]` without its brackets.
fn brackets(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

/// `[a][b]` as a path; where brackets do not pair, all of it is one name.
fn nested(text: &str) -> Option<Vec<String>> {
    let mut path = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest
            .find(']')
            .filter(|end| rest.starts_with('[') && !rest[1..*end].contains('['));
        let Some(end) = end else {
            return brackets(text).map(|name| vec![name.to_owned()]);
        };
        path.push(rest[1..end].to_owned());
        rest = &rest[end + 1..];
    }
    Some(path)
}

/// Exact, `prefix*`, `*suffix`, or `*` for anything but nothing.
pub(super) fn string(value: &str) -> Test {
    if value == "*" {
        return Test::Like(Pattern::regex(".+"));
    }
    Test::Like(affix(value).unwrap_or_else(|| Pattern::exact(value)))
}

/// As [`string`], but `*` holds for an empty value too.
fn header(value: &str, fold: bool) -> Test {
    if value == "*" {
        return Test::Present;
    }
    if fold && let Some(end) = value.strip_prefix('*') {
        return Test::Like(Pattern::suffix_ignoring_case(end));
    }
    let pattern = affix(value).unwrap_or_else(|| Pattern::exact(value));
    Test::Like(if fold {
        pattern.ignoring_case()
    } else {
        pattern
    })
}

fn affix(value: &str) -> Option<Pattern> {
    if let Some(end) = value.strip_prefix('*') {
        return Some(Pattern::suffix(end));
    }
    value.strip_suffix('*').map(Pattern::prefix)
}

/// What a segment of a template may hold.
const LITERAL: &str = "a-zA-Z0-9\\-._~%!$&'()+,;:@=";

/// A path: a template with `{*}` and `{**}`, or a string.
///
/// Source of templates: Envoy's `uri_template_internal.cc`.
fn path(value: &str) -> Test {
    if !value.contains("{*}") && !value.contains("{**}") {
        return string(value);
    }
    let expression = regex_syntax::escape(value)
        .replace(&regex_syntax::escape("{**}"), &format!("[{LITERAL}/]*"))
        .replace(&regex_syntax::escape("{*}"), &format!("[{LITERAL}]+"));
    Test::Like(Pattern::regex(expression))
}

/// The principals that one means, by the trust domains that mean the same.
fn principals(value: &str, trust_domains: &[&str]) -> Vec<String> {
    let parts: Vec<&str> = value.split('/').collect();
    let domain = parts[0];
    let matches = |own: &&str| affix_matches(own, domain);
    if parts.len() != 5
        || domain == "*"
        || !(trust_domains.iter().any(matches) || domain == "cluster.local")
    {
        return vec![value.to_owned()];
    }
    let mut all: Vec<String> = Vec::new();
    for own in trust_domains {
        let suffix = domain.strip_prefix('*');
        let meant = if suffix.is_some_and(|suffix| own.ends_with(suffix)) {
            value.to_owned()
        } else {
            format!("{own}/{}", parts[1..].join("/"))
        };
        if !all.contains(&meant) {
            all.push(meant);
        }
    }
    all
}

/// Whether a trust domain is the one that a principal begins with, `*` standing for its start.
fn affix_matches(own: &str, domain: &str) -> bool {
    own == domain
        || domain
            .strip_prefix('*')
            .is_some_and(|end| own.ends_with(end))
        || domain
            .strip_suffix('*')
            .is_some_and(|start| own.starts_with(start))
}

/// A principal; the scheme of the URI is left out in policies. The usual ways to mean a namespace or
/// an account are asked as what they are, so that other ways to mean it are the same question.
pub(super) fn principal(value: &str, ask: &mut Questions) -> Formula {
    let mut who = |who| ask.ask(Question::Who(who));
    if value == "*" {
        return who(Who::Known);
    }
    if let Some(end) = value.strip_prefix('*') {
        let parts: Vec<&str> = end.split('/').collect();
        return who(match parts[..] {
            ["", "ns", namespace, "sa", account] => {
                Who::Account(Name::from(namespace), Name::from(account))
            }
            _ => Who::Like(Pattern::regex(format!(
                "spiffe://.*{}",
                regex_syntax::escape(end)
            ))),
        });
    }
    let Some(start) = value.strip_suffix('*') else {
        return who(Who::Uri(format!("spiffe://{value}")));
    };
    let parts: Vec<&str> = start.split('/').collect();
    match parts[..] {
        [domain, "ns", namespace, ""] | [domain, "ns", namespace, "sa", ""] => Formula::all([
            who(Who::TrustDomain(domain.to_owned())),
            who(Who::Namespace(Name::from(namespace))),
        ]),
        _ => who(Who::Like(Pattern::prefix(format!("spiffe://{start}")))),
    }
}

/// `*` stands for anything, slashes included: `*a` means every namespace, because what follows it
/// may end with the `sa` of the URI.
fn namespace(value: &str) -> Who {
    if !value.contains('*') {
        return Who::Namespace(Name::from(value));
    }
    let parts: Vec<String> = value.split('*').map(regex_syntax::escape).collect();
    Who::Like(Pattern::regex(format!(".*/ns/{}/.*", parts.join(".*"))))
}

fn account(value: &str, home: &str) -> Who {
    let (namespace, account) = value.split_once('/').unwrap_or((home, value));
    Who::Account(Name::from(namespace), Name::from(account))
}

fn trust_domain(value: &str) -> Who {
    if value == "*" {
        return Who::Known;
    }
    match value.split_once('*') {
        None => Who::TrustDomain(value.to_owned()),
        Some((start, end)) => Who::Like(Pattern::regex(format!(
            "spiffe://{}[^/]*{}/.*",
            regex_syntax::escape(start),
            regex_syntax::escape(end)
        ))),
    }
}

/// The issuer and the subject that a request principal asks for.
fn request_principal(value: &str) -> (Test, Test) {
    let anything = || Test::Like(Pattern::regex(".+"));
    let exact = |text: &str| Test::Like(Pattern::exact(text));
    let suffix = |text: &str| Test::Like(Pattern::suffix(text));
    let prefix = |text: &str| Test::Like(Pattern::prefix(text));
    if value == "*" {
        return (anything(), anything());
    }
    let parts = value.rsplit_once('/');
    match (value.strip_prefix('*'), value.strip_suffix('*'), parts) {
        (Some(_), _, Some((issuer, subject))) => {
            let issuer = match issuer {
                "*" => anything(),
                other => suffix(other.strip_prefix('*').unwrap_or(other)),
            };
            (issuer, exact(subject))
        }
        (Some(end), _, None) => (anything(), suffix(end)),
        (None, Some(_), Some((issuer, subject))) => {
            let subject = match subject {
                "*" => anything(),
                other => prefix(other.strip_suffix('*').unwrap_or(other)),
            };
            (exact(issuer), subject)
        }
        (None, Some(start), None) => (prefix(start), anything()),
        (None, None, Some((issuer, subject))) => (exact(issuer), exact(subject)),
        (None, None, None) => (exact(value), exact("")),
    }
}
