//! HTTPRoutes of pieces that are in order.

use super::action::Action;
use super::form::written;
use super::order::{Ordered, Piece};
use super::paths::Change;
use crate::kinds::complete::{HttpRouteSpec, HttpRule, ParentReference};
use crate::kinds::{Name, ObjectRef};

/// The limits of an HTTPRoute (`HTTPRouteSpec`).
const RULES: usize = 16;
const MATCHES_OF_A_RULE: usize = 64;
const MATCHES: usize = 128;

/// The rules of routes, one list for each route.
pub(super) type Lists = Vec<Vec<HttpRule>>;

/// Groups neighbours that do the same into rules, and rules into routes. `None` where the order would
/// depend on which route is older.
pub(super) fn rules(
    ordered: &Ordered,
    actions: &[Action],
    names: &[Option<String>],
) -> Option<Lists> {
    let mut groups: Vec<Vec<&Piece>> = Vec::new();
    for piece in &ordered.pieces {
        match groups.last_mut() {
            Some(group) if belongs(group, piece, names) => group.push(piece),
            _ => groups.push(vec![piece]),
        }
    }
    let mut lists: Vec<Vec<&Vec<&Piece>>> = vec![Vec::new()];
    for group in &groups {
        let last = lists.last()?;
        let matches: usize = last.iter().map(|group| group.len()).sum();
        if last.len() == RULES || matches + group.len() > MATCHES {
            lists.push(Vec::new());
        }
        lists.last_mut()?.push(group);
    }
    for (position, list) in lists.iter().enumerate() {
        let later = || {
            lists[position + 1..]
                .iter()
                .flatten()
                .flat_map(|g| g.iter())
        };
        let mut own = list.iter().flat_map(|group| group.iter());
        if own.any(|first| later().any(|second| ordered.tie_matters(first, second))) {
            return None;
        }
    }
    let mut used: Vec<String> = Vec::new();
    let rule = |group: &Vec<&Piece>| {
        let first = group[0];
        let mut rule = actions[first.action].rule(&first.change);
        let matches = group
            .iter()
            .map(|piece| written(&piece.path, &piece.demands));
        rule.matches = matches.collect();
        rule.name = names[first.rule].as_ref().map(|name| free(name, &mut used));
        rule
    };
    let mut rule = rule;
    let lists = lists
        .iter()
        .map(|list| list.iter().map(|group| rule(group)).collect());
    Some(lists.collect())
}

/// Whether a piece can be one more match of a rule. One that replaces a prefix stands alone.
fn belongs(group: &[&Piece], piece: &Piece, names: &[Option<String>]) -> bool {
    let Some(first) = group.first() else {
        return false;
    };
    let same_name =
        first.rule == piece.rule || (names[first.rule].is_none() && names[piece.rule].is_none());
    same_name
        && first.acts_alike(piece)
        && group.len() < MATCHES_OF_A_RULE
        && !matches!(piece.change, Change::Prefix(_))
}

/// A name that no rule has yet.
fn free(name: &str, used: &mut Vec<String>) -> String {
    let mut free = name.to_owned();
    let mut count = 1;
    while used.contains(&free) {
        count += 1;
        free = format!("{name}-{count}");
    }
    used.push(free.clone());
    free
}

/// The spec of a route for ports of a Service.
pub(super) fn spec(service: &ObjectRef, ports: &[u16], rules: Vec<HttpRule>) -> HttpRouteSpec {
    HttpRouteSpec {
        parent_refs: parents(service, ports),
        rules,
        ..HttpRouteSpec::default()
    }
}

/// The ports of a Service, as parents of a route.
pub(super) fn parents(service: &ObjectRef, ports: &[u16]) -> Vec<ParentReference> {
    let parent = |port: &u16| ParentReference {
        group: Some(String::new()),
        kind: Some("Service".to_owned()),
        name: service.name.to_string(),
        port: Some(*port),
        ..ParentReference::default()
    };
    ports.iter().map(parent).collect()
}

/// Whether a text can be the name of a rule (`SectionName`).
pub(super) fn is_rule_name(name: &str) -> bool {
    let part = |part: &str| {
        let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = part.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes
                .iter()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
    };
    name.len() <= 253 && name.split('.').all(part)
}

/// A name for a new object that no other has.
pub(super) fn name_of_route(wanted: &str, is_taken: impl Fn(&Name) -> bool) -> Name {
    let mut wanted = wanted.to_owned();
    wanted.truncate(240);
    let mut name = Name::from(wanted.as_str());
    let mut count = 1;
    while is_taken(&name) {
        count += 1;
        name = Name::from(format!("{wanted}-{count}"));
    }
    name
}
