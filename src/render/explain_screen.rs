//! Pages of checks on a terminal.

use super::text::{Style, Tone};
use crate::checks::{Check, page::Page};

/// A check's page. The Markdown is good text as it is; headings are made bold.
pub fn explain(check: &dyn Check, style: &Style) -> String {
    let mut out = String::new();
    let mut code = false;
    for line in check.meta().page.lines() {
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
pub fn list(checks: impl Iterator<Item = &'static dyn Check>, style: &Style) -> String {
    let rows = checks
        .map(|check| {
            let meta = check.meta();
            let title = Page::parse(meta.page).map_or("", |page| page.title);
            vec![
                meta.id.to_string(),
                meta.area.name().to_owned(),
                meta.highest.name().to_owned(),
                title.to_owned(),
            ]
        })
        .collect();
    style.table(&["ID", "AREA", "HIGHEST", "TITLE"], rows)
}
