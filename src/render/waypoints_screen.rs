//! The screens of `waypoint list`, `status`, `apply` and `delete`.

use super::text::{Style, Tone, plural, put, visible};
use crate::kinds::Name;
use crate::report::waypoint::{
    MissingEntry, StandingEntry, WaypointChanges, WaypointEntry, WaypointList, WaypointStatus,
};

pub(super) fn list(report: &WaypointList, style: &Style, wide: bool) -> String {
    let entries: Vec<&WaypointEntry> = report.waypoints.iter().collect();
    let mut out = table(&entries, report.namespace.as_ref(), style, wide);
    out.push_str(&missing(style, &report.unread));
    out
}

fn table(
    entries: &[&WaypointEntry],
    namespace: Option<&Name>,
    style: &Style,
    wide: bool,
) -> String {
    if entries.is_empty() {
        return match namespace {
            Some(namespace) => format!("no waypoint in namespace {namespace}\n"),
            None => "no waypoint in any namespace\n".to_owned(),
        };
    }
    let mut headers = Vec::new();
    if namespace.is_none() {
        headers.push("NAMESPACE");
    }
    headers.extend(["NAME", "REVISION", "TRAFFIC", "PROGRAMMED", "READY"]);
    if wide {
        headers.push("WHY NOT");
    }
    let rows = entries.iter().map(|entry| {
        let mut row = Vec::new();
        if namespace.is_none() {
            row.push(entry.namespace.to_string());
        }
        let programmed = match entry.programmed {
            Some(true) => "True",
            Some(false) => "False",
            None => "Unknown",
        };
        row.extend([
            entry.name.to_string(),
            visible(&entry.revision, false).into_owned(),
            entry.traffic.to_owned(),
            programmed.to_owned(),
            if entry.lacks.is_none() { "yes" } else { "no" }.to_owned(),
        ]);
        if wide {
            let lacks = entry.lacks.as_deref().unwrap_or("<none>");
            row.push(visible(lacks, false).into_owned());
        }
        row
    });
    style.table(&headers, rows.collect())
}

pub(super) fn status(report: &WaypointStatus, style: &Style) -> String {
    let mut out = String::new();
    for entry in &report.waypoints {
        if !out.is_empty() {
            out.push('\n');
        }
        standing(&mut out, entry, style);
    }
    if report.waypoints.is_empty() {
        out = table(&[], report.namespace.as_ref(), style, false);
    }
    out.push_str(&missing(style, &report.unread));
    out
}

fn standing(out: &mut String, entry: &StandingEntry, style: &Style) {
    let waypoint = &entry.waypoint;
    let title = format!("Gateway/{} -n {}", waypoint.name, waypoint.namespace);
    out.push_str(&style.paint(Tone::Strong, &title));
    let ready = match &waypoint.lacks {
        None => "ready".to_owned(),
        Some(lacks) => format!("not ready: {}", visible(lacks, false)),
    };
    put!(out, " {} {ready}\n\n", style.dash());
    let replicas = entry.replicas.map_or_else(
        || "no Deployment".to_owned(),
        |replicas| format!("{} of {} ready", replicas.ready, replicas.wanted),
    );
    put!(out, "traffic    {}\n", waypoint.traffic);
    put!(out, "revision   {}\n", visible(&waypoint.revision, false));
    put!(out, "replicas   {replicas}\n");
    let lines = entry.bound.iter().map(|user| match user.unbound {
        None => user.shown.clone(),
        Some(why) => format!("{}: without effect, {why}", user.shown),
    });
    section(out, style, "bound", "nobody", lines.collect());
    let lines = entry.enforced.iter().map(|enforced| {
        let refused = enforced.refused.as_deref().map(|why| visible(why, false));
        let refused = refused.map(|why| format!("; not accepted: {why}"));
        format!(
            "{} for {}{}",
            enforced.shown,
            enforced.target_shown,
            refused.unwrap_or_default()
        )
    });
    section(out, style, "enforces", "nothing", lines.collect());
}

fn section(out: &mut String, style: &Style, title: &str, none: &str, lines: Vec<String>) {
    if lines.is_empty() {
        put!(out, "{title:<10} {none}\n");
        return;
    }
    put!(out, "{title}\n");
    for line in lines {
        out.push_str(&style.hang("  - ", 4, &line));
    }
}

pub(super) fn changes(report: &WaypointChanges) -> String {
    let mut out = String::new();
    let judged = if report.dry_run {
        " (server dry run)"
    } else {
        ""
    };
    for change in &report.changes {
        put!(out, "{} {}{judged}\n", change.shown, change.change);
    }
    if report.ready == Some(true) {
        out.push_str("the waypoint is ready\n");
    }
    if report.changes.is_empty() {
        put!(out, "{}\n", plural(0, "change", "changes"));
    }
    out
}

fn missing(style: &Style, entries: &[MissingEntry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut out = format!("\n{}\n", style.paint(Tone::Strong, "could not be read"));
    for entry in entries {
        let line = format!("{}: {}", entry.what, visible(&entry.reason, false));
        out.push_str(&style.hang("  - ", 4, &line));
    }
    out
}
