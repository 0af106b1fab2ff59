//! When a read is tried again, and after which pause.

use std::time::Duration;

use super::error::ClientError;

/// How often a read is sent at most.
pub(super) const TRIES: u32 = 4;
/// The longest pause, whatever the server asks for.
const LONGEST: Duration = Duration::from_secs(10);
/// The pause before the second try; it doubles from there.
const FIRST: Duration = Duration::from_millis(250);

/// A request that failed, and whether sending it again may help.
#[derive(Debug)]
pub(super) struct Failure {
    /// What to report if this was the last try.
    pub(super) error: ClientError,
    /// Whether the cause passes by itself: 429, a connection that broke, and what an API server
    /// answers while etcd elects a leader (500), or a load balancer while it looks for one (502, 503,
    /// 504).
    pub(super) passing: bool,
    /// The pause that the server asks for.
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    /// A failure that no repetition cures.
    pub(super) fn lasting(error: ClientError) -> Self {
        Self {
            error,
            passing: false,
            retry_after: None,
        }
    }

    /// A failure that may be gone at the next try.
    pub(super) fn passing(error: ClientError) -> Self {
        Self {
            error,
            passing: true,
            retry_after: None,
        }
    }

    /// The pause before the next try, or nothing if `attempt` (from 1) was the last.
    pub(super) fn pause(&self, attempt: u32) -> Option<Duration> {
        if !self.passing || attempt >= TRIES {
            return None;
        }
        let own = FIRST.saturating_mul(1 << (attempt - 1));
        Some(self.retry_after.unwrap_or(own).min(LONGEST))
    }
}

/// Whether a status code says that the same request may succeed soon.
pub(super) fn is_passing(status: u16) -> bool {
    matches!(status, 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_the_server_is_heeded_up_to_ten_seconds() {
        let error = || ClientError::config("x");
        let pauses: Vec<_> = (1..=4)
            .map(|attempt| Failure::passing(error()).pause(attempt))
            .collect();
        let millis = |n| Some(Duration::from_millis(n));
        assert_eq!(pauses, [millis(250), millis(500), millis(1000), None]);

        for (asked, expected) in [(0, 0), (3, 3), (600, 10)] {
            let failure = Failure {
                retry_after: Some(Duration::from_secs(asked)),
                ..Failure::passing(error())
            };
            assert_eq!(failure.pause(1), Some(Duration::from_secs(expected)));
        }
        assert_eq!(Failure::lasting(error()).pause(1), None);
    }
}
