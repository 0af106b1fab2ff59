//! The screen of `check`.

use super::text::{Style, Tone, plural, put, unread, visible};
use crate::checks::Severity;
use crate::report::{CheckReport, FindingEntry, NamespaceEntry, NotRunKind, WaypointSummary};

/// Namespaces of which the findings are shown one below the other; of more, only the verdicts and
/// the findings once.
pub(super) fn render(report: &CheckReport, style: &Style, wide: bool) -> String {
    let mut out = String::new();
    let shared: Vec<&FindingEntry> = report
        .findings
        .iter()
        .filter(|finding| finding.namespace.is_none())
        .collect();
    let several = report.namespaces.len() > 1;
    if several && !shared.is_empty() {
        out.push_str(&style.paint(Tone::Strong, "Every namespace"));
        out.push('\n');
        findings(&mut out, shared.iter().copied(), style, wide);
        out.push('\n');
    }
    for entry in &report.namespaces {
        heading(&mut out, report, entry, style);
        let own = report
            .findings
            .iter()
            .filter(|finding| match &finding.namespace {
                Some(name) => *name == entry.name,
                None => !several,
            });
        findings(&mut out, own, style, wide);
        waypoint(&mut out, &entry.waypoint, style);
        out.push('\n');
    }
    not_run(&mut out, report, style);
    ignored(&mut out, report, style);
    let missing = unread(style, &report.unread);
    if !missing.is_empty() {
        out.push_str(missing.trim_start());
        out.push('\n');
    }
    closing(&mut out, report, style);
    super::history_screen::open(&mut out, &report.open_runs, style);
    out
}

fn heading(out: &mut String, report: &CheckReport, entry: &NamespaceEntry, style: &Style) {
    let dot = style.dot();
    let mut parts = vec![style.paint(
        Tone::Strong,
        &format!("Namespace {}", visible(&entry.name, false)),
    )];
    parts.extend(
        entry
            .workloads
            .map(|workloads| plural(workloads, "workload", "workloads")),
    );
    parts.extend(entry.pods.map(|pods| plural(pods, "pod", "pods")));
    parts.extend(
        report
            .istio_version
            .as_ref()
            .map(|version| format!("Istio {version}")),
    );
    parts.extend(
        report
            .metadata
            .as_ref()
            .and_then(|header| header.context.as_ref())
            .map(|context| format!("context {context}")),
    );
    out.push_str(&parts.join(&format!(" {dot} ")));
    out.push('\n');
    let counts = counts(report, &entry.name);
    out.push_str(&format_line(
        &style.verdict(entry.verdict),
        style.dash(),
        &counts,
    ));
}

fn format_line(verdict: &str, dash: &str, counts: &str) -> String {
    if counts.is_empty() {
        format!("{verdict}\n")
    } else {
        format!("{verdict} {dash} {counts}\n")
    }
}

fn counts(report: &CheckReport, namespace: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for severity in Severity::ALL {
        let count = report.count(severity, namespace);
        if count > 0 {
            let many = match severity {
                Severity::Blocking => "blocking",
                Severity::Change => "changes",
                Severity::Warning => "warnings",
                Severity::Info => "notes",
            };
            let one = if severity == Severity::Info {
                "note"
            } else {
                severity.name()
            };
            parts.push(plural(count, one, many));
        }
    }
    parts.push(format!("{} passed", report.passed.len()));
    if !report.not_run.is_empty() {
        parts.push(format!("{} not run", report.not_run.len()));
    }
    parts.join(", ")
}

fn findings<'a>(
    out: &mut String,
    findings: impl Iterator<Item = &'a FindingEntry>,
    style: &Style,
    wide: bool,
) {
    let mut area = "";
    for finding in findings {
        if finding.area != area {
            area = finding.area;
            out.push('\n');
            out.push_str(&style.paint(Tone::Strong, area));
            out.push('\n');
        }
        one(out, finding, style, wide);
    }
}

fn one(out: &mut String, finding: &FindingEntry, style: &Style, wide: bool) {
    const INDENT: usize = 12;
    let namespace = match (&finding.object_namespace, &finding.namespace) {
        (Some(object), Some(judged)) if object == judged && !wide => String::new(),
        (Some(object), _) => format!(" -n {object}"),
        (None, _) => String::new(),
    };
    let glyph = style.severity(finding.severity.name());
    let named = format!("{}{namespace}", finding.object);
    let object = style.paint(Tone::Strong, &visible(&named, false));
    let field = style.paint(Tone::Faint, &visible(&finding.field, false));
    let space = if finding.field.is_empty() { "" } else { "  " };
    let severity = if wide {
        format!("{}  ", finding.severity)
    } else {
        String::new()
    };
    put!(
        out,
        "  {glyph} {}  {severity}{object}{space}{field}\n",
        finding.id
    );
    out.push_str(&style.wrap(INDENT, &visible(&finding.message, false)));
    if let Some(place) = &finding.place {
        out.push_str(&style.wrap(INDENT, &visible(&format!("at {place}"), false)));
    }
    if let Some(remedy) = &finding.remedy {
        let word = if remedy.by == "move" { "move" } else { "fix" };
        let label = format!("{}{word}: ", " ".repeat(INDENT));
        out.push_str(&style.hang(
            &label,
            INDENT + word.len() + 2,
            &visible(&remedy.text, false),
        ));
        if let Some(command) = &remedy.command {
            put!(out, "{}$ {}\n", " ".repeat(INDENT), visible(command, false));
        }
    }
}

fn waypoint(out: &mut String, waypoint: &WaypointSummary, style: &Style) {
    let named: Vec<String> = waypoint
        .services
        .iter()
        .map(|service| format!("{} ({})", service.name, service.features.join(", ")))
        .collect();
    let what = match waypoint.placement {
        "unknown" => {
            "not known whether one is needed: not all that decides it could be read".to_owned()
        }
        "none" => "none is needed; ztunnel alone does what is in use".to_owned(),
        "service" => format!("one, for {}", named.join(", ")),
        "shared" => format!(
            "{} is shared; for {}",
            waypoint.shared.as_deref().unwrap_or_default(),
            named.join(", ")
        ),
        _ => format!("one for the namespace, for {}", named.join(", ")),
    };
    let pods = if waypoint.traffic == "all" {
        "; it must take traffic to pods as well"
    } else {
        ""
    };
    let more = if waypoint.complete || named.is_empty() {
        ""
    } else {
        "; others may need it too, for not all that decides it could be read"
    };
    out.push('\n');
    out.push_str(&style.hang("waypoint  ", 10, &format!("{what}{pods}{more}")));
}

fn not_run(out: &mut String, report: &CheckReport, style: &Style) {
    if report.not_run.is_empty() {
        return;
    }
    out.push_str(&style.paint(Tone::Strong, "not run"));
    out.push('\n');
    let dash = style.dash();
    // Checks with the same reason share a line: a missing right is said once.
    let mut shown: Vec<(&str, NotRunKind, Vec<&str>)> = Vec::new();
    for entry in &report.not_run {
        match shown
            .iter_mut()
            .find(|(detail, kind, _)| *detail == entry.detail && *kind == entry.reason)
        {
            Some((_, _, ids)) => ids.push(entry.id),
            None => shown.push((&entry.detail, entry.reason, vec![entry.id])),
        }
    }
    for (detail, kind, ids) in shown {
        let line = format!("{} ({}): {detail}", ids.join(", "), kind.name());
        out.push_str(&style.hang(&format!("  {dash} "), 4, &line));
    }
    out.push('\n');
}

fn ignored(out: &mut String, report: &CheckReport, style: &Style) {
    if report.ignored.is_empty() && report.unused_ignores.is_empty() {
        return;
    }
    out.push_str(&style.paint(Tone::Strong, "ignored"));
    out.push('\n');
    for entry in &report.ignored {
        let finding = &entry.finding;
        let line = format!("{} {}: {}", finding.id, finding.object, entry.reason);
        out.push_str(&style.hang("  - ", 4, &line));
    }
    for id in &report.unused_ignores {
        put!(
            out,
            "  - {id}: covers no finding; this ignore is not needed\n"
        );
    }
    out.push('\n');
}

fn closing(out: &mut String, report: &CheckReport, style: &Style) {
    let program = &style.program;
    for entry in &report.namespaces {
        put!(
            out,
            "{}: {}\n",
            visible(&entry.name, false),
            style.verdict(entry.verdict)
        );
    }
    if report.namespaces.is_empty() {
        out.push_str("no namespace was judged: none in the input has sidecars; -n names one to judge all the same\n");
    }
    let lightness = |finding: &&FindingEntry| std::cmp::Reverse(finding.severity);
    if let Some(finding) = report.findings.iter().min_by_key(lightness) {
        put!(out, "explain a finding: {program} explain {}\n", finding.id);
    }
}
