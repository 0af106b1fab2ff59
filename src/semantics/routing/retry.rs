//! When a request is tried again (`pilot/pkg/networking/core/route/retry`).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::kinds::complete::virtual_service::Retries;

/// A retry policy as Envoy has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Retry {
    /// How often.
    pub attempts: u32,
    /// After what, in Envoy's words.
    pub on: BTreeSet<String>,
    /// After which statuses.
    pub codes: BTreeSet<u32>,
    /// How long each try may take.
    pub per_try_timeout: Option<Duration>,
    /// How long to wait at first.
    pub backoff: Option<Duration>,
    /// Whether endpoints that failed are left out.
    pub avoids_previous_hosts: bool,
    /// Whether endpoints of other localities may be tried.
    pub other_localities: bool,
}

impl Retry {
    /// The policy of a route: its own, or the mesh's; `None` when it does not retry.
    pub(crate) fn of(own: Option<&Retries>, mesh: Option<&Retries>) -> Option<Self> {
        let default = Self {
            attempts: 2,
            on: [
                "connect-failure",
                "refused-stream",
                "unavailable",
                "cancelled",
            ]
            .map(str::to_owned)
            .into(),
            codes: BTreeSet::new(),
            per_try_timeout: None,
            backoff: None,
            avoids_previous_hosts: true,
            other_localities: false,
        };
        let Some(own) = own.or(mesh) else {
            return Some(default);
        };
        let attempts = u32::try_from(own.attempts).ok().filter(|n| *n > 0)?;
        let (on, codes) = if own.retry_on.is_empty() {
            (default.on, default.codes)
        } else {
            conditions(&own.retry_on)
        };
        Some(Self {
            attempts,
            on,
            codes,
            per_try_timeout: own.per_try_timeout.map(|d| d.0),
            backoff: own.backoff.map(|d| d.0),
            avoids_previous_hosts: own.retry_ignore_previous_hosts.unwrap_or(true),
            other_localities: own.retry_remote_localities.unwrap_or(false),
        })
    }

    /// What waypoints of older releases do where no route is defined (`BuildDefaultHTTPInboundRoute`).
    pub(super) fn before_a_request_was_sent() -> Self {
        Self {
            attempts: 2,
            on: ["reset-before-request".to_owned()].into(),
            codes: BTreeSet::new(),
            per_try_timeout: None,
            backoff: None,
            avoids_previous_hosts: false,
            other_localities: false,
        }
    }
}

/// Conditions and statuses of a list with commas (`parseRetryOn`). `retriable-status-codes` says
/// nothing but that statuses count, and without any it has no effect.
fn conditions(list: &str) -> (BTreeSet<String>, BTreeSet<u32>) {
    let mut on = BTreeSet::new();
    let mut codes = BTreeSet::new();
    for part in list
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        match part.parse::<u32>() {
            Ok(code) if (100..600).contains(&code) => {
                codes.insert(code);
            }
            _ if part == "retriable-status-codes" => {}
            _ => {
                on.insert(part.to_owned());
            }
        }
    }
    (on, codes)
}

impl fmt::Display for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = self.on.iter().cloned();
        let all: Vec<String> = on.chain(self.codes.iter().map(u32::to_string)).collect();
        write!(f, "{} retries on {}", self.attempts, all.join(","))?;
        if let Some(timeout) = self.per_try_timeout {
            write!(f, " with {timeout:?} each")?;
        }
        if let Some(backoff) = self.backoff {
            write!(f, " after {backoff:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_those_of_istio() {
        let retries = |attempts: i32, on: &str| Retries {
            attempts,
            retry_on: on.to_owned(),
            ..Retries::default()
        };
        let default = Retry::of(None, None).unwrap();
        // Attempts alone keep the default conditions; `{}` turns retries off.
        assert_eq!(
            Retry::of(Some(&retries(2, "")), None).as_ref(),
            Some(&default)
        );
        assert_eq!(Retry::of(Some(&Retries::default()), None), None);
        let mesh = retries(5, "5xx");
        assert_eq!(Retry::of(None, Some(&mesh)).unwrap().attempts, 5);
        let own = Retry::of(Some(&retries(1, "gateway-error, 503,x")), Some(&mesh)).unwrap();
        assert_eq!(own.to_string(), "1 retries on gateway-error,x,503");
        let named = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes";
        assert_eq!(Retry::of(Some(&retries(2, named)), None), Some(default));
    }
}
