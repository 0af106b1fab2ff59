//! `check` as SARIF 2.1.0, for code scanning.
//!
//! A finding that stays keeps its fingerprint: it is made of the check, the namespace, the object and
//! the field without the positions in lists, so that neither a line further down nor another word in
//! the message makes a new alert of it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::history_screen::not_over;
use super::text::put;
use crate::checks::page::Page;
use crate::checks::{Meta, Severity, by_id};
use crate::inventory::Place;
use crate::report::{CheckReport, FindingEntry, NotRunKind};

/// Where the sources are.
const HOME: &str = env!("CARGO_PKG_REPOSITORY");

pub(super) fn render(report: &CheckReport) -> String {
    let rules = rules(report);
    let index: BTreeMap<&str, usize> = rules
        .iter()
        .enumerate()
        .map(|(position, meta)| (meta.id.0, position))
        .collect();
    let mut driver = json!({
        "name": "kubectl-ambient",
        "informationUri": HOME,
        "rules": rules.iter().map(|meta| rule(meta)).collect::<Vec<_>>(),
    });
    let mut invocation = json!({
        "executionSuccessful": !report.not_run.iter().any(|entry| entry.reason == NotRunKind::Unreadable)
            && report.unread.is_empty(),
        "toolExecutionNotifications": notifications(report, &index),
    });
    if let Some(header) = &report.metadata {
        driver["semanticVersion"] = header.client_version.into();
        invocation["endTimeUtc"] = header.generated_at.as_str().into();
    }
    super::json::render(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": driver },
            "automationDetails": { "id": "kubectl-ambient/check/" },
            "columnKind": "unicodeCodePoints",
            "invocations": [invocation],
            "results": results(report, &index),
        }],
    }))
}

/// The checks that something is said about, by id.
fn rules(report: &CheckReport) -> Vec<&'static Meta> {
    let found = report.findings.iter().map(|finding| finding.id);
    let ignored = report.ignored.iter().map(|entry| entry.finding.id);
    let not_run = report.not_run.iter().map(|entry| entry.id);
    let mut ids: Vec<&str> = found.chain(ignored).chain(not_run).collect();
    ids.sort_unstable();
    ids.dedup();
    ids.into_iter()
        .filter_map(|id| by_id(id).map(crate::checks::Check::meta))
        .collect()
}

fn rule(meta: &Meta) -> Value {
    let title = Page::parse(meta.page).map_or(meta.slug, |page| page.title);
    // The examples are the test of the check; they are ten times as long as what is said.
    let told = meta.page.split("## Examples").next().unwrap_or_default();
    let told = told.trim_end();
    json!({
        "id": meta.id.0,
        "name": meta.slug,
        "shortDescription": { "text": title },
        "help": { "text": format!("kubectl ambient explain {}", meta.id), "markdown": told },
        "helpUri": format!("{HOME}/blob/main/docs/checks/{}.md", meta.id.0.to_ascii_lowercase()),
        "defaultConfiguration": { "level": level(meta.highest) },
        "properties": { "tags": ["istio", "ambient", meta.area.name()] },
    })
}

const fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Blocking => "error",
        Severity::Change | Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// What was not run, what could not be read, and what is under way: SARIF has no result for those.
fn notifications(report: &CheckReport, index: &BTreeMap<&str, usize>) -> Vec<Value> {
    let not_run = report.not_run.iter().map(|entry| {
        let level = match entry.reason {
            NotRunKind::Unreadable => "warning",
            NotRunKind::Absent => "note",
        };
        let text = format!(
            "{} not run ({}): {}",
            entry.id,
            entry.reason.name(),
            entry.detail
        );
        json!({
            "level": level,
            "message": { "text": message(&text) },
            "associatedRule": { "id": entry.id, "index": index.get(entry.id) },
        })
    });
    let unread = report.unread.iter().map(|entry| {
        let what = entry.place.as_ref().unwrap_or(&entry.what);
        let text = format!("could not be read: {what}: {}", entry.reason);
        json!({ "level": "error", "message": { "text": message(&text) } })
    });
    let open = report.open_runs.iter().map(|run| {
        let text = format!("{}\nnext: {}", not_over(run), run.next.join("\nnext: "));
        json!({ "level": "warning", "message": { "text": message(&text) } })
    });
    not_run.chain(unread).chain(open).collect()
}

fn results(report: &CheckReport, index: &BTreeMap<&str, usize>) -> Vec<Value> {
    let found = report.findings.iter().map(|finding| (finding, None));
    let ignored = report
        .ignored
        .iter()
        .map(|entry| (&entry.finding, Some(entry.reason.as_str())));
    let all: Vec<(&FindingEntry, Option<&str>)> = found.chain(ignored).collect();
    let fingerprints = fingerprints(all.iter().map(|(finding, _)| *finding));
    all.into_iter()
        .zip(fingerprints)
        .map(|((finding, reason), fingerprint)| result(finding, reason, index, &fingerprint))
        .collect()
}

fn result(
    finding: &FindingEntry,
    ignored: Option<&str>,
    index: &BTreeMap<&str, usize>,
    fingerprint: &str,
) -> Value {
    let mut text = finding.typed();
    if !finding.field.is_empty() {
        put!(text, " {}", finding.field);
    }
    put!(text, ": {}", finding.message);
    if let Some(remedy) = &finding.remedy {
        let word = if remedy.by == "move" { "move" } else { "fix" };
        put!(text, "\n{word}: {}", remedy.text);
        if let Some(command) = &remedy.command {
            put!(text, "\n$ {command}");
        }
    }
    let mut location = json!({
        "logicalLocations": [{
            "name": finding.object,
            "fullyQualifiedName": finding.typed(),
            "kind": "resource",
        }],
    });
    if let Some(place) = finding.place.as_ref().and_then(physical) {
        location["physicalLocation"] = place;
    }
    let mut result = json!({
        "ruleId": finding.id,
        "ruleIndex": index.get(finding.id),
        "level": level(finding.severity),
        "message": { "text": message(&text) },
        "locations": [location],
        "partialFingerprints": {
            "kubectlAmbient/v1": fingerprint,
            // The one that GitHub tells alerts by.
            "primaryLocationLineHash": fingerprint,
        },
        "properties": { "severity": finding.severity, "namespace": finding.namespace },
    });
    if let Some(reason) = ignored {
        result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
    }
    result
}

/// A place in a file; standard input has none that anybody could open.
fn physical(place: &Place) -> Option<Value> {
    (place.file != "-").then(|| {
        json!({
            "artifactLocation": { "uri": uri(&place.file) },
            "region": { "startLine": place.line, "startColumn": place.column },
        })
    })
}

/// A path as a reference: relative ones stay so, and stand for a path from the repository's root.
fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let mut out = String::new();
    if path.starts_with('/') {
        out.push_str("file://");
    }
    for byte in path.trim_start_matches("./").bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            put!(out, "%{byte:02X}");
        }
    }
    out
}

/// A message in plain text: SARIF takes braces for places to be filled.
fn message(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// A fingerprint each; findings that are about the same are counted.
fn fingerprints<'a>(findings: impl Iterator<Item = &'a FindingEntry>) -> Vec<String> {
    let mut seen: BTreeMap<u64, usize> = BTreeMap::new();
    findings
        .map(|finding| {
            let hash = fingerprint(finding);
            let times = seen.entry(hash).or_default();
            *times += 1;
            format!("{hash:016x}:{times}")
        })
        .collect()
}

/// FNV-1a over what a finding is about. Written out because it must never change.
fn fingerprint(finding: &FindingEntry) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let field = without_positions(&finding.field);
    let namespace = finding.namespace.as_deref().unwrap_or_default();
    let parts = [finding.id, namespace, &finding.typed(), &field];
    parts.join("\n").bytes().fold(BASIS, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

/// `spec.rules[3].from[0]` as `spec.rules[].from[]`: a rule put before others moves them.
fn without_positions(field: &str) -> String {
    let mut out = String::with_capacity(field.len());
    let mut rest = field;
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        out.push('[');
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Name;

    fn finding(field: &str, message: &str) -> FindingEntry {
        FindingEntry {
            id: "AMB301",
            slug: "allow-with-l7-fields",
            area: "policy",
            severity: Severity::Change,
            namespace: Some(Name::from("shop")),
            object: "AuthorizationPolicy/cart".to_owned(),
            object_namespace: Some(Name::from("shop")),
            field: field.to_owned(),
            place: Some(Place::new("mesh/a b.yaml", 7, 3)),
            message: message.to_owned(),
            remedy: None,
        }
    }

    #[test]
    fn a_fingerprint_outlives_other_lines_and_other_words() {
        let one = finding("spec.rules[0].to", "uses methods");
        let mut other = finding("spec.rules[12].to", "uses paths");
        other.place = None;
        assert_eq!(fingerprint(&one), fingerprint(&other));
        // Alerts that exist were opened with it.
        assert_eq!(fingerprint(&one), 0x1085_e860_49a1_5183);
        assert_ne!(
            fingerprint(&one),
            fingerprint(&finding("spec.rules[0].from", ""))
        );
    }

    #[test]
    fn findings_alike_are_counted() {
        let found = [finding("spec.rules[0]", "a"), finding("spec.rules[1]", "b")];
        let prints = fingerprints(found.iter());
        assert!(prints[0].ends_with(":1") && prints[1].ends_with(":2"));
        assert_eq!(prints[0][..16], prints[1][..16]);
    }

    #[test]
    fn paths_are_references() {
        for (path, expected) in [
            ("./mesh/a b.yaml", "mesh/a%20b.yaml"),
            ("/srv/mesh.yaml", "file:///srv/mesh.yaml"),
            ("mesh\\routes.yaml", "mesh/routes.yaml"),
            ("ä#?.yaml", "%C3%A4%23%3F.yaml"),
        ] {
            assert_eq!(uri(path), expected);
        }
        assert_eq!(physical(&Place::new("-", 1, 1)), None);
    }

    #[test]
    fn braces_are_text() {
        assert_eq!(message("a{2}"), "a{{2}}");
    }
}
