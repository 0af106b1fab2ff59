//! The documents of `explain`: the list of checks, and the page of one.

use schemars::JsonSchema;
use serde::Serialize;

use super::API_VERSION;
use crate::checks::Check;
use crate::checks::page::Page;

/// What `explain --list` says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckList {
    api_version: &'static str,
    kind: &'static str,
    /// The checks, by id.
    pub checks: Vec<CheckEntry>,
}

/// What `explain ID` says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckPage {
    api_version: &'static str,
    kind: &'static str,
    /// The check.
    pub check: CheckEntry,
    /// Its page, as Markdown.
    pub page: &'static str,
}

/// A check.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CheckEntry {
    /// Its identity.
    pub id: &'static str,
    /// The pattern it finds, in words joined by hyphens.
    pub slug: &'static str,
    /// What it is about.
    pub area: &'static str,
    /// The highest severity that a finding of it can have.
    pub highest: &'static str,
    /// The version of this program that brought it.
    pub since: &'static str,
    /// Its title.
    pub title: &'static str,
}

impl CheckList {
    /// The document for these checks.
    pub fn new(checks: impl Iterator<Item = &'static dyn Check>) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "CheckList",
            checks: checks.map(CheckEntry::from).collect(),
        }
    }
}

impl CheckPage {
    /// The document for a check.
    pub fn new(check: &'static dyn Check) -> Self {
        Self {
            api_version: API_VERSION,
            kind: "CheckPage",
            check: check.into(),
            page: check.meta().page,
        }
    }
}

impl From<&'static dyn Check> for CheckEntry {
    fn from(check: &'static dyn Check) -> Self {
        let meta = check.meta();
        Self {
            id: meta.id.0,
            slug: meta.slug,
            area: meta.area.name(),
            highest: meta.highest.name(),
            since: meta.since,
            title: Page::parse(meta.page).map_or("", |page| page.title),
        }
    }
}
