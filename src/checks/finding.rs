//! Findings: what a check reports.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::Id;
use crate::kinds::{FieldPath, Name, ObjectRef};

/// How much a finding weighs. Ordered from the lightest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth a look; nothing breaks by it alone.
    Warning,
    /// It would break, and the move does what is needed.
    Change,
    /// A person must act first.
    Blocking,
}

impl Severity {
    /// All, heaviest first.
    pub const ALL: [Severity; 4] = [Self::Blocking, Self::Change, Self::Warning, Self::Info];

    /// As written in options and documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Change => "change",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What answers a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// The move does it; the text says what.
    Move(String),
    /// A person does it: what, and the command if there is one.
    Person {
        /// What to do.
        text: String,
        /// What to type.
        command: Option<String>,
    },
    /// There is nothing to do.
    Nothing,
}

impl Remedy {
    /// A person does this.
    pub fn person(text: impl Into<String>) -> Self {
        Self::Person {
            text: text.into(),
            command: None,
        }
    }

    /// A person does this by typing a command.
    pub fn command(text: impl Into<String>, command: impl Into<String>) -> Self {
        Self::Person {
            text: text.into(),
            command: Some(command.into()),
        }
    }

    /// The move does this.
    pub fn moved(text: impl Into<String>) -> Self {
        Self::Move(text.into())
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which check.
    pub check: Id,
    /// How much it weighs here.
    pub severity: Severity,
    /// The namespace whose move it concerns; `None` when it concerns every one.
    pub namespace: Option<Name>,
    /// The object in question; it may be one that is missing.
    pub object: ObjectRef,
    /// The field in question.
    pub field: FieldPath,
    /// One sentence with the evidence, without a final stop.
    pub message: String,
    /// What answers it.
    pub remedy: Remedy,
}

/// Where a check puts its findings.
#[derive(Debug)]
pub struct Sink<'a> {
    check: Id,
    findings: &'a mut Vec<Finding>,
}

impl<'a> Sink<'a> {
    pub(super) fn new(check: Id, findings: &'a mut Vec<Finding>) -> Self {
        Self { check, findings }
    }

    /// Reports something about one namespace's move.
    pub fn find(
        &mut self,
        namespace: &Name,
        severity: Severity,
        at: (ObjectRef, FieldPath),
        message: impl Into<String>,
        remedy: Remedy,
    ) {
        self.push(
            Some(namespace.clone()),
            severity,
            at,
            message.into(),
            remedy,
        );
    }

    /// Reports something about the move of every namespace.
    pub fn find_for_all(
        &mut self,
        severity: Severity,
        at: (ObjectRef, FieldPath),
        message: impl Into<String>,
        remedy: Remedy,
    ) {
        self.push(None, severity, at, message.into(), remedy);
    }

    fn push(
        &mut self,
        namespace: Option<Name>,
        severity: Severity,
        (object, field): (ObjectRef, FieldPath),
        message: String,
        remedy: Remedy,
    ) {
        self.findings.push(Finding {
            check: self.check,
            severity,
            namespace,
            object,
            field,
            message,
            remedy,
        });
    }
}
