//! `check` as JUnit XML: a suite an area, a case for each check and namespace.
//!
//! A case is red exactly when it is a reason for an exit code other than 0: a finding at or above
//! `--fail-on` is a failure, an undecided verdict an error. What was not run is skipped.

use super::history_screen::not_over;
use super::text::{put, visible};
use crate::checks::{Verdict, by_id};
use crate::report::{CheckReport, FindingEntry};

/// The outcome of a case.
enum Outcome {
    Passed(String),
    Skipped(String),
    Failed(String),
    Undecided(String),
}

struct Case {
    suite: &'static str,
    name: String,
    outcome: Outcome,
}

pub(super) fn render(report: &CheckReport) -> String {
    let mut cases = verdicts(report);
    for id in ids(report) {
        checked(&mut cases, report, id);
    }
    let mut suites: Vec<&'static str> = Vec::new();
    for case in &cases {
        if !suites.contains(&case.suite) {
            suites.push(case.suite);
        }
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    put!(
        out,
        "<testsuites name=\"kubectl-ambient check\"{}>\n",
        counts(cases.iter())
    );
    for suite in suites {
        let own = || cases.iter().filter(|case| case.suite == suite);
        put!(out, "  <testsuite name=\"{suite}\"{}>\n", counts(own()));
        for case in own() {
            written(&mut out, case);
        }
        out.push_str("  </testsuite>\n");
    }
    out.push_str("</testsuites>\n");
    out
}

/// The checks that were asked for, sorted.
fn ids(report: &CheckReport) -> Vec<&str> {
    let mut ids: Vec<&str> = report.passed.iter().map(String::as_str).collect();
    ids.extend(report.findings.iter().map(|finding| finding.id));
    ids.extend(report.ignored.iter().map(|entry| entry.finding.id));
    ids.extend(report.not_run.iter().map(|entry| entry.id));
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// A case for the verdict of each namespace, and one for each run that is not over: that is no reason for
/// an exit code other than 0.
fn verdicts(report: &CheckReport) -> Vec<Case> {
    let case = |name: &str, outcome| Case {
        suite: "verdict",
        name: name.to_owned(),
        outcome,
    };
    let mut cases: Vec<Case> = report
        .namespaces
        .iter()
        .map(|entry| {
            let said = entry.verdict.to_owned();
            let outcome = if entry.verdict == Verdict::Undecided.name() {
                Outcome::Undecided("undecided: not everything could be looked at".to_owned())
            } else {
                Outcome::Passed(said)
            };
            case(&entry.name, outcome)
        })
        .collect();
    let judged = cases.len();
    cases.extend(report.open_runs.iter().map(|run| {
        let next = run.next.join("\n");
        let said = format!("{}\n{next}\n", not_over(run));
        case(
            &format!("run {} -n {}", run.run, run.namespace),
            Outcome::Passed(said),
        )
    }));
    if judged == 0 {
        let why = "no namespace was judged: none in the input has sidecars";
        cases.push(case("namespaces", Outcome::Undecided(why.to_owned())));
    }
    cases
}

/// The cases of a check: one for each namespace, or one where it was not run.
fn checked(cases: &mut Vec<Case>, report: &CheckReport, id: &str) {
    let Some(meta) = by_id(id).map(crate::checks::Check::meta) else {
        return;
    };
    let suite = meta.area.name();
    let name = format!("{id} {}", meta.slug);
    if let Some(entry) = report.not_run.iter().find(|entry| entry.id == id) {
        let why = format!("{}: {}", entry.reason.name(), entry.detail);
        cases.push(Case {
            suite,
            name,
            outcome: Outcome::Skipped(why),
        });
        return;
    }
    for entry in &report.namespaces {
        let found: Vec<&FindingEntry> = report
            .concerning(&entry.name)
            .filter(|finding| finding.id == id)
            .collect();
        let text: String = found.iter().map(|finding| told(finding)).collect();
        let outcome = if found.iter().any(|finding| report.fails(finding)) {
            Outcome::Failed(text)
        } else {
            Outcome::Passed(text)
        };
        cases.push(Case {
            suite,
            name: format!("{name} -n {}", entry.name),
            outcome,
        });
    }
}

/// A finding in a line, with what answers it below.
fn told(finding: &FindingEntry) -> String {
    let mut text = format!("{}: {}", finding.severity, finding.typed());
    if !finding.field.is_empty() {
        put!(text, " {}", finding.field);
    }
    put!(text, ": {}\n", finding.message);
    if let Some(place) = &finding.place {
        put!(text, "at {place}\n");
    }
    if let Some(remedy) = &finding.remedy {
        let word = if remedy.by == "move" { "move" } else { "fix" };
        put!(text, "{word}: {}\n", remedy.text);
        if let Some(command) = &remedy.command {
            put!(text, "$ {command}\n");
        }
    }
    text
}

fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for case in cases {
        tests += 1;
        match case.outcome {
            Outcome::Passed(_) => {}
            Outcome::Skipped(_) => skipped += 1,
            Outcome::Failed(_) => failures += 1,
            Outcome::Undecided(_) => errors += 1,
        }
    }
    format!(" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

fn written(out: &mut String, case: &Case) {
    put!(
        out,
        "    <testcase classname=\"{}\" name=\"{}\"",
        case.suite,
        escaped(&case.name)
    );
    let first = |text: &str| escaped(text.lines().next().unwrap_or_default());
    let inner = match &case.outcome {
        Outcome::Passed(text) if text.is_empty() => {
            out.push_str("/>\n");
            return;
        }
        Outcome::Passed(text) => format!("<system-out>{}</system-out>", escaped(text)),
        Outcome::Skipped(text) => format!("<skipped message=\"{}\"/>", first(text)),
        Outcome::Failed(text) => format!(
            "<failure message=\"{}\">{}</failure>",
            first(text),
            escaped(text)
        ),
        Outcome::Undecided(text) => format!("<error message=\"{}\"/>", first(text)),
    };
    put!(out, ">\n      {inner}\n    </testcase>\n");
}

/// Text in an element or an attribute; what XML cannot hold is written out.
fn escaped(text: &str) -> String {
    visible(text, true)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_objects_stays_text() {
        assert_eq!(
            escaped("<a b=\"c\"> & \u{0}"),
            "&lt;a b=&quot;c&quot;&gt; &amp; \\u{0}"
        );
    }
}
