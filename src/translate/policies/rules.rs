//! Rules of AuthorizationPolicies, as they are written: what is taken from them and added to them.

use serde_json::{Map, Value, json};

use super::ports::strings;
use crate::kinds::authorization::{Action, AuthorizationSpec, Rule};
use crate::mesh::installation::Version;
use crate::semantics::authorization::{
    Layer, beyond_ztunnel, condition_layer, operation_layer, source_layer,
};
use crate::semantics::identity::Identity;
use crate::semantics::verdict::Settings;

/// Which rules of a policy ztunnel can judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape {
    /// Rules on connections.
    pub(super) connections: Vec<usize>,
    /// Rules on requests; all rules where the action is one that ztunnel does not know.
    pub(super) requests: Vec<usize>,
    /// Whether the whole policy is beyond ztunnel, rules or not.
    action: bool,
}

impl Shape {
    pub(super) fn of(spec: &AuthorizationSpec) -> Self {
        let action = matches!(spec.action, Action::Custom | Action::Audit);
        let (requests, connections) = (0..spec.rules.len())
            .partition(|index| action || !beyond_ztunnel(&spec.rules[*index], *index).is_empty());
        Self {
            connections,
            requests,
            action,
        }
    }

    /// Whether a part of it needs a proxy that reads HTTP.
    pub(super) fn needs_http(&self) -> bool {
        self.action || !self.requests.is_empty()
    }

    /// Whether a part of it needs that and another does not.
    pub(super) fn is_mixed(&self) -> bool {
        !self.requests.is_empty() && !self.connections.is_empty()
    }
}

/// The fields of a policy, of its rules and of their parts that the API has.
pub(super) fn unknown_field(spec: &Value) -> Option<String> {
    const SPEC: &[&str] = &[
        "selector",
        "targetRef",
        "targetRefs",
        "action",
        "provider",
        "rules",
    ];
    let stray = |value: &Value, known: &[&str]| {
        let fields = value.as_object()?;
        fields
            .keys()
            .find(|key| !known.contains(&key.as_str()))
            .cloned()
    };
    if let Some(field) = stray(spec, SPEC).or_else(|| stray(&spec["selector"], &["matchLabels"])) {
        return Some(field);
    }
    for rule in list(&spec["rules"]) {
        let found = stray(rule, &["from", "to", "when"])
            .or_else(|| list(&rule["from"]).find_map(|from| stray(from, &["source"])))
            .or_else(|| list(&rule["to"]).find_map(|to| stray(to, &["operation"])))
            .or_else(|| {
                list(&rule["when"]).find_map(|when| stray(when, &["key", "values", "notValues"]))
            });
        if found.is_some() {
            return found;
        }
        for (outer, inner, layer) in PARTS {
            for part in list(&rule[*outer]) {
                let keys = part[*inner].as_object().into_iter().flat_map(Map::keys);
                for key in keys {
                    if layer(key) == Layer::Unknown {
                        return Some(key.clone());
                    }
                }
            }
        }
    }
    None
}

type Part = (&'static str, &'static str, fn(&str) -> Layer);
const PARTS: &[Part] = &[
    ("from", "source", source_layer),
    ("to", "operation", operation_layer),
];

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Some rules of a policy as they are written.
pub(super) fn chosen(spec: &Value, indices: &[usize]) -> Vec<Value> {
    indices
        .iter()
        .filter_map(|index| spec["rules"].get(*index).cloned())
        .collect()
}

/// What is left of a rule when only connections are looked at: sources, ports and the rest that
/// ztunnel can judge. What loses all it says matches everything.
pub(super) fn without_requests(rule: &Value) -> Value {
    let mut left = Map::new();
    for (outer, inner, layer) in PARTS {
        let mut kept = Vec::new();
        let mut anything = false;
        for part in list(&rule[*outer]) {
            let fields = part[*inner].as_object().into_iter().flatten();
            let fields: Map<String, Value> = fields
                .filter(|(key, values)| layer(key) == Layer::L4 && strings(Some(values)).is_some())
                .map(|(key, values)| (key.clone(), values.clone()))
                .collect();
            anything |= fields.is_empty();
            kept.push(json!({*inner: fields}));
        }
        if !anything && !kept.is_empty() {
            left.insert((*outer).to_owned(), kept.into());
        }
    }
    let conditions: Vec<Value> = list(&rule["when"])
        .filter(|when| {
            when["key"]
                .as_str()
                .is_some_and(|key| condition_layer(key) == Layer::L4)
        })
        .cloned()
        .collect();
    if !conditions.is_empty() {
        left.insert("when".to_owned(), conditions.into());
    }
    left.into()
}

/// Whether a rule says who asks.
pub(super) fn names_source(rule: &Rule) -> bool {
    crate::semantics::identity::names_callers(rule)
}

/// How the identity of a waypoint is written.
#[derive(Debug, Clone)]
pub(super) struct Naming {
    /// Whether `serviceAccounts` is known (1.25).
    accounts: bool,
}

impl Naming {
    pub(super) fn new(istio: Option<Version>) -> Self {
        Self {
            accounts: istio.is_none_or(|version| version >= Version::new(1, 25)),
        }
    }

    /// Whether accounts can be named. A dot in one matched any character in releases before 1.29.2.
    fn by_account(&self, identities: &[Identity]) -> bool {
        self.accounts
            && identities
                .iter()
                .all(|identity| !identity.service_account.contains('.'))
    }

    /// A source that is these.
    pub(super) fn only(&self, identities: &[Identity]) -> Value {
        let (field, names) = Self::named(identities, self.by_account(identities));
        json!({field: names})
    }

    /// A source that is anybody else, those without an identity too.
    pub(super) fn anybody_but(&self, identities: &[Identity]) -> Value {
        let (field, names) = Self::named(identities, self.by_account(identities));
        json!({negative(field): names})
    }

    fn named(identities: &[Identity], by_account: bool) -> (&'static str, Vec<String>) {
        if by_account {
            let name = |i: &Identity| format!("{}/{}", i.namespace, i.service_account);
            ("serviceAccounts", identities.iter().map(name).collect())
        } else {
            let names = identities.iter().map(ToString::to_string);
            ("principals", names.collect())
        }
    }

    /// Undoes [`Naming::exempt`]: a waypoint does not call itself.
    pub(super) fn without_exemption(rule: &mut Value, waypoints: &[Identity]) {
        let Some(fields) = rule.as_object_mut() else {
            return;
        };
        let Some(sources) = fields.get_mut("from").and_then(Value::as_array_mut) else {
            return;
        };
        let had = sources.len();
        for entry in &mut *sources {
            let Some(source) = entry.get_mut("source").and_then(Value::as_object_mut) else {
                continue;
            };
            for by_account in [true, false] {
                let (field, names) = Self::named(waypoints, by_account);
                let field = negative(field);
                let Some(list) = source.get_mut(field).and_then(Value::as_array_mut) else {
                    continue;
                };
                list.retain(|value| !names.iter().any(|name| value.as_str() == Some(name)));
                if list.is_empty() {
                    source.remove(field);
                }
            }
        }
        let says_nothing = |entry: &Value| entry["source"].as_object().is_some_and(Map::is_empty);
        sources.retain(|entry| !says_nothing(entry));
        if sources.len() < had {
            // Whoever calls is meant.
            fields.remove("from");
        }
    }

    /// Takes waypoints out of what a rule matches; says whether that changed it.
    pub(super) fn exempt(&self, rule: &mut Value, waypoints: &[Identity]) -> bool {
        let hit: Vec<Identity> = waypoints
            .iter()
            .filter(|waypoint| list(&rule["when"]).all(|when| may_be_of(when, waypoint)))
            .cloned()
            .collect();
        let Some(fields) = rule.as_object_mut() else {
            return false;
        };
        if hit.is_empty() {
            return false;
        }
        if fields
            .get("from")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty)
        {
            let source = self.anybody_but(&hit);
            fields.insert("from".to_owned(), json!([{"source": source}]));
            return true;
        }
        let mut changed = false;
        let sources = fields.get_mut("from").and_then(Value::as_array_mut);
        for entry in sources.into_iter().flatten() {
            let Some(source) = entry.get_mut("source").and_then(Value::as_object_mut) else {
                continue;
            };
            let here: Vec<Identity> = hit
                .iter()
                .filter(|w| may_match(source, w))
                .cloned()
                .collect();
            if here.is_empty() {
                continue;
            }
            // Validation: accounts do not stand beside principals and namespaces.
            let others = ["principals", "notPrincipals", "namespaces", "notNamespaces"];
            let beside = others
                .iter()
                .any(|field| strings(source.get(*field)).is_some());
            let (field, names) = Self::named(&here, self.by_account(&here) && !beside);
            let mut all = strings(source.get(negative(field))).unwrap_or_default();
            all.extend(names);
            source.insert(negative(field).to_owned(), json!(all));
            changed = true;
        }
        changed
    }
}

fn negative(field: &str) -> &'static str {
    if field == "principals" {
        "notPrincipals"
    } else {
        "notServiceAccounts"
    }
}

/// Whether a source may match an identity: unless what it says of identities excludes it.
fn may_match(source: &Map<String, Value>, identity: &Identity) -> bool {
    let principal = identity.to_string();
    let account = format!("{}/{}", identity.namespace, identity.service_account);
    let any = |field: &str, text: &str| {
        strings(source.get(field)).map(|values| values.iter().any(|value| matches(value, text)))
    };
    let reads_all = |field: &str| {
        let values = strings(source.get(field)).unwrap_or_default();
        values.iter().any(|value| is_every_namespace(value))
    };
    if reads_all("notNamespaces") {
        return false;
    }
    let namespace = if reads_all("namespaces") {
        ("", "notNamespaces", &*identity.namespace)
    } else {
        ("namespaces", "notNamespaces", &*identity.namespace)
    };
    for (yes, no, text) in [
        ("principals", "notPrincipals", principal.as_str()),
        namespace,
        ("serviceAccounts", "notServiceAccounts", &account),
    ] {
        if any(yes, text) == Some(false) || any(no, text) == Some(true) {
            return false;
        }
    }
    true
}

/// Whether a condition may hold for an identity.
fn may_be_of(when: &Value, identity: &Identity) -> bool {
    let text = match when["key"].as_str() {
        Some("source.principal") => identity.to_string(),
        Some("source.namespace") => identity.namespace.to_string(),
        _ => return true,
    };
    let all = |value: &str| when["key"] == "source.namespace" && is_every_namespace(value);
    let holds = |value: &String| all(value) || matches(value, &text);
    let any = |field: &str| strings(when.get(field)).map(|values| values.iter().any(holds));
    any("values") != Some(false) && any("notValues") != Some(true)
}

/// Whether a sidecar takes a namespace in a rule to be every one ([`with_read_namespaces`]).
fn is_every_namespace(value: &str) -> bool {
    matches!(value, "*a" | "*sa")
}

/// Exact, `prefix*`, `*suffix`, or `*`.
fn matches(pattern: &str, text: &str) -> bool {
    if let Some(end) = pattern.strip_prefix('*') {
        text.ends_with(end)
    } else if let Some(start) = pattern.strip_suffix('*') {
        text.starts_with(start)
    } else {
        pattern == text
    }
}

/// Whether a DENY rule fires at a sidecar because of what a waypoint has taken away: the token.
pub(super) fn misses_token(rule: &Value) -> bool {
    let source = |from: &Value| strings(from["source"].get("notRequestPrincipals")).is_some();
    let when = |when: &Value| {
        let key = when["key"].as_str().unwrap_or_default();
        key.starts_with("request.auth.") && strings(when.get("notValues")).is_some()
    };
    list(&rule["from"]).any(source) || list(&rule["when"]).any(when)
}

/// Adds to principals of a trust domain that only sidecars and waypoints know to be the mesh's own
/// the name that ztunnel knows; says whether something was added.
pub(super) fn with_real_names(rule: &mut Value, settings: &Settings) -> bool {
    let mut changed = false;
    let mut add = |values: Option<&mut Value>| {
        let Some(list) = values.and_then(Value::as_array_mut) else {
            return;
        };
        let mut more = Vec::new();
        for value in list.iter().filter_map(Value::as_str) {
            more.extend(real_name(value, settings));
        }
        more.retain(|name| !list.iter().any(|value| value.as_str() == Some(name)));
        more.dedup();
        changed |= !more.is_empty();
        list.extend(more.into_iter().map(Value::from));
    };
    let sources = rule.get_mut("from").and_then(Value::as_array_mut);
    for entry in sources.into_iter().flatten() {
        for field in ["principals", "notPrincipals"] {
            add(entry
                .get_mut("source")
                .and_then(|source| source.get_mut(field)));
        }
    }
    let conditions = rule.get_mut("when").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        if condition["key"] == "source.principal" {
            for field in ["values", "notValues"] {
                add(condition.get_mut(field));
            }
        }
    }
    changed
}

/// Says of namespaces what sidecars read: `*a` and `*sa` mean every namespace there, because what
/// `*` stands for may reach to the `sa` of the caller's URI. ztunnel reads them as they are meant.
/// Says whether something was added.
pub(super) fn with_read_namespaces(rule: &mut Value) -> bool {
    let mut changed = false;
    let mut add = |values: Option<&mut Value>| {
        let Some(list) = values.and_then(Value::as_array_mut) else {
            return;
        };
        let has = |wanted: &[&str]| {
            list.iter()
                .any(|v| v.as_str().is_some_and(|v| wanted.contains(&v)))
        };
        if has(&["*a", "*sa"]) && !has(&["*"]) {
            list.push("*".into());
            changed = true;
        }
    };
    let sources = rule.get_mut("from").and_then(Value::as_array_mut);
    for entry in sources.into_iter().flatten() {
        for field in ["namespaces", "notNamespaces"] {
            add(entry
                .get_mut("source")
                .and_then(|source| source.get_mut(field)));
        }
    }
    let conditions = rule.get_mut("when").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        if condition["key"] == "source.namespace" {
            for field in ["values", "notValues"] {
                add(condition.get_mut(field));
            }
        }
    }
    changed
}

/// What sidecars take a principal to be besides (`pilot/pkg/security/trustdomain/bundle.go`).
fn real_name(value: &str, settings: &Settings) -> Option<String> {
    let (domain, rest) = value.split_once('/')?;
    let own = &settings.trust_domain;
    let known =
        domain == "cluster.local" || settings.trust_domain_aliases.iter().any(|a| a == domain);
    (value.split('/').count() == 5 && known && domain != own).then(|| format!("{own}/{rest}"))
}

/// Gives accounts that are named without a namespace that of their policy, so that the rule means
/// the same in another.
pub(super) fn with_namespaces(rule: &mut Value, home: &str) {
    let sources = rule.get_mut("from").and_then(Value::as_array_mut);
    for entry in sources.into_iter().flatten() {
        for field in ["serviceAccounts", "notServiceAccounts"] {
            let list = entry
                .get_mut("source")
                .and_then(|source| source.get_mut(field));
            for value in list.and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(account) = value.as_str()
                    && !account.contains('/')
                {
                    *value = format!("{home}/{account}").into();
                }
            }
        }
    }
}
