//! Calls that a route changes on the way: a sidecar judged what came out, a waypoint judges what came
//! in. The same call is followed on both ways, for every path that the policies and the routes tell
//! apart, as callers write it.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Name;
use crate::kinds::authorization::{AuthorizationPolicy, Clause};
use crate::semantics::compare::How;
use crate::semantics::identity::Identity;
use crate::semantics::routing::{self, Answer, Entry, PathRewrite, Table};
use crate::semantics::verdict::{
    Bench, Call, Comparison, Difference, Payload, Port, Request, Scope, Situation, Verdict,
};

/// The most calls that are followed to one port.
const MOST: usize = 600;

/// Whether the routes of a table change what policies read.
pub(super) fn changes(table: &Table) -> bool {
    table
        .entries
        .iter()
        .any(|entry| match &entry.action.answer {
            Answer::Forward(forward) => {
                forward.path != PathRewrite::Keep
                    || forward
                        .ways
                        .iter()
                        .any(|way| way.host.is_some() || !way.request.is_empty())
            }
            _ => false,
        })
}

/// Compares what comes of calls by routes.
pub(super) fn compare(
    before: &Situation<'_>,
    after: &Situation<'_>,
    scope: Scope<'_>,
    tables: &[(u16, Table)],
) -> Comparison {
    let mut found = Comparison {
        classes: 0,
        differing: 0,
        differences: Vec::new(),
        undecided: Vec::new(),
        how: How::Sampled {
            why: vec!["a route changes requests on the way".to_owned()],
        },
    };
    let mut texts = Texts::of(before);
    texts.add(after);
    let (mut before, mut after) = (Bench::of(before), Bench::of(after));
    for port in scope.ports {
        let table = tables
            .iter()
            .find(|(number, _)| Some(*number) == port.service);
        for call in texts.calls(*port, table.map(|(_, table)| table), scope.not_by) {
            let arrived = match table {
                Some((_, table)) => match arriving(&call, table) {
                    Some(arrived) => arrived,
                    None => continue,
                },
                None => call.clone(),
            };
            found.classes += 1;
            let (one, two) = (before.judge(&arrived), after.judge(&call));
            if one.agrees(&two) {
                continue;
            }
            let open = matches!(one, Verdict::Undecided(_)) || matches!(two, Verdict::Undecided(_));
            let difference = Difference {
                call,
                before: one,
                after: two,
                supposing: BTreeMap::new(),
            };
            if open {
                found.undecided.push(difference);
            } else {
                found.differing += 1;
                found.differences.push(difference);
            }
        }
    }
    found
}

/// A call as it comes out of a table; nothing where it is not sent on.
fn arriving(call: &Call, table: &Table) -> Option<Call> {
    let Payload::Http(request) = &call.payload else {
        return Some(call.clone());
    };
    let asked = routing::Request {
        path: Some(request.path.clone()),
        method: Some(request.method.clone()),
        authority: Some(request.host.clone()),
        headers: request.headers.clone(),
        ..routing::Request::default()
    };
    let Ok(Some(Entry { action, .. })) = table.entry(&asked) else {
        return None;
    };
    let Answer::Forward(forward) = &action.answer else {
        return None;
    };
    let way = forward.ways.first()?;
    let mut changed = request.clone();
    changed.path = forward.path.apply(&request.path)?;
    if let Some(host) = &way.host {
        changed.host.clone_from(host);
    }
    for (name, effect) in way.request.iter() {
        match effect.values.first() {
            Some(value) => changed.headers.insert(name.to_owned(), value.clone()),
            None => changed.headers.remove(name),
        };
    }
    Some(Call {
        payload: Payload::Http(changed),
        ..call.clone()
    })
}

/// What policies tell apart.
#[derive(Default)]
struct Texts {
    paths: BTreeSet<String>,
    methods: BTreeSet<String>,
    headers: BTreeSet<(String, String)>,
    callers: BTreeSet<(Name, Name)>,
    domain: String,
}

impl Texts {
    fn of(situation: &Situation<'_>) -> Self {
        let mut texts = Self {
            methods: BTreeSet::from(["GET".to_owned(), "PATCH".to_owned()]),
            callers: BTreeSet::from([("elsewhere".into(), "somebody".into())]),
            ..Self::default()
        };
        texts.add(situation);
        texts
    }

    fn add(&mut self, situation: &Situation<'_>) {
        for hop in &situation.meshed {
            self.domain.clone_from(&hop.policies.settings.trust_domain);
            for policy in hop.policies.authorization_at(&hop.point) {
                self.policy(policy);
            }
        }
    }

    fn policy(&mut self, policy: &AuthorizationPolicy) {
        for rule in &policy.spec.rules {
            for to in &rule.to {
                let plain = |text: &str| text.replace('*', "");
                let both = |yes: &str, no: &str| {
                    values(&to.operation, yes)
                        .chain(values(&to.operation, no))
                        .map(plain)
                        .collect::<Vec<_>>()
                };
                self.paths.extend(both("paths", "notPaths"));
                self.methods.extend(both("methods", "notMethods"));
            }
            for from in &rule.from {
                self.source(&from.source, &policy.metadata.namespace);
            }
            for when in &rule.when {
                let header = when.key.strip_prefix("request.headers[");
                if let Some(name) = header.and_then(|key| key.strip_suffix(']')) {
                    let all = when.values.iter().chain(&when.not_values);
                    self.headers.extend(
                        all.map(|value| (name.to_ascii_lowercase(), value.replace('*', "x"))),
                    );
                }
            }
        }
    }

    fn source(&mut self, source: &Clause, home: &Name) {
        for field in ["principals", "notPrincipals"] {
            for value in values(source, field) {
                let parts: Vec<&str> = value.split('/').collect();
                if let [_, "ns", namespace, "sa", account] = parts[..] {
                    self.callers.insert((namespace.into(), account.into()));
                }
            }
        }
        for field in ["namespaces", "notNamespaces"] {
            let named = values(source, field).filter(|value| !value.contains('*'));
            self.callers
                .extend(named.map(|value| (value.into(), "somebody".into())));
        }
        for field in ["serviceAccounts", "notServiceAccounts"] {
            for value in values(source, field) {
                let (namespace, account) = value.split_once('/').unwrap_or((home, value));
                self.callers.insert((namespace.into(), account.into()));
            }
        }
    }

    /// Paths as callers write them: on the edges of every text, and of what the routes make of it.
    fn written(&self, table: Option<&Table>) -> BTreeSet<String> {
        let mut starts = self.paths.clone();
        for entry in table.into_iter().flat_map(|table| &table.entries) {
            let Answer::Forward(forward) = &entry.action.answer else {
                continue;
            };
            if let PathRewrite::Prefix { matched, by, .. } = &forward.path {
                starts.insert(matched.clone());
                for path in &self.paths {
                    let rest = path.strip_prefix(by.as_str());
                    starts.extend(rest.map(|rest| format!("{matched}{rest}")));
                }
            }
        }
        let edges = ["", "/", "x", "/x"];
        let all = starts
            .iter()
            .flat_map(|start| edges.map(|edge| format!("{start}{edge}")));
        let absolute = all.filter(|path| path.starts_with('/'));
        absolute.chain(["/".to_owned()]).collect()
    }

    fn calls(&self, port: Port, table: Option<&Table>, not_by: &[Identity]) -> Vec<Call> {
        let mut calls = Vec::new();
        let headers = self.headers.iter().map(Some).chain([None]);
        let headers: Vec<Option<&(String, String)>> = headers.collect();
        for path in self.written(table) {
            for method in &self.methods {
                for header in &headers {
                    for (namespace, service_account) in &self.callers {
                        let identity = Identity {
                            trust_domain: self.domain.clone(),
                            namespace: namespace.clone(),
                            service_account: service_account.clone(),
                        };
                        if calls.len() >= MOST || not_by.contains(&identity) {
                            continue;
                        }
                        let request = Request {
                            method: method.clone(),
                            path: path.clone(),
                            headers: header.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
                            ..Request::default()
                        };
                        calls.push(Call {
                            identity: Some(identity),
                            source_ip: None,
                            remote_ip: None,
                            port,
                            server_name: None,
                            payload: Payload::Http(request),
                        });
                    }
                }
            }
        }
        calls
    }
}

fn values<'c>(clause: &'c Clause, field: &str) -> impl Iterator<Item = &'c str> {
    clause
        .0
        .get(field)
        .into_iter()
        .flatten()
        .map(String::as_str)
}
