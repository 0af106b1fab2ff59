//! The screen of `status`.

use super::text::{Style, plural, put, unread};
use crate::report::StatusReport;

pub(super) fn render(report: &StatusReport, style: &Style, wide: bool) -> String {
    let number = |count: Option<usize>| count.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let rows: Vec<Vec<String>> = report
        .namespaces
        .iter()
        .map(|entry| {
            let waypoints = if entry.waypoints.is_empty() {
                "<none>".to_owned()
            } else {
                entry.waypoints.join(",")
            };
            let mut row = vec![
                entry.name.to_string(),
                entry.mode.to_owned(),
                number(entry.workloads),
                number(entry.pods),
                number(entry.sidecars),
                number(entry.ambient),
                waypoints,
            ];
            if wide {
                row.push(if entry.labels.is_empty() {
                    "<none>".to_owned()
                } else {
                    entry.labels.clone()
                });
            }
            row
        })
        .collect();
    let mut headers = vec![
        "NAMESPACE",
        "MODE",
        "WORKLOADS",
        "PODS",
        "SIDECARS",
        "AMBIENT",
        "WAYPOINT",
    ];
    if wide {
        headers.push("LABELS");
    }
    let mut out = if rows.is_empty() {
        "no namespace in the input\n".to_owned()
    } else {
        style.table(&headers, rows)
    };
    let mixed: Vec<&str> = report
        .namespaces
        .iter()
        .filter(|n| n.mixed)
        .map(|n| n.name.as_ref())
        .collect();
    if !mixed.is_empty() {
        let count = plural(mixed.len(), "namespace is", "namespaces are");
        put!(
            out,
            "\n{count} between the two data planes: {}\n",
            mixed.join(", ")
        );
    }
    super::history_screen::open(&mut out, &report.open_runs, style);
    out.push_str(&unread(style, &report.unread));
    out
}
