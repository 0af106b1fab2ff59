//! Exit codes: a public contract, the same for every `-o`.

/// How a command ended, as the shell sees it.
///
/// The order in which several outcomes are weighed is [`Exit::worst`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Nothing at or above the threshold.
    Ok,
    /// A truthful no: a finding at or above `--fail-on`, something pending, something refused.
    Negative,
    /// Wrong flags or arguments.
    Usage,
    /// No cluster, no credentials, a timeout.
    Unreachable,
    /// A missing right prevents the command as asked.
    Forbidden,
    /// An input file, plan or journal cannot be read.
    Data,
    /// The cluster is not what the plan saw.
    Stale,
    /// A run stopped part-way; it can be resumed.
    Halted,
    /// Nothing negative was found, but not everything could be looked at.
    Undecided,
    /// A bug in this program.
    Internal,
    /// Interrupted by SIGINT.
    Interrupted,
    /// Ended by SIGTERM.
    Terminated,
}

impl Exit {
    /// The number handed to the operating system.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Negative => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Forbidden => 4,
            Self::Data => 5,
            Self::Stale => 6,
            Self::Halted => 7,
            Self::Undecided => 8,
            Self::Internal => 70,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The outcome that counts when several apply: an interruption, a bug, 2–7, 1, 8, 0.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if self.weight() >= other.weight() {
            self
        } else {
            other
        }
    }

    const fn weight(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Undecided => 1,
            Self::Negative => 2,
            Self::Usage
            | Self::Unreachable
            | Self::Forbidden
            | Self::Data
            | Self::Stale
            | Self::Halted => 10 - self.code(),
            Self::Internal => 20,
            Self::Interrupted | Self::Terminated => 21,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weightier_outcome_wins_whatever_the_order() {
        for (a, b, expected) in [
            (Exit::Ok, Exit::Undecided, Exit::Undecided),
            (Exit::Negative, Exit::Undecided, Exit::Negative),
            (Exit::Negative, Exit::Data, Exit::Data),
            (Exit::Forbidden, Exit::Unreachable, Exit::Unreachable),
            (Exit::Internal, Exit::Usage, Exit::Internal),
        ] {
            assert_eq!(a.worst(b), expected);
            assert_eq!(b.worst(a), expected);
        }
    }
}
