//! The screen of `convert`.

use std::collections::BTreeMap;

use super::text::{Style, Tone, plural, put, unread, visible};
use crate::checks::Severity;
use crate::report::Conversion;
use crate::report::convert::{
    ChangeEntry, DifferenceEntry, ObjectEntry, PhaseEntry, RemarkEntry, WrittenEntry,
};
use crate::translate::Phase;

/// How many differing requests the screen shows; the wide one shows all that are known.
const SHOWN: usize = 5;

pub(super) fn render(report: &Conversion, style: &Style, wide: bool) -> String {
    let mut out = String::new();
    if report.namespaces.is_empty() {
        out.push_str(
            "no namespace in question: none in the input has sidecars; -n names one all the same\n",
        );
    }
    objects(&mut out, report, style);
    reasons(&mut out, report, style, wide);
    super::plan_screen::obstacles(&mut out, &report.obstacles, style);
    if report.plans.is_empty() {
        phases(&mut out, report, style, wide);
    }
    for plan in &report.plans {
        super::plan_screen::render(&mut out, plan, style, wide);
    }
    out.push('\n');
    comparison(&mut out, report, style, wide);
    accepted(&mut out, report, style);
    if let Some(written) = &report.written {
        files(&mut out, written, style);
    }
    out.push_str(&unread(style, &report.unread));
    closing(&mut out, report, style);
    out
}

/// An object, with its namespace where several are looked at or it is of another one.
fn named(report: &Conversion, object: &str, namespace: Option<&str>) -> String {
    match (namespace, report.namespaces.as_slice()) {
        (None, _) => object.to_owned(),
        (Some(namespace), [only]) if **only == *namespace => object.to_owned(),
        (Some(namespace), _) => format!("{object} -n {namespace}"),
    }
}

fn objects(out: &mut String, report: &Conversion, style: &Style) {
    if report.objects.is_empty() {
        out.push_str("nothing that convert looks at\n");
        return;
    }
    let rows = report.objects.iter().map(|entry| {
        let becomes = if entry.becomes.is_empty() {
            entry.itself.to_owned()
        } else {
            entry.becomes.join("\n")
        };
        let mut ids: Vec<&str> = entry.remarks.iter().map(|remark| remark.id).collect();
        ids.sort_unstable();
        ids.dedup();
        vec![
            named(report, &entry.object, entry.namespace.as_deref()),
            becomes,
            entry.fidelity.to_owned(),
            if ids.is_empty() {
                "-".to_owned()
            } else {
                ids.join(",")
            },
        ]
    });
    out.push_str(&style.table(&["OBJECT", "BECOMES", "FIDELITY", "WHY"], rows.collect()));
}

fn reasons(out: &mut String, report: &Conversion, style: &Style, wide: bool) {
    let told: Vec<&ObjectEntry> = report
        .objects
        .iter()
        .filter(|entry| !entry.remarks.is_empty())
        .collect();
    if told.is_empty() {
        return;
    }
    heading(out, style, "why");
    let said = |entry: &ObjectEntry| -> Vec<_> {
        let remarks = entry.remarks.iter();
        let said = remarks.map(|r| (r.id, r.severity, r.field.clone(), r.message.clone()));
        said.collect()
    };
    // Of neighbours the same is often to be said.
    for alike in told.chunk_by(|a, b| said(a) == said(b)) {
        let names = alike
            .iter()
            .map(|entry| named(report, &entry.object, entry.namespace.as_deref()));
        let names: Vec<String> = names.collect();
        out.push_str(&style.hang("  ", 2, &names.join(", ")));
        for remark in &alike[0].remarks {
            one(out, remark, style, wide);
        }
    }
}

fn one(out: &mut String, remark: &RemarkEntry, style: &Style, wide: bool) {
    const INDENT: usize = 14;
    let field = if remark.field.is_empty() {
        String::new()
    } else {
        format!("{}: ", visible(&remark.field, false))
    };
    let blocking = remark.severity == Severity::Blocking.name();
    let first = format!("    {} {}  ", style.severity(remark.severity), remark.id);
    let text = format!("{field}{}", visible(&remark.message, false));
    out.push_str(&style.hang(&first, INDENT, &text));
    if let Some(reason) = &remark.accepted {
        let text = format!("accepted: {}", visible(reason, false));
        out.push_str(&style.wrap(INDENT, &text));
    }
    if (wide || blocking)
        && let Some(place) = &remark.place
    {
        out.push_str(&style.wrap(INDENT, &format!("at {}", visible(place, false))));
    }
    if (wide || blocking)
        && let Some(remedy) = &remark.remedy
    {
        let label = format!("{}fix: ", " ".repeat(INDENT));
        out.push_str(&style.hang(&label, INDENT + 5, &visible(remedy, false)));
    }
}

fn phases(out: &mut String, report: &Conversion, style: &Style, wide: bool) {
    if report.phases.is_empty() {
        out.push_str("\nnothing changes\n");
        return;
    }
    heading(out, style, "changes");
    let mut last: Option<&PhaseEntry> = None;
    for phase in &report.phases {
        if let Some(before) = last {
            out.push_str(&style.hang("    then wait: ", 15, before.wait_for));
        }
        put!(out, "  {}\n", style.paint(Tone::Strong, phase.name));
        for change in &phase.changes {
            if wide || change.withheld.is_none() {
                out.push_str(&changed(report, change, style));
            }
        }
        if !wide {
            withheld(out, phase, style);
        }
        last = Some(phase);
    }
    let retires = report.phase == Some(Phase::Retire.name());
    if let (Some(_), Some(phase), false) = (report.phase, last, retires) {
        out.push_str(&style.hang("    then wait: ", 15, phase.wait_for));
    }
}

/// How many changes of a phase may not be made, and for whose sake.
fn withheld(out: &mut String, phase: &PhaseEntry, style: &Style) {
    let mut because: BTreeMap<&str, usize> = BTreeMap::new();
    for object in phase.changes.iter().filter_map(|c| c.withheld.as_deref()) {
        *because.entry(object).or_default() += 1;
    }
    for (object, count) in because {
        let count = plural(count, "change", "changes");
        let line = format!("{count} withheld because of {object}");
        let sign = style.paint(Tone::Faint, if style.ascii { "." } else { "·" });
        out.push_str(&style.hang(&format!("    {sign} "), 6, &line));
    }
}

fn changed(report: &Conversion, change: &ChangeEntry, style: &Style) -> String {
    let (sign, tone) = match change.action {
        "create" => ("+", Tone::Good),
        "remove" => ("-", Tone::Bad),
        _ => ("~", Tone::Caution),
    };
    let name = named(report, &change.object, change.namespace.as_deref());
    let (sign, note) = match &change.withheld {
        None => (style.paint(tone, sign), String::new()),
        Some(object) => {
            let note = format!(" {} withheld because of {object}", style.dash());
            let sign = if style.ascii { "." } else { "·" };
            (style.paint(Tone::Faint, sign), note)
        }
    };
    style.hang(&format!("    {sign} "), 6, &format!("{name}{note}"))
}

fn comparison(out: &mut String, report: &Conversion, style: &Style, wide: bool) {
    let found = &report.comparison;
    out.push_str(&style.wrap(0, &compared(report)));
    let shown = if wide { usize::MAX } else { SHOWN };
    for difference in found.differences.iter().take(shown) {
        differs(out, difference, style);
    }
    let known = found.differing + found.undecided;
    if let Some(more) = known.checked_sub(shown).filter(|more| *more > 0) {
        put!(
            out,
            "    and {more} more; -o json has those that are kept\n"
        );
    }
}

/// What the comparison says, in a line.
pub(super) fn compared(report: &Conversion) -> String {
    let found = &report.comparison;
    if found.classes == 0 {
        return "no request was compared: nothing that judges or routes them changes".to_owned();
    }
    let mut line = format!(
        "{} compared: {} {}",
        plural(found.classes, "request class", "request classes"),
        found.differing,
        if found.differing == 1 {
            "differs"
        } else {
            "differ"
        },
    );
    if found.undecided > 0 {
        put!(line, ", {} undecided", found.undecided);
    }
    if found.complete {
        line.push_str(" (complete: every request is of one of them)");
    } else if !found.sampled_because.is_empty() {
        let why = found.sampled_because.join("; ");
        put!(line, " (sampled: {})", visible(&why, false));
    }
    line
}

fn differs(out: &mut String, difference: &DifferenceEntry, style: &Style) {
    let glyph = style.severity(if difference.opens {
        "blocking"
    } else {
        "warning"
    });
    let text = format!("{}: {}", difference.to, difference.request);
    out.push_str(&style.hang(&format!("  {glyph} "), 4, &visible(&text, false)));
    for (word, what) in [
        ("before", &difference.before),
        ("after ", &difference.after),
    ] {
        out.push_str(&style.hang(&format!("      {word}  "), 14, &visible(what, false)));
    }
}

fn accepted(out: &mut String, report: &Conversion, style: &Style) {
    if report.accepted.is_empty() && report.unused_accepts.is_empty() {
        return;
    }
    heading(out, style, "accepted");
    for entry in &report.accepted {
        let count = plural(entry.covers, "difference", "differences");
        let line = format!("{} ({count}): {}", entry.id, visible(&entry.reason, false));
        out.push_str(&style.hang("  - ", 4, &line));
    }
    for id in &report.unused_accepts {
        put!(out, "  - {id}: nothing needs it to be accepted\n");
    }
}

fn files(out: &mut String, written: &WrittenEntry, style: &Style) {
    heading(out, style, "files");
    for file in &written.files {
        let line = format!(
            "{} {}: {}",
            visible(&file.file, false),
            file.outcome,
            file.objects.join(", ")
        );
        out.push_str(&style.hang("  - ", 4, &line));
    }
    for left in &written.left {
        let place = left.place.as_ref().map(|place| format!(" at {place}"));
        let line = format!(
            "{}{} left as it is: {}",
            left.object,
            place.unwrap_or_default(),
            left.reason
        );
        let glyph = style.severity("warning");
        out.push_str(&style.hang(&format!("  {glyph} "), 4, &visible(&line, false)));
        for line in left.patch.lines() {
            put!(out, "      {}\n", visible(line, false));
        }
    }
}

fn closing(out: &mut String, report: &Conversion, style: &Style) {
    let blocking = report.refusals();
    let program = &style.program;
    if blocking > 0 {
        let what = plural(blocking, "refusal", "refusals");
        let line = format!(
            "{what}: what {} withheld is not printed by -o yaml and not written",
            if blocking == 1 { "it has" } else { "they have" }
        );
        out.push('\n');
        out.push_str(&style.hang(&format!("{} ", style.severity("blocking")), 2, &line));
    }
    let lossy = report.objects.iter().flat_map(|entry| &entry.remarks);
    let mut lossy = lossy.filter(|r| r.weight == "lossy" && r.accepted.is_none());
    if let Some(remark) = lossy.next() {
        put!(
            out,
            "to go on in spite of a difference: {program} convert … --accept {}=REASON\n",
            remark.id
        );
    }
    let mut open = report.obstacles.iter().filter(|o| o.accepted.is_none());
    if let Some(id) = open.find_map(|obstacle| obstacle.id.as_ref()) {
        put!(
            out,
            "to go on in spite of a finding: {program} convert … --accept {id}=REASON\n"
        );
    }
}

fn heading(out: &mut String, style: &Style, text: &str) {
    put!(out, "\n{}\n", style.paint(Tone::Strong, text));
}
