//! `check` as a comment for a pull request.

use super::history_screen::not_over;
use super::markdown::{cell, escaped};
use super::text::{plural, put};
use crate::checks::Severity;
use crate::report::{CheckReport, FindingEntry};

pub(super) fn render(report: &CheckReport) -> String {
    let mut out = String::from("## Ready for ambient mode?\n\n");
    namespaces(&mut out, report);
    open_runs(&mut out, report);
    findings(&mut out, report);
    not_run(&mut out, report);
    ignored(&mut out, report);
    for entry in &report.unread {
        let place = entry.place.as_ref().unwrap_or(&entry.what);
        put!(
            out,
            "\n- could not be read: {}: {}\n",
            escaped(place),
            escaped(&entry.reason)
        );
    }
    out
}

fn namespaces(out: &mut String, report: &CheckReport) {
    if report.namespaces.is_empty() {
        out.push_str("No namespace was judged: none in the input has sidecars.\n");
        return;
    }
    out.push_str("| namespace | verdict | blocking | changes | warnings | notes | waypoint |\n");
    out.push_str("|---|---|---|---|---|---|---|\n");
    for entry in &report.namespaces {
        put!(out, "| {} | **{}**", cell(&entry.name), entry.verdict);
        for severity in Severity::ALL {
            put!(out, " | {}", report.count(severity, &entry.name));
        }
        put!(out, " | {} |\n", entry.waypoint.placement);
    }
    put!(
        out,
        "\n{} passed, {} not run.\n",
        plural(report.passed.len(), "check", "checks"),
        report.not_run.len()
    );
}

/// Runs that are not over: what is found may be theirs.
fn open_runs(out: &mut String, report: &CheckReport) {
    for run in &report.open_runs {
        put!(out, "\n> {}\n", escaped(&not_over(run)));
        for command in &run.next {
            put!(out, "> - {}\n", escaped(command));
        }
    }
}

fn findings(out: &mut String, report: &CheckReport) {
    let mut area = "";
    for finding in &report.findings {
        if finding.area != area {
            area = finding.area;
            put!(out, "\n### {area}\n\n");
            out.push_str("| severity | check | object | what | answer |\n|---|---|---|---|---|\n");
        }
        let mut object = cell(&finding.typed());
        if !finding.field.is_empty() {
            put!(object, "<br>{}", cell(&finding.field));
        }
        if let Some(place) = &finding.place {
            put!(object, "<br>{}", cell(&place.to_string()));
        }
        put!(
            out,
            "| {} | {} {} | {object} | {} | {} |\n",
            finding.severity,
            finding.id,
            finding.slug,
            cell(&finding.message),
            answer(finding)
        );
    }
}

/// What answers a finding, and by whom it is done.
fn answer(finding: &FindingEntry) -> String {
    let Some(remedy) = &finding.remedy else {
        return String::new();
    };
    let who = if remedy.by == "move" { "move" } else { "fix" };
    let mut text = format!("{who}: {}", cell(&remedy.text));
    if let Some(command) = &remedy.command {
        put!(text, "<br>{}", cell(command));
    }
    text
}

fn not_run(out: &mut String, report: &CheckReport) {
    if report.not_run.is_empty() {
        return;
    }
    out.push_str("\n### not run\n\n");
    for entry in &report.not_run {
        put!(
            out,
            "- {} {} ({}): {}\n",
            entry.id,
            entry.slug,
            entry.reason.name(),
            escaped(&entry.detail)
        );
    }
}

fn ignored(out: &mut String, report: &CheckReport) {
    if report.ignored.is_empty() && report.unused_ignores.is_empty() {
        return;
    }
    out.push_str("\n### ignored\n\n");
    for entry in &report.ignored {
        put!(
            out,
            "- {} {}: {}\n",
            entry.finding.id,
            escaped(&entry.finding.typed()),
            escaped(&entry.reason)
        );
    }
    for id in &report.unused_ignores {
        put!(out, "- {}: covers no finding\n", escaped(id));
    }
}
