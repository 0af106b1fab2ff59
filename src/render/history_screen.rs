//! Runs there were, on the screen.

use super::text::{Style, put, visible};
use crate::report::{HistoryReport, OpenRunEntry};

pub(super) fn render(report: &HistoryReport, style: &Style) -> String {
    if report.runs.is_empty() {
        return "no run of this program is known here\n".to_owned();
    }
    let cell = |text: &Option<String>| {
        text.as_deref()
            .map_or_else(|| "-".to_owned(), |text| visible(text, false).into_owned())
    };
    let rows = report.runs.iter().map(|run| {
        let purpose = match &run.of {
            Some(of) => format!("{} of {of}", run.purpose),
            None => run.purpose.to_owned(),
        };
        vec![
            run.namespace.to_string(),
            visible(&run.run, false).into_owned(),
            visible(&purpose, false).into_owned(),
            run.outcome.to_owned(),
            cell(&run.began),
            cell(&run.who),
            cell(&run.detail),
        ]
    });
    let headers = [
        "NAMESPACE",
        "RUN",
        "PURPOSE",
        "OUTCOME",
        "BEGAN",
        "WHO",
        "DETAIL",
    ];
    let mut out = style.table(&headers, rows.collect());
    for run in &report.runs {
        for (id, reason) in &run.accepted {
            let text = format!("{} accepted {id}: {reason}", run.run);
            out.push_str(&style.wrap(0, &visible(&text, false)));
        }
        for step in &run.steps {
            let done = if step.done { "done" } else { "not done" };
            put!(out, "{} ({done})\n", visible(&step.id, false));
            for write in &step.writes {
                put!(out, "  {}\n", visible(write, false));
            }
        }
    }
    out
}

/// Runs that are not over, below something else.
pub(super) fn open(out: &mut String, runs: &[OpenRunEntry], style: &Style) {
    for run in runs {
        out.push('\n');
        out.push_str(&style.wrap(0, &visible(&not_over(run), false)));
        for command in &run.next {
            put!(out, "  next: {}\n", visible(command, false));
        }
    }
}

/// That a run is not over, in a sentence without a final stop.
pub(super) fn not_over(run: &OpenRunEntry) -> String {
    let detail = run.detail.as_ref().map(|detail| format!(" ({detail})"));
    format!(
        "{} {} of {} is not over: {}{}",
        run.purpose,
        run.run,
        run.namespace,
        run.outcome,
        detail.unwrap_or_default()
    )
}
