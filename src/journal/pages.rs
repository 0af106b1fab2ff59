//! A journal as text: lines of JSON, cut into pages that fit into ConfigMaps.

use serde_json::Value;

use super::{Entry, Header, Journal, RunId, VERSION};
use crate::plan::{Plan, Step};

/// The size of a page, in bytes. etcd takes requests of 1.5 MiB, and a ConfigMap at most 1 MiB.
pub const PAGE: usize = 512 * 1024;

/// The size from which on a new page is begun: a page is sent whole with each entry.
const FULL: usize = 64 * 1024;

/// The label of a journal's ConfigMaps that names its run.
pub const RUN_LABEL: &str = "kubectl-ambient/run";

/// How many steps follow a plan's line.
const STEPS: &str = "stepCount";

/// The annotation of a journal's ConfigMaps that numbers them, from zero.
pub const PAGE_NUMBER: &str = "kubectl-ambient/page";

/// The annotation of a journal's ConfigMap that says that another page follows it, so that the loss of the
/// last one is noticed.
pub const CONTINUED: &str = "kubectl-ambient/continued";

/// The pages of a journal, each of them whole lines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pages(pub Vec<String>);

/// Why a journal cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It was written by a later release.
    #[error(
        "it is of version {found}, and this release reads up to {VERSION}: use the release that wrote it ({client})"
    )]
    Newer {
        /// Its version.
        found: u64,
        /// The release that wrote it.
        client: String,
    },
    /// A page is missing or cut.
    #[error("{0}")]
    Broken(String),
}

/// The name of a page's ConfigMap.
pub fn page_name(run: &RunId, page: usize) -> String {
    format!("kubectl-ambient-{run}-{page}")
}

impl Pages {
    /// The pages of a text: of its whole lines, that is.
    ///
    /// # Errors
    /// When a line is longer than a page.
    pub fn of(text: &str) -> Result<Self, Damage> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut pages = Self::default();
        for line in whole.lines() {
            pages.add(line)?;
        }
        Ok(pages)
    }

    /// Adds a line, and says which page it came to.
    ///
    /// # Errors
    /// When the line alone is longer than a page.
    pub fn add(&mut self, line: &str) -> Result<usize, Damage> {
        if line.len() >= PAGE {
            return Err(Damage::Broken(format!(
                "an entry of {} KiB does not fit into a page of the journal ({} KiB)",
                line.len() / 1024,
                PAGE / 1024
            )));
        }
        let full = self
            .0
            .last()
            .is_none_or(|page| page.len() + line.len() + 1 > FULL);
        if full {
            self.0.push(String::new());
        }
        let at = self.0.len() - 1;
        self.0[at].push_str(line);
        self.0[at].push('\n');
        Ok(at)
    }
}

/// A journal as text.
///
/// # Errors
/// When something in it is larger than a page.
pub fn pages_of(journal: &Journal) -> Result<Pages, Damage> {
    let mut pages = Pages::default();
    let text = |value: Result<String, serde_json::Error>| {
        value.map_err(|error| Damage::Broken(error.to_string()))
    };
    pages.add(&text(serde_json::to_string(&journal.header))?)?;
    // A step a line: a plan is as large as its namespace.
    let frame = Plan {
        steps: Vec::new(),
        ..journal.plan.clone()
    };
    let mut frame =
        serde_json::to_value(&frame).map_err(|error| Damage::Broken(error.to_string()))?;
    frame[STEPS] = journal.plan.steps.len().into();
    pages.add(&frame.to_string())?;
    for step in &journal.plan.steps {
        pages.add(&text(serde_json::to_string(step))?)?;
    }
    for entry in &journal.entries {
        pages.add(&entry.line()?)?;
    }
    Ok(pages)
}

impl Entry {
    /// The entry as a line.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn line(&self) -> Result<String, Damage> {
        serde_json::to_string(self).map_err(|error| Damage::Broken(error.to_string()))
    }
}

/// Reads what [`pages_of`] wrote, and the entries that were added since.
///
/// # Errors
/// When it is of a later version, or lines are missing or cut. A last line that is cut is what a
/// crash leaves of a file: it was never acted upon, and is left out.
pub fn read_pages(pages: &[String]) -> Result<Journal, Damage> {
    let text: Vec<&str> = pages.iter().flat_map(|page| page.lines()).collect();
    let ends_cut = pages.last().is_some_and(|page| !page.ends_with('\n'));
    let broken = |line: usize, why: &str| Damage::Broken(format!("line {} {why}", line + 1));
    let mut lines = text.iter().enumerate().peekable();
    let (_, first) = lines
        .next()
        .ok_or_else(|| Damage::Broken("it is empty".to_owned()))?;
    let header: Value =
        serde_json::from_str(first).map_err(|error| broken(0, &format!("is not JSON: {error}")))?;
    let found = header["version"]
        .as_u64()
        .ok_or_else(|| broken(0, "has no version"))?;
    if found > u64::from(VERSION) {
        let client = header["client"].as_str().unwrap_or("unknown").to_owned();
        return Err(Damage::Newer { found, client });
    }
    let header: Header = serde_json::from_value(header)
        .map_err(|error| broken(0, &format!("is no header: {error}")))?;
    let (_, frame) = lines
        .next()
        .ok_or_else(|| Damage::Broken("it has no plan".to_owned()))?;
    let frame: Value =
        serde_json::from_str(frame).map_err(|error| broken(1, &format!("is not JSON: {error}")))?;
    let promised = frame[STEPS].as_u64();
    let mut plan: Plan = serde_json::from_value(frame)
        .map_err(|error| broken(1, &format!("is no plan: {error}")))?;
    let mut entries: Vec<Entry> = Vec::new();
    let last = text.len() - 1;
    for (at, line) in lines {
        let value: Value = match serde_json::from_str(line) {
            Ok(value) => value,
            Err(_) if at == last && ends_cut => break,
            Err(error) => return Err(broken(at, &format!("is not JSON: {error}"))),
        };
        if value.get("event").is_none() {
            let step: Step = serde_json::from_value(value)
                .map_err(|error| broken(at, &format!("is neither a step nor an entry: {error}")))?;
            plan.steps.push(step);
            continue;
        }
        let entry: Entry = serde_json::from_value(value)
            .map_err(|error| broken(at, &format!("is no entry: {error}")))?;
        if usize::try_from(entry.number) != Ok(entries.len()) {
            return Err(broken(
                at,
                &format!(
                    "is entry {}, where {} was expected: a page is missing",
                    entry.number,
                    entries.len()
                ),
            ));
        }
        entries.push(entry);
    }
    if promised != u64::try_from(plan.steps.len()).ok() {
        let steps = plan.steps.len();
        return Err(Damage::Broken(format!(
            "{steps} steps of its plan are there, not all"
        )));
    }
    Ok(Journal {
        header,
        plan,
        entries,
    })
}
