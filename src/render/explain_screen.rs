//! The screens of `explain`.

use super::text::{Style, Tone};
use crate::report::{CheckList, CheckPage};

/// A check's page. The Markdown is good text as it is; headings are made bold.
pub(super) fn page(page: &CheckPage, style: &Style) -> String {
    let mut out = String::new();
    let mut code = false;
    for line in page.page.lines() {
        if line.starts_with("```") {
            code = !code;
        } else if line.starts_with('#') && !code {
            out.push_str(&style.paint(Tone::Strong, line.trim_start_matches('#').trim_start()));
            out.push('\n');
            continue;
        }
        let fence = line.starts_with("```");
        let shown = if fence {
            style.paint(Tone::Faint, line)
        } else {
            line.to_owned()
        };
        out.push_str(&shown);
        out.push('\n');
    }
    out
}

/// All checks, a line each.
pub(super) fn list(list: &CheckList, style: &Style) -> String {
    let rows = list
        .checks
        .iter()
        .map(|check| {
            [check.id, check.area, check.highest, check.title]
                .map(str::to_owned)
                .into()
        })
        .collect();
    style.table(&["ID", "AREA", "HIGHEST", "TITLE"], rows)
}
