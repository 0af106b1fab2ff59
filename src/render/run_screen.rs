//! How a run ended, on the screen.

use super::text::{Style, Tone, put, visible};
use crate::report::RunReport;

pub(super) fn render(report: &RunReport, style: &Style) -> String {
    let mut out = String::new();
    let tone = match report.outcome {
        "done" | "finished" | "nothing to do" | "rolled back" => Tone::Good,
        "halted" => Tone::Bad,
        _ => Tone::Caution,
    };
    let run = report
        .run
        .as_ref()
        .map(|run| format!("{} {run} of ", report.purpose));
    let step = report.step.as_ref().map(|step| match report.outcome {
        "paused" => format!(" after {step}"),
        _ => format!(" in {step}"),
    });
    put!(
        out,
        "{}{}: {}{}\n",
        run.unwrap_or_default(),
        report.namespace,
        style.paint(tone, report.outcome),
        step.unwrap_or_default()
    );
    if let Some(why) = &report.why {
        out.push_str(&style.hang("  why: ", 7, &visible(why, false)));
    }
    if !report.now.is_empty() {
        out.push_str(&style.hang("  now: ", 7, &visible(&report.now, false)));
    }
    if !report.remainder.is_empty() {
        let text = format!("still with sidecars: {}", report.remainder.join(", "));
        out.push_str(&style.wrap(2, &visible(&text, false)));
    }
    for kept in &report.kept {
        out.push_str(&style.hang("  kept: ", 8, &visible(kept, false)));
    }
    for command in &report.next {
        put!(out, "  next: {}\n", visible(command, false));
    }
    out
}
