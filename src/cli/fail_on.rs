//! `--fail-on`: from which severity on a command exits with 1.

use clap::ValueEnum;

use crate::checks::Severity;

/// From which severity on a command exits with 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    #[default]
    Blocking,
    Change,
    Warning,
    Info,
    Never,
}

impl FailOn {
    /// The lightest severity that counts.
    pub(super) const fn severity(self) -> Option<Severity> {
        match self {
            Self::Blocking => Some(Severity::Blocking),
            Self::Change => Some(Severity::Change),
            Self::Warning => Some(Severity::Warning),
            Self::Info => Some(Severity::Info),
            Self::Never => None,
        }
    }
}
