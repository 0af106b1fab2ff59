//! The screen of `waypoint plan`.

use super::text::{Style, Tone, put, unread};
use crate::report::{PlanEntry, ServiceEntry, WaypointPlanReport};

pub(super) fn render(report: &WaypointPlanReport, style: &Style, wide: bool) -> String {
    let mut out = String::new();
    for entry in &report.namespaces {
        if !out.is_empty() {
            out.push('\n');
        }
        namespace(&mut out, entry, style, wide);
    }
    if report.namespaces.is_empty() {
        out.push_str(
            "no namespace in question: none in the input has sidecars; -n names one all the same\n",
        );
    }
    out.push_str(&unread(style, &report.unread));
    out
}

fn verdict(entry: &PlanEntry, service: &ServiceEntry) -> &'static str {
    match (service.needs_waypoint, entry.complete) {
        (true, _) => "needed",
        (false, true) => "ztunnel alone",
        (false, false) => "not known",
    }
}

fn namespace(out: &mut String, entry: &PlanEntry, style: &Style, wide: bool) {
    out.push_str(&style.paint(Tone::Strong, &format!("Namespace {}", entry.name)));
    put!(out, " {} {}\n", style.dash(), entry.conclusion);
    if entry.services.is_empty() {
        return;
    }
    out.push('\n');
    let rows = entry
        .services
        .iter()
        .map(|service| {
            let features = if service.features.is_empty() {
                "none".to_owned()
            } else {
                service.features.join(", ")
            };
            let mut row = vec![
                service.name.to_string(),
                features,
                verdict(entry, service).to_owned(),
            ];
            if wide {
                row.push(
                    service
                        .bound_to
                        .clone()
                        .unwrap_or_else(|| "<none>".to_owned()),
                );
                row.push(if service.headless { "yes" } else { "no" }.to_owned());
            }
            row
        })
        .collect();
    let mut headers = vec!["SERVICE", "L7 FEATURES", "WAYPOINT"];
    if wide {
        headers.extend(["BOUND TO", "HEADLESS"]);
    }
    out.push_str(&style.table(&headers, rows));
    let reasons: Vec<_> = entry
        .services
        .iter()
        .filter(|s| !s.evidence.is_empty())
        .collect();
    if reasons.is_empty() {
        return;
    }
    out.push('\n');
    out.push_str(&style.paint(Tone::Strong, "why"));
    out.push('\n');
    for service in reasons {
        put!(out, "  {}\n", service.name);
        for evidence in &service.evidence {
            let place = evidence
                .place
                .as_ref()
                .map(|p| format!(" ({p})"))
                .unwrap_or_default();
            let gateway = if evidence.needs_waypoint {
                ""
            } else {
                "; no need by itself"
            };
            let line = format!(
                "{}: {} {} {} {}{gateway}{place}",
                evidence.feature,
                evidence.object,
                evidence.field,
                style.dash(),
                evidence.what
            );
            out.push_str(&style.hang("    ", 6, &line));
        }
    }
    if entry.traffic == "all" {
        out.push_str(&style.wrap(
            2,
            "a headless Service is addressed by its pods: the waypoint must be made with `--for all`",
        ));
    }
}
