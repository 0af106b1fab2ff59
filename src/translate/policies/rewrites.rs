//! What policies read and routes write.
//!
//! A sidecar's policy sees requests as the caller's proxy has changed them. A waypoint judges first
//! and changes then (the order of its filters: `pilot/pkg/networking/core/listener_waypoint.go`), so
//! that paths have to be said as callers write them. Where a route replaces one beginning of paths
//! by another, that can be said exactly; else it is refused.

use serde_json::{Value, json};

use super::ports::strings;
use crate::semantics::language::Shape;
use crate::semantics::routing::{Answer, Dimension, Entry, PathRewrite, Table};

/// Some paths: one, or those with a beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Paths {
    One(String),
    Under(String),
}

impl Paths {
    /// A value of `paths`; `None` for `*x` and templates.
    fn read(value: &str) -> Option<Self> {
        if value.contains(['{', '}']) {
            return None;
        }
        match value.split_once('*') {
            None => Some(Self::One(value.to_owned())),
            Some((start, "")) => Some(Self::Under(start.to_owned())),
            Some(_) => None,
        }
    }

    fn written(&self) -> String {
        match self {
            Self::One(path) => path.clone(),
            Self::Under(start) => format!("{start}*"),
        }
    }

    /// What is in both: one holds the other, or they have nothing in common.
    fn and(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::One(a), Self::One(b)) => (a == b).then(|| self.clone()),
            (Self::One(a), Self::Under(b)) => a.starts_with(b.as_str()).then(|| self.clone()),
            (Self::Under(a), Self::One(b)) => b.starts_with(a.as_str()).then(|| other.clone()),
            (Self::Under(a), Self::Under(b)) => {
                if a.starts_with(b.as_str()) {
                    Some(self.clone())
                } else if b.starts_with(a.as_str()) {
                    Some(other.clone())
                } else {
                    None
                }
            }
        }
    }

    /// The paths that begin with `from` and of which these are made by putting `to` in its place.
    fn before(&self, from: &str, to: &str) -> Option<Self> {
        match self {
            Self::One(path) => path
                .strip_prefix(to)
                .map(|rest| Self::One(format!("{from}{rest}"))),
            Self::Under(start) => {
                if to.starts_with(start.as_str()) {
                    return Some(Self::Under(from.to_owned()));
                }
                start
                    .strip_prefix(to)
                    .map(|rest| Self::Under(format!("{from}{rest}")))
            }
        }
    }
}

/// Paths as callers write them, without some that go elsewhere.
struct Part {
    paths: Paths,
    without: Vec<Paths>,
}

/// Why a rule cannot be said as callers write requests.
pub(super) type Why = String;

/// A rule as callers of a Service write their requests, for the tables of its ports; nothing where
/// no request can match it.
pub(super) fn pulled_back(rule: &Value, tables: &[(u16, Table)]) -> Result<Option<Value>, Why> {
    let mut said: Option<Option<Value>> = None;
    for (_, table) in tables {
        let rule = of_table(rule, table)?;
        match &said {
            None => said = Some(rule),
            Some(other) if *other == rule => {}
            Some(_) => {
                let why = "its ports have routes that change requests in different ways";
                return Err(why.to_owned());
            }
        }
    }
    Ok(said.unwrap_or_else(|| Some(rule.clone())))
}

/// Whether a table answers requests that it does not send on.
pub(super) fn answers(table: &Table) -> bool {
    table.entries.iter().any(|entry| {
        entry.action.cors.is_some() || !matches!(entry.action.answer, Answer::Forward(_))
    })
}

fn of_table(rule: &Value, table: &Table) -> Result<Option<Value>, Why> {
    unread_headers(rule, table)?;
    let rewrites = table
        .entries
        .iter()
        .any(|entry| rewrite(entry).is_some_and(|r| *r != PathRewrite::Keep));
    if !rewrites {
        return Ok(Some(rule.clone()));
    }
    if conditions(rule).any(|key| key.eq_ignore_ascii_case("request.headers[:path]")) {
        return Err("it reads :path, and a route rewrites paths".to_owned());
    }
    let mut rule = rule.clone();
    let Some(operations) = rule.get_mut("to").and_then(Value::as_array_mut) else {
        return Ok(Some(rule));
    };
    if operations.is_empty() {
        return Ok(Some(rule));
    }
    let mut said = Vec::new();
    for entry in operations.iter() {
        said.extend(operation(&entry["operation"], table)?);
    }
    if said.is_empty() {
        return Ok(None);
    }
    // One of several that matches every request is enough.
    if said
        .iter()
        .any(|operation| operation.as_object().is_some_and(serde_json::Map::is_empty))
    {
        if let Some(fields) = rule.as_object_mut() {
            fields.remove("to");
        }
        return Ok(Some(rule));
    }
    *operations = said
        .into_iter()
        .map(|operation| json!({"operation": operation}))
        .collect();
    Ok(Some(rule))
}

/// An operation, as callers write it: one for each way to write its paths.
fn operation(operation: &Value, table: &Table) -> Result<Vec<Value>, Why> {
    let mut base = operation.as_object().cloned().unwrap_or_default();
    let mut unwanted: Vec<String> = Vec::new();
    if let Some(values) = strings(base.get("notPaths")) {
        for value in values {
            for part in parts(&value, table)? {
                if !part.without.is_empty() {
                    return Err(format!(
                        "{value} in notPaths is more than one beginning of paths"
                    ));
                }
                unwanted.push(part.paths.written());
            }
        }
        base.remove("notPaths");
    }
    let Some(values) = strings(base.get("paths")) else {
        if !unwanted.is_empty() {
            base.insert("notPaths".to_owned(), json!(unwanted));
        }
        return Ok(vec![base.into()]);
    };
    let mut together: Vec<String> = Vec::new();
    let mut alone = Vec::new();
    for value in values {
        for part in parts(&value, table)? {
            let path = part.paths.written();
            if part.without.is_empty() {
                if !together.contains(&path) {
                    together.push(path);
                }
            } else {
                let without = part.without.iter().map(Paths::written);
                let without: Vec<String> = without.chain(unwanted.iter().cloned()).collect();
                alone.push((path, without));
            }
        }
    }
    let with = |paths: Vec<String>, without: &[String]| {
        let mut fields = base.clone();
        fields.insert("paths".to_owned(), json!(paths));
        if !without.is_empty() {
            fields.insert("notPaths".to_owned(), json!(without));
        }
        Value::Object(fields)
    };
    let mut all = Vec::new();
    if !together.is_empty() {
        all.push(with(together, &unwanted));
    }
    all.extend(
        alone
            .into_iter()
            .map(|(path, without)| with(vec![path], &without)),
    );
    Ok(all)
}

/// The paths that callers write so that a value of `paths` matches what comes of them.
fn parts(value: &str, table: &Table) -> Result<Vec<Part>, Why> {
    if value == "*" {
        return Ok(vec![Part {
            paths: Paths::Under(String::new()),
            without: Vec::new(),
        }]);
    }
    let wanted = Paths::read(value)
        .ok_or_else(|| format!("{value} is no single path and no beginning of paths"))?;
    let mut all = Vec::new();
    let mut earlier: Vec<Paths> = Vec::new();
    for entry in &table.entries {
        let here = domain(entry)?;
        if let Some(rewrite) = rewrite(entry)
            && let Some(paths) = before(&wanted, &here, rewrite)?
        {
            let covers = |known: &&Paths| known.and(&paths).as_ref() == Some(&paths);
            if !earlier.iter().any(|known| covers(&known)) {
                let without = earlier.iter().filter(|known| known.and(&paths).is_some());
                all.push(Part {
                    without: without.cloned().collect(),
                    paths,
                });
            }
        }
        earlier.push(here);
    }
    Ok(all)
}

/// The paths of an entry that become some others.
fn before(wanted: &Paths, here: &Paths, rewrite: &PathRewrite) -> Result<Option<Paths>, Why> {
    Ok(match rewrite {
        PathRewrite::Keep => wanted.and(here),
        PathRewrite::Whole(path) => wanted.and(&Paths::One(path.clone())).map(|_| here.clone()),
        PathRewrite::Prefix {
            matched,
            by,
            fold: false,
        } => wanted.before(matched, by).and_then(|paths| paths.and(here)),
        other => {
            return Err(format!(
                "a route changes paths in a way that cannot be undone: {other}"
            ));
        }
    })
}

/// The paths on which an entry acts.
fn domain(entry: &Entry) -> Result<Paths, Why> {
    let mut all = Paths::Under(String::new());
    for condition in &entry.conditions {
        let why = || "a route rewrites paths of requests that it tells apart by more than paths";
        if condition.dimension != Dimension::Path
            || condition.negated
            || condition.pattern.ignores_case()
        {
            return Err(why().to_owned());
        }
        let paths = match condition.pattern.shape() {
            Shape::Any => continue,
            Shape::Exact(path) => Paths::One(path.clone()),
            Shape::Prefix(start) => Paths::Under(start.clone()),
            Shape::Element(_) | Shape::Regex(_) => return Err(why().to_owned()),
        };
        all = all.and(&paths).ok_or_else(|| why().to_owned())?;
    }
    Ok(all)
}

/// What becomes of the path of requests that are sent on.
fn rewrite(entry: &Entry) -> Option<&PathRewrite> {
    match &entry.action.answer {
        Answer::Forward(forward) => Some(&forward.path),
        _ => None,
    }
}

/// Refuses where a rule reads a header, or the host, that a route writes.
fn unread_headers(rule: &Value, table: &Table) -> Result<(), Why> {
    let operations = rule["to"].as_array().into_iter().flatten();
    let mut fields = operations.flat_map(|to| to["operation"].as_object().into_iter().flatten());
    let host = fields.any(|(key, _)| key == "hosts" || key == "notHosts");
    let headers: Vec<String> = conditions(rule)
        .filter_map(|key| key.strip_prefix("request.headers[")?.strip_suffix(']'))
        .map(str::to_ascii_lowercase)
        .collect();
    let host = host
        || headers
            .iter()
            .any(|name| name == ":authority" || name == "host");
    for entry in &table.entries {
        let Answer::Forward(forward) = &entry.action.answer else {
            continue;
        };
        for way in &forward.ways {
            if host && way.host.is_some() {
                return Err("it reads the host, and a route writes it".to_owned());
            }
            for (name, _) in way.request.iter() {
                if headers.iter().any(|read| read == name) {
                    return Err(format!("it reads the header {name}, and a route writes it"));
                }
            }
        }
    }
    Ok(())
}

fn conditions(rule: &Value) -> impl Iterator<Item = &str> {
    let conditions = rule["when"].as_array().into_iter().flatten();
    conditions.filter_map(|when| when["key"].as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::semantics::language::Pattern;
    use crate::semantics::routing::{Action, Condition, Fault, Forward, Request};
    use crate::soak::cases;

    const STARTS: &[&str] = &["/", "/a", "/a/", "/ab", "/a/b", "/v1", "/v1/a"];
    const PATHS: &[&str] = &[
        "/", "/a", "/a/", "/ab", "/abc", "/a/b", "/a/b/c", "/a/x", "/v1", "/v1/", "/v1/a",
        "/v1/ab", "/v1/b", "/x", "/v1x", "/aa", "/v1/a/b",
    ];

    fn entry(matched: Option<&str>, by: Option<&str>) -> Entry {
        let condition = |start: &str| Condition::new(Dimension::Path, Pattern::prefix(start));
        let matches = matched.unwrap_or("/");
        let path = match by.filter(|by| *by != matches) {
            None => PathRewrite::Keep,
            Some(by) => PathRewrite::Prefix {
                matched: matches.to_owned(),
                by: by.to_owned(),
                fold: false,
            },
        };
        Entry {
            conditions: matched.map(condition).into_iter().collect(),
            action: Action {
                answer: Answer::Forward(Forward {
                    ways: Vec::new(),
                    path,
                    timeout: None,
                    retry: None,
                    mirrors: Vec::new(),
                    missing: 503,
                }),
                fault: Fault::default(),
                cors: None,
            },
            origin: None,
        }
    }

    fn matches(rule: &Value, path: &str) -> bool {
        let value = |value: &Value| {
            let value = value.as_str().unwrap();
            match value.strip_suffix('*') {
                Some(start) => path.starts_with(start),
                None => path == value,
            }
        };
        let any = |list: &Value| list.as_array().map(|list| list.iter().any(value));
        let Some(operations) = rule["to"].as_array() else {
            return true;
        };
        operations.iter().any(|to| {
            let operation = &to["operation"];
            any(&operation["paths"]) != Some(false) && any(&operation["notPaths"]) != Some(true)
        })
    }

    fn values() -> impl Strategy<Value = Vec<String>> {
        let value = (select(STARTS), any::<bool>()).prop_map(|(start, under)| {
            let end = if under { "*" } else { "" };
            format!("{start}{end}")
        });
        proptest::collection::vec(value, 0..3)
    }

    proptest! {
        #![proptest_config(cases(256))]

        #[test]
        fn what_comes_out_is_matched_as_what_goes_in(
            entries in proptest::collection::vec((select(STARTS), proptest::option::of(select(STARTS))), 0..4),
            last in any::<bool>(),
            paths in values(),
            not_paths in values(),
        ) {
            prop_assume!(!paths.is_empty() || !not_paths.is_empty());
            let mut all: Vec<Entry> = entries.iter().map(|(start, by)| entry(Some(*start), *by)).collect();
            if last {
                all.push(entry(None, None));
            }
            let table = Table { entries: all, authorities: Vec::new() };
            let mut operation = serde_json::Map::new();
            for (field, values) in [("paths", &paths), ("notPaths", &not_paths)] {
                if !values.is_empty() {
                    operation.insert(field.to_owned(), json!(values));
                }
            }
            let rule = json!({"to": [{"operation": operation}]});
            let tables = [(80, table)];
            let Ok(said) = pulled_back(&rule, &tables) else {
                return Ok(());
            };
            for path in PATHS {
                let request = Request { path: Some((*path).to_owned()), ..Request::default() };
                let Ok(Some(entry)) = tables[0].1.entry(&request) else {
                    continue;
                };
                let arrived = rewrite(entry).unwrap().apply(path).unwrap();
                let wanted = matches(&rule, &arrived);
                let found = said.as_ref().is_some_and(|rule| matches(rule, path));
                prop_assert_eq!(found, wanted, "{} becomes {}: {:?}", path, arrived, said);
            }
        }
    }
}
