//! `convert` as a comment for a pull request.

use super::convert_screen::compared;
use super::diff::unified;
use super::markdown::{cell, escaped, fence};
use super::text::{Style, plural, put, visible};
use crate::report::Conversion;
use crate::report::convert::{ChangeEntry, RemarkEntry};

pub(super) fn render(report: &Conversion, _style: &Style) -> String {
    let mut out = String::from("## Ambient mode\n\n");
    put!(out, "{}\n", summary(report));
    if !report.objects.is_empty() {
        out.push_str("\n| object | becomes | fidelity | why |\n|---|---|---|---|\n");
    }
    for entry in &report.objects {
        let namespace = entry.namespace.as_ref().map(|n| format!(" -n {n}"));
        let becomes = if entry.becomes.is_empty() {
            entry.itself.to_owned()
        } else {
            entry.becomes.join(", ")
        };
        let why: Vec<String> = entry.remarks.iter().map(reason).collect();
        put!(
            out,
            "| {}{} | {} | {} | {} |\n",
            cell(&entry.object),
            cell(&namespace.unwrap_or_default()),
            cell(&becomes),
            entry.fidelity,
            why.join("<br>")
        );
    }
    obstacles(&mut out, report);
    changes(&mut out, report);
    put!(out, "\n{}\n", escaped(&compared(report)));
    for difference in &report.comparison.differences {
        put!(
            out,
            "\n- {}: {}\n  - before: {}\n  - after: {}\n",
            escaped(&difference.to),
            escaped(&difference.request),
            escaped(&difference.before),
            escaped(&difference.after)
        );
    }
    details(&mut out, report);
    for entry in &report.unread {
        put!(
            out,
            "\n- could not be read: {}: {}\n",
            escaped(entry.place.as_ref().unwrap_or(&entry.what)),
            escaped(&entry.reason)
        );
    }
    out
}

fn summary(report: &Conversion) -> String {
    let objects = plural(report.objects.len(), "object", "objects");
    let changes: usize = report.phases.iter().map(|phase| phase.changes.len()).sum();
    let changes = plural(changes, "change", "changes");
    match report.refusals() {
        0 => format!("{objects} looked at, {changes}, nothing refused."),
        refused => format!("{objects} looked at, {changes}, **{refused} refused**."),
    }
}

fn reason(remark: &RemarkEntry) -> String {
    let accepted = match &remark.accepted {
        Some(reason) => format!(" (accepted: {})", cell(reason)),
        None => String::new(),
    };
    format!(
        "{} {}: {}{accepted}",
        remark.severity,
        remark.id,
        cell(&remark.message)
    )
}

/// What stands in the way.
fn obstacles(out: &mut String, report: &Conversion) {
    if !report.obstacles.is_empty() {
        out.push('\n');
    }
    for obstacle in &report.obstacles {
        let object = obstacle.object.as_deref().unwrap_or_default();
        let accepted = match &obstacle.accepted {
            Some(reason) => format!(" (accepted: {})", escaped(reason)),
            None => String::new(),
        };
        put!(
            out,
            "- {} {}: {}{accepted}\n",
            obstacle.id.as_deref().unwrap_or_default(),
            escaped(object),
            escaped(&obstacle.message)
        );
    }
}

fn changes(out: &mut String, report: &Conversion) {
    for phase in &report.phases {
        put!(out, "\n**{}**\n\n", phase.name);
        for change in &phase.changes {
            put!(out, "- {}\n", changed(change));
        }
        put!(out, "\nThen wait: {}.\n", escaped(phase.wait_for));
    }
}

fn changed(change: &ChangeEntry) -> String {
    let namespace = change.namespace.as_ref().map(|n| format!(" -n {n}"));
    let withheld = match &change.withheld {
        Some(object) => format!(" (withheld because of {})", escaped(object)),
        None => String::new(),
    };
    format!(
        "{} {}{}{withheld}",
        change.action,
        escaped(&change.object),
        escaped(&namespace.unwrap_or_default())
    )
}

/// The diff of every object, folded.
fn details(out: &mut String, report: &Conversion) {
    if report.differences.is_empty() {
        return;
    }
    out.push_str("\n<details><summary>The objects before and after</summary>\n");
    for object in &report.differences {
        let before = object.before.as_deref().unwrap_or_default();
        let after = object.after.as_deref().unwrap_or_default();
        let old = format!("a/{}", object.path);
        let new = format!("b/{}", object.path);
        let text = unified(before, after, &old, &new);
        let text = visible(&text, true);
        let fence = fence(&text);
        put!(out, "\n{fence}diff\n{text}{fence}\n");
    }
    out.push_str("\n</details>\n");
}
