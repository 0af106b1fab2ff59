//! Rules as istiod writes them for ztunnel, and as ztunnel reads them.
//!
//! Source: `pilot/pkg/serviceregistry/ambient/authorization.go` (`convertAuthorizationPolicy`,
//! `handleRule`), ztunnel's `src/rbac.rs` (`Authorization::matches`). What ztunnel cannot judge drops
//! the rule of an ALLOW policy and is blanked in a DENY policy; a match of which nothing is left does
//! not match, and neither does a clause that has only such matches. Values that cannot be read are
//! left out. Principals are compared as they are written.

use super::envoy::principal;
use super::formula::Formula;
use super::network::Network;
use super::question::{Question, Questions, Who};
use crate::kinds::Name;
use crate::kinds::authorization::{Action, AuthorizationPolicy, Clause, Condition, Rule};
use crate::semantics::authorization::{
    Layer, condition_layer, is_dry_run, operation_layer, source_layer,
};
use crate::semantics::language::Pattern;

/// The connection that is judged.
#[derive(Debug)]
pub(super) struct Connection {
    /// The pod's port.
    pub(super) port: u16,
    /// The pod's address, where it is known.
    pub(super) address: Option<std::net::IpAddr>,
}

/// Whether a policy is sent to ztunnel at all.
pub(super) fn is_sent(policy: &AuthorizationPolicy) -> bool {
    matches!(policy.spec.action, Action::Allow | Action::Deny) && !is_dry_run(&policy.metadata)
}

/// When a rule of a policy matches; `None` when istiod leaves the rule out.
pub(super) fn rule(
    rule: &Rule,
    namespace: &str,
    action: Action,
    connection: &Connection,
    ask: &mut Questions,
) -> Option<Formula> {
    if action == Action::Allow && needs_http(rule) {
        return None;
    }
    let mut writer = Writer {
        namespace,
        connection,
        ask,
    };
    let mut clauses = Vec::new();
    if !rule.to.is_empty() {
        let matches = rule.to.iter().map(|to| writer.operation(&to.operation));
        clauses.push(Formula::any(
            matches.collect::<Vec<_>>().into_iter().flatten(),
        ));
    }
    if !rule.from.is_empty() {
        let matches = rule.from.iter().map(|from| writer.source(&from.source));
        clauses.push(Formula::any(
            matches.collect::<Vec<_>>().into_iter().flatten(),
        ));
    }
    for condition in &rule.when {
        clauses.push(writer.condition(condition).unwrap_or(Formula::False));
    }
    Some(Formula::all(clauses))
}

/// Whether istiod drops a rule of an ALLOW policy.
fn needs_http(rule: &Rule) -> bool {
    let beyond = |clause: &Clause, layer: fn(&str) -> Layer| {
        clause
            .0
            .iter()
            .any(|(field, values)| !values.is_empty() && layer(field) == Layer::L7)
    };
    rule.from
        .iter()
        .any(|from| beyond(&from.source, source_layer))
        || rule
            .to
            .iter()
            .any(|to| beyond(&to.operation, operation_layer))
        || rule
            .when
            .iter()
            .any(|when| condition_layer(&when.key) == Layer::L7)
}

struct Writer<'w> {
    /// Of the policy.
    namespace: &'w str,
    connection: &'w Connection,
    ask: &'w mut Questions,
}

/// What a match asks about.
#[derive(Clone, Copy)]
enum Attribute {
    Principal,
    Namespace,
    Account,
    SourceIp,
    Address,
    Port,
}

impl Writer<'_> {
    fn source(&mut self, clause: &Clause) -> Option<Formula> {
        let fields = [
            ("principals", "notPrincipals", Attribute::Principal),
            ("namespaces", "notNamespaces", Attribute::Namespace),
            ("serviceAccounts", "notServiceAccounts", Attribute::Account),
            ("ipBlocks", "notIpBlocks", Attribute::SourceIp),
        ];
        self.clause(clause, &fields, source_layer)
    }

    fn operation(&mut self, clause: &Clause) -> Option<Formula> {
        let fields = [("ports", "notPorts", Attribute::Port)];
        self.clause(clause, &fields, operation_layer)
    }

    /// A match; `None` when nothing is left of it.
    fn clause(
        &mut self,
        clause: &Clause,
        fields: &[(&str, &str, Attribute)],
        layer: fn(&str) -> Layer,
    ) -> Option<Formula> {
        let values = |field: &str| clause.0.get(field).map_or(&[][..], Vec::as_slice);
        let mut parts = Vec::new();
        for (field, not_field, attribute) in fields {
            parts.extend(self.one_of(*attribute, values(field)));
            let unwanted = self.one_of(*attribute, values(not_field));
            parts.extend(unwanted.map(Formula::not));
        }
        for (name, values) in &clause.0 {
            if !values.is_empty() && layer(name) == Layer::Unknown {
                let what = format!("the field {name}, which this program does not know");
                parts.push(self.ask.open(what));
            }
        }
        (!parts.is_empty()).then(|| Formula::all(parts))
    }

    fn condition(&mut self, condition: &Condition) -> Option<Formula> {
        let attribute = match condition.key.as_str() {
            "source.namespace" => Attribute::Namespace,
            "source.principal" => Attribute::Principal,
            "source.ip" => Attribute::SourceIp,
            "destination.port" => Attribute::Port,
            "destination.ip" => Attribute::Address,
            _ => return None,
        };
        let wanted = self.one_of(attribute, &condition.values);
        let unwanted = self
            .one_of(attribute, &condition.not_values)
            .map(Formula::not);
        let parts: Vec<Formula> = [wanted, unwanted].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| Formula::all(parts))
    }

    /// Whether one of the values matches; `None` when none is left.
    fn one_of(&mut self, attribute: Attribute, values: &[String]) -> Option<Formula> {
        let parts: Vec<Formula> = values
            .iter()
            .filter_map(|value| self.value(attribute, value))
            .collect();
        (!parts.is_empty()).then(|| Formula::any(parts))
    }

    fn value(&mut self, attribute: Attribute, value: &str) -> Option<Formula> {
        Some(match attribute {
            Attribute::Principal => principal(value, self.ask),
            Attribute::Namespace => self.ask.ask(Question::Who(namespace(value))),
            Attribute::Account => {
                let (namespace, account) = value.split_once('/').unwrap_or((self.namespace, value));
                let who = Who::Account(Name::from(namespace), Name::from(account));
                self.ask.ask(Question::Who(who))
            }
            Attribute::SourceIp => {
                let network = Network::parse(value)?;
                self.ask.ask(Question::SourceIp(network))
            }
            Attribute::Address => {
                let network = Network::parse(value)?;
                match self.connection.address {
                    Some(address) => Formula::constant(network.contains(address)),
                    None => self
                        .ask
                        .open(format!("whether the pod's address is in {network}")),
                }
            }
            Attribute::Port => {
                let port: u16 = value.parse().ok()?;
                Formula::constant(port == self.connection.port)
            }
        })
    }
}

/// Only the namespace is looked at, so that `*` does not reach beyond it.
fn namespace(value: &str) -> Who {
    let inside = |expression: String| {
        Who::Like(Pattern::regex(format!(
            "spiffe://[^/]*/ns/{expression}/sa/[^/]*"
        )))
    };
    if value == "*" {
        Who::Known
    } else if let Some(end) = value.strip_prefix('*') {
        inside(format!("[^/]*{}", regex_syntax::escape(end)))
    } else if let Some(start) = value.strip_suffix('*') {
        inside(format!("{}[^/]*", regex_syntax::escape(start)))
    } else {
        Who::Namespace(Name::from(value))
    }
}
