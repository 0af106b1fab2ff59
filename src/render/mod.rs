//! Rendering: a document becomes text. One format a file; nothing here knows where the text goes.

mod check_markdown;
mod check_screen;
mod convert_markdown;
mod convert_screen;
mod diff;
mod explain_screen;
mod github;
mod history_screen;
mod json;
mod junit;
mod markdown;
mod name;
mod plan_screen;
mod run_screen;
mod sarif;
mod status_screen;
mod text;
mod version_screen;
mod waypoint_screen;
mod waypoints_screen;
mod yaml;

use clap::ValueEnum;
use serde::Serialize;

pub use diff::object_diff;
pub use text::{Style, guarded};

use crate::report::waypoint::{GeneratedObjects, WaypointChanges, WaypointList, WaypointStatus};
use crate::report::{
    CheckList, CheckPage, CheckReport, Conversion, HistoryReport, RunReport, StatusReport,
    VersionReport, WaypointPlanReport,
};

/// An output format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A screen for people
    #[default]
    Table,
    /// The same with more columns
    Wide,
    /// A stable document
    Json,
    /// The same document as YAML
    Yaml,
    /// Names, a line each
    Name,
    /// What changes, as a unified diff (convert)
    Diff,
    /// A comment for a pull request (check, convert)
    Markdown,
    /// SARIF 2.1.0, for code scanning (check)
    Sarif,
    /// JUnit XML, for CI servers (check)
    Junit,
    /// Annotations of GitHub Actions (check)
    Github,
}

impl Format {
    /// Those that every document has.
    pub const GENERAL: &'static [Self] =
        &[Self::Table, Self::Wide, Self::Json, Self::Yaml, Self::Name];

    /// As it is written after `-o`.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// A document that every format can show.
pub trait Document: Serialize + Sized {
    /// The screen for people.
    fn screen(&self, style: &Style, wide: bool) -> String;

    /// What it is about, as `kind/name`.
    fn names(&self) -> Vec<String>;

    /// The document as YAML, or the objects that it is about.
    fn yaml(&self) -> String {
        yaml::render(self)
    }

    /// The text of a format that only some documents have; none where this one has it not.
    fn special(&self, _format: Format, _style: &Style) -> Option<String> {
        None
    }
}

/// A plan as people read it.
pub fn plan(plan: &crate::report::plan::PlanEntry, style: &Style) -> String {
    let mut out = String::new();
    plan_screen::render(&mut out, plan, style, false);
    out
}

/// The text of a document in a format.
pub fn render(document: &impl Document, format: Format, style: &Style) -> String {
    let text = match format {
        Format::Table => document.screen(style, false),
        Format::Wide => document.screen(style, true),
        // Both write out what a terminal would obey as their own grammar has it.
        Format::Json => return json::render(document),
        Format::Yaml => return yaml::shown(document.yaml()),
        Format::Name => name::render(document),
        // A document on the way to the answer, say of a run, is shown as a screen.
        special => document
            .special(special, style)
            .unwrap_or_else(|| document.screen(style, false)),
    };
    guarded(&text, style.color).into_owned()
}

impl Document for Conversion {
    fn screen(&self, style: &Style, wide: bool) -> String {
        convert_screen::render(self, style, wide)
    }

    fn names(&self) -> Vec<String> {
        self.manifest_names()
    }

    fn yaml(&self) -> String {
        self.manifests()
    }

    fn special(&self, format: Format, style: &Style) -> Option<String> {
        match format {
            Format::Diff => Some(diff::render(self, style)),
            Format::Markdown => Some(convert_markdown::render(self, style)),
            _ => None,
        }
    }
}

impl Document for RunReport {
    fn screen(&self, style: &Style, _wide: bool) -> String {
        run_screen::render(self, style)
    }

    fn names(&self) -> Vec<String> {
        vec![format!("namespace/{}", self.namespace)]
    }
}

impl Document for HistoryReport {
    fn screen(&self, style: &Style, _wide: bool) -> String {
        history_screen::render(self, style)
    }

    fn names(&self) -> Vec<String> {
        self.runs
            .iter()
            .map(|run| format!("run/{}", run.run))
            .collect()
    }
}

impl Document for CheckReport {
    fn screen(&self, style: &Style, wide: bool) -> String {
        check_screen::render(self, style, wide)
    }

    fn names(&self) -> Vec<String> {
        self.namespaces
            .iter()
            .map(|entry| format!("namespace/{}", entry.name))
            .collect()
    }

    fn special(&self, format: Format, _style: &Style) -> Option<String> {
        match format {
            Format::Markdown => Some(check_markdown::render(self)),
            Format::Sarif => Some(sarif::render(self)),
            Format::Junit => Some(junit::render(self)),
            Format::Github => Some(github::render(self)),
            _ => None,
        }
    }
}

impl Document for WaypointPlanReport {
    fn screen(&self, style: &Style, wide: bool) -> String {
        waypoint_screen::render(self, style, wide)
    }

    fn names(&self) -> Vec<String> {
        let needing = self.namespaces.iter().flat_map(|entry| &entry.services);
        needing
            .filter(|service| service.needs_waypoint)
            .map(|service| format!("service/{}", service.name))
            .collect()
    }
}

impl Document for GeneratedObjects {
    fn screen(&self, _style: &Style, _wide: bool) -> String {
        self.yaml()
    }

    fn names(&self) -> Vec<String> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        self.0
            .iter()
            .map(|object| {
                let kind = text(&object["kind"]).to_ascii_lowercase();
                format!("{kind}/{}", text(&object["metadata"]["name"]))
            })
            .collect()
    }

    fn yaml(&self) -> String {
        self.0
            .iter()
            .map(yaml::render)
            .collect::<Vec<_>>()
            .join("---\n")
    }
}

impl Document for WaypointList {
    fn screen(&self, style: &Style, wide: bool) -> String {
        waypoints_screen::list(self, style, wide)
    }

    fn names(&self) -> Vec<String> {
        let names = self.waypoints.iter().map(|entry| &entry.name);
        names.map(|name| format!("gateway/{name}")).collect()
    }
}

impl Document for WaypointStatus {
    fn screen(&self, style: &Style, _wide: bool) -> String {
        waypoints_screen::status(self, style)
    }

    fn names(&self) -> Vec<String> {
        let names = self.waypoints.iter().map(|entry| &entry.waypoint.name);
        names.map(|name| format!("gateway/{name}")).collect()
    }
}

impl Document for WaypointChanges {
    fn screen(&self, _style: &Style, _wide: bool) -> String {
        waypoints_screen::changes(self)
    }

    fn names(&self) -> Vec<String> {
        let objects = self.changes.iter().map(|change| &change.object);
        objects
            .map(|object| format!("{}/{}", object.kind.to_ascii_lowercase(), object.name))
            .collect()
    }
}

impl Document for StatusReport {
    fn screen(&self, style: &Style, wide: bool) -> String {
        status_screen::render(self, style, wide)
    }

    fn names(&self) -> Vec<String> {
        self.namespaces
            .iter()
            .map(|entry| format!("namespace/{}", entry.name))
            .collect()
    }
}

impl Document for VersionReport {
    fn screen(&self, style: &Style, _wide: bool) -> String {
        version_screen::render(self, style)
    }

    fn names(&self) -> Vec<String> {
        vec![format!("client/{}", self.client_version)]
    }
}

impl Document for CheckList {
    fn screen(&self, style: &Style, _wide: bool) -> String {
        explain_screen::list(self, style)
    }

    fn names(&self) -> Vec<String> {
        let ids = self.checks.iter().map(|check| check.id);
        ids.map(|id| format!("check/{id}")).collect()
    }
}

impl Document for CheckPage {
    fn screen(&self, style: &Style, _wide: bool) -> String {
        explain_screen::page(self, style)
    }

    fn names(&self) -> Vec<String> {
        vec![format!("check/{}", self.check.id)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::{Scope, judge};
    use crate::inventory::{Input, InventoryBuilder};
    use crate::mesh::Mesh;
    use crate::report::OpenRunEntry;

    #[test]
    fn every_format_of_check_tells_of_a_run_that_is_not_over() {
        let mesh = Mesh::new(InventoryBuilder::new(Input::Cluster, "").finish());
        let scope = Scope::of(["shop".into()]);
        let judgement = judge(&mesh, &scope, &[], false);
        let mut report = CheckReport::new(&mesh, &scope, &judgement, None);
        report.open_runs = vec![OpenRunEntry {
            namespace: "shop".into(),
            run: "20261123-100000".to_owned(),
            purpose: "move",
            outcome: "halted",
            detail: Some("switch/deployment.cart: a pod is not ready".to_owned()),
            next: vec!["kubectl ambient rollback -n shop".to_owned()],
        }];
        for format in [
            Format::Table,
            Format::Wide,
            Format::Json,
            Format::Yaml,
            Format::Markdown,
            Format::Sarif,
            Format::Junit,
            Format::Github,
        ] {
            let text = render(&report, format, &text::plain());
            for told in ["20261123-100000", "halted", "rollback -n shop"] {
                assert!(text.contains(told), "{format:?}: {text}");
            }
        }
        let text = render(&report, Format::Junit, &text::plain());
        assert!(text.contains("failures=\"0\""), "{text}");
    }
}
