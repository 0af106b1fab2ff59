//! `check` as annotations of GitHub Actions: commands in the log, a line each.
//!
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

use super::history_screen::not_over;
use super::text::{put, visible};
use crate::checks::Severity;
use crate::report::{CheckReport, FindingEntry};

pub(super) fn render(report: &CheckReport) -> String {
    let mut out = String::new();
    for finding in &report.findings {
        annotation(&mut out, finding);
    }
    for entry in &report.unread {
        let what = entry.place.as_ref().unwrap_or(&entry.what);
        let text = format!("could not be read: {what}: {}", entry.reason);
        put!(out, "::error title=unread::{}\n", data(&text));
    }
    for entry in &report.not_run {
        put!(
            out,
            "::notice title={}::{}\n",
            property(&format!("{} not run ({})", entry.id, entry.reason.name())),
            data(&entry.detail)
        );
    }
    for run in &report.open_runs {
        let text = format!("{}\n{}", not_over(run), run.next.join("\n"));
        put!(out, "::warning title=open run::{}\n", data(&text));
    }
    // They do not begin with a name from an object, and so are never taken for a command.
    for entry in &report.namespaces {
        put!(
            out,
            "Namespace {}: {}\n",
            visible(&entry.name, false),
            entry.verdict
        );
    }
    if report.namespaces.is_empty() {
        out.push_str("No namespace was judged: none in the input has sidecars\n");
    }
    out
}

fn annotation(out: &mut String, finding: &FindingEntry) {
    let command = match finding.severity {
        Severity::Blocking => "error",
        Severity::Change | Severity::Warning => "warning",
        Severity::Info => "notice",
    };
    let mut properties = Vec::new();
    if let Some(place) = &finding.place {
        properties.push(format!("file={}", property(&place.file)));
        properties.push(format!("line={}", place.line));
        properties.push(format!("col={}", place.column));
    }
    let title = format!("{} {} ({})", finding.id, finding.slug, finding.severity);
    properties.push(format!("title={}", property(&title)));
    let mut text = format!("{}: {}", finding.typed(), finding.message);
    if let Some(remedy) = &finding.remedy {
        let word = if remedy.by == "move" { "move" } else { "fix" };
        put!(text, "\n{word}: {}", remedy.text);
        if let Some(command) = &remedy.command {
            put!(text, "\n$ {command}");
        }
    }
    put!(
        out,
        "::{command} {}::{}\n",
        properties.join(","),
        data(&text)
    );
}

/// A message: a percent sign and line ends would end it or be decoded.
fn data(text: &str) -> String {
    visible(text, true)
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// A property: a colon and a comma would end it as well.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_objects_ends_neither_a_message_nor_a_property() {
        assert_eq!(data("50%\n::error::x"), "50%25%0A::error::x");
        assert_eq!(property("a,b:c\u{1b}"), "a%2Cb%3Ac\\u{1b}");
    }
}
