//! Policies read literally: one call, one string at a time, with nothing compiled.

use super::*;
use crate::kinds::authorization::{Action, Clause, Condition, Rule};
use crate::semantics::verdict::network::Network;

/// What the sidecar makes of a call, in a [`word`].
pub(super) fn at_sidecar(world: &World, call: &Call) -> String {
    let http = call.port.protocol != Protocol::Tcp && matches!(call.payload, Payload::Http(_));
    let issuers: Vec<&str> = world
        .tokens
        .iter()
        .flat_map(|policy| &policy.spec.jwt_rules)
        .map(|rule| rule.issuer.as_str())
        .collect();
    let reader = Reader {
        call,
        request: match &call.payload {
            Payload::Http(request) if http => Some(request),
            _ => None,
        },
        issuers,
    };
    let token = reader.request.and_then(|request| request.token.as_ref());
    let verifies = |token: &Token| token.valid && reader.issuers.contains(&token.issuer.as_str());
    if !reader.issuers.is_empty() && token.is_some_and(|token| !verifies(token)) {
        return "-".to_owned();
    }
    decide(world, |policy, action| {
        let rules = policy.spec.rules.iter();
        rules.clone().any(|rule| {
            let namespace = &policy.metadata.namespace;
            reader.rule(rule, namespace, action == Action::Allow) == Some(true)
        })
    })
}

/// What ztunnel makes of a call.
pub(super) fn at_ztunnel(world: &World, call: &Call) -> String {
    decide(world, |policy, action| {
        if !matches!(action, Action::Allow | Action::Deny) {
            return false;
        }
        let mut rules = policy.spec.rules.iter();
        rules.any(|rule| ztunnel_rule(rule, &policy.metadata.namespace, action, call))
    })
}

fn decide(world: &World, matches: impl Fn(&AuthorizationPolicy, Action) -> bool) -> String {
    let of = |action: Action| {
        let policies = world.authorization.iter();
        policies.filter(move |policy| policy.spec.action == action)
    };
    if of(Action::Deny).any(|policy| matches(policy, Action::Deny)) {
        return "-".to_owned();
    }
    if of(Action::Allow).count() > 0 && !of(Action::Allow).any(|p| matches(p, Action::Allow)) {
        return "-".to_owned();
    }
    let asked: Vec<&str> = of(Action::Custom)
        .filter(|policy| matches(policy, Action::Custom))
        .map(|policy| policy.spec.provider.as_ref().unwrap().name.as_str())
        .collect();
    match asked.first() {
        Some(provider) => format!("asks {provider}"),
        None => "+".to_owned(),
    }
}

struct Reader<'r> {
    call: &'r Call,
    request: Option<&'r Request>,
    issuers: Vec<&'r str>,
}

impl Reader<'_> {
    /// Whether a rule matches; `None` when it is dropped.
    fn rule(&self, rule: &Rule, namespace: &str, strict: bool) -> Option<bool> {
        let mut all = true;
        for Condition {
            key,
            values,
            not_values,
        } in &rule.when
        {
            all &= self.field(key, values, not_values, namespace, strict)?;
        }
        let mut from = rule.from.is_empty();
        for source in &rule.from {
            from |= self.clause(&source.source, namespace, strict)?;
        }
        let mut to = rule.to.is_empty();
        for operation in &rule.to {
            to |= self.clause(&operation.operation, namespace, strict)?;
        }
        Some(all && from && to)
    }

    fn clause(&self, clause: &Clause, namespace: &str, strict: bool) -> Option<bool> {
        let mut all = true;
        for (name, values) in &clause.0 {
            let positive = name.strip_prefix("not").map(|rest| {
                let (first, rest) = rest.split_at(1);
                first.to_lowercase() + rest
            });
            all &= match positive {
                Some(name) => self.field(&name, &[], values, namespace, strict)?,
                None => self.field(name, values, &[], namespace, strict)?,
            };
        }
        Some(all)
    }

    fn field(
        &self,
        name: &str,
        values: &[String],
        not_values: &[String],
        namespace: &str,
        strict: bool,
    ) -> Option<bool> {
        let mut said = Vec::new();
        for list in [values, not_values] {
            let mut answers = Vec::new();
            for value in list {
                match self.value(name, value, namespace) {
                    Some(answer) => answers.push(answer),
                    None if strict => return None,
                    None => {}
                }
            }
            said.push(answers);
        }
        let wanted = said[0].is_empty() || said[0].contains(&true);
        Some(wanted && !said[1].contains(&true))
    }

    /// Whether a value matches; `None` when it cannot be said.
    fn value(&self, name: &str, value: &str, namespace: &str) -> Option<bool> {
        let uri = self
            .call
            .identity
            .as_ref()
            .map(|id| format!("spiffe://{id}"));
        let uri_like = |pattern: &str| uri.as_ref().is_some_and(|uri| glob(pattern, uri));
        Some(match name {
            "principals" | "source.principal" => match value {
                "*" => uri.is_some(),
                _ => uri_like(&format!("spiffe://{value}")),
            },
            "namespaces" | "source.namespace" => uri_like(&format!("*/ns/{value}/*")),
            "serviceAccounts" | "source.serviceAccount" => {
                let (ns, account) = value.split_once('/').unwrap_or((namespace, value));
                uri_like(&format!("*/ns/{ns}/sa/{account}"))
            }
            "trustDomains" | "source.trustDomain" => uri_like(&format!("spiffe://{value}/ns/*")),
            "ipBlocks" | "source.ip" => {
                Network::parse(value)?.contains(self.call.source_ip.unwrap())
            }
            "remoteIpBlocks" | "remote.ip" => {
                let ip = self.call.remote_ip.or(self.call.source_ip).unwrap();
                Network::parse(value)?.contains(ip)
            }
            "ports" | "destination.port" => value.parse::<u16>().ok()? == self.call.port.pod,
            _ => self.http_value(name, value)?,
        })
    }

    fn http_value(&self, name: &str, value: &str) -> Option<bool> {
        let request = self.request?;
        let bracketed = |prefix: &str| {
            let rest = name.strip_prefix(prefix)?.strip_prefix('[')?;
            rest.strip_suffix(']').map(str::to_lowercase)
        };
        let token = request.token.as_ref();
        let token = token.filter(|t| t.valid && self.issuers.contains(&t.issuer.as_str()));
        let claim = |path: &str| {
            let path: Vec<String> = path.split("][").map(str::to_owned).collect();
            let values = token.and_then(|token| token.claims.get(&path));
            values.into_iter().flatten()
        };
        if let Some(header) = bracketed("request.headers") {
            let present = request.headers.get(&header);
            return Some(present.is_some_and(|text| value == "*" || glob(value, text)));
        }
        if let Some(path) = bracketed("request.auth.claims") {
            let matches = |text: &String| glob(value, text) && !text.is_empty();
            return Some(claim(&path).any(matches));
        }
        Some(match name {
            "methods" => glob(value, &request.method),
            "hosts" => glob(&value.to_lowercase(), &request.host.to_lowercase()),
            "paths" if value.contains('{') => template(value, &request.path),
            "paths" => glob(value, &request.path),
            "requestPrincipals" => {
                let Some(token) = token else {
                    return Some(false);
                };
                // Only whole principals and stars at an end are written by these tests.
                claim("sub")
                    .any(|sub| !sub.is_empty() && glob(value, &format!("{}/{sub}", token.issuer)))
            }
            _ => unreachable!("{name}"),
        })
    }
}

fn ztunnel_rule(rule: &Rule, namespace: &str, action: Action, call: &Call) -> bool {
    let clauses = rule.from.iter().map(|from| &from.source);
    let clauses = clauses.chain(rule.to.iter().map(|to| &to.operation));
    let fields = clauses.flat_map(|clause| clause.0.keys().map(String::as_str));
    let keys = rule.when.iter().map(|when| when.key.as_str());
    let http = [
        "methods",
        "hosts",
        "paths",
        "requestPrincipals",
        "remoteIpBlocks",
        "request.headers",
        "request.auth",
        "remote.ip",
        "source.serviceAccount",
        "source.trustDomain",
    ];
    let positive = |name: &str| match name.strip_prefix("not") {
        Some(rest) => rest[..1].to_lowercase() + &rest[1..],
        None => name.to_owned(),
    };
    let is_http = |name: &str| http.iter().any(|prefix| positive(name).starts_with(prefix));
    if action == Action::Allow && fields.chain(keys).any(is_http) {
        return false;
    }
    let identity = call.identity.as_ref();
    let value = |name: &str, value: &str| -> bool {
        let like = |text: Option<String>| {
            text.is_some_and(|text| match value.strip_prefix('*') {
                _ if value == "*" => true,
                Some(end) => text.ends_with(end),
                None => match value.strip_suffix('*') {
                    Some(start) => text.starts_with(start),
                    None => text == value,
                },
            })
        };
        match name {
            "principals" | "source.principal" => like(identity.map(ToString::to_string)),
            "namespaces" | "source.namespace" => like(identity.map(|i| i.namespace.to_string())),
            "serviceAccounts" => {
                let (ns, account) = value.split_once('/').unwrap_or((namespace, value));
                identity.is_some_and(|i| &*i.namespace == ns && &*i.service_account == account)
            }
            "ipBlocks" | "source.ip" => Network::parse(value)
                .unwrap()
                .contains(call.source_ip.unwrap()),
            "ports" | "destination.port" => value == call.port.pod.to_string(),
            _ => unreachable!("{name}"),
        }
    };
    let known = |name: &str| !is_http(name) && name != "trustDomains";
    let fields = |clause: &Clause| {
        let mut left = clause
            .0
            .iter()
            .filter(|(n, _)| known(&positive(n)))
            .peekable();
        left.peek().is_some()
            && left.all(|(name, values)| {
                let any = values.iter().any(|v| value(&positive(name), v));
                any != name.starts_with("not")
            })
    };
    let from = rule.from.is_empty() || rule.from.iter().any(|from| fields(&from.source));
    let to = rule.to.is_empty() || rule.to.iter().any(|to| fields(&to.operation));
    let when = rule.when.iter().all(|when| {
        known(&when.key)
            && (when.values.is_empty() || when.values.iter().any(|v| value(&when.key, v)))
            && !when.not_values.iter().any(|v| value(&when.key, v))
    });
    from && to && when
}

/// Whether a text is that of a pattern in which a star stands for any text.
fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|at| tail.is_char_boundary(*at))
                .any(|at| glob(rest, &tail[at..]))
        }),
    }
}

/// Whether a path is that of a template.
fn template(pattern: &str, path: &str) -> bool {
    let ends = |tail: &str, slash: bool| -> usize {
        let stops = |c: char| (c == '/' && !slash) || c == '*';
        tail.find(stops).unwrap_or(tail.len())
    };
    let one = pattern.find("{*}");
    let any = pattern.find("{**}");
    let (at, length, slash) = match (one, any) {
        (None, None) => return pattern == path,
        (Some(one), Some(any)) if any < one => (any, 4, true),
        (Some(one), _) => (one, 3, false),
        (None, Some(any)) => (any, 4, true),
    };
    let Some(tail) = path.strip_prefix(&pattern[..at]) else {
        return false;
    };
    let least = usize::from(!slash);
    let most = ends(tail, slash);
    (least..=most).any(|end| template(&pattern[at + length..], &tail[end..]))
}
