//! Findings that someone decided not to see again, each with the reason.
//!
//! It changes what is reported and nothing else: no gate of a move is opened by it.

use super::{Finding, Id};

/// Which findings are left out of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignore {
    /// The check.
    pub check: Id,
    /// The object as findings name it, `Kind/name`; every object when absent.
    pub object: Option<String>,
    /// The object's namespace; any when absent.
    pub namespace: Option<String>,
    /// Why.
    pub reason: String,
}

impl Ignore {
    /// Whether a finding is left out.
    pub fn covers(&self, finding: &Finding) -> bool {
        self.check == finding.check
            && self
                .object
                .as_ref()
                .is_none_or(|object| *object == finding.object.short())
            && self
                .namespace
                .as_deref()
                .is_none_or(|name| name == &*finding.object.namespace)
    }
}

impl std::fmt::Display for Ignore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.check)?;
        if let Some(object) = &self.object {
            write!(f, " {object}")?;
        }
        if let Some(namespace) = &self.namespace {
            write!(f, " -n {namespace}")?;
        }
        Ok(())
    }
}
